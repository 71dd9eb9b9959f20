"""Receipts that somebody carries here by hand (`POST …/receipts`, the console): verified, kept, applied."""

from contextlib import suppress

from django.conf import settings
from django.db import transaction

from audit import services as audit
from keys import clock, receipts
from keys.models import KeyShare
from keys.receipts import Bundle
from mpc.errors import ProtocolError
from mpc.reshare import HelloComplete, ReshareStatement, rid_of
from reshare import elsewhere, statements
from reshare.look import OLD_STATES
from reshare.models import Reshare
from reshare.poke import poke
from vertex.errors import ApiError


def bundle_of(rid: bytes) -> Bundle:
    """Everything that this vertex holds about an attempt, and what its old parties have promised to others."""
    row = Reshare.objects.filter(rid=rid).first()
    known = receipts.held(rid) + (elsewhere.promises(row) if row is not None else [])
    return Bundle([encoded for encoded, _ in known], statements.held(rid))


def receive(*, rid: bytes, bundle: Bundle, actor: str) -> int:
    """Keep what verifies and belongs to this attempt; returns how many receipts were new.

    One that doesn't verify refuses the whole call (`bad_receipt`, audited). An unknown attempt needs its preimage, or
    the hellos that an `ABORTED` from before there is a digest carries; they must name a sharing that a share here
    belongs to (`not_found` otherwise), and describe it as it is.
    """
    try:
        parsed = [(encoded, _parsed(encoded)) for encoded in bundle.receipts]
        statement = statements.verified(bundle.preimage) if bundle.preimage is not None else None
        if statement is not None and statement.rid != rid:
            raise ApiError("bad_receipt", "the preimage is about another reshare")
        told_of = statement or _by_hellos(rid, [receipt for _, receipt in parsed])
        with transaction.atomic():
            rows = _rows(rid, told_of)
            bystanders = elsewhere.bystanders(statement) if statement is not None else []
            if not rows and not bystanders:
                raise ApiError("not_found", "this reshare concerns no share of this vertex")
            about = statements.described(statement) if statement is not None and not rows else rows[0]
            for _, receipt in parsed:
                _belongs(receipt, about)
    except ApiError as error:
        with transaction.atomic():
            audit.record(action="receipts.refused", actor=actor, subject=rid.hex(), data={"error": error.message})
        raise
    with transaction.atomic():
        new = sum(
            receipts.keep(encoded, receipt)
            for encoded, receipt in parsed
            if receipt.subject == rid or elsewhere.worth_keeping(receipt)
        )
        if statement is not None and bundle.preimage is not None:
            for row in rows:
                statements.learn(row, bundle.preimage)
            if bystanders:
                receipts.keep_statement(subject=rid, digest=statement.digest, preimage=bundle.preimage)
        audit.record(action="receipts.received", actor=actor, subject=rid.hex(), data={"new": new})
    for row in [*rows, *bystanders]:
        poke(row)
    return new


def _parsed(encoded: bytes) -> receipts.Receipt:
    try:
        return receipts.parse(encoded)
    except receipts.BadReceipt as error:
        raise ApiError("bad_receipt", str(error)) from error


def _belongs(receipt: receipts.Receipt, row: Reshare) -> None:
    if receipt.party.hex() not in {*row.old_parties, *row.new_parties}:
        raise ApiError("bad_receipt", "a receipt is signed by a party that is in neither quorum")
    if receipt.gid != bytes(row.gid or b""):
        raise ApiError("bad_receipt", "a receipt is about another sharing")
    if receipt.subject != bytes(row.rid or b"") and not elsewhere.belongs(receipt, row):
        raise ApiError("bad_receipt", "a receipt is about another reshare")


def _by_hellos(rid: bytes, said: list[receipts.Receipt]) -> HelloComplete | None:
    """The attempt that the hellos in an old party's `ABORTED` prove."""
    for receipt in said:
        hellos = receipt.body.get("hellos")
        if receipt.kind == receipts.ABORTED and isinstance(hellos, bytes):
            with suppress(ProtocolError):
                attempt = rid_of(hellos)
                if attempt.rid == rid and receipt.party in attempt.old_identities:
                    return attempt
    return None


def _rows(rid: bytes, told_of: ReshareStatement | HelloComplete | None) -> list[Reshare]:
    """The attempt's rows here, those made now included."""
    rows = list(Reshare.objects.select_related("identity", "session").filter(rid=rid))
    if rows and told_of is None:
        return rows
    if told_of is None:
        raise ApiError(
            "not_found",
            "there is no such reshare here; its preimage, or hellos in an ABORTED, would tell whether it concerns"
            " a share here",
        )
    shares = KeyShare.objects.select_related("identity", "user").filter(
        gid=told_of.old.gid, identity__public__in=list(told_of.old.identities), state__in=OLD_STATES
    )
    shares = shares.exclude(identity__in=[row.identity_id for row in rows])
    if isinstance(told_of, HelloComplete):  # only who signed one of them: nobody else is held to an attempt by others
        shares = shares.filter(identity__public__in=list(told_of.participants))
    if not all(statements.is_of(told_of.old, share) for share in shares):
        raise ApiError("bad_receipt", "what is described is another quorum than the one that this share belongs to")
    return rows + [told(told_of, party=share, old_share=share, new_share=None) for share in shares]


def told(
    attempt: ReshareStatement | HelloComplete,
    *,
    party: KeyShare,
    old_share: KeyShare | None,
    new_share: KeyShare | None,
) -> Reshare:
    """The row of an attempt that this vertex knows from its preimage or its hellos alone; `party` is any of this
    party's shares. Who is told by its own hello was in the room and lost what it knew: its run has failed."""
    hellos = attempt if isinstance(attempt, HelloComplete) else None
    identity = bytes(party.identity.public)
    joins, leaves = identity not in attempt.old.identities, identity not in attempt.new_identities
    role = Reshare.Role.JOINING if joins else Reshare.Role.DEPARTING if leaves else Reshare.Role.EXISTING
    with transaction.atomic():
        row, created = Reshare.objects.get_or_create(
            identity=party.identity,
            rid=attempt.rid,
            defaults=statements.configuration(attempt)
            | {
                "user": party.user,
                "role": role,
                "state": Reshare.State.VOTING,
                "old_share": old_share,
                "new_share": new_share,
                "store_by": settings.VERTEX_STORE_BY,
                "vote_by": settings.VERTEX_VOTE_BY,
                "began_at": clock.now(),
                "hellos": hellos.hellos if hellos else None,
                "run": Reshare.Run.FAILED if hellos else "",
            },
        )
        if created:
            audit.record(
                action="reshare.told", actor="system", subject=str(row.id), data={"rid": row.attempt, "k": attempt.k}
            )
    return row
