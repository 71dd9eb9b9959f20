"""The durable log of a session: seed, inbound messages (the first per slot for ever) and outbox, sealed; and the
journal's record of it, which unmasks a database that was rolled back."""

import os
from collections import defaultdict

from django.db import transaction

from keys.keystore import KeyGone, Tampered, keystore
from keys.models import ProtocolSession, SessionMessage
from keys.sessions.lease import Lease, LeaseLost
from keys.sessions.records import NOTHING_SENT, SessionRecord, record_read, record_write
from mpc.hashing import TH
from mpc.protocol import Frame


class RolledBack(Exception):
    """The database knows less than the journal: the session is destroyed, never resumed."""


class SessionLog:
    """Seed and messages of one durable session, opened for one worker."""

    def __init__(self, session: ProtocolSession, lease: Lease) -> None:
        self._session, self._lease = session, lease
        self._record = record_read(session.id)
        if session.data_key is None:
            if self._record is not None and self._record.sent != NOTHING_SENT:
                raise RolledBack(f"session {session.id}: the database does not know that it had begun")
            self.seed = self._begin()
        else:
            self.seed = self._open(bytes(session.sealed_seed or b""), b"seed")
            self._named()
        self._stored: dict[bool, dict[int, list[Frame]]] = {True: defaultdict(list), False: defaultdict(list)}
        for row in session.messages.order_by("id"):
            place = (row.outbound, row.round, bytes(row.sender), bytes(row.receiver))
            frame = Frame(row.round, place[2], place[3], self._open(bytes(row.sealed), self._place(*place)))
            self._stored[row.outbound][row.round].append(frame)
        if self._sent > max(self._stored[True], default=NOTHING_SENT):
            raise RolledBack(f"session {session.id}: sent round {self._sent}, but the database does not know it")

    @property
    def _sent(self) -> int:
        return self._record.sent if self._record is not None else NOTHING_SENT

    def inbound(self, round: int) -> list[Frame]:
        """The stored messages of a round."""
        return list(self._stored[False][round])

    def send(self, round: int, frames: tuple[Frame, ...]) -> None:
        """Make a round's outbound frames durable before they leave; a replay that makes others raises RolledBack.

        A round in which this party says nothing (a departing one, late in a reshare) leaves no trace.
        """
        known = self._stored[True].get(round)
        if known is None:
            self._store(frames, outbound=True)
        elif known != list(frames):
            raise RolledBack(f"session {self._session.id}: the replay of round {round} made other messages")
        if frames and round > self._sent:
            self._write(str(self._session.data_key), sent=round)

    def receive(self, round: int, frames: list[Frame]) -> None:
        """Store verified inbound frames; one that is stored already keeps its place."""
        known = {frame.slot for frame in self._stored[False][round]}
        self._store([frame for frame in frames if frame.slot not in known], outbound=False)

    def _begin(self) -> bytes:
        """Key, record, row, in this order: whatever a restored database forgets, the record names the key.

        A worker that died in between has sent nothing: its key is destroyed, and another seed is as good. The lease is
        looked at once the record is known, which is then no later worker's.
        """
        keys = keystore().keys
        self._lease.extend()
        if self._record is not None:
            keys.destroy(str(self._record.data_key))
        ref, seed = keys.make(), os.urandom(32)
        sealed = keys.wrap(ref, seed, self._aad(b"seed"))
        try:
            self._write(ref, sent=NOTHING_SENT)
            self._lease.update(data_key=ref, sealed_seed=sealed)
        except LeaseLost:
            keys.destroy(ref)
            raise
        self._session.data_key, self._session.sealed_seed = ref, sealed
        return seed

    def _named(self) -> None:
        """The record of a session that has begun names its key; an earlier version's does not yet."""
        ref = str(self._session.data_key)
        if self._record is None or self._record.data_key is None:
            self._write(ref, sent=self._sent)
        elif self._record.data_key != ref:
            raise RolledBack(f"session {self._session.id}: the database knows another key")

    def _write(self, data_key: str, *, sent: int) -> None:
        record = SessionRecord(data_key, sent)
        record_write(self._session.id, record, known=self._record)
        self._record = record

    @transaction.atomic
    def _store(self, frames: list[Frame] | tuple[Frame, ...], *, outbound: bool) -> None:
        if not frames:
            return
        self._lease.update(round=frames[0].round)
        keys, ref = keystore().keys, str(self._session.data_key)
        for frame in frames:
            aad = self._aad(self._place(outbound, frame.round, frame.sender, frame.receiver))
            SessionMessage.objects.create(
                session=self._session,
                outbound=outbound,
                round=frame.round,
                sender=frame.sender,
                receiver=frame.receiver,
                sealed=keys.wrap(ref, frame.body, aad),
            )
            self._stored[outbound][frame.round].append(frame)

    def _place(self, outbound: bool, round: int, sender: bytes, receiver: bytes) -> bytes:
        return TH("log/place", bytes([outbound, round]), sender, receiver)

    def _aad(self, place: bytes) -> bytes:
        return TH("sealed", b"session/1", self._session.id.bytes, place)

    def _open(self, sealed: bytes, place: bytes) -> bytes:
        try:
            return keystore().keys.unwrap(str(self._session.data_key), sealed, self._aad(place))
        except (KeyGone, Tampered) as error:
            raise RolledBack(f"session {self._session.id}: its key is gone") from error
