"""Each built-in rule by itself, and policies and rules by the routes of admins."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from keys.models import KeyShare, Policy, Rule
from keys.policies.asked import Action, Asked, plain
from keys.policies.builtin import KINDS, Count, Word
from tests.api import Api, error_of
from tests.keys.policed import SIGN, UUID, Given

WEDNESDAY = datetime(2026, 11, 25, 12, tzinfo=UTC)
ADD = "POST /admin/policies/add-built-in-rule"
BASE = "/admin/policies"


def given(kind: str, parameters: Given) -> Given:
    checked = KINDS[kind].Parameters(data=parameters)
    assert checked.is_valid(), checked.errors
    validated: Given = plain(checked.validated_data)
    return validated


REFUSALS: list[tuple[str, Given, Action, Given, bool]] = [
    ("allowed_actions", {"actions": ["sign"]}, "sign", SIGN, True),
    ("allowed_actions", {"actions": ["sign"]}, "delete", {}, False),
    ("hash_algorithms", {"algorithms": ["sha256"]}, "sign", SIGN, True),
    ("hash_algorithms", {"algorithms": ["keccak256"]}, "sign", SIGN, False),
    ("hash_algorithms", {"algorithms": ["keccak256"]}, "sign", {"msg": b""}, True),
    ("hash_algorithms", {"algorithms": ["keccak256"]}, "refresh", {}, True),
    ("message_prefix", {"prefixes": ["01", "0x00FF"]}, "sign", SIGN, True),
    ("message_prefix", {"prefixes": ["01", "00fe"]}, "sign", SIGN, False),
    ("message_prefix", {"prefixes": ["00ff00"]}, "sign", SIGN, False),
    ("message_prefix", {"prefixes": ["01"]}, "delete", {}, True),
    ("time_window", {}, "sign", SIGN, True),
    ("time_window", {"begin": "12:00", "end": "12:01"}, "sign", SIGN, True),
    ("time_window", {"begin": "11:00", "end": "12:00"}, "sign", SIGN, False),
    ("time_window", {"begin": "12:01"}, "sign", SIGN, False),
    ("time_window", {"weekdays": ["wednesday"]}, "sign", SIGN, True),
    ("time_window", {"weekdays": ["thursday"]}, "sign", SIGN, False),
    ("time_window", {"begin": "13:00", "timezone": "Europe/Berlin"}, "sign", SIGN, True),
    ("time_window", {"weekdays": ["thursday"], "timezone": "Pacific/Kiritimati"}, "sign", SIGN, True),
    ("time_window", {"end": "01:00", "actions": ["delete"]}, "sign", SIGN, True),
]


@pytest.mark.parametrize(("kind", "parameters", "action", "fields", "passes"), REFUSALS)
def test_rules_that_only_look(kind: str, parameters: Given, action: Action, fields: Given, passes: bool) -> None:
    asked = Asked.of(KeyShare(), action, fields)
    assert (KINDS[kind].refusal(asked, given(kind, parameters), WEDNESDAY) is None) == passes


def test_rules_that_claim() -> None:
    asked = Asked.of(KeyShare(), "sign", SIGN)
    rate, word = KINDS["rate"], KINDS["operator_approval"]
    assert rate.claim(asked, given("rate", {"calls": 3, "seconds": 60})) == Count(60, 1, 3)
    assert rate.claim(asked, given("rate", {"calls": 3, "seconds": 60, "actions": ["delete"]})) is None
    assert word.claim(asked, {}) == Word()
    assert word.claim(asked, given("operator_approval", {"actions": ["delete"]})) is None


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("allowed_actions", {}),
        ("allowed_actions", {"actions": []}),
        ("allowed_actions", {"actions": ["sing"]}),
        ("hash_algorithms", {"algorithms": ["md5"]}),
        ("message_prefix", {"prefixes": []}),
        ("message_prefix", {"prefixes": [""]}),
        ("message_prefix", {"prefixes": ["00" * 257]}),
        ("time_window", {"begin": "24:00"}),
        ("time_window", {"begin": "9:00"}),
        ("time_window", {"begin": "09:60"}),
        ("time_window", {"begin": "22:00", "end": "06:00"}),
        ("time_window", {"timezone": "../etc/passwd"}),
        ("rate", {"calls": 0, "seconds": 1}),
        ("rate", {"calls": 1, "seconds": 60, "second": 1}),
        ("operator_approval", {"actions": "sign"}),
    ],
)
def test_parameters_that_are_refused(admin: Api, db: None, kind: str, parameters: Given) -> None:
    answer = admin.call(ADD, {"name": "x", "kind": kind, "parameters": parameters})
    assert error_of(answer) == (400, "bad_request_params")
    assert not Rule.objects.exists()


def test_policies_and_rules_by_their_routes(admin: Api, key: KeyShare, alice: Api) -> None:
    def told(route: str, body: Any = None) -> Any:
        answer = admin.call(route, body)
        assert answer.status_code == 200, answer.content
        return json.loads(answer.content)

    rule_id = told(ADD, {"name": "r", "kind": "rate", "parameters": {"calls": 1, "seconds": 60}})["rule_id"]
    policy_id = told(f"POST {BASE}/create-policy", {"name": "p"})["policy_id"]
    both = {"policy_id": policy_id, "rule_id": rule_id}
    told(f"POST {BASE}/add-rule-to-policy", both)
    assert told(f"GET {BASE}/list-all-rules")["rules"][0]["parameters"] == {"calls": 1, "seconds": 60}
    assert told(f"GET {BASE}/list-all-policies")["policies"][0]["rules"] == [rule_id]
    of_key = {"key_id": str(key.id), "policy_id": policy_id}
    of_user = {"user_id": str(key.user_id), "policy_id": policy_id}
    told(f"POST {BASE}/attach-policy-to-key", of_key)
    told(f"POST {BASE}/set-default-user-policy", of_user)
    key.refresh_from_db()
    key.user.refresh_from_db()
    assert str(key.policy_id) == str(key.user.default_policy_id) == policy_id

    def refused(route: str, body: Any) -> str:
        status, err_type = error_of(admin.call(route, body))
        assert status == 400
        return err_type

    nothing = {"policy_id": UUID, "rule_id": UUID}
    assert refused(ADD, {"name": "r", "kind": "rate", "parameters": {"calls": 1, "seconds": 1}}) == "unique_violation"
    assert refused(f"POST {BASE}/create-policy", {"name": "p"}) == "unique_violation"
    assert refused(f"POST {BASE}/create-policy", {"name": "q", "rules": [UUID]}) == "rule_not_found"
    assert refused(f"POST {BASE}/add-rule-to-policy", nothing) == "policy_not_found"
    assert refused(f"POST {BASE}/add-rule-to-policy", both | {"rule_id": UUID}) == "rule_not_found"
    assert refused(f"DELETE {BASE}/delete-rule", {"rule_id": rule_id}) == "rule_in_use"
    assert refused(f"DELETE {BASE}/delete-rule", {"rule_id": UUID}) == "rule_not_found"
    assert refused(f"DELETE {BASE}/delete-policy", {"policy_id": policy_id}) == "policy_in_use_by_keys"
    assert refused(f"DELETE {BASE}/delete-policy", {"policy_id": UUID}) == "policy_not_found"
    assert refused(f"POST {BASE}/attach-policy-to-key", of_key | {"key_id": UUID}) == "key_id_not_exists"
    assert refused(f"POST {BASE}/set-default-user-policy", of_user | {"user_id": UUID}) == "user_id_not_exists"
    told(f"POST {BASE}/detach-policy-from-key", {"key_id": str(key.id)})
    assert refused(f"POST {BASE}/detach-policy-from-key", {"key_id": str(key.id)}) == "policy_not_found"
    assert refused(f"DELETE {BASE}/delete-policy", {"policy_id": policy_id}) == "policy_in_use_by_users"
    told(f"POST {BASE}/set-default-user-policy", {"user_id": str(key.user_id)})
    told(f"POST {BASE}/remove-rule-from-policy", both)
    assert refused(f"POST {BASE}/remove-rule-from-policy", both) == "rule_not_in_policy"
    told(f"DELETE {BASE}/delete-policy", {"policy_id": policy_id})
    told(f"DELETE {BASE}/delete-rule?rule_id={rule_id}")
    assert not Rule.objects.exists()
    assert not Policy.objects.exists()
    assert error_of(alice.call(f"GET {BASE}/list-all-rules")) == (400, "you_have_to_be_admin")


@pytest.mark.parametrize(
    "changed",
    [
        {"url": "http://rules.example/"},
        {"url": "https://user:secret@rules.example/"},
        {"url": "file:///etc/passwd"},
        {"pubkey": "no PEM"},
        {"jwt_alg": "HS256"},
        {"jwt_alg": "none"},
    ],
)
def test_external_rules_that_can_not_be(admin: Api, db: None, settings: Any, changed: Given) -> None:
    settings.INSECURE_HTTP = False
    body = {"name": "x", "url": "https://rules.example/", "pubkey": PEM, "jwt_alg": "ES256"}
    assert error_of(admin.call(f"POST {BASE}/add-external-rule", body | changed)) == (400, "bad_request_params")
    assert admin.call(f"POST {BASE}/add-external-rule", body).status_code == 200


# A public key on P-256, the generator.
PEM = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""
