"""Import of an existing key: it ends as a key generation does, and its secret is nowhere once it has."""

import hashlib
from typing import Any

import pytest
from nacl.signing import SigningKey

from keys import boxes
from keys.keystore import keystore
from keys.models import BoxKey, ProtocolSession
from keys.sessions.log import SessionLog
from mpc.importing import scalar_of
from mpc.schemes import group_of
from tests.life import Killed, Vertex
from vertex.errors import ApiError

SEED = hashlib.sha256(b"a key from elsewhere").digest()
CHAIN_CODE = hashlib.sha256(b"its chain code").digest()


@pytest.mark.parametrize("scheme", ["ecdsa", "ed25519", "bip340"])
def test_an_imported_key_is_active_and_signs(vertex: Vertex, scheme: str) -> None:
    parties = [vertex.party(name, scheme) for name in "abc"]
    key = scalar_of(scheme, SEED).reveal()
    public = group_of(scheme).base_mul(group_of(scheme).decode_scalar(key)).to_bytes()
    done = vertex.import_key(parties, 2, key, CHAIN_CODE, expected_pubkey=public, importer=parties[0].keygen_id)
    assert [operation.state for operation in done] == ["done"] * 3, done[0].result
    assert {party.state for party in parties} == {"active"}
    assert {bytes(party.share.public_key or b"") for party in parties} == {public}
    assert {bytes(party.share.chain_code or b"") for party in parties} == {CHAIN_CODE}
    if scheme == "ed25519":
        assert public == bytes(SigningKey(SEED).verify_key)
    assert [operation.state for operation in vertex.sign(parties[1:])] == ["done"] * 2


def test_the_secret_lies_sealed_until_the_share_is_stored(vertex: Vertex) -> None:
    parties = [vertex.party(name, "ed25519") for name in "ab"]
    vertex.import_key(parties, 2, scalar_of("ed25519", SEED).reveal(), CHAIN_CODE)
    sessions = ProtocolSession.objects.filter(kind="import")
    assert sessions.count() == 2
    assert all("sealed" not in session.params for session in sessions)


def test_a_failed_import_keeps_no_secret_either(vertex: Vertex) -> None:
    parties = [vertex.party(name, "ed25519") for name in "ab"]
    done = vertex.import_key(parties, 2, scalar_of("ed25519", SEED).reveal(), CHAIN_CODE, importer=parties[1].keygen_id)
    assert "importer_keygen_id" in done[1].result["err_msg"]
    importer = ProtocolSession.objects.get(share=parties[0].key_id)
    assert (importer.state, "sealed" in importer.params) == ("failed", False)
    assert {party.state for party in parties} == {"created"}


def test_a_crash_in_the_middle_is_replayed(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    """The importer's process dies after round 1; another worker deals the very same polynomial."""
    sent, died = SessionLog.send, []

    def dying(log: Any, round: int, frames: Any) -> None:
        sent(log, round, frames)
        if round == 1 and not died:
            died.append(round)
            raise Killed

    monkeypatch.setattr(SessionLog, "send", dying)
    parties = [vertex.party(name, "ed25519") for name in "ab"]
    with pytest.raises(Killed):
        vertex.import_key(parties, 2, scalar_of("ed25519", SEED).reveal(), CHAIN_CODE)
    ProtocolSession.objects.update(lease_until=None)
    vertex.run()
    assert {party.state for party in parties} == {"active"}
    assert bytes(parties[0].share.public_key or b"") == bytes(SigningKey(SEED).verify_key)


# --- the box ------------------------------------------------------------------------------------------------------


def test_a_box_opens_for_its_purpose_and_place_only(vertex: Vertex) -> None:
    boxes.ensure_box()
    sealed = boxes.seal_to_workers(b"secret", "import", b"here")
    assert boxes.open_in_worker(sealed, "import", b"here") == b"secret"
    assert b"secret" not in sealed
    for changed, purpose, place in (
        (sealed, "backup", b"here"),
        (sealed, "import", b"there"),
        (sealed[:-1] + bytes((sealed[-1] ^ 1,)), "import", b"here"),
        (b"", "import", b"here"),
    ):
        with pytest.raises(ApiError):
            boxes.open_in_worker(changed, purpose, place)


def test_without_a_worker_there_is_no_box(transactional_db: None) -> None:
    with pytest.raises(ApiError) as error:
        boxes.seal_to_workers(b"secret", "import")
    assert error.value.err_type == "not_ready"


def test_a_box_key_that_served_is_replaced_and_destroyed(vertex: Vertex, settings: Any) -> None:
    boxes.ensure_box()
    old = BoxKey.objects.get()
    boxes.box_renew()
    assert BoxKey.objects.get() == old, "it has not served"
    sealed = boxes.seal_to_workers(b"secret", "import")
    assert boxes.ask_again() == 0, "what is sealed may still be on its way"
    settings.VERTEX_SYNC_TIMEOUT = 0
    assert boxes.ask_again() == 1
    assert vertex.tasks[-1][0] == "keys.box_renew"
    boxes.box_renew()
    new = BoxKey.objects.get()
    assert bytes(new.public) != bytes(old.public)
    assert not keystore().keys.exists(old.data_key)
    with pytest.raises(ApiError):
        boxes.open_in_worker(sealed, "import")


def test_a_box_key_is_kept_while_an_import_needs_it(vertex: Vertex, settings: Any) -> None:
    settings.VERTEX_SYNC_TIMEOUT = 0
    party = vertex.party("a", "ed25519")
    boxes.ensure_box()
    boxes.seal_to_workers(b"secret", "import")
    waiting = {"kind": "import", "share": party.share, "params": {"sealed": "00"}, "room": "r"}
    session = ProtocolSession.objects.create(deadline=party.share.created_at, **waiting)
    assert not boxes.renewal_due()
    session.delete()
    assert boxes.renewal_due()


def test_a_box_key_that_the_keystore_lost_is_replaced(vertex: Vertex) -> None:
    boxes.ensure_box()
    keystore().keys.destroy(BoxKey.objects.get().data_key)
    boxes.ensure_box()
    assert boxes.open_in_worker(boxes.seal_to_workers(b"x", "import"), "import") == b"x"
