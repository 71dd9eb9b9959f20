"""Two parties in the middle of a key generation, for the tests of sessions."""

import pytest

from keys.models import ProtocolSession
from keys.sessions.lease import Lease
from tests.life import Party, Vertex


@pytest.fixture
def parties(vertex: Vertex) -> list[Party]:
    """Two parties whose key generation is ready for a worker."""
    made = [vertex.party(name) for name in "ab"]
    room = vertex.room(2)
    for party in made:
        vertex.ask_keygen(party, made, 2, room)
    return made


def session_of(party: Party) -> ProtocolSession:
    return ProtocolSession.objects.select_related("share__identity").get(share_id=party.key_id)


def held(party: Party) -> tuple[ProtocolSession, Lease]:
    session = session_of(party)
    ProtocolSession.objects.filter(id=session.id).update(fence=77)
    return session_of(party), Lease(session.id, 77)
