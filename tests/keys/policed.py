"""A key under policies: what the tests of policies make, and whether a call passes."""

from typing import Any

import pytest

from audit.models import Event
from keys.models import Approval, KeyShare, PartyIdentity, Policy, Rule
from keys.policies import approvals, services
from keys.policies.asked import Action
from keys.policies.check import policy_check
from tests.api import Api
from vertex.errors import ApiError

SIGN: dict[str, Any] = {"msg": b"\0\xff", "hash_algo": "sha256"}
UUID = "3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e11"
Given = dict[str, Any]


@pytest.fixture
def key(alice: Api) -> KeyShare:
    identity = PartyIdentity.objects.create(public=b"\7" * 32)
    assert alice.user is not None
    return KeyShare.objects.create(user=alice.user, identity=identity, scheme="ecdsa", public_key=b"\2" * 33)


def rule(kind: str, name: str | None = None, **parameters: Any) -> Rule:
    return services.built_in_rule_add(name=name or kind, kind=kind, parameters=parameters, actor="admin")


def policy_of(*rules: Rule, name: str = "p") -> Policy:
    return services.policy_create(name=name, rules=[each.id for each in rules], actor="admin")


def bind(key: KeyShare, *rules: Rule) -> None:
    services.policy_of_key(key_id=key.id, policy_id=policy_of(*rules).id, actor="admin")
    key.refresh_from_db()


def passes(key: KeyShare, action: Action = "sign", **changed: Any) -> bool:
    """Whether it does; a refusal is in the log."""
    before = Event.objects.filter(action="policy.denied").count()
    refused = ""
    try:
        policy_check(key=key, action=action, fields=SIGN | changed)
    except ApiError as error:
        refused = error.err_type
    assert refused in ("", "policy_validation_failed")
    assert Event.objects.filter(action="policy.denied").count() == before + bool(refused)
    return not refused


def word(approve: bool, actor: str = "admin") -> Approval:
    return approvals.decide(approval_id=Approval.objects.get(state="pending").id, approve=approve, actor=actor)
