"""Reads of the audit app."""

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from audit import chain
from audit.models import AuditHead, Deletion, Event


def chain_head() -> tuple[int, bytes]:
    """The last event's number and hash (32 bytes); 0 and the chain's start while there is none."""
    last = Event.objects.order_by("-seq").values_list("seq", "hash").first()
    return (0, chain.EMPTY) if last is None else (last[0], bytes(last[1]))


def last_head() -> AuditHead | None:
    """The newest signed head."""
    return AuditHead.objects.order_by("-pk").first()


def current_head() -> AuditHead | None:
    """The newest signed head if it is the chain's end, else None: ask a worker to sign."""
    head = last_head()
    return head if head is not None and (head.seq, bytes(head.hash)) == chain_head() else None


def events(*, after: int = 0, limit: int = 100, action: str = "", subject: str = "") -> list[Event]:
    """Events in order of `seq`, those after `after`."""
    found = Event.objects.filter(seq__gt=after).order_by("seq")
    if action:
        found = found.filter(action=action)
    if subject:
        found = found.filter(subject=subject)
    return list(found[:limit])


def deletions(*, attempt: str) -> QuerySet[Deletion]:
    """The ledger's rows of one reshare attempt (`attempt` = rid in hex), this vertex's own first."""
    return Deletion.objects.filter(attempt=attempt).order_by("-own", "keygen_id")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an attempt's deletions are; `required` of `parties` make the reshare complete."""

    required: int
    parties: int
    confirmed: int
    erased: int
    aborted: int


def deletion_progress(*, deletion: Deletion) -> Progress:
    counts = Deletion.objects.filter(attempt=deletion.attempt).aggregate(
        parties=Count("pk"),
        confirmed=Count("pk", filter=Q(confirmed_at__isnull=False)),
        erased=Count("pk", filter=Q(erased_at__isnull=False)),
        aborted=Count("pk", filter=Q(state=Deletion.State.ABORTED)),
    )
    return Progress(required=deletion.statement["deletions_required"], **counts)
