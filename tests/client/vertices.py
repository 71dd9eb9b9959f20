"""Vertices in memory: what is asked of them is kept, what they answer is given."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from vertex_client import AsyncQuorum, AsyncVertex, Vertex

URL = "https://vertex.example"
API_KEY = "the-api-key"
ADMIN_TOKEN = "the-admin-token"

Answer = httpx.Response | Exception


def ok(data: Any) -> httpx.Response:
    return httpx.Response(200, json=data)


def refusal(status: int, err_type: str, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json={"err_type": err_type, "err_msg": f"it is {err_type}"}, headers=sent)


@dataclass
class Memory:
    """Answers in order, the last one again and again; or what a function says."""

    answers: list[Answer] | Callable[[httpx.Request], Answer]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if callable(self.answers):
            answer = self.answers(request)
        else:
            answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)  # it is read once

    def client(self, **options: Any) -> Vertex:
        return Vertex(URL, API_KEY, ADMIN_TOKEN, transport=httpx.MockTransport(self), **options)

    def async_client(self, **options: Any) -> AsyncVertex:
        return AsyncVertex(URL, API_KEY, ADMIN_TOKEN, transport=httpx.MockTransport(self), **options)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests if request.content]


def party(keygen_id: str, role: str, **said: Any) -> dict[str, Any]:
    """A party in a reshare's answer."""
    new, old = role != "departing", role != "joining"
    blank = {
        "here": False,
        "stored": False if new else None,
        "failed": False if new else None,
        "vote": None,
        "deleted": False if old else None,
        "completed": False if new else None,
    }
    return {"keygen_id": keygen_id, "role": role, **blank, **said}


def reshare(parties: list[dict[str, Any]], **said: Any) -> dict[str, Any]:
    """A reshare's answer."""
    line = {
        "reshare_id": "here",
        "rid": "ab" * 32,
        "state": "voting",
        "role": "existing",
        "scheme": "ecdsa",
        "key_id": "new",
        "old_key_id": "old",
        "public_key": "02" + "11" * 32,
        "created_at": "2026-11-25T12:00:00Z",
        "completed_at": None,
        "alarms": [],
    }
    detail = {
        "k": 1,
        "gid": None,
        "digest": None,
        "old_quorum": {"threshold": 2, "parties": [p["keygen_id"] for p in parties if p["role"] != "joining"]},
        "new_quorum": {"threshold": 2, "parties": [p["keygen_id"] for p in parties if p["role"] != "departing"]},
        "deletions_required": 2,
        "parties": parties,
        "stored": 0,
        "confirmed": sum(p["vote"] == "confirmed" for p in parties),
        "deleted": sum(bool(p["deleted"]) for p in parties),
        "confirmations_needed": 2,
        "deletions_needed": 2,
        "complete": False,
        "clean": False,
        "old_shares_left": 3,
        "known_by_all": False,
        "ways_on": None,
        "decisions": [],
        "pause_seconds": None,
        "conflicts": [],
        "waiting": None,
        "error": None,
    }
    return line | detail | said


def key_share(**said: Any) -> dict[str, Any]:
    """A share's answer."""
    return {
        "key_id": "k",
        "keygen_id": "id",
        "user_id": "u",
        "scheme": "ecdsa",
        "state": "active",
        "generation": 1,
        "gid": "aa",
        "public_key": "02" + "11" * 32,
        "threshold": 2,
        "num_parties": 3,
        "parties": ["id-a", "id-b", "id-c"],
        "old_key_id": None,
        "new_key_ids": [],
        "policy_id": None,
        "created_at": "2026-11-25T12:00:00Z",
        "activated_at": None,
        "erased_at": None,
        **said,
    }


Answers = Mapping[str, Any]


class Cluster:
    """Vertices that answer by path, and what each was asked."""

    def __init__(self, **answers: Answers) -> None:
        self.memories = {name: Memory(self._by_path(paths)) for name, paths in answers.items()}

    @staticmethod
    def _by_path(answers: Answers) -> Callable[[httpx.Request], Any]:
        def answer(request: httpx.Request) -> Any:
            found = answers[request.url.path]
            if isinstance(found, list):
                found = found.pop(0) if len(found) > 1 else found[0]
            return ok(found) if isinstance(found, dict | list) else found

        return answer

    def run(self, work: Callable[[AsyncQuorum], Any]) -> Any:
        async def inside() -> Any:
            vertices = {name: memory.async_client(retries=0) for name, memory in self.memories.items()}
            async with AsyncQuorum(vertices) as quorum:
                return await work(quorum)

        return asyncio.run(inside())

    def asked(self, name: str) -> dict[str, Any]:
        """Path → body of what a vertex was asked."""
        requests = self.memories[name].requests
        return {request.url.path: json.loads(request.content) if request.content else None for request in requests}
