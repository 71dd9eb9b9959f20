"""An operator at the console, with cookies instead of a browser: signs in, opens a page, fills in its form."""

from html.parser import HTMLParser

import httpx

from cluster.demo.client import until
from cluster.vertex import Vertex


class _Page(HTMLParser):
    """Links, and per form its hidden inputs and the values of its submit buttons."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: dict[str, dict[str, str]] = {}
        self.buttons: dict[str, set[str]] = {}
        self._form = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "form":
            self._form = given.get("id", "")
            self.forms[self._form], self.buttons[self._form] = {}, set()
        elif tag == "input" and given.get("type") == "hidden" and self._form in self.forms:
            self.forms[self._form][given.get("name", "")] = given.get("value", "")
        elif tag == "button" and self._form in self.forms:
            self.buttons[self._form].add(given.get("value", ""))


class Operator:
    """One signed-in session. RuntimeError when the console does not do what it is asked."""

    LOGIN = "/console/login/"

    def __init__(self, vertex: Vertex) -> None:
        self._password = vertex.admin_password
        self._client = httpx.Client(base_url=vertex.url, timeout=30, follow_redirects=True)
        form = _Page(self._get(self.LOGIN)).forms["login-form"]
        entered = {"username": vertex.admin_user, "password": self._password}
        page = self._client.post(self.LOGIN, data=form | entered)
        if page.status_code != httpx.codes.OK or page.url.path.startswith(self.LOGIN):
            raise RuntimeError(f"the console of {vertex.name} did not let its operator in")

    def _get(self, path: str) -> str:
        return self._client.get(path).raise_for_status().text

    def deletion_page(self, reshare_id: str) -> str:
        """The address of the page on which the deletion of this vertex's old share is decided."""
        page = _Page(self._get(f"/console/reshare/reshare/{reshare_id}/change/"))
        [link] = {link for link in page.links if "/audit/deletion/" in link and link.endswith("/change/")}
        return link

    def can_confirm(self, page: str) -> bool:
        """Whether the page has its button: not before every new share is stored."""
        return "confirm" in _Page(self._get(page)).buttons.get("decide", set())

    def confirm(self, page: str, *, reason: str) -> None:
        """Confirms on the page's own form: CSRF token, the hash of what it shows, a reason, the password again."""
        form = _Page(self._get(page)).forms["decide"]
        entered = {"decision": "confirm", "reason": reason, "password": self._password}
        answer = self._client.post(page, data=form | entered).raise_for_status()
        if "Confirmed: the share is erased" not in answer.text:
            raise RuntimeError("the console did not confirm")


def confirm(vertex: Vertex, reshare_id: str) -> None:
    """A vertex's operator signs in to the console and confirms the deletion of its old share."""
    operator = Operator(vertex)
    page = operator.deletion_page(reshare_id)
    until(lambda: operator.can_confirm(page), "all new shares are stored, so that the page can confirm")
    operator.confirm(page, reason="the quorum changes")
