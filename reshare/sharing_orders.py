"""Standing orders about a whole sharing: a user's deletion of its share, an operator's agreement to go forward."""

from collections.abc import Collection

from keys.models import PartyIdentity
from reshare.models import SharingOrder
from reshare.rule.facts import conflicts
from reshare.rule.types import Acceptor, Attempt, Order, OrderKind, Receipt

Kind = SharingOrder.Kind


def read(
    identity: bytes, gid: bytes, *, acceptor: Acceptor, attempts: Collection[Attempt], receipts: Collection[Receipt]
) -> frozenset[Order]:
    """The orders that stand. An agreement covers whom it named: another party with two faces, or a keystore that is
    restored again, asks the operator again."""
    found = set()
    for row in SharingOrder.objects.filter(identity__public=identity, gid=gid):
        if row.kind == Kind.DELETE:
            found.add(Order(OrderKind.DELETE))
        elif row.about["restored"] or not acceptor.restored:
            liars = {conflict.party.hex() for conflict in conflicts(attempts, receipts)}
            if liars <= set(row.about["parties"]):
                found.add(Order(OrderKind.AGREE))
    return frozenset(found)


def agree(*, identity: PartyIdentity, gid: bytes, parties: Collection[str], restored: bool, actor: str) -> None:
    """Remember the agreement; it replaces an older one about the same sharing."""
    SharingOrder.objects.update_or_create(
        identity=identity,
        gid=gid,
        kind=Kind.AGREE,
        defaults={"actor": actor, "about": {"parties": sorted(parties), "restored": restored}},
    )


def withdraw(*, identity: PartyIdentity, gid: bytes) -> None:
    """Forget an agreement that does not cover what there is to agree to."""
    SharingOrder.objects.filter(identity=identity, gid=gid, kind=Kind.AGREE).delete()


def restored_again(identity: bytes, gid: bytes) -> None:
    """The journal is about to say that its keystore was restored: what was agreed before is not about that."""
    for row in SharingOrder.objects.filter(identity__public=identity, gid=gid, kind=Kind.AGREE):
        row.about["restored"] = False
        row.save(update_fields=["about"])


def give_up(*, identity: PartyIdentity, gid: bytes, actor: str) -> None:
    """The user's word that its share of this sharing dies."""
    SharingOrder.objects.get_or_create(identity=identity, gid=gid, kind=Kind.DELETE, defaults={"actor": actor})
