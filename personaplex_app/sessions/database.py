"""The SQLite file of a store: how it is opened, checked, brought to today's version, written and scrubbed."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import StorageError, StorageFull
from .contract import Busy
from .migrations import MIGRATIONS, Migration

# another program holds the file for as long as it runs: to wait longer would not help
BUSY_TIMEOUT_MS = 500


class Database:
    """One connection behind a lock, in a file or (`path` None) in memory.

    The connection holds the file exclusively, so that a second process is refused: it would mark this one's
    running talks as interrupted. The file's version is how many of the `migrations` were applied to it; those
    it lacks are run, each with its version in one transaction.

    Raises: StorageError when the file is damaged, newer than this program, in use elsewhere or cannot be
    written; it is then as it was.
    """

    def __init__(self, path: Path | None, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        self._path = path
        self._migrations = migrations
        # one connection for all threads; SQLite itself would interleave their transactions
        self._lock = threading.RLock()
        try:
            if path is not None:
                # made before SQLite does, which would let the umask decide who may read it
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            # transactions are begun and ended here, and the lock guards the connection: the module need do
            # neither
            self._connection = sqlite3.connect(
                path or ":memory:", isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise self._problem(error) from error
        try:
            self._prepare()
        except BaseException as error:
            self._connection.close()
            if isinstance(error, sqlite3.Error):
                raise self._problem(error) from error
            raise

    def _prepare(self) -> None:
        run = self._connection.execute
        run(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        run("PRAGMA locking_mode=EXCLUSIVE")
        run("PRAGMA journal_mode=WAL")
        # a commit survives a power cut: WAL alone survives only the end of the process
        run("PRAGMA synchronous=FULL")
        run("PRAGMA secure_delete=ON")
        # no temporary files, in which deleted text could be found
        run("PRAGMA temp_store=MEMORY")
        # takes the lock now, so that a second process is refused at its start and not at its first talk
        run("BEGIN EXCLUSIVE")
        run("COMMIT")
        # damage is reported now and not in the middle of a talk
        if (found := run("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)
        self._migrate()
        run("PRAGMA foreign_keys=ON")

    def _migrate(self) -> None:
        """Run the missing migrations.

        Foreign keys are off: else replacing a table would delete the rows that refer to it.
        """
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found > len(self._migrations):
            raise StorageError(
                f"{self._path} was written by a newer version of this program (schema {found}, this one"
                f" knows {len(self._migrations)}). Nothing was changed: update the program, or choose another"
                " data folder."
            )
        for version, migrate in enumerate(self._migrations[found:], found + 1):
            try:
                with self.writing() as connection:
                    migrate(connection)
                    connection.execute(f"PRAGMA user_version={version}")
            except (TypeError, ValueError) as error:
                raise StorageError(
                    f"{self._path} cannot be brought to schema {version} ({type(error).__name__}). It was"
                    " left as it was: report this, and choose another data folder meanwhile."
                ) from error

    @contextmanager
    def reading(self, wait_s: float = -1) -> Iterator[sqlite3.Connection]:
        """Give exclusive use of the connection for the block.

        Raises: StorageError, Busy when others use it for `wait_s` seconds more (-1: waits as long as they
        do).
        """
        if not self._lock.acquire(timeout=wait_s):
            raise Busy
        try:
            yield self._connection
        except sqlite3.Error as error:
            raise self._problem(error) from error
        finally:
            self._lock.release()

    @contextmanager
    def writing(self, wait_s: float = -1) -> Iterator[sqlite3.Connection]:
        """Give the connection inside one transaction: all of it is on disk afterwards, or none.

        Raises: as `reading`.
        """
        with self.reading(wait_s) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def scrub(self) -> None:
        """Remove deleted text from the files' bytes.

        secure_delete alone is not enough: where SQLite moved rows between pages, copies stay in unused parts
        of pages. VACUUM writes all pages anew.

        Raises: StorageError.
        """
        if self._path is not None:
            with self.reading() as connection:
                connection.execute("VACUUM")
                # the write-ahead log holds the deleted text too
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Write everything into the one file and close it. May be called twice."""
        with self._lock:
            self._connection.close()

    def _problem(self, error: Exception) -> StorageError:
        name = getattr(error, "sqlite_errorname", "") or ""  # Python 3.11 and later
        text = " ".join((getattr(error, "strerror", None) or str(error)).split()).rstrip(".")
        if "locked" in text:
            return StorageError(
                f"{self._path} is in use by another running program. Stop that one, or choose another data"
                " folder."
            )
        if name == "SQLITE_FULL" or "disk is full" in text:
            return StorageFull(
                f"The disk with {self._path} is full. Delete talks or other files there, then try again."
            )
        if isinstance(error, sqlite3.DatabaseError) and (
            "malformed" in text or "not a database" in text or type(error) is sqlite3.DatabaseError
        ):
            # damage is the class itself; its subclasses are other faults
            return StorageError(
                f"{self._path} is damaged ({text[:80]}). Nothing was deleted: move the file away or put a"
                " copy back, then start again. The recordings stand beside it."
            )
        return StorageError(
            f"{self._path or 'The list of talks'} cannot be used: {text[:120]}. Make its folder writable, or"
            " choose another data folder."
        )
