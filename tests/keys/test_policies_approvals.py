"""Calls that wait for an operator's word: who gives it, and how long it holds."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.models import Event
from keys.models import Approval, KeyShare, Rule
from keys.policies import approvals
from keys.policies.asked import Asked
from tests.api import Api, error_of
from tests.keys.policed import SIGN, UUID, bind, passes, rule, word


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
