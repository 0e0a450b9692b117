"""Files that are there whole or not at all, and names that survive a power cut."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomically(path: Path, data: bytes, *, private: bool = False, durable: bool = False) -> None:
    """Write a file under another name, then rename it: a reader never sees half of it.

    A `private` file can be read by its owner alone. The bytes of a `durable` one are on the disk before it
    has its name; `sync_folder` does the same for the name.

    Raises: OSError; nothing is left behind then.
    """
    # writers of one path do not meet: each has a name of its own
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(descriptor)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
