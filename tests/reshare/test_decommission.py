"""A party's identity key is kept until every party of the new quorum has said `COMPLETED`."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from audit.models import Event
from keys.models import PartyIdentity, ProtocolSession, Receipt
from keys.shares import ShareUnusable, identity_open
from reshare import reconcile
from reshare.models import Reshare
from tests.life import Vertex
from tests.reshare.attempts import Attempt, old_quorum, old_share, public


@pytest.fixture(autouse=True)
def key(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "reconciled_set", lambda done: None)
    old_quorum()


def decommission(name: str) -> str:
    said = StringIO()
    call_command("decommission", str(old_share(name).id), stdout=said)
    return said.getvalue().strip()


def party(name: str) -> PartyIdentity:
    return PartyIdentity.objects.get(public=public(name))


def test_a_leaver_is_needed_until_all_of_the_new_quorum_know() -> None:
    attempt = Attempt("abd").stored()
    attempt.confirm("abc")
    for _ in range(4):
        attempt.advance("abc")
    assert attempt.row("c").state == "clean"
    assert attempt.row("c").ended_at is None, "d has not said that it knows"
    with pytest.raises(CommandError, match="not every party of the new quorum"):
        decommission("c")
    attempt.settle()
    assert attempt.row("c").ended_at is not None
    assert decommission("c") == "identity key destroyed"
    assert Event.objects.latest("seq").action == "identity.destroyed"
    with pytest.raises(ShareUnusable, match="destroyed"):
        identity_open(party("c"))
    assert decommission("c") == "was destroyed before"


@pytest.mark.parametrize("name", ["a", "b"])
def test_who_stays_is_needed(name: str) -> None:
    with pytest.raises(CommandError, match="is active"):
        decommission(name)
    attempt = Attempt("abd").stored()
    attempt.confirm("abc")
    attempt.settle()
    with pytest.raises(CommandError, match="is active"):
        decommission(name)
    identity_open(party(name))


def test_a_restored_database_does_not_stumble_over_it() -> None:
    attempt = Attempt("abd").stored()
    attempt.confirm("abc")
    attempt.settle()
    before = PartyIdentity.objects.filter(public=public("c")).values("sealed_secret", "data_key")[0]
    decommission("c")
    PartyIdentity.objects.filter(public=public("c")).update(**before)
    Receipt.objects.filter(party=public("c")).delete()
    reconcile.reconcile()
    assert old_share("c").state == "erased"


def test_a_room_is_needed_until_all_know() -> None:
    attempt = Attempt("abd").stored()
    attempt.confirm("abc")
    attempt.settle()
    assert not Reshare.objects.filter(ended_at=None).exists()
    assert not ProtocolSession.objects.exists()
