"""Recorded runs with fixed randomness: every frame by its hash, and the results in full.

Whoever changes a byte on the wire, on purpose or not, sees it; on purpose, `mpc.params.VERSION` changes too, and
`python -m tests.mpc.transcripts` records afresh. A new protocol or scheme is one more entry of `SCENARIOS`.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpc.batch import batch_sign
from mpc.export import ExportRequest, export
from mpc.frost.signing import FrostRequest, frost_sign
from mpc.hashing import TH
from mpc.importing import scalar_of
from mpc.keygen import KeygenConfig, KeygenResult, keygen
from mpc.mul import gadget
from mpc.protocol import Protocol, Rng, SeededRng
from mpc.secret import Secret
from mpc.shares import PairState, Share
from mpc.sign import SignRequest, sign
from tests.mpc.simulator import Network, batch_item, batch_of, identities, import_parties, reshare_parties

HERE = Path(__file__).resolve().parent
Parties = dict[bytes, Protocol[Any]]
NAMES = {one.public: name for name in "ABCD" for one in identities(name)}
DIGEST = TH("test/message")


class Fixed:
    """An Rng that draws from its name and the label only: signing takes no SeededRng, and rightly."""

    def __init__(self, name: str) -> None:
        self._name = name.encode()

    def draw(self, label: str, size: int) -> bytes:
        return hashlib.shake_256(b"transcript\0" + self._name + b"\0" + label.encode()).digest(size)

    def absorb(self, *parts: bytes) -> None:
        return None


def seeds(protocol: str) -> dict[bytes, bytes]:
    """The session seed of each party in a recorded key generation, import or reshare."""
    return {party: hashlib.sha256(f"{protocol}/{name}".encode()).digest() for party, name in NAMES.items()}


def _seeded(protocol: str) -> dict[bytes, Rng]:
    return {party: SeededRng(seed) for party, seed in seeds(protocol).items()}


def _keygen(scheme: str, names: str = "AB") -> Parties:
    config = KeygenConfig(room="room", scheme=scheme, t=2, identities=tuple(one.public for one in identities(names)))
    rngs = _seeded("keygen")
    return {one.public: keygen(one, config, rngs[one.public]) for one in identities(names)}


def keys_of(scheme: str) -> dict[bytes, KeygenResult]:
    """The key of A and B that the recorded key generation makes; its results are never changed."""
    made = Network().run(_keygen(scheme))
    assert all(isinstance(result, KeygenResult) for result in made.values()), made
    return made


def _sign(scheme: str) -> Parties:
    made, request = keys_of(scheme), SignRequest(room="room", size=2, digest=DIGEST, path=(0, 44))
    parties = {one.public: one for one in identities("AB")}
    return {
        party: sign(one, made[party].share, made[party].pairs, request, Fixed(NAMES[party]))
        for party, one in parties.items()
    }


def _frost(scheme: str, tweak: bytes | None) -> Parties:
    made = keys_of(scheme)
    request = FrostRequest(room="room", size=2, message=b"of any length", path=(0, 44), tweak=tweak)
    parties = {one.public: one for one in identities("AB")}
    return {party: frost_sign(one, made[party].share, request, Fixed(NAMES[party])) for party, one in parties.items()}


def _export(scheme: str) -> Parties:
    made = keys_of(scheme)
    request = ExportRequest(room="room", size=2, recipient=max(made))
    return {
        one.public: export(one, made[one.public].share, request, Fixed(NAMES[one.public])) for one in identities("AB")
    }


def _import(scheme: str) -> Parties:
    return import_parties("A", "AB", 2, scalar_of(scheme, DIGEST).reveal(), scheme, rngs=_seeded("import"))


def _batch(scheme: str) -> Parties:
    """Two requests for one message: a child and the key itself."""
    made = keys_of(scheme)
    request = batch_of(batch_item(scheme, 0, DIGEST, path=(0, 44)), batch_item(scheme, 1, DIGEST))
    parties = {one.public: one for one in identities("AB")}
    return {
        party: batch_sign(one, made[party].share, made[party].pairs, request, Fixed(NAMES[party]))
        for party, one in parties.items()
    }


def _reshare(scheme: str) -> Parties:
    """A leaves, C joins."""
    return reshare_parties(keys_of(scheme), "ABC", "BC", 2, rngs=_seeded("reshare"))


SCENARIOS: dict[str, Callable[[], Parties]] = {
    "ecdsa-keygen": lambda: _keygen("ecdsa"),
    "ecdsa-sign": lambda: _sign("ecdsa"),
    "ecdsa-batch": lambda: _batch("ecdsa"),
    "ecdsa-reshare": lambda: _reshare("ecdsa"),
    "ecdsa-export": lambda: _export("ecdsa"),
    "ecdsa-import": lambda: _import("ecdsa"),
    "ed25519-keygen": lambda: _keygen("ed25519"),
    "ed25519-sign": lambda: _frost("ed25519", None),
    "ed25519-reshare": lambda: _reshare("ed25519"),
    "ed25519-export": lambda: _export("ed25519"),
    "ed25519-import": lambda: _import("ed25519"),
    "bip340-keygen": lambda: _keygen("bip340"),
    "bip340-sign": lambda: _frost("bip340", bytes(range(32))),
    "bip340-batch": lambda: _batch("bip340"),
    "bip340-reshare": lambda: _reshare("bip340"),
    "bip340-export": lambda: _export("bip340"),
    "bip340-import": lambda: _import("bip340"),
}


def transcript(name: str) -> dict[str, Any]:
    """Runs a scenario: its frames in order, and what each party has in the end."""
    gadget.cache_clear()
    network, parties = Network(), SCENARIOS[name]()
    outcomes = network.run(parties)
    frames = [
        f"{frame.round} {NAMES[frame.sender]}→{NAMES.get(frame.receiver, '*')} "
        f"{len(frame.body)} B {hashlib.sha256(frame.body).hexdigest()}"
        for frame in network.sent
    ]
    return {"frames": frames, "results": {NAMES[party]: _shown(outcome) for party, outcome in outcomes.items()}}


def _shown(value: Any) -> Any:
    """A result as JSON; long byte strings by their hash."""
    if isinstance(value, Share | PairState):
        return hashlib.sha256(value.encode()).hexdigest() if isinstance(value, PairState) else value.encode().hex()
    if isinstance(value, Secret):
        return value.reveal().hex()
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 128 else hashlib.sha256(value).hexdigest()
    if isinstance(value, tuple):
        return [_shown(each) for each in value]
    if isinstance(value, dict):
        return {NAMES[party]: _shown(each) for party, each in value.items()}
    if isinstance(value, int) and value.bit_length() > 53:
        return hex(value)
    if value is None or isinstance(value, int | str):
        return value
    if isinstance(value, Exception):
        return {"error": repr(value)}
    return {field: _shown(getattr(value, field)) for field in value.__dataclass_fields__}


def failures(shown: dict[str, Any]) -> list[str]:
    """The errors in a transcript."""
    results = shown["results"].values()
    each = [one for result in results for one in (result if isinstance(result, list) else [result])]
    return [one["error"] for one in each if isinstance(one, dict) and "error" in one]


def recorded(name: str) -> dict[str, Any]:
    """What the file says."""
    read: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text())
    return read
