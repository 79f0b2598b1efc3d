"""One JSON file for each message, webhook and answer; the API's tests read the same files."""

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent.parent / "golden"


def read(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes()


def load(name: str) -> dict[str, Any]:
    data = json.loads(read(name))
    assert isinstance(data, dict)
    return data
