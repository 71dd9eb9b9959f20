"""A rate as the settings name it."""

import re
from dataclasses import dataclass

_SECONDS = {"s": 1, "sec": 1, "min": 60, "hour": 3600, "day": 86_400}
_RATE = re.compile(r"([1-9][0-9]{0,8})/(s|sec|min|hour|day)")


@dataclass(frozen=True)
class Rate:
    """At most `count` calls at once, and that many in `seconds` on average."""

    count: int
    seconds: int


def rate(text: str) -> Rate | None:
    """``600/min``; units s, sec, min, hour, day. None for an empty text: no limit. ValueError for anything else."""
    if not text:
        return None
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(f"not a rate such as 600/min: {text}")
    return Rate(int(found[1]), _SECONDS[found[2]])
