"""Changing a quorum: begun, decided on, and watched until it is complete."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from typing import Any

from vertex_client.answers import KeyId, Received, Reshare, ReshareLine
from vertex_client.errors import VertexError
from vertex_client.quorum.keys import Key, Reshared, Share
from vertex_client.quorum.members import Members
from vertex_client.quorum.progress import ENDED, Progress
from vertex_client.quorum.together import Answers
from vertex_client.vertex import AsyncVertex

FINISHED = ENDED | {"clean"}
POLL = 0.5  # seconds between two looks at a reshare
PATIENCE = 10.0  # seconds until all vertices must have heard what is stored


class Changing(Members):
    """Refresh and reshare."""

    async def refresh(self, key: Key) -> Reshared:
        """New shares for the same quorum; every party takes part."""
        room = await self.room(key.names, len(key.names))

        def ask(name: str, vertex: AsyncVertex) -> Coroutine[Any, Any, KeyId]:
            return vertex.refresh(key.scheme, key.at(name).key_id, room_uuid=room)

        made = (await self.ask(key.names, ask, one_protocol=True)).all("refresh")
        shares = [Share(name, made[name].key_id, key.at(name).keygen_id, "quarantined") for name in key.names]
        return await self._reshared(key, shares, key.threshold)

    async def reshare(
        self,
        key: Key,
        to: Sequence[str],
        threshold: int,
        *,
        absent: Collection[str] = (),
        deletions_required: int | None = None,
    ) -> Reshared:
        """Moves a key to the vertices `to`, up to quarantine.

        Who holds a share and is in `to` stays, who is not leaves, the others of `to` join. Leavers that are `absent`
        take no part: neither their help nor their vote. ValueError if somebody absent is to stay."""
        if missing := sorted(set(absent) & set(to)):
            raise ValueError(f"{', '.join(missing)} can't be absent and in the new quorum")
        staying = [name for name in to if name in key.names]
        leaving = [name for name in key.names if name not in to and name not in absent]
        joined = await self.create(key.scheme, [name for name in to if name not in key.names])
        identities = {name: key.at(name).keygen_id for name in staying}
        identities |= {name: each.keygen_id for name, each in joined.items()}
        common: dict[str, Any] = {
            "keygen_ids": [identities[name] for name in to],
            "new_threshold": threshold,
            "room_uuid": await self.room(staying + leaving, len(to) + len(leaving)),
            "deletions_required": deletions_required,
        }

        def ask(name: str, vertex: AsyncVertex) -> Coroutine[Any, Any, KeyId]:
            if name in joined:
                expected: dict[str, Any] = {"old_threshold": key.threshold, "expected_pubkey": key.public_key}
                return vertex.reshare_joining(key.scheme, joined[name].key_id, **common, **expected)
            if name in staying:
                return vertex.reshare_existing(key.scheme, key.at(name).key_id, **common)
            return vertex.reshare_departing(key.scheme, key.at(name).key_id, **common)

        made = (await self.ask([*to, *leaving], ask, one_protocol=True)).all("reshare")
        shares = [Share(name, made[name].key_id, identities[name], "quarantined") for name in to]
        return await self._reshared(key, shares, threshold)

    async def confirm(
        self,
        rid: str,
        at: Sequence[str],
        *,
        reason: str | None = None,
        exports_destroyed: bool | None = None,
        patience: float = PATIENCE,
    ) -> Answers[Reshare]:
        """The word of these vertices' admins to delete the old shares; of each what it answered. It is final.

        Right after a reshare a vertex may not have heard yet that all new shares are stored: its `deletion_not_ready`
        is an answer after `patience` seconds only."""
        deadline = time.monotonic() + patience

        async def ask(_: str, vertex: AsyncVertex) -> Reshare:
            while True:
                try:
                    return await vertex.confirm_deletion(rid, reason=reason, exports_destroyed=exports_destroyed)
                except VertexError as error:
                    if error.err_type != "deletion_not_ready" or time.monotonic() > deadline:
                        raise
                await asyncio.sleep(POLL)

        return await self.ask(at, ask)

    async def abort(self, rid: str, at: Sequence[str], *, reason: str | None = None) -> Answers[Reshare]:
        """The word of these vertices' admins against a reshare; of each what it answered."""
        return await self.ask(at, lambda name, vertex: vertex.abort(rid, reason=reason))

    async def progress(self, rid: str) -> Progress:
        """How far a reshare is. Raises QuorumError if no vertex knows it."""
        seen = await self.ask(None, lambda name, vertex: vertex.reshare(rid))
        strangers = {name for name, error in seen.failures.items() if error.err_type == "not_found"}
        if not seen.answers:
            seen.all(f"reshare {rid}")
        return Progress.of(
            rid, seen.answers, {name: error for name, error in seen.failures.items() if name not in strangers}
        )

    async def unfinished(self) -> list[str]:
        """The rids of reshares that have neither ended nor erased every old share, in order of creation. Raises
        QuorumError if a vertex does not answer."""

        async def ask(_: str, vertex: AsyncVertex) -> list[ReshareLine]:
            return [line async for line in vertex.each(AsyncVertex.reshares(limit=1000))]

        lines = [line for told in (await self.ask(None, ask)).all("reshares").values() for line in told]
        lines.sort(key=lambda line: line.created_at)
        return list(dict.fromkeys(line.rid for line in lines if line.rid and line.state not in FINISHED))

    async def watch(
        self, rid: str, *, timeout: float | None = None, poll: float = POLL, clean: bool = False
    ) -> AsyncIterator[Progress]:
        """Progress at first and at each change, up to completion (`clean`: until every old share is erased) or another
        end. Raises TimeoutError after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        shown: Progress | None = None
        new: set[str] = set()
        while True:
            now = await self.progress(rid)
            new |= now.new
            if shown is None or now.differs(shown):
                shown = now
                yield now
            done = now.complete and now.knowing >= new  # whoever was seen to join or stay must have heard of it
            if now.ended or (done and (now.clean or not clean)):
                return
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"after {timeout} s it still waits for {now.waits}")
            await asyncio.sleep(poll)

    async def carry_receipts(self, rid: str) -> Answers[Received]:
        """Carries a reshare's receipts by hand from every vertex that knows it to every other one."""
        bundles = (await self.ask(None, lambda name, vertex: vertex.reshare_receipts(rid))).answers

        async def give(name: str, vertex: AsyncVertex) -> Received:
            got = [
                (await vertex.give_reshare_receipts(rid, bundle)).new
                for giver, bundle in bundles.items()
                if giver != name
            ]
            return Received(sum(got))

        return await self.ask(None, give)

    async def _reshared(self, old: Key, shares: Sequence[Share], threshold: int) -> Reshared:
        """The new key, and the `rid` as the first vertex that answers knows it."""
        parties = tuple(share.keygen_id for share in shares)
        new = Key(old.scheme, old.public_key, threshold, tuple(shares), parties)

        async def ask(name: str, vertex: AsyncVertex) -> str:
            rids = [
                line.rid
                async for line in vertex.each(AsyncVertex.reshares(limit=1000))
                if line.key_id == new.at(name).key_id
            ]
            if not rids or rids[-1] is None:
                raise VertexError("not_found", "the new share belongs to no reshare here")
            return rids[-1]

        found = await self.ask(new.names, ask)
        if not found.answers:
            found.all("reshares")
        return Reshared(next(iter(found.answers.values())), old, new)
