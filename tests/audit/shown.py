"""A deletion's statement as `reshare` makes it, and ledger rows with it."""

from typing import Any
from uuid import UUID

from audit.models import Deletion
from audit.services import deletion_open, deletion_ready

RID = "aa" * 32
PARTIES = tuple(bytes([number]) * 32 for number in range(1, 7))
KEY_ID = UUID("7d0c7a3c-53b9-4b53-b3f6-6a1c4c1b9d01")


def name(party: bytes) -> str:
    return f"vtx1{party.hex()}"


def statement(**changes: Any) -> dict[str, Any]:
    return {
        "key": {
            "key_id": str(KEY_ID),
            "scheme": "ecdsa",
            "public_key": "02" + "ab" * 32,
            "generation": 1,
            "gid": "cc" * 32,
        },
        "old": {"threshold": 2, "parties": [name(party) for party in PARTIES[:3]], "generation": 1, "key_id": ""},
        "new": {
            "threshold": 3,
            "parties": [name(party) for party in (*PARTIES[:2], *PARTIES[3:])],
            "generation": 2,
            "key_id": "1f6f2f3e-0000-4000-8000-000000000002",
        },
        "rid": RID,
        "digest": "dd" * 32,
        "deletions_required": 2,
        "stored": [name(party) for party in (*PARTIES[:2], *PARTIES[3:])],
        "exports": [],
        **changes,
    }


def opened(own: bool = True, party: bytes = PARTIES[0], owner: str | None = None, **changes: Any) -> Deletion:
    return deletion_open(
        attempt=RID,
        party=party,
        keygen_id=name(party),
        own=own,
        gid=b"\xcc" * 32,
        key_id=KEY_ID if own else None,
        statement=statement(**changes),
        requested_by="user:3f0c7a3c-53b9-4b53-b3f6-6a1c4c1b9d03",
        owner=owner,
    )


def ready(**options: Any) -> Deletion:
    return deletion_ready(deletion=opened(**options))
