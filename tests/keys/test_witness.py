"""Heads in receipts: numbered as they are shared, compared with those seen before, countersigned for who asks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from pytest_django import Settings

from audit.models import Event
from audit.selectors import chain_head
from audit.services import record
from keys import node, receipts, witness
from keys.keystore import KeystoreUnavailable, keystore
from keys.models import PeerHead, Receipt
from keys.sessions import services
from mpc.identity import encode_keygen_id
from tests.audit.logged import as_owner, rechain
from tests.life import Vertex, at_once
from tests.mpc.simulator import identity

SUBJECT = bytes([1] * 32)
PARTY = encode_keygen_id(identity("a").public)
A, B = bytes([0xAA] * 32), bytes([0xBB] * 32)
Seen = tuple[int, int, bytes]  # number, seq, hash


def carried(head: Any, who: str = "a", kind: str = receipts.DELETED) -> bytes:
    """A receipt with this `audit_head`."""
    body = {witness.FIELD: head}
    return receipts.issue(identity(who), kind=kind, subject=SUBJECT, gid=SUBJECT, k=1, digest=b"", body=body)


def keep(*encoded: bytes) -> None:
    with transaction.atomic():
        for each in encoded:
            receipts.keep(each, receipts.parse(each))


def full_disk(**_: Any) -> None:
    raise OSError("no space left")


Receive = Callable[..., None]


@pytest.fixture
def receive(db: None, django_capture_on_commit_callbacks: Any) -> Receive:
    """Receipts come in and are kept; what follows the commit is done at once: the test itself is a transaction."""

    def kept(*encoded: bytes) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            keep(*encoded)

    return kept


def alarms() -> list[tuple[str, int, int]]:
    """Recorded conflicts: why, and the numbers of the two heads."""
    events = Event.objects.filter(action="audit.head_conflict").order_by("seq")
    assert {event.subject for event in events} <= {PARTY}
    return [(e.data["why"], e.data["first"]["number"], e.data["second"]["number"]) for e in events]


@dataclass(frozen=True)
class Case:
    """Heads in the order in which they come, and the alarms that they raise."""

    name: str
    heads: list[Seen]
    alarms: list[tuple[str, int, int]] = field(default_factory=list)


CASES = [
    Case("grows", [(1, 5, A), (2, 9, B), (3, 12, A)]),
    Case("nothing happened in between", [(1, 5, A), (2, 5, A)]),
    Case("some heads went to others", [(3, 5, A), (17, 9, B)]),
    Case("arrives in another order", [(3, 12, A), (1, 5, B), (2, 9, A)]),
    Case("cut", [(1, 9, A), (2, 5, B)], [("cut", 1, 2)]),
    Case("cut, the later receipt comes first", [(2, 5, B), (1, 9, A)], [("cut", 2, 1)]),
    Case("cut to nothing", [(1, 9, A), (2, 0, B)], [("cut", 1, 2)]),
    Case("cut once, told once", [(1, 9, A), (2, 5, B), (3, 6, A), (4, 7, B)], [("cut", 1, 2)]),
    Case("cut twice", [(1, 9, A), (2, 5, B), (3, 3, A)], [("cut", 1, 2), ("cut", 2, 3)]),
    Case("rewritten", [(1, 9, A), (2, 9, B)], [("two chains", 1, 2)]),
    Case("rewritten, and grown over it", [(1, 9, A), (2, 12, A), (3, 9, B)], [("two chains", 1, 3)]),
    Case("two logs of one number: a restored keystore", [(4, 9, A), (4, 11, B)], [("two chains", 4, 4)]),
    Case("a number again with the same head", [(4, 9, A), (4, 9, A)]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_heads_of_a_party_are_compared(receive: Receive, case: Case) -> None:
    for number, seq, digest in case.heads:
        receive(carried([seq, digest, number]))
    assert alarms() == case.alarms
    assert PeerHead.objects.filter(compared=False).count() == 0


def test_the_evidence_is_the_two_receipts_that_the_party_signed(receive: Receive) -> None:
    first, second = carried([9, A, 1]), carried([5, B, 2])
    receive(first)
    receive(second)
    event = Event.objects.get(action="audit.head_conflict")
    for encoded, said in ((first, event.data["first"]), (second, event.data["second"])):
        kept = Receipt.objects.get(fingerprint=bytes.fromhex(said["receipt"]))
        assert bytes(kept.encoded) == encoded
        assert receipts.parse(bytes(kept.encoded)).body[witness.FIELD] == [
            said["seq"],
            bytes.fromhex(said["hash"]),
            said["number"],
        ]
    row = PeerHead.objects.get(number=2)
    assert (row.conflict, row.rival) == ("cut", PeerHead.objects.get(number=1))


def test_parties_are_not_compared_with_each_other(receive: Receive) -> None:
    receive(carried([9, A, 1]), carried([5, B, 2], who="b"))
    assert alarms() == []


def test_a_receipt_that_comes_again_is_no_second_head(receive: Receive) -> None:
    for _ in range(2):
        receive(carried([9, A, 1]))
    assert PeerHead.objects.count() == 1


@pytest.mark.parametrize(
    "head",
    [
        None,
        7,
        [],
        [9, A],
        [9, A, 1, 1],
        ["9", A, 1],
        [9, A[:31], 1],
        [9, "x", 1],
        [-1, A, 1],
        [9, A, 0],
        [2**63, A, 1],
        [9, A, 2**63],
        [True, A, 1],
        [1.5, A, 1],
        {"seq": 9},
    ],
    ids=lambda head: repr(head)[:20],
)
def test_what_is_no_head(head: Any) -> None:
    assert witness.head_in({witness.FIELD: [9, A, 1]}) == witness.Shared(9, A, 1)
    assert witness.head_in({witness.FIELD: head}) is None


def test_a_receipt_without_a_head_is_a_receipt(receive: Receive) -> None:
    receive(carried([9, A, -1]))
    assert (Receipt.objects.count(), PeerHead.objects.count()) == (1, 0)


def test_the_sweep_compares_what_a_dead_process_left(receive: Receive, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as dead:
        dead.setattr(witness, "compare", lambda: 0)
        receive(carried([9, A, 1]))
        receive(carried([5, B, 2]))
    assert alarms() == []
    services.sweep()
    assert len(alarms()) == 1
    services.sweep()
    assert len(alarms()) == 1


def test_an_alarm_that_can_not_be_recorded_is_raised_later(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(carried([9, A, 1]))
    with monkeypatch.context() as failing:
        failing.setattr("audit.services.record", full_disk)
        keep(carried([5, B, 2]))
    assert Receipt.objects.count() == 2, "the receipt itself is kept"
    assert PeerHead.objects.filter(compared=False).count() == 1
    witness.compare()
    assert len(alarms()) == 1


# This vertex's own chain.


def happen(times: int = 1) -> None:
    for _ in range(times):
        with transaction.atomic():
            record(action="test.happened", actor="system", subject="", data={})


def cut(after: int) -> None:
    as_owner(f"DELETE FROM audit_event WHERE seq > {after}")


def cuts() -> list[tuple[int, int]]:
    """What was recorded of the own log: the head that was shared, and the end that was found."""
    events = Event.objects.filter(action="audit.cut").order_by("seq")
    return [(event.data["shared"]["seq"], event.data["found"]["seq"]) for event in events]


def test_shared_heads_are_counted_in_the_journal(vertex: Vertex) -> None:
    happen(3)
    first = witness.share()
    happen(2)
    second = witness.share()
    assert [first[0], first[2], second[0], second[2]] == [3, 1, 5, 2]
    assert second[1] == bytes(Event.objects.get(seq=5).hash)
    assert keystore().journal.read(witness.RECORD) is not None
    assert witness.check_own()
    assert cuts() == []


def test_a_worker_that_was_frozen_does_not_set_the_count_back(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had read the last head when its connection was lost, and with it the lock."""
    happen()
    witness.share()
    held, end = chain_head(), witness.chain_head

    def frozen() -> tuple[int, bytes]:
        monkeypatch.setattr(witness, "chain_head", end)
        happen()
        witness.share()
        witness.share()
        return held

    monkeypatch.setattr(witness, "chain_head", frozen)
    with pytest.raises(KeystoreUnavailable, match="another worker"):
        witness.share()
    assert witness.share()[2] == 4
    assert cuts() == []


def test_a_count_that_was_carried_twice_is_counted_once(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    swap = keystore().journal.swap

    def twice(*args: Any) -> None:
        swap(*args)
        swap(*args)

    monkeypatch.setattr(keystore().journal, "swap", twice)
    assert [witness.share()[2] for _ in range(2)] == [1, 2]


def test_a_head_is_not_shared_of_what_is_not_committed(vertex: Vertex) -> None:
    with pytest.raises(RuntimeError, match="outside of transactions"), transaction.atomic():
        witness.share()
    assert keystore().journal.read(witness.RECORD) is None


OWN_ATTACKS = {
    "cut": lambda: cut(2),
    "cut to nothing": lambda: cut(0),
    "rewritten": lambda: (as_owner("UPDATE audit_event SET subject = 'x' WHERE seq = 2"), rechain(2)),
    "cut and grown again": lambda: (cut(2), happen(6)),
}


@pytest.mark.parametrize(("name", "at"), [*((name, "share") for name in OWN_ATTACKS), ("cut", "start")])
def test_a_vertex_notices_that_its_own_log_was_changed(vertex: Vertex, name: str, at: str) -> None:
    happen(4)
    shared = witness.share()
    OWN_ATTACKS[name]()
    found = chain_head()[0]
    if at == "start":
        assert not witness.check_own()
    after = witness.share()
    assert cuts() == [(4, found)], "recorded once"
    assert after[2] > shared[2]
    assert after[0] > found, "what is shared from now on is under the event that tells of it"
    assert witness.check_own()


def test_a_cut_that_can_not_be_recorded_shares_nothing(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    happen(4)
    witness.share()
    counted = keystore().journal.read(witness.RECORD)
    cut(2)
    with monkeypatch.context() as failing:
        failing.setattr("audit.services.record", full_disk)
        for act in (witness.share, witness.check_own):
            with pytest.raises(OSError, match="no space"):
                act()
    assert keystore().journal.read(witness.RECORD) == counted
    assert not witness.check_own()
    assert cuts() == [(4, 2)]


def test_the_peers_notice_what_the_vertex_shares_after_a_cut(vertex: Vertex) -> None:
    happen(9)
    keep(carried(witness.share()))
    cut(2)
    keep(carried(witness.share()))
    assert alarms() == [("cut", 1, 2)]


def test_workers_that_share_at_once_count_in_the_order_of_the_chain(vertex: Vertex) -> None:
    shared: list[list[Any]] = []

    def work() -> None:
        for _ in range(3):
            happen()
            shared.append(witness.share())

    at_once([work] * 8)
    in_order = sorted(shared, key=lambda head: head[2])
    assert [head[2] for head in in_order] == list(range(1, 25))
    assert [head[0] for head in in_order] == sorted(head[0] for head in shared)
    assert cuts() == []


def test_every_party_of_a_key_keeps_heads_of_the_others(vertex: Vertex) -> None:
    parties = vertex.keygen("abc", 2)
    assert set(PeerHead.objects.values_list("party", flat=True)) == {party.identity for party in parties}
    assert alarms() == []


# Countersigned.


@pytest.fixture
def peer(vertex: Vertex, settings: Settings, tmp_path: Path) -> Path:
    """What a peer has seen of this vertex's log, countersigned by its key, and that key."""
    settings.VERTEX_NAME = "peer"
    happen(9)
    keep(carried(witness.share()))
    out = StringIO()
    call_command("audit_heads", PARTY, stdout=out)
    (tmp_path / "peer.pem").write_text(node.public_pem() or "")
    path = tmp_path / "heads.jsonl"
    path.write_text(out.getvalue())
    return path


def verify(heads: Path) -> str:
    out = StringIO()
    call_command("audit_verify", against=[heads], witness_key=[heads.with_name("peer.pem")], stdout=out)
    return out.getvalue()


def test_a_peer_s_countersigned_heads_prove_a_cut(peer: Path) -> None:
    assert verify(peer).startswith("ok: ")
    cut(5)
    with pytest.raises(CommandError, match=r"event 6: is no longer there: .* countersigned by 'peer' names event 9"):
        verify(peer)
    happen(9)
    with pytest.raises(CommandError, match="event 9: is another than the one that the head countersigned by 'peer'"):
        verify(peer)


def test_a_countersigned_head_that_was_changed_proves_nothing(peer: Path) -> None:
    peer.write_text(peer.read_text().replace('\\"number\\":1', '\\"number\\":2'))
    with pytest.raises(CommandError, match="not signed by this key"):
        verify(peer)


@pytest.mark.parametrize(
    ("party", "why"),
    [("nonsense", "not a keygen id"), (encode_keygen_id(identity("b").public), "no receipt of this party")],
)
def test_audit_heads_of_nobody(db: None, party: str, why: str) -> None:
    with pytest.raises(CommandError, match=why):
        call_command("audit_heads", party)


def test_audit_heads_needs_a_worker_s_keystore(receive: Receive, settings: Settings) -> None:
    receive(carried([9, A, 1]))
    settings.VERTEX_MASTER_KEY = ""
    with pytest.raises(CommandError, match="for workers"):
        call_command("audit_heads", PARTY)


def test_the_database_keeps_a_conflict_with_its_rival_only(receive: Receive) -> None:
    receive(carried([9, A, 1]))
    with connection.cursor() as cursor, pytest.raises(Exception, match="peer_head_conflict_names_its_rival"):
        cursor.execute("UPDATE keys_peerhead SET conflict = 'cut'")
