"""The compatibility corpus: what was stored once, and what it means. README.md says how it grows."""

import base64
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FILES = sorted(HERE.glob("*.json"))


def text(data: bytes) -> str:
    return base64.b85encode(data).decode()


def data(encoded: str) -> bytes:
    return base64.b85decode(encoded)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found
