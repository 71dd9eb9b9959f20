"""What several vertices know of a reshare, put together: its progress, watched until it ends."""

from typing import Any

import httpx
import pytest
from vertex_client import AsyncQuorum, Progress, QuorumError
from vertex_client.answers import Reshare
from vertex_client.decoding import read

from tests.client.vertices import Cluster, ok, party, refusal, reshare

RID = "ab" * 32
A = party("id-a", "remaining", stored=True)
C = party("id-c", "departing")
D = party("id-d", "joining", stored=True)


def here(one: dict[str, Any], **said: Any) -> dict[str, Any]:
    return one | {"here": True} | said


# What a, c and d know; the state, whether complete, clean and ended, and what is waited for.
PROGRESS: dict[str, tuple[list[dict[str, Any]], str, bool, bool, bool, str]] = {
    "the room is not full": (
        [reshare([], state="running", waiting="room R is not full: 3 parties are needed")],
        "running",
        False,
        False,
        False,
        "room R is not full: 3 parties are needed",
    ),
    "one has not stored": (
        [reshare([here(A), C, D | {"stored": False}]), reshare([A, here(C), D | {"stored": False}])],
        "voting",
        False,
        False,
        False,
        "…id-d to store the new share",
    ),
    "nobody has voted": (
        [reshare([here(A), C, D]), reshare([A, here(C), D]), reshare([A, C, here(D)])],
        "voting",
        False,
        False,
        False,
        "2 more to confirm the deletion of the old share, of a, c",
    ),
    "one vote that only one has heard": (
        [reshare([here(A, vote="confirmed"), C, D]), reshare([A, here(C), D]), reshare([A, C, here(D)])],
        "voting",
        False,
        False,
        False,
        "1 more to confirm the deletion of the old share, of c",
    ),
    "decided, one has erased": (
        [
            reshare([here(A, vote="confirmed"), C | {"vote": "confirmed", "deleted": True}, D], state="committed"),
            reshare([A, here(C, vote="confirmed", deleted=True), D]),
            reshare([A, C, here(D)]),
        ],
        "committed",
        False,
        False,
        False,
        "a to erase the old share",
    ),
    "complete at one of two": (
        [
            reshare([here(A, deleted=True), C | {"deleted": True}, D], state="complete", complete=True),
            reshare([A, C, here(D)], state="committed"),
        ],
        "complete",
        False,
        False,
        False,
        "every new party to hear of the completion",
    ),
    "complete but not clean": (
        [
            reshare([here(A, deleted=True), C, D], state="complete", complete=True),
            reshare([A, here(C), D], state="voting"),
            reshare([A, C, here(D)], state="complete", complete=True),
        ],
        "complete",
        True,
        False,
        False,
        "c to erase the old share",
    ),
    "clean": (
        [
            reshare([here(A, deleted=True), C | {"deleted": True}, D], state="clean", complete=True, clean=True),
            reshare([A, C, here(D)], state="clean", complete=True, clean=True),
        ],
        "clean",
        True,
        True,
        False,
        "",
    ),
    "aborted everywhere": (
        [reshare([here(A, vote="aborted"), C, D], state="aborted"), reshare([A, C, here(D)], state="aborted")],
        "aborted",
        False,
        False,
        True,
        "",
    ),
}


@pytest.mark.parametrize("name", PROGRESS)
def test_progress(name: str) -> None:
    views, state, complete, clean, ended, waits = PROGRESS[name]
    names = [next((p["keygen_id"][-1] for p in view["parties"] if p["here"]), "a") for view in views]
    progress = Progress.of(RID, {n: read(Reshare)(view) for n, view in zip(names, views, strict=True)}, {})
    assert (progress.state, progress.complete, progress.clean, progress.ended) == (state, complete, clean, ended)
    assert progress.waits == waits


def test_one_vertex_that_knows_is_enough_and_strangers_are_left_out() -> None:
    path = f"/reshares/{RID}"
    cluster = Cluster(
        a={path: reshare([here(A, vote="confirmed"), C, D])},
        b={path: refusal(404, "not_found")},
        c={path: httpx.ConnectError("gone")},
        d={path: reshare([A, C | {"deleted": True}, here(D)])},
    )
    progress = cluster.run(lambda quorum: quorum.progress(RID))
    by_name = {each.name: each for each in progress.parties}
    assert list(by_name) == ["a", "d", "…id-c"]
    assert (by_name["a"].vote, by_name["…id-c"].deleted, by_name["d"].deleted) == ("confirmed", True, None)
    assert (progress.confirmed, progress.deleted) == (1, 1)
    assert list(progress.failures) == ["c"]
    with pytest.raises(QuorumError, match="not_found"):
        Cluster(b={path: refusal(404, "not_found")}).run(lambda quorum: quorum.progress(RID))


async def watched(quorum: AsyncQuorum, **how: Any) -> list[tuple[str, bool]]:
    return [(step.state, step.complete) async for step in quorum.watch(RID, poll=0, **how)]


def test_watching_shows_each_change_once_and_ends_with_completion() -> None:
    path = f"/reshares/{RID}"
    voting, complete = reshare([here(A)]), reshare([here(A)], state="complete", complete=True)
    clean = complete | {"state": "clean", "clean": True}
    steps = [ok(voting), ok(voting), ok(voting), ok(complete), ok(clean)]
    expected = [("voting", False), ("complete", True)]
    assert Cluster(a={path: list(steps)}).run(watched) == expected
    assert Cluster(a={path: list(steps)}).run(lambda q: watched(q, clean=True)) == [*expected, ("clean", True)]
    aborted = reshare([here(A)], state="aborted")
    assert Cluster(a={path: [ok(voting), ok(aborted)]}).run(watched) == [("voting", False), ("aborted", False)]
    with pytest.raises(TimeoutError, match="2 more to confirm"):
        Cluster(a={path: voting}).run(lambda q: watched(q, timeout=-1))


def test_watching_waits_for_a_new_party_that_does_not_answer_for_a_moment() -> None:
    path = f"/reshares/{RID}"
    complete = reshare([here(A), D], state="complete", complete=True)
    theirs = reshare([A, here(D)])
    gone = httpx.ConnectError("gone")
    cluster = Cluster(
        a={path: [ok(complete)]},
        d={path: [ok(theirs), gone, gone, ok(theirs | {"state": "complete", "complete": True})]},
    )
    assert cluster.run(watched) == [("complete", False), ("complete", True), ("complete", True)]
    assert len(cluster.memories["d"].requests) == 4


def test_unfinished_reshares_are_those_that_still_need_something() -> None:
    def line(rid: str | None, state: str, minute: int) -> dict[str, Any]:
        return reshare([], rid=rid, state=state, created_at=f"2026-01-01T00:0{minute}:00Z")

    a = [line("1", "clean", 1), line("2", "voting", 2), line(None, "running", 3), line("5", "aborted", 5)]
    b = [line("2", "committed", 2), line("0", "complete", 0)]
    cluster = Cluster(
        a={"/reshares": {"results": a, "next": None}},
        b={"/reshares": {"results": b, "next": None}},
    )
    assert cluster.run(lambda quorum: quorum.unfinished()) == ["0", "2"]
