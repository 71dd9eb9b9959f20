"""Answers, for the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from keys.models import KeyShare, Operation, Scheme
from keys.serializers.shown import Hex, KeygenId
from vertex.openapi import ErrorSerializer

_STATES = KeyShare.State.choices


class NewUserAnswer(serializers.Serializer[Any]):
    api_key = serializers.CharField(required=False, help_text="Shown once: a repeated call does not repeat it.")
    user_id = serializers.UUIDField()


class NewKeyAnswer(serializers.Serializer[Any]):
    key_id = serializers.UUIDField()
    keygen_id = KeygenId()


class KeyIdAnswer(serializers.Serializer[Any]):
    key_id = serializers.UUIDField()


class RoomAnswer(serializers.Serializer[Any]):
    room_uuid = serializers.UUIDField()


class ExportIdAnswer(serializers.Serializer[Any]):
    export_id = KeygenId()


class EcdsaPubkeyAnswer(serializers.Serializer[Any]):
    compressed = Hex(33)
    uncompressed = Hex(65)


class PubkeyAnswer(serializers.Serializer[Any]):
    pubkey = Hex(32)


class KeyAnswer(serializers.Serializer[Any]):
    key_id = serializers.UUIDField()
    keygen_id = KeygenId()
    user_id = serializers.UUIDField()
    scheme = serializers.ChoiceField(choices=Scheme.choices)
    state = serializers.ChoiceField(choices=_STATES)
    generation = serializers.IntegerField()
    gid = Hex(32, allow_null=True)
    public_key = Hex(32, 33, allow_null=True)
    threshold = serializers.IntegerField(allow_null=True)
    num_parties = serializers.IntegerField(allow_null=True)
    parties = serializers.ListField(child=KeygenId())
    old_key_id = serializers.UUIDField(allow_null=True)
    new_key_ids = serializers.ListField(child=serializers.UUIDField())
    policy_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    activated_at = serializers.DateTimeField(allow_null=True)
    erased_at = serializers.DateTimeField(allow_null=True)


class BanAnswer(serializers.Serializer[Any]):
    keygen_id = serializers.CharField()
    banned_at = serializers.DateTimeField()
    lifted_by = serializers.CharField(allow_null=True)


class BansAnswer(serializers.Serializer[Any]):
    """Counterparties that failed a check. `statement_hash`: what lifting the bans that stand is about."""

    parties = BanAnswer(many=True)
    statement_hash = serializers.CharField()
    proposed_by = serializers.CharField(allow_null=True)


class SuspensionAnswer(serializers.Serializer[Any]):
    """A restored share, which acts once an operator agrees. `bans_known_until`: when its backup was made; whoever was
    banned later is not banned here. `statement_hash`: what the agreement is about."""

    bans_known_until = serializers.DateTimeField(allow_null=True)
    statement_hash = serializers.CharField()
    proposed_by = serializers.CharField(allow_null=True)


class KeyDetailAnswer(KeyAnswer):
    bans = BansAnswer()
    restored = SuspensionAnswer(allow_null=True)


class KeyListAnswer(serializers.Serializer[Any]):
    results = KeyAnswer(many=True)
    next = serializers.CharField(allow_null=True)


class KeyLineAnswer(serializers.Serializer[Any]):
    key_id = serializers.UUIDField()
    key_type = serializers.ChoiceField(choices=["NotInititalizedYet", "Ecdsa", "Ed25519", "BIP340"])
    state = serializers.ChoiceField(choices=_STATES)
    public_key = Hex(32, 33, allow_null=True)


class KeysByUserAnswer(serializers.Serializer[Any]):
    keys_by_user = serializers.DictField(child=KeyLineAnswer(many=True))


class UserKeysAnswer(serializers.Serializer[Any]):
    keys = KeyLineAnswer(many=True)


class SignatureAnswer(serializers.Serializer[Any]):
    r = Hex(32)
    s = Hex(32, help_text="Low.")
    v = serializers.IntegerField(min_value=0, max_value=3)
    der = Hex()


class SchnorrAnswer(serializers.Serializer[Any]):
    signature = Hex(64)


class EcdsaSigned(serializers.Serializer[Any]):
    Signature = SignatureAnswer()


class SchnorrSigned(serializers.Serializer[Any]):
    Signature = SchnorrAnswer()


class NotSigned(serializers.Serializer[Any]):
    Error = ErrorSerializer()


def batch_answers(signed: type[serializers.Serializer[Any]]) -> PolymorphicProxySerializer:
    """Of each request of a batch, in order: its signature or its error."""
    return PolymorphicProxySerializer(
        component_name=f"{signed.__name__}OrNot",
        serializers=[signed, NotSigned],
        resource_type_field_name=None,
        many=True,
    )


class OperationAnswer(serializers.Serializer[Any]):
    operation_id = serializers.UUIDField()
    action = serializers.CharField()
    state = serializers.ChoiceField(choices=Operation.State.choices)
    status = serializers.IntegerField(allow_null=True, help_text="The HTTP status that the call would have answered.")
    # What the call would have answered; their shapes are `vertex.openapi.complete`'s to say.
    result = serializers.JSONField(allow_null=True)
    error = serializers.JSONField(allow_null=True)
    request_id = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class OperationListAnswer(serializers.Serializer[Any]):
    results = OperationAnswer(many=True)
    next = serializers.CharField(allow_null=True)


class IssuedKeyAnswer(serializers.Serializer[Any]):
    api_key = serializers.CharField(required=False, help_text="Shown this once; a repeated call answers without it.")
    user_id = serializers.UUIDField()
    expires_at = serializers.DateTimeField(required=False)


class ApiKeyAnswer(serializers.Serializer[Any]):
    api_key = serializers.CharField(help_text="Its public part, which names it.")
    user_id = serializers.UUIDField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the minute.")
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class ApiKeyListAnswer(serializers.Serializer[Any]):
    results = ApiKeyAnswer(many=True)
    next = serializers.CharField(allow_null=True)


class UserAnswer(serializers.Serializer[Any]):
    user_id = serializers.UUIDField()
    name = serializers.CharField()
    owner = serializers.CharField(allow_null=True, help_text="The operator who made it.")
    keys = serializers.IntegerField(help_text="How many key shares it has or had.")
    api_keys = serializers.IntegerField(help_text="How many API keys it can use now.")
    created_at = serializers.DateTimeField()


class UserListAnswer(serializers.Serializer[Any]):
    results = UserAnswer(many=True)
    next = serializers.CharField(allow_null=True)


class EventAnswer(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    time = serializers.DateTimeField()
    action = serializers.CharField()
    actor = serializers.CharField()
    subject = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]  # a field of that name, not the serializer's
    previous = Hex(32)
    hash = Hex(32)


class EventListAnswer(serializers.Serializer[Any]):
    results = EventAnswer(many=True)
    next = serializers.CharField(allow_null=True)


class HeadAnswer(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    hash = Hex(32)
    time = serializers.DateTimeField()
    statement = serializers.CharField(help_text="What is signed, as it was signed.")
    signature = Hex(help_text="ECDSA P-256 with SHA-256, DER, hex.")


class ReceiptsAnswer(serializers.Serializer[Any]):
    receipts = serializers.ListField(child=Hex())
    preimage = Hex(allow_null=True)


class ReceivedAnswer(serializers.Serializer[Any]):
    new = serializers.IntegerField()
