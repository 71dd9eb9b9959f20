"""Decisions about hung, contradicted and aborted attempts: over the API and on the reshare's page, by one or by two."""

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from pytest_django import Settings

from audit.models import Decision, Event
from keys.operators import groups_ensure
from reshare import decisions
from reshare.models import Reshare
from tests.life import Vertex
from tests.reshare.attempts import Attempt, old_quorum
from vertex.errors import ApiError

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def attempt(vertex: Vertex, settings: Settings) -> Attempt:
    settings.VERTEX_TWO_PERSON = True
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    groups_ensure()
    for group in Group.objects.all():
        operator = get_user_model().objects.create_user(username=group.name, password=PASSWORD, is_staff=True)
        operator.groups.add(group)
    old_quorum()
    return Attempt().stored()


def decide(attempt: Attempt, actor: str, word: str = "supersede", **more: Any) -> bool:
    return decisions.decide(name=word, row_id=attempt.row("a").id, actor=actor, reason="hangs", **more)


def refused(attempt: Attempt, actor: str, **more: Any) -> str:
    before = Event.objects.count(), list(Decision.objects.values_list("state", flat=True))
    with pytest.raises(ApiError) as error:
        decide(attempt, actor, **more)
    assert (Event.objects.count(), list(Decision.objects.values_list("state", flat=True))) == before
    return error.value.err_type


def ordered(attempt: Attempt) -> set[str]:
    return set(attempt.row("a").orders)


def test_one_proposes_and_another_approves(attempt: Attempt) -> None:
    assert not decide(attempt, "operator:operator")
    assert ordered(attempt) == set()
    shown = decisions.shown(attempt.row("a"))[0]
    assert (shown["decision"], shown["proposed_by"], shown["ordered"]) == ("supersede", "operator:operator", False)
    assert decide(attempt, "operator:approver")
    assert ordered(attempt) == {"supersede"}
    [decision] = Decision.objects.all()
    assert (decision.state, decision.proposed_by, decision.decided_by) == (
        "taken",
        "operator:operator",
        "operator:approver",
    )
    assert [event.action for event in Event.objects.filter(action__startswith="decision.")] == [
        "decision.proposed",
        "decision.taken",
    ]


@pytest.mark.parametrize("second", ["operator:operator", "operator:viewer", "operator:nobody", "admin"])
def test_who_may_not_approve(attempt: Attempt, second: str) -> None:
    decide(attempt, "operator:operator")
    assert refused(attempt, second) == "policy_validation_failed"
    assert ordered(attempt) == set()


def test_the_owner_of_the_user_who_asked_does_not_approve(attempt: Attempt) -> None:
    user = attempt.row("a").user
    user.owner = get_user_model().objects.get(username="approver")
    user.save()
    decide(attempt, "operator:operator")
    assert refused(attempt, "operator:approver") == "policy_validation_failed"


def test_a_word_about_something_else_decides_nothing(attempt: Attempt) -> None:
    assert refused(attempt, "operator:operator", statement_hash=bytes(32)) == "bad_request_params"


def test_what_has_changed_is_proposed_again(attempt: Attempt) -> None:
    decide(attempt, "operator:operator")
    Reshare.objects.update(state="committed")
    assert not decide(attempt, "operator:approver")
    assert list(Decision.objects.order_by("proposed_at").values_list("state", flat=True)) == ["void", "proposed"]
    assert ordered(attempt) == set()


def client_of(username: str) -> Client:
    client = Client()
    assert client.login(username=username, password=PASSWORD)
    return client


def page(attempt: Attempt) -> str:
    return f"/console/reshare/reshare/{attempt.row('a').id}/change/"


def said(client: Client, attempt: Attempt, **changes: str) -> Any:
    text = client.get(page(attempt)).content.decode()
    found = re.search(r'id="supersede".*?name="statement_hash" value="([0-9a-f]{64})"', text, re.S)
    assert found is not None
    fields = {"decision": "supersede", "statement_hash": found[1], "reason": "it hangs", "password": PASSWORD}
    return client.post(page(attempt), fields | changes, follow=True)


def test_the_page_decides_with_two_operators(attempt: Attempt) -> None:
    assert "Proposed" in said(client_of("operator"), attempt).content.decode()
    assert ordered(attempt) == set()
    text = client_of("approver").get(page(attempt)).content.decode()
    assert "operator:operator proposed this" in text
    assert "old parties may still hold their shares" in text
    assert f'/keys/keyshare/{attempt.row("a").new_share_id}/change/">its page<' in text
    assert "Decided" in said(client_of("approver"), attempt).content.decode()
    assert ordered(attempt) == {"supersede"}


@pytest.mark.parametrize(
    "changes",
    [{"password": "wrong"}, {"reason": ""}, {"statement_hash": "00" * 32}, {"statement_hash": "x"}],
    ids=["password", "no reason", "another statement", "no statement"],
)
def test_the_page_takes_only_a_whole_word(attempt: Attempt, changes: dict[str, str]) -> None:
    answer = said(client_of("operator"), attempt, **changes)
    assert answer.status_code == 200
    assert "Proposed:" not in answer.content.decode()
    assert not Decision.objects.exists()


@pytest.mark.parametrize(("username", "changes"), [("viewer", {}), ("operator", {"decision": "erase everything"})])
def test_who_may_not_and_what_there_is_not(attempt: Attempt, username: str, changes: dict[str, str]) -> None:
    fields = {"decision": "supersede", "statement_hash": "00" * 32, "reason": "x", "password": PASSWORD} | changes
    assert client_of(username).post(page(attempt), fields).status_code == 403
    assert not Decision.objects.exists()


def test_alarms_stand_on_the_list(attempt: Attempt) -> None:
    Reshare.objects.update(alarms=["deletions_overdue"])
    client = client_of("viewer")
    assert "deletions overdue" in client.get("/console/reshare/reshare/").content.decode()
    assert "Deletions are overdue: 3 old shares" in client.get(page(attempt)).content.decode()
