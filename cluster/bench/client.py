"""A light client of the REST contract with kept connections: what it costs itself is not to be seen in a figure."""

import http.client
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from cluster.vertex import Vertex

TIMEOUT = 90.0  # seconds; more than a vertex takes to answer, whatever happens


class Refused(RuntimeError):
    """An answer other than 200."""

    def __init__(self, call: str, status: int, answer: Any) -> None:
        super().__init__(f"{call}: {status} {answer}")
        self.err_type = answer.get("err_type")


class Caller:
    """One token at one vertex, on one connection: for one call at a time."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT)
        self._headers = {"Authorization": token, "Content-Type": "application/json"}

    def again(self) -> "Caller":
        """The same caller, on another connection."""
        return Caller(self._url, self._token)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of the answer. Raises Refused."""
        content = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, content, self._headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        if response.status != http.client.OK:
            raise Refused(f"{method} {path}", response.status, answer)
        return answer

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def repeat(self, path: str, times: int) -> None:
        """GET it that often, one after the other, and throw the answers away. Raises Refused."""
        for _ in range(times):
            self._connection.request("GET", path, headers=self._headers)
            response = self._connection.getresponse()
            answer = response.read()
            if response.status != http.client.OK:
                raise Refused(f"GET {path}", response.status, json.loads(answer))

    def post(self, path: str, body: Any) -> Any:
        return self.call("POST", path, body)


@dataclass(frozen=True)
class User:
    """A user at one vertex, and that vertex's admin."""

    user: Caller
    admin: Caller

    @classmethod
    def at(cls, vertex: Vertex) -> "User":
        admin = Caller(vertex.url, vertex.admin_token)
        return cls(Caller(vertex.url, admin.get("/admin/create-user")["api_key"]), admin)

    def create(self) -> "Party":
        made = self.user.get("/ecdsa/create")
        return Party(self, made["key_id"], made["keygen_id"])


@dataclass(frozen=True)
class Party:
    """A user's key."""

    at: User
    key_id: str
    keygen_id: str

    def calls(self, path: str, body: dict[str, Any]) -> Callable[[], Any]:
        """A call about this key, to be made."""
        return partial(self.at.user.post, path, body | {"key_id": self.key_id})

    def is_in(self, state: str) -> bool:
        """Whether the share is in that state now."""
        return bool(self.at.user.get(f"/keys/{self.key_id}")["state"] == state)


def all_at_once(pool: Executor, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Makes calls that wait for each other; the answers in order."""
    return [each.result() for each in [pool.submit(call) for call in calls]]
