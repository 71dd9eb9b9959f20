"""What an attacker does to a field: by its type, as `mpc.wire` spells it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mpc.group import SECP256K1 as G
from tests.mpc.simulator import flipped, identity

# lie: a value that could be right. invalid: of the right length, but no point, not reduced. shape: does not parse.
Class = Literal["lie", "invalid", "shape"]

NOT_ON_THE_CURVE = b"\x02" + (5).to_bytes(32, "big")
NOT_REDUCED = G.order.to_bytes(32, "big")
STRANGER = identity("stranger").public


@dataclass(frozen=True)
class Known:
    """What the attacker has to work with: the honest value, another party's in this place, its own of another
    session.
    """

    own: Any
    other: Any
    earlier: Any


Change = Callable[[Known], Any]


@dataclass(frozen=True)
class Manipulation:
    name: str
    kind: Class
    change: Change


def manipulations(nature: str) -> Iterator[Manipulation]:
    """All of a field's. KeyError for a type that has none yet: say here what can be done to it."""
    optional = nature.endswith(" | None")
    if optional:
        yield Manipulation("missing", "lie", lambda known: None)
    nature = nature.removesuffix(" | None")
    if nature == "part":
        return
    for kind, changes in _BY_NATURE[_short(nature)](nature).items():
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
    "cut": lambda k: k.own[:-1],
    "longer": lambda k: k.own + b"\0",
    "empty": lambda k: b"",
    "text": lambda k: "x" * len(k.own),
}


def _of_bytes(nature: str) -> dict[Class, Mapping[str, Change]]:
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


def _of_scalar(nature: str) -> dict[Class, Mapping[str, Change]]:
    return {
        "lie": {
            "one more": lambda k: G.encode_scalar(G.decode_scalar(k.own) + 1),
            "negative": lambda k: G.encode_scalar(-G.decode_scalar(k.own)),
            "zero": lambda k: bytes(32),
            **_FROM_ELSEWHERE,
        },
        "invalid": {"q": lambda k: NOT_REDUCED, "2^256 - 1": lambda k: b"\xff" * 32},
        "shape": _WRONG_LENGTHS,
    }


def _of_point(nature: str) -> dict[Class, Mapping[str, Change]]:
    return {
        "lie": {
            "negated": lambda k: flipped(k.own, 0),
            "generator": lambda k: G.generator.to_bytes(),
            **_FROM_ELSEWHERE,
        },
        "invalid": {
            "not on the curve": lambda k: NOT_ON_THE_CURVE,
            "identity": lambda k: bytes(33),
            "x beyond the field": lambda k: b"\x02" + b"\xff" * 32,
            "another form": lambda k: b"\x04" + k.own[1:],
        },
        "shape": _WRONG_LENGTHS,
    }


def _of_blob(nature: str) -> dict[Class, Mapping[str, Change]]:
    sized = re.search(r"max_length=([\d_]+)", nature)
    assert sized is not None
    if int(sized[1]) == 8_448:  # points, side by side
        return {
            "lie": {"first point negated": lambda k: flipped(k.own, 0), **_FROM_ELSEWHERE},
            "invalid": {
                "first point not on the curve": lambda k: NOT_ON_THE_CURVE + k.own[33:],
                "last point the identity": lambda k: k.own[:-33] + bytes(33),
            },
            "shape": _WRONG_LENGTHS,
        }
    changes = _of_bytes(nature)
    changes["lie"] = {
        "middle bit": lambda k: flipped(k.own, len(k.own) // 64 * 32 - 1),
        "last bit": lambda k: flipped(k.own),
        **_FROM_ELSEWHERE,
    }
    if int(sized[1]) == 40_000:  # scalars, then a hash; all zeros would be scalars too
        changes["lie"] = {**changes["lie"], "first scalar": lambda k: flipped(k.own, 31)}
        changes["invalid"] = {
            "first scalar q": lambda k: NOT_REDUCED + k.own[32:],
            "η is q": lambda k: k.own[:39_936] + NOT_REDUCED + k.own[39_968:],
        }
    elif int(sized[1]) == 6_144:  # a correction that the receiver's choice does not use is not seen: one in each group
        changes["lie"] = {**changes["lie"], "a correction of each group": _each_96th}
    else:
        changes["lie"] = {**changes["lie"], "first bit": lambda k: flipped(k.own, 0)}
    return changes


def _each_96th(known: Known) -> bytes:
    return bytes(byte ^ (at % 96 == 0) for at, byte in enumerate(known.own))


def _of_free_bytes(nature: str) -> dict[Class, Mapping[str, Change]]:
    changes: dict[str, Change] = {
        "flipped": lambda k: flipped(k.own) if k.own else b"\0",
        "longer": lambda k: k.own + b"\0",
        "cut": lambda k: k.own[:-1],
        "empty": lambda k: b"",
        **_FROM_ELSEWHERE,
    }
    return {"lie": changes, "shape": {"text": lambda k: "text", "too long": lambda k: bytes(5 * 2**20)}}


def _of_tuple(nature: str) -> dict[Class, Mapping[str, Change]]:
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
        lies["the last another"] = lambda k: _replaced(k.own, -1, G.generator.to_bytes())
        invalid["one not on the curve"] = lambda k: _replaced(k.own, 0, NOT_ON_THE_CURVE)
    if nature == "Identities":
        lies["a stranger"] = lambda k: tuple(sorted((*k.own[1:], STRANGER)))
    shapes: dict[str, Change] = {
        "too many": lambda k: k.own * 33,
        "an item cut": lambda k: _replaced(k.own, 0, k.own[0][:-1]),
        "an item longer": lambda k: _replaced(k.own, 0, k.own[0] + b"\0"),
    }
    return {"lie": lies, "invalid": invalid, "shape": shapes}


def _of_count(nature: str) -> dict[Class, Mapping[str, Change]]:
    return {
        "lie": {
            "one more": lambda k: k.own + 1 if k.own is not None else 3,
            "none": lambda k: 0 if k.own else 7,
            "most": lambda k: 2**31 - 2,
        },
        "shape": {"negative": lambda k: -1, "too large": lambda k: 2**31, "text": lambda k: "2"},
    }


def _of_text(nature: str) -> dict[Class, Mapping[str, Change]]:
    return {
        "lie": {"another": lambda k: "another", "longer": lambda k: k.own + "x", "none": lambda k: ""},
        "shape": {"too long": lambda k: "x" * 129, "bytes": lambda k: b"x"},
    }


def _of_path(nature: str) -> dict[Class, Mapping[str, Change]]:
    return {
        "lie": {"another": lambda k: (*k.own, 1), "hardened": lambda k: (2**31 - 1,)},
        "shape": {"too long": lambda k: (0,) * 33, "negative": lambda k: (-1,)},
    }


def _of_receipts(nature: str) -> dict[Class, Mapping[str, Change]]:
    return {
        "lie": {"one more": lambda k: (*k.own, b"no receipt"), "many": lambda k: (b"x",) * 256},
        "shape": {"too many": lambda k: (b"x",) * 257, "too long": lambda k: (bytes(16_385),)},
    }


_BY_NATURE: Mapping[str, Callable[[str], dict[Class, Mapping[str, Change]]]] = {
    "Hash": _of_bytes,
    "Proof": _of_bytes,
    "Scalar": _of_scalar,
    "Point": _of_point,
    "blob": _of_blob,
    "bytes": _of_free_bytes,
    "Receipt": _of_free_bytes,
    "Points": _of_tuple,
    "Proofs": _of_tuple,
    "Identities": _of_tuple,
    "Count": _of_count,
    "int": _of_count,
    "Text": _of_text,
    "tuple[Count, ...]": _of_path,
    "tuple[Receipt, ...]": _of_receipts,
}
