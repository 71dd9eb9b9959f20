"""The shapes of requests and answers about reshares."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from keys.models import Scheme
from keys.serializers.fields import (
    HexField,
    IdListMixin,
    QuorumField,
    RoomSerializer,
    StrictBooleanField,
    StrictCharField,
    StrictIntegerField,
)
from keys.serializers.shown import Hex, KeygenId
from reshare.alarms import Alarm
from reshare.decisions import CHOICES
from reshare.models import Reshare
from vertex.openapi import ErrorSerializer


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": settings.VERTEX_MAX_PARTIES})
class DeletionsField(StrictIntegerField):
    """How many deletions complete a reshare. Its bounds are the service's to check: `bad_n_and_t_params`."""


class ReshareSerializer(IdListMixin, RoomSerializer):
    """A party of both quorums, or one that leaves: `keygen_ids` are the new quorum's."""

    new_threshold = QuorumField()
    deletions_required = DeletionsField(required=False, allow_null=True)


class JoiningSerializer(ReshareSerializer):
    """A party that joins; what it expects of the old quorum is checked."""

    old_threshold = QuorumField(required=False, allow_null=True)
    expected_pubkey = HexField(required=False, allow_null=True)

    def validate_expected_pubkey(self, value: bytes | None) -> bytes | None:
        if value is not None and len(value) not in (32, 33):
            raise serializers.ValidationError("A public key has 32 bytes, a compressed one 33.")
        return value


class RefreshSerializer(RoomSerializer):
    """A reshare to the same quorum."""


class VoteSerializer(serializers.Serializer[Any]):
    """This vertex's vote. `statement_hash`: what was shown, where the caller saw it."""

    reason = StrictCharField(required=False, allow_blank=True, max_length=1000, default="")
    exports_destroyed = StrictBooleanField(required=False, default=False)
    statement_hash = HexField(required=False, allow_null=True)


class PartyAnswer(serializers.Serializer[Any]):
    keygen_id = KeygenId()
    here = serializers.BooleanField()
    role = serializers.ChoiceField(choices=["remaining", "joining", "departing"])
    stored = serializers.BooleanField(allow_null=True)
    failed = serializers.BooleanField(allow_null=True)
    vote = serializers.ChoiceField(choices=["confirmed", "aborted"], allow_null=True)
    deleted = serializers.BooleanField(allow_null=True)
    completed = serializers.BooleanField(allow_null=True)


class QuorumAnswer(serializers.Serializer[Any]):
    threshold = serializers.IntegerField(allow_null=True)
    parties = serializers.ListField(child=KeygenId())


class ReshareLineAnswer(serializers.Serializer[Any]):
    reshare_id = serializers.UUIDField()
    rid = Hex(32, allow_null=True)
    state = serializers.ChoiceField(choices=Reshare.State.choices)
    role = serializers.ChoiceField(choices=Reshare.Role.choices)
    scheme = serializers.ChoiceField(choices=Scheme.choices)
    key_id = serializers.UUIDField(allow_null=True)
    old_key_id = serializers.UUIDField(allow_null=True)
    public_key = Hex(32, 33, allow_null=True)
    created_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    alarms = serializers.ListField(child=serializers.ChoiceField(choices=[str(alarm) for alarm in Alarm]))


class SupersedeAnswer(serializers.Serializer[Any]):
    open = serializers.BooleanField()
    ordered = serializers.BooleanField()
    holding = serializers.IntegerField()
    needed = serializers.IntegerField()


class CarryAnswer(serializers.Serializer[Any]):
    open = serializers.BooleanField()
    ordered = serializers.BooleanField()
    k = serializers.IntegerField(allow_null=True)
    promised = serializers.IntegerField()
    needed = serializers.IntegerField()
    instead = Hex(32, allow_null=True)


class WaysAnswer(serializers.Serializer[Any]):
    supersede = SupersedeAnswer()
    carry = CarryAnswer()


class DecisionAnswer(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(choices=list(CHOICES))
    open = serializers.BooleanField()
    why_not = serializers.CharField(allow_null=True)
    statement_hash = Hex(32)
    proposed_by = serializers.CharField(allow_null=True)
    ordered = serializers.BooleanField()


class ReshareAnswer(ReshareLineAnswer):
    k = serializers.IntegerField(allow_null=True)
    gid = Hex(32, allow_null=True)
    digest = Hex(32, allow_null=True)
    old_quorum = QuorumAnswer()
    new_quorum = QuorumAnswer()
    deletions_required = serializers.IntegerField(allow_null=True)
    parties = PartyAnswer(many=True)
    stored = serializers.IntegerField()
    confirmed = serializers.IntegerField()
    deleted = serializers.IntegerField()
    confirmations_needed = serializers.IntegerField()
    deletions_needed = serializers.IntegerField()
    complete = serializers.BooleanField()
    clean = serializers.BooleanField()
    old_shares_left = serializers.IntegerField()
    known_by_all = serializers.BooleanField()
    ways_on = WaysAnswer(allow_null=True)
    decisions = DecisionAnswer(many=True)
    pause_seconds = serializers.FloatField(allow_null=True)
    conflicts = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    waiting = serializers.CharField(allow_null=True)
    error = ErrorSerializer(allow_null=True)


class ReshareListAnswer(serializers.Serializer[Any]):
    results = ReshareLineAnswer(many=True)
    next = serializers.CharField(allow_null=True)
