"""``manage.py ensure_operators``: idempotent, never a superuser; and what each group may."""

import io
import json
import sys
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from audit.models import Event
from keys.models import Operator
from keys.operators import GROUPS, groups_ensure

pytestmark = pytest.mark.django_db
ENTRY: dict[str, Any] = {"username": "anna", "password": "correct horse battery", "groups": ["approver"]}


@pytest.fixture(autouse=True)
def fast_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def ensure(monkeypatch: pytest.MonkeyPatch, entries: Any) -> str:
    text = entries if isinstance(entries, str) else json.dumps(entries)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    out = io.StringIO()
    call_command("ensure_operators", stdout=out)
    return out.getvalue()


def test_it_makes_and_then_leaves_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ensure(monkeypatch, [ENTRY]) == "1 operators, changed: anna\n"
    anna = Operator.objects.get()
    assert (anna.is_staff, anna.is_superuser, anna.is_active) == (True, False, True)
    assert anna.check_password(ENTRY["password"])
    assert ensure(monkeypatch, [ENTRY]) == "1 operators, changed: none\n"
    assert Operator.objects.get().password == anna.password
    assert [(event.action, event.subject) for event in Event.objects.all()] == [("operator.ensured", "operator:anna")]
    assert ENTRY["password"] not in str(Event.objects.get().data)


@pytest.mark.parametrize(
    ("before", "change", "recorded"),
    [
        ({"is_superuser": True}, {}, {"enabled": True}),
        ({"is_active": False}, {}, {"enabled": True}),
        ({}, {"groups": ["auditor"]}, {"groups": ["auditor"]}),
        ({}, {"groups": []}, {"groups": []}),
        ({}, {"password": "another good passphrase"}, {"password": True}),
    ],
    ids=["superuser", "inactive", "other group", "no group", "password"],
)
def test_it_brings_an_operator_in_line(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, Any], change: dict[str, Any], recorded: dict[str, Any]
) -> None:
    ensure(monkeypatch, [ENTRY])
    Operator.objects.update(**before)
    wanted = ENTRY | change
    ensure(monkeypatch, [wanted])
    anna = Operator.objects.get()
    assert (anna.is_superuser, anna.is_active) == (False, True)
    assert anna.check_password(wanted["password"])
    assert list(anna.groups.values_list("name", flat=True)) == wanted["groups"]
    assert Event.objects.order_by("seq").values_list("data", flat=True)[1] == recorded


@pytest.mark.parametrize(
    "entries",
    [
        "",
        "{}",
        "[1]",
        [ENTRY | {"groups": ["root"]}],
        [ENTRY | {"password": "short"}],
        [ENTRY | {"password": "password1234"}],
        [ENTRY | {"username": ""}],
        [ENTRY | {"username": "a b"}],
        [ENTRY | {"username": "x" * 151}],
        [ENTRY | {"is_superuser": True}],
        [{"username": "anna"}],
    ],
    ids=["nothing", "no list", "number", "group", "short", "common", "empty", "space", "long", "superuser", "half"],
)
def test_bad_input_makes_nobody(monkeypatch: pytest.MonkeyPatch, entries: Any) -> None:
    with pytest.raises(CommandError, match="stopped"):
        ensure(monkeypatch, entries)
    assert not Operator.objects.exists()
    assert not Event.objects.exists()


MAY = {
    "audit.view_event": {"viewer", "operator", "approver", "auditor"},
    "audit.view_deletion": {"viewer", "operator", "approver", "auditor"},
    "keys.view_keyshare": {"viewer", "operator", "approver", "auditor"},
    "audit.propose_deletion": {"operator", "approver"},
    "audit.approve_deletion": {"approver"},
    "audit.export_event": {"auditor"},
    "keys.add_apiuser": {"operator"},
    "keys.delete_apikey": {"operator"},
    "keys.change_keyshare": set(),
    "keys.delete_keyshare": set(),
    "keys.add_operator": set(),
    "keys.change_operator": set(),
    "auth.change_group": set(),
}


@pytest.mark.parametrize("permission", MAY)
def test_what_each_group_may(permission: str) -> None:
    groups_ensure()
    groups_ensure()
    able = set()
    for name in GROUPS:
        operator = Operator.objects.create(username=name)
        operator.groups.set(Group.objects.filter(name=name))
        if operator.has_perm(permission):
            able.add(name)
    assert able == MAY[permission]
