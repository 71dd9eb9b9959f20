"""What all answers share."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

Scheme = Literal["ecdsa", "ed25519", "bip340"]
SCHEMES: tuple[Scheme, ...] = ("ecdsa", "ed25519", "bip340")


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list; `next` is the path of the following part."""

    results: tuple[T, ...]
    next: str | None


@dataclass(frozen=True)
class Problem:
    """An error as the contract words it."""

    err_type: str
    err_msg: str
