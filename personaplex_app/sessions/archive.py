"""Talks and their recordings, kept together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ..errors import NoRecording, StorageError, StorageFull, TalkRunning
from ..principal import Sharers
from .contract import AudioRecorder, AudioStore, StoredEvent, TalkStore
from .recording import BYTES_PER_S
from .records import COMPLETE, TalkMeta, TalkRecord, new_talk_id, no_such_talk
from .shares import least_missed
from .sqlite_store import SqliteTalkStore
from .wav_folder import WavFolder

DATABASE_NAME = "talks.sqlite3"
BRIEF_S = 1.0
"""A talk that was over before anybody said anything."""


class TalkArchive:
    """A store of talks and the store of their recordings, which only this program uses.

    `kept` says whether its talks outlive the visit. When a call that writes returns, what it wrote is stored.
    Deleting leaves nothing of a talk in either store.

    Raises: StorageError, as every method does, when a store fails.
    """

    def __init__(
        self, talks: TalkStore, audio: AudioStore, kept: bool, clock: Callable[[], float] = time.time
    ) -> None:
        self.talks = talks
        self.audio = audio
        self._kept = kept
        self._clock = clock
        self._live: set[str] = set()
        try:
            self._recover()
        except BaseException:
            talks.close()
            raise

    def begin(
        self, owner: str, meta: TalkMeta, limit_s: float, talk_id: str = ""
    ) -> tuple[str, AudioRecorder]:
        """Open a talk of at most `limit_s` seconds, return its id, a new one unless given, and the recorder
        of its sound.

        Raises: StorageFull.
        """
        talk_id = talk_id or new_talk_id()
        self._check_share(owner, int(limit_s * BYTES_PER_S))
        self.audio.reserve(talk_id, limit_s)
        try:
            self.talks.begin(talk_id, owner, self._clock(), meta)
            self._live.add(talk_id)
            return talk_id, self.audio.recorder(talk_id)
        except StorageError:
            self.audio.release(talk_id)
            if talk_id in self._live:
                self._live.remove(talk_id)
                self.talks.delete([talk_id])
            raise

    def add(self, talk_id: str, events: Iterable[StoredEvent], wait_s: float = -1) -> None:
        """Store what happened in a talk, all or none.

        Raises: Busy when the store is used by others for longer than `wait_s` seconds (-1: waits).
        """
        self.talks.add(talk_id, events, wait_s)

    def finish(self, talk_id: str, duration_s: float, reason: str) -> None:
        """Close a talk. Where that fails, it is shown as interrupted."""
        # first of all: the talk is over even if the store fails below
        self._live.discard(talk_id)
        self.audio.release(talk_id)
        status = "done" if reason in COMPLETE else "interrupted"
        self.talks.finish(talk_id, self._clock(), duration_s, status, reason)

    def summaries(self, owner: str) -> list[TalkRecord]:
        """Return the owner's latest talks, newest first, without what happened in them."""
        return [self._shown(talk) for talk in self.talks.talks(owner)]

    def get(self, owner: str, talk_id: str) -> TalkRecord:
        """Return one talk with its transcript and events.

        Raises: NotFound for an absent talk and for another's.
        """
        return self._shown(self.talks.get(owner, talk_id))

    def has(self, owner: str, talk_id: str) -> bool:
        """Return whether `owner` has this talk here."""
        return self.talks.has(owner, talk_id)

    def open_audio(self, owner: str, talk_id: str) -> BinaryIO:
        """Open the wav of a talk that has ended.

        Raises: NotFound, NoRecording, TalkRunning.
        """
        self._check_ended(owner, talk_id)
        try:
            return self.audio.open(talk_id)
        except NoRecording:
            # moved or deleted since it was looked for
            self._check_ended(owner, talk_id)
            raise

    def rate(self, owner: str, talk_id: str, stars: int, comment: str) -> None:
        """Store a rating, checked already, in place of an earlier one.

        Raises: NotFound.
        """
        self.talks.rate(owner, talk_id, stars, comment)

    def delete(self, owner: str, talk_id: str) -> None:
        """Delete a talk for good.

        Raises: NotFound, TalkRunning.
        """
        self._check_ended(owner, talk_id)
        self._erase([talk_id])

    def delete_all(self, owner: str) -> tuple[int, int]:
        """Delete all of an owner's talks but running ones for good; return how many were deleted and how many
        run.
        """
        ids = self.talks.ids(owner)
        ended = [each for each in ids if each not in self._live]
        self._erase(ended)
        return len(ended), len(ids) - len(ended)

    def adopt(self, other: TalkArchive, owner: str, talk_id: str) -> None:
        """Move a talk that has ended from `other` to here. The caller makes sure that nobody rates it
        meanwhile.

        Raises: NotFound, TalkRunning, StorageFull; the talk then stays where it was.
        """
        talk = other.get(owner, talk_id)
        with ExitStack() as stack:
            with suppress(NoRecording):
                wav = stack.enter_context(other.open_audio(owner, talk_id))
                self._check_share(owner, wav.seek(0, os.SEEK_END))
                stack.enter_context(self.audio.arriving(talk_id, wav))
            self.talks.insert(owner, talk)
        # the row first: nobody may find the talk there without its recording
        other.talks.delete([talk_id])
        other.audio.delete([talk_id])

    def expire(
        self,
        is_old: Callable[[str], bool],
        sharers: Callable[[str], Sharers],
        at_most: int,
        room_bytes: int,
    ) -> set[str]:
        """Delete the talks that are old by their id, then ended ones until at most `at_most` remain and
        `room_bytes` fit; return the ids of those that remain.

        Of the ended ones those go first that nobody will miss, then those of whoever has most of them: the
        `sharers` of an id tell whose they are.
        """
        talks = self.talks.oldest_first()
        remain = {talk.id: talk for talk in talks}
        ended = [talk for talk in talks if talk.id not in self._live]

        def let_go(talk: TalkRecord) -> None:
            self._erase([talk.id])
            ended.remove(talk)
            del remain[talk.id]

        for talk in [talk for talk in ended if is_old(talk.id)]:
            let_go(talk)
        while ended and ((many := len(remain) > at_most) or not self.audio.fits(room_bytes)):
            brief = [talk for talk in ended if talk.duration_s < BRIEF_S]
            let_go(
                brief[0]
                if brief
                else least_missed(
                    ended, lambda talk: sharers(talk.id), lambda talk: 1.0 if many else talk.duration_s
                )
            )
        return set(remain)

    def close(self) -> None:
        """Close both stores. May be called twice."""
        self.talks.close()

    def _check_share(self, owner: str, wanted_bytes: int) -> None:
        """Leave as much room for others as an owner takes, where talks stay. Raises: StorageFull."""
        if not self._kept or not self.audio.fits(wanted_bytes):
            return
        its_bytes = sum(int(self.audio.length_s(each) * BYTES_PER_S) for each in self.talks.ids(owner))
        if not self.audio.fits(its_bytes + wanted_bytes):
            raise StorageFull(
                f"Your kept talks take {its_bytes >> 20} MiB, and the rest of the folder is for others."
                " Delete talks you no longer need."
            )

    def _recover(self) -> None:
        """Put in order what the end of an earlier program left."""
        self.audio.recover(self.talks.exists)
        for talk in self.talks.unfinished():
            said_s = max((each.end_s for each in talk.utterances), default=0.0)
            # of sound and words either may have been saved later than the other
            duration_s = max(said_s, self.audio.length_s(talk.id))
            self.talks.finish(talk.id, talk.started_at_s + duration_s, duration_s, "interrupted", None)

    def _erase(self, talk_ids: list[str]) -> None:
        # the rows last: were the program cut off before, the owner could delete them again
        if talk_ids:
            self.audio.delete(talk_ids)
            self.talks.delete(talk_ids)

    def _shown(self, talk: TalkRecord) -> TalkRecord:
        # nobody writes this talk any more: finishing its row has failed
        lost = talk.status == "live" and talk.id not in self._live
        return replace(
            talk,
            status="interrupted" if lost else talk.status,
            kept=self._kept,
            has_audio=self.audio.has(talk.id),
        )

    def _check_ended(self, owner: str, talk_id: str) -> None:
        if not self.talks.has(owner, talk_id):
            raise no_such_talk()
        if talk_id in self._live:
            raise TalkRunning("This talk is still going on. Stop it first.")


def open_archive(
    folder: Path, max_bytes: int, temporary: bool = False, clock: Callable[[], float] = time.time
) -> TalkArchive:
    """Return the archive in a folder, which only this process uses: rows in SQLite, wavs beside it.

    `temporary` is for talks that nobody asked to keep: their words stay in memory, and nothing waits for the
    disk.

    Raises: StorageError when the folder cannot be used; nothing in it was deleted.
    """
    audio = WavFolder(folder, max_bytes, durable=not temporary)
    talks = SqliteTalkStore(None if temporary else folder / DATABASE_NAME)
    return TalkArchive(talks, audio, kept=not temporary, clock=clock)
