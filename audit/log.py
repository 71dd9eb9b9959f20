"""The exported event log: JSON lines, events in order and last the newest signed head, checkable without a database."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from audit import chain, selectors
from audit.models import AuditHead, Event


@dataclass(frozen=True, slots=True)
class Head:
    """A signed head as it is exported; `statement` is what `signature` (DER) is over."""

    statement: str
    signature: bytes

    def to_line(self) -> str:
        return chain.canonical({"head": self.statement, "signature": self.signature.hex()})

    def check(self, pem: bytes) -> None:
        """Raises Broken unless the vertex's public key (PEM) verifies it."""
        key = load_pem_public_key(pem)
        try:
            if not isinstance(key, ec.EllipticCurvePublicKey):
                raise InvalidSignature
            key.verify(self.signature, self.statement.encode(), ec.ECDSA(SHA256()))
        except InvalidSignature:
            raise chain.Broken(self.end[0], "its head is not signed by this key") from None

    @property
    def end(self) -> tuple[int, bytes]:
        fields = json.loads(self.statement)
        return int(fields["seq"]), bytes.fromhex(fields["hash"])


def export() -> Iterator[str]:
    """The log's lines, without newlines."""
    head = selectors.last_head()
    for event in Event.objects.order_by("seq").iterator(chunk_size=1000):
        yield event.entry.to_line()
    if head is not None:
        yield _head(head).to_line()


def verify_table(pem: bytes | None = None) -> tuple[int, bytes]:
    """Check the table and every signed head against it; gives the chain's end. Raises Broken."""
    events = (event.entry for event in Event.objects.order_by("seq").iterator(chunk_size=1000))
    heads = [_head(head) for head in AuditHead.objects.order_by("pk")]
    return _verify(events, heads, pem)


def verify_lines(lines: Iterable[str], pem: bytes | None = None) -> tuple[int, bytes]:
    """Check an exported log. Raises Broken, ValueError for a line that is none of its."""
    heads: list[Head] = []
    return _verify(_entries(lines, heads), heads, pem)


def _verify(entries: Iterable[chain.Entry], heads: list[Head], pem: bytes | None) -> tuple[int, bytes]:
    hashes = {0: chain.EMPTY}
    end = chain.verify(_remembering(entries, hashes))
    for head in heads:
        seq, digest = head.end
        if hashes.get(seq) != digest:
            raise chain.Broken(seq, "a signed head names another event, or one that is no longer there")
        if pem is not None:
            head.check(pem)
    return end


def _remembering(entries: Iterable[chain.Entry], hashes: dict[int, bytes]) -> Iterator[chain.Entry]:
    for entry in entries:
        yield entry
        hashes[entry.seq] = entry.hash


def _entries(lines: Iterable[str], heads: list[Head]) -> Iterator[chain.Entry]:
    for line in (line.rstrip("\n") for line in lines):
        if line.startswith('{"head":'):
            heads.append(_head_of(json.loads(line)))
        else:
            yield chain.Entry.from_line(line)


def _head_of(fields: dict[str, Any]) -> Head:
    try:
        head = Head(statement=str(fields["head"]), signature=bytes.fromhex(fields["signature"]))
        _ = head.end
    except (KeyError, TypeError) as error:
        raise ValueError("not an exported head") from error
    return head


def _head(row: AuditHead) -> Head:
    return Head(statement=row.statement, signature=bytes(row.signature))
