"""Ethereum transactions that are not signed yet, read strictly: legacy (EIP-155 and before it) and EIP-1559.

RLP in its canonical form only (Ethereum Yellow Paper, appendix B): what decodes here encodes to the same bytes, so the
transaction that a rule sees is the one that is signed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

Item = bytes | list["Item"]

MAX_SIZE = 1 << 17  # bytes of a transaction that nodes pass on
MAX_ITEMS = 2000  # of a transaction, those of its access list included: what bounds the time to read it
_ADDRESS = 20
_WORD = 32


class NotATransaction(ValueError):
    """These bytes are no unsigned transaction of a kind that is known here."""


@dataclass(frozen=True)
class Transaction:
    """``to`` is None where a contract is made; ``chain_id`` None before EIP-155. In wei: ``value``, and ``max_fee``,
    the most that it can cost besides (gas limit times the highest price)."""

    chain_id: int | None
    to: bytes | None
    value: int
    max_fee: int
    data: bytes


def transaction_of(message: bytes) -> Transaction:
    """The transaction whose signing hash is keccak256 of ``message``; raises NotATransaction."""
    if not 0 < len(message) <= MAX_SIZE:
        raise NotATransaction("it has no bytes, or too many")
    if message[0] == 2:
        return _dynamic_fee(_fields(message[1:], (9,)))
    if message[0] >= 0xC0:
        return _legacy(_fields(message, (6, 9)))
    raise NotATransaction("neither a legacy nor an EIP-1559 transaction")


def _dynamic_fee(fields: list[Item]) -> Transaction:
    chain, nonce, tip, fee, gas, to, value, data, access = fields
    for each in (nonce, tip):
        _number(each)
    _check_access(access)
    return Transaction(_number(chain), _to(to), _number(value), _number(gas) * _number(fee), _bytes(data))


def _legacy(fields: list[Item]) -> Transaction:
    nonce, price, gas, to, value, data, *replay = fields
    _number(nonce)
    chain = None
    if replay:
        chain = _number(replay[0])
        if not chain or _bytes(replay[1]) or _bytes(replay[2]):
            raise NotATransaction("not the fields that EIP-155 signs")
    return Transaction(chain, _to(to), _number(value), _number(gas) * _number(price), _bytes(data))


def _fields(encoded: bytes, counts: tuple[int, ...]) -> list[Item]:
    item, rest = _decode(memoryview(encoded), count())
    if rest or not isinstance(item, list) or len(item) not in counts:
        raise NotATransaction("another number of fields than a transaction has")
    return item


def _bytes(item: Item) -> bytes:
    if isinstance(item, list):
        raise NotATransaction("a list where bytes belong")
    return item


def _number(item: Item) -> int:
    digits = _bytes(item)
    if len(digits) > _WORD or digits[:1] == b"\0":
        raise NotATransaction("a number with leading zeros, or above 256 bits")
    return int.from_bytes(digits, "big")


def _to(item: Item) -> bytes | None:
    address = _bytes(item)
    if len(address) not in (0, _ADDRESS):
        raise NotATransaction("an address has 20 bytes")
    return address or None


def _check_access(item: Item) -> None:
    """EIP-2930: a list of [address, [storage key, …]]."""
    entries = item if isinstance(item, list) else None
    if entries is None:
        raise NotATransaction("the access list is no list")
    for entry in entries:
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[1], list):
            raise NotATransaction("an entry of the access list has other parts")
        if len(_bytes(entry[0])) != _ADDRESS or any(len(_bytes(key)) != _WORD for key in entry[1]):
            raise NotATransaction("an entry of the access list has other lengths")


def _decode(encoded: memoryview, seen: Iterator[int], depth: int = 0) -> tuple[Item, memoryview]:
    """One item, and what follows it; ``seen`` counts them all."""
    if not encoded or depth > 4:
        raise NotATransaction("it is cut, or nested too deeply")
    if next(seen) >= MAX_ITEMS:
        raise NotATransaction("it has too many items")
    first = encoded[0]
    if first < 0x80:
        return bytes(encoded[:1]), encoded[1:]
    payload, rest = _payload(encoded, 0x80 if first < 0xC0 else 0xC0)
    if first < 0xC0:
        if len(payload) == 1 and payload[0] < 0x80:
            raise NotATransaction("a byte that stands for itself has no length before it")
        return bytes(payload), rest
    items: list[Item] = []
    while payload:
        item, payload = _decode(payload, seen, depth + 1)
        items.append(item)
    return items, rest


def _payload(encoded: memoryview, base: int) -> tuple[memoryview, memoryview]:
    """The bytes that a length before them covers, and what follows."""
    size, start = encoded[0] - base, 1
    if size > 55:
        start = 1 + size - 55
        digits = encoded[1:start]
        if len(digits) != size - 55 or digits[0] == 0:
            raise NotATransaction("a length that is cut, or has leading zeros")
        size = int.from_bytes(digits, "big")
        if size <= 55:
            raise NotATransaction("a short item with a long length")
    end = start + size
    if end > len(encoded):
        raise NotATransaction("an item is cut")
    return encoded[start:end], encoded[end:]
