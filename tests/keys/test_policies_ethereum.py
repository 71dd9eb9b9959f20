"""Unsigned Ethereum transactions: read exactly, and what the `ethereum` rule says to them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from keys.models import KeyShare
from keys.policies.asked import Asked, plain
from keys.policies.builtin import KINDS, Count
from keys.policies.ethereum import MAX_ITEMS, MAX_SIZE, NotATransaction, transaction_of

TO = bytes.fromhex("35" * 20)
ETHER = 10**18
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
# EIP-155, its example: the bytes whose Keccak-256 is signed.
EIP_155 = bytes.fromhex("ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080")
Rlp = bytes | int | list["Rlp"]


def rlp(item: Rlp) -> bytes:
    """Yellow Paper, appendix B, for the tests' own use."""
    if isinstance(item, list):
        return _with_length(b"".join(map(rlp, item)), 0xC0)
    text = item.to_bytes((item.bit_length() + 7) // 8, "big") if isinstance(item, int) else item
    return text if len(text) == 1 and text[0] < 0x80 else _with_length(text, 0x80)


def _with_length(body: bytes, base: int) -> bytes:
    if len(body) <= 55:
        return bytes([base + len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([base + 55 + len(size)]) + size + body


def dynamic(**changed: Rlp) -> bytes:
    """An EIP-1559 transaction."""
    fields: dict[str, Rlp] = {"chain": 1, "nonce": 7, "tip": 10**9, "fee": 2 * 10**9, "gas": 21_000}
    fields |= {"to": TO, "value": ETHER, "data": b"", "access": []}
    return b"\x02" + rlp(list((fields | changed).values()))


def legacy(*replay: Rlp, **changed: Rlp) -> bytes:
    fields: dict[str, Rlp] = {"nonce": 0, "price": 5, "gas": 21_000, "to": TO, "value": 3, "data": b""}
    return rlp([*(fields | changed).values(), *replay])


def test_the_example_of_eip_155() -> None:
    seen = transaction_of(EIP_155)
    assert (seen.chain_id, seen.to, seen.value, seen.max_fee, seen.data) == (1, TO, ETHER, 20 * 10**9 * 21_000, b"")
    assert rlp([9, 20 * 10**9, 21_000, TO, ETHER, b"", 1, b"", b""]) == EIP_155


def test_a_transaction_with_a_dynamic_fee() -> None:
    access: Rlp = [[TO, [bytes(32), b"\1" * 32]], [TO, []]]
    seen = transaction_of(dynamic(chain=137, data=b"\x80" * 60, access=access))
    assert (seen.chain_id, seen.to, seen.value, seen.max_fee, seen.data) == (137, TO, ETHER, 42 * 10**12, b"\x80" * 60)
    assert transaction_of(dynamic(to=b"")).to is None


def test_before_eip_155_no_chain_is_named() -> None:
    assert transaction_of(legacy()).chain_id is None


FIELDS = dynamic(data=b"\1" * 60)[3:]  # what its list holds
NESTED = rlp([])
for _ in range(1500):
    NESTED = _with_length(NESTED, 0xC0)
REFUSED: dict[str, bytes] = {
    "nothing": b"",
    "too long": bytes([0xC0]) * (MAX_SIZE + 1),
    "a string": b"\x83abc",
    "an EIP-2930 transaction": b"\x01" + rlp([1, 0, 1, 1, TO, 1, b"", []]),
    "cut": EIP_155[:-1],
    "more behind it": EIP_155 + b"\0",
    "behind the list, its length right": b"\x02" + dynamic()[1:] + b"\x80",
    "too few fields": rlp([1, 2, 3]),
    "a field too many": b"\x02" + rlp([1, 7, 1, 1, 1, TO, 1, b"", [], b""]),
    "chain 0": legacy(0, b"", b""),
    "signed already": legacy(1, b"\1", b"\1"),
    "an address of 19 bytes": dynamic(to=TO[1:]),
    "a value of 33 bytes": dynamic(value=b"\1" * 33),
    "a number with a leading zero": dynamic(value=b"\0\1"),
    "a zero byte for the number zero": dynamic(nonce=b"\0"),
    "a list for a number": dynamic(value=[]),
    "a string for the access list": dynamic(access=b""),
    "an access entry of one part": dynamic(access=[[TO]]),
    "a storage key of 31 bytes": dynamic(access=[[TO, [bytes(31)]]]),
    "a byte with a length": b"\xc2\x81\x01",
    "a long length for a short item": b"\xf8\x01\x01",
    "a length with leading zeros": b"\x02"
    + _with_length(dynamic(data=b"\1" * 60)[3:].replace(b"\xb8\x3c", b"\xb9\0\x3c"), 0xC0),
    "a length beyond the end": b"\xff" + b"\xff" * 8 + b"\1",
    "nested too deeply": b"\x02" + NESTED,
    "too many items": dynamic(access=[b""] * MAX_ITEMS),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_transaction(name: str) -> None:
    with pytest.raises(NotATransaction):
        transaction_of(REFUSED[name])


def given(**parameters: Any) -> dict[str, Any]:
    checked = KINDS["ethereum"].Parameters(data={"chain_ids": [1], **parameters})
    assert checked.is_valid(), checked.errors
    validated: dict[str, Any] = plain(checked.validated_data)
    return validated


def asked(message: bytes, hash_algo: str | None = "keccak256") -> Asked:
    return Asked.of(KeyShare(), "sign", {"msg": message, "hash_algo": hash_algo})


RULES: list[tuple[dict[str, Any], bytes, str | None]] = [
    ({}, dynamic(), None),
    ({}, EIP_155, None),
    ({}, legacy(), "chain None"),
    ({"chain_ids": [5, 137]}, dynamic(), "chain 1 "),
    ({"recipients": ["35" * 20]}, dynamic(), None),
    ({"recipients": ["0x" + "35" * 20]}, dynamic(), None),
    ({"recipients": ["36" * 20]}, dynamic(), "recipients"),
    ({"recipients": []}, dynamic(), "recipients"),
    ({"recipients": ["35" * 20]}, dynamic(to=b""), "contract"),
    ({}, dynamic(to=b"", data=b"\1"), "contract"),
    ({"contract_creation": True}, dynamic(to=b"", data=b"\1"), None),
    ({}, dynamic(data=b"\1"), "data"),
    ({"calldata": True}, dynamic(data=b"\1"), None),
    ({"max_value": str(ETHER)}, dynamic(), None),
    ({"max_value": str(ETHER - 1)}, dynamic(), "value"),
    ({"max_fee": str(42 * 10**12)}, dynamic(), None),
    ({"max_fee": str(42 * 10**12 - 1)}, dynamic(), "fee"),
    ({"max_fee": "1"}, dynamic(fee=2**256 - 1, gas=2**256 - 1), "fee"),
    ({}, b"no transaction", "no Ethereum transaction"),
]


@pytest.mark.parametrize(("parameters", "message", "why"), RULES)
def test_the_rule(parameters: dict[str, Any], message: bytes, why: str | None) -> None:
    reason = KINDS["ethereum"].refusal(asked(message), given(**parameters), NOON)
    assert reason is None if why is None else why in (reason or "")


@pytest.mark.parametrize("hash_algo", ["sha256", "none", None])
def test_another_hash_would_sign_something_else(hash_algo: str | None) -> None:
    assert KINDS["ethereum"].refusal(asked(dynamic(), hash_algo), given(), NOON) is not None


def test_the_value_is_counted_per_day() -> None:
    claim = KINDS["ethereum"].claim(asked(dynamic()), given(max_value_per_day=str(2 * ETHER)))
    assert claim == Count(86_400, ETHER, 2 * ETHER)
    assert KINDS["ethereum"].claim(asked(dynamic()), given()) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"chain_ids": []},
        {"chain_ids": [0]},
        {"chain_ids": [2**64]},
        {"max_value": 1},
        {"max_value": "-1"},
        {"max_value": "9" * 79},
        {"recipients": ["35" * 19]},
        {"max_valeu": "1"},
    ],
)
def test_parameters_that_are_refused(wrong: dict[str, Any]) -> None:
    assert not KINDS["ethereum"].Parameters(data={"chain_ids": [1], **wrong}).is_valid()
