"""Attempts at changing a quorum, as one party sees them; what decides is in the journal, the receipts and
`reshare.rule`."""

import uuid

from django.db import models
from django.db.models import Q

from keys.models import ApiUser, KeyShare, PartyIdentity, ProtocolSession


class Reshare(models.Model):
    """One attempt (`rid`) at one sharing (`gid`), kept until its outcome and afterwards.

    `state` is for people and follows the rule's outcome; nothing is decided by it.

    ::

        waiting -> running -> voting -> committed -> complete -> clean
           |          |          |          |           ^
           |          +----------+-> aborted -----------+   (a completion certificate wins)
           |          +----------+----> superseded          (another attempt of the sharing is complete)
           +-> failed (before the hellos were complete: there is no rid, everything is as it was)
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        VOTING = "voting"
        COMMITTED = "committed"
        ABORTED = "aborted"
        COMPLETE = "complete"
        CLEAN = "clean"
        SUPERSEDED = "superseded"
        FAILED = "failed"

    class Role(models.TextChoices):
        EXISTING = "existing"
        JOINING = "joining"
        DEPARTING = "departing"

    class Run(models.TextChoices):
        """How far the protocol came here; empty for a party that was not in the room."""

        HELLO = "hello"
        THROUGH = "through"
        FAILED = "failed"

    # Its outcome is open; another attempt needs an operator's word (lifecycle.md, step 7).
    OPEN = (State.RUNNING, State.VOTING, State.COMMITTED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(ApiUser, on_delete=models.PROTECT, related_name="reshares")
    identity = models.ForeignKey(PartyIdentity, on_delete=models.PROTECT, related_name="reshares")
    session = models.OneToOneField(ProtocolSession, null=True, on_delete=models.SET_NULL, related_name="reshare")
    role = models.CharField(max_length=10, choices=Role.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    old_share = models.ForeignKey(KeyShare, null=True, on_delete=models.PROTECT, related_name="reshares_from")
    new_share = models.ForeignKey(KeyShare, null=True, on_delete=models.PROTECT, related_name="reshares_to")
    scheme = models.CharField(max_length=10)
    # The configuration, whole once the hellos are complete. Identities are hex, sorted.
    rid = models.BinaryField(max_length=32, null=True)
    k = models.PositiveBigIntegerField(null=True)
    gid = models.BinaryField(max_length=32, null=True)
    public_key = models.BinaryField(max_length=33, null=True)
    old_parties = models.JSONField(default=list)
    old_threshold = models.PositiveSmallIntegerField(null=True)
    new_parties = models.JSONField(default=list)
    new_threshold = models.PositiveSmallIntegerField()
    deletions_required = models.PositiveSmallIntegerField(null=True)
    store_by = models.PositiveIntegerField(null=True)  # seconds from `began_at`
    vote_by = models.PositiveIntegerField(null=True)
    began_at = models.DateTimeField(null=True)
    hellos = models.BinaryField(null=True)  # the signed hellos, from which anybody recomputes rid
    run = models.CharField(max_length=8, choices=Run.choices, blank=True, default="")
    digest = models.BinaryField(max_length=32, null=True)
    new_gid = models.BinaryField(max_length=32, null=True)
    # Standing orders of operators and policies: {order: {"actor", "at", "reason"}}.
    orders = models.JSONField(default=dict)
    # Receipts of one party that contradict each other (lifecycle.md, step 8): [[keygen id, kind, kind], …].
    conflicts = models.JSONField(default=list)
    alarms = models.JSONField(default=list)  # what an operator must look at now (reshare.alarms)
    created_at = models.DateTimeField(auto_now_add=True)
    committed_at = models.DateTimeField(null=True)
    erased_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    clean_at = models.DateTimeField(null=True)
    # Nothing more is to be heard: failed, superseded, or clean and known to be complete by all of the new quorum.
    ended_at = models.DateTimeField(null=True)
    poll_at = models.DateTimeField(null=True)  # when the sweep looks again at an attempt without a session

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["identity", "rid"], name="one_row_per_party_and_attempt"),
            models.CheckConstraint(
                name="attempt_is_described_once_it_has_a_rid",
                condition=Q(rid__isnull=True, state__in=["waiting", "failed"])
                | Q(
                    rid__isnull=False,
                    k__isnull=False,
                    gid__isnull=False,
                    public_key__isnull=False,
                    old_threshold__isnull=False,
                    deletions_required__isnull=False,
                    began_at__isnull=False,
                ),
            ),
            models.CheckConstraint(
                name="attempt_has_a_share",
                condition=Q(old_share__isnull=False) | Q(new_share__isnull=False),
            ),
        ]
        indexes = [models.Index(fields=["state"]), models.Index(fields=["gid"])]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def new_key_id(self) -> uuid.UUID:
        """Key id of the new share that this attempt makes for a remaining party; the same however often it is asked."""
        return uuid.uuid5(self.id, "new share")

    @property
    def attempt(self) -> str:
        """The rid as text (hex), empty before the hellos are complete."""
        return bytes(self.rid).hex() if self.rid is not None else ""


class SharingOrder(models.Model):
    """A standing order about a whole sharing (`gid`) of one party rather than about one attempt."""

    class Kind(models.TextChoices):
        DELETE = "delete"  # its user gives the share up
        AGREE = "agree"  # go forward although somebody has two faces, or this keystore was restored

    identity = models.ForeignKey(PartyIdentity, on_delete=models.PROTECT, related_name="+")
    gid = models.BinaryField(max_length=32)
    kind = models.CharField(max_length=6, choices=Kind.choices)
    actor = models.CharField(max_length=200)
    # Of AGREE, what was agreed to: {"parties": [hex identity, …], "restored": bool}.
    about = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["identity", "gid", "kind"], name="one_order_per_sharing_and_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {bytes(self.gid).hex()}"
