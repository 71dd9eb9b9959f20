"""Several vertices: nobody's failure hides another's, and what they know is put together."""

import asyncio
from typing import Any

import httpx
import pytest
from vertex_client import Key, QuorumError, Share, VertexError
from vertex_client.answers import EcdsaSignature, KeyShare, Problem
from vertex_client.decoding import read
from vertex_client.quorum import together
from vertex_client.quorum.keys import assemble, current

from tests.client.vertices import Cluster, key_share, ok, party, refusal, reshare

PUBLIC = "02" + "11" * 32
RID = "ab" * 32
SIGNATURE = {"r": "1", "s": "2", "v": 0, "der": "3"}
ABC = Key("ecdsa", PUBLIC, 2, tuple(Share(name, f"k-{name}", f"id-{name}", "active") for name in "abc"))


def room(**more: Any) -> dict[str, Any]:
    return {"/create-room": {"room_uuid": "R"}, **more}


def test_a_key_is_generated_by_all_at_once() -> None:
    def vertex(name: str) -> dict[str, Any]:
        made = {"key_id": f"k-{name}", "keygen_id": f"id-{name}"}
        share = key_share(key_id=f"k-{name}", keygen_id=f"id-{name}")
        return room(**{"/ecdsa/create": made, "/ecdsa/keygen": {}, f"/keys/k-{name}": share})

    cluster = Cluster(a=vertex("a"), b=vertex("b"), c=vertex("c"), d=vertex("d"))
    key = cluster.run(lambda quorum: quorum.keygen("ecdsa", 2, ["a", "b", "c"]))
    assert (key.public_key, key.threshold, key.names, key.gid) == (PUBLIC, 2, ("a", "b", "c"), "aa")
    assert cluster.asked("a")["/create-room"] == {"room_size": 3}
    assert "/create-room" not in cluster.asked("b")
    for name in "abc":
        assert cluster.asked(name)["/ecdsa/keygen"] == {
            "key_id": f"k-{name}",
            "num_parties": 3,
            "threshold": 2,
            "keygen_ids": ["id-a", "id-b", "id-c"],
            "room_uuid": "R",
        }
    assert cluster.asked("d") == {}


def test_as_many_sign_as_it_takes_or_those_that_are_named() -> None:
    signs = room(**{"/ecdsa/sign": SIGNATURE})
    cluster = Cluster(a=signs, b=signs, c=signs)
    assert cluster.run(lambda quorum: quorum.sign(ABC, b"hi")) == EcdsaSignature("1", "2", 0, "3")
    assert cluster.asked("a")["/ecdsa/sign"] == {
        "key_id": "k-a",
        "msg": "6869",
        "room_uuid": "R",
        "hash_algo": "sha256",
    }
    assert cluster.asked("c") == {}
    cluster.run(lambda quorum: quorum.sign(ABC, b"hi", by=["c", "b"], derivation_path=[7]))
    assert cluster.asked("c")["/create-room"] == {"room_size": 2}
    assert cluster.asked("b")["/ecdsa/sign"]["derivation_path"] == [7]


def test_failures_are_collected_by_vertex() -> None:
    cluster = Cluster(
        a=room(**{"/ecdsa/sign": refusal(400, "share_erased")}),
        b=room(**{"/ecdsa/sign": SIGNATURE}),
        c=room(**{"/ecdsa/sign": refusal(400, "executor_result")}),
    )
    with pytest.raises(QuorumError, match=r"sign: a: share_erased: .*; c: executor_result: ") as caught:
        cluster.run(lambda quorum: quorum.sign(ABC, b"", by=["a", "b", "c"]))
    assert caught.value.err_types == {"a": "share_erased", "c": "executor_result"}
    assert caught.value.answers == {"b": EcdsaSignature("1", "2", 0, "3")}


def test_signers_that_disagree_are_named() -> None:
    other = room(**{"/ecdsa/sign": SIGNATURE | {"r": "9"}})
    cluster = Cluster(a=room(**{"/ecdsa/sign": SIGNATURE}), b=other)
    with pytest.raises(QuorumError, match="different signatures") as caught:
        cluster.run(lambda quorum: quorum.sign(ABC, b"", by=["a", "b"]))
    assert caught.value.err_types == {"a": "disagreement", "b": "disagreement"}


def test_a_batch_is_signed_or_refused_message_by_message() -> None:
    refused = {"Error": {"err_type": "executor_result", "err_msg": "no"}}
    signed, other = {"Signature": SIGNATURE}, {"Signature": SIGNATURE | {"v": 1}}
    cluster = Cluster(
        a=room(**{"/ecdsa/batch-sign": httpx.Response(200, json=[signed, signed, signed])}),
        b=room(**{"/ecdsa/batch-sign": httpx.Response(200, json=[signed, refused, other])}),
    )
    first, second, third = cluster.run(lambda quorum: quorum.batch_sign(ABC, [b"1", b"2", b"3"]))
    assert first == EcdsaSignature("1", "2", 0, "3")
    assert second == Problem("executor_result", "no")
    assert isinstance(third, Problem)
    assert third.err_type == "disagreement"
    assert [each["room_uuid"] for each in cluster.asked("b")["/ecdsa/batch-sign"]["sign_requests"]] == ["R"] * 3


def test_who_waits_for_an_unreachable_party_is_soon_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "GRACE", 0.05)

    async def for_ever() -> str:
        await asyncio.Event().wait()
        return "never"

    async def at_once(error: VertexError) -> str:
        raise error

    async def meet(error: VertexError) -> together.Answers[str]:
        return await together.together({"a": for_ever(), "b": at_once(error)}, one_protocol=True)

    met = asyncio.run(meet(together.Unreachable("nobody")))
    assert {name: error.err_type for name, error in met.failures.items()} == {"a": "not_waited_for", "b": "unreachable"}
    with pytest.raises(TimeoutError):  # a refusal is told to the room: the vertex ends its call by itself
        asyncio.run(asyncio.wait_for(meet(VertexError("share_erased", "")), 0.3))


def test_what_is_no_vertex_error_is_not_swallowed() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    async def meet() -> None:
        await together.together({"a": broken()})

    with pytest.raises(ZeroDivisionError):
        asyncio.run(meet())


def test_a_reshare_works_out_who_stays_leaves_and_joins() -> None:
    def vertex(name: str) -> dict[str, Any]:
        line = reshare([], key_id=f"n-{name}")
        return room(
            **{
                "/ecdsa/create": {"key_id": f"c-{name}", "keygen_id": f"id-{name}"},
                "/ecdsa/reshare/existing-party": {"key_id": f"n-{name}"},
                "/ecdsa/reshare/new-party": {"key_id": f"n-{name}"},
                "/ecdsa/reshare/departing-party": {"key_id": f"k-{name}"},
                "/reshares": {"results": [line], "next": None},
            }
        )

    cluster = Cluster(**{name: vertex(name) for name in "abcde"})
    moved = cluster.run(lambda quorum: quorum.reshare(ABC, ["d", "a", "e"], 3, absent=["c"], deletions_required=3))
    common = {
        "keygen_ids": ["id-d", "id-a", "id-e"],
        "new_threshold": 3,
        "room_uuid": "R",
        "deletions_required": 3,
    }
    assert cluster.asked("a")["/create-room"] == {"room_size": 4}  # three of the new quorum, and b, who leaves
    assert cluster.asked("a")["/ecdsa/reshare/existing-party"] == common | {"key_id": "k-a"}
    assert cluster.asked("b")["/ecdsa/reshare/departing-party"] == common | {"key_id": "k-b"}
    assert cluster.asked("c") == {}
    expected = {"old_threshold": 2, "expected_pubkey": PUBLIC}
    assert cluster.asked("e")["/ecdsa/reshare/new-party"] == common | expected | {"key_id": "c-e"}
    assert moved.rid == RID
    assert moved.old == ABC
    assert [(share.vertex, share.key_id, share.keygen_id) for share in moved.new.shares] == [
        ("d", "n-d", "id-d"),
        ("a", "n-a", "id-a"),
        ("e", "n-e", "id-e"),
    ]
    assert set(moved.new.states.values()) == {"quarantined"}


def test_nobody_can_be_absent_and_stay() -> None:
    with pytest.raises(ValueError, match="b can't be absent"):
        Cluster(a={}).run(lambda quorum: quorum.reshare(ABC, ["a", "b"], 2, absent=["b"]))
    with pytest.raises(ValueError, match="no vertex z; there are a"):
        Cluster(a={}).run(lambda quorum: quorum.create("ecdsa", ["z"]))


def test_confirming_waits_for_what_is_not_heard_yet_and_hides_no_refusal() -> None:
    path = f"/reshares/{RID}/confirm-deletion"
    done = reshare([party("id-a", "remaining", vote="confirmed")])
    cluster = Cluster(
        a={path: [refusal(400, "deletion_not_ready"), ok(done)]},
        b={path: refusal(400, "already_voted")},
    )
    answered = cluster.run(lambda quorum: quorum.confirm(RID, ["a", "b"], reason="r"))
    assert list(answered.answers) == ["a"]
    assert answered.failures["b"].err_type == "already_voted"
    assert cluster.memories["a"].bodies == [{"reason": "r"}] * 2
    late = Cluster(a={path: refusal(400, "deletion_not_ready")})
    assert late.run(lambda quorum: quorum.confirm(RID, ["a"], patience=-1)).failures["a"].err_type == (
        "deletion_not_ready"
    )


def test_receipts_are_carried_from_each_to_every_other() -> None:
    path = f"/reshares/{RID}/receipts"

    def vertex(mine: str) -> dict[str, Any]:
        return {path: [ok({"receipts": [mine], "preimage": None}), ok({"new": 2})]}

    cluster = Cluster(a=vertex("aa"), b=vertex("bb"), c={path: [refusal(404, "not_found"), ok({"new": 5})]})
    carried = cluster.run(lambda quorum: quorum.carry_receipts(RID))
    assert {name: each.new for name, each in carried.answers.items()} == {"a": 2, "b": 2, "c": 10}
    assert [body["receipts"] for body in cluster.memories["a"].bodies] == [["bb"]]
    assert [body["receipts"] for body in cluster.memories["c"].bodies] == [["aa"], ["bb"]]


def share_at(**said: Any) -> KeyShare:
    return read(KeyShare)(key_share(**said))


def test_generations_are_put_together_and_the_one_that_signs_is_found() -> None:
    old = {"gid": "g1", "generation": 1, "state": "retiring", "created_at": "2026-01-01T00:00:00Z"}
    new = {"gid": "g2", "generation": 2, "state": "quarantined", "created_at": "2026-01-02T00:00:00Z"}
    other = {"public_key": "03" + "22" * 32, "gid": "g3", "created_at": "2026-01-03T00:00:00Z"}
    listed = {
        "a": [share_at(**old), share_at(**new), share_at(public_key=None, gid=None)],
        "b": [share_at(**old), share_at(**other)],
        "c": [share_at(**new)],
    }
    keys = assemble(listed)
    assert [(key.gid, key.names) for key in keys] == [("g1", ("a", "b")), ("g2", ("a", "c")), ("g3", ("b",))]
    assert current(keys, "0x0211").gid == "g1"
    done = assemble({"a": [share_at(**old | {"state": "erased"}), share_at(**new | {"state": "active"})]})
    assert current(done, PUBLIC).gid == "g2"
    lost = assemble({"a": [share_at(**old | {"state": "erased"}), share_at(**new)]})
    assert current(lost, PUBLIC).gid == "g2"
    with pytest.raises(ValueError, match="no key with a public key 04…"):
        current(keys, "04")
    with pytest.raises(ValueError, match="2 keys with a public key 0…"):
        current(keys, "0")


def test_a_key_is_found_without_the_vertices_that_do_not_answer() -> None:
    listing = {"/keys": {"results": [key_share()], "next": None}}
    cluster = Cluster(a=listing, b={"/keys": httpx.ConnectError("gone")})
    assert cluster.run(lambda quorum: quorum.find(PUBLIC)).names == ("a",)
    with pytest.raises(QuorumError, match="unreachable"):
        cluster.run(lambda quorum: quorum.keys())
    with pytest.raises(QuorumError, match="unreachable"):
        Cluster(b={"/keys": httpx.ConnectError("gone")}).run(lambda quorum: quorum.find(PUBLIC))
