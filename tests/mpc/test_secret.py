"""Secrets don't leak by accident."""

import copy
import importlib
import inspect
import json
import pickle
import pkgutil

import msgspec
import pytest

import mpc
from mpc.identity import Identity
from mpc.mul import MulReceiver, verify_extension
from mpc.ot.state import AliceState, BobState
from mpc.protocol import SeededRng
from mpc.secret import Confidential, Secret
from mpc.shares import UncheckedShare
from mpc.sharing import Polynomial
from mpc.wire import SecretMessage
from tests.mpc.pairs import Draws, set_up
from tests.mpc.simulator import key

CANARY = b"canary-" + bytes(25)


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format, lambda s: f"{[s]}"])
def test_prints_redacted(show):
    assert "canary" not in show(Secret(CANARY))
    assert "<redacted>" in show(Secret(CANARY))


REFUSED = {
    "==": lambda s: s == Secret(CANARY),
    "!=": lambda s: s != CANARY,
    "hash": hash,
    "in a set": lambda s: {s},
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "json": json.dumps,
    "msgspec": msgspec.json.encode,
    "bytes": bytes,
    "vars": vars,
}


@pytest.mark.parametrize("use", REFUSED.values(), ids=REFUSED)
def test_refuses(use):
    with pytest.raises(TypeError):
        use(Secret(CANARY))


def test_reveals_and_compares_when_asked():
    secret = Secret(bytearray(CANARY))
    assert secret.reveal() == CANARY
    assert len(secret) == 32
    assert secret.equals(Secret(CANARY))
    assert not secret.equals(Secret(CANARY[:-1] + b"\x01"))
    assert not secret.equals(Secret(CANARY[:-1]))


# Classes whose content anybody may see. Whatever else `mpc/` defines holds a secret, or could.
PUBLIC = {
    "mpc.attempt": {"HelloComplete"},
    "mpc.batch": {"BatchRequest"},
    "mpc.channel": {"Channel"},
    "mpc.dealing": {"Complaint"},
    "mpc.ed25519": {"Ed25519"},
    "mpc.export": {"ExportRequest"},
    "mpc.findings": {"Findings"},
    "mpc.frost.core": {"NonceCommitment"},
    "mpc.frost.signing": {"FrostRequest"},
    "mpc.frost.suites": {"Bip340Sha256", "Ed25519Sha512", "Secp256k1Sha256", "Suite"},
    "mpc.group": {"Group", "Point", "Secp256k1"},
    "mpc.importing": {"Expected"},
    "mpc.keygen": {"KeygenConfig", "KeygenStatement"},
    "mpc.protocol": {"Checkpoint", "Frame", "Release", "Rng", "Step", "SystemRng"},
    "mpc.quorums": {"ReshareConfig"},
    "mpc.reshare": {"Promises"},
    "mpc.schemes": {"Scheme"},
    "mpc.sign": {"Begin", "SignRequest"},
    "mpc.signature": {"Signature"},
    "mpc.statements": {"ReshareRecord", "ReshareStatement"},
    "mpc.wire": {
        "BatchFields",
        "BatchOffers",
        "Bundle",
        "Commitment",
        "Description",
        "EchoedOutcome",
        "ExportFields",
        "ExportReady",
        "FrostCommitment",
        "FrostFields",
        "FrostShare",
        "Hello",
        "ImportCommitment",
        "KeygenFields",
        "KeygenOpening",
        "Message",
        "Opening",
        "Outcome",
        "Participant",
        "Promise",
        "QuorumFields",
        "ReshareExtra",
        "ReshareFields",
        "ReshareOpening",
        "SetupKey",
        "SignFields",
        "SignShare",
    },
}


def confidential() -> list[type]:
    """Every class of `mpc/` that is not public."""
    found = []
    for info in pkgutil.walk_packages(mpc.__path__, "mpc."):
        for name, cls in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
            here = cls.__module__ == info.name and not issubclass(cls, Exception)
            if here and name not in PUBLIC.get(info.name, ()):
                found.append(cls)
    return found


@pytest.mark.parametrize("cls", confidential(), ids=lambda cls: cls.__name__)
def test_a_class_that_is_not_public_is_confidential(cls):
    """Not pickled, and compared by identity or not at all."""
    assert issubclass(cls, Confidential | SecretMessage)
    assert cls.__reduce__ in (Confidential.__reduce__, SecretMessage.__reduce__)
    assert cls.__eq__ in (object.__eq__, Secret.__eq__, msgspec.Struct.__eq__)


def test_public_classes_exist():
    for module, names in PUBLIC.items():
        assert [name for name in names if not hasattr(importlib.import_module(module), name)] == []


def holders():
    """One of each kind that holds the canary, and the form in which it does."""
    pair = set_up("secret")
    psid, alice, bob = bytes(32), pair.alice, pair.bob
    receiver, message = MulReceiver.start(bob, psid, Draws("canary", {"beta": CANARY * 2 + bytes(4)}))
    share = next(iter(key("AB", 2).values())).share
    yield AliceState(CANARY[:16], alice.leaves), CANARY[:16]
    yield BobState(alice.leaves), alice.leaves.tobytes()[:16]
    yield receiver, receiver.b.to_bytes(32, "big")
    yield verify_extension(alice, psid, message), alice.delta
    yield SeededRng(CANARY), CANARY
    yield Identity(CANARY), CANARY
    yield Polynomial(share.group, [int.from_bytes(CANARY, "big"), 1]), CANARY
    yield share, share.secret.reveal()
    yield next(iter(key("AB", 2).values())), share.secret.reveal()


@pytest.mark.parametrize(("holder", "secret"), [*holders()], ids=lambda each: type(each).__name__)
def test_holders_show_and_give_nothing_away(holder, secret):
    for shown in (repr(holder), str(holder), f"{[holder]}"):
        for form in (repr(secret)[2:-1], secret.hex(), str(int.from_bytes(secret, "big"))):
            assert form not in shown
    for use in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError):
            use(holder)


def test_secret_messages_are_not_pickled_and_compared_by_identity():
    share = next(iter(key("AB", 2).values())).share
    one, other = (msgspec.msgpack.decode(share.encode(), type=UncheckedShare) for _ in range(2))
    assert one != other
    assert share.secret.reveal().hex() not in repr(one)
    with pytest.raises(TypeError):
        pickle.dumps(one)
