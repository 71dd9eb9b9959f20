"""Import: an existing key, dealt by its holder; the same key afterwards, and every lie of a dealer or recipient."""

import hashlib
from typing import Any

import pytest
from coincurve import PrivateKey
from nacl.signing import SigningKey

from mpc.errors import Abort, Malformed, ParameterMismatch
from mpc.frost.signing import FrostRequest
from mpc.group import SECP256K1
from mpc.hashing import TH
from mpc.importing import Expected, KeyFormat, scalar_of
from mpc.keygen import KeygenConfig, keygen, verify_preimage
from mpc.protocol import SystemRng
from mpc.schemes import group_of, scheme_of
from mpc.sign import SignRequest
from mpc.signature import Signature
from mpc.wire import ImportCommitment, Opening, ReshareDeal, ReshareOpening
from tests.mpc.simulator import (
    Lie,
    Network,
    blames,
    change,
    edit,
    identities,
    identity,
    import_parties,
    run_frost,
    run_sign,
    telling,
)

SEED = hashlib.sha256(b"a key from elsewhere").digest()
PARTIES = identities("ABC")
IMPORTER, LIAR, HONEST = (identity(name).public for name in "ABC")
ORDER, L = group_of("ecdsa").order, group_of("ed25519").order


def run_import(scheme: str = "ecdsa", names: str = "ABC", t: int = 2, **special: Any) -> dict[bytes, Any]:
    return Network().run(import_parties("A", names, t, scalar_of(scheme, SEED).reveal(), scheme, **special))


def public_key(scheme: str) -> bytes:
    if scheme == "ed25519":
        return bytes(SigningKey(SEED).verify_key)
    return PrivateKey(SEED).public_key.format()


@pytest.mark.parametrize("scheme", ["ecdsa", "ed25519", "bip340"])
@pytest.mark.parametrize(("names", "t"), [("AB", 2), ("ABC", 2), ("ABC", 3)])
def test_everybody_holds_a_share_of_the_imported_key(scheme: str, names: str, t: int) -> None:
    results = run_import(scheme, names, t, expected=Expected(IMPORTER, scheme_of(scheme).shown(public_key(scheme))))
    shares = [result.share for result in results.values()]
    assert {share.public_key for share in shares} == {public_key(scheme)}
    assert {share.chain_code for share in shares} == {TH("test/chain-code")}
    assert len({(result.sid, result.gid, result.digest, result.preimage) for result in results.values()}) == 1
    assert verify_preimage(results[IMPORTER].preimage).public_key == public_key(scheme)
    assert all(len(result.pairs) == (len(names) - 1 if scheme == "ecdsa" else 0) for result in results.values())
    some = identities(names)[-t:]
    if scheme == "ecdsa":
        signed = run_sign(results, some, SignRequest(room="sign", size=t, digest=TH("test/message"), path=(1,)))
        assert all(isinstance(signature, Signature) for signature in signed.values()), signed
    else:
        signed = run_frost(results, some, FrostRequest(room="sign", size=t, message=b"imported"))
        assert all(isinstance(signature, bytes) for signature in signed.values()), signed


def test_t_minus_1_shares_say_nothing_else_than_a_random_polynomial_does() -> None:
    """Two imports of one key share nothing but the key."""
    one, two = run_import(), run_import()
    assert not {result.share.secret.reveal() for result in one.values()} & {
        result.share.secret.reveal() for result in two.values()
    }


@pytest.mark.parametrize(
    ("expected", "field"),
    [
        (Expected(importer=LIAR), "importer_keygen_id"),
        (Expected(public_key=SECP256K1.base_mul(7).to_bytes()), "expected_pubkey"),
    ],
)
def test_what_the_recipients_were_told_is_checked(expected: Expected, field: str) -> None:
    outcomes = run_import(expected=expected)
    for party in (LIAR, HONEST):
        assert isinstance(outcomes[party], ParameterMismatch)
        assert outcomes[party].field == field
    assert isinstance(outcomes[IMPORTER], Exception)


@pytest.mark.parametrize("importers", ["", "AB"])
def test_there_is_exactly_one_importer(importers: str) -> None:
    key = scalar_of("ecdsa", SEED).reveal()
    protocols = import_parties("D", "ABC", 2, key)
    for name in importers:
        me = identity(name).public
        protocols[me] = import_parties(name, "ABC", 2, key)[me]
    outcomes = Network().run(protocols)
    assert {type(outcome) for outcome in outcomes.values()} == {ParameterMismatch}


def test_key_generation_and_import_do_not_mix() -> None:
    protocols = import_parties("A", "ABC", 2, scalar_of("ecdsa", SEED).reveal())
    config = KeygenConfig("import", "ecdsa", 2, tuple(one.public for one in PARTIES))
    protocols[HONEST] = keygen(identity("C"), config, SystemRng())
    assert {type(outcome) for outcome in Network().run(protocols).values()} == {ParameterMismatch}


OPENING = Opening(points=(b"\x02" * 33,), proofs=(bytes(64),), blind=bytes(32))


@pytest.mark.parametrize(
    "lie",
    [
        Lie(LIAR, 1, edit(ImportCommitment, change("commitment", to=bytes(32))), private=False),
        Lie(LIAR, 2, edit(ReshareOpening, change("opening", to=OPENING)), private=False),
        Lie(LIAR, 2, edit(ReshareDeal, change("setup", to=None))),
    ],
    ids=["commits", "opens", "no set-up"],
)
def test_a_recipient_who_deals_or_sets_nothing_up_is_blamed(lie: Lie) -> None:
    with telling(lie):
        outcomes = run_import()
    for party in (IMPORTER, HONEST):
        assert blames(outcomes[party]) == ({LIAR}, False)


@pytest.mark.parametrize("scheme", ["ecdsa", "ed25519", "bip340"])
def test_an_importer_who_deals_a_share_of_another_polynomial_is_blamed_with_evidence(scheme: str) -> None:
    with telling(Lie(IMPORTER, 2, edit(ReshareDeal, change("deal", "share", to=bytes(31) + b"\x05")), receiver=HONEST)):
        outcomes = run_import(scheme)
    assert blames(outcomes[HONEST]) == ({IMPORTER}, False)
    assert outcomes[HONEST].evidence
    assert isinstance(outcomes[LIAR], Exception), "somebody holds a result"


def test_an_importer_who_gives_one_party_another_chain_code_is_blamed() -> None:
    with telling(Lie(IMPORTER, 2, edit(ReshareDeal, change("deal", "chain_code")), receiver=HONEST)):
        outcomes = run_import()
    assert blames(outcomes[HONEST]) == ({IMPORTER}, False)


VALUES: dict[str, tuple[str, bytes, KeyFormat]] = {
    "zero": ("ecdsa", bytes(32), "seed"),
    "one": ("bip340", (1).to_bytes(32, "big"), "seed"),
    "the order": ("ecdsa", ORDER.to_bytes(32, "big"), "seed"),
    "too large": ("bip340", b"\xff" * 32, "scalar"),
    "short": ("ecdsa", bytes(31), "seed"),
    "long": ("ed25519", SEED + b"\0", "seed"),
    "ed25519 zero": ("ed25519", bytes(32), "scalar"),
    "ed25519 the order": ("ed25519", L.to_bytes(32, "little"), "scalar"),
    "ed25519 one more": ("ed25519", (L + 1).to_bytes(32, "little"), "scalar"),
}


@pytest.mark.parametrize(("scheme", "private_key", "key_format"), VALUES.values(), ids=VALUES)
def test_what_is_no_private_key(scheme: str, private_key: bytes, key_format: KeyFormat) -> None:
    with pytest.raises(Malformed):
        scalar_of(scheme, private_key, key_format)


def test_a_seed_and_its_scalar_are_one_key() -> None:
    clamped = bytearray(hashlib.sha512(SEED).digest()[:32])
    clamped[0] &= 248
    clamped[31] &= 127
    clamped[31] |= 64
    assert scalar_of("ed25519", bytes(clamped), "scalar").equals(scalar_of("ed25519", SEED, "seed"))


def test_the_group_of_a_degenerate_key_is_refused_by_the_recipients_too() -> None:
    outcomes = Network().run(import_parties("A", "AB", 2, (1).to_bytes(32, "big")))
    assert {type(outcome) for outcome in outcomes.values()} == {Abort}
