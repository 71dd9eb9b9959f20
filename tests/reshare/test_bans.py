"""A banned counterparty stays banned through refresh and reshare until an operator has decided (cryptography.md,
section 9)."""

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from audit.models import Decision, Event
from keys import bans
from keys.keystore import keystore
from keys.models import PairState
from keys.operators import groups_ensure
from keys.users import api_key_create
from mpc.identity import encode_keygen_id
from reshare.kind import ReshareKind
from reshare.models import Reshare
from reshare.requests import Room, departing_request, existing_request, refresh_request
from tests.api import Api, error_of
from tests.life import Party, Vertex
from tests.reshare.attempts import old_quorum, old_share, public
from vertex.errors import ApiError

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def key(vertex: Vertex, settings: Settings) -> None:
    settings.VERTEX_TWO_PERSON = True
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    groups_ensure()
    for group in Group.objects.all():
        operator = get_user_model().objects.create_user(username=group.name, password=PASSWORD, is_staff=True)
        operator.groups.add(group)
    old_quorum()


def ban(peer: str = "b") -> None:
    PairState.objects.filter(share=old_share("a"), peer=public(peer)).update(banned_at=timezone.now(), data_key=None)


def lift(actor: str = "operator:approver", **more: Any) -> bool:
    return bans.lift(key_id=old_share("a").id, actor=actor, reason="their keystore was full", **more)


def asked(vertex: Vertex, name: str = "a") -> dict[str, Any]:
    share = old_share(name)
    operation = vertex.operation(Party(name, share.user, share.id, public(name)))
    room = Room(vertex.room(3), None, operation.deadline)
    return {"user": share.user, "operation": operation, "key_id": share.id, "scheme": "ecdsa", "room": room}


def quorum(names: str) -> dict[str, Any]:
    return {"keygen_ids": [encode_keygen_id(public(name)) for name in names], "new_threshold": 2}


def refused(call: Any) -> str:
    with pytest.raises(ApiError) as error:
        call()
    return f"{error.value.err_type}: {error.value.message}"


def test_no_new_pair_before_an_operator_has_decided(vertex: Vertex) -> None:
    ban()
    name = encode_keygen_id(public("b"))
    for call in (
        lambda: refresh_request(**asked(vertex)),
        lambda: existing_request(**asked(vertex), **quorum("abd")),
    ):
        assert refused(call).startswith(f"reshare_conflict: banned for a failed check: {name}. ")
    assert not Reshare.objects.exists()
    assert not lift("operator:operator"), "one proposes"
    assert refused(lambda: refresh_request(**asked(vertex))).startswith("reshare_conflict")
    assert lift(), "another approves"
    assert refresh_request(**asked(vertex)).pk
    pair = PairState.objects.get(share=old_share("a"), peer=public("b"))
    assert (pair.lifted_by, pair.data_key) == ("operator:approver", None), "the old pair stays destroyed"
    assert Event.objects.filter(action="decision.taken", subject=str(old_share("a").id)).count() == 1


@pytest.mark.parametrize("new", ["acd", "ac"])
def test_who_was_banned_may_be_replaced(vertex: Vertex, new: str) -> None:
    ban()
    assert existing_request(**asked(vertex), **quorum(new)).pk


def test_a_party_that_leaves_makes_no_pairs(vertex: Vertex) -> None:
    ban()
    assert departing_request(**asked(vertex), **quorum("bc")).pk


def test_a_restored_database_lifts_no_ban(vertex: Vertex) -> None:
    """The row says nothing of the ban, the keystore's key is gone: the worker ends the session before its hello."""
    row = PairState.objects.get(share=old_share("a"), peer=public("b"))
    keystore().keys.destroy(str(row.data_key))
    reshare = refresh_request(**asked(vertex))
    said = refused(lambda: ReshareKind().begin(reshare.session))  # type: ignore[arg-type]
    assert said.startswith("reshare_conflict: banned")
    PairState.objects.filter(id=row.id).update(lifted_by="admin", lifted_at=timezone.now())
    ReshareKind().begin(reshare.session)  # type: ignore[arg-type]


def test_a_further_ban_needs_a_further_decision() -> None:
    ban("b")
    before = bans.shown(old_share("a"))["statement_hash"]
    assert not lift("operator:operator")
    ban("c")
    said = refused(lambda: lift(statement_hash=bytes.fromhex(before)))
    assert said.startswith("bad_request_params")
    assert not lift(), "the proposal was about another statement: this one proposes anew"
    assert list(Decision.objects.order_by("proposed_at").values_list("state", flat=True)) == ["void", "proposed"]
    assert PairState.objects.filter(lifted_at__isnull=False).count() == 0


def test_where_nobody_is_banned_there_is_nothing_to_lift() -> None:
    assert refused(lift).startswith("bad_request_params: no counterparty")


def test_over_the_api(vertex: Vertex, settings: Settings) -> None:
    settings.VERTEX_TWO_PERSON = False
    ban()
    admin, user = Api(settings.VERTEX_ADMIN_TOKEN), old_share("a").user
    path = f"/keys/{old_share('a').id}"
    shown = admin.call(f"GET {path}").json()["bans"]
    [party] = shown["parties"]
    assert (party["keygen_id"], party["lifted_by"]) == (encode_keygen_id(public("b")), None)
    body = {"reason": "mended", "statement_hash": shown["statement_hash"]}
    mine = Api(api_key_create(user_id=user.id, actor="admin"))
    for caller, sent, answer in (
        (admin, body | {"statement_hash": "00" * 32}, (400, "bad_request_params")),
        (mine, body, (400, "you_have_to_be_admin")),
        (Api("unknown"), body, (401, "access_denied")),
    ):
        assert error_of(caller.call(f"POST {path}/lift-bans", sent)) == answer
    assert mine.call(f"GET {path}").json()["bans"] == shown
    lifted = admin.call(f"POST {path}/lift-bans", body).json()["bans"]["parties"]
    assert [party["lifted_by"] for party in lifted] == ["admin"]


def test_on_the_page_of_the_key(vertex: Vertex) -> None:
    ban()
    url = f"/console/keys/keyshare/{old_share('a').id}/change/"
    viewer, operator, approver = (Client() for _ in range(3))
    for client, name in ((viewer, "viewer"), (operator, "operator"), (approver, "approver")):
        assert client.login(username=name, password=PASSWORD)
    assert b"Banned counterparties" in viewer.get(url).content
    assert b'name="decision"' not in viewer.get(url).content
    page = operator.get(url).content.decode()
    shown = re.search(r'name="statement_hash" value="([0-9a-f]{64})"', page)
    assert shown
    word = {"decision": "lift_bans", "statement_hash": shown[1], "reason": "mended", "password": PASSWORD}
    assert viewer.post(url, word).status_code == 403
    assert "not your password" in operator.post(url, word | {"password": "wrong"}).content.decode()
    assert "another operator must approve" in operator.post(url, word, follow=True).content.decode()
    assert "you proposed this" in operator.post(url, word, follow=True).content.decode()
    assert "operator:operator proposed this" in approver.get(url).content.decode()
    assert "The ban is lifted." in approver.post(url, word, follow=True).content.decode()
    assert "lifted by operator:approver" in approver.get(url).content.decode()
