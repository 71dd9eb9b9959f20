"""What operators decide about an attempt besides its deletion: the ways on of step 7, agreement in step 8, and the end
of a parked share. One person's word, or two where two must agree; then a standing order for the rule."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from audit import services as audit
from keys.models import KeyShare
from mpc.identity import decode_keygen_id
from reshare import sharing_orders
from reshare.models import Reshare
from reshare.orders import order
from reshare.poke import poke
from reshare.rule.types import OrderKind
from vertex.errors import ApiError

State, ShareState = Reshare.State, KeyShare.State
HOLDING = frozenset({ShareState.ACTIVE, ShareState.RETIRING})


@dataclass(frozen=True, slots=True)
class Choice:
    """One kind of decision: `title` and `meaning` for pages, `refusal` why it can't be taken now (None: it can)."""

    name: str
    title: str
    meaning: str
    refusal: Callable[[Reshare], tuple[str, str] | None]
    order: OrderKind


def _supersede(row: Reshare) -> tuple[str, str] | None:
    if row.state not in Reshare.OPEN:
        return "bad_request_params", "only an attempt whose outcome is open can be superseded"
    if row.old_share is None or row.old_share.state not in HOLDING:
        return "share_superseded", "this vertex holds no old share any more: it can't deal again"
    return None


def _carry(row: Reshare) -> tuple[str, str] | None:
    if row.old_share is None:
        return "bad_request_params", "this vertex is no party of the old quorum: it can't propose an attempt"
    if row.state != State.COMMITTED:
        return "deletion_not_ready", "only an attempt that is committed, and not complete, can be carried on"
    return None


def _agree(row: Reshare) -> tuple[str, str] | None:
    if not (two_faced(row) or suspended(row)):
        return "bad_request_params", "nobody has two faces here, and this keystore was not restored"
    return None


def _discard(row: Reshare) -> tuple[str, str] | None:
    if row.state != State.ABORTED or row.new_share is None or row.new_share.state != ShareState.PARKED:
        return "bad_request_params", "there is no parked share of an aborted attempt here"
    return None


CHOICES = {
    choice.name: choice
    for choice in (
        Choice(
            "supersede",
            "Let another reshare supersede this one",
            "The next reshare of this share may deal it again although this attempt has not ended. It takes enough old "
            "parties that still hold their shares, each with its operator's word. What comes of this attempt is "
            "discarded once the other one is complete.",
            _supersede,
            OrderKind.SUPERSEDE,
        ),
        Choice(
            "carry",
            "Carry this attempt on",
            "This attempt is committed: enough parties have confirmed. It is proposed again under a higher ballot, "
            "which the other old parties answer by themselves, erased or not; then every party may erase for it, and "
            "those that are left can complete it.",
            _carry,
            OrderKind.CARRY,
        ),
        Choice(
            "agree",
            "Go forward nevertheless",
            "A party signed two things that exclude each other, or this vertex's keystore is older than what it has "
            "signed. Until you agree nothing is erased, activated or destroyed by itself. If more parties lie than "
            "this reshare bears, going forward can leave two quorums.",
            _agree,
            OrderKind.AGREE,
        ),
        Choice(
            "discard",
            "Destroy the parked share",
            "This attempt was aborted by enough parties, and its new share is kept in case it was completed elsewhere. "
            "Destroyed, it is gone; if the old shares are lost later, this attempt can't replace them.",
            _discard,
            OrderKind.DROP,
        ),
    )
}


def suspended(row: Reshare) -> bool:
    """Whether a share of this attempt waits for its operator (lifecycle.md, step 8)."""
    return any(share is not None and bool(share.suspended) for share in (row.old_share, row.new_share))


def statement_of(name: str, row: Reshare) -> dict[str, Any]:
    """What is shown, and named by the word of whoever decides; it changes with what the decision rests on."""
    return {
        "decision": name,
        "reshare": str(row.id),
        "rid": row.attempt,
        "gid": bytes(row.gid or b"").hex(),
        "k": row.k,
        "public_key": bytes(row.public_key or b"").hex(),
        "state": row.state,
        "two_faces": two_faced(row) if name == "agree" else [],
        "restored": suspended(row) if name == "agree" else False,
    }


def decide(*, name: str, row_id: UUID, actor: str, reason: str, statement_hash: bytes | None = None) -> bool:
    """An operator's word; True when it decides, False when it proposes what another must approve. Raises ApiError."""
    choice = CHOICES[name]
    with transaction.atomic():
        row = (
            Reshare.objects.select_for_update(of=("self",))
            .select_related("identity", "session", "old_share", "new_share", "user__owner")
            .get(id=row_id)
        )
        if (refusal := choice.refusal(row)) is not None:
            raise ApiError(*refusal)
        decided = audit.decision_take(
            kind=name,
            subject=str(row.id),
            statement=statement_of(name, row),
            shown=statement_hash,
            actor=actor,
            reason=reason,
            owner=row.user.owner_name,
        )
        if decided and name == "agree":
            _agreed(row, actor)
        elif decided:
            order(row, choice.order, actor=actor, reason=reason)
    return decided


def _agreed(row: Reshare, actor: str) -> None:
    parties = [decode_keygen_id(party).hex() for party in two_faced(row)]
    sharing_orders.agree(
        identity=row.identity, gid=bytes(row.gid or b""), parties=parties, restored=suspended(row), actor=actor
    )
    poke(row)


def two_faced(row: Reshare) -> list[str]:
    """Keygen ids of the parties whose receipts contradict each other, in any attempt at this sharing."""
    rows = Reshare.objects.filter(identity_id=row.identity_id, gid=row.gid).values_list("conflicts", flat=True)
    return sorted({party for pairs in rows for party, *_ in pairs})


def shown(row: Reshare) -> list[dict[str, Any]]:
    """All decisions as API and pages show them: whether each is open, why not, and who has proposed it."""
    found = []
    for choice in CHOICES.values():
        refusal = choice.refusal(row) if row.rid is not None else ("bad_request_params", "there is no attempt yet")
        proposal = audit.decision_proposed(kind=choice.name, subject=str(row.id)) if refusal is None else None
        found.append(
            {
                "decision": choice.name,
                "open": refusal is None,
                "why_not": refusal[1] if refusal is not None else None,
                "statement_hash": audit.statement_hash(statement_of(choice.name, row)).hex(),
                "proposed_by": proposal.proposed_by if proposal is not None else None,
                "ordered": str(choice.order) in row.orders,
            }
        )
    return found
