"""What a party is asked for in a reshare, and what it must know for it."""

from __future__ import annotations

from typing import Any

import pytest

from mpc.quorums import ReshareConfig
from mpc.shares import Share
from mpc.wire import Description
from tests.mpc.simulator import identity, key, reshare_config

OLD = key("ABC", 2)
A, B, D, Z = (identity(name).public for name in "ABDZ")
SHARE = OLD[A].share
CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "a receipt of all bytes, and all receipts": ({"receipts": (bytes(16_384),) * 256}, ""),
    "too many receipts": ({"receipts": (b"",) * 257}, "too many receipts"),
    "a receipt too long": ({"receipts": (b"", bytes(16_385))}, "too many receipts"),
    "one second": ({"store_by": 1, "vote_by": 1}, ""),
    "no second to store": ({"store_by": 0}, "durations"),
    "no second to vote": ({"vote_by": 0}, "durations"),
    "k at its highest": ({"highest_k": 2**31 - 2}, ""),
    "k beyond": ({"highest_k": 2**31 - 1}, "durations"),
    "a role that is none": ({"role": "other", "deals": False}, "existing and departing"),
    "a joiner that deals": ({"role": "joining", "deals": True}, "existing and departing"),
    "a threshold of one": ({"new_t": 1}, "a quorum needs"),
    "a room for the new quorum alone": ({"size": 3}, ""),
    "a room too small": ({"size": 2}, "too small"),
}


@pytest.mark.parametrize(("more", "reason"), CONFIGS.values(), ids=CONFIGS)
def test_configurations(more: dict[str, Any], reason: str) -> None:
    base = reshare_config("ABD", 2, "existing", 4)
    asked = {name: getattr(base, name) for name in base.__dataclass_fields__} | more
    if reason:
        with pytest.raises(ValueError, match=reason):
            ReshareConfig(**asked)
    else:
        assert ReshareConfig(**asked).size == asked["size"]


def without_share(**changes: Any) -> Description:
    known = SHARE.description()
    for name, value in changes.items():
        setattr(known, name, value)
    return known


DESCRIPTIONS: dict[str, tuple[bytes, str, str, dict[str, Any], Share | None, str]] = {
    "an old party": (A, "ABD", "existing", {}, SHARE, ""),
    "a leaver": (A, "BD", "departing", {}, SHARE, ""),
    "a joiner": (D, "ABD", "joining", {}, None, ""),
    "a joiner with a share": (A, "ABD", "joining", {}, SHARE, "no old share"),
    "a joiner that is not of the new quorum": (Z, "ABD", "joining", {}, None, "of the new quorum"),
    "an old party without its generation": (A, "ABD", "existing", {"deals": False}, None, "what it knows"),
    "of another's generation": (
        D, "ABD", "existing", {"deals": False, "old_quorum": without_share()}, None, "what it knows",
    ),
    "of another scheme": (
        A, "ABD", "existing", {"deals": False, "old_quorum": without_share(scheme="rsa")}, None, "what it knows",
    ),
    "whose share is gone": (A, "ABD", "existing", {"deals": False, "old_quorum": without_share()}, None, ""),
    "whose share is gone, and deals": (A, "ABD", "existing", {"old_quorum": without_share()}, None, "its old share"),
    "existing and not in the new quorum": (A, "BD", "existing", {}, SHARE, "existing means"),
    "departing and in it": (A, "ABD", "departing", {}, SHARE, "existing means"),
    "with another's share": (A, "ABD", "existing", {}, OLD[B].share, "its old share"),
    "d at its least": (A, "ABD", "existing", {"d": 2}, SHARE, ""),
    "d too low": (A, "ABD", "existing", {"d": 1}, SHARE, "out of range"),
}  # fmt: skip


@pytest.mark.parametrize(("party", "new", "role", "more", "share", "reason"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_what_a_party_knows_of_the_old_quorum(
    party: bytes, new: str, role: str, more: dict[str, Any], share: Share | None, reason: str
) -> None:
    config = reshare_config(new, 2, role, 4, **more)
    if reason:
        with pytest.raises(ValueError, match=reason):
            config.description(party, share)
    else:
        expected = None if role == "joining" else SHARE.description()
        assert config.description(party, share) == expected
