"""Published test vectors; each file names its source."""

import json
from pathlib import Path
from typing import Any


def load(name: str) -> dict[str, Any]:
    """The content of a file of this directory."""
    return dict(json.loads((Path(__file__).parent / f"{name}.json").read_text()))
