"""What version 1 has stored still loads, means the same, and works: it must for ever."""

from pathlib import Path
from typing import Any

import pytest

from keys import receipts
from keys.stored import proves_possession
from mpc import keygen as keygens
from mpc import reshare as reshares
from mpc.errors import Malformed
from mpc.frost.signing import FrostRequest, frost_sign
from mpc.identity import Identity
from mpc.keygen import KeygenConfig, keygen
from mpc.protocol import Frame, Protocol, SeededRng, Step, SystemRng
from mpc.schemes import SCHEMES, scheme_of
from mpc.shares import PairState, Share
from mpc.sharing import ranks
from mpc.sign import SignRequest, sign
from mpc.signature import Signature
from tests.keys.corpus import FILES, data, read
from tests.mpc.simulator import Network

DIGEST = bytes(range(32))
corpus = pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])


def shares(stored: dict[str, Any]) -> dict[bytes, tuple[Identity, Share, dict[bytes, PairState]]]:
    """Identity, share and pairs by party, as they load."""
    loaded = {}
    for party in stored["parties"]:
        me, share = Identity(data(party["identity"])), Share.decode(data(party["share"]))
        pairs = [PairState.decode(data(pair["encoded"])) for pair in party["pairs"]]
        loaded[me.public] = me, share, {pair.peer: pair for pair in pairs}
    return loaded


def test_there_is_a_corpus() -> None:
    assert {f"version-1-{scheme}" for scheme in SCHEMES} <= {path.stem for path in FILES}


@corpus
def test_shares_and_pairs_load(path: Path) -> None:
    stored = read(path)
    for party, (me, share, pairs) in zip(stored["parties"], shares(stored).values(), strict=True):
        assert share.secret.reveal().hex() == party["secret"]
        assert (share.identity, share.scheme, share.t) == (me.public, stored["scheme"], stored["t"])
        assert (share.public_key.hex(), share.chain_code.hex()) == (stored["public_key"], stored["chain_code"])
        assert share.gid.hex() == stored["keygen"]["gid"]
        assert share.encode() == data(party["share"])
        pairwise = scheme_of(share.scheme).pairwise
        assert set(pairs) == (set(share.identities) - {me.public} if pairwise else set())
        for pair, loaded in zip(party["pairs"], pairs.values(), strict=True):
            assert loaded.gid == share.gid
            assert loaded.zero_seed.reveal().hex() == pair["zero_seed"]
            assert loaded.encode() == data(pair["encoded"])


@corpus
def test_they_still_sign(path: Path) -> None:
    loaded = shares(read(path))
    outcomes = Network().run({party: signer(*held, size=len(loaded)) for party, held in loaded.items()})
    assert all(isinstance(outcome, Signature | bytes) for outcome in outcomes.values()), outcomes


def signer(me: Identity, share: Share, pairs: dict[bytes, PairState], size: int) -> Protocol[Any]:
    """A party that signs with what it holds; each protocol verifies its signature before it returns it."""
    if scheme_of(share.scheme).pairwise:
        return sign(me, share, pairs, SignRequest(room="room", size=size, digest=DIGEST), SystemRng())
    return frost_sign(me, share, FrostRequest(room="room", size=size, message=DIGEST), SystemRng())


def resumed(protocol: Protocol[Any], inbound: list[Frame]) -> Any:
    """The result of a session that hears what is stored."""
    step = next(protocol)
    try:
        while True:
            assert isinstance(step, Step)
            step = protocol.send([frame for frame in inbound if step.accept(frame)])
    except StopIteration as stop:
        return stop.value


@corpus
def test_a_parked_session_goes_on_and_ends_as_it_did(path: Path) -> None:
    stored = read(path)
    kept, (me, share, _) = stored["session"], next(iter(shares(stored).values()))
    config = KeygenConfig(room=kept["room"], scheme=stored["scheme"], t=share.t, identities=share.identities)
    protocol = keygen(me, config, SeededRng(data(kept["seed"])))
    inbound = [Frame(number, *map(data, parts)) for number, *parts in kept["inbound"]]
    assert resumed(protocol, inbound).share.encode() == share.encode()


@corpus
def test_statements_and_receipts_verify(path: Path) -> None:
    stored = read(path)
    made, moved = stored["keygen"], stored["reshare"]
    statement = keygens.verify_preimage(data(made["preimage"]))
    assert (statement.digest.hex(), statement.gid.hex()) == (made["digest"], made["gid"])
    assert statement.public_key.hex() == stored["public_key"]
    after = reshares.verify_preimage(data(moved["preimage"]), statement.description)
    assert (after.digest.hex(), after.gid_new.hex(), after.rid.hex()) == (moved["digest"], moved["gid"], moved["rid"])
    assert after.public_key.hex() == stored["public_key"]
    assert reshares.rid_of(data(moved["hellos"])).rid == after.rid

    receipt = receipts.parse(data(stored["receipt"]["encoded"]))
    assert (receipt.kind, receipt.subject.hex(), receipt.digest) == (
        receipts.STORED,
        stored["receipt"]["subject"],
        statement.digest,
    )
    own = statement.public_shares[ranks(statement.identities)[receipt.party] - 1]
    assert proves_possession(receipt, scheme=statement.scheme, public_share=own)


@corpus
def test_a_share_of_another_version_is_refused(path: Path) -> None:
    """The version is the first field; 1 is one byte of msgpack."""
    encoded = data(read(path)["parties"][0]["share"])
    assert encoded[1] == 1
    with pytest.raises(Malformed):
        Share.decode(encoded[:1] + b"\x02" + encoded[2:])
