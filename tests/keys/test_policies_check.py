"""What a key and its user must pass: both policies, counts, and dry runs, which take nothing."""

import contextlib
import json
import threading
from typing import Any

import pytest

from audit.models import Event
from keys.models import Approval, KeyShare, Rule, RuleCount
from keys.policies import approvals, check, services
from keys.policies.asked import ACTIONS, Asked
from keys.policies.builtin import Count
from keys.policies.check import policy_check
from tests.api import Api, error_of
from tests.keys.policed import SIGN, Given, bind, passes, policy_of, rule, word
from tests.life import Vertex, at_once
from vertex.errors import ApiError


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
