"""What an outsider with all databases, keystores and master keys finds out about a key: nothing of it is asked of a
vertex, and nothing is written."""

import base64
import json
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from keys.keystore.base import KeyGone, Tampered
from keys.keystore.files import FileKeys
from keys.keystore.journal import FileJournal
from keys.keystore.sealing import MasterKeys, Sealer
from mpc.hashing import TH
from mpc.identity import verify
from mpc.shares import Share

AT_ONCE = 2  # connections to one database


class ReadOnly:
    """A directory of the keystore, looked at only: opening it does not tidy it up, as a worker does."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def exists(self, name: str) -> bool:
        return (self._path / name).exists()

    def names(self) -> list[str]:
        return sorted(path.name for path in self._path.iterdir())


@dataclass(frozen=True, slots=True)
class Vault:
    """A vertex's keystore in the hands of somebody who has its master key."""

    vertex: str
    keys: FileKeys
    journal: FileJournal

    @classmethod
    def at(cls, vertex: str, root: Path, master_key: str) -> "Vault":
        masters, identifier = MasterKeys(bytes.fromhex(master_key)), (root / "keystore").read_bytes()[:16].hex()
        return cls(
            vertex,
            FileKeys(ReadOnly(root / "keys"), Sealer(masters, identifier, "data keys")),  # type: ignore[arg-type]
            FileJournal(ReadOnly(root / "journal"), Sealer(masters, identifier, "journal")),  # type: ignore[arg-type]
        )

    def open(self, *, key_id: bytes, gid: bytes, scheme: str, ref: str | None, sealed: bytes | None) -> Share | None:
        """The share, if this key and this ciphertext still give it."""
        if ref is None or sealed is None:
            return None
        aad = TH("sealed", b"share/1", self.vertex.encode(), key_id, gid, scheme.encode())
        try:
            return Share.decode(self.keys.unwrap(ref, sealed, aad))
        except (KeyGone, Tampered, ValueError):
            return None

    def entry(self, party: str, gid: bytes) -> dict[str, Any] | None:
        """The journal's record of a stored share."""
        try:
            data = self.journal.read(f"share/{party}/{gid.hex()}")
        except Tampered:
            return None
        return json.loads(data) if data is not None else None


class Said(msgspec.Struct, frozen=True, array_like=True):
    """A receipt, as keys.receipts writes it."""

    version: int
    kind: str
    subject: bytes
    gid: bytes
    k: int
    digest: bytes
    party: bytes
    body: dict[str, Any]


def said(encoded: bytes) -> Said:
    """Read a receipt and check its signature; ValueError: what is in a database must hold."""
    payload, signature = msgspec.msgpack.decode(encoded, type=tuple[bytes, bytes])
    receipt = msgspec.msgpack.decode(payload, type=Said)
    if not verify(receipt.party, "receipt", (payload,), signature):
        raise ValueError("a kept receipt has a bad signature")
    return receipt


@dataclass(frozen=True, slots=True)
class Held:
    """One party's share of one sharing: its row's state, and whether database and keystore still give the secret."""

    vertex: str
    party: str
    gid: bytes
    state: str
    opens: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one vertex knows of an attempt."""

    vertex: str
    rid: bytes
    gid: bytes
    new_gid: bytes | None
    old: tuple[str, ...]
    t: int
    new: tuple[str, ...]
    d: int
    state: str


@dataclass(slots=True)
class Evidence:
    """Everything about one public key, read in an order in which no honest course of things looks like a violation.

    Active states are read before old shares are counted, and stored shares after: old shares only vanish, new ones
    only appear.
    """

    active: set[tuple[str, bytes]] = field(default_factory=set)  # (party, gid), before anything else was read
    shares: list[Held] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    receipts: set[tuple[str, str, bytes, int, bytes]] = field(default_factory=set)  # kind, party, rid, k, digest

    def opening(self, gid: bytes) -> list[Held]:
        return [held for held in self.shares if held.gid == gid and held.opens]


class Witness:
    """Reads the databases (as their owner) and keystores of vertices; over few connections, which the server counts."""

    def __init__(self, urls: Mapping[str, str], stores: Mapping[str, tuple[Path, str]]) -> None:
        self._urls, self._stores = urls, stores
        self._free: dict[str, list[psycopg.Connection[Any]]] = {vertex: [] for vertex in urls}
        self._at_once = {vertex: threading.Semaphore(AT_ONCE) for vertex in urls}

    def query(self, vertex: str, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows; psycopg.OperationalError while the database is away."""
        with self._at_once[vertex]:
            while self._free[vertex]:
                try:
                    return self._ask(vertex, self._free[vertex].pop(), statement, parameters)
                except (IndexError, psycopg.OperationalError):
                    continue  # broken since it was used last, or taken by another thread
            fresh = psycopg.connect(self._urls[vertex], autocommit=True, connect_timeout=5)
            return self._ask(vertex, fresh, statement, parameters)

    def _ask(
        self, vertex: str, connection: psycopg.Connection[Any], statement: str, parameters: tuple[object, ...]
    ) -> list[tuple[Any, ...]]:
        try:
            rows = connection.execute(statement, parameters).fetchall()
        except BaseException:
            connection.close()
            raise
        self._free[vertex].append(connection)
        return rows

    def gather(self, public_key: bytes) -> Evidence:
        found = Evidence()
        for vertex in self._urls:
            found.active |= {(bytes(party).hex(), bytes(gid)) for party, gid in self.query(vertex, _ACTIVE, public_key)}
        gids = self._gids(public_key)
        for vertex in self._urls:
            found.attempts += self._attempts(vertex, gids)
        by_age = sorted(gids, key=lambda gid: gids[gid])
        for gid in by_age:  # the oldest sharing first: its shares are those that vanish
            for vertex in self._urls:
                found.shares += self._shares(vertex, gid)
        rids = [attempt.rid for attempt in found.attempts]
        for vertex in self._urls:
            for (encoded,) in self.query(vertex, "SELECT encoded FROM keys_receipt WHERE subject = ANY(%s)", rids):
                receipt = said(bytes(encoded))
                found.receipts.add((receipt.kind, receipt.party.hex(), receipt.subject, receipt.k, receipt.digest))
        return found

    def _gids(self, public_key: bytes) -> dict[bytes, int]:
        """Every sharing of a key, with its generation."""
        found: dict[bytes, int] = {}
        for vertex in self._urls:
            for gid, generation in self.query(vertex, _GIDS, public_key):
                found[bytes(gid)] = max(generation, found.get(bytes(gid), 0))
        return found

    def _shares(self, vertex: str, gid: bytes) -> Iterable[Held]:
        vault = Vault.at(vertex, *self._stores[vertex])
        unknown = {name.split("/")[1] for name in vault.journal.list("share/") if name.endswith(gid.hex())}
        for row in self.query(vertex, _SHARES, gid):
            key_id, party, scheme, state, sealed, ref = row
            name = bytes(party).hex()
            wanted = {"key_id": key_id.bytes, "gid": gid, "scheme": scheme}
            share = vault.open(**wanted, ref=ref, sealed=bytes(sealed) if sealed is not None else None)
            if share is None and (entry := vault.entry(name, gid)) is not None:
                share = vault.open(**wanted, ref=entry["data_key"], sealed=base64.b64decode(entry["sealed"]))
            unknown.discard(name)
            yield Held(vertex, name, gid, state, share is not None)
        for name in unknown:  # a restored database has no row of it yet
            if (entry := vault.entry(name, gid)) is not None:
                wanted = {"key_id": uuid.UUID(entry["key_id"]).bytes, "gid": gid, "scheme": entry["scheme"]}
                share = vault.open(**wanted, ref=entry["data_key"], sealed=base64.b64decode(entry["sealed"]))
                yield Held(vertex, name, gid, "no row", share is not None)

    def _attempts(self, vertex: str, gids: Iterable[bytes]) -> Iterable[Attempt]:
        for rid, gid, new_gid, old, t, new, d, state in self.query(vertex, _ATTEMPTS, list(gids)):
            digest_gid = bytes(new_gid) if new_gid is not None else None
            yield Attempt(vertex, bytes(rid), bytes(gid), digest_gid, tuple(old), t, tuple(new), d, state)

    def events(self, vertex: str) -> list[tuple[Any, ...]]:
        """The audit log: seq, time, action, actor, subject, data, previous, hash."""
        return self.query(vertex, _EVENTS)


_ACTIVE = """SELECT identity.public, share.gid FROM keys_keyshare share JOIN keys_partyidentity identity
             ON identity.id = share.identity_id WHERE share.public_key = %s AND share.state = 'active'"""
_GIDS = "SELECT gid, generation FROM keys_keyshare WHERE public_key = %s AND gid IS NOT NULL"
_SHARES = """SELECT share.id, identity.public, share.scheme, share.state, share.sealed_share, share.data_key
               FROM keys_keyshare share JOIN keys_partyidentity identity ON identity.id = share.identity_id
              WHERE share.gid = %s"""
_ATTEMPTS = """SELECT rid, gid, new_gid, old_parties, old_threshold, new_parties, deletions_required, state
                 FROM reshare_reshare WHERE rid IS NOT NULL AND gid = ANY(%s)"""
_EVENTS = "SELECT seq, time, action, actor, subject, data, previous, hash FROM audit_event ORDER BY seq"
