"""The only loop that feeds a protocol's generator: replay what is stored, then one HTTP exchange a round."""

import time
from collections import Counter
from typing import Any

from django.db import connection

from keys import clock
from keys.models import ProtocolSession
from keys.relays import relay
from keys.sessions.carrier import RECEIPT
from keys.sessions.evidence import EVIDENCE, two_messages, verdict
from keys.sessions.kinds import SessionKind
from keys.sessions.lease import Lease
from keys.sessions.log import SessionLog
from keys.sessions.rooms import forgotten, put_back
from mpc.envelope import conflict, session_of
from mpc.protocol import Frame, Protocol, SeededRng, Step, SystemRng
from mpc.sharing import ranks
from relay.client import Message, RelayRefused, RelayUnavailable

SLOT = "protocol"  # what the relay knows these messages by; receipts have slots of their own
PARK_AFTER = 1.0  # seconds without news
ROUND_WAIT = 10.0  # seconds that a signing session waits for one round
# A relay can't fill the memory: bytes in all, and frames of one sender (a whole session has fewer than 16).
MAX_UNREAD, MAX_FRAMES, FRAME_OVERHEAD = 64 << 20, 64, 256


class Parked(Exception):
    """Nothing new for a while: give the slot back, go on when the room has news."""


class TimedOut(Exception):
    """The others' messages did not come in time."""

    def __init__(self, round: int, missing: list[str]) -> None:
        super().__init__(f"round {round}: no message from {', '.join(missing) or 'the other parties'} in time")


class Refused(Exception):
    """Another vertex refused the call that names this room; `err_type` is its hint, unsigned."""

    def __init__(self, err_type: str) -> None:
        super().__init__(f"another party refused the call that names this room ({err_type})")


class Driver:
    """Runs one session as far as it gets. Durable ones store before they send and park instead of waiting."""

    def __init__(self, session: ProtocolSession, kind: SessionKind, lease: Lease) -> None:
        self._session, self._kind, self._lease = session, kind, lease
        self._relay = relay(session.relay)
        self._party = bytes(session.share.identity.public)
        self._log = SessionLog(session, lease) if kind.durable else None
        self._cursor = ""
        self._unread: list[Frame] = []  # of this round, and of later ones: another party may be one ahead
        self._unread_bytes = 0
        self._unread_of: Counter[bytes] = Counter()  # frames by sender
        self._sid: bytes | None = None  # once a message of another party was opened under it
        self._judged = 0
        self._until = time.monotonic() + (session.deadline - clock.now()).total_seconds()

    def run(self) -> Any:
        """The protocol's result; raises its errors, Parked, TimedOut, Refused or LeaseLost."""
        rng = SeededRng(self._log.seed) if self._log else SystemRng()
        generator: Protocol[Any] = self._kind.protocol(self._session, rng)
        value: Any = None
        while True:
            try:
                item = generator.send(value)
            except StopIteration as done:
                return done.value
            if isinstance(item, Step):
                value = self._round(item)
            else:
                value = self._kind.checkpoint(self._session, self._lease, item)

    def _round(self, step: Step) -> list[Frame]:
        inbound: list[Frame] = []
        if self._log:
            self._log.send(step.round, step.frames)
            inbound = [frame for frame in self._log.inbound(step.round) if step.accept(frame)]
        stored = len(inbound)
        outgoing = [Message(SLOT, f.round, f.sender.hex(), f.receiver.hex(), f.body) for f in step.frames]
        quiet_until = time.monotonic() + (PARK_AFTER if self._log else ROUND_WAIT)
        while not self._take(step, inbound):
            if time.monotonic() > self._until:
                raise TimedOut(step.round, self._silent(inbound))
            if not outgoing and time.monotonic() >= quiet_until:
                self._unanswered(step, inbound)
                break
            wait = max(0.0, quiet_until - time.monotonic())
            self._exchange(outgoing, wait=wait, want=step.missing(inbound))
            outgoing = []
        if outgoing:
            self._exchange(outgoing)
        if self._log and len(inbound) > stored:
            self._log.receive(step.round, inbound[stored:])
        if step.round and inbound:
            self._sid = session_of(inbound[0])
        return inbound

    def _take(self, step: Step, inbound: list[Frame]) -> bool:
        """Move what the round expects from the unread frames to ``inbound``; the first of a slot stays."""
        unread, self._unread = self._unread, []
        self._unread_bytes, self._unread_of = 0, Counter()
        taken = {frame.slot: frame for frame in inbound}
        for frame in unread:
            if frame.round > step.round:
                self._keep(frame)
            elif frame.round == step.round:
                first = taken.get(frame.slot)
                if first is not None and conflict(first, frame):
                    raise two_messages(first, frame)
                if first is None and step.accept(frame):
                    taken[frame.slot] = frame
                    inbound.append(frame)
        return step.complete(inbound)

    def _keep(self, frame: Frame) -> None:
        """Remember a frame that nobody has looked at yet, within what honest parties send."""
        size = len(frame.body) + FRAME_OVERHEAD
        if self._unread_bytes + size <= MAX_UNREAD and self._unread_of[frame.sender] < MAX_FRAMES:
            self._unread.append(frame)
            self._unread_bytes += size
            self._unread_of[frame.sender] += 1

    def _unanswered(self, step: Step, inbound: list[Frame]) -> None:
        """Nothing new for a while: a last look, then store and park; or time out."""
        if self._log is None:
            raise TimedOut(step.round, self._silent(inbound))
        # The news so far were of messages that were read already: only later ones may hinder parking, which would
        # replay the whole session for nothing.
        self._lease.update(woken=False)
        self._exchange([])
        if not self._take(step, inbound):
            self._log.receive(step.round, inbound)
            raise Parked

    def _silent(self, inbound: list[Frame]) -> list[str]:
        """Keygen ids of those whose message is missing, where the session knows whom to expect."""
        heard = {frame.sender.hex() for frame in inbound} | {self._party.hex()}
        return [party for party in self._session.params.get("parties", []) if party not in heard]

    def _begin_again(self, refusal: RelayRefused) -> None:
        """The relay has lost its memory: put the room back; the replay posts every message again."""
        try:
            put_back(self._session)
        except RelayUnavailable as error:
            raise Parked from error
        raise Parked from refusal

    def _exchange(self, outgoing: list[Message], *, wait: float = 0.0, want: int = 1) -> None:
        """Post, and take what is new once there are ``want`` messages (a whole round in one answer)."""
        self._lease.renew()
        connection.close()  # who waits holds no database connection
        try:
            answer = self._relay.exchange(
                self._session.room,
                party=self._party.hex(),
                after=self._cursor,
                wait=int(wait * 1000),
                want=want,
                messages=outgoing,
            )
        except RelayUnavailable as error:
            if self._log:
                raise Parked from error
            raise
        except RelayRefused as refusal:
            if self._log and forgotten(refusal):
                self._begin_again(refusal)
            raise
        for message in answer.messages:
            if message.session == EVIDENCE:
                self._judge(message.body)
        if answer.refused:
            raise Refused(answer.refused)
        self._cursor = answer.cursor
        for message in answer.messages:
            if message.session.startswith(RECEIPT):
                self._kind.overheard(self._session, self._lease, message.body)
            elif message.session == SLOT:
                sender, receiver = bytes.fromhex(message.sender), bytes.fromhex(message.receiver)
                self._keep(Frame(message.round, sender, receiver, message.body))

    def _judge(self, evidence: bytes) -> None:
        """Another party says who lied: raises Blame where that is proved about this session."""
        self._judged += 1
        if self._sid is None and self._log:  # replayed: what was heard is read again only round by round
            self._sid = next(map(session_of, self._log.inbound(1)), None)
        if self._sid is None or self._judged > MAX_FRAMES:
            return
        parties = [bytes.fromhex(party) for party in self._session.params.get("parties", [])]
        scheme = self._session.share.scheme
        if blame := verdict(evidence, sid=self._sid, scheme=scheme, coordinates=ranks(parties)):
            raise blame
