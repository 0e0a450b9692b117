"""Talks as rows in SQLite, in a file or in memory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..engine.contract import Mark, Sampling, TurnLatency, Utterance
from ..errors import NotFound
from ..protocol_events import Word
from .contract import StoredEvent
from .database import Database
from .records import MAX_TEXT_CHARS, Status, TalkMeta, TalkRecord, checked_id, no_such_talk, storable_text

MAX_LISTED = 500


class SqliteTalkStore:
    """A TalkStore in the file at `path`, which only this process uses, or (None) in memory.

    Raises: StorageError when the file cannot be used; nothing in it was deleted.
    """

    def __init__(self, path: Path | None) -> None:
        self._database = Database(path)
        try:
            # the process may have ended between deleting rows and scrubbing
            self._database.scrub()
        except BaseException:
            self.close()
            raise

    def begin(self, talk_id: str, owner: str, started_at_s: float, meta: TalkMeta) -> None:
        with self._database.writing() as connection:
            _insert(connection, owner, TalkRecord(talk_id, meta, "live", started_at_s, 0.0))

    def add(self, talk_id: str, events: Iterable[StoredEvent], wait_s: float = -1) -> None:
        with self._database.writing(wait_s) as connection:
            _add(connection, talk_id, events)

    def finish(
        self, talk_id: str, ended_at_s: float, duration_s: float, status: Status, reason: str | None
    ) -> None:
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE talks SET status = ?, ended_at_s = ?, duration_s = ?, end_reason = ? WHERE id = ?",
                (status, ended_at_s, duration_s, reason, talk_id),
            )

    def insert(self, owner: str, talk: TalkRecord) -> None:
        with self._database.writing() as connection:
            _insert(connection, owner, talk)
            _add(connection, talk.id, (*talk.utterances, *talk.marks, *talk.turn_latencies))

    def talks(self, owner: str) -> list[TalkRecord]:
        return self._listed(
            # by rowid too, for talks that began in the same instant
            "SELECT * FROM talks WHERE owner = ? ORDER BY started_at_s DESC, rowid DESC LIMIT ?",
            (owner, MAX_LISTED),
        )

    def get(self, owner: str, talk_id: str) -> TalkRecord:
        with self._database.reading() as connection:
            return _whole(connection, _own(connection, owner, talk_id))

    def has(self, owner: str, talk_id: str) -> bool:
        try:
            with self._database.reading() as connection:
                _own(connection, owner, talk_id)
        except NotFound:
            return False
        return True

    def exists(self, talk_id: str) -> bool:
        with self._database.reading() as connection:
            return bool(_rows(connection, "SELECT 1 FROM talks WHERE id = ?", (talk_id,)))

    def ids(self, owner: str) -> list[str]:
        with self._database.reading() as connection:
            return [row["id"] for row in _rows(connection, "SELECT id FROM talks WHERE owner = ?", (owner,))]

    def oldest_first(self) -> list[TalkRecord]:
        return self._listed("SELECT * FROM talks ORDER BY ended_at_s")

    def unfinished(self) -> list[TalkRecord]:
        with self._database.reading() as connection:
            rows = _rows(connection, "SELECT * FROM talks WHERE status = 'live'")
            return [_whole(connection, row) for row in rows]

    def rate(self, owner: str, talk_id: str, stars: int, comment: str) -> None:
        with self._database.writing() as connection:
            earlier = _own(connection, owner, talk_id)["comment"]
            connection.execute(
                "UPDATE talks SET stars = ?, comment = ? WHERE id = ?", (stars, comment, talk_id)
            )
        if earlier not in ("", comment):  # a replaced comment is deleted text too
            self._database.scrub()

    def delete(self, talk_ids: list[str]) -> None:
        if talk_ids:
            with self._database.writing() as connection:
                connection.executemany("DELETE FROM talks WHERE id = ?", [(each,) for each in talk_ids])
            self._database.scrub()

    def close(self) -> None:
        self._database.close()

    def _listed(self, sql: str, values: tuple = ()) -> list[TalkRecord]:
        with self._database.reading() as connection:
            return [_talk(row) for row in _rows(connection, sql, values)]


def _insert(connection: sqlite3.Connection, owner: str, talk: TalkRecord) -> None:
    row = {
        "id": talk.id,
        "owner": owner,
        "status": talk.status,
        "started_at_s": talk.started_at_s,
        "ended_at_s": talk.ended_at_s,
        "duration_s": talk.duration_s,
        "engine": talk.meta.engine,
        "voice": talk.meta.voice,
        "persona": talk.meta.persona,
        "prompt": storable_text(talk.meta.prompt),
        "sampling": json.dumps(asdict(talk.meta.sampling)),
        "end_reason": talk.end_reason,
        "stars": talk.stars,
        "comment": talk.comment,
    }
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO talks ({names}) VALUES ({values})", row)  # noqa: S608 - names of ours


def _add(connection: sqlite3.Connection, talk_id: str, events: Iterable[StoredEvent]) -> None:
    for event in events:
        if isinstance(event, Utterance):
            words = [[storable_text(w.text), w.start_s, w.end_s] for w in event.words[:MAX_TEXT_CHARS]]
            values = (event.start_s, event.end_s, storable_text(event.text), json.dumps(words))
            connection.execute(
                "INSERT OR REPLACE INTO utterances VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (talk_id, event.speaker, event.id, *values, event.typed, storable_text(event.line)),
            )
        else:
            connection.execute(
                # numbered by the statement itself, inside the transaction: no two events get the same
                # number
                "INSERT INTO events SELECT ?, coalesce(max(sequence) + 1, 0), ?, ?, ?"
                " FROM events WHERE talk_id = ?",
                (talk_id, *_event_row(event), talk_id),
            )


def _event_row(event: Mark | TurnLatency) -> tuple[float, str, str]:
    """Return when an event happened, its type and its fields."""
    if isinstance(event, Mark):
        return event.start_s, "mark", json.dumps(asdict(event))
    return event.agent_start_s, "turn_latency", json.dumps(asdict(event))


def _whole(connection: sqlite3.Connection, row: sqlite3.Row) -> TalkRecord:
    utterances = _rows(
        connection,
        "SELECT * FROM utterances WHERE talk_id = ? ORDER BY start_s, utterance_id",
        (row["id"],),
    )
    happened = _rows(
        connection,
        "SELECT type, data FROM events WHERE talk_id = ? ORDER BY at_s, sequence",
        (row["id"],),
    )
    data: dict[str, list[Any]] = {"mark": [], "turn_latency": []}
    for event in happened:
        data[event["type"]].append(json.loads(event["data"]))
    return _talk(
        row,
        utterances=tuple(map(_utterance, utterances)),
        marks=tuple(Mark(**each) for each in data["mark"]),
        turn_latencies=tuple(TurnLatency(**each) for each in data["turn_latency"]),
    )


def _utterance(row: sqlite3.Row) -> Utterance:
    return Utterance(
        id=row["utterance_id"],
        speaker=row["speaker"],
        text=row["text"],
        start_s=row["start_s"],
        end_s=row["end_s"],
        final=True,
        words=tuple(Word(*word) for word in json.loads(row["words"])),
        typed=bool(row["typed"]),
        line=row["line"],
    )


def _talk(row: sqlite3.Row, **happened: Any) -> TalkRecord:
    sampling = Sampling(**json.loads(row["sampling"]))
    return TalkRecord(
        id=row["id"],
        meta=TalkMeta(row["engine"], row["voice"], row["prompt"], row["persona"], sampling),
        status=row["status"],
        started_at_s=row["started_at_s"],
        ended_at_s=row["ended_at_s"],
        duration_s=row["duration_s"],
        end_reason=row["end_reason"],
        stars=row["stars"],
        comment=row["comment"],
        **happened,
    )


def _own(connection: sqlite3.Connection, owner: str, talk_id: str) -> sqlite3.Row:
    rows = _rows(connection, "SELECT * FROM talks WHERE id = ? AND owner = ?", (checked_id(talk_id), owner))
    if not rows:
        raise no_such_talk()
    return rows[0]


def _rows(connection: sqlite3.Connection, sql: str, values: tuple = ()) -> list[sqlite3.Row]:
    cursor = connection.execute(sql, values)
    cursor.row_factory = sqlite3.Row
    return cursor.fetchall()
