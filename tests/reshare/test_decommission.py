"""A party's identity key is kept until every party of the new quorum has said `COMPLETED`."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from audit.models import Event
from keys.models import KeyShare, PartyIdentity, ProtocolSession, Receipt
from keys.shares import ShareUnusable, identity_open
from reshare import decisions, reconcile, sharing_orders
from reshare.executor import advance
from reshare.models import Reshare
from tests.life import Vertex
from tests.reshare.attempts import Attempt, old_quorum, old_share, public


@pytest.fixture(autouse=True)
def key(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "reconciled_set", lambda done: None)
    old_quorum()


def decommission(name: str, *flags: str) -> str:
    said = StringIO()
    call_command("decommission", str(old_share(name).id), *flags, stdout=said)
    return said.getvalue().strip()


def give_up(name: str) -> None:
    share = old_share(name)
    sharing_orders.give_up(identity=share.identity, gid=bytes(share.gid or b""), actor="test")
    advance(public(name), bytes(share.gid or b""))
    assert old_share(name).state == "erased"


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


def test_who_gave_its_share_up_is_needed_by_the_next_reshare() -> None:
    give_up("c")
    with pytest.raises(CommandError, match=r"no reshare of sharing .* needs.* CONFIRMED and DELETED.*--abandon"):
        decommission("c")
    attempt = Attempt("abd")
    attempt.begin()
    attempt.through()
    attempt.advance()
    with pytest.raises(CommandError, match="is voting: it may need"):
        decommission("c", "--abandon")
    attempt.confirm("a")
    attempt.settle()
    assert attempt.new_state("d") == "active", "by the word of c, which b's operator did not give"
    assert decommission("c") == "identity key destroyed"
    assert Event.objects.latest("seq").data["abandoned"] is None


def test_what_only_the_journal_remembers_is_needed_too() -> None:
    """The database lost the share's row, and an older one of the same party is named."""
    give_up("c")
    share = old_share("c")
    KeyShare.objects.filter(id=share.id).update(state="discarded", gid=None)
    with pytest.raises(CommandError, match="no reshare of sharing"):
        call_command("decommission", str(share.id))
    identity_open(party("c"))


def test_a_key_that_all_have_deleted_is_abandoned_by_name() -> None:
    for name in "abc":
        give_up(name)
    with pytest.raises(CommandError, match="every party has deleted its share"):
        decommission("b")
    assert decommission("b", "--abandon") == "identity key destroyed"
    event = Event.objects.latest("seq")
    assert (event.action, event.subject) == ("identity.destroyed", str(old_share("b").id))
    assert "no reshare of sharing" in event.data["abandoned"]
    assert decommission("b") == "was destroyed before"


def test_a_living_share_is_not_to_be_abandoned() -> None:
    with pytest.raises(CommandError, match="is active"):
        decommission("a", "--abandon")
    identity_open(party("a"))


def test_who_was_to_join_leaves_when_another_attempt_is_complete() -> None:
    first = Attempt("abd").stored()
    for name in "abc":
        decisions.decide(name="supersede", row_id=first.row(name).id, actor="admin", reason="test")
    joiner = first.row("d").new_share
    assert joiner is not None
    second = Attempt("abc", number=1).stored()
    second.confirm("ab")
    for _ in range(4):
        second.advance("abc")
        first.advance("d")
    assert (first.new_state("d"), first.row("d").state) == ("discarded", "superseded")
    call_command("decommission", str(joiner.id))
    with pytest.raises(ShareUnusable, match="destroyed"):
        identity_open(party("d"))


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
