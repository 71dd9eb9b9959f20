"""Policies: each built-in rule, what a key and its user must pass, counts and approvals, and the routes of admins."""

import contextlib
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.models import Event
from keys.models import Approval, KeyShare, PartyIdentity, Policy, Rule, RuleCount
from keys.policies import approvals, check, services
from keys.policies.asked import ACTIONS, Action, Asked, plain
from keys.policies.builtin import KINDS, Count, Word
from keys.policies.check import policy_check
from tests.api import Api, error_of
from tests.life import Vertex, at_once
from vertex.errors import ApiError

WEDNESDAY = datetime(2026, 11, 25, 12, tzinfo=UTC)
SIGN: dict[str, Any] = {"msg": b"\0\xff", "hash_algo": "sha256"}
UUID = "3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e11"
Given = dict[str, Any]


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


# What a key and its user must pass.


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


def test_the_keys_and_the_users_policy_must_both_pass(key: KeyShare) -> None:
    only_sign, only_delete = (rule("allowed_actions", name, actions=[name]) for name in ("sign", "delete"))
    assert passes(key), "without a policy"
    bind(key, only_sign)
    assert (passes(key), passes(key, "delete")) == (True, False)
    default = policy_of(only_delete, name="default")
    services.policy_of_user(user_id=key.user_id, policy_id=default.id, actor="admin")
    assert [passes(key, action) for action in ACTIONS] == [False] * len(ACTIONS)
    services.policy_of_key(key_id=key.id, policy_id=None, actor="admin")
    key.refresh_from_db()
    assert (passes(key), passes(key, "delete")) == (False, True)


def test_an_empty_policy_passes(key: KeyShare) -> None:
    bind(key)
    assert passes(key)


def test_a_rule_of_both_policies_counts_once(key: KeyShare) -> None:
    rate = rule("rate", calls=2, seconds=86_400)
    bind(key, rate)
    services.policy_of_user(user_id=key.user_id, policy_id=policy_of(rate, name="q").id, actor="admin")
    assert [passes(key) for _ in range(3)] == [True, True, False]
    assert RuleCount.objects.get().amount == 2


def test_what_is_refused_takes_nothing(key: KeyShare) -> None:
    bind(key, rule("rate", calls=2, seconds=86_400), rule("operator_approval"))
    assert not passes(key)
    assert not RuleCount.objects.exists()


def test_counts_are_taken_before_approvals(key: KeyShare, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An approval's event locks the log until the commit: a count that is waited for under it would be a deadlock."""
    settings.VERTEX_TWO_PERSON = False
    first = Rule.objects.create(id="1" + "0" * 31, name="by hand", kind="operator_approval", parameters={})
    last = Rule.objects.create(id="f" + "0" * 31, name="rate", kind="rate", parameters={"calls": 9, "seconds": 86_400})
    bind(key, first, last)
    passes(key)
    word(approve=True)
    taken: list[str] = []
    count, use = check._count, approvals.use
    monkeypatch.setattr(check, "_count", lambda *args: taken.append("count") or count(*args))
    monkeypatch.setattr(approvals, "use", lambda *args: taken.append("approval") or use(*args))
    assert passes(key)
    assert taken == ["count", "approval"]


def test_a_period_is_over_and_another_key_has_its_own_count(key: KeyShare) -> None:
    rate = rule("rate", calls=1, seconds=86_400)
    bind(key, rate)
    assert [passes(key), passes(key)] == [True, False]
    fields = {"user": key.user, "identity": key.identity, "scheme": "ecdsa", "public_key": key.public_key}
    successor = KeyShare.objects.create(**fields, policy=key.policy)
    assert not passes(successor), "a reshare begins no new count"
    RuleCount.objects.update(period=0)
    assert passes(key)


def test_counts_are_exact(key: KeyShare) -> None:
    rate, limit = rule("rate", calls=1, seconds=60), 10**40
    asked = Asked.of(key, "sign", SIGN)
    assert check._count(asked, rate, Count(86_400, limit, limit)) is None
    assert check._count(asked, rate, Count(86_400, 1, limit)) is not None


def test_calls_at_once_do_not_exceed_a_limit(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    share = vertex.party("a").share
    KeyShare.objects.filter(id=share.id).update(public_key=b"\2" * 33)
    share.refresh_from_db()
    bind(share, rule("rate", calls=3, seconds=366 * 86_400))
    passed: list[bool] = []

    def call() -> None:
        try:
            policy_check(key=share, action="sign", fields=SIGN)
        except ApiError:
            passed.append(False)
        else:
            passed.append(True)

    call()
    both, save = threading.Barrier(2, timeout=0.5), RuleCount.save

    def late(row: RuleCount, **named: Any) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait()  # two that have read the same amount would meet here
        save(row, **named)

    monkeypatch.setattr(RuleCount, "save", late)
    at_once([call] * 7)
    assert sorted(passed) == [False] * 5 + [True] * 3
    assert RuleCount.objects.get().amount == 3


# Calls that wait for an operator.


def word(approve: bool, actor: str = "admin") -> Approval:
    return approvals.decide(approval_id=Approval.objects.get(state="pending").id, approve=approve, actor=actor)


def age(**by: int) -> None:
    Approval.objects.update(decided_at=timezone.now() - timedelta(**by))


def test_an_approval_is_used_once(key: KeyShare, settings: Any) -> None:
    settings.VERTEX_TWO_PERSON = False
    bind(key, rule("operator_approval"))
    assert [passes(key, room_uuid=UUID), passes(key)] == [False, False]
    assert Approval.objects.count() == 1, "the same call waits once, in whatever room"
    word(approve=True)
    assert not passes(key, msg=b"another"), "it is for this call alone"
    assert passes(key)
    asked = Asked.of(key, "sign", SIGN)
    assert approvals.missing(asked, Rule.objects.get()) == "an operator must approve"
    assert not passes(key)
    told = Event.objects.filter(action__startswith="approval.").order_by("seq").values_list("action", "actor")
    user = f"user:{key.user_id}"
    assert list(told) == [
        ("approval.asked", user),
        ("approval.approved", "admin"),
        ("approval.asked", user),
        ("approval.used", user),
        ("approval.asked", user),
    ]


def test_an_approval_that_comes_while_it_is_asked_for_stays(key: KeyShare, settings: Any, monkeypatch: Any) -> None:
    settings.VERTEX_TWO_PERSON = False
    bind(key, rule("operator_approval"))
    passes(key)
    ask = approvals.request

    def late(*args: Any) -> str:
        word(approve=True)
        return ask(*args)

    with monkeypatch.context() as patch:
        patch.setattr(approvals, "request", late)
        assert not passes(key)
    assert passes(key)


def test_an_approval_expires(key: KeyShare, settings: Any) -> None:
    settings.VERTEX_TWO_PERSON = False
    bind(key, rule("operator_approval"))
    passes(key)
    word(approve=True)
    age(seconds=settings.VERTEX_APPROVAL_LIFE + 1)
    assert not passes(key)
    assert sorted(Approval.objects.values_list("state", flat=True)) == ["expired", "pending"]


def test_a_denial_stands_for_a_while(key: KeyShare, settings: Any) -> None:
    settings.VERTEX_TWO_PERSON = False
    bind(key, rule("operator_approval"))
    passes(key)
    word(approve=False)
    assert not passes(key)
    assert "denied" in Event.objects.filter(action="policy.denied").latest("seq").data["reason"]
    assert Approval.objects.count() == 1
    age(seconds=settings.VERTEX_APPROVAL_LIFE + 1)
    assert not passes(key)
    assert sorted(Approval.objects.values_list("state", flat=True)) == ["denied", "pending"]


def test_what_waits_of_a_user_is_bounded(key: KeyShare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approvals, "MAX_PENDING", 2)
    bind(key, rule("operator_approval"))
    assert not any(passes(key, msg=bytes([n])) for n in range(4))
    assert Approval.objects.count() == 2


def test_who_may_decide(key: KeyShare, alice: Api, admin: Api, new_operator: Any, settings: Any) -> None:
    settings.VERTEX_TWO_PERSON = True
    bind(key, rule("operator_approval"))
    passes(key)
    owner, as_owner = new_operator("owner", "approver")
    _, as_operator = new_operator("operator", "operator")
    _, as_approver = new_operator("approver", "approver")
    key.user.owner = owner
    key.user.save(update_fields=["owner"])
    waiting = Approval.objects.get()
    route = f"POST /approvals/{waiting.id}/approve"
    assert error_of(alice.call(route, {})) == (400, "you_have_to_be_admin")
    assert error_of(as_operator.call(route, {})) == (400, "you_have_to_be_admin")
    assert error_of(admin.call(route, {})) == (400, "policy_validation_failed"), "the admin token names nobody"
    assert error_of(as_owner.call(route, {})) == (400, "policy_validation_failed"), "it is the owner's own call"
    stale = {"statement_hash": "00" * 32}
    assert error_of(as_approver.call(route, stale)) == (400, "policy_validation_failed")
    shown = json.loads(as_approver.call("GET /approvals").content)["results"][0]
    said = as_approver.call(route, {"reason": "known", "statement_hash": shown["statement_hash"]})
    assert json.loads(said.content)["state"] == "approved"
    assert error_of(as_approver.call(f"POST /approvals/{waiting.id}/deny", {})) == (400, "already_voted")
    assert error_of(as_approver.call(f"POST /approvals/{UUID}/deny", {})) == (404, "not_found")
    waiting.refresh_from_db()
    assert (waiting.decided_by, waiting.reason) == ("operator:approver", "known")
    assert passes(key)


def test_users_see_their_own_calls_that_wait(key: KeyShare, alice: Api, bob: Api) -> None:
    bind(key, rule("operator_approval"))
    passes(key)
    (seen,) = json.loads(alice.call("GET /approvals").content)["results"]
    assert (seen["action"], seen["request"], seen["state"]) == (
        "sign",
        {"msg": "00ff", "hash_algo": "sha256"},
        "pending",
    )
    assert json.loads(bob.call("GET /approvals").content)["results"] == []


def test_a_dry_run_takes_nothing(key: KeyShare, alice: Api, bob: Api) -> None:
    bind(
        key,
        rule("rate", calls=1, seconds=86_400),
        rule("operator_approval"),
        rule("hash_algorithms", algorithms=["none"]),
    )
    body = {"key_id": str(key.id), "action": "sign", "request": {"msg": "0x00ff", "hash_algo": "SHA256"}}
    for _ in range(2):
        said = json.loads(alice.call("POST /policies/evaluate", body).content)
        assert {each["rule"]: each["passes"] for each in said["verdicts"]} == {
            "rate": True,
            "operator_approval": False,
            "hash_algorithms": False,
        }
        assert not said["passes"]
    assert not Approval.objects.exists()
    assert not RuleCount.objects.exists()
    assert not Event.objects.filter(action="policy.denied").exists()
    assert error_of(bob.call("POST /policies/evaluate", body)) == (400, "key_id_not_exists")


@pytest.mark.parametrize(
    "asked", [{}, {"msg": 5}, {"msg": "zz"}, {"msg": None}, {"msg": "00", "x": "\0"}, {"msg": "00", "x": "\ud800"}]
)
def test_dry_runs_of_what_is_no_call(key: KeyShare, alice: Api, asked: Given) -> None:
    bind(key, rule("message_prefix", prefixes=["00"]))
    body = {"key_id": str(key.id), "action": "sign", "request": asked}
    assert error_of(alice.call("POST /policies/evaluate", body)) == (400, "bad_request_params")


# The routes of admins.

ADD = "POST /admin/policies/add-built-in-rule"
BASE = "/admin/policies"


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
