"""Audit heads through a reshare: every receipt carries one, and a log that is cut on the way is noticed by everybody
without holding up the reshare."""

import pytest

from audit.models import Event
from keys import receipts, witness
from keys.models import PeerHead, Receipt
from reshare import reconcile
from tests.audit.logged import as_owner
from tests.life import Vertex
from tests.reshare.attempts import Attempt, check_invariants, old_quorum, old_states


@pytest.fixture
def attempt(vertex: Vertex) -> Attempt:
    old_quorum()
    return Attempt().stored()


def finish(attempt: Attempt) -> None:
    attempt.confirm("ab")
    attempt.settle()
    assert old_states() == ["erased"] * 3
    check_invariants(attempt)


def test_every_receipt_of_a_reshare_carries_a_head(attempt: Attempt) -> None:
    finish(attempt)
    heads = [witness.head_in(receipts.parse(bytes(row.encoded)).body) for row in Receipt.objects.order_by("id")]
    assert len(heads) >= 12, "promises, stored, confirmed, deleted"
    numbers = [head.number for head in heads if head is not None]
    assert numbers == list(range(1, len(heads) + 1))
    assert PeerHead.objects.filter(compared=True, conflict="").count() == len(heads)


def test_a_log_cut_during_a_reshare_is_noticed_and_the_reshare_ends(attempt: Attempt) -> None:
    shown = PeerHead.objects.latest("number")
    as_owner("DELETE FROM audit_event WHERE seq > 1")
    finish(attempt)
    own = Event.objects.get(action="audit.cut")
    assert own.data["shared"] == {"seq": shown.seq, "hash": bytes(shown.hash).hex(), "number": shown.number}
    assert Event.objects.filter(action="audit.head_conflict").exists(), "who holds its receipts sees it too"


def test_a_log_cut_while_the_vertex_was_down_is_noticed_at_start(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "reconciled_set", lambda _: None)
    reconcile.reconcile()
    assert not Event.objects.filter(action="audit.cut").exists()
    witness.share()
    as_owner("DELETE FROM audit_event WHERE seq > 1")
    for _ in range(2):
        reconcile.reconcile()
    assert Event.objects.filter(action="audit.cut").count() == 1
