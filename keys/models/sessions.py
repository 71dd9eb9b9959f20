"""Long operations: a row first, a job second. Each transition is a guarded UPDATE that must change one row."""

import uuid

from django.db import models
from django.db.models import Q

from keys.models.people import ApiUser
from keys.models.shares import KeyShare


class Operation(models.Model):
    """One call of the API whose answer takes a protocol; also the memory of idempotent calls.

    ::

        pending -> done | failed

    A batch whose requests have rooms of their own has a part for each, and ends with the last of them.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(ApiUser, null=True, on_delete=models.CASCADE)
    caller = models.CharField(max_length=200)  # whose Idempotency-Keys these are: an actor of the audit log
    action = models.CharField(max_length=40)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    status = models.PositiveSmallIntegerField(null=True)
    result = models.JSONField(null=True)
    idempotency_key = models.CharField(max_length=200, null=True)
    request_digest = models.BinaryField(max_length=32, null=True)
    request_id = models.CharField(max_length=64, default="", blank=True)  # the X-Request-Id of the call that began it
    # Of a call that is one task: which, and what it needs (secrets sealed) until the call has ended.
    task = models.CharField(max_length=40, default="", blank=True)
    arguments = models.JSONField(default=dict)
    deadline = models.DateTimeField()
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="parts")
    index = models.PositiveSmallIntegerField(null=True)  # of a part: its request's place in the batch
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["caller", "idempotency_key"], name="one_operation_per_idempotency_key"),
            models.CheckConstraint(
                name="operation_result_follows_state",
                condition=Q(state="pending", result__isnull=True)
                | Q(state__in=["done", "failed"], status__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["deadline"], name="operation_pending", condition=Q(state="pending")),
            models.Index(fields=["created_at", "id"], name="operation_in_order"),
            models.Index(fields=["finished_at"], name="operation_finished"),
        ]


class ProtocolSession(models.Model):
    """One run of a protocol by this party in one room.

    ::

        joining -> waiting -> ready -> running -> settling -> done
           |          |         |         |     (receipts are carried through the room)
           +----------+---------+---------+--> failed

    `woken` says that there is something to do, `lease_until` and `fence` which worker does it: a session that is
    running
    without a lease is parked. Every guarded UPDATE of a worker names its fence.
    """

    class State(models.TextChoices):
        JOINING = "joining"
        WAITING = "waiting"
        READY = "ready"
        RUNNING = "running"
        SETTLING = "settling"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=12)  # keygen, sign, reshare
    state = models.CharField(max_length=8, choices=State.choices, default=State.JOINING)
    operation = models.OneToOneField(Operation, null=True, on_delete=models.SET_NULL, related_name="session")
    share = models.ForeignKey(KeyShare, on_delete=models.PROTECT, related_name="sessions")
    params = models.JSONField(default=dict)
    relay = models.CharField(max_length=300)
    room = models.CharField(max_length=64)
    room_size = models.PositiveSmallIntegerField(null=True)
    # The order in which the relay filled its rooms: sessions are worked on in this order.
    filled = models.BigIntegerField(null=True)
    cursor = models.CharField(max_length=64, default="", blank=True)
    poll_at = models.DateTimeField(null=True)  # when the sweep wakes it even without news
    posted = models.JSONField(default=list)  # what this room has from us: receipts by fingerprint (hex), and the like
    settled = models.JSONField(default=list)  # the other parties (hex) that need nothing more of this room
    round = models.PositiveSmallIntegerField(default=0)
    # 32-byte seed, inbound log and outbox are sealed under this session's own key, destroyed when it ends.
    sealed_seed = models.BinaryField(null=True)
    data_key = models.CharField(max_length=64, null=True)
    sid = models.BinaryField(max_length=32, null=True)  # keygen and sign: the sid, reshare: the rid
    deadline = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(default=0)
    woken = models.BooleanField(default=False)
    error = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # One that ended before its room was full has done nothing there: its call may be repeated.
            models.UniqueConstraint(
                fields=["relay", "room", "share"],
                condition=Q(finished_at__isnull=True) | Q(filled__isnull=False),
                name="one_session_per_room_and_share",
            ),
            models.UniqueConstraint(fields=["share", "sid"], condition=Q(kind="sign"), name="one_signature_per_sid"),
            models.CheckConstraint(
                name="ended_session_has_no_key",
                condition=~Q(state__in=["done", "failed"]) | Q(sealed_seed__isnull=True, data_key__isnull=True),
            ),
        ]
        indexes = [
            models.Index(fields=["kind", "filled"], name="session_in_work", condition=Q(finished_at__isnull=True)),
            models.Index(fields=["room"]),
        ]


class SessionMessage(models.Model):
    """A frame of a durable session: inbound ones verified before they are stored, the first per slot for ever;
    outbound ones stored before they are first sent. Sealed under the session's key."""

    session = models.ForeignKey(ProtocolSession, on_delete=models.CASCADE, related_name="messages")
    outbound = models.BooleanField()
    round = models.PositiveSmallIntegerField()
    sender = models.BinaryField(max_length=32)
    receiver = models.BinaryField(max_length=32)
    sealed = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["session", "outbound", "round", "sender", "receiver"], name="first_message_per_slot"
            )
        ]
