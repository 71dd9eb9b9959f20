"""A pair that another session bans while this one runs: its signature share stays here."""

import pytest
from django.utils import timezone

from audit.models import Event
from keys.models import PairState, ProtocolSession
from keys.sessions.lease import Lease
from keys.signing import SignKind
from mpc.errors import Abort
from mpc.sign import Release
from tests.life import Vertex
from tests.reshare.attempts import old_quorum, old_share, public


@pytest.mark.parametrize(("peers", "leaves"), [("b", False), ("bc", False), ("c", True)])
def test_no_share_is_released_to_who_was_banned_meanwhile(vertex: Vertex, peers: str, leaves: bool) -> None:
    old_quorum()
    share = old_share("a")
    session = ProtocolSession.objects.create(
        kind="sign", state="running", share=share, params={"digest": "11" * 32}, room="r", deadline=share.created_at
    )
    PairState.objects.filter(share=share, peer=public("b")).update(banned_at=timezone.now())
    checkpoint = Release(tuple(public(name) for name in peers))
    if leaves:
        SignKind().checkpoint(session, Lease(session.id, 0), checkpoint)
    else:
        with pytest.raises(Abort, match="banned"):
            SignKind().checkpoint(session, Lease(session.id, 0), checkpoint)
    assert Event.objects.filter(action="sign.released").exists() == leaves
