"""An append-only log of the listeners' events: one JSON object a line, flushed to disk, never rewritten.

A line that a crash cut off is skipped, and the next writer begins a new one. Several processes may write to
one log, under a file lock.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...atomic import sync_folder
from ...errors import StorageError, StorageFull
from .round import Event

MAX_LOG_BYTES = 32 << 20
LOG_NAME = "votes.jsonl"

log = logging.getLogger(__name__)


class VoteLog:
    """An append-only log. An event is on the disk when `append` returns."""

    def __init__(self, path: Path, max_bytes: int = MAX_LOG_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._read_bytes = 0
        self._lock = threading.Lock()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the file lock, so that no other process writes between reading and appending.

        Raises: StorageError.
        """
        with self._lock:
            try:
                fresh = not self.path.exists()
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise _unwritable(self.path, error) from error
            try:
                # held by the open file: the system releases it even when the process dies
                fcntl.flock(self._fd, fcntl.LOCK_EX)
                if fresh:
                    sync_folder(self.path.parent)
                yield
            finally:
                os.close(self._fd)  # also releases the lock

    def append(self, event: Event) -> None:
        """Append one event, inside `writing`.

        Raises: StorageFull, StorageError; nothing is written then.
        """
        line = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        size_bytes = os.fstat(self._fd).st_size
        if size_bytes + len(line) > self._max_bytes:
            raise StorageFull(
                f"The votes of this test fill their {self._max_bytes >> 20} MiB; export them and begin"
                " another test."
            )
        # a crash may have cut off the last line: start a new one, so that this event stays readable
        if size_bytes and os.pread(self._fd, 1, size_bytes - 1) != b"\n":
            line = b"\n" + line
        try:
            written = os.write(self._fd, line)
            if written < len(line):
                raise OSError(28, "No space left on device")
            os.fsync(self._fd)
        except OSError as error:
            # nothing of a failed event may stay, or a retry would make it count twice
            with suppress(OSError):
                os.ftruncate(self._fd, size_bytes)
            raise _unwritable(self.path, error) from error

    def fresh(self) -> list[Event]:
        """Return the events appended since the last call, by any process.

        Raises: StorageError.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._read_bytes)
                # from where the last call stopped: events are only ever appended
                data = file.read(self._max_bytes)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(
                f"The votes in {self.path} cannot be read: {error.strerror or error}."
            ) from error
        # another process may be in the middle of writing the last line: read it the next time
        whole = data[: data.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        return [event for line in whole.splitlines() if line and (event := self._parsed(line)) is not None]

    def _parsed(self, line: bytes) -> Event | None:
        try:
            event = json.loads(line)
            if isinstance(event, dict):
                return event
        except ValueError:
            pass
        log.warning("%s: a line of %d bytes was cut off and is ignored", self.path.name, len(line))
        return None


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"The vote could not be written to {path.parent}: {error.strerror or error}. Make room there and vote"
        " again."
    )
