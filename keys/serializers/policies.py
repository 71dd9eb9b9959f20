"""Requests and answers of policies, rules and approvals."""

import json
from typing import Any

from rest_framework import serializers

from keys.hashes import HASH_ALGOS
from keys.models import Approval, Rule
from keys.policies.asked import ACTIONS
from keys.policies.builtin import KINDS
from keys.policies.external import ALGORITHMS
from keys.serializers.fields import (
    MAX_NAME,
    HashAlgoField,
    HexField,
    StrictBooleanField,
    StrictCharField,
    StrictUUIDField,
    UrlField,
)
from keys.serializers.shown import Hex

MAX_URL, MAX_PEM, MAX_RULES = 2000, 8000, 100


class ExternalRuleSerializer(serializers.Serializer[Any]):
    name = StrictCharField(max_length=MAX_NAME)
    url = UrlField(max_length=MAX_URL)
    pubkey = StrictCharField(max_length=MAX_PEM, help_text="PEM: EC on P-256, or RSA of 2048 bits and more.")
    jwt_alg = serializers.ChoiceField(choices=ALGORITHMS)


class BuiltInRuleSerializer(serializers.Serializer[Any]):
    name = StrictCharField(max_length=MAX_NAME)
    kind = serializers.ChoiceField(choices=sorted(KINDS))
    parameters = serializers.DictField(required=False, default=dict, help_text="docs/policies.md: each kind its own.")


class RuleIdSerializer(serializers.Serializer[Any]):
    rule_id = StrictUUIDField()


class PolicyIdSerializer(serializers.Serializer[Any]):
    policy_id = StrictUUIDField()


class PolicySerializer(serializers.Serializer[Any]):
    name = StrictCharField(max_length=MAX_NAME)
    rules = serializers.ListField(child=StrictUUIDField(), required=False, default=list, max_length=MAX_RULES)
    confirms_deletion = StrictBooleanField(required=False, default=False)


class RuleOfPolicySerializer(RuleIdSerializer, PolicyIdSerializer):
    pass


class PolicyOfKeySerializer(PolicyIdSerializer):
    key_id = StrictUUIDField()


class KeyIdSerializer(serializers.Serializer[Any]):
    key_id = StrictUUIDField()


class PolicyOfUserSerializer(serializers.Serializer[Any]):
    user_id = StrictUUIDField()
    policy_id = StrictUUIDField(required=False, allow_null=True, default=None)


class EvaluateSerializer(serializers.Serializer[Any]):
    key_id = StrictUUIDField()
    action = serializers.ChoiceField(choices=ACTIONS)
    request = serializers.DictField(required=False, default=dict, help_text="The body of the call that is meant.")

    def validate_request(self, asked: dict[str, Any]) -> dict[str, Any]:
        """It goes to rule servers, by way of the database: no NUL, half of a surrogate pair, or infinite number."""
        try:
            text = json.dumps(asked, ensure_ascii=False, allow_nan=False)
            text.encode()
        except (ValueError, RecursionError) as error:
            raise serializers.ValidationError("Not JSON that can be stored.") from error
        if "\\u0000" in text:
            raise serializers.ValidationError("Not JSON that can be stored.")
        return asked


class EvaluatedSignSerializer(serializers.Serializer[Any]):
    """What rules read of a call to sign."""

    msg = HexField()
    hash_algo = HashAlgoField(choices=sorted(HASH_ALGOS), required=False)
    extra_data = HexField(required=False, allow_null=True)


class RuleIdAnswer(serializers.Serializer[Any]):
    rule_id = serializers.UUIDField()


class PolicyIdAnswer(serializers.Serializer[Any]):
    policy_id = serializers.UUIDField()


class RuleAnswer(serializers.Serializer[Any]):
    rule_id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=[Rule.EXTERNAL, *sorted(KINDS)])
    parameters = serializers.DictField()


class RulesAnswer(serializers.Serializer[Any]):
    rules = RuleAnswer(many=True)


class PolicyAnswer(serializers.Serializer[Any]):
    policy_id = serializers.UUIDField()
    name = serializers.CharField()
    rules = serializers.ListField(child=serializers.UUIDField())
    confirms_deletion = serializers.BooleanField()


class PoliciesAnswer(serializers.Serializer[Any]):
    policies = PolicyAnswer(many=True)


class VerdictAnswer(serializers.Serializer[Any]):
    policy_id = serializers.UUIDField()
    rule_id = serializers.UUIDField()
    rule = serializers.CharField()
    passes = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True)


class EvaluateAnswer(serializers.Serializer[Any]):
    passes = serializers.BooleanField()
    verdicts = VerdictAnswer(many=True)


class ApprovalAnswer(serializers.Serializer[Any]):
    approval_id = serializers.UUIDField()
    rule_id = serializers.UUIDField()
    key_id = serializers.UUIDField()
    user_id = serializers.UUIDField()
    action = serializers.ChoiceField(choices=ACTIONS)
    request = serializers.DictField()
    statement_hash = Hex(32)
    state = serializers.ChoiceField(choices=Approval.State.choices)
    asked_at = serializers.DateTimeField()
    decided_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)


class ApprovalListAnswer(serializers.Serializer[Any]):
    results = ApprovalAnswer(many=True)
    next = serializers.CharField(allow_null=True)
