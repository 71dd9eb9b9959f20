"""Shares at rest: stored once, bound to what they are, read back, and erased so that each check holds."""

import json
import os
import uuid
from collections.abc import Callable

import pytest

from keys import shares
from keys.keystore import JournalExists, keystore
from keys.models import KeyShare, PairState
from keys.shares import (
    ShareUnusable,
    identity_create,
    identity_open,
    journal_entry,
    journal_name,
    pairs_open,
    share_erase,
    share_keep,
    share_key_exists,
    share_open,
    share_row_from_journal,
)
from mpc.keygen import KeygenResult
from tests.life import Party, Vertex
from tests.mpc.simulator import identity, key
from tests.reshare.attempts import seal_identity


@pytest.fixture
def party(vertex: Vertex) -> Party:
    made = vertex.party("a")
    sealed = seal_identity(identity("a"))
    KeyShare.objects.filter(id=made.key_id).update(identity=sealed)
    return Party("a", made.user, made.key_id, bytes(sealed.public))


def result() -> KeygenResult:
    return key("abc", 2)[identity("a").public]


def keep(party: Party) -> dict[str, object]:
    made = result()
    return share_keep(key=party.share, share=made.share, pairs=made.pairs, digest=made.digest, extra={"why": "test"})


def stored(party: Party) -> KeyShare:
    return share_row_from_journal(keep(party))[0]


def test_a_share_is_stored_and_read_back(party: Party) -> None:
    row = stored(party)
    assert (row.state, bytes(row.gid or b""), row.threshold) == ("quarantined", result().gid, 2)
    assert share_open(row).encode() == result().share.encode()
    assert {peer: state.encode() for peer, state in pairs_open(row).items()} == {
        peer: state.encode() for peer, state in result().pairs.items()
    }
    secret = result().share.encode()
    assert secret not in bytes(row.sealed_share or b"")
    assert (journal_entry(row) or {})["extra"] == {"why": "test"}


def test_before_the_row_there_is_the_keystore(party: Party) -> None:
    keep(party)
    assert party.state == "created"
    assert keystore().journal.read(journal_name(party.identity, result().gid)) is not None
    assert share_key_exists(party.share) is False, "the row does not name a sharing yet"


def test_storing_again_changes_nothing(party: Party) -> None:
    first, again = keep(party), keep(party)
    assert first == again
    refs = set(keystore().keys.list())
    _, changed = share_row_from_journal(first)
    assert changed
    KeyShare.objects.filter(id=party.key_id).update(state="active")
    row, changed = share_row_from_journal(keep(party))
    assert (changed, row.state) == (False, "active")
    assert set(keystore().keys.list()) == refs
    assert PairState.objects.count() == 2


def test_of_two_workers_that_store_one_share_one_wins(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = keystore().journal
    create = journal.create

    def raced(name: str, data: bytes) -> None:
        monkeypatch.setattr(journal, "create", create)
        winner.append(keep(party))
        raise JournalExists(name)

    winner: list[dict[str, object]] = []
    monkeypatch.setattr(journal, "create", raced)
    assert keep(party) == winner[0]
    assert len(keystore().keys.list()) == 2 + 3, "two identities, share, two pairs: nothing of the loser is left"


def test_a_share_that_was_written_twice_on_its_way_is_kept(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """What carries the call to the keystore repeats it: the second one finds the first one's record."""
    journal = keystore().journal
    create = journal.create

    def twice(name: str, data: bytes) -> None:
        create(name, data)
        create(name, data)

    monkeypatch.setattr(journal, "create", twice)
    row, changed = share_row_from_journal(keep(party))
    assert changed
    assert share_open(row).encode() == result().share.encode()
    assert len(pairs_open(row)) == 2


@pytest.mark.parametrize(("state", "kept"), [("created", True), ("erased", False), ("discarded", False)])
def test_an_erased_share_is_not_written_again_by_a_worker_that_was_frozen(
    party: Party, monkeypatch: pytest.MonkeyPatch, state: str, kept: bool
) -> None:
    """Another one stored it, and it was erased, between the look into the journal and the write."""
    late = party.share
    before = set(keystore().keys.list())
    KeyShare.objects.filter(id=party.key_id).update(state=state)
    made = result()
    arguments = {"share": made.share, "pairs": made.pairs, "digest": made.digest, "extra": {}}
    if kept:
        assert share_keep(key=late, **arguments)["gid"] == made.gid.hex()
        return
    with pytest.raises(ShareUnusable, match=state):
        share_keep(key=late, **arguments)
    assert set(keystore().keys.list()) == before
    assert keystore().journal.list("share/") == []


@pytest.mark.parametrize("state", ["quarantined", "active", "retiring", "parked"])
def test_a_worker_that_was_frozen_after_its_write_destroys_no_share_that_another_goes_by(
    party: Party, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """The next worker finds the record, makes the row from it and goes on, before the first one looks at the row."""
    journal = keystore().journal
    create = journal.create

    def adopted(name: str, data: bytes) -> None:
        create(name, data)
        share_row_from_journal(json.loads(data))
        KeyShare.objects.filter(id=party.key_id).update(state=state)

    monkeypatch.setattr(journal, "create", adopted)
    keep(party)
    row = KeyShare.objects.select_related("identity").get(id=party.key_id)
    assert share_open(row).encode() == result().share.encode()
    assert len(pairs_open(row)) == 2
    assert journal_entry(row) is not None


def test_a_row_that_the_database_lost_is_made_again(party: Party) -> None:
    stored(party)
    PairState.objects.all().delete()
    KeyShare.objects.all().delete()
    record = journal_entry(KeyShare(identity=seal_row(party), gid=result().gid))
    assert record is not None
    row, changed = share_row_from_journal(record)
    assert changed
    assert (row.id, row.state, row.user) == (party.key_id, "quarantined", party.user)
    assert share_open(row).encode() == result().share.encode()


def seal_row(party: Party) -> shares.PartyIdentity:
    return shares.PartyIdentity.objects.get(public=party.identity)


@pytest.mark.parametrize(
    "change",
    [
        {"id": uuid.uuid4()},
        {"gid": os.urandom(32)},
        {"scheme": "ed25519"},
        {"sealed_share": os.urandom(500)},
        {"data_key": "00" * 16},
        {"public_key": os.urandom(33)},
        {"sealed_share": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_share_opens_only_as_what_it_is(party: Party, change: dict[str, object]) -> None:
    row = stored(party)
    for name, value in change.items():
        setattr(row, name, value)
    with pytest.raises(ShareUnusable):
        share_open(row)


def test_a_share_of_another_vertex_does_not_open(party: Party, settings: pytest.FixtureRequest) -> None:
    row = stored(party)
    settings.VERTEX_NAME = "another"  # type: ignore[attr-defined]
    with pytest.raises(ShareUnusable):
        share_open(row)


def test_pairs_are_bound_to_generation_and_peer_and_a_ban_closes_them(party: Party) -> None:
    row = stored(party)
    one, two = row.pairs.order_by("id")
    PairState.objects.filter(id=one.id).update(sealed=two.sealed, data_key=two.data_key)
    assert set(pairs_open(row)) == {bytes(two.peer)}
    keystore().keys.destroy(str(two.data_key))
    assert pairs_open(row) == {}


def test_erasing_leaves_nothing_and_says_so(party: Party) -> None:
    row = stored(party)
    KeyShare.objects.filter(id=row.id).update(state="superseded")
    refs = {row.data_key, *row.pairs.values_list("data_key", flat=True)}
    sealed = bytes(row.sealed_share or b"")
    for _ in range(2):
        assert all(share_erase(row).values())
    assert not refs & set(keystore().keys.list())
    assert journal_entry(row) is None
    row.refresh_from_db()
    assert (row.sealed_share, row.data_key, row.state) == (None, None, "superseded")
    assert set(row.pairs.values_list("sealed", "data_key")) == {(None, None)}
    assert not share_key_exists(row)
    row.sealed_share, row.data_key = sealed, next(ref for ref in refs if ref)
    with pytest.raises(ShareUnusable):
        share_open(row)


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        ("keys_destroyed", lambda patch: patch.setattr(keystore().keys, "destroy", lambda ref: None)),
        ("ciphertext_does_not_open", lambda patch: patch.setattr(keystore().keys, "destroy", lambda ref: None)),
        ("journal_copy_gone", lambda patch: patch.setattr(keystore().journal, "destroy", lambda name: None)),
        ("no_session_key_left", lambda patch: patch.setattr(shares, "session_keys_left", lambda key: True)),
    ],
)
def test_a_check_that_does_not_hold_is_said(
    party: Party, monkeypatch: pytest.MonkeyPatch, check: str, broken: Callable[[pytest.MonkeyPatch], None]
) -> None:
    row = stored(party)
    KeyShare.objects.filter(id=row.id).update(state="superseded")
    broken(monkeypatch)
    assert share_erase(row)[check] is False


def test_a_key_that_only_the_journal_knows_is_erased_too(party: Party) -> None:
    """A restored database names another data key than the journal: both go."""
    row = stored(party)
    KeyShare.objects.filter(id=row.id).update(state="superseded", data_key=keystore().keys.make())
    row.refresh_from_db()
    assert all(share_erase(row).values())
    assert len(keystore().keys.list()) == 2, "the identities'"


def test_identities_open_and_are_gone_with_their_key(vertex: Vertex) -> None:
    row = identity_create()
    assert identity_open(row).public == bytes(row.public)
    keystore().keys.destroy(str(row.data_key))
    with pytest.raises(ShareUnusable):
        identity_open(row)
    row.data_key = None
    with pytest.raises(ShareUnusable):
        identity_open(row)
