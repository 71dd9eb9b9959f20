"""What an attacker does to a field: by its type, as `mpc.wire` spells it, and by the scheme's group."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mpc.group import SECP256K1, Group
from mpc.wire import SetupKey
from tests.mpc.attacks.encodings import no_points, not_reduced, of_other_group
from tests.mpc.attacks.places import ATTACKED
from tests.mpc.simulator import flipped, identity

# lie: a value that could be right. invalid: of the right length, but no point, not reduced. shape: does not parse.
Class = Literal["lie", "invalid", "shape"]

STRANGER = identity("stranger").public
SETUP_KEY = SetupKey(key=SECP256K1.generator.to_bytes(), zero_commitment=bytes(32))


@dataclass(frozen=True)
class Known:
    """What the attacker has to work with: the honest value, another party's in this place, its own of another
    session.
    """

    own: Any
    other: Any
    earlier: Any


Change = Callable[[Known], Any]
Changes = dict[Class, Mapping[str, Change]]


@dataclass(frozen=True)
class Manipulation:
    name: str
    kind: Class
    change: Change


def manipulations(nature: str, group: Group) -> Iterator[Manipulation]:
    """All of a field's. KeyError for a type that has none yet: say here what can be done to it."""
    if nature.endswith(" | None"):
        yield Manipulation("missing", "lie", lambda known: None)
    nature = nature.removesuffix(" | None")
    if nature in ("Opening", "Deal"):  # their fields are changed one by one
        return
    for kind, changes in _BY_NATURE[_short(nature)](nature, group).items():
        for name, change in changes.items():
            yield Manipulation(name, kind, change)


def _short(nature: str) -> str:
    """``Annotated[bytes, Meta(…)]`` → ``blob`` where the length is fixed, else ``bytes``, ``int``, ``tuple[…]``."""
    if not nature.startswith("Annotated["):
        return nature
    inner = nature.removeprefix("Annotated[").split(", Meta")[0]
    return "blob" if "min_length" in nature and inner == "bytes" else inner


def _replaced(items: tuple[Any, ...], at: int, item: Any) -> tuple[Any, ...]:
    changed = list(items)
    changed[at] = item
    return tuple(changed)


_FROM_ELSEWHERE: Mapping[str, Change] = {"another's": lambda k: k.other, "an earlier one": lambda k: k.earlier}
_WRONG_LENGTHS: Mapping[str, Change] = {
    "cut": lambda k: _cut(k.own),
    "longer": lambda k: k.own + bytes(2),
    "empty": lambda k: b"",
    "text": lambda k: "x" * len(k.own),
}


def _cut(item: bytes) -> bytes:
    """Too short for the points or proofs of any group."""
    return item[: len(item) // 32 * 32 - 1]


def _of_bytes(nature: str, group: Group) -> Changes:
    return {
        "lie": {
            "first bit": lambda k: flipped(k.own, 0),
            "last bit": lambda k: flipped(k.own),
            "zeros": lambda k: bytes(len(k.own)),
            "ones": lambda k: b"\xff" * len(k.own),
            **_FROM_ELSEWHERE,
        },
        "shape": _WRONG_LENGTHS,
    }


def _of_proof(nature: str, group: Group) -> Changes:
    return {**_of_bytes(nature, group), "invalid": {"of another group": lambda k: of_other_group(k.own)}}


def _of_scalar(nature: str, group: Group) -> Changes:
    return {
        "lie": {
            "one more": lambda k: group.encode_scalar(group.decode_scalar(k.own) + 1),
            "negative": lambda k: group.encode_scalar(-group.decode_scalar(k.own)),
            "zero": lambda k: bytes(32),
            **_FROM_ELSEWHERE,
        },
        "invalid": {"q": lambda k: not_reduced(group), "2^256 - 1": lambda k: b"\xff" * 32},
        "shape": _WRONG_LENGTHS,
    }


def _of_compressed_point(nature: str, group: Group) -> Changes:
    """The oblivious transfers', which are on secp256k1 and of one length."""
    return {
        "lie": {
            "negated": lambda k: group.negate(group.decode(k.own)).to_bytes(),
            "generator": lambda k: group.generator.to_bytes(),
            **_FROM_ELSEWHERE,
        },
        "invalid": {
            name: lambda k, encoding=encoding: encoding(k.own)  # type: ignore[misc]
            for name, encoding in no_points(group).items()
        },
        "shape": _WRONG_LENGTHS,
    }


def _of_point(nature: str, group: Group) -> Changes:
    changes = _of_compressed_point(nature, group)
    changes["invalid"] = {**changes["invalid"], "of another group": lambda k: of_other_group(k.own)}
    return changes


def _of_blob(nature: str, group: Group) -> Changes:
    sized = re.search(r"max_length=([\d_]+)", nature)
    assert sized is not None
    if int(sized[1]) == 8_448:  # points, side by side
        return {
            "lie": {"first point negated": lambda k: flipped(k.own, 0), **_FROM_ELSEWHERE},
            "invalid": {
                "first point not on the curve": lambda k: no_points(group)["not on the curve"](k.own[:33]) + k.own[33:],
                "last point the identity": lambda k: k.own[:-33] + bytes(33),
            },
            "shape": _WRONG_LENGTHS,
        }
    changes = _of_bytes(nature, group)
    changes["lie"] = {
        "middle bit": lambda k: flipped(k.own, len(k.own) // 64 * 32 - 1),
        "last bit": lambda k: flipped(k.own),
        **_FROM_ELSEWHERE,
    }
    if int(sized[1]) == 40_000:  # scalars, then a hash; all zeros would be scalars too
        changes["lie"] = {**changes["lie"], "first scalar": lambda k: flipped(k.own, 31)}
        changes["invalid"] = {
            "first scalar q": lambda k: not_reduced(group) + k.own[32:],
            "η is q": lambda k: k.own[:39_936] + not_reduced(group) + k.own[39_968:],
        }
    elif int(sized[1]) == 6_144:  # a correction that the receiver's choice does not use is not seen: one in each group
        changes["lie"] = {**changes["lie"], "a correction of each group": _each_96th}
    else:
        changes["lie"] = {**changes["lie"], "first bit": lambda k: flipped(k.own, 0)}
    return changes


def _each_96th(known: Known) -> bytes:
    return bytes(byte ^ (at % 96 == 0) for at, byte in enumerate(known.own))


def _of_free_bytes(nature: str, group: Group) -> Changes:
    changes: dict[str, Change] = {
        "flipped": lambda k: flipped(k.own) if k.own else b"\0",
        "longer": lambda k: k.own + b"\0",
        "cut": lambda k: k.own[:-1],
        "empty": lambda k: b"",
        **_FROM_ELSEWHERE,
    }
    return {"lie": changes, "shape": {"text": lambda k: "text", "too long": lambda k: bytes(5 * 2**20)}}


def _of_tuple(nature: str, group: Group) -> Changes:
    """Of fixed-length items: points, proofs, identities."""
    lies: dict[str, Change] = {
        "one more": lambda k: (*k.own, k.own[-1]),
        "one less": lambda k: k.own[:-1],
        "none": lambda k: (),
        "swapped": lambda k: k.own[::-1],
        "one twice": lambda k: (k.own[0],) * len(k.own),
        **_FROM_ELSEWHERE,
    }
    invalid: dict[str, Change] = {"zeros in it": lambda k: _replaced(k.own, -1, bytes(len(k.own[0])))}
    if nature == "Points":
        lies["the last another"] = lambda k: _replaced(k.own, -1, group.generator.to_bytes())
        no_point = no_points(group)["not on the curve"]
        invalid["one not on the curve"] = lambda k: _replaced(k.own, 0, no_point(k.own[0]))
    if nature in ("Points", "Proofs"):
        invalid["one of another group"] = lambda k: _replaced(k.own, 0, of_other_group(k.own[0]))
    if nature == "Identities":
        lies["a stranger"] = lambda k: tuple(sorted((*k.own[1:], STRANGER)))
    shapes: dict[str, Change] = {
        "too many": lambda k: k.own * 33,
        "an item cut": lambda k: _replaced(k.own, 0, _cut(k.own[0])),
        "an item longer": lambda k: _replaced(k.own, 0, k.own[0] + bytes(2)),
    }
    return {"lie": lies, "invalid": invalid, "shape": shapes}


def _of_count(nature: str, group: Group) -> Changes:
    return {
        "lie": {
            "one more": lambda k: k.own + 1 if k.own is not None else 3,
            "none": lambda k: 0 if k.own else 7,
            "most": lambda k: 2**31 - 2,
        },
        "shape": {"negative": lambda k: -1, "too large": lambda k: 2**31, "text": lambda k: "2"},
    }


def _of_text(nature: str, group: Group) -> Changes:
    return {
        "lie": {"another": lambda k: "another", "longer": lambda k: k.own + "x", "none": lambda k: ""},
        "shape": {"too long": lambda k: "x" * 129, "bytes": lambda k: b"x"},
    }


def _of_path(nature: str, group: Group) -> Changes:
    return {
        "lie": {"another": lambda k: (*k.own, 1), "hardened": lambda k: (2**31 - 1,)},
        "shape": {"too long": lambda k: (0,) * 33, "negative": lambda k: (-1,)},
    }


def _of_receipts(nature: str, group: Group) -> Changes:
    return {
        "lie": {"one more": lambda k: (*k.own, b"no receipt"), "many": lambda k: (b"x",) * 256},
        "shape": {"too many": lambda k: (b"x",) * 257, "too long": lambda k: (bytes(16_385),)},
    }


def _of_tweak(nature: str, group: Group) -> Changes:
    """Of none or one item; the honest one is there."""
    return {
        "lie": {
            "none": lambda k: (),
            "no script tree": lambda k: (b"",),
            "another root": lambda k: (flipped(k.own[0]),),
            "no root": lambda k: (k.own[0][:-1],),
        },
        "shape": {"two": lambda k: k.own * 2, "too long": lambda k: (bytes(33),), "no list": lambda k: k.own[0]},
    }


def _of_items(nature: str, group: Group) -> Changes:
    """A bundle's: as many messages as the batch has items."""
    lies: dict[str, Change] = {
        "one more": lambda k: (*k.own, k.own[-1]),
        "one less": lambda k: k.own[:-1],
        "none": lambda k: (),
        "swapped": lambda k: k.own[::-1],
        "one twice": lambda k: (k.own[0],) * len(k.own),
        **_FROM_ELSEWHERE,
    }
    invalid: dict[str, Change] = {
        "one empty": lambda k: _replaced(k.own, -1, b""),
        "one cut": lambda k: _replaced(k.own, -1, k.own[-1][:-1]),
        "one longer": lambda k: _replaced(k.own, -1, k.own[-1] + b"\0"),
    }
    shapes: dict[str, Change] = {
        "too many": lambda k: (b"",) * 1_001,
        "one too long": lambda k: _replaced(k.own, 0, bytes(41_001)),
        "a text": lambda k: _replaced(k.own, 0, "text"),
    }
    return {"lie": lies, "invalid": invalid, "shape": shapes}


def _of_offers(nature: str, group: Group) -> Changes:
    """Hashes of requests, or nothing in their place."""
    lies: dict[str, Change] = {
        "one more": lambda k: (*k.own, k.own[-1]),
        "one less": lambda k: k.own[:-1],
        "swapped": lambda k: k.own[::-1],
        "another request": lambda k: _replaced(k.own, ATTACKED, flipped(k.own[ATTACKED])),
        "one withdrawn": lambda k: _replaced(k.own, ATTACKED, b""),
        "all withdrawn": lambda k: (b"",) * len(k.own),
        **_FROM_ELSEWHERE,
    }
    shapes: dict[str, Change] = {
        "too many": lambda k: (b"",) * 1_001,
        "one too long": lambda k: _replaced(k.own, 0, bytes(33)),
    }
    return {"lie": lies, "shape": shapes}


def _of_setup_key(nature: str, group: Group) -> Changes:
    """Missing, or one where there are none; its fields are changed one by one."""
    return {"lie": {"surplus": lambda k: k.own or SETUP_KEY}}


_BY_NATURE: Mapping[str, Callable[[str, Group], Changes]] = {
    "Hash": _of_bytes,
    "IdentityKey": _of_bytes,
    "Proof": _of_proof,
    "Scalar": _of_scalar,
    "Point": _of_point,
    "CompressedPoint": _of_compressed_point,
    "SetupKey": _of_setup_key,
    "blob": _of_blob,
    "bytes": _of_free_bytes,
    "Receipt": _of_free_bytes,
    "Points": _of_tuple,
    "Proofs": _of_tuple,
    "Identities": _of_tuple,
    "Count": _of_count,
    "int": _of_count,
    "Text": _of_text,
    "Items": _of_items,
    "Offers": _of_offers,
    "tuple[Count, ...]": _of_path,
    "tuple[Receipt, ...]": _of_receipts,
    "tuple[Tweak, ...]": _of_tweak,
}
