"""Who is asked: vertices by name, keys as they hold them together."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

from vertex_client.answers import KeyShare, NewApiKey, NewKey, Scheme
from vertex_client.errors import DISAGREEMENT, QuorumError, VertexError
from vertex_client.quorum.keys import Key, Share, assemble, current
from vertex_client.quorum.together import Answers, together
from vertex_client.vertex import AsyncVertex

T = TypeVar("T")
Ask = Callable[[str, AsyncVertex], Coroutine[Any, Any, T]]


class Members:
    """Vertices by name; keys made and found at them."""

    def __init__(self, vertices: Mapping[str, AsyncVertex]) -> None:
        self.vertices = dict(vertices)

    def vertex(self, name: str) -> AsyncVertex:
        """ValueError if there is none of that name."""
        if name not in self.vertices:
            raise ValueError(f"there is no vertex {name}; there are {', '.join(self.vertices)}")
        return self.vertices[name]

    async def ask(self, at: Sequence[str] | None, ask: Ask[T], *, one_protocol: bool = False) -> Answers[T]:
        """The same question to several vertices, or all, at the same time; of each its answer or its failure."""
        names = list(self.vertices) if at is None else list(dict.fromkeys(at))
        asked = {name: self.vertex(name) for name in names}
        return await together({name: ask(name, vertex) for name, vertex in asked.items()}, one_protocol=one_protocol)

    async def room(self, names: Sequence[str], size: int) -> str:
        """A room, made by the first of these vertices."""
        made = (await self.ask(names[:1], lambda _, vertex: vertex.create_room(size))).all("create-room")
        return made[names[0]].room_uuid

    async def _listed(self) -> Answers[list[KeyShare]]:
        async def ask(_: str, vertex: AsyncVertex) -> list[KeyShare]:
            return [share async for share in vertex.each(AsyncVertex.keys(limit=1000))]

        return await self.ask(None, ask)

    async def create(self, scheme: Scheme, at: Sequence[str] | None = None) -> dict[str, NewKey]:
        """An identity for a key to be at each vertex, `at` these or all."""
        made = await self.ask(at, lambda name, vertex: vertex.create(scheme))
        return made.all(f"create {scheme}")

    async def keygen(self, scheme: Scheme, threshold: int, at: Sequence[str] | None = None) -> Key:
        """Generates a key between these vertices, or all; its shares are active."""
        made = await self.create(scheme, at)
        ids = [each.keygen_id for each in made.values()]
        room = await self.room(list(made), len(made))

        def ask(name: str, vertex: AsyncVertex) -> Coroutine[Any, Any, None]:
            return vertex.keygen(
                scheme,
                made[name].key_id,
                num_parties=len(ids),
                threshold=threshold,
                keygen_ids=ids,
                room_uuid=room,
            )

        (await self.ask(list(made), ask, one_protocol=True)).all("keygen")
        shares = tuple(Share(name, each.key_id, each.keygen_id) for name, each in made.items())
        return await self.look(Key(scheme, "", threshold, shares))

    async def create_users(self, name: str, at: Sequence[str] | None = None) -> Answers[NewApiKey]:
        """A user with an API key at each vertex, `at` these or all: admin's work, and each may fail by itself."""
        return await self.ask(at, lambda _, vertex: vertex.create_user(name))

    async def keys(self) -> list[Key]:
        """All keys of which a vertex here holds a share, by generation. Raises QuorumError if one does not answer."""
        return assemble((await self._listed()).all("keys"))

    async def find(self, public_key: str) -> Key:
        """The key whose public key begins so, as it signs now; vertices that don't answer are left out.

        ValueError if no vertex that answers knows it, or several keys begin so."""
        listed = await self._listed()
        if not listed.answers:
            listed.all("keys")
        return current(assemble(listed.answers), public_key)

    async def look(self, key: Key) -> Key:
        """The same shares as they are now. Raises QuorumError if a vertex fails or they tell different public keys."""

        def ask(name: str, vertex: AsyncVertex) -> Coroutine[Any, Any, KeyShare]:
            return vertex.key(key.at(name).key_id)

        seen = (await self.ask(key.names, ask)).all("look")
        agreed({name: each.public_key for name, each in seen.items()}, "public keys")
        one = next(iter(seen.values()))
        return replace(
            key,
            public_key=one.public_key or "",
            threshold=one.threshold or key.threshold,
            shares=tuple(replace(share, state=seen[share.vertex].state) for share in key.shares),
            parties=one.parties,
            gid=one.gid,
            generation=one.generation,
        )

    async def close(self) -> None:
        """Closes all connections."""
        await asyncio.gather(*(vertex.close() for vertex in self.vertices.values()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.vertices)})"


def agreed(answers: Mapping[str, T], what: str) -> T:
    """The one thing that all say. Raises QuorumError if they differ."""
    first, *others = answers.values()
    if any(other != first for other in others):
        failures = {name: VertexError(DISAGREEMENT, str(answer)) for name, answer in answers.items()}
        raise QuorumError(f"different {what}", failures, answers)
    return first
