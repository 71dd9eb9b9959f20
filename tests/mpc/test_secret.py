"""Secrets don't leak by accident."""

import copy
import json
import pickle

import msgspec
import pytest

from mpc.secret import Secret

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
