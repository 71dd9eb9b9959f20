"""HashiCorp Vault's HTTP API, as far as a keystore needs it: what Vault said for certain, or KeystoreUnavailable.

Vault answers 404 with an empty list of errors where a path has nothing, and 404 with an error where there is no such
mount; a proxy before it has 404s of its own. Only the first means "not there".
"""

import threading
from dataclasses import dataclass, field
from typing import Any

import httpx

from keys.keystore.base import KeystoreClosed, KeystoreUnavailable

# As many as a worker has threads.
_CONNECTIONS = 64
_IDLE_SECONDS = 30
_TEXT = 200


@dataclass(frozen=True)
class VaultAccess:
    """Where Vault is and who we are there: a token, or an AppRole that gets one. `ca` is a file, `timeout` seconds."""

    url: str
    token: str = field(default="", repr=False)
    role_id: str = field(default="", repr=False)
    secret_id: str = field(default="", repr=False)
    namespace: str = ""
    ca: str = ""
    timeout: float = 5.0


@dataclass(frozen=True)
class Answer:
    """What Vault said for certain: 200 or 204, 404 for a path that has nothing, 400 for what it will not do."""

    status: int
    body: dict[str, Any] = field(repr=False)

    @property
    def missing(self) -> bool:
        return self.status == httpx.codes.NOT_FOUND

    @property
    def errors(self) -> str:
        return "; ".join(str(error) for error in self.body.get("errors") or [])

    def value(self, *path: str) -> Any:
        """A field of ``data``; raises KeystoreUnavailable where the answer is an error or has no such field."""
        found: Any = self.required().body.get("data")
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            raise KeystoreUnavailable(f"Vault's answer has no {'.'.join(path)}")
        return found

    def required(self) -> "Answer":
        """Itself if Vault did it; raises KeystoreUnavailable."""
        if self.status not in (httpx.codes.OK, httpx.codes.NO_CONTENT):
            raise KeystoreUnavailable(f"Vault refuses: {self.status} {self.errors[:_TEXT]}")
        return self


class VaultClient:
    """Calls from any number of threads over kept connections. Nothing is tried twice but for an expired token."""

    def __init__(self, access: VaultAccess, transport: httpx.BaseTransport | None = None) -> None:
        if not access.token and not (access.role_id and access.secret_id):
            raise KeystoreClosed("Vault needs a token, or a role id and a secret id")
        self._access = access
        self._token = access.token
        self._login = threading.Lock()
        try:
            verify = httpx.create_ssl_context(access.ca) if access.ca else True
        except OSError as error:
            raise KeystoreClosed(f"the CA of Vault can't be read: {error.strerror}") from None
        self._http = httpx.Client(
            base_url=access.url.rstrip("/") + "/v1/",
            headers={"X-Vault-Request": "true"} | ({"X-Vault-Namespace": access.namespace} if access.namespace else {}),
            timeout=access.timeout,
            limits=httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=_IDLE_SECONDS),
            verify=verify,
            transport=transport,
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"VaultClient({self._access.url})"

    def get(self, path: str, **query: str) -> Answer:
        return self._authorized("GET", path, query=query)

    def post(self, path: str, body: dict[str, Any]) -> Answer:
        return self._authorized("POST", path, body)

    def delete(self, path: str) -> Answer:
        return self._authorized("DELETE", path)

    def _authorized(
        self, method: str, path: str, body: dict[str, Any] | None = None, query: dict[str, str] | None = None
    ) -> Answer:
        token = self._token or self._new_token("")
        response = self._call(method, path, body, query, token)
        if response.status_code == httpx.codes.FORBIDDEN and self._access.role_id:
            response = self._call(method, path, body, query, self._new_token(token))
        return _certain(response)

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None, query: dict[str, str] | None, token: str
    ) -> httpx.Response:
        headers = {"X-Vault-Token": token} if token else {}
        try:
            return self._http.request(method, path, json=body, params=query or None, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise KeystoreUnavailable(f"Vault does not answer: {type(error).__name__}") from error

    def _new_token(self, expired: str) -> str:
        """The token in place of one that Vault no longer takes; one thread logs in for all."""
        with self._login:
            if self._token == expired:
                credentials = {"role_id": self._access.role_id, "secret_id": self._access.secret_id}
                answer = _certain(self._call("POST", "auth/approle/login", credentials, None, "")).required()
                auth = answer.body.get("auth")
                token = auth.get("client_token") if isinstance(auth, dict) else None
                if not isinstance(token, str) or not token:
                    raise KeystoreUnavailable("Vault's answer to the login has no token")
                self._token = token
            return self._token


def _certain(response: httpx.Response) -> Answer:
    """Raises KeystoreUnavailable for whatever leaves open what Vault holds."""
    status = response.status_code
    if status == httpx.codes.NO_CONTENT:
        return Answer(status, {})
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise KeystoreUnavailable(f"what answers {status} is not Vault's API")
    answer = Answer(status, body)
    nothing_there = status == httpx.codes.NOT_FOUND and (body.get("errors") == [] or isinstance(body.get("data"), dict))
    if status in (httpx.codes.OK, httpx.codes.BAD_REQUEST) or nothing_there:
        return answer
    raise KeystoreUnavailable(f"Vault refuses: {status} {answer.errors[:_TEXT]}")
