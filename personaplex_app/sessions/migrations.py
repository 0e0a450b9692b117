"""The schema of the SQLite store, as the steps that lead to it.

The n-th migration takes a file from version n - 1 to n; a new file goes through all of them. What a migration
does is never changed once a release has it: to change the schema, append one. It runs inside a transaction,
with foreign keys off, and must neither commit nor use anything of the program that may change.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

Migration = Callable[[sqlite3.Connection], None]


def _talks(connection: sqlite3.Connection) -> None:
    """Tables of talks, their utterances, and marks on their lanes."""
    _run(
        connection,
        """CREATE TABLE talks (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL, status TEXT NOT NULL,
            started_at_s REAL NOT NULL, ended_at_s REAL, duration_s REAL NOT NULL DEFAULT 0,
            engine TEXT NOT NULL, voice TEXT NOT NULL, persona TEXT, prompt TEXT NOT NULL,
            sampling TEXT NOT NULL, end_reason TEXT, stars INTEGER, comment TEXT NOT NULL DEFAULT '',
            latencies TEXT NOT NULL DEFAULT '[]')""",
        "CREATE INDEX talks_of_owner ON talks (owner, started_at_s)",
        """CREATE TABLE utterances (
            talk_id TEXT NOT NULL REFERENCES talks (id) ON DELETE CASCADE, speaker TEXT NOT NULL,
            utterance_id INTEGER NOT NULL, start_s REAL NOT NULL, end_s REAL NOT NULL, text TEXT NOT NULL,
            words TEXT NOT NULL, PRIMARY KEY (talk_id, speaker, utterance_id))""",
        """CREATE TABLE marks (
            talk_id TEXT NOT NULL REFERENCES talks (id) ON DELETE CASCADE, kind TEXT NOT NULL,
            speaker TEXT NOT NULL, start_s REAL NOT NULL, end_s REAL NOT NULL)""",
        "CREATE INDEX marks_of_talk ON marks (talk_id)",
    )


def _events(connection: sqlite3.Connection) -> None:
    """One table for whatever happens in a talk: marks become rows of it, and so do the turn latencies that
    were a JSON column. Utterances stay apart, since a later state of one replaces the earlier.
    """
    _run(
        connection,
        """CREATE TABLE events (
            talk_id TEXT NOT NULL REFERENCES talks (id) ON DELETE CASCADE, sequence INTEGER NOT NULL,
            at_s REAL NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (talk_id, sequence))""",
    )
    for talk_id, latencies in connection.execute("SELECT id, latencies FROM talks").fetchall():
        marks = connection.execute(
            "SELECT kind, speaker, start_s, end_s FROM marks WHERE talk_id = ? ORDER BY rowid", (talk_id,)
        )
        happened = [
            (start_s, "mark", {"kind": kind, "speaker": speaker, "start_s": start_s, "end_s": end_s})
            for kind, speaker, start_s, end_s in marks
        ]
        happened += [
            (start_s, "turn_latency", {"user_end_s": end_s, "agent_start_s": start_s})
            for end_s, start_s in json.loads(latencies)
        ]
        connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
            [
                (talk_id, sequence, at_s, kind, json.dumps(data))
                for sequence, (at_s, kind, data) in enumerate(happened)
            ],
        )
    # SQLite drops a column from version 3.35 on only
    columns = (
        "id, owner, status, started_at_s, ended_at_s, duration_s, engine, voice, persona, prompt, sampling,"
        " end_reason, stars, comment"
    )
    _run(
        connection,
        "DROP TABLE marks",
        """CREATE TABLE talks_without_latencies (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL, status TEXT NOT NULL,
            started_at_s REAL NOT NULL, ended_at_s REAL, duration_s REAL NOT NULL DEFAULT 0,
            engine TEXT NOT NULL, voice TEXT NOT NULL, persona TEXT, prompt TEXT NOT NULL,
            sampling TEXT NOT NULL, end_reason TEXT, stars INTEGER, comment TEXT NOT NULL DEFAULT '')""",
        f"INSERT INTO talks_without_latencies SELECT {columns} FROM talks ORDER BY rowid",  # noqa: S608
        "DROP TABLE talks",
        "ALTER TABLE talks_without_latencies RENAME TO talks",
        "CREATE INDEX talks_of_owner ON talks (owner, started_at_s)",
    )


def _typed(connection: sqlite3.Connection) -> None:
    """Whether an utterance was written."""
    _run(connection, "ALTER TABLE utterances ADD COLUMN typed INTEGER NOT NULL DEFAULT 0")


def _lines(connection: sqlite3.Connection) -> None:
    """Which line the agent was told to say with an utterance."""
    _run(connection, "ALTER TABLE utterances ADD COLUMN line TEXT NOT NULL DEFAULT ''")


MIGRATIONS: tuple[Migration, ...] = (_talks, _events, _typed, _lines)


def _run(connection: sqlite3.Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(statement)
