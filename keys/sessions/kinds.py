"""What differs between the kinds of protocol sessions, and the one list of them. `reshare` registers its own."""

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Any, ClassVar

from keys.models import ProtocolSession
from keys.receipts import Receipt
from keys.sessions.lease import Lease
from mpc.errors import Blame
from mpc.protocol import Checkpoint, Protocol, Rng


class SessionKind(ABC):
    """One kind of session. Everything here runs in a worker that holds the session's lease."""

    name: ClassVar[str]
    queue: ClassVar[str]
    #: Replayed from its log after a crash; a session that is not is failed instead.
    durable: ClassVar[bool]
    #: How long a session may run once its room is full.
    run_for: ClassVar[timedelta]
    #: How long after its creation a settled session still puts back what its room has lost: as a relay keeps the room.
    lingers: ClassVar[timedelta] = timedelta(days=1)

    def begin(self, session: ProtocolSession) -> None:
        """Fix, in ``session.params``, what the protocol must find unchanged when it is replayed."""

    @abstractmethod
    def protocol(self, session: ProtocolSession, rng: Rng) -> Protocol[Any]:
        """The generator of this session."""

    def checkpoint(self, session: ProtocolSession, lease: Lease, checkpoint: Checkpoint) -> Any:
        """Do the durable thing that the protocol asks for, return its answer."""
        raise TypeError(f"{self.name} knows no {type(checkpoint).__name__}")

    @abstractmethod
    def finish(self, session: ProtocolSession, lease: Lease, result: Any) -> None:
        """Store the result and move the session on to `settling` or `done`. Idempotent."""

    def blamed(self, session: ProtocolSession, blame: Blame) -> None:
        """Make what a blame demands (a ban) durable before anything is answered."""

    def failed(self, session: ProtocolSession) -> bool:
        """What a failure of the protocol means for the key; inside the transaction that records it.

        True when its receipts must still be carried: the session goes on as `settling`.
        """
        return False

    def signers(self, session: ProtocolSession) -> dict[bytes, set[str]]:
        """What this session carries receipts about, its own subject first, each with whose receipts: identities in
        hex."""
        return {bytes(session.sid or b""): set(session.params.get("parties", []))}

    def takes(self, receipt: Receipt) -> bool:
        """Whether a receipt of those parties about one of those subjects is of a kind that they issue there."""
        return True

    def hints(self, session: ProtocolSession, receipt: Receipt) -> bool:
        """Whether a receipt about none of those subjects is worth keeping all the same."""
        return False

    def overheard(self, session: ProtocolSession, lease: Lease, receipt: bytes) -> None:
        """A receipt that came while the protocol still runs here, not verified; raises Abort to end the protocol."""

    def heard(self, session: ProtocolSession, statement: bytes) -> bool:
        """A preimage that came through the room, not verified; True when it told something new."""
        return False

    def advance(self, session: ProtocolSession) -> bool:
        """Apply the receipts at hand; True when the room is needed no more."""
        return True


_kinds: dict[str, SessionKind] = {}


def register(kind: SessionKind) -> None:
    """Make a kind known; called when its app is ready."""
    _kinds[kind.name] = kind


def kind_of(session: ProtocolSession) -> SessionKind:
    """The kind of a session."""
    return _kinds[session.kind]


def queue_of(kind: str) -> str:
    """The queue of a kind."""
    return _kinds[kind].queue


def kinds_of(queue: str) -> list[str]:
    """Names of the kinds that one queue works on."""
    return [kind.name for kind in _kinds.values() if kind.queue == queue]
