"""Batches of signatures at running vertices: one room for all requests, or one for each as Sodot's clients have it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.contract import SCHEMES
from tests.cluster.outside import Party, everywhere, room, sign_body

NO_KEY = "3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e11"


@pytest.fixture
def signers(key_of: Callable[[str], list[Party]]) -> Callable[[str], list[Party]]:
    return lambda scheme: key_of(scheme)[:2]


def batch(signers: list[Party], requests: Callable[[Party], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The answer of all, the same."""
    call = f"POST /{signers[0].scheme}/batch-sign"
    answers = everywhere(signers, lambda party: party.user.ok(call, {"sign_requests": requests(party)}))
    assert all(answer == answers[0] for answer in answers)
    return list(answers[0])


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("shared", [True, False])
def test_every_request_has_its_answer(signers: Callable[[str], list[Party]], scheme: str, shared: bool) -> None:
    parties = signers(scheme)
    rooms = [room(parties[0], 2)] * 3 if shared else [room(parties[0], 2) for _ in range(3)]
    messages = [f"{number:02x}" * 32 for number in range(3)]
    answers = batch(
        parties,
        lambda party: [sign_body(party, name, msg=msg) for name, msg in zip(rooms, messages, strict=True)],
    )
    assert [set(answer) for answer in answers] == [{"Signature"}] * 3
    fields = {"r", "s", "v", "der"} if scheme == "ecdsa" else {"signature"}
    assert all(set(answer["Signature"]) == fields for answer in answers)
    assert len({str(answer) for answer in answers}) == 3
    # A room is used up by a batch as by a signature.
    again = {"sign_requests": [sign_body(parties[0], rooms[0])]}
    [refused] = parties[0].user.ok(f"POST /{scheme}/batch-sign", again)
    assert refused["Error"]["err_type"] == "bad_request_params"


def test_a_request_that_fails_takes_no_other_with_it(signers: Callable[[str], list[Party]]) -> None:
    parties = signers("ecdsa")
    good, bad = room(parties[0], 2), room(parties[0], 2)
    answers = batch(
        parties,
        lambda party: [sign_body(party, good), sign_body(party, bad) | {"key_id": NO_KEY}],
    )
    assert set(answers[0]) == {"Signature"}
    assert set(answers[1]["Error"]) == {"err_msg", "err_type"}
    assert answers[1]["Error"]["err_type"] == "key_id_not_exists"


def test_a_batch_has_a_limit(signers: Callable[[str], list[Party]]) -> None:
    first = signers("ed25519")[0]
    many = {"sign_requests": [sign_body(first, NO_KEY)] * 201}
    assert first.user.refused("POST /ed25519/batch-sign", many) == "batch_too_large"


@pytest.mark.parametrize("requests", [None, [], {}, "x", [None], [[]], [{}], [{"msg": "00"}]])
def test_batches_that_can_not_be(signers: Callable[[str], list[Party]], requests: object) -> None:
    user = signers("bip340")[0].user
    assert user.refused("POST /bip340/batch-sign", {"sign_requests": requests}) == "bad_request_params"
