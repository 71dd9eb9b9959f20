"""Settings of the relay, from the environment: the one place of its limits and their defaults."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

MIN_API_KEY = 16  # characters

# How long a room lives, in seconds.
UNJOINED_LIFE = 86_400  # from when it was made, while nobody has joined
LONGEST_WAIT = 30 * 86_400  # for the rest of its parties, whatever they ask for
FULL_LIFE = {"sign": 120, "reshare": 30 * 86_400, "refresh": 30 * 86_400}  # from when it filled, at the latest
OTHER_FULL_LIFE = 86_400
USED_LIFE = 3_600  # how long an ended room is remembered as used
INBOX_LIFE = 86_400  # of an inbox, from the last read
INBOX_NEWS = 1_000  # about as many are kept


class SettingsError(ValueError):
    """The environment does not make a relay; the message names the variable."""


def digest(api_key: bytes) -> bytes:
    """How API keys are held in memory: 32 bytes, from which a key of enough entropy does not follow."""
    return hashlib.sha256(b"vertex relay api key\0" + api_key).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits are per relay or per room; sizes in bytes."""

    redis_url: str = field(repr=False)
    api_keys: tuple[bytes, ...] = field(repr=False)
    max_rooms: int = 100_000
    max_room_size: int = 64
    max_message: int = 8 << 20
    max_messages: int = 20_000
    max_room_bytes: int = 128 << 20
    max_body: int = 16 << 20
    max_answer: int = 16 << 20
    max_waiters: int = 2_000

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """RELAY_REDIS_URL, RELAY_API_KEYS (comma separated), and each limit as RELAY_<NAME>; raises SettingsError."""
        keys = [key.strip() for key in env.get("RELAY_API_KEYS", "").split(",") if key.strip()]
        if not keys or min(map(len, keys)) < MIN_API_KEY:
            raise SettingsError(f"RELAY_API_KEYS needs at least one key, each of at least {MIN_API_KEY} characters")
        limits = {
            name: _positive(f"RELAY_{name.upper()}", env[f"RELAY_{name.upper()}"])
            for name in cls.__dataclass_fields__
            if name.startswith("max_") and f"RELAY_{name.upper()}" in env
        }
        return cls(
            redis_url=env.get("RELAY_REDIS_URL", "redis://127.0.0.1:6379/0"),
            api_keys=tuple(digest(key.encode()) for key in keys),
            **limits,
        )


def _positive(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise SettingsError(f"{name} must be a positive whole number")
    return int(text)


def full_life(kind: str) -> int:
    """Seconds that a full room of this kind lives unless all are done before."""
    return FULL_LIFE.get(kind, OTHER_FULL_LIFE)
