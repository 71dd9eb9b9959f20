"""The deletion ledger: who may decide what, that two people see the same, and that the decision is one transaction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import IntegrityError, transaction
from django.dispatch import Signal
from pytest_django import Settings

from audit import selectors, signals
from audit.models import Deletion, Event
from audit.services import deletion_confirm, deletion_mark, deletion_ready, deletion_reject
from tests.audit.shown import PARTIES, RID, opened, ready, statement
from vertex.errors import ApiError

pytestmark = pytest.mark.django_db
EXPORTS = [{"time": "2026-01-02T03:04:05+00:00", "caller": "user:x", "kind": "plaintext"}]


@pytest.fixture(autouse=True)
def operators(db: None) -> None:
    rights = {
        "olga": ["propose_deletion"],
        "otto": ["propose_deletion"],
        "anna": ["propose_deletion", "approve_deletion"],
        "arno": ["propose_deletion", "approve_deletion"],
        "vera": ["view_deletion"],
    }
    for username, codenames in rights.items():
        operator = get_user_model().objects.create_user(username=username)
        operator.user_permissions.set(Permission.objects.filter(codename__in=codenames))


@pytest.fixture
def two_person(settings: Settings) -> None:
    settings.VERTEX_TWO_PERSON = True


@pytest.fixture
def one_person(settings: Settings) -> None:
    settings.VERTEX_TWO_PERSON = False


def confirm(deletion: Deletion, actor: str, **changes: Any) -> Deletion:
    options = {"reason": "planned", "exports_destroyed": False, "statement_hash": bytes(deletion.statement_hash)}
    return deletion_confirm(deletion_id=deletion.pk, actor=actor, **(options | changes))


def actions() -> list[str]:
    return list(Event.objects.order_by("seq").values_list("action", flat=True))


@contextmanager
def receiving(signal: Signal, receiver: Callable[..., None]) -> Iterator[None]:
    signal.connect(receiver, weak=False)
    try:
        yield
    finally:
        signal.disconnect(receiver)


@contextmanager
def refused(err_type: str, deletion: Deletion) -> Iterator[None]:
    """The call raises `err_type` and leaves the row and the log as they were."""
    before = Deletion.objects.filter(pk=deletion.pk).values().get(), actions()
    with pytest.raises(ApiError) as caught:
        yield
    assert caught.value.err_type == err_type
    assert (Deletion.objects.filter(pk=deletion.pk).values().get(), actions()) == before


# Two people.


@pytest.mark.usefixtures("two_person")
@pytest.mark.parametrize(
    ("owner", "first", "second", "outcome"),
    [
        pytest.param(None, "operator:olga", "operator:anna", "confirmed", id="operator, then approver"),
        pytest.param(None, "operator:anna", "operator:arno", "confirmed", id="approver, then approver"),
        pytest.param("olga", "operator:olga", "operator:anna", "confirmed", id="the owner may propose"),
        pytest.param(None, "operator:anna", "operator:anna", "refused", id="the same twice"),
        pytest.param(None, "operator:olga", "operator:otto", "refused", id="second may not approve"),
        pytest.param("anna", "operator:olga", "operator:anna", "refused", id="the owner approves"),
        pytest.param(None, "operator:olga", "operator:vera", "refused", id="viewer"),
        pytest.param(None, "operator:olga", "operator:nobody", "refused", id="unknown"),
        pytest.param(None, "operator:olga", "admin", "refused", id="admin token"),
    ],
)
def test_two_person_approval(owner: str | None, first: str, second: str, outcome: str) -> None:
    deletion = ready(owner=owner)
    proposed = confirm(deletion, first)
    assert (proposed.state, proposed.proposed_by, proposed.decided_by) == ("pending", first, None)
    assert actions() == ["deletion.proposed"]
    if outcome == "confirmed":
        decided = confirm(deletion, second)
        assert (decided.state, decided.proposed_by, decided.decided_by) == ("confirmed", first, second)
        assert actions() == ["deletion.proposed", "deletion.confirmed"]
    else:
        with refused("policy_validation_failed", deletion):
            confirm(deletion, second)


@pytest.mark.usefixtures("two_person")
@pytest.mark.parametrize("actor", ["admin", "operator:vera", "operator:nobody", "operator:"])
def test_who_may_not_even_propose_or_reject(actor: str) -> None:
    deletion = ready()
    with refused("policy_validation_failed", deletion):
        confirm(deletion, actor)
    with refused("policy_validation_failed", deletion):
        deletion_reject(deletion_id=deletion.pk, actor=actor, reason="")


@pytest.mark.usefixtures("two_person")
def test_an_operator_who_left_has_no_say() -> None:
    deletion = ready()
    get_user_model().objects.filter(username="anna").update(is_active=False)
    with refused("policy_validation_failed", deletion):
        confirm(deletion, "operator:anna")


@pytest.mark.usefixtures("two_person")
def test_a_changed_statement_voids_the_proposal() -> None:
    deletion = ready()
    shown = bytes(deletion.statement_hash)
    confirm(deletion, "operator:olga")
    deletion = deletion_ready(deletion=deletion, statement=statement(exports=EXPORTS))
    assert deletion.proposed_by is None
    with refused("bad_request_params", deletion):
        confirm(deletion, "operator:anna", statement_hash=shown, exports_destroyed=True)
    again = confirm(deletion, "operator:anna", exports_destroyed=True)
    assert (again.state, again.proposed_by) == ("pending", "operator:anna")
    assert confirm(deletion, "operator:arno", exports_destroyed=True).state == "confirmed"


@pytest.mark.usefixtures("two_person")
def test_the_same_statement_again_leaves_the_proposal() -> None:
    deletion = ready()
    confirm(deletion, "operator:olga")
    assert deletion_ready(deletion=deletion, statement=statement()).proposed_by == "operator:olga"


@pytest.mark.usefixtures("two_person")
@pytest.mark.parametrize("actor", ["system", "user:6f1c1f7e-2c55-4c3a-9d0e-6b1d4f0a7c11"])
def test_a_policy_confirms_without_people(actor: str) -> None:
    assert confirm(ready(), actor).state == "confirmed"


# One person.


@pytest.mark.usefixtures("one_person")
@pytest.mark.parametrize("actor", ["operator:olga", "operator:anna", "admin", "system"])
def test_where_one_suffices(actor: str) -> None:
    deletion = confirm(ready(owner="olga"), actor)
    assert (deletion.state, deletion.decided_by, deletion.proposed_by) == ("confirmed", actor, None)
    assert bytes(deletion.approved_hash or b"") == bytes(deletion.statement_hash)
    event = Event.objects.get()
    assert (event.action, event.actor, event.subject) == ("deletion.confirmed", actor, str(deletion.pk))
    assert event.data["statement"] == bytes(deletion.statement_hash).hex()
    assert event.data["reason"] == "planned"


@pytest.mark.usefixtures("one_person")
@pytest.mark.parametrize(
    ("make", "changes", "err_type"),
    [
        pytest.param(opened, {}, "deletion_not_ready", id="not all stored"),
        pytest.param(ready, {"statement_hash": bytes(32)}, "bad_request_params", id="another statement"),
        pytest.param(ready, {"statement_hash": b""}, "bad_request_params", id="no statement"),
        pytest.param(lambda: ready(exports=EXPORTS), {}, "bad_request_params", id="exports not destroyed"),
        pytest.param(lambda: ready(own=False, party=PARTIES[1]), {}, "not_found", id="another party's share"),
        pytest.param(lambda: confirm(ready(), "admin"), {}, "already_voted", id="confirmed already"),
    ],
)
def test_a_confirmation_that_is_refused(make: Callable[[], Deletion], changes: dict[str, Any], err_type: str) -> None:
    deletion = make()
    with refused(err_type, deletion):
        confirm(deletion, "operator:anna", **changes)


@pytest.mark.usefixtures("one_person")
def test_exports_stated_as_destroyed_are_recorded() -> None:
    deletion = confirm(ready(exports=EXPORTS), "operator:anna", exports_destroyed=True)
    assert deletion.exports_destroyed
    assert Event.objects.get().data["exports_destroyed"] is True


@pytest.mark.usefixtures("one_person")
def test_reject_is_for_open_deletions() -> None:
    deletion = opened()
    rejected = deletion_reject(deletion_id=deletion.pk, actor="operator:olga", reason="wrong quorum")
    assert (rejected.state, rejected.reason, rejected.decided_by) == ("aborted", "wrong quorum", "operator:olga")
    assert actions() == ["deletion.rejected"]
    with refused("already_voted", deletion):
        deletion_reject(deletion_id=deletion.pk, actor="operator:olga", reason="")


@pytest.mark.usefixtures("one_person")
def test_after_an_abort_a_confirmation_is_an_order_that_receivers_may_refuse() -> None:
    deletion = ready()
    deletion_reject(deletion_id=deletion.pk, actor="operator:olga", reason="")

    def refuse(previous: str, **kwargs: Any) -> None:
        assert previous == "aborted"
        raise ApiError("already_voted", "this party has aborted, and no commit is known")

    with receiving(signals.deletion_confirmed, refuse), refused("already_voted", deletion):
        confirm(deletion, "operator:olga")
    assert confirm(deletion, "operator:olga").state == "confirmed"


# The decision is one transaction.


@pytest.mark.usefixtures("one_person")
@pytest.mark.parametrize("signal", [signals.deletion_confirmed, signals.deletion_rejected])
def test_the_announcement_is_part_of_the_transaction(signal: Signal) -> None:
    deletion = ready()
    heard: list[tuple[str, str, str, bool]] = []

    def listen(deletion: Deletion, actor: str, previous: str, **kwargs: Any) -> None:
        heard.append((deletion.state, actor, previous, transaction.get_connection().in_atomic_block))
        Deletion.objects.filter(pk=deletion.pk).update(reason="written by the receiver")
        raise ApiError("reshare_conflict", "refused")

    with receiving(signal, listen), refused("reshare_conflict", deletion):
        if signal is signals.deletion_confirmed:
            confirm(deletion, "admin")
        else:
            deletion_reject(deletion_id=deletion.pk, actor="admin", reason="")
    state = "confirmed" if signal is signals.deletion_confirmed else "aborted"
    assert heard == [(state, "admin", "pending", True)]


@pytest.mark.usefixtures("one_person")
def test_without_its_event_the_decision_does_not_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    deletion = ready()

    def fail(**kwargs: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("audit.services.ledger.record", fail)
    with pytest.raises(OSError, match="disk full"):
        confirm(deletion, "admin")
    deletion.refresh_from_db()
    assert (deletion.state, deletion.decided_by) == ("pending", None)


# Keeping the rows.


@pytest.mark.parametrize(
    ("before", "mark", "changed"),
    [
        ("pending", "confirmed", True),
        ("pending", "erased", True),
        ("pending", "aborted", True),
        ("confirmed", "erased", True),
        ("confirmed", "aborted", True),
        ("aborted", "erased", True),
        ("aborted", "confirmed", False),
        ("erased", "confirmed", False),
        ("erased", "aborted", False),
        ("confirmed", "confirmed", False),
        ("erased", "pending", False),
    ],
)
def test_marks_only_go_forward(before: str, mark: str, changed: bool) -> None:
    ready()
    if before != "pending":
        assert deletion_mark(attempt=RID, party=PARTIES[0], state=before)
    assert deletion_mark(attempt=RID, party=PARTIES[0], state=mark) is changed
    deletion = Deletion.objects.get()
    assert deletion.state == (mark if changed else before)
    if mark != "pending":
        assert (getattr(deletion, f"{mark}_at") is not None) == (changed or mark == before)


def test_opening_again_changes_nothing() -> None:
    first = ready()
    again = opened(deletions_required=3)
    assert (again.pk, again.statement["deletions_required"]) == (first.pk, 2)
    assert again.ready_at is not None


def test_ready_keeps_its_first_time_and_a_decided_statement() -> None:
    deletion = ready()
    first = deletion.ready_at
    deletion = confirm(deletion, "system")
    later = deletion_ready(deletion=deletion, statement=statement(exports=EXPORTS))
    assert later.ready_at == first
    assert later.statement["exports"] == []


@pytest.mark.parametrize(
    "broken",
    [
        {"exports": None},
        {"deletions_required": "2"},
        {"unknown": 1},
        {"key": {}},
        {"stored": ["a\0"]},
        {"digest": b"x"},
    ],
    ids=lambda broken: next(iter(broken)),
)
def test_a_statement_of_another_shape_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        opened(**broken)
    assert not Deletion.objects.exists()


def test_progress_counts_the_attempt_only() -> None:
    own = ready()
    for party in PARTIES[1:3]:
        opened(own=False, party=party)
    deletion_mark(attempt=RID, party=PARTIES[1], state="confirmed")
    deletion_mark(attempt=RID, party=PARTIES[1], state="erased")
    deletion_mark(attempt=RID, party=PARTIES[2], state="aborted")
    Deletion.objects.create(
        attempt="bb" * 32,
        party=PARTIES[0],
        own=True,
        key_id=uuid4(),
        gid=b"",
        statement={},
        statement_hash=b"",
    )
    assert selectors.deletion_progress(deletion=own) == selectors.Progress(2, 3, confirmed=1, erased=1, aborted=1)
    assert [row.party for row in selectors.deletions(attempt=RID)] == list(PARTIES[:3])


@pytest.mark.parametrize(
    "change",
    [
        {"state": "confirmed"},
        {"state": "erased"},
        {"state": "confirmed", "confirmed_at": "2026-01-01T00:00Z", "ready_at": None},
        {"key_id": None},
        {"proposed_by": "operator:anna"},
        {"decided_by": "operator:anna", "decided_at": "2026-01-01T00:00Z"},
        {"decided_by": "x", "decided_at": "2026-01-01T00:00Z", "approved_hash": bytes(32)},
    ],
    ids=["confirmed without time", "erased without time", "not ready", "no share", "half proposal", "no hash", "other"],
)
def test_the_database_holds_the_ledgers_invariants(change: dict[str, Any]) -> None:
    deletion = ready()
    with pytest.raises(IntegrityError), transaction.atomic():
        Deletion.objects.filter(pk=deletion.pk).update(**change)
