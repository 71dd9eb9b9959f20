"""The hello round of a reshare: who may take part, under which parameters, and how all name the attempt alike."""

from typing import Any
from unittest.mock import patch

import pytest

from mpc.attempt import HelloComplete, complete_hellos, rid_of
from mpc.envelope import pack_bodies, unpack_bodies
from mpc.errors import Abort, Malformed, ParameterMismatch
from mpc.group import SECP256K1 as G
from mpc.identity import Identity
from mpc.protocol import SystemRng
from mpc.quorums import ReshareConfig, deletions_range
from mpc.reshare import ReshareResult, reshare
from mpc.wire import Description, Hello, ReshareExtra, ReshareFields, encode
from tests.mpc.reshares import OLD, PUBLIC_KEY, SORTED, A, B, C, run
from tests.mpc.simulator import Network, Stalled, flipped, identity, key, reshare_config, reshare_parties


def hello_complete(network: Network, party: bytes) -> HelloComplete:
    return next(item for item in network.checkpoints[party] if isinstance(item, HelloComplete))


def test_everybody_names_the_attempt_alike_and_the_hellos_prove_it() -> None:
    network = Network()
    run("ABCD", "ABD", 2, network, A={"highest_k": 4, "receipts": (b"one", b"two")}, B={"highest_k": 2})
    completes = [hello_complete(network, party) for party in network.checkpoints]
    assert len(completes) == 4
    for complete in completes:
        assert complete == completes[0] == rid_of(complete.hellos)
    first = completes[0]
    assert (first.k, first.gid, first.d, first.f, first.p) == (5, OLD[A].gid, 2, 0, 2)
    assert (set(first.dealers), set(first.participants)) == ({A, B, C}, {A, B, C, identity("D").public})
    assert first.receipts[A] == (b"one", b"two")
    assert (first.store_by, first.vote_by, first.old_t, first.new_t) == (120, 604_800, 2, 2)


def test_a_joiner_does_not_number_the_attempt() -> None:
    """Else one that says the highest number of all would leave none for any later attempt of this sharing."""
    network = Network()
    run("ABCD", "ABD", 2, network, A={"highest_k": 4}, D={"highest_k": 2**31 - 2})
    assert {hello_complete(network, party).k for party in network.checkpoints} == {5}


@pytest.mark.parametrize(
    ("seen", "numbered"),
    [
        ({"A": 2**16, "B": 0}, 2**16 + 1),
        ({"A": 2**16 + 1, "B": 0}, None),
        ({"A": 2**31 - 2, "B": 2**31 - 3, "C": 2**31 - 3}, None),
        ({"A": 2**31 - 3, "B": 2**31 - 3, "C": 2**31 - 3}, 2**31 - 2),
    ],
    ids=["far", "too far", "none left", "the last one"],
)
def test_no_old_party_uses_the_numbers_up(seen: dict[str, int], numbered: int | None) -> None:
    network = Network()
    outcomes = run("ABC", "ABC", 2, network, **{name: {"highest_k": k} for name, k in seen.items()})
    if numbered is not None:
        assert {hello_complete(network, party).k for party in network.checkpoints} == {numbered}
        return
    assert not any(isinstance(c, HelloComplete) for found in network.checkpoints.values() for c in found)
    assert all(isinstance(outcome, Abort) for outcome in outcomes.values())


def test_two_attempts_have_two_names() -> None:
    networks = [Network(), Network()]
    for network in networks:
        run("ABC", "ABC", 2, network)
    first, second = (hello_complete(network, A) for network in networks)
    assert first.rid != second.rid
    assert first.gid == second.gid


@pytest.mark.parametrize("field", ["store_by", "vote_by", "d", "size", "new_t"])
def test_unequal_parameters_are_named_before_there_is_an_attempt(field: str) -> None:
    values: dict[str, Any] = {"store_by": 5, "vote_by": 5, "d": 3, "new_t": 3}
    parties = reshare_parties(OLD, "ABC", "ABC", 2, special={"B": {"d": 2}} if field == "d" else {})
    base = reshare_config("ABC", 2, "existing", 3)
    fields = {name: getattr(base, name) for name in base.__dataclass_fields__}
    changed = {field: 4 if field == "size" else values[field]}
    other = type(base)(**{**fields, **changed})
    parties[A] = reshare(identity("A"), other, OLD[A].share, SystemRng())
    network = Network()
    outcomes = network.run(parties)
    for party in (B, C):
        assert isinstance(outcomes[party], ParameterMismatch)
        assert outcomes[party].field == field
    assert not network.checkpoints


def test_unequal_generations_are_a_named_error() -> None:
    parties = reshare_parties({**OLD, A: key("ABC", 3)[A]}, "ABC", "ABC", 2)
    outcomes = Network().run(parties)
    assert {outcome.field for outcome in outcomes.values()} == {"gid"}


@pytest.mark.parametrize(
    ("names", "new", "special", "reason"),
    [
        pytest.param("ABC", "ABC", {n: {"deals": False} for n in "AB"}, "1 old parties deal, 2", id="too few deal"),
        pytest.param("ABC", "ABC", {"A": {"d": 3}, "B": {"deals": False}}, "2 old parties deal, 3", id="p is t + f"),
        pytest.param("ABC", "ABD", {}, "not in the room", id="a new party is missing"),
        pytest.param("DE", "DE", {}, "nobody in the room knows", id="no old party"),
        pytest.param("ABD", "D2", {}, "not in the room", id="a new party that nobody saw"),
        pytest.param("ABDE", "DE", {}, "no remaining party vouches", id="joiners without anybody to trust"),
    ],
)
def test_who_must_be_there(names: str, new: str, special: dict[str, Any], reason: str) -> None:
    outcomes = run(names, new, 2, **special)
    joiner = identity("D").public if "vouches" in reason else next(iter(outcomes))
    assert type(outcomes[joiner]) is Abort, outcomes[joiner]
    assert reason in outcomes[joiner].reason


@pytest.mark.parametrize(("field", "value"), [("expected_pubkey", G.generator.to_bytes()), ("old_threshold", 3)])
def test_a_joiners_expectations_are_held(field: str, value: Any) -> None:
    outcomes = run("ABCD", "ABD", 2, D={field: value})
    joiner = outcomes[identity("D").public]
    assert isinstance(joiner, ParameterMismatch)
    assert joiner.field == field
    right = {"expected_pubkey": PUBLIC_KEY, "old_threshold": 2}
    assert isinstance(run("ABCD", "ABD", 2, D=right)[A], ReshareResult)


def forged(change: dict[str, Any]) -> Description:
    description = OLD[A].share.description()
    for name, value in change.items():
        setattr(description, name, value)
    return description


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"public_key": G.generator.to_bytes()}, "do not belong"),
        ({"public_shares": OLD[A].share.description().public_shares[:2]}, "number of public shares"),
        ({"public_shares": (b"\x02" + b"\xff" * 32,) * 3}, "the old quorum: point"),
        ({"public_key": b"\x02" + b"\xff" * 32}, "the old quorum: point"),
        ({"identities": tuple(sorted((A, B, C), reverse=True))}, "order of identities"),
        ({"t": 1}, "quorum"),
        ({"t": 4}, "quorum"),
        ({"scheme": "rsa"}, "scheme"),
    ],
)
def test_a_description_that_all_sign_must_still_hold(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Abort, match=reason):
        check(forged(change))


@pytest.mark.parametrize(
    ("new_t", "new"),
    [(1, SORTED), (4, SORTED), (2, (A, A, B)), (2, SORTED[::-1])],
    ids=["t = 1", "t > n", "twice", "order"],
)
def test_hellos_that_agree_on_an_impossible_new_quorum_name_no_attempt(new_t: int, new: tuple[bytes, ...]) -> None:
    with pytest.raises(Abort, match="the new quorum"):
        check(forged({}), new_t=new_t, new_identities=new)


def check(description: Description, **more: Any) -> None:
    """The hello round's view of a description that all three old parties state and sign."""
    fields = ReshareFields(
        room="reshare",
        scheme=description.scheme,
        size=3,
        new_identities=more.get("new_identities", SORTED),
        new_t=more.get("new_t", 2),
        store_by=1,
        vote_by=1,
        d=None,
        gid=description.gid,
        old_identities=description.identities,
        old_t=description.t,
        public_key=description.public_key,
        public_shares=description.public_shares,
        chain_code_hash=description.chain_code_hash,
    )
    extra = encode(ReshareExtra(highest_k=0, receipts=(), description=bytes(64)))
    hello = Hello("reshare", bytes(32), bytes(32), "existing+deals", encode(fields), extra)
    complete_hellos(dict.fromkeys(sorted((A, B, C)), hello), ())


def test_a_description_that_is_not_signed_by_its_sender_is_not_heard() -> None:
    sign = Identity.sign

    def forge(self: Identity, tag: str, *parts: bytes) -> bytes:
        return sign(identity("Z") if tag == "description" and self.public == A else self, tag, *parts)

    with patch.object(Identity, "sign", forge):
        outcomes = run("ABCD", "ABD", 2)
    assert [type(outcomes[party]) for party in (B, C, identity("D").public)] == [Stalled] * 3


def test_a_role_that_the_quorums_contradict_is_named() -> None:
    network = Network()
    parties = reshare_parties(OLD, "ABC", "ABC", 2)
    joining = reshare_config("ABC", 2, "joining", 3)
    outcomes = network.run({**parties, A: reshare(identity("A"), joining, None, SystemRng())})
    assert {type(outcome) for outcome in outcomes.values()} == {ParameterMismatch}
    assert {outcome.field for outcome in outcomes.values()} == {"role"}


@pytest.mark.parametrize(
    ("role", "more", "old"),
    [
        pytest.param("joining", {}, OLD[A].share, id="joining with a share"),
        pytest.param("joining", {"deals": True}, None, id="joining and dealing"),
        pytest.param("existing", {"deals": True}, None, id="dealing without a share"),
        pytest.param("existing", {"deals": False}, None, id="old without a generation"),
        pytest.param("departing", {}, OLD[A].share, id="departing and staying"),
        pytest.param("existing", {"size": 2}, OLD[A].share, id="a room too small"),
        pytest.param("existing", {"d": 1}, OLD[A].share, id="d too low"),
        pytest.param("existing", {"d": 4}, OLD[A].share, id="d too high"),
        pytest.param("existing", {"store_by": 0}, OLD[A].share, id="no time"),
        pytest.param("existing", {"highest_k": -1}, OLD[A].share, id="k"),
        pytest.param("existing", {"receipts": (bytes(16_385),)}, OLD[A].share, id="a receipt too long"),
        pytest.param("existing", {}, OLD[B].share, id="another's share"),
        pytest.param("other", {}, OLD[A].share, id="no role"),
    ],
)
def test_impossible_requests(role: Any, more: dict[str, Any], old: Any) -> None:
    base: dict[str, Any] = {
        "room": "room", "scheme": "ecdsa", "size": 3, "new_identities": (A, B, C), "new_t": 2, "store_by": 1,
        "vote_by": 1, "role": role, "deals": role in ("existing", "departing"),
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"\w"):
        next(reshare(identity("A"), ReshareConfig(**{**base, **more}), old, SystemRng()))


@pytest.mark.parametrize(
    ("n", "t", "expected"), [(2, 2, [1]), (3, 2, [2, 3]), (3, 3, [1]), (4, 2, [3, 4]), (5, 3, [3, 4, 5])]
)
def test_how_many_deletions_may_be_asked_for(n: int, t: int, expected: list[int]) -> None:
    assert list(deletions_range(n, t)) == expected


def signed_hellos() -> bytes:
    network = Network()
    run("ABC", "ABC", 2, network)
    return hello_complete(network, A).hellos


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda bodies: bodies[1:], id="one missing"),
        pytest.param(lambda bodies: bodies[::-1], id="another order"),
        pytest.param(lambda bodies: (bodies[0], *bodies), id="one twice"),
        pytest.param(lambda bodies: (flipped(bodies[0]), *bodies[1:]), id="a signature"),
        pytest.param(lambda bodies: (bodies[0][:40], *bodies[1:]), id="cut"),
        pytest.param(lambda bodies: (), id="none"),
    ],
)
def test_hellos_that_prove_no_attempt(change: Any) -> None:
    with pytest.raises(Malformed):
        rid_of(pack_bodies(change(unpack_bodies(signed_hellos()))))
