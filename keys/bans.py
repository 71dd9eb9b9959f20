"""The way back from a ban (cryptography.md, section 9): an operator's decision, then fresh set-ups by a reshare.

Without that decision no reshare here makes a new pair with a counterparty that failed a check: the pair's secrets leak
a little with each guess, and a fresh set-up is another guess.
"""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.db import transaction

from audit import services as audit
from keys import clock
from keys.models import KeyShare, PairState
from keys.signing import banned
from mpc.identity import encode_keygen_id
from vertex.errors import ApiError

KIND = "lift_bans"


def standing(key: KeyShare) -> list[PairState]:
    """The pairs of a share that are banned, by the database's word, and that no operator has decided about."""
    return list(key.pairs.filter(banned_at__isnull=False, lifted_at=None).order_by("peer").defer("sealed"))


def forbid(key: KeyShare, parties: Collection[bytes]) -> None:
    """Raises `reshare_conflict` where one of the new quorum's parties is banned and no operator has lifted that."""
    _refuse(pair for pair in standing(key) if bytes(pair.peer) in parties)


def forbid_by_keystore(key: KeyShare, parties: Collection[bytes]) -> None:
    """The same for workers, of a share that is not erased by the keystore's word too: a restored database lifts no
    ban."""
    pairs = key.pairs.filter(peer__in=list(parties), lifted_at=None).order_by("peer").defer("sealed")
    held = key.sealed_share is not None
    _refuse(pair for pair in pairs if pair.banned_at is not None or (held and banned(pair)))


def by_keystore(key: KeyShare) -> tuple[bytes, ...]:
    """For workers: the counterparties that are banned, by the keystore's word too, and that no operator has decided
    about."""
    pairs = key.pairs.filter(lifted_at=None).order_by("peer").defer("sealed")
    return tuple(bytes(pair.peer) for pair in pairs if pair.banned_at is not None or banned(pair))


def _refuse(pairs: Iterable[PairState]) -> None:
    if names := ", ".join(encode_keygen_id(bytes(pair.peer)) for pair in pairs):
        raise ApiError(
            "reshare_conflict",
            f"banned for a failed check: {names}. Leave that party out of the new quorum, or let an operator lift the "
            "ban (the key's page, or POST /keys/{key_id}/lift-bans)",
        )


def statement_of(key: KeyShare) -> dict[str, Any]:
    """What whoever decides is shown; it changes with every further ban."""
    return {
        "decision": KIND,
        "key_id": str(key.id),
        "gid": bytes(key.gid or b"").hex(),
        "banned": [
            {"keygen_id": encode_keygen_id(bytes(pair.peer)), "at": pair.banned_at.isoformat()}
            for pair in standing(key)
            if pair.banned_at is not None
        ],
    }


def shown(key: KeyShare) -> dict[str, Any]:
    """The bans of a share as API and pages show them, lifted ones too, with what a decision would be about."""
    pairs = key.pairs.filter(banned_at__isnull=False).order_by("peer").defer("sealed")
    proposal = audit.decision_proposed(kind=KIND, subject=str(key.id))
    return {
        "parties": [
            {
                "keygen_id": encode_keygen_id(bytes(pair.peer)),
                "banned_at": pair.banned_at,
                "lifted_by": pair.lifted_by or None,
            }
            for pair in pairs
        ],
        "statement_hash": audit.statement_hash(statement_of(key)).hex(),
        "proposed_by": proposal.proposed_by if proposal is not None else None,
    }


def lift(*, key_id: UUID, actor: str, reason: str, statement_hash: bytes | None = None) -> bool:
    """An operator's word that new pairs may be made with the counterparties that are banned; the old pairs stay
    destroyed. True when it decides, False when it proposes what another must approve. Raises ApiError."""
    with transaction.atomic():
        key = KeyShare.objects.select_for_update(of=("self",)).select_related("user__owner").get(id=key_id)
        pairs = standing(key)
        if not pairs:
            raise ApiError("bad_request_params", "no counterparty of this share is banned")
        decided = audit.decision_take(
            kind=KIND,
            subject=str(key.id),
            statement=statement_of(key),
            shown=statement_hash,
            actor=actor,
            reason=reason,
            owner=key.user.owner_name,
        )
        if decided:
            PairState.objects.filter(id__in=[pair.pk for pair in pairs]).update(lifted_by=actor, lifted_at=clock.now())
    return decided
