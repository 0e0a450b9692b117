"""Talks in a folder: rows in SQLite, sound in `<id>.wav` beside it.

A talk belongs to whoever has its owner key; for everybody else it does not exist. What a writing call
returned from is on disk. Deleting leaves nothing of the talk in any file of the folder.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from ..atomic import sync_folder
from ..engine.contract import Mark, Sampling, TurnLatency, Utterance, Word
from ..errors import NoRecording, NotFound, StorageError, StorageFull, TalkRunning
from .database import Database
from .recording import BYTES_PER_S, Recorder, part_path, recover
from .records import (
    COMPLETE,
    MAX_TEXT_CHARS,
    TalkMeta,
    TalkRecord,
    checked_id,
    checked_rating,
    new_talk_id,
    no_such_talk,
    storable_text,
)

DATABASE_NAME = "talks.sqlite3"
MAX_STORE_BYTES = 2 << 30
MAX_LISTED = 500


class Store:
    """The talks of one folder, which only this process uses.

    `temporary` is for talks that nobody asked to keep: their words stay in memory, and nothing waits for the
    disk.

    Raises: StorageError when the folder cannot be used; nothing in it was deleted.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int = MAX_STORE_BYTES,
        temporary: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._temporary = temporary
        self._clock = clock
        self._live: dict[str, int] = {}  # id → bytes set aside for its sound
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"The folder {folder} for kept talks cannot be made: {error.strerror}. Choose another data"
                " folder."
            ) from error
        self._database = Database(None if temporary else folder / DATABASE_NAME)
        try:
            self._take_up()
        except BaseException:
            self._database.close()
            raise

    # Writing a talk

    def begin(self, owner: str, meta: TalkMeta, limit_s: float, talk_id: str = "") -> tuple[str, Recorder]:
        """Open a talk of at most `limit_s` seconds, return its id, a new one unless given, and the recorder
        of its sound.

        Raises: StorageFull, StorageError.
        """
        talk_id = talk_id or new_talk_id()
        reserved_bytes = int(limit_s * BYTES_PER_S)
        row = (
            talk_id,
            owner,
            self._clock(),
            meta.engine,
            meta.voice,
            meta.persona,
            storable_text(meta.prompt),
            json.dumps(asdict(meta.sampling)),
        )
        with self._database.writing() as connection:
            self._check_room(reserved_bytes)
            connection.execute(
                "INSERT INTO talks (id, owner, status, started_at_s, engine, voice, persona, prompt,"
                " sampling) VALUES (?, ?, 'live', ?, ?, ?, ?, ?, ?)",
                row,
            )
            self._live[talk_id] = reserved_bytes
        try:
            return talk_id, Recorder(self._wav(talk_id), limit_s, durable=not self._temporary)
        except StorageError:
            self._live.pop(talk_id)
            with self._database.writing() as connection:
                connection.execute("DELETE FROM talks WHERE id = ?", (talk_id,))
            raise

    def add(
        self,
        talk_id: str,
        utterances: Iterable[Utterance] = (),
        marks: Iterable[Mark] = (),
        latencies: Iterable[TurnLatency] = (),
        wait_s: float = -1,
    ) -> None:
        """Store what happened in a talk, all or none.

        Raises: StorageError, Busy when the store is in other hands for longer than `wait_s` seconds (-1:
        waits).
        """
        with self._database.writing(wait_s) as connection:
            for u in utterances:
                words = json.dumps(
                    [[storable_text(w.text), w.start_s, w.end_s] for w in u.words[:MAX_TEXT_CHARS]]
                )
                row = (talk_id, u.speaker, u.id, u.start_s, u.end_s, storable_text(u.text), words)
                connection.execute("INSERT OR REPLACE INTO utterances VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            connection.executemany(
                "INSERT INTO marks VALUES (?, ?, ?, ?, ?)",
                [(talk_id, m.kind, m.speaker, m.start_s, m.end_s) for m in marks],
            )
            for turn in latencies:
                pair = json.dumps([turn.user_end_s, turn.agent_start_s])
                connection.execute(
                    "UPDATE talks SET latencies = json_insert(latencies, '$[#]', json(?)) WHERE id = ?",
                    (pair, talk_id),
                )

    def finish(self, talk_id: str, duration_s: float, reason: str) -> None:
        """Close a talk.

        Raises: StorageError; the talk then shows as interrupted.
        """
        self._live.pop(talk_id, None)
        status = "done" if reason in COMPLETE else "interrupted"
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE talks SET status = ?, ended_at_s = ?, duration_s = ?, end_reason = ? WHERE id = ?",
                (status, self._clock(), duration_s, reason, talk_id),
            )

    # What owners do with their talks

    def talks(self, owner: str) -> list[TalkRecord]:
        """Return the owner's latest talks, newest first, without their words.

        Raises: StorageError.
        """
        with self._database.reading() as connection:
            rows = _rows(
                connection,
                "SELECT * FROM talks WHERE owner = ? ORDER BY started_at_s DESC, rowid DESC LIMIT ?",
                (owner, MAX_LISTED),
            )
        return [self._talk(row) for row in rows]

    def get(self, owner: str, talk_id: str) -> TalkRecord:
        """Return one talk with everything that was said.

        Raises: NotFound for an absent talk and for another's, StorageError.
        """
        with self._database.reading() as connection:
            row = self._own(connection, owner, talk_id)
            said = _rows(
                connection,
                "SELECT * FROM utterances WHERE talk_id = ? ORDER BY start_s, utterance_id",
                (talk_id,),
            )
            marks = _rows(connection, "SELECT * FROM marks WHERE talk_id = ? ORDER BY start_s", (talk_id,))
        utterances = tuple(
            Utterance(
                u["utterance_id"],
                u["speaker"],
                u["text"],
                u["start_s"],
                u["end_s"],
                True,
                tuple(Word(*w) for w in json.loads(u["words"])),
            )
            for u in said
        )
        return self._talk(
            row, utterances, tuple(Mark(m["kind"], m["speaker"], m["start_s"], m["end_s"]) for m in marks)
        )

    def has(self, owner: str, talk_id: str) -> bool:
        """Return whether `owner` has this talk here.

        Raises: StorageError.
        """
        try:
            with self._database.reading() as connection:
                self._own(connection, owner, talk_id)
        except NotFound:
            return False
        return True

    def audio(self, owner: str, talk_id: str) -> Path:
        """Return the wav of a talk that has ended.

        Raises: NotFound, NoRecording, TalkRunning, StorageError.
        """
        with self._database.reading() as connection:
            self._own(connection, owner, talk_id)
        self._check_ended(talk_id)
        if not self._wav(talk_id).exists():
            raise NoRecording("This talk has no recording, only its transcript.")
        return self._wav(talk_id)

    def rate(self, owner: str, talk_id: str, stars: int, comment: str = "") -> None:
        """Store what its owner thinks of a talk, in place of an earlier rating.

        Raises: BadInput, NotFound, StorageError.
        """
        stars, comment = checked_rating(stars, comment)
        with self._database.writing() as connection:
            earlier = self._own(connection, owner, talk_id)["comment"]
            connection.execute(
                "UPDATE talks SET stars = ?, comment = ? WHERE id = ?", (stars, comment, talk_id)
            )
        if earlier not in ("", comment):  # a replaced comment is deleted text too
            self._database.scrub()

    def delete(self, owner: str, talk_id: str) -> None:
        """Delete a talk for good.

        Raises: NotFound, TalkRunning, StorageError.
        """
        with self._database.reading() as connection:
            self._own(connection, owner, talk_id)
        self._check_ended(talk_id)
        self._erase([talk_id])

    def delete_all(self, owner: str) -> tuple[int, int]:
        """Delete all of an owner's talks but running ones for good; return how many were deleted and how many
        run.

        Raises: StorageError.
        """
        with self._database.reading() as connection:
            ids = [row["id"] for row in _rows(connection, "SELECT id FROM talks WHERE owner = ?", (owner,))]
            ended = [i for i in ids if i not in self._live]
        self._erase(ended)
        return len(ended), len(ids) - len(ended)

    def adopt(self, other: Store, owner: str, talk_id: str) -> None:
        """Move a talk that has ended from `other` into this store.

        Raises: NotFound, TalkRunning, StorageFull, StorageError; the talk then stays where it was.
        """
        arriving = self._arriving(talk_id)
        try:
            with suppress(NoRecording):
                self._copy_sound(other.audio(owner, talk_id), arriving)
            # no rating can fall between the two
            with other._database.writing() as theirs, self._database.writing() as ours:
                other._own(theirs, owner, talk_id)
                for name, key in (("talks", "id"), ("utterances", "talk_id"), ("marks", "talk_id")):
                    for row in _rows(theirs, f"SELECT * FROM {name} WHERE {key} = ?", (talk_id,)):  # noqa: S608
                        values = f"({', '.join(row.keys())}) VALUES ({', '.join('?' * len(row))})"
                        ours.execute(f"INSERT INTO {name} {values}", tuple(row))
                theirs.execute("DELETE FROM talks WHERE id = ?", (talk_id,))
        except BaseException:
            arriving.unlink(missing_ok=True)
            raise
        self._arrive(talk_id)
        other._erase([talk_id])

    # Room

    def expire(self, ended_before_s: float, at_most: int, room_bytes: int) -> None:
        """Delete what ended before a time, then the oldest ended talks until at most `at_most` remain and
        `room_bytes` fit.

        Raises: StorageError.
        """
        with self._database.reading() as connection:
            rows = _rows(connection, "SELECT id, started_at_s, ended_at_s FROM talks ORDER BY ended_at_s")
        ended = [row for row in rows if row["id"] not in self._live]
        count = len(rows)
        for row in ended:
            if (
                (row["ended_at_s"] or row["started_at_s"]) < ended_before_s
                or count > at_most
                or self._used_bytes() + room_bytes > self._max_bytes
            ):
                self._erase([row["id"]])
                count -= 1

    def close(self) -> None:
        """Let go of the folder. May be called twice."""
        self._database.close()

    # Inside

    def _take_up(self) -> None:
        """Put in order what an earlier process left: finish moves, repair recordings, mark unfinished talks
        as interrupted.
        """
        for path in self._folder.glob("*.wav.arriving"):
            talk_id = path.name.partition(".")[0]
            with self._database.reading() as connection:
                known = _rows(connection, "SELECT id FROM talks WHERE id = ?", (talk_id,))
            self._arrive(talk_id) if known else path.unlink()
        for part in self._folder.glob("*.wav.part"):
            recover(part)
        with self._database.writing() as connection:
            for row in _rows(connection, "SELECT id, started_at_s FROM talks WHERE status = 'live'"):
                said_s = connection.execute(
                    "SELECT coalesce(max(end_s), 0) FROM utterances WHERE talk_id = ?", (row["id"],)
                ).fetchone()[0]
                duration_s = max(said_s, self._sound_s(row["id"]))
                connection.execute(
                    "UPDATE talks SET status = 'interrupted', duration_s = ?, ended_at_s = ? WHERE id = ?",
                    (duration_s, row["started_at_s"] + duration_s, row["id"]),
                )
        self._database.scrub()  # the process may have ended between deleting rows and scrubbing

    def _erase(self, ids: list[str]) -> None:
        if not ids:
            return
        try:
            for talk_id in ids:
                self._wav(talk_id).unlink(missing_ok=True)
                part_path(self._wav(talk_id)).unlink(missing_ok=True)
            if not self._temporary:
                sync_folder(self._folder)
        except OSError as error:
            raise StorageError(
                f"The recording cannot be deleted: {error.strerror}. Make the data folder writable, then"
                " delete again."
            ) from error
        with self._database.writing() as connection:
            connection.executemany("DELETE FROM talks WHERE id = ?", [(i,) for i in ids])
        self._database.scrub()

    def _copy_sound(self, sound: Path, to: Path) -> None:
        try:
            self._check_room(sound.stat().st_size)
            shutil.copyfile(sound, to)
            with open(to, "rb") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"The talk cannot be kept: {error.strerror}. Make room in the data folder, then keep it"
                " again."
            ) from error

    def _arrive(self, talk_id: str) -> None:
        arriving = self._arriving(talk_id)
        if arriving.exists():
            os.replace(arriving, self._wav(talk_id))
            sync_folder(self._folder)

    def _own(self, connection: sqlite3.Connection, owner: str, talk_id: str) -> sqlite3.Row:
        rows = _rows(
            connection, "SELECT * FROM talks WHERE id = ? AND owner = ?", (checked_id(talk_id), owner)
        )
        if not rows:
            raise no_such_talk()
        return rows[0]

    def _talk(
        self, row: sqlite3.Row, utterances: tuple[Utterance, ...] = (), marks: tuple[Mark, ...] = ()
    ) -> TalkRecord:
        return TalkRecord(
            id=row["id"],
            meta=TalkMeta(
                row["engine"],
                row["voice"],
                row["prompt"],
                row["persona"],
                Sampling(**json.loads(row["sampling"])),
            ),
            status=(
                "interrupted" if row["status"] == "live" and row["id"] not in self._live else row["status"]
            ),
            started_at_s=row["started_at_s"],
            duration_s=row["duration_s"],
            kept=not self._temporary,
            has_audio=self._wav(row["id"]).exists(),
            end_reason=row["end_reason"],
            stars=row["stars"],
            comment=row["comment"],
            latencies=tuple(TurnLatency(*pair) for pair in json.loads(row["latencies"])),
            utterances=utterances,
            marks=marks,
        )

    def _check_ended(self, talk_id: str) -> None:
        if talk_id in self._live:
            raise TalkRunning("This talk is still going on. Stop it first.")

    def _check_room(self, wanted_bytes: int) -> None:
        if (used_bytes := self._used_bytes()) + wanted_bytes > self._max_bytes:
            raise StorageFull(
                f"The folder for talks is full: {used_bytes >> 20} of {self._max_bytes >> 20} MiB are used,"
                f" and this one may need {wanted_bytes >> 20} MiB. Delete talks you no longer need."
            )

    def _used_bytes(self) -> int:
        live = dict(self._live)
        used_bytes = sum(live.values())
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.name.partition(".")[0] not in live:
                        with suppress(FileNotFoundError):  # deleted meanwhile
                            used_bytes += entry.stat().st_size
        except OSError as error:
            raise StorageError(
                f"The folder for talks cannot be read any more: {error.strerror}. Restart to make it anew."
            ) from error
        return used_bytes

    def _sound_s(self, talk_id: str) -> float:
        wav = self._wav(talk_id)
        return wav.stat().st_size / BYTES_PER_S if wav.exists() else 0.0

    def _wav(self, talk_id: str) -> Path:
        return self._folder / f"{talk_id}.wav"

    def _arriving(self, talk_id: str) -> Path:
        return self._folder / f"{talk_id}.wav.arriving"


def _rows(connection: sqlite3.Connection, sql: str, values: tuple = ()) -> list[sqlite3.Row]:
    cursor = connection.execute(sql, values)
    cursor.row_factory = sqlite3.Row
    return cursor.fetchall()
