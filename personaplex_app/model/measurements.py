"""What was measured on this machine: JSON files of values by key, which outlast the process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..atomic import write_atomically
from ..errors import StorageError, shorten


def read_measurements(path: Path) -> dict[str, Any]:
    """Return a file's values by key; none where it is absent or spoiled."""
    try:
        kept = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def keep_measurement(path: Path, key: str, value: Any) -> None:
    """Put a value into a file beside what it holds. Raises: StorageError."""
    kept = read_measurements(path) | {key: value}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(kept, indent=1).encode())
    except OSError as error:
        raise StorageError(
            f"What was measured cannot be kept in {shorten(path)}: {error.strerror}. Give another folder with"
            " --data."
        ) from error
