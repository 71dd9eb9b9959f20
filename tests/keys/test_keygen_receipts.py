"""A keygen's receipts carried by hand, and a database restored to before the keygen."""

from typing import Any

import pytest
from msgspec import structs

from audit.models import Event
from keys import keygen_receipts, receipts
from keys.keygen_receipts import bundle_of, keygen_advance_task, receive
from keys.keystore import keystore
from keys.models import KeyShare, PairState, ProtocolSession, Receipt, Statement
from keys.receipts import Bundle, parse
from keys.sessions.carrier import carry
from keys.sessions.lease import Lease
from keys.shares import identity_open
from mpc.keygen import KeygenStatement, verify_preimage
from mpc.schemes import group_of
from mpc.sharing import evaluate, ranks
from mpc.wire import encode
from relay.client import Message
from reshare import reconcile
from reshare.old_quorums import old_quorum_of
from tests.life import Killed, Party, Vertex, vertex
from tests.mpc.simulator import flipped
from vertex.errors import ApiError

__all__ = ["vertex"]


@pytest.fixture
def parties(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> list[Party]:
    monkeypatch.setattr(reconcile, "reconciled_set", lambda done: None)
    return vertex.keygen("abc", 2)


def forget(party: Party, *, active: bool = True) -> None:
    """A database of after `create`: the key has no share; with `active=False` the journal does not know its end
    either."""
    if not active:
        for name in keystore().journal.list("keygen/"):
            keystore().journal.destroy(name)
    blank: dict[str, Any] = dict.fromkeys(
        ("gid", "threshold", "public_key", "chain_code", "sealed_share", "data_key", "quarantined_at", "activated_at")
    )
    ProtocolSession.objects.filter(share_id=party.key_id).delete()
    PairState.objects.filter(share_id=party.key_id).delete()
    KeyShare.objects.filter(id=party.key_id).update(state="created", parties=[], **blank)


def test_a_restored_database_learns_from_its_journal_that_the_key_was_active(parties: list[Party]) -> None:
    before = parties[0].share
    forget(parties[0])
    Receipt.objects.all().delete()
    Statement.objects.all().delete()
    reconcile.reconcile()
    after = parties[0].share
    assert (after.state, after.public_key, after.gid) == ("active", before.public_key, before.gid)
    assert after.pairs.count() == 2


@pytest.mark.parametrize("dies", [None, "before it has said STORED again", "before the key is active"])
def test_a_share_that_was_sealed_before_anything_else_of_it_is_said_to_be_stored(
    parties: list[Party], dies: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process died between the journal's share and its row; the session is lost with the database."""
    theirs = bundle_of(parties[1].share)
    activates = dies == "before the key is active"
    forget(parties[0], active=activates)
    if not activates:
        keystore().journal.destroy(f"stored/{parties[0].identity.hex()}/{parse(theirs.receipts[0]).subject.hex()}")
    Receipt.objects.all().delete()
    Statement.objects.all().delete()
    if dies is not None:
        step = "keygen_advance" if activates else "keygen_stored"
        with monkeypatch.context() as patched:
            patched.setattr(keygen_receipts, step, lambda **_: (_ for _ in ()).throw(Killed))
            with pytest.raises(Killed):
                reconcile.reconcile()
    reconcile.reconcile()
    assert parties[0].state == ("active" if activates else "quarantined")
    [stored] = [each for each in bundle_of(parties[0].share).receipts if parse(each).party == parties[0].identity]
    assert parse(stored).kind == "STORED"
    receive(key=parties[0].share, bundle=theirs, actor="admin")
    keygen_advance_task(str(parties[0].key_id))
    assert parties[0].state == "active"
    assert Event.objects.filter(action="share.row_restored").count() == 1


def test_a_session_that_runs_says_it_itself(vertex: Vertex, parties: list[Party]) -> None:
    forget(parties[0], active=False)
    Receipt.objects.all().delete()
    party = parties[0]
    vertex.ask_keygen(party, parties, 2, vertex.room(3))
    reconcile.reconcile()
    assert party.state == "quarantined"
    assert not Receipt.objects.exists()


def test_what_the_journal_does_not_know_is_carried_there_by_hand(vertex: Vertex, parties: list[Party]) -> None:
    theirs = bundle_of(parties[1].share)
    assert len(theirs.receipts) == 3
    assert theirs.preimage is not None
    forget(parties[0], active=False)
    Receipt.objects.all().delete()
    reconcile.reconcile()
    assert parties[0].state == "quarantined"
    own = bundle_of(parties[0].share)
    assert set(own.receipts) < set(theirs.receipts)
    assert len(own.receipts) == 1
    assert receive(key=parties[0].share, bundle=theirs, actor="admin") == 2
    assert vertex.tasks[-1] == ("keys.keygen_advance", [str(parties[0].key_id)])
    keygen_advance_task(str(parties[0].key_id))
    assert parties[0].state == "active"
    assert receive(key=parties[0].share, bundle=theirs, actor="admin") == 0
    keygen_advance_task(str(parties[0].key_id))
    assert Event.objects.filter(action="receipts.received").count() == 2


def test_two_of_three_stored_are_not_enough(parties: list[Party]) -> None:
    theirs = bundle_of(parties[1].share)
    forget(parties[0], active=False)
    Receipt.objects.all().delete()
    reconcile.reconcile()
    stranger = [e for e in theirs.receipts if receipts.parse(e).party == parties[2].identity]
    receive(key=parties[0].share, bundle=Bundle(stranger, theirs.preimage), actor="admin")
    keygen_advance_task(str(parties[0].key_id))
    assert parties[0].state == "quarantined"


def said(party: Party, **changed: Any) -> bytes:
    share = party.share
    sid = keygen_receipts.sid_of(share)
    assert sid is not None
    about = {"subject": sid, "gid": bytes(share.gid or b"")}
    fields: dict[str, Any] = {"kind": "STORED", **about, "k": 0, "digest": bytes(32)}
    return receipts.issue(identity_open(share.identity), **fields | changed)


BAD = {
    "garbage": lambda parties, other: b"garbage",
    "signature": lambda parties, other: flipped(said(parties[0])),
    "another keygen": lambda parties, other: said(parties[0], subject=bytes(32)),
    "another sharing": lambda parties, other: said(parties[0], gid=bytes(32)),
    "of a ballot, as if a reshare had made the share": lambda parties, other: said(parties[1], k=1),
    "of another kind": lambda parties, other: said(parties[1], kind="FAILED"),
    "a promise": lambda parties, other: said(parties[1], kind="PROMISED", k=1, body={"mode": "carrying"}),
    "stranger": lambda parties, other: receipts.issue(
        identity_open(other.share.identity),
        kind="STORED",
        subject=keygen_receipts.sid_of(parties[0].share) or b"",
        gid=bytes(parties[0].share.gid or b""),
        k=0,
        digest=bytes(32),
    ),
}


@pytest.mark.parametrize("bad", BAD)
def test_one_bad_receipt_refuses_all(vertex: Vertex, parties: list[Party], bad: str) -> None:
    made = BAD[bad](parties, vertex.party("d"))
    before = Receipt.objects.count()
    with pytest.raises(ApiError) as error:
        receive(key=parties[0].share, bundle=Bundle([said(parties[0]), made], None), actor="admin")
    assert error.value.err_type == "bad_receipt"
    assert Receipt.objects.count() == before
    event = Event.objects.latest("seq")
    assert (event.action, event.subject) == ("receipts.refused", str(parties[0].key_id))


@pytest.mark.parametrize(
    "planted", [{"k": 1}, {"kind": "FAILED"}, {"kind": "PROMISED", "k": 1, "body": {"mode": "carrying"}}]
)
def test_the_room_of_a_keygen_keeps_none_but_stored(
    vertex: Vertex, parties: list[Party], planted: dict[str, Any]
) -> None:
    share, room = parties[0].share, vertex.room(2)
    session = ProtocolSession.objects.create(
        kind="keygen",
        share=share,
        state="settling",
        sid=keygen_receipts.sid_of(share),
        relay="",
        room=room,
        params={"parties": share.parties},
        deadline=share.created_at,
    )
    bodies = [said(parties[1]), said(parties[1], **planted)]
    posted = [Message(f"receipt/{index}", 0, parties[1].identity.hex(), "", body) for index, body in enumerate(bodies)]
    for party in parties[:2]:
        vertex.relay.join(room, party=party.identity.hex(), until=2**40)
    vertex.relay.exchange(room, party=parties[1].identity.hex(), messages=posted)
    assert carry(session, Lease(session.id, session.fence), wait=0).receipts == bodies[:1]
    assert [Receipt.objects.filter(encoded=body).exists() for body in bodies] == [True, False]


def test_a_preimage_of_another_keygen_is_refused(vertex: Vertex, parties: list[Party]) -> None:
    other = bundle_of(vertex.keygen("abc", 2)[0].share)
    for preimage in (other.preimage, b"garbage"):
        with pytest.raises(ApiError) as error:
            receive(key=parties[0].share, bundle=Bundle([], preimage), actor="admin")
        assert error.value.err_type == "bad_receipt"


def forged(party: Party) -> KeygenStatement:
    """Of the same keygen, with a polynomial of one's own: the public key is right, and the public shares lie on it."""
    preimage = bundle_of(party.share).preimage
    assert preimage is not None
    made = verify_preimage(preimage)
    group = group_of(made.scheme)
    feldman = (made.feldman[0], group.generator.to_bytes())
    points = [evaluate(group, [group.decode(each) for each in feldman], x) for x in ranks(made.identities).values()]
    return structs.replace(made, feldman=feldman, public_shares=tuple(point.to_bytes() for point in points))


def test_a_preimage_that_the_own_party_has_not_signed_is_refused(parties: list[Party]) -> None:
    other = forged(parties[0])
    assert verify_preimage(encode(other)).sid == keygen_receipts.sid_of(parties[0].share), "it verifies"
    with pytest.raises(ApiError, match="own STORED"):
        receive(key=parties[0].share, bundle=Bundle([], encode(other)), actor="admin")
    assert Statement.objects.filter(subject=other.sid).count() == 1


@pytest.mark.parametrize("first", [True, False])
def test_a_preimage_kept_beside_the_own_one_changes_nothing(parties: list[Party], first: bool) -> None:
    """An earlier version kept it."""
    bundle, other = bundle_of(parties[0].share), forged(parties[0])
    assert bundle.preimage is not None
    if first:
        Statement.objects.all().delete()
    receipts.keep_statement(subject=other.sid, digest=other.digest, preimage=encode(other))
    receipts.keep_statement(subject=other.sid, digest=verify_preimage(bundle.preimage).digest, preimage=bundle.preimage)
    KeyShare.objects.filter(id=parties[0].key_id).update(state="quarantined")
    assert bundle_of(parties[0].share) == bundle
    known = old_quorum_of(parties[0].share)
    assert known is not None
    assert known.public_shares == verify_preimage(bundle.preimage).public_shares
    keygen_advance_task(str(parties[0].key_id))
    assert parties[0].state == "active"


def test_without_its_preimage_a_key_waits(parties: list[Party]) -> None:
    bundle = bundle_of(parties[0].share)
    Statement.objects.all().delete()
    KeyShare.objects.filter(id=parties[0].key_id).update(state="quarantined")
    keygen_advance_task(str(parties[0].key_id))
    assert parties[0].state == "quarantined"
    receive(key=parties[0].share, bundle=bundle, actor="admin")
    keygen_advance_task(str(parties[0].key_id))
    assert parties[0].state == "active"


def test_a_key_without_a_keygen_has_none(vertex: Vertex) -> None:
    created = vertex.party("a")
    assert bundle_of(created.share) == Bundle([], None)
    with pytest.raises(ApiError) as error:
        receive(key=created.share, bundle=Bundle([], None), actor="admin")
    assert error.value.err_type == "key_operation_before_keygen"
