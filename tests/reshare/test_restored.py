"""An operator's word that a restored share may act: over the API, which answers once it may, and on the key's page."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from pytest_django import Settings

from audit.models import Event
from keys.models import KeyShare, Operation
from keys.operators import groups_ensure
from keys.users import api_key_create
from reshare import acceptor, restoring
from reshare.models import Reshare, SharingOrder
from reshare.outcome import RESTORED
from reshare.restoring import agreed_task
from tests.api import Api, error_of
from tests.life import Vertex
from tests.reshare.attempts import old_quorum, old_share, public
from vertex.celery import app

PASSWORD = "correct horse battery"
MADE_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def share(vertex: Vertex, settings: Settings) -> None:
    """A's share of a key came back from a backup."""
    settings.VERTEX_TWO_PERSON = False
    old_quorum()
    key = old_share("a")
    KeyShare.objects.filter(id=key.id).update(suspended=RESTORED, backed_up_at=MADE_AT)
    record = acceptor.read(public("a"), bytes(key.gid or b""))
    acceptor.replace(public("a"), bytes(key.gid or b""), expected=record, record=record._replace(restored=True))


@pytest.fixture
def admin(settings: Settings) -> Api:
    return Api(settings.VERTEX_ADMIN_TOKEN)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is never late."""
    monkeypatch.setattr(app, "send_task", lambda name, args, queue: agreed_task(*args))


def route() -> str:
    return f"POST /keys/{old_share('a').id}/agree"


def shown(caller: Api) -> Any:
    return caller.call(f"GET /keys/{old_share('a').id}").json()["restored"]


def test_it_is_told_which_bans_are_not_known(admin: Api) -> None:
    assert shown(admin)["bans_known_until"] == "2026-01-02T03:04:05Z"
    KeyShare.objects.update(suspended="")
    assert shown(admin) is None


def test_it_answers_once_the_share_may_act(admin: Api, at_once: None) -> None:
    body = {"reason": "F burnt down", "statement_hash": shown(admin)["statement_hash"]}
    assert error_of(admin.call(route(), body | {"statement_hash": "00" * 32})) == (400, "bad_request_params")
    mine = Api(api_key_create(user_id=old_share("a").user_id, actor="admin"))
    assert error_of(mine.call(route(), body)) == (400, "you_have_to_be_admin")
    assert old_share("a").suspended == RESTORED
    assert not Operation.objects.exists(), "what was refused leaves no call"
    answer = admin.call(route(), body)
    assert (answer.status_code, answer.json()) == (200, {"agreed": True})
    assert old_share("a").suspended == ""
    assert error_of(admin.call(route(), body)) == (400, "bad_request_params")


def test_it_does_not_answer_before(vertex: Vertex, admin: Api) -> None:
    """The task is lost with the broker: the order stands in the database, and the sweep sends it again."""
    assert error_of(admin.call(route(), {}, Prefer="wait=1")) == (400, "executor_result")
    assert old_share("a").suspended == RESTORED
    vertex.tasks.clear()
    assert restoring.ask_again() == 1
    assert vertex.tasks == [("reshare.agreed", [str(old_share("a").id)])]
    agreed_task(*vertex.tasks[0][1])
    assert old_share("a").suspended == ""
    assert restoring.ask_again() == 0
    assert Operation.objects.get().result == {"agreed": True}


def test_it_may_be_told_later(vertex: Vertex, admin: Api) -> None:
    accepted = admin.call(route(), {}, Prefer="respond-async")
    assert accepted.status_code == 202
    call = f"GET {accepted['Location']}"
    assert (admin.call(call).json()["state"], old_share("a").suspended) == ("pending", RESTORED)
    agreed_task(*vertex.tasks[-1][1])
    done = admin.call(call).json()
    assert (done["state"], done["result"], old_share("a").suspended) == ("done", {"agreed": True}, "")


def test_it_does_not_cover_a_party_with_two_faces(admin: Api, at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which the key's page says nothing: the word is withdrawn, or it would act once that is agreed to."""
    monkeypatch.setattr("reshare.sharing_orders.conflicts", lambda *_: [type("Two", (), {"party": public("b")})])
    assert error_of(admin.call(route(), {})) == (400, "reshare_conflict")
    assert old_share("a").suspended == RESTORED
    assert not SharingOrder.objects.exists()
    assert restoring.ask_again() == 0


def test_with_two_persons(vertex: Vertex, settings: Settings, at_once: None) -> None:
    settings.VERTEX_TWO_PERSON = True
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    groups_ensure()
    for group in Group.objects.all():
        operator = get_user_model().objects.create_user(username=group.name, password=PASSWORD, is_staff=True)
        operator.groups.add(group)
    url = f"/console/keys/keyshare/{old_share('a').id}/change/"
    viewer, operator, approver = (Client() for _ in range(3))
    for client, name in ((viewer, "viewer"), (operator, "operator"), (approver, "approver")):
        assert client.login(username=name, password=PASSWORD)
    page = viewer.get(url).content.decode()
    assert "came from a backup of 2026-01-02 03:04:05 UTC" in page
    assert 'name="decision"' not in page
    named = re.search(r'name="statement_hash" value="([0-9a-f]{64})"', operator.get(url).content.decode())
    assert named
    word = {"decision": "agree", "statement_hash": named[1], "reason": "it is gone", "password": PASSWORD}
    assert viewer.post(url, word).status_code == 403
    assert operator.post(url, word | {"decision": "forget"}).status_code == 403
    assert "not your password" in operator.post(url, word | {"password": "wrong"}).content.decode()
    assert "another operator must approve" in operator.post(url, word, follow=True).content.decode()
    assert "you proposed this" in operator.post(url, word, follow=True).content.decode()
    assert (old_share("a").suspended, SharingOrder.objects.count()) == (RESTORED, 0)
    assert "operator:operator proposed this" in approver.get(url).content.decode()
    assert "the suspension is being lifted" in approver.post(url, word, follow=True).content.decode()
    assert old_share("a").suspended == ""
    assert Event.objects.filter(action="decision.taken", subject=str(old_share("a").id)).count() == 1
    assert "Restored share" not in approver.get(url).content.decode()
    assert not Reshare.objects.exists()
