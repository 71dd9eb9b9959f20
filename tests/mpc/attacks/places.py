"""Where messages travel, and every field of them: read off the message types, so that no new field is forgotten."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mpc import wire
from mpc.wire import Message, decode, encode

Path = tuple[str, ...]

FROST = ("bip340", "ed25519")
# What is another thing in each group.
_OF_THE_GROUP = {"Point", "Points", "Proof", "Proofs", "Scalar"}


@dataclass(frozen=True)
class Place:
    """One kind of message in one round of one protocol."""

    protocol: str
    round: int
    private: bool
    kind: type[Message]
    scheme: str = "ecdsa"
    inside: type[Message] | None = None  # of a bundle: what its items are

    @property
    def world(self) -> str:
        """The sessions that it is in: the protocol, and the scheme if that is not ECDSA."""
        return self.protocol if self.scheme == "ecdsa" else f"{self.protocol} {self.scheme}"

    @property
    def name(self) -> str:
        """What it is called in the table of its protocol."""
        return f"{self.round} {'private' if self.private else 'broadcast'}"

    def __str__(self) -> str:
        return f"{self.world} {self.name}"


_PAIRWISE = (
    Place("keygen", 0, False, wire.Hello),
    Place("keygen", 1, False, wire.Commitment),
    Place("keygen", 2, False, wire.KeygenOpening),
    Place("keygen", 2, True, wire.KeygenDeal),
    Place("keygen", 3, True, wire.EchoedAnswer),
    Place("keygen", 4, False, wire.Outcome),
    Place("keygen", 4, True, wire.Puncturing),
    Place("sign", 0, False, wire.Hello),
    Place("sign", 1, False, wire.Commitment),
    Place("sign", 1, True, wire.SignExtension),
    Place("sign", 2, True, wire.SignProduct),
    Place("sign", 3, False, wire.SignShare),
    Place("batch", 0, False, wire.Hello),
    Place("batch", 1, False, wire.Bundle, inside=wire.Commitment),
    Place("batch", 1, True, wire.SealedBundle, inside=wire.SignExtension),
    Place("batch", 2, True, wire.SealedBundle, inside=wire.SignProduct),
    Place("batch", 3, False, wire.Bundle, inside=wire.SignShare),
    Place("reshare", 0, False, wire.Hello),
    Place("reshare", 1, False, wire.Promise),
    Place("reshare", 2, False, wire.ReshareOpening),
    Place("reshare", 2, True, wire.ReshareDeal),
    Place("reshare", 3, True, wire.EchoedAnswer),
    Place("reshare", 4, True, wire.Puncturing),
    Place("reshare", 5, False, wire.Outcome),
    Place("import", 0, False, wire.Hello),
    Place("import", 1, False, wire.ImportCommitment),
    Place("import", 2, False, wire.ReshareOpening),
    Place("import", 2, True, wire.ReshareDeal),
    Place("import", 3, True, wire.EchoedAnswer),
    Place("import", 4, False, wire.Outcome),
    Place("import", 4, True, wire.Puncturing),
    Place("export", 0, False, wire.Hello),
    Place("export", 1, False, wire.ExportReady),
    Place("export", 2, True, wire.ExportShare),
)
_WITHOUT_PAIRS = tuple(
    Place(protocol, number, private, kind, scheme, *inside)
    for scheme in FROST
    for protocol, number, private, kind, *inside in (
        ("keygen", 0, False, wire.Hello),
        ("keygen", 1, False, wire.Commitment),
        ("keygen", 2, False, wire.KeygenOpening),
        ("keygen", 2, True, wire.KeygenDeal),
        ("keygen", 4, False, wire.EchoedOutcome),
        ("frost", 0, False, wire.Hello),
        ("frost", 1, False, wire.FrostCommitment),
        ("frost", 2, False, wire.FrostShare),
        ("batch", 0, False, wire.Hello),
        ("batch", 1, False, wire.Bundle, wire.FrostCommitment),
        ("batch", 2, False, wire.Bundle, wire.FrostShare),
        ("reshare", 0, False, wire.Hello),
        ("reshare", 1, False, wire.Promise),
        ("reshare", 2, False, wire.ReshareOpening),
        ("reshare", 2, True, wire.ReshareDeal),
        ("reshare", 5, False, wire.Outcome),
        ("import", 0, False, wire.Hello),
        ("import", 1, False, wire.ImportCommitment),
        ("import", 2, False, wire.ReshareOpening),
        ("import", 2, True, wire.ReshareDeal),
        ("import", 4, False, wire.EchoedOutcome),
        ("export", 0, False, wire.Hello),
        ("export", 1, False, wire.ExportReady),
        ("export", 2, True, wire.ExportShare),
    )
)
PLACES = _PAIRWISE + _WITHOUT_PAIRS

ATTACKED = 1  # the item of a batch whose messages an attacker changes

# Messages inside the byte strings of a hello: (protocol, field) → type.
INSIDE: dict[tuple[str, str], type[Message]] = {
    ("keygen", "fields"): wire.KeygenFields,
    ("sign", "fields"): wire.SignFields,
    ("frost", "fields"): wire.FrostFields,
    ("import", "fields"): wire.KeygenFields,
    ("export", "fields"): wire.ExportFields,
    ("batch", "fields"): wire.BatchFields,
    ("batch", "extra"): wire.BatchOffers,
    ("reshare", "fields"): wire.ReshareFields,
    ("reshare", "extra"): wire.ReshareExtra,
}

NOT_SENT = {
    wire.Message: "the base of all",
    wire.SecretMessage: "the base of what is private",
    wire.QuorumFields: "the base of what those who use a key agree on",
    wire.Description: "signed, never sent: a hello's fields say the same, its extra has the signature",
    wire.Participant: "part of a reshare's preimage: tests/mpc/test_reshare_lies.py changes each of its fields",
}


@dataclass(frozen=True)
class Spot:
    """One field that an attacker can change. ``nature``: its type as `mpc.wire` spells it."""

    place: Place
    path: Path
    nature: str

    def __str__(self) -> str:
        return f"{self.place} {'.'.join(self.path)}"

    @property
    def name(self) -> str:
        """What its row is called."""
        return f"{self.place.name} {'.'.join(self.path)}"

    @property
    def tried(self) -> bool:
        """What is the same code in all schemes is tried in one: of a BIP340 key's hellos but FROST's, and of all of
        Ed25519's messages, only what depends on the group. What is in a set-up key is nowhere where there are none.
        """
        if self.place.scheme == "ecdsa":
            return True
        if self.path[0] == "setup" and len(self.path) > 1:
            return False
        own = self.place.scheme == "bip340" and (self.place.round > 0 or self.place.protocol == "frost")
        return own or self.nature.removesuffix(" | None") in _OF_THE_GROUP

    def get(self, message: Any) -> Any:
        """The field's value; None where an optional part that it is in is missing."""
        for at, name in enumerate(self.path):
            if message is None:
                return None
            message = getattr(message, name)
            if inside := self._inside(at):
                message = decode(inside, message[ATTACKED] if self.place.inside else message)
        return message

    def put(self, message: Any, value: Any, at: int = 0) -> None:
        """Sets the field, whether the value is valid or not. The part that it is in must be there."""
        name = self.path[at]
        if at == len(self.path) - 1:
            setattr(message, name, value)
        elif inside := self._inside(at):
            items = list(getattr(message, name)) if self.place.inside else [getattr(message, name)]
            which = ATTACKED if self.place.inside else 0
            inner = decode(inside, items[which])
            self.put(inner, value, at + 1)
            items[which] = encode(inner)
            setattr(message, name, tuple(items) if self.place.inside else items[0])
        else:
            self.put(getattr(message, name), value, at + 1)

    def _inside(self, at: int) -> type[Message] | None:
        if at or len(self.path) == 1:
            return None
        if self.place.inside:
            return self.place.inside
        if self.place.kind is not wire.Hello:
            return None
        return INSIDE.get((self.place.protocol, self.path[0]))


def spots_of(place: Place) -> Iterator[Spot]:
    """Every field of a message, parts of parts too; a part that may be missing is a field and has fields."""
    yield from _fields(place, place.kind, ())


def all_spots() -> tuple[Spot, ...]:
    """Those that are tried."""
    return tuple(spot for place in PLACES for spot in spots_of(place) if spot.tried)


def message_types() -> set[type[Message]]:
    """All that `mpc.wire` defines."""
    return {kind for _, kind in inspect.getmembers(wire, inspect.isclass) if issubclass(kind, Message)}


def natures_of(kind: type[Message]) -> dict[str, str]:
    """Each field's type as `mpc.wire` spells it, a base's first."""
    return {
        name: str(nature) for base in reversed(kind.__mro__) for name, nature in inspect.get_annotations(base).items()
    }


def _fields(place: Place, kind: type[Message], path: Path) -> Iterator[Spot]:
    for name, nature in natures_of(kind).items():
        here = (*path, name)
        part = getattr(wire, nature.removesuffix(" | None"), None)
        inside = INSIDE.get((place.protocol, name)) if kind is wire.Hello else None
        if kind is place.kind and place.inside:
            inside = place.inside
        if inspect.isclass(part) and issubclass(part, Message):
            if nature.endswith("| None"):
                yield Spot(place, here, nature)
            yield from _fields(place, part, here)
        else:
            yield Spot(place, here, nature)
            if inside is not None:
                yield from _fields(place, inside, here)


def types_in(place: Place) -> set[type[Message]]:
    """The types that a place's messages are made of."""
    found: set[type[Message]] = set()
    waiting = [place.kind, *(kind for (protocol, _), kind in INSIDE.items() if protocol == place.protocol)]
    if place.inside:
        waiting.append(place.inside)
    while waiting:
        kind = waiting.pop()
        found.add(kind)
        for nature in natures_of(kind).values():
            part = getattr(wire, nature.removesuffix(" | None"), None)
            if inspect.isclass(part) and issubclass(part, Message) and part not in found:
                waiting.append(part)
    return found
