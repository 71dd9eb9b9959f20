"""Published test vectors, as data. README.md names the source of each file."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def load(name: str) -> Any:
    """What is in the file `name`.json."""
    return json.loads((HERE / f"{name}.json").read_text())
