"""What may be asked for while something else is under way, and how a session ends that others have ended."""

from datetime import timedelta
from typing import Any

import pytest

from audit.models import Deletion
from keys import receipts
from keys.models import KeyShare, ProtocolSession, Receipt, ShareExport
from keys.sessions import services, worker
from keys.sessions.lease import claim
from mpc.errors import Abort
from reshare import orders, requests
from reshare.executor import Performance
from reshare.kind import ReshareKind
from reshare.models import Reshare
from reshare.requests import Room, existing_request, joining_request, refresh_request
from tests.life import Killed, Party, Vertex
from tests.mpc.simulator import Network, identity, key, reshare_parties
from tests.reshare.attempts import Attempt, old_quorum, old_share, old_states, public
from vertex.errors import ApiError


def asked(vertex: Vertex, party: Party, **more: Any) -> dict[str, Any]:
    operation = vertex.operation(party)
    room = Room(vertex.room(3), None, operation.deadline)
    fields = {"user": party.user, "operation": operation, "key_id": party.key_id, "scheme": "ecdsa", "room": room}
    return fields | more


def old_party(name: str) -> Party:
    share = old_share(name)
    return Party(name, share.user, share.id, public(name))


@pytest.fixture
def old(vertex: Vertex) -> list[Party]:
    old_quorum()
    return [old_party(name) for name in "abc"]


def refused(call: Any) -> str:
    with pytest.raises(ApiError) as error:
        call()
    return error.value.err_type


def existing(vertex: Vertex, party: Party, parties: list[Party]) -> Reshare:
    ids = [each.keygen_id for each in parties]
    return existing_request(**asked(vertex, party), keygen_ids=ids, new_threshold=2)


def test_one_reshare_of_a_share_at_a_time(vertex: Vertex, old: list[Party]) -> None:
    existing(vertex, old[0], old)
    assert refused(lambda: existing(vertex, old[0], old)) == "reshare_conflict"
    assert refused(lambda: refresh_request(**asked(vertex, old[0]))) == "reshare_conflict"
    existing(vertex, old[1], old)
    assert Reshare.objects.count() == 2
    assert ProtocolSession.objects.count() == 2, "a refused call leaves no session"


def test_while_an_attempt_is_undecided_no_other_begins(vertex: Vertex, old: list[Party]) -> None:
    attempt = Attempt().stored()
    assert refused(lambda: existing(vertex, old[0], old)) == "reshare_conflict"
    attempt.abort("ab")
    attempt.settle()
    assert existing(vertex, old[0], old).state == "waiting"


@pytest.mark.parametrize("first", ["keygen", "join"])
def test_a_key_is_generated_or_joins_not_both(vertex: Vertex, old: list[Party], first: str) -> None:
    joiner = vertex.party("d")
    ids = [each.keygen_id for each in [*old, joiner]]
    join = lambda: joining_request(**asked(vertex, joiner), keygen_ids=ids, new_threshold=2)  # noqa: E731
    generate = lambda: vertex.ask_keygen(joiner, [joiner, vertex.party("e")], 2, vertex.room(2))  # noqa: E731
    calls = [generate, join] if first == "keygen" else [join, generate]
    calls[0]()
    expected = "reshare_conflict" if first == "keygen" else "already_performed_keygen"
    assert refused(calls[1]) == expected
    assert ProtocolSession.objects.count() == 1


def test_a_state_that_changed_since_the_call_was_checked_refuses_it(
    vertex: Vertex, old: list[Party], monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*args: Any, begin: Any, **rest: Any) -> None:
        KeyShare.objects.filter(id=old[0].key_id).update(state="superseded")
        session_open(*args, begin=begin, **rest)

    session_open = requests.session_open
    monkeypatch.setattr(requests, "session_open", late)
    assert refused(lambda: existing(vertex, old[0], old)) == "share_superseded"
    assert not ProtocolSession.objects.exists()


def test_a_call_that_waited_too_long_leaves_the_share_as_it_was(vertex: Vertex, old: list[Party]) -> None:
    row = existing(vertex, old[0], old)
    assert row.session is not None
    assert services.session_cancel(operation_id=row.session.operation_id)
    row.refresh_from_db()
    assert (row.state, old_states()) == ("failed", ["active"] * 3)
    assert existing(vertex, old[0], old).state == "waiting"


def waiting(vertex: Vertex, old: list[Party]) -> tuple[Reshare, str]:
    """a sits at the hello round; b and c have not been heard."""
    room = vertex.room(3)
    rows = []
    for party in old:
        operation = vertex.operation(party)
        fields = {"user": party.user, "operation": operation, "key_id": party.key_id, "scheme": "ecdsa"}
        ids = [each.keygen_id for each in old]
        rows.append(
            existing_request(**fields, keygen_ids=ids, new_threshold=2, room=Room(room, None, operation.deadline))
        )
    for row in rows[1:]:
        ProtocolSession.objects.filter(id=row.session_id).update(state="running", lease_until="2999-01-01T00:00:00Z")
    assert worker.work("protocol")
    return rows[0], room


def aborted(who: str, attempt: Any, **changed: Any) -> bytes:
    fields: dict[str, Any] = {
        "kind": receipts.ABORTED,
        "subject": attempt.rid,
        "gid": attempt.gid,
        "k": attempt.k,
        "digest": b"",
        "body": {"hellos": attempt.hellos},
    }
    return receipts.issue(identity(who), **fields | changed)


def hellos_with_a() -> Any:
    """The attempt of a complete hello round of a, b and c."""
    network = Network()
    network.run(reshare_parties(key("abc", 2), "abc", "abc", 2))
    return network.checkpoints[public("b")][0]


def heard(row: Reshare, receipt: bytes) -> None:
    session = ProtocolSession.objects.get(id=row.session_id)
    ProtocolSession.objects.filter(id=session.id).update(woken=True)
    lease = claim(["reshare"])
    assert lease is not None
    try:
        ReshareKind().overheard(session, lease, receipt)
    except Abort as error:
        services.session_fail(session_id=session.id, error=worker.api_error(error), actor="system", lease=lease)
    lease.park(poll_in=timedelta(0))


def test_who_waits_at_the_hello_round_hears_that_others_saw_its_end(vertex: Vertex, old: list[Party]) -> None:
    """`ABORTED` with hellos, its own among them: it never deals in that attempt, and casts `ABORTED`."""
    row, _ = waiting(vertex, old)
    attempt = hellos_with_a()
    heard(row, aborted("b", attempt))
    row.refresh_from_db()
    assert (bytes(row.rid or b""), row.k, row.run) == (attempt.rid, attempt.k, "failed")
    session = ProtocolSession.objects.get(id=row.session_id)
    assert (session.state, bytes(session.sid or b""), session.data_key) == ("settling", attempt.rid, None)
    services.wake(session)
    assert worker.work("protocol")
    said = {(receipt.kind, receipt.party) for _, receipt in receipts.held(attempt.rid)}
    assert (receipts.ABORTED, public("a")) in said
    assert (receipts.PROMISED, public("a")) not in said


@pytest.mark.parametrize(
    ("who", "changed"),
    [
        ("b", {"subject": bytes(32)}),
        ("b", {"body": {}}),
        ("b", {"body": {"hellos": b"garbage"}}),
        ("b", {"body": {"hellos": "text"}}),
        ("x", {}),
        ("b", {"kind": "COMPLETED"}),
    ],
    ids=["another rid", "no hellos", "garbage", "text", "a stranger", "another kind"],
)
def test_what_does_not_end_the_hello_round(vertex: Vertex, old: list[Party], who: str, changed: dict[str, Any]) -> None:
    row, _ = waiting(vertex, old)
    heard(row, aborted(who, hellos_with_a(), **changed))
    row.refresh_from_db()
    assert (row.rid, row.state) == (None, "waiting")


def test_hellos_without_this_party_do_not_concern_it(vertex: Vertex, old: list[Party]) -> None:
    row, _ = waiting(vertex, old)
    network = Network()
    network.run(reshare_parties(key("abc", 2), "bc", "bc", 2))
    heard(row, aborted("b", network.checkpoints[public("b")][0]))
    row.refresh_from_db()
    assert row.rid is None


class TestOrders:
    def test_they_need_a_ledger_row(self, vertex: Vertex, old: list[Party]) -> None:
        attempt = Attempt("abd")
        attempt.begin()
        assert refused(lambda: attempt.confirm("a")) == "deletion_not_ready"
        assert refused(lambda: attempt.abort("d")) == "bad_request_params"

    def test_one_word_each(self, vertex: Vertex, old: list[Party]) -> None:
        attempt = Attempt().stored()
        attempt.confirm("a")
        assert refused(lambda: attempt.confirm("a")) == "already_voted"
        assert refused(lambda: attempt.abort("a")) == "already_voted"
        attempt.abort("b")
        assert refused(lambda: attempt.abort("b")) == "already_voted"

    @pytest.mark.parametrize("why", ["rejected", "late", "late, and the worker died before it was said"])
    def test_after_an_abort_a_confirmation_is_an_order_to_erase(
        self, vertex: Vertex, old: list[Party], why: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """c has aborted, its operator agrees after all; a and b commit, and of theirs c hears nothing more."""
        attempt = Attempt("abd").stored()
        if why == "rejected":
            attempt.abort("c")
        else:
            Reshare.objects.filter(identity__public=public("c")).update(vote_by=0)
        if "died" in why:
            with monkeypatch.context() as patched:
                patched.setattr(Performance, "_send", lambda *_: (_ for _ in ()).throw(Killed))
                with pytest.raises(Killed):
                    attempt.advance("c")
            attempt.confirm("c")  # too late for a vote, which nobody knows yet
        attempt.advance("c")
        deletion = Deletion.objects.get(party=public("c"))
        assert (attempt.said("c")[-1], deletion.state, deletion.own) == ("ABORTED", "aborted", True)
        attempt.confirm("c")
        attempt.advance("c")
        deletion.refresh_from_db()
        assert (deletion.state, deletion.decided_by) == ("confirmed", "admin")
        assert "erase" in attempt.row("c").orders
        assert "CONFIRMED" not in attempt.said("c")
        assert refused(lambda: attempt.confirm("c")) == "already_voted"
        attempt.confirm("ab")
        attempt.advance("ab")
        Receipt.objects.filter(kind__in=["DELETED", "COMPLETED"]).delete()
        attempt.advance("c")
        assert old_share("c").state == "erased"
        assert "DELETED" in attempt.said("c")

    def test_no_confirmation_before_all_have_stored(self, vertex: Vertex, old: list[Party]) -> None:
        attempt = Attempt()
        attempt.begin()
        attempt.advance()
        attempt.through("ab")
        attempt.advance("ab")
        assert refused(lambda: attempt.confirm("a")) == "deletion_not_ready"
        attempt.through("c")
        attempt.advance("cab")
        attempt.confirm("a")
        assert attempt.row("a").orders["confirm"]["actor"] == "admin"

    def test_a_policy_does_not_speak_for_exports(self, vertex: Vertex, old: list[Party], monkeypatch: Any) -> None:
        monkeypatch.setattr(orders, "confirms_itself", lambda row: True)
        ShareExport.objects.create(share=old_share("a"), caller="admin", kind="backup")
        Attempt().stored().settle()
        decided = {bytes(row.party): row.decided_by for row in Deletion.objects.all()}
        assert decided == {public("a"): None, public("b"): "system", public("c"): "system"}


@pytest.mark.parametrize(
    ("scheme", "length", "taken"),
    [
        ("ecdsa", 33, True),
        ("ecdsa", 32, False),
        ("ed25519", 32, True),
        ("ed25519", 33, False),
        ("bip340", 32, True),
        ("bip340", 33, True),
        ("bip340", 31, False),
    ],
)
def test_an_expected_key_has_the_length_of_its_scheme(vertex: Vertex, scheme: str, length: int, taken: bool) -> None:
    party, other = vertex.party("d", scheme), vertex.party("e", scheme)
    fields = asked(vertex, party, scheme=scheme, keygen_ids=[party.keygen_id, other.keygen_id], new_threshold=2)

    def call() -> Reshare:
        return joining_request(**fields, expected_pubkey=bytes(length))

    if taken:
        assert call().scheme == scheme
    else:
        assert refused(call) == "bad_request_params"
