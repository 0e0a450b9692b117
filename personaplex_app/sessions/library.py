"""All talks of a running program: the kept ones in the data folder, the temporary ones in a private folder
that does not outlive it.
"""

from __future__ import annotations

import logging
import math
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from ..errors import NoRecording, NotFound, StorageError
from ..principal import Principal, Sharers
from .archive import TalkArchive, open_archive
from .recording import BYTES_PER_S
from .records import TalkMeta, TalkRecord, checked_rating, no_such_talk
from .talk_recorder import TalkRecorder
from .temp_folder import TempFolder
from .wav_folder import MAX_FOLDER_BYTES

# bounds what visitors can leave behind
MAX_TEMPORARY = 64
MAX_TEMPORARY_BYTES = 1 << 30
RECORDING_SLACK_S = 10.0  # a talk ends a little after its limit
TEMPORARY_AGE_S = 15 * 60

T = TypeVar("T")


@dataclass
class _Passing:
    """Whose a temporary talk is, and when it ended."""

    sharers: Sharers
    ended_s: float = math.inf


class Library:
    """Where talks are written, found, kept and deleted. Every method blocks for the disk and may be called
    from any thread.

    `keep_problem` says why nothing can be kept, None when all is well. Close it to delete the temporary
    talks; they are deleted at exit in any case.
    """

    def __init__(
        self,
        folder: Path | None,
        max_kept_bytes: int = MAX_FOLDER_BYTES,
        talk_limit_s: float = 600,
        temporary_root: Path | None = None,
        max_temporary_bytes: int = MAX_TEMPORARY_BYTES,
        clock: Callable[[], float] = time.time,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keep_problem: str | None = None
        self.kept: TalkArchive | None = None
        self._temporary: TalkArchive | None = None
        # ages are told by a clock that is never set
        self._now = now
        self._passing: dict[str, _Passing] = {}
        self._limit_s = talk_limit_s + RECORDING_SLACK_S
        self._live: dict[str, TalkRecorder] = {}
        self._lock = threading.Lock()
        # held while a talk moves, so that it is neither rated nor deleted where it no longer is
        self._moving = threading.Lock()
        try:
            if folder is None:
                raise StorageError("Talks are not kept here: this program was started without a data folder.")
            self.kept = open_archive(folder, max_kept_bytes, clock=clock)
        except StorageError as error:
            self.keep_problem = str(error)
            if folder:
                logging.getLogger(__name__).warning("no talk can be kept: %s", error)
        with suppress(OSError, StorageError):  # then `begin` says that nothing is recorded
            self._folder = TempFolder(temporary_root or Path(tempfile.gettempdir()))
            self._temporary = open_archive(
                self._folder.path, max_temporary_bytes, temporary=True, clock=clock
            )

    def begin(self, caller: Principal, keep: bool, meta: TalkMeta, talk_id: str = "") -> TalkRecorder:
        """Open a talk's record; `keep` writes it where it stays, from the first second.

        A talk that cannot be recorded, or not where it was to be, gets a recorder nevertheless, whose
        `problem` says why. A client without an owner key gets one that records nothing. `talk_id` is the
        id that the talk has already (`records.new_talk_id`), "" for a new one.

        Raises: BadInput for an invalid owner key, or where it is missing and the talk is to be kept.
        """
        if not caller.owner_key_chars and not keep:
            return TalkRecorder(None, False, None, lambda log: None)
        owner = caller.required_owner
        problem = self.keep_problem if keep else None
        # a talk that cannot be kept is at least there during the visit
        for archive in (self.kept if keep else None, self._temporary):
            if archive is None:
                continue
            try:
                if archive is self._temporary:
                    # for the longest recording, since how long this one becomes is not known yet
                    self.purge(int(self._limit_s * BYTES_PER_S))
                talk_id, recorder = archive.begin(owner, meta, self._limit_s, talk_id)
            except StorageError as error:
                problem = problem or str(error)
                continue
            log = TalkRecorder(
                (archive, talk_id, recorder),
                archive is self.kept,
                problem,
                lambda log: self._on_end(owner, log),
            )
            with self._lock:
                self._live[talk_id] = log
                if archive is self._temporary:
                    self._passing[talk_id] = _Passing(caller.sharers or (owner,))
            return log
        return TalkRecorder(
            None,
            False,
            problem or "This talk is not recorded: this machine has no folder for it.",
            lambda log: None,
        )

    def talks(self, caller: Principal) -> list[TalkRecord]:
        """Return the owner's latest talks, newest first, without their words.

        Raises: BadInput, StorageError.
        """
        self.purge()
        owner = caller.required_owner
        found = {talk.id: talk for archive in self._archives() for talk in archive.summaries(owner)}
        return sorted(found.values(), key=lambda talk: -talk.started_at_s)

    def get(self, caller: Principal, talk_id: str) -> TalkRecord:
        """Return one talk with its transcript and events.

        Raises: BadInput, NotFound for an absent talk and for another's, StorageError.
        """
        self.purge()
        return self._in_either(lambda archive: archive.get(caller.required_owner, talk_id))

    def open_audio(self, caller: Principal, talk_id: str) -> BinaryIO:
        """Open the wav of a talk that has ended; moving or deleting the talk afterwards does not disturb the
        reader.

        Raises: BadInput, NotFound, NoRecording, TalkRunning, StorageError.
        """
        self.purge()
        owner = caller.required_owner

        return self._in_either(lambda archive: archive.open_audio(owner, talk_id))

    def rate(self, caller: Principal, talk_id: str, stars: int, comment: str = "") -> None:
        """Store 1 to 5 stars and a comment in place of an earlier rating.

        Raises: BadInput, NotFound, StorageError.
        """
        stars, comment = checked_rating(stars, comment)
        with self._moving:
            self._in_either(lambda archive: archive.rate(caller.required_owner, talk_id, stars, comment))

    def keep(self, caller: Principal, talk_id: str) -> bool:
        """Keep a temporary talk: at once when it has ended, else when it ends. Return whether it is kept
        already.

        Raises: BadInput, NotFound, StorageFull, StorageError.
        """
        owner = caller.required_owner
        if self.kept is None:
            raise StorageError(self.keep_problem or "Talks cannot be kept here.")
        # under the lock that `_on_end` takes: a talk that ends now either sees `keep_at_end` or is adopted
        # below
        with self._lock:
            log = self._live.get(talk_id)
            if (
                log is not None
                and not log.keeping
                and self._temporary
                and self._temporary.has(owner, talk_id)
            ):
                log.keep_at_end = True
                return False
        self._adopt(self.kept, owner, talk_id)
        return True

    def delete(self, caller: Principal, talk_id: str) -> None:
        """Delete a talk for good.

        Raises: BadInput, NotFound, TalkRunning, StorageError.
        """
        with self._moving:
            self._in_either(lambda archive: archive.delete(caller.required_owner, talk_id))

    def delete_all(self, caller: Principal) -> tuple[int, int]:
        """Delete all of an owner's talks but running ones for good; return how many were deleted and how many
        run.

        Raises: BadInput, StorageError.
        """
        owner = caller.required_owner
        with self._moving:
            counts = [archive.delete_all(owner) for archive in self._archives()]
        return sum(deleted for deleted, _ in counts), sum(running for _, running in counts)

    def purge(self, room_bytes: int = 0) -> None:
        """Delete temporary talks that are too old or too many; with `room_bytes`, make room for one more.
        Call it now and then.

        Raises: StorageError.
        """
        if self._temporary is None:
            return
        with self._lock:
            passing = dict(self._passing)
        oldest_s = self._now() - TEMPORARY_AGE_S

        def is_old(talk_id: str) -> bool:
            return talk_id in passing and passing[talk_id].ended_s < oldest_s

        def sharers(talk_id: str) -> Sharers:
            return passing[talk_id].sharers if talk_id in passing else ()

        most = MAX_TEMPORARY - (1 if room_bytes else 0)
        remain = self._temporary.expire(is_old, sharers, most, room_bytes)
        with self._lock:
            for talk_id in passing.keys() - remain:
                self._passing.pop(talk_id, None)

    def close(self) -> None:
        """End what is running, delete the temporary talks, close the data folder. May be called twice."""
        # before the archives are closed, which this writes to
        for log in list(self._live.values()):
            log.finish("shutdown")
        for archive in self._archives():
            archive.close()
        if self._temporary is not None:
            self._folder.wipe()

    def _on_end(self, owner: str, log: TalkRecorder) -> None:
        with self._lock:
            self._live.pop(log.id or "", None)
            if passing := self._passing.get(log.id or ""):
                passing.ended_s = self._now()
        if log.keep_at_end and self.kept is not None and log.id is not None:
            try:
                self._adopt(self.kept, owner, log.id)
                log.keeping = True
            except (StorageError, NotFound) as error:
                log.problem = str(error)

    def _adopt(self, kept: TalkArchive, owner: str, talk_id: str) -> None:
        with self._moving:
            if kept.has(owner, talk_id):
                return
            if self._temporary is None:
                raise no_such_talk()
            kept.adopt(self._temporary, owner, talk_id)

    def _in_either(self, act: Callable[[TalkArchive], T]) -> T:
        # temporary first: talks move from there to the kept ones, so none is missed on its way
        for archive in self._archives():
            try:
                return act(archive)
            except NoRecording:
                raise  # it is a NotFound too, but the talk itself was found
            except NotFound:
                continue
        raise no_such_talk()

    def _archives(self) -> list[TalkArchive]:
        return [archive for archive in (self._temporary, self.kept) if archive is not None]
