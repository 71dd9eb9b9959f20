"""What is asked for, as rules see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args
from uuid import UUID

import msgspec

from keys.models import KeyShare
from mpc.hashing import TH

Action = Literal["sign", "reshare", "refresh", "export", "backup", "delete"]
ACTIONS: tuple[Action, ...] = get_args(Action)
# Where the parties meet is not what they do there.
_PLACE = frozenset({"room_uuid", "relay_address"})


def plain(value: Any) -> Any:
    """Validated fields as JSON: bytes as hex, ids as text, nothing for what was not given."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items() if each is not None}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Asked:
    """One call about one key. ``request``: its fields as JSON, without anything secret; ``extra_data`` (hex) is for
    rule servers."""

    key: KeyShare
    action: Action
    request: dict[str, Any]
    extra_data: str | None = None

    @classmethod
    def of(cls, key: KeyShare, action: Action, fields: Mapping[str, Any]) -> "Asked":
        """From a call's validated fields."""
        request = plain(fields)
        return cls(key, action, request, request.pop("extra_data", None))

    @property
    def subject(self) -> str:
        """What is counted for: the public key (hex), which a reshare does not change; the key's id without one."""
        return bytes(self.key.public_key).hex() if self.key.public_key is not None else str(self.key.id)

    @cached_property
    def digest(self) -> bytes:
        """32 bytes: the same for the same call again, wherever its parties meet."""
        told = {name: value for name, value in self.request.items() if name not in _PLACE}
        canonical = msgspec.json.encode(told, order="deterministic")
        return TH("approval", self.key.id.bytes, self.action.encode(), canonical)

    @property
    def message(self) -> bytes | None:
        """What is to be signed, before any hash; None where nothing is."""
        return bytes.fromhex(self.request["msg"]) if self.action == "sign" else None
