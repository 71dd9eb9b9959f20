"""Secrets that a running vertex makes, in every form in which they could be written somewhere."""

import base64
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

from django.db import connection

from keys.sessions.log import SessionLog
from mpc.protocol import SeededRng, SystemRng

# Draws that are sent to everybody, or in no need of secrecy once their commitment is opened.
PUBLIC_DRAWS = ("hello/nonce", "blind")
OF_A_KIND = 6  # secrets kept of one kind: 128 transfers of a pair are alike


@dataclass
class Canaries:
    """Kind → secrets, 16 bytes or more each."""

    found: dict[str, set[bytes]] = field(default_factory=dict)

    def add(self, kind: str, *secrets: bytes) -> None:
        kept = self.found.setdefault(kind, set())
        for secret in secrets:
            assert len(secret) >= 16, kind
            if len(kept) < OF_A_KIND:
                kept.add(secret)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Notes the session seeds and all secret draws of the sessions that run meanwhile."""

        def drawing(rng: type[SeededRng] | type[SystemRng]) -> object:
            plain = rng.draw

            def draw(self: SeededRng | SystemRng, label: str, size: int) -> bytes:
                drawn = plain(self, label, size)  # type: ignore[arg-type]
                kind = "/".join(part for part in label.split("/") if len(part) < 32 and not part.isdigit())
                if size >= 16 and not kind.endswith(PUBLIC_DRAWS):
                    canaries.add(f"draw {kind}", drawn)
                return drawn

            return patch.object(rng, "draw", draw)

        def begin(log: SessionLog) -> bytes:
            seed = began(log)
            canaries.add("session seed", seed)
            return seed

        canaries, began = self, SessionLog._begin
        with drawing(SeededRng), drawing(SystemRng), patch.object(SessionLog, "_begin", begin):  # type: ignore[attr-defined]
            yield

    def leaks(self, place: bytes) -> list[str]:
        """Kinds and forms of the secrets that stand there."""
        return [
            f"{kind}, {form}"
            for kind, secrets in self.found.items()
            for secret in secrets
            for form, written in forms(secret).items()
            if written in place
        ]


def forms(secret: bytes) -> dict[str, bytes]:
    """How a secret could be written; base64 at each place in a longer text, without the letters that others share."""
    written = {
        "raw": secret,
        "hex": secret.hex().encode(),
        "upper-case hex": secret.hex().upper().encode(),
        "repr": repr(secret)[2:-1].encode(),
        "decimal": str(int.from_bytes(secret, "big")).encode(),
        "decimal, little-endian": str(int.from_bytes(secret, "little")).encode(),
        "list of numbers": ", ".join(map(str, secret)).encode(),
    }
    for skipped in range(3):
        padded = bytes(skipped) + secret
        whole = len(padded) // 3 * 4
        inner = base64.b64encode(padded)[4 if skipped else 0 : whole]
        written |= {
            f"base64 +{skipped}": inner,
            f"base64url +{skipped}": inner.translate(bytes.maketrans(b"+/", b"-_")),
        }
    return written


def database_dump() -> bytes:
    """Every table, as COPY writes it: in its text form and in its binary one."""
    dump = bytearray()
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        tables = [name for (name,) in cursor.fetchall()]
        for table in tables:
            for form in ("text", "binary"):
                with cursor.copy(f"COPY {table} TO STDOUT (FORMAT {form})") as copy:  # type: ignore[attr-defined]
                    for block in copy:
                        dump += block
    assert len(tables) > 10
    return bytes(dump)


class Everything(logging.Handler):
    """All log records of all levels, through the configured formatter and bare, with their tracebacks."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__(logging.DEBUG)
        self.formatter = formatter
        self.text: list[str] = []
        self.levels: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.levels[record.levelname] += 1
        bare = logging.Formatter().format(record) if isinstance(record.msg, str) else repr(record.msg)
        self.text += [bare, repr(record.__dict__), self.format(record)]
