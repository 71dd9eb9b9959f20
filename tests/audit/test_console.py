"""The confirmation page over Django's test client: what it shows, who may decide, that only a whole form decides."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from audit.labels import badge, short
from audit.models import Deletion, Event
from audit.services import deletion_mark
from keys.operators import groups_ensure
from tests.audit.shown import KEY_ID, PARTIES, RID, name, opened, ready

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
EXPORTS = [{"time": "2026-01-02T03:04:05+00:00", "caller": "user:<script>", "kind": "plaintext"}]


@pytest.fixture(autouse=True)
def operators(db: None, settings: Settings) -> None:
    settings.VERTEX_TWO_PERSON = False
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    groups_ensure()
    for group in Group.objects.all():
        operator = get_user_model().objects.create_user(username=group.name, password=PASSWORD, is_staff=True)
        operator.groups.add(group)


def client_of(username: str, **options: Any) -> Client:
    client = Client(**options)
    assert client.login(username=username, password=PASSWORD)
    return client


def url(deletion: Deletion) -> str:
    return reverse("admin:audit_deletion_change", args=[deletion.pk])


def form(deletion: Deletion, **changes: str) -> dict[str, str]:
    fields = {
        "statement_hash": bytes(deletion.statement_hash).hex(),
        "decision": "confirm",
        "reason": "planned change of the quorum",
        "password": PASSWORD,
    }
    return fields | changes


def state(deletion: Deletion) -> str:
    return Deletion.objects.get(pk=deletion.pk).state


def shown(client: Client, deletion: Deletion) -> str:
    answer = client.get(url(deletion))
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", unescape(answer.content.decode()))


def test_the_page_shows_what_dies_and_what_takes_its_place() -> None:
    deletion = ready()
    for party in PARTIES[1:3]:
        opened(own=False, party=party)
    deletion_mark(attempt=RID, party=PARTIES[1], state="confirmed")
    page = shown(client_of("approver"), deletion)
    for expected in (
        f'data-copy="{KEY_ID}"',
        'data-copy="' + "cc" * 32,
        'data-copy="02' + "ab" * 32,
        "<strong>2 of 3</strong>",
        "<strong>3 of 5</strong>",
        "Deletions needed</dt><dd>2 <small>of 3</small>",
        "Confirmed</dt><dd>1<",
        "Erased</dt><dd>0<",
        "None was ever exported",
    ):
        assert expected in page
    rows = re.findall(r"<tr(?: class=\"vx-here\")?> <td>.*?</tr>", page)
    assert [re.findall(r'data-copy="(\w+)"', row)[0] for row in rows] == [name(party) for party in PARTIES]
    states = [re.sub(r"<[^>]+>|this vertex", " ", row).split()[1:] for row in rows]
    assert states == [
        ["remaining", "stored", "pending"],
        ["remaining", "stored", "confirmed"],
        ["leaving", "none", "pending"],
        *[["joining", "stored", "none"]] * 3,
    ]


@pytest.mark.parametrize(("decision", "becomes"), [("confirm", "confirmed"), ("reject", "aborted")])
@pytest.mark.parametrize("group", ["operator", "approver"])
def test_a_decision(group: str, decision: str, becomes: str) -> None:
    deletion = ready()
    answer = client_of(group).post(url(deletion), form(deletion, decision=decision), follow=True)
    assert answer.redirect_chain == [(url(deletion), 302)]
    assert state(deletion) == becomes
    event = Event.objects.get()
    assert (event.action, event.actor) == (
        f"deletion.{'confirmed' if decision == 'confirm' else 'rejected'}",
        f"operator:{group}",
    )
    assert event.data["reason"] == "planned change of the quorum"
    assert f"{group} decided on" in answer.content.decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "wrong"},
        {"password": ""},
        {"reason": ""},
        {"reason": "   "},
        {"reason": "x" * 1001},
        {"decision": ""},
        {"decision": "erase"},
        {"statement_hash": ""},
        {"statement_hash": "zz"},
        {"statement_hash": "00" * 32},
        {"reason": "a\0b"},
    ],
    ids=str,
)
def test_a_form_that_is_not_whole_decides_nothing(changes: dict[str, str]) -> None:
    deletion = ready()
    answer = client_of("approver").post(url(deletion), form(deletion, **changes), follow=True)
    assert answer.status_code == 200
    assert state(deletion) == "pending"
    assert not Event.objects.exclude(action="deletion.password_refused").exists()
    assert PASSWORD not in answer.content.decode()


def test_get_decides_nothing() -> None:
    deletion = ready()
    client_of("approver").get(url(deletion), form(deletion))
    assert state(deletion) == "pending"


def test_without_the_csrf_token_nothing_is_decided() -> None:
    deletion = ready()
    client = client_of("approver", enforce_csrf_checks=True)
    assert client.post(url(deletion), form(deletion)).status_code == 403
    assert state(deletion) == "pending"
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(url(deletion)).content.decode())
    assert token
    client.post(url(deletion), form(deletion, csrfmiddlewaretoken=token[1]))
    assert state(deletion) == "confirmed"


@pytest.mark.parametrize("group", ["viewer", "auditor"])
def test_who_may_look_only(group: str) -> None:
    deletion = ready()
    client = client_of(group)
    assert 'id="decide"' not in shown(client, deletion)
    assert client.post(url(deletion), form(deletion)).status_code == 403
    assert state(deletion) == "pending"


def test_a_stranger_is_sent_to_the_login() -> None:
    deletion = ready()
    answer = Client().post(url(deletion), form(deletion))
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/console/login/")
    assert state(deletion) == "pending"


def test_someone_without_groups_sees_nothing() -> None:
    deletion = ready()
    get_user_model().objects.create_user(username="new", password=PASSWORD, is_staff=True)
    assert client_of("new").get(url(deletion)).status_code == 403


def test_another_partys_row_has_no_form() -> None:
    deletion = ready(own=False, party=PARTIES[1])
    client = client_of("approver")
    assert 'id="decide"' not in shown(client, deletion)
    assert client.post(url(deletion), form(deletion)).status_code == 403


def test_wrong_passwords_are_recorded_and_end_the_session() -> None:
    deletion = ready()
    client = client_of("approver")
    for _ in range(5):
        client.post(url(deletion), form(deletion, password="guess"))
    assert [event.action for event in Event.objects.all()] == ["deletion.password_refused"] * 5
    client.post(url(deletion), form(deletion))
    assert state(deletion) == "pending"
    assert client.get(url(deletion)).status_code == 302


def test_exports_are_listed_and_must_be_stated_as_destroyed() -> None:
    deletion = ready(exports=EXPORTS)
    client = client_of("approver")
    raw = client.get(url(deletion)).content.decode()
    assert "user:&lt;script&gt;" in raw
    assert "user:<script>" not in raw
    assert 'name="exports_destroyed"' in raw
    answer = client.post(url(deletion), form(deletion), follow=True)
    assert "state that the exports are destroyed" in answer.content.decode()
    assert state(deletion) == "pending"
    client.post(url(deletion), form(deletion, exports_destroyed="on"))
    assert Deletion.objects.get().exports_destroyed


@pytest.mark.parametrize("value", ["<b>\"'", '<script>alert("a long identifier")</script>'])
def test_labels_escape_what_they_show(value: str) -> None:
    for label in (short(value), badge(value)):
        assert unescape(label) != label
        assert "<b>" not in label
        assert "<script" not in label
        assert "\"'" not in label


def test_before_all_are_stored_it_can_only_be_rejected() -> None:
    deletion = opened(stored=[])
    client = client_of("approver")
    page = shown(client, deletion)
    assert 'value="confirm"' not in page
    assert 'value="reject"' in page
    answer = client.post(url(deletion), form(deletion), follow=True)
    assert "not every party of the new quorum has stored" in answer.content.decode()
    assert state(deletion) == "pending"


def test_two_people_decide_on_the_page(settings: Settings) -> None:
    settings.VERTEX_TWO_PERSON = True
    deletion = ready()
    operator, approver = client_of("operator"), client_of("approver")
    answer = operator.post(url(deletion), form(deletion, reason="moving out"), follow=True)
    assert "Proposed: another operator must approve" in answer.content.decode()
    assert state(deletion) == "pending"
    answer = operator.post(url(deletion), form(deletion), follow=True)
    assert "another operator must approve it" in answer.content.decode()
    page = shown(approver, deletion)
    assert "operator:operator proposed this" in page
    assert "moving out" in page
    approver.post(url(deletion), form(deletion))
    assert state(deletion) == "confirmed"


@pytest.mark.parametrize("model", ["event", "audithead", "deletion"])
@pytest.mark.parametrize("group", ["operator", "approver", "auditor"])
def test_rows_can_be_neither_added_changed_nor_deleted(group: str, model: str) -> None:
    deletion = ready()
    client = client_of(group)
    answer = client.get(reverse(f"admin:audit_{model}_changelist"))
    assert answer.status_code == 200
    assert 'name="action"' not in answer.content.decode()
    assert client.post(reverse(f"admin:audit_{model}_add"), {}).status_code == 403
    assert client.post(reverse(f"admin:audit_{model}_delete", args=[deletion.pk]), {"post": "yes"}).status_code in (
        302,
        403,
    )
    assert Deletion.objects.count() == 1


def test_events_are_shown_with_the_chains_end_and_found() -> None:
    client = client_of("auditor")
    client_of("approver").post(url(deletion := ready()), form(deletion))
    page = client.get(reverse("admin:audit_event_changelist"), {"q": "deletion.confirmed"}).content.decode()
    event = Event.objects.get()
    assert page.count(bytes(event.hash).hex()) >= 2
    assert "deletion.confirmed" in page
    page = client.get(reverse("admin:audit_event_change", args=[event.seq])).content.decode()
    assert "planned change of the quorum" in page
    assert client.post(reverse("admin:audit_event_change", args=[event.seq]), {"actor": "admin"}).status_code == 403
