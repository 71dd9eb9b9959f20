"""A reshare's end in each keystore: what the deletion receipt says of it, and that nothing is called erased unless it
could be looked at."""

from typing import Any

import pytest

from keys import receipts
from keys.keystore import KeystoreUnavailable, keystore
from tests.keys.providers import Provider, Vault
from tests.keys.vault_server import Fault, VaultServer
from tests.life import Vertex
from tests.reshare.attempts import Attempt, check_invariants, old_quorum, old_share, old_states, public

METHODS = {"files": "data key overwritten and unlinked", "pkcs11": "C_DestroyObject", "vault": "Transit key deleted"}


def use(provider: Provider, settings: Any) -> None:
    for name, value in provider.settings().items():
        setattr(settings, name, value)
    old_quorum()


def test_the_receipt_says_where_the_key_was_and_how_it_was_destroyed(
    vertex: Vertex, provider: Provider, settings: Any
) -> None:
    use(provider, settings)
    attempt = Attempt("abd").stored()
    share = old_share("a")
    attempt.confirm("ab")
    attempt.settle()
    assert old_states() == ["erased"] * 3
    [deleted] = [r for _, r in receipts.held(attempt.rid) if r.kind == "DELETED" and r.party == public("a")]
    assert (deleted.body["keystore"], deleted.body["method"]) == (provider.name, METHODS[provider.name])
    assert all(deleted.body["checks"].values())
    assert share.data_key not in keystore().keys.list()
    check_invariants(attempt)


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.UNANSWERED])
def test_a_keystore_that_does_not_answer_stops_the_erase_and_nothing_is_attested(
    vertex: Vertex, vault: VaultServer, settings: Any, fault: str
) -> None:
    use(Vault(vault), settings)
    attempt = Attempt("abd").stored()
    attempt.confirm("ab")
    vault.fault = lambda request: fault if request.startswith("DELETE transit") else None
    with pytest.raises(KeystoreUnavailable):
        attempt.settle()
    assert "erased" not in old_states()
    assert not any("DELETED" in attempt.said(name) for name in "abc")
    vault.fault = lambda request: None
    attempt.settle()
    assert old_states() == ["erased"] * 3
    assert all(attempt.said(name).count("DELETED") == 1 for name in "abc")
    check_invariants(attempt)
