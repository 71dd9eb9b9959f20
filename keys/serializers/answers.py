"""Answers, for the OpenAPI document."""

from typing import Any

from rest_framework import serializers

from keys.models import Operation


class KeyAnswer(serializers.Serializer[Any]):
    key_id = serializers.UUIDField()
    keygen_id = serializers.CharField()
    user_id = serializers.UUIDField()
    scheme = serializers.CharField()
    state = serializers.CharField()
    generation = serializers.IntegerField()
    gid = serializers.CharField(allow_null=True)
    public_key = serializers.CharField(allow_null=True)
    threshold = serializers.IntegerField(allow_null=True)
    num_parties = serializers.IntegerField(allow_null=True)
    parties = serializers.ListField(child=serializers.CharField())
    old_key_id = serializers.UUIDField(allow_null=True)
    new_key_ids = serializers.ListField(child=serializers.UUIDField())
    policy_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    activated_at = serializers.DateTimeField(allow_null=True)
    erased_at = serializers.DateTimeField(allow_null=True)


class KeyListAnswer(serializers.Serializer[Any]):
    results = KeyAnswer(many=True)
    next = serializers.CharField(allow_null=True)


class KeyLineAnswer(serializers.Serializer[Any]):
    key_id = serializers.UUIDField()
    key_type = serializers.ChoiceField(choices=["NotInititalizedYet", "Ecdsa", "Ed25519", "BIP340"])
    state = serializers.CharField()
    public_key = serializers.CharField(allow_null=True)


class KeysByUserAnswer(serializers.Serializer[Any]):
    keys_by_user = serializers.DictField(child=KeyLineAnswer(many=True))


class UserKeysAnswer(serializers.Serializer[Any]):
    keys = KeyLineAnswer(many=True)


class SignatureAnswer(serializers.Serializer[Any]):
    r = serializers.CharField()
    s = serializers.CharField()
    v = serializers.IntegerField()
    der = serializers.CharField()


class SchnorrAnswer(serializers.Serializer[Any]):
    signature = serializers.CharField(help_text="64 bytes in hex.")


class OperationAnswer(serializers.Serializer[Any]):
    operation_id = serializers.UUIDField()
    action = serializers.CharField()
    state = serializers.ChoiceField(choices=Operation.State.choices)
    status = serializers.IntegerField(allow_null=True)
    result = serializers.JSONField(allow_null=True)
    error = serializers.JSONField(allow_null=True)
    request_id = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class OperationListAnswer(serializers.Serializer[Any]):
    results = OperationAnswer(many=True)
    next = serializers.CharField(allow_null=True)


class NewKeyAnswer(serializers.Serializer[Any]):
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
    data = serializers.JSONField()  # type: ignore[assignment]  # a field of that name, not the serializer's
    previous = serializers.CharField()
    hash = serializers.CharField()


class EventListAnswer(serializers.Serializer[Any]):
    results = EventAnswer(many=True)
    next = serializers.CharField(allow_null=True)


class HeadAnswer(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    hash = serializers.CharField()
    time = serializers.DateTimeField()
    statement = serializers.CharField(help_text="What is signed, as it was signed.")
    signature = serializers.CharField(help_text="ECDSA P-256 with SHA-256, DER, hex.")


class ReceiptsAnswer(serializers.Serializer[Any]):
    receipts = serializers.ListField(child=serializers.CharField())
    preimage = serializers.CharField(allow_null=True)


class ReceivedAnswer(serializers.Serializer[Any]):
    new = serializers.IntegerField()
