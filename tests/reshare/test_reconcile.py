"""At start: whatever the database forgot or never knew, keystore and journal are believed."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from audit.models import Event
from keys.keystore import KeystoreUnavailable, keystore
from keys.models import ApiUser, KeyShare, PairState, PartyIdentity, Receipt, Statement
from keys.node import WrongKeystore
from keys.shares import material_destroy, share_key_exists, share_open
from reshare import acceptor, reconcile, tasks
from reshare.models import Reshare
from reshare.reconcile import NotDurable, check_durability
from tests.life import Vertex, at_once
from tests.reshare.attempts import Attempt, check_invariants, old_quorum, old_share, old_states, public


@pytest.fixture
def said(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What was noted about being reconciled."""
    old_quorum()
    noted: list[bool] = []
    monkeypatch.setattr(reconcile, "reconciled_set", noted.append)
    monkeypatch.setattr(tasks, "reconciled", lambda: bool(noted))
    return noted


def forget_attempts() -> None:
    """A database of before the attempt: no row, no receipt, no new share."""
    Reshare.objects.all().delete()
    Receipt.objects.all().delete()
    Statement.objects.all().delete()
    PairState.objects.exclude(share__gid=old_share("a").gid).delete()
    KeyShare.objects.exclude(gid=old_share("a").gid).delete()


def test_nothing_to_do_is_done_and_said(said: list[bool]) -> None:
    events = set(Event.objects.values_list("action", flat=True))
    reconcile.reconcile()
    assert said == [True]
    assert set(Event.objects.values_list("action", flat=True)) - events == {"node.created"}
    assert old_states() == ["active"] * 3


def test_it_is_done_once_however_often_it_was_asked_for(said: list[bool]) -> None:
    for _ in range(3):
        tasks.reconcile_task()
    assert said == [True]


def test_a_new_share_of_which_the_database_knows_nothing_is_a_row_again(said: list[bool]) -> None:
    attempt = Attempt().stored()
    forget_attempts()
    reconcile.reconcile()
    assert [attempt.new_state(name) for name in "abc"] == ["quarantined"] * 3
    assert old_states() == ["retiring"] * 3
    row = attempt.row("a").new_share
    assert row is not None
    assert share_open(row).gid == attempt.result("a").gid_new
    assert row.pairs.count() == 2
    assert Event.objects.filter(action="share.row_restored").count() == 3
    attempt.settle()
    attempt.confirm("ab")
    attempt.settle()
    assert old_states() == ["erased"] * 3
    check_invariants(attempt)


def test_an_erased_share_stays_erased_whatever_a_restored_database_says(said: list[bool]) -> None:
    attempt = Attempt().stored()
    before: dict[str, Any] = KeyShare.objects.filter(id=old_share("a").id).values("sealed_share", "data_key")[0]
    attempt.confirm("ab")
    attempt.settle()
    KeyShare.objects.filter(id=old_share("a").id).update(state="active", erased_at=None, **before)
    reconcile.reconcile()
    assert old_states() == ["erased"] * 3
    assert old_share("a").sealed_share is None


def test_an_accepted_ballot_erases_even_if_the_database_forgot_the_attempt(said: list[bool]) -> None:
    """The process died after the journal said accepted, and the database was restored: before anything signs, it is
    gone."""
    attempt = Attempt().stored()
    record = acceptor.read(public("a"), attempt.hello.gid)
    accepted = record._replace(accepted=attempt.look("a").view.attempts[0].ballot)
    acceptor.replace(public("a"), attempt.hello.gid, expected=record, record=accepted)
    forget_attempts()
    KeyShare.objects.update(state="active")
    for name in "bc":
        keystore().journal.destroy(acceptor.name(public(name), attempt.hello.gid))
    reconcile.reconcile()
    assert old_states()[0] == "erased"
    assert not share_key_exists(old_share("a"))
    assert share_key_exists(old_share("b"))


@pytest.mark.parametrize(("state", "becomes"), [("active", "erased"), ("quarantined", "discarded")])
def test_a_row_without_its_key_is_erased_not_repaired(said: list[bool], state: str, becomes: str) -> None:
    share = old_share("b")
    KeyShare.objects.filter(id=share.id).update(state=state)
    keystore().keys.destroy(str(share.data_key))
    reconcile.reconcile()
    share.refresh_from_db()
    assert (share.state, share.sealed_share, share.data_key) == (becomes, None, None)
    assert share.erased_at is not None
    assert Event.objects.latest("seq").action == "share.key_missing"


def test_a_keystore_that_does_not_answer_erases_nothing(said: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(ref: str) -> bool:
        raise KeystoreUnavailable("Vault does not answer")

    monkeypatch.setattr(keystore().keys, "exists", refuse)
    with pytest.raises(KeystoreUnavailable):
        reconcile.reconcile()
    assert old_states() == ["active"] * 3
    assert said == []


def test_the_key_of_a_banned_pair_that_was_left_is_destroyed(said: list[bool]) -> None:
    row = PairState.objects.filter(share=old_share("a")).first()
    assert row is not None
    ref = str(row.data_key)
    PairState.objects.filter(id=row.id).update(sealed=None, banned_at=timezone.now())
    reconcile.reconcile()
    row.refresh_from_db()
    assert (row.data_key, keystore().keys.exists(ref)) == (None, False)


@pytest.mark.parametrize("lost", ["identity", "user"])
def test_a_share_whose_owner_the_database_lost_is_reported_and_the_others_work(said: list[bool], lost: str) -> None:
    share = old_share("b")
    PairState.objects.filter(share=share).delete()
    KeyShare.objects.filter(id=share.id).delete()
    if lost == "identity":
        PartyIdentity.objects.filter(public=public("b")).delete()
    else:
        ApiUser.objects.filter(name="b").delete()
    reconcile.reconcile()
    assert said == [True]
    event = Event.objects.get(action="share.not_restored")
    assert event.subject == str(share.id)
    assert KeyShare.objects.count() == 2


def test_a_lost_predecessor_does_not_keep_a_share_away(said: list[bool]) -> None:
    attempt = Attempt().stored()
    attempt.confirm("abc")
    attempt.settle()
    new = attempt.row("a").new_share
    assert new is not None
    Reshare.objects.filter(identity__public=public("a")).delete()
    for lost in (new, old_share("a")):
        lost.pairs.all().delete()
        KeyShare.objects.filter(id=lost.id).delete()
    reconcile.reconcile()
    made = KeyShare.objects.get(id=new.id)
    assert (made.state, made.predecessor) == ("active", None), "receipts of its completion are still here"


def test_one_share_that_can_not_be_reconciled_keeps_the_vertex_out_of_work(
    said: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = Attempt().stored()
    seen: list[bytes] = []

    def advance(identity: bytes, gid: bytes) -> None:
        seen.append(identity)
        if len(seen) == 1:
            raise RuntimeError("its key does not vanish")

    monkeypatch.setattr(reconcile, "advance", advance)
    with pytest.raises(RuntimeError, match="vanish"):
        reconcile.reconcile()
    assert said == []
    assert len(seen) == 3, "the others are looked after all the same"
    assert attempt.rid


def test_another_keystore_touches_nothing(said: list[bool], settings: Any, tmp_path: Any) -> None:
    reconcile.reconcile()
    said.clear()
    settings.VERTEX_KEYSTORE = str(tmp_path / "empty")
    with pytest.raises(WrongKeystore):
        reconcile.reconcile()
    assert (said, old_states()) == ([], ["active"] * 3)
    assert old_share("a").sealed_share is not None


def test_a_database_that_may_forget_is_refused(said: list[bool]) -> None:
    check_durability()
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
    try:
        with pytest.raises(NotDurable, match="synchronous_commit"):
            reconcile.reconcile()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET synchronous_commit")
    assert said == []


def test_a_leaver_that_erased_can_still_show_why(said: list[bool]) -> None:
    """Its database is of before the attempt, and whoever else confirmed is dead: the certificate is in its journal."""
    attempt = Attempt("abd").stored()
    attempt.confirm("bc")
    attempt.advance("b")
    attempt.advance("c")
    assert old_states() == ["retiring", "retiring", "erased"]
    share = old_share("c")
    forget_attempts()
    reconcile.reconcile()
    assert attempt.row("c").role == "departing"
    assert attempt.row("c").old_share == share
    committed = {r.party for r in attempt.look("c").view.receipts if r.kind == "CONFIRMED"}
    assert committed >= {public("b"), public("c")}
    assert attempt.row("c").state == "committed"


def test_a_certificate_that_was_lost_alone_comes_back(said: list[bool]) -> None:
    attempt = Attempt().stored()
    attempt.confirm("ab")
    attempt.advance("a")
    attempt.advance("b")
    Receipt.objects.filter(kind="CONFIRMED").delete()
    attempt.advance("b")
    assert attempt.look("b").view.facts.committed == {attempt.rid}


@pytest.mark.parametrize("state", ["retiring", "superseded", "erased"])
def test_a_share_that_a_later_reshare_takes_up_hinders_no_look_at_the_one_that_made_it(
    said: list[bool], state: str
) -> None:
    attempt = Attempt().stored()
    attempt.confirm("ab")
    attempt.settle()
    erased = {"sealed_share": None, "data_key": None} if state == "erased" else {}
    KeyShare.objects.filter(reshares_to__rid=attempt.rid).update(state=state, **erased)
    reconcile.reconcile()
    assert said == [True]
    assert [attempt.new_state(name) for name in "abc"] == [state] * 3


def test_a_database_of_between_the_promise_and_the_store_gets_the_new_share_back(said: list[bool]) -> None:
    """The attempt's row is there, without its share and digest; the journal has said STORED."""
    attempt = Attempt().stored()
    Reshare.objects.update(run="hello", digest=None, new_gid=None, new_share=None)
    Receipt.objects.exclude(kind="PROMISED").delete()
    Statement.objects.all().delete()
    PairState.objects.exclude(share__gid=old_share("a").gid).delete()
    KeyShare.objects.exclude(gid=old_share("a").gid).delete()
    reconcile.reconcile()
    assert said == [True]
    assert [attempt.new_state(name) for name in "abc"] == ["quarantined"] * 3
    assert [attempt.said(name).count("STORED") for name in "abc"] == [1] * 3


def test_a_session_that_the_database_forgot_is_destroyed_before_anything_can_be_attested(said: list[bool]) -> None:
    """Its seed follows from the key and any later copy of the database, and from it what was dealt: the old share."""
    attempt = Attempt().stored()
    ref = keystore().keys.make()
    keystore().journal.create(f"session/{'5e' * 16}", f"{ref} 1".encode())
    attempt.confirm("ab")
    destroyed: list[bool] = []

    def advance(*_: Any) -> None:
        destroyed.append(not keystore().keys.exists(ref))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconcile, "advance", advance)
        reconcile.reconcile()
    assert destroyed == [True] * 3
    assert keystore().journal.list("session/") == []


def test_one_at_a_time(said: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """`listen` asks again while the first is still at it: in this process, or in another worker."""
    begun: list[int] = []

    def slow() -> None:
        begun.append(1)
        if len(begun) > 1:
            return
        at_once([tasks.reconcile_task])
        monkeypatch.setattr(reconcile, "_HERE", threading.Lock())
        at_once([tasks.reconcile_task])

    monkeypatch.setattr(tasks, "reconcile", slow)
    tasks.reconcile_task()
    assert begun == [1]
    monkeypatch.setattr(tasks, "reconcile", lambda: begun.append(2))
    tasks.reconcile_task()
    assert begun == [1, 2], "the lock was given back"


def test_a_database_of_two_reshares_ago_says_nothing_of_a_share_that_came_and_went(said: list[bool]) -> None:
    """Its share of the first is erased, by its user or by a second reshare: what it said of it can't be proved again,
    and hinders nothing."""
    before = [KeyShare.objects.filter(id=old_share(name).id).values()[0] for name in "abc"]
    attempt = Attempt().stored()
    attempt.confirm("ab")
    attempt.settle()
    for name in "abc":
        share = attempt.row(name).new_share
        assert share is not None
        material_destroy(share)
    forget_attempts()
    for row in before:
        KeyShare.objects.filter(id=row["id"]).update(**row)
    reconcile.reconcile()
    assert said == [True]
    assert old_states() == ["erased"] * 3
    assert "STORED" not in attempt.said("a")
    assert {"CONFIRMED", "DELETED"} <= set(attempt.said("a"))
