"""Key generation, signature, reshare, confirmations, signature of the new quorum: through the sessions."""

from audit.models import Deletion, Event
from keys.models import KeyShare, ProtocolSession
from reshare import orders
from reshare.models import Reshare
from reshare.requests import Room, existing_request, joining_request
from tests.life import Party, Vertex


def reshare(vertex: Vertex, staying: list[Party], joining: list[Party], t: int) -> list[Reshare]:
    """Up to the vote: all parties of the new quorum have stored."""
    everybody = [*staying, *joining]
    name = vertex.room(len(everybody))
    ids = [party.keygen_id for party in everybody]
    rows = []
    for party in everybody:
        ask = existing_request if party in staying else joining_request
        operation = vertex.operation(party)
        asked = {"user": party.user, "operation": operation, "key_id": party.key_id, "scheme": "ecdsa"}
        room = Room(name, None, operation.deadline)
        rows.append(ask(**asked, keygen_ids=ids, new_threshold=t, room=room))
    vertex.run()
    for row in rows:
        row.refresh_from_db()
    return rows


def new_party(party: Party, row: Reshare) -> Party:
    assert row.new_share is not None
    return Party(party.name, party.user, row.new_share.id, party.identity)


def confirm(row: Reshare) -> None:
    orders.confirm(row=row, actor="admin", reason="test", exports_destroyed=True)


def test_a_key_lives_through_a_reshare(vertex: Vertex) -> None:
    old = vertex.keygen("abc", 2)
    assert [party.state for party in old] == ["active"] * 3
    signed = vertex.sign(old[:2])
    assert [operation.state for operation in signed] == ["done"] * 2
    assert signed[0].result == signed[1].result

    joiner = vertex.party("d")
    rows = reshare(vertex, old[:2], [joiner], 2)
    assert [row.state for row in rows] == ["voting"] * 3
    new = [new_party(party, row) for party, row in zip([*old[:2], joiner], rows, strict=True)]
    assert [party.state for party in new] == ["quarantined"] * 3
    assert [party.state for party in old] == ["retiring", "retiring", "active"]
    assert vertex.sign([old[0], old[2]])[0].state == "done", "the old quorum signs until it erases"

    confirm(rows[0])
    vertex.run()
    assert [party.state for party in new] == ["quarantined"] * 3
    confirm(rows[1])
    vertex.run()
    assert [party.state for party in new] == ["active"] * 3
    assert [party.state for party in old] == ["erased", "erased", "active"]
    assert {bytes(party.share.public_key or b"") for party in new} == {bytes(old[2].share.public_key or b"")}
    assert [operation.state for operation in vertex.sign(new[1:])] == ["done"] * 2
    assert set(Reshare.objects.values_list("state", flat=True)) == {"complete"}
    own = Deletion.objects.filter(own=True).values_list("state", flat=True)
    assert sorted(own) == ["erased", "erased", "pending"]
    assert not ProtocolSession.objects.filter(data_key__isnull=False).exists()
    assert Event.objects.filter(action="reshare.deleted").count() == 2


def test_an_aborted_reshare_leaves_the_old_quorum_and_parks_the_new_shares(vertex: Vertex) -> None:
    old = vertex.keygen("abc", 2)
    rows = reshare(vertex, old, [], 2)
    new = [new_party(party, row) for party, row in zip(old, rows, strict=True)]
    confirm(rows[0])
    for row in rows[1:]:
        orders.abort(row=row, actor="admin", reason="no")
    vertex.run()
    assert [party.state for party in new] == ["parked"] * 3
    assert [party.state for party in old] == ["active"] * 3
    assert vertex.sign(old[1:])[0].state == "done"
    assert [row.state for row in Reshare.objects.all()] == ["aborted"] * 3
    again = reshare(vertex, old, [], 3)
    for row in again:
        confirm(row)
    vertex.run()
    assert {row.state for row in again if not row.refresh_from_db()} == {"clean"}
    assert [party.state for party in new] == ["discarded"] * 3, "another attempt is complete"
    assert not ProtocolSession.objects.filter(finished_at=None, sid=again[0].rid).exists()


def test_a_party_that_never_comes_changes_nothing(vertex: Vertex) -> None:
    old = vertex.keygen("abc", 2)
    name = vertex.room(3)
    for party in old[:2]:
        operation = vertex.operation(party)
        asked = {"user": party.user, "operation": operation, "key_id": party.key_id, "scheme": "ecdsa"}
        ids = [each.keygen_id for each in old]
        existing_request(**asked, keygen_ids=ids, new_threshold=2, room=Room(name, None, operation.deadline))
    vertex.run()
    assert set(ProtocolSession.objects.filter(kind="reshare").values_list("state", flat=True)) == {"waiting"}
    assert [party.state for party in old] == ["active"] * 3
    assert KeyShare.objects.count() == 3
