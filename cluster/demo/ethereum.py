"""An Ethereum transaction (EIP-1559), just enough to sign a real one and to read back who sent it."""

from dataclasses import astuple, dataclass
from typing import Any

from coincurve import PublicKey
from Crypto.Hash import keccak

TYPE = b"\x02"

Item = bytes | list["Item"]


def keccak256(data: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=data).digest()


def encode(item: Item) -> bytes:
    """RLP (Ethereum yellow paper, appendix B)."""
    if isinstance(item, list):
        body = b"".join(map(encode, item))
        return _prefix(len(body), 0xC0) + body
    if len(item) == 1 and item[0] < 0x80:
        return item
    return _prefix(len(item), 0x80) + item


def _prefix(length: int, offset: int) -> bytes:
    if length < 56:
        return bytes((offset + length,))
    size = number(length)
    return bytes((offset + 55 + len(size),)) + size


def decode(data: bytes) -> Item:
    """The one item that `data` encodes; ValueError if something is left over."""
    item, rest = _decode(data)
    if rest:
        raise ValueError("something follows the item")
    return item


def _decode(data: bytes) -> tuple[Item, bytes]:
    first = data[0]
    if first < 0x80:
        return data[:1], data[1:]
    base = 0xC0 if first >= 0xC0 else 0x80
    start, length = 1, first - base
    if length > 55:
        start = 1 + length - 55
        length = int.from_bytes(data[1:start])
    body, rest = data[start : start + length], data[start + length :]
    if len(body) != length:
        raise ValueError("the item is cut off")
    if base == 0x80:
        return body, rest
    items: list[Item] = []
    while body:
        item, body = _decode(body)
        items.append(item)
    return items, rest


def number(value: int) -> bytes:
    """Big-endian without leading zeros; 0 is empty."""
    return value.to_bytes((value.bit_length() + 7) // 8)


@dataclass(frozen=True)
class Transaction:
    """Amounts in wei; `to` is 20 bytes. In the order of the specification."""

    chain_id: int
    nonce: int
    max_priority_fee: int
    max_fee: int
    gas_limit: int
    to: bytes
    value: int
    data: bytes = b""

    def _items(self) -> list[Item]:
        no_access_list: Item = []
        return [*(field if isinstance(field, bytes) else number(field) for field in astuple(self)), no_access_list]

    def message(self) -> bytes:
        """What the sender signs the Keccak-256 hash of."""
        return TYPE + encode(self._items())

    def signed(self, signature: dict[str, Any]) -> bytes:
        """Serialised as nodes take it; `signature` is the answer of `/ecdsa/sign`."""
        r, s = (number(int(signature[name], 16)) for name in ("r", "s"))
        return TYPE + encode([*self._items(), number(signature["v"]), r, s])


def address_of(public_key: bytes) -> str:
    """The address of a public key (33 or 65 bytes), without checksum."""
    return "0x" + keccak256(PublicKey(public_key).format(compressed=False)[1:])[-20:].hex()


def sender(raw: bytes) -> str:
    """Whose signature a serialised transaction carries, from its bytes alone. ValueError if it is malformed."""
    fields = decode(raw[1:])
    if raw[:1] != TYPE or not isinstance(fields, list) or len(fields) != 12:
        raise ValueError("not a signed transaction of type 2")
    *unsigned, parity, r, s = fields
    if not (isinstance(parity, bytes) and isinstance(r, bytes) and isinstance(s, bytes)):
        raise ValueError("the signature is not numbers")
    compact = r.rjust(32, b"\0") + s.rjust(32, b"\0") + parity.rjust(1, b"\0")
    signer = PublicKey.from_signature_and_message(compact, keccak256(TYPE + encode(unsigned)), hasher=None)
    return address_of(signer.format())
