"""What proves who lied: kept in the event log, and handed to the other parties through the room.

Two kinds: a complaint about a sub-share (`mpc.dealing.complaint`), and two messages that one party signed for one slot.
Whoever gets evidence judges for itself; what proves nothing about its own session is dropped.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import structlog

from keys.models import ProtocolSession
from keys.relays import relay
from mpc.dealing import judge
from mpc.envelope import conflict, frame_of, pack_bodies, session_of, unpack_bodies
from mpc.errors import Blame, Malformed
from mpc.protocol import Frame
from mpc.schemes import group_of
from relay.client import Message, RelayRefused, RelayUnavailable

log = structlog.get_logger()
EVIDENCE = "evidence"  # the relay's name of these messages' slots
MAX_KEPT = 40_000  # bytes that an event has room for; of more its hash is kept


def two_messages(first: Frame, second: Frame) -> Blame:
    """One party signed both, for one slot of one session: both are kept."""
    bodies = pack_bodies((first.body, second.body))
    return Blame({first.sender}, f"round {first.round}: two signed messages for one slot", evidence=bodies)


def record_of(blame: Blame) -> dict[str, Any]:
    """What an event says of a blame: culprits in hex, the evidence in base64, or its SHA-256 where it is too long."""
    said: dict[str, Any] = {"culprits": sorted(culprit.hex() for culprit in blame.culprits)}
    if len(blame.evidence) > MAX_KEPT:
        said["evidence_sha256"] = hashlib.sha256(blame.evidence).hexdigest()
    elif blame.evidence:
        said["evidence"] = base64.b64encode(blame.evidence).decode()
    return said


def hand_over(session: ProtocolSession, evidence: bytes) -> None:
    """Post evidence to the session's room: who waits for the next round would wait in vain. A hint that may be lost."""
    party = bytes(session.share.identity.public).hex()
    message = Message(EVIDENCE, 0, party, "", evidence)
    try:
        relay(session.relay).exchange(session.room, party=party, messages=[message])
    except (RelayRefused, RelayUnavailable):
        log.info("relay_not_told", session=str(session.id))


def verdict(evidence: bytes, *, sid: bytes, scheme: str, coordinates: Mapping[bytes, int]) -> Blame | None:
    """Who lied in the session ``sid`` (32 bytes), or None where this proves nothing about it.

    ``coordinates``: of the quorum that sub-shares are dealt to.  Whoever complains of a right sub-share is the liar.
    """
    try:
        found = judge(evidence, group_of(scheme), sid, coordinates)
    except (Malformed, ValueError):
        return _conflict_in(evidence, sid)
    return Blame(found.culprits, found.reason, evidence=evidence)


def _conflict_in(evidence: bytes, sid: bytes) -> Blame | None:
    try:
        frames = [frame_of(body) for body in unpack_bodies(evidence)]
    except Malformed:
        return None
    if len(frames) != 2 or frames[0] is None or frames[1] is None:
        return None
    first, second = frames[0], frames[1]
    return two_messages(first, second) if session_of(first) == sid and conflict(first, second) else None
