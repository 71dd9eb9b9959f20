"""What an API user may ask for: to take part in a reshare as existing, joining or departing party, or to refresh."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from keys import bans
from keys.actions import require
from keys.keygen import party_list
from keys.models import ApiUser, KeyShare, Operation, ProtocolSession
from keys.policies.check import policy_check
from keys.relays import resolve
from keys.selectors import key_of
from keys.sessions.services import in_flight, session_open
from mpc.identity import encode_keygen_id
from mpc.schemes import scheme_of
from reshare.models import Reshare
from reshare.orders import hangs, may_supersede
from vertex.errors import ApiError

Role = Reshare.Role


@dataclass(frozen=True)
class Room:
    """Where the parties meet, and until when the caller waits."""

    uuid: str
    relay_address: str | None
    deadline: datetime


def deletions_bounds(n: int, t: int) -> tuple[int, int]:
    """The least and the most deletions that a reshare of a t-of-n quorum may require (lifecycle.md, Words)."""
    least = n - t + 1
    return least, least + min(n - t, t - 1)


def existing_request(
    *,
    user: ApiUser,
    operation: Operation,
    key_id: UUID,
    scheme: str,
    keygen_ids: list[str],
    new_threshold: int,
    deletions_required: int | None = None,
    room: Room,
) -> Reshare:
    """A party that stays: deals its old share and receives a new one."""
    key = _old_share(user, key_id, scheme, deletions_required)
    parties = _new_quorum(keygen_ids, new_threshold, own=bytes(key.identity.public))
    return _open(operation, key, Role.EXISTING, parties, new_threshold, deletions_required, room)


def departing_request(
    *,
    user: ApiUser,
    operation: Operation,
    key_id: UUID,
    scheme: str,
    keygen_ids: list[str],
    new_threshold: int,
    deletions_required: int | None = None,
    room: Room,
) -> Reshare:
    """A party that leaves: lends its old share to the protocol and takes part in the vote."""
    key = _old_share(user, key_id, scheme, deletions_required)
    parties = _new_quorum(keygen_ids, new_threshold, own=None)
    if bytes(key.identity.public) in parties:
        raise ApiError("bad_request_params", "a departing party can't be in the new quorum")
    return _open(operation, key, Role.DEPARTING, parties, new_threshold, deletions_required, room)


def joining_request(
    *,
    user: ApiUser,
    operation: Operation,
    key_id: UUID,
    scheme: str,
    keygen_ids: list[str],
    new_threshold: int,
    deletions_required: int | None = None,
    old_threshold: int | None = None,
    expected_pubkey: bytes | None = None,
    room: Room,
) -> Reshare:
    """A party that joins with a key made by `create`; it checks what it is told about the old quorum."""
    key = key_of(user=user, key_id=key_id, scheme=scheme)
    if key.state != KeyShare.State.CREATED:
        raise ApiError("already_performed_keygen", "a joining party needs a key that has no share yet")
    _may_be_old(old_threshold, deletions_required)
    if expected_pubkey is not None and len(expected_pubkey) not in scheme_of(scheme).key_lengths:
        raise ApiError("bad_request_params", f"expected_pubkey: {scheme} keys have another length")
    parties = _new_quorum(keygen_ids, new_threshold, own=bytes(key.identity.public))
    extra = {
        "old_threshold": old_threshold,
        "expected_pubkey": expected_pubkey.hex() if expected_pubkey is not None else None,
    }
    return _open(operation, key, Role.JOINING, parties, new_threshold, deletions_required, room, **extra)


def refresh_request(*, user: ApiUser, operation: Operation, key_id: UUID, scheme: str, room: Room) -> Reshare:
    """A reshare to the same quorum with the same threshold: same code, same rule, same ledger."""
    key = _old_share(user, key_id, scheme, None)
    parties = [bytes.fromhex(party) for party in key.parties]
    return _open(operation, key, Role.EXISTING, parties, key.threshold or 0, None, room, refresh=True)


def _old_share(user: ApiUser, key_id: UUID, scheme: str, deletions: int | None) -> KeyShare:
    key = key_of(user=user, key_id=key_id, scheme=scheme)
    _may_reshare(key)
    least, most = deletions_bounds(len(key.parties), key.threshold or 0)
    if deletions is not None and not least <= deletions <= most:
        raise ApiError("bad_n_and_t_params", f"deletions_required must be from {least} to {most} for this quorum")
    return key


def _may_be_old(threshold: int | None, deletions: int | None) -> None:
    """What a joiner says of an old quorum that it does not know: whether there can be one like that at all."""
    most = settings.VERTEX_MAX_PARTIES
    if threshold is not None and not 2 <= threshold <= most:
        raise ApiError("bad_n_and_t_params", f"old_threshold must be from 2 to {most}")
    if deletions is not None and not 1 <= deletions <= most:
        raise ApiError("bad_n_and_t_params", f"deletions_required must be from 1 to {most}")


def _may_reshare(key: KeyShare) -> None:
    """Raises what the share answers. While an attempt hangs two kinds of shares answer otherwise: one whose operator
    lets another attempt supersede it deals again, and one that is gone takes part for its new share alone."""
    if key.state == KeyShare.State.RETIRING and not key.suspended and may_supersede(key):
        return
    if key.state in (KeyShare.State.SUPERSEDED, KeyShare.State.ERASED) and hangs(key):
        return
    require(key, "reshare")


def _new_quorum(keygen_ids: list[str], threshold: int, *, own: bytes | None) -> list[bytes]:
    parties = party_list(keygen_ids, own=own)
    if not 2 <= threshold <= len(parties) <= settings.VERTEX_MAX_PARTIES:
        limit = settings.VERTEX_MAX_PARTIES
        raise ApiError("bad_n_and_t_params", f"2 <= new_threshold <= new parties <= {limit} does not hold")
    return parties


def _ask_policies(
    key: KeyShare, role: Role, parties: list[bytes], threshold: int, deletions: int | None, room: Room, *, refresh: bool
) -> None:
    fields: dict[str, Any] = {"key_id": key.id, "room_uuid": room.uuid, "relay_address": room.relay_address}
    if not refresh:
        fields |= {
            "role": str(role),
            "keygen_ids": [encode_keygen_id(party) for party in parties],
            "new_threshold": threshold,
            "deletions_required": deletions,
        }
    policy_check(key=key, action="refresh" if refresh else "reshare", fields=fields)


def _open(
    operation: Operation,
    key: KeyShare,
    role: Role,
    parties: list[bytes],
    threshold: int,
    deletions: int | None,
    room: Room,
    **extra: Any,
) -> Reshare:
    relay_url = resolve(room.relay_address)
    old = role != Role.JOINING
    if role == Role.EXISTING:
        bans.forbid(key, parties)
    if old:
        _ask_policies(key, role, parties, threshold, deletions, room, refresh=bool(extra.get("refresh")))
    new = [party.hex() for party in parties]
    everybody = len({*new, *key.parties}) if old else 2 * settings.VERTEX_MAX_PARTIES
    row = Reshare(
        user=key.user,
        identity=key.identity,
        role=role,
        old_share=key if old else None,
        new_share=None if old else key,
        scheme=key.scheme,
        new_parties=new,
        new_threshold=threshold,
    )

    def begin(session: ProtocolSession) -> None:
        locked = KeyShare.objects.select_for_update().get(id=key.id)
        if old:
            _may_reshare(locked)
        else:
            require(locked, "join")
        if in_flight(locked, besides=session):
            raise ApiError("reshare_conflict", "another protocol that makes or deals this share is in flight")
        row.session = session
        row.save(force_insert=True)

    session_open(
        kind="reshare",
        share=key,
        operation=operation,
        params={"role": role, "parties": new, "deletions": deletions, **extra},
        relay_url=relay_url,
        room=room.uuid,
        min_size=len(new),
        max_size=everybody,
        deadline=room.deadline,
        actor=f"user:{key.user_id}",
        data={"reshare": str(row.id), "role": role, "new_threshold": threshold, "new_parties": len(new)},
        begin=begin,
    )
    return row
