"""A private key that comes to a quorum of running vertices from outside, is signed with, and leaves for one party."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from coincurve import PrivateKey, PublicKeyXOnly
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cluster.cluster import Cluster
from tests.cluster.contract import SCHEMES
from tests.cluster.outside import (
    Caller,
    Party,
    everywhere,
    keygen,
    keygen_body,
    new_party,
    new_user,
    room,
    sign,
    sign_body,
)

ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def public_of(scheme: str, secret: bytes) -> str:
    """What wallets make of a private key; of Ed25519 of its seed."""
    if scheme == "ecdsa":
        return PrivateKey(secret).public_key.format().hex()
    if scheme == "bip340":
        return PublicKeyXOnly.from_secret(secret).format().hex()
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw().hex()


def scalar_of(seed: bytes) -> int:
    """The scalar of an Ed25519 seed (RFC 8032, section 5.1.5), reduced."""
    low = bytearray(hashlib.sha512(seed).digest()[:32])
    low[0] &= 248
    low[31] = low[31] & 127 | 64
    return int.from_bytes(low, "little") % ED25519_ORDER


def is_the_same(scheme: str, secret: bytes, exported: bytes) -> bool:
    if scheme == "ed25519":
        return int.from_bytes(exported, "little") == scalar_of(secret)
    return public_of(scheme, exported) == public_of(scheme, secret)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_key_comes_and_goes(new_parties: Callable[..., list[Party]], scheme: str) -> None:
    importer, recipient, third = parties = new_parties(3, scheme)
    secret = secrets.token_bytes(32)
    name = room(importer, 3)

    def imported(party: Party) -> Any:
        body = keygen_body(party, parties, 2, name)
        if party is importer:
            return party.user.ok(f"POST /{scheme}/import/key-importer", body | {"private_key": secret.hex()})
        return party.user.ok(f"POST /{scheme}/import/import-key-share-recipient", body)

    assert everywhere(parties, imported) == [{}] * 3
    assert {party.key["public_key"] for party in parties} == {public_of(scheme, secret)}
    sign([recipient, third])
    again = keygen_body(importer, parties, 2, room(importer, 3)) | {"private_key": secret.hex()}
    assert importer.user.refused(f"POST /{scheme}/import/key-importer", again) == "already_performed_keygen"

    # By any two, to one of them.
    name = room(importer, 2)
    call = f"POST /{scheme}/export/full"
    export_to = recipient.user.ok(f"GET /{scheme}/export/exportId/{recipient.key_id}")["export_id"]
    told = everywhere(
        [importer, recipient],
        lambda party: party.user.ok(call, {"key_id": party.key_id, "export_to": export_to, "room_uuid": name}),
    )
    assert told[0] == {}
    assert set(told[1]) == {"private_key"}
    assert is_the_same(scheme, secret, bytes.fromhex(told[1]["private_key"]))
    # It is no quorum's key any more, where that is known.
    for party in (importer, recipient):
        assert party.user.refused(f"POST /{scheme}/sign", sign_body(party, name)) == "share_superseded"
        refresh = {"key_id": party.key_id, "room_uuid": name}
        assert party.user.refused(f"POST /{scheme}/refresh", refresh) == "share_superseded"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_can_not_be_imported(unused: list[Party], scheme: str) -> None:
    first = unused[0]
    created = first.user.ok(f"GET /{scheme}/create", idempotency_key=f"before {scheme}")
    body = keygen_body(first, unused, 2, room(first, 3)) | {"key_id": created["key_id"]}
    for wrong in ("", "00" * 31, "00" * 33, "zz", 7, None):
        given = body | {"private_key": wrong}
        assert first.user.refused(f"POST /{scheme}/import/key-importer", given) == "bad_request_params"
    if scheme != "ed25519":
        for scalar in ("00" * 32, "ff" * 32):
            given = body | {"private_key": scalar}
            assert first.user.refused(f"POST /{scheme}/import/key-importer", given) == "bad_request_params"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_to_whom_nothing_is_exported(key_of: Callable[[str], list[Party]], scheme: str) -> None:
    first = key_of(scheme)[0]
    for recipient in ("", "vtx1", first.key_id, 7, None):
        body = {"key_id": first.key_id, "export_to": recipient, "room_uuid": room(first, 2)}
        assert first.user.refused(f"POST /{scheme}/export/full", body) == "bad_request_params"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_share_stays_unless_its_operator_lets_it_out(key_of: Callable[[str], list[Party]], scheme: str) -> None:
    first = key_of(scheme)[0]
    disabled = "server_share_backup_setting_disabled"
    assert first.user.refused(f"GET /{scheme}/backup/export-key-share/{first.key_id}") == disabled


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_share_moves_to_another_vertex_by_its_backup(cluster: Cluster, scheme: str) -> None:
    """F's operator lets shares out. At E one comes in suspended, and acts when E's operator agrees."""
    a, e, f = (cluster.vertex(name) for name in "aef")
    stays, leaves = parties = [new_party(vertex.url, vertex.admin_token, scheme) for vertex in (a, f)]
    public = keygen(parties, 2)
    backup = leaves.user.ok(f"GET /{scheme}/backup/export-key-share/{leaves.key_id}")
    assert set(backup) == {"key_share", "export_type"}
    assert backup["export_type"] == "plaintext"
    take_in = f"POST /{scheme}/backup/import-key-share"
    assert leaves.user.refused(take_in, backup) == "unique_violation"
    for wrong in ({"key_share": "AAAA"}, {"key_share": 7}, {"export_type": "encrypted"}, {"export_type": "x"}):
        assert leaves.user.refused(take_in, backup | wrong) == "bad_request_params"

    user, user_id = new_user(e.url, e.admin_token)
    given = user.ok(take_in, backup)
    assert set(given) == {"key_id", "bans_known_until"}
    key_id = given["key_id"]
    moved = replace(leaves, admin=Caller(e.url, e.admin_token), user=user, user_id=user_id, key_id=key_id)
    assert moved.key["public_key"] == public
    assert user.refused(f"POST /{scheme}/sign", sign_body(moved, room(moved, 2))) == "reshare_conflict"
    told = [datetime.fromisoformat(each["bans_known_until"]) for each in (given, moved.key["restored"])]
    assert told[0] == told[1]
    word = {"reason": "F is closed down", "statement_hash": moved.key["restored"]["statement_hash"]}
    assert moved.admin.ok(f"POST /keys/{key_id}/agree", word) == {"agreed": True}
    assert moved.key["restored"] is None
    # No such room: the share would act.
    assert user.refused(f"POST /{scheme}/sign", sign_body(moved, key_id)) == "bad_request_params"
    if scheme != "ecdsa":  # whose pairs stay behind: a refresh makes them anew
        sign([stays, moved])
