"""What a worker does by itself, with a disk that fills: it is run once, each kind of event failing first at each of its
places, and no state is ever seen without its event.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError

from audit.models import Deletion, Event
from audit.services import events as appending
from keys import receipts
from keys.models import Receipt
from reshare.models import Reshare
from tests.life import Vertex, at_once
from tests.mpc.simulator import identity
from tests.reshare.attempts import Attempt, old_quorum
from tests.reshare.full_disk import BY_ITSELF, FullDisk


def untold() -> Iterator[str]:
    """What is there more often than events tell of it. All parties are on one vertex, so it is counted."""
    events = list(Event.objects.values_list("action", "data"))
    actions = Counter(action for action, _ in events)
    sides = {side: Counter(data.get(side) for _, data in events) for side in ("old_share", "new_share", "ledger")}
    there: Counter[tuple[str, str]] = Counter()
    for row in Reshare.objects.select_related("old_share", "new_share"):
        there["reshare", row.state] += row.state not in ("waiting", "running")
        there["conflicts", "receipts.conflict"] += bool(row.conflicts)
        for side, share, before in (("old_share", row.old_share, "active"), ("new_share", row.new_share, "created")):
            if share is not None:
                there[side, share.state] += share.state != before
                there["suspended", "share.suspended"] += bool(share.suspended)
    for kind in Receipt.objects.exclude(fingerprint__in=BY_HAND).values_list("kind", flat=True):
        there["reshare", kind.lower()] += 1
    there["ledger", "erased"] += Deletion.objects.filter(own=True, state="erased").count()
    for (what, name), count in there.items():
        told = sides[what][name] if what in sides else actions[f"reshare.{name}" if what == "reshare" else name]
        if count > told:
            yield f"{what} {name}: {count}, told {told}"


BY_HAND: list[bytes] = []  # receipts that a test signed itself


def persist(act: Callable[[], None]) -> None:
    """Do it until it is done, as the sweep has it done: again after every failure."""
    for _ in range(100):
        try:
            return act()
        except OperationalError:
            continue
    raise AssertionError("it is never done")


def test_no_state_is_seen_without_its_event(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reshare up to its end; then a receipt of this vertex that it never signed, which makes two faces."""
    failed: set[tuple[str, str, str]] = set()
    seen: list[str] = []

    def refuses(fields: dict[str, Any]) -> bool:
        at_once([lambda: seen.extend(untold())])  # another connection: only what is committed
        place = fields["action"], fields["subject"], json.dumps(fields["data"], sort_keys=True)
        return place not in failed and not failed.add(place)  # type: ignore[func-returns-value]

    old_quorum()
    monkeypatch.setattr(appending, "Event", FullDisk(refuses))
    attempt = Attempt()
    attempt.begin()
    persist(attempt.settle)
    attempt.through()
    persist(attempt.settle)
    for name in "ab":
        persist(lambda name=name: attempt.confirm(name))  # type: ignore[misc]
    persist(attempt.settle)
    assert {row.state for row in Reshare.objects.all()} == {"clean"}
    about = {"subject": attempt.rid, "gid": attempt.hello.gid, "k": attempt.hello.k}
    unknown = receipts.issue(identity("a"), kind="ABORTED", **about, digest=attempt.result("a").digest)
    BY_HAND[:] = [receipts.fingerprint(unknown)]
    receipts.keep(unknown, receipts.parse(unknown))
    persist(attempt.settle)
    assert sorted(set(seen)) == []
    assert list(untold()) == []
    # Not every one that failed is there later: who has accepted in the journal erases next, without accepting again.
    assert {action for action, _, _ in failed} >= set(Event.objects.values_list("action", flat=True))
    assert {"reshare.deleted", "reshare.clean", *BY_ITSELF} <= {action for action, _, _ in failed}
