"""What signing makes durable: bans before any answer, and no signature share of a share that must not sign any more."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from audit.models import Event
from keys.keystore import KeystoreUnavailable, keystore
from keys.models import KeyShare, PairState, ProtocolSession
from keys.sessions import worker
from keys.sessions.lease import Lease, LeaseLost
from keys.sessions.worker import api_error
from keys.shares import pairs_open, share_keep, share_row_from_journal
from keys.signing import SignKind, bans_finish, pair_check, release
from mpc.errors import Abort, Blame, CheckFailed
from mpc.sign import PairCheck
from tests.life import Vertex, at_once
from tests.mpc.simulator import identity, key
from tests.reshare.attempts import old_quorum, old_share, public
from vertex.errors import ApiError


@pytest.fixture
def share(vertex: Vertex) -> KeyShare:
    old_quorum()
    return old_share("a")


@pytest.fixture
def session(share: KeyShare) -> ProtocolSession:
    return ProtocolSession.objects.create(
        kind="sign", state="running", share=share, params={"digest": "11" * 32}, room="r", deadline=share.created_at
    )


def check(verify: Callable[[], Any], peer: str = "b") -> PairCheck:
    return PairCheck(public(peer), bytes(32), verify)


def fail(name: str = "extension") -> Any:
    raise CheckFailed(name)


def test_a_check_that_holds_gives_its_result(share: KeyShare) -> None:
    assert pair_check(share, check(lambda: "sender")) == "sender"
    assert not PairState.objects.filter(banned_at__isnull=False).exists()


def test_a_failed_check_bans_before_anybody_hears_of_it(share: KeyShare) -> None:
    ref = str(PairState.objects.get(share=share, peer=public("b")).data_key)
    with pytest.raises(Blame) as blamed:
        pair_check(share, check(fail))
    assert blamed.value.culprits == {public("b")}
    assert blamed.value.ban
    row = PairState.objects.get(share=share, peer=public("b"))
    assert (row.sealed, row.data_key, row.banned_at is None) == (None, None, False)
    assert not keystore().keys.exists(ref)
    event = Event.objects.latest("seq")
    assert (event.action, event.data) == ("pair.banned", {"peer": public("b").hex(), "check": "extension"})
    assert set(pairs_open(share)) == {public("c")}, "the other pair is as it was"


def test_a_keystore_that_does_not_answer_does_not_spare_a_culprit(
    share: KeyShare, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(ref: str) -> None:
        raise KeystoreUnavailable("Vault does not answer")

    ref = str(PairState.objects.get(share=share, peer=public("b")).data_key)
    with monkeypatch.context() as patch:
        patch.setattr(keystore().keys, "destroy", refuse)
        with pytest.raises(Blame):
            pair_check(share, check(fail))
    row = PairState.objects.get(share=share, peer=public("b"))
    assert (row.sealed, row.data_key, row.banned_at is None) == (None, ref, False)
    with pytest.raises(Abort, match="banned"):
        pair_check(share, check(lambda: pytest.fail("it was checked")))
    assert keystore().keys.exists(ref)
    bans_finish()
    row.refresh_from_db()
    assert (row.data_key, keystore().keys.exists(ref)) == (None, False)


@pytest.mark.parametrize(
    ("error", "err_type"),
    [
        (KeystoreUnavailable("Vault does not answer"), "not_ready"),
        (OperationalError("terminating connection due to unexpected postmaster exit"), "executor_result"),
        (TypeError("a bug"), "internal_problem"),
    ],
)
def test_what_ends_a_signature_is_said_as_what_it_is(error: Exception, err_type: str) -> None:
    assert api_error(error).err_type == err_type


def test_a_banned_pair_is_never_checked_again(share: KeyShare) -> None:
    with pytest.raises(Blame):
        pair_check(share, check(fail))
    with pytest.raises(Abort, match="banned"):
        pair_check(share, check(lambda: pytest.fail("it was checked")))


def test_a_restored_row_does_not_lift_a_ban(share: KeyShare) -> None:
    before = PairState.objects.filter(share=share, peer=public("b")).values("sealed", "data_key", "banned_at")[0]
    with pytest.raises(Blame):
        pair_check(share, check(fail))
    PairState.objects.filter(share=share, peer=public("b")).update(**before)
    assert set(pairs_open(share)) == {public("c")}


def test_two_checks_of_one_pair_never_run_at_once(share: KeyShare) -> None:
    inside: list[int] = []
    most: list[int] = []

    def verify() -> None:
        inside.append(1)
        KeyShare.objects.count()
        most.append(len(inside))
        inside.pop()

    at_once([lambda: pair_check(share, check(verify))] * 6)
    assert most == [1] * 6


def test_all_who_cheated_are_banned(share: KeyShare, session: ProtocolSession) -> None:
    SignKind().blamed(session, Blame({public("b"), public("c")}, "the checks of round 2 failed", ban=True))
    assert pairs_open(share) == {}
    assert Event.objects.filter(action="pair.banned").count() == 2
    SignKind().blamed(session, Blame({public("b")}, "again", ban=True))
    assert Event.objects.filter(action="pair.banned").count() == 2


def test_a_blame_without_ban_bans_nobody(share: KeyShare, session: ProtocolSession) -> None:
    SignKind().blamed(session, Blame({public("b")}, "a wrong commitment"))
    assert set(pairs_open(share)) == {public("b"), public("c")}


@pytest.mark.parametrize("state", ["active", "retiring"])
def test_a_share_that_signs_is_released_with_an_event(session: ProtocolSession, state: str) -> None:
    KeyShare.objects.filter(id=session.share_id).update(state=state)
    release(session, Lease(session.id, 0))
    event = Event.objects.latest("seq")
    assert (event.action, event.data["digest"]) == ("sign.released", "11" * 32)


@pytest.mark.parametrize(
    ("state", "err_type"),
    [("superseded", "share_superseded"), ("quarantined", None), ("parked", "reshare_not_complete")],
)
def test_a_share_that_must_not_sign_is_not_released(session: ProtocolSession, state: str, err_type: str | None) -> None:
    KeyShare.objects.filter(id=session.share_id).update(state=state)
    with pytest.raises(ApiError) as refused:
        release(session, Lease(session.id, 0))
    assert refused.value.err_type == (err_type or "key_operation_before_keygen")
    assert not Event.objects.exists()


def test_an_erased_share_is_not_released(session: ProtocolSession) -> None:
    KeyShare.objects.filter(id=session.share_id).update(state="erased", sealed_share=None, data_key=None)
    with pytest.raises(ApiError) as refused:
        release(session, Lease(session.id, 0))
    assert refused.value.err_type == "share_erased"


def test_who_lost_the_lease_releases_nothing(session: ProtocolSession) -> None:
    with pytest.raises(LeaseLost):
        release(session, Lease(session.id, 5))
    assert not Event.objects.exists()


def test_signers_sign_and_say_what_with(vertex: Vertex) -> None:
    parties = vertex.keygen("ab", 2)
    operations = vertex.sign(parties)
    assert [operation.state for operation in operations] == ["done", "done"]
    assert set(operations[0].result) == {"r", "s", "v", "der"}
    assert Event.objects.filter(action="sign.released").count() == 2
    KeyShare.objects.filter(id=parties[1].key_id).update(state="superseded")
    room = vertex.room(2)
    with pytest.raises(ApiError) as refused:
        vertex.ask_sign(parties[1], room)
    assert refused.value.err_type == "share_superseded"


def test_a_share_superseded_between_request_and_work_does_not_sign(vertex: Vertex) -> None:
    parties = vertex.keygen("ab", 2)
    room = vertex.room(2)
    operations = [vertex.ask_sign(party, room) for party in parties]
    KeyShare.objects.filter(id=parties[0].key_id).update(state="superseded")
    at_once([lambda: worker.work("sign")] * 2)
    for operation in operations:
        operation.refresh_from_db()
    assert [operation.state for operation in operations] == ["failed", "failed"]
    assert operations[0].result["err_type"] == "share_superseded"
    assert not Event.objects.filter(action="sign.released").exists()


def test_a_share_belongs_to_its_sharing(vertex: Vertex, share: KeyShare) -> None:
    made = key("abc", 2)[identity("b").public]
    record = share_keep(key=old_share("b"), share=made.share, pairs=made.pairs, digest=made.digest, extra={})
    assert share_row_from_journal(record)[1] is False
