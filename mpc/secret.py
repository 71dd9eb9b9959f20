"""Types for secrets that do not leak by accident."""

import hmac
from typing import Final, NoReturn, final


class Confidential:
    """Base of everything that holds a secret: prints its name only, is equal to nothing but itself, is not pickled.

    A subclass may print more of itself, in a `__repr__` of its own, as long as that is public.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<redacted>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a secret and is not pickled")


@final
class Secret(Confidential):
    """Secret bytes: prints `<redacted>`, has no `==`, no hash, no pickle and no JSON form.

    Python can't wipe memory: this keeps secrets out of logs, messages and databases, not out of a core dump.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value: Final = bytes(value)

    def reveal(self) -> bytes:
        """The bytes themselves. The caller must not log, compare with `==`, or store them unsealed."""
        return self._value

    def equals(self, other: "Secret") -> bool:
        """Comparison in time that depends on the lengths only."""
        return hmac.compare_digest(self._value, other._value)

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return "<redacted>"

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("secrets are compared with equals()")

    __hash__ = None  # type: ignore[assignment]
