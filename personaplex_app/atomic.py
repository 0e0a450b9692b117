"""Write files atomically and durably: a file is complete or absent, even after a power cut."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomically(path: Path, data: bytes, *, private: bool = False, durable: bool = False) -> None:
    """Write a file under a temporary name, then rename it, so that no reader sees half of it.

    A `private` file can be read by its owner alone. A `durable` one is flushed to the disk before it is
    renamed; `sync_folder` then makes the name durable.

    Raises: OSError; no temporary file is left behind then.
    """
    # a random name, so that two writers of one path do not share a temporary file
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
    """Flush a folder's file names to the disk, so that they survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
