"""Data folders of earlier versions: they open with everything in them, or stay as they are."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
import soundfile

from personaplex_app.engine.contract import Mark, Sampling, TurnLatency, Utterance
from personaplex_app.errors import StorageError, StorageFull
from personaplex_app.principal import NOBODY
from personaplex_app.protocol_events import Word
from personaplex_app.sessions import export
from personaplex_app.sessions.archive import DATABASE_NAME, open_archive
from personaplex_app.sessions.database import Database
from personaplex_app.sessions.library import Library
from personaplex_app.sessions.migrations import MIGRATIONS
from personaplex_app.sessions.records import TalkMeta
from personaplex_app.units import SAMPLE_RATE_HZ

pytestmark = pytest.mark.unit

KEY = "my-browser-key-0123"
DONE, CUT_OFF = "0123456789abcdef", "fedcba9876543210"
# as released with version 1
SCHEMA_1 = """
CREATE TABLE talks (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, status TEXT NOT NULL,
    started_at_s REAL NOT NULL, ended_at_s REAL, duration_s REAL NOT NULL DEFAULT 0,
    engine TEXT NOT NULL, voice TEXT NOT NULL, persona TEXT, prompt TEXT NOT NULL, sampling TEXT NOT NULL,
    end_reason TEXT, stars INTEGER, comment TEXT NOT NULL DEFAULT '', latencies TEXT NOT NULL DEFAULT '[]');
CREATE INDEX talks_of_owner ON talks (owner, started_at_s);
CREATE TABLE utterances (
    talk_id TEXT NOT NULL REFERENCES talks (id) ON DELETE CASCADE,
    speaker TEXT NOT NULL, utterance_id INTEGER NOT NULL,
    start_s REAL NOT NULL, end_s REAL NOT NULL, text TEXT NOT NULL, words TEXT NOT NULL,
    PRIMARY KEY (talk_id, speaker, utterance_id));
CREATE TABLE marks (
    talk_id TEXT NOT NULL REFERENCES talks (id) ON DELETE CASCADE, kind TEXT NOT NULL, speaker TEXT NOT NULL,
    start_s REAL NOT NULL, end_s REAL NOT NULL);
CREATE INDEX marks_of_talk ON marks (talk_id);
PRAGMA user_version=1;
"""
SAMPLING = (
    '{"audio_temperature": 0.8, "text_temperature": 0.7, "audio_topk": 250, "text_topk": 25, "seed": 7}'
)


@pytest.fixture
def folder(tmp_path):
    """A data folder of version 1: a talk that ended, with its wav, and one that was cut off."""
    folder = tmp_path / "kept"
    folder.mkdir()
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(SCHEMA_1)
        owner = NOBODY.with_owner_key(KEY).owner
        times_s = (1_763_700_000.0, 1_763_700_084.0, 83.4)
        latencies = "[[1.5, 1.9],[7.04, 7.8999999999999995]]"
        connection.execute(
            "INSERT INTO talks VALUES (?, ?, 'done', ?, ?, ?, 'classic', 'Nora', 'waste', 'A role.', ?,"
            " 'stopped', 4, 'fine', ?)",
            (DONE, owner, *times_s, SAMPLING, latencies),
        )
        connection.execute(
            "INSERT INTO talks (id, owner, status, started_at_s, engine, voice, prompt, sampling)"
            " VALUES (?, ?, 'live', 1763700200, 'classic', 'Nora', '', ?)",
            (CUT_OFF, owner, SAMPLING),
        )
        connection.executemany(
            "INSERT INTO utterances VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (DONE, "user", 1, 0.5, 1.5, "How much?", '[["How", 0.5, 0.7], ["much?", 0.7, 1.5]]'),
                (DONE, "agent", 2, 1.9, 3.2, "Eight dollars.", "[]"),
                (CUT_OFF, "agent", 1, 0.4, 6.5, "Good day.", "[]"),
            ],
        )
        connection.executemany(
            "INSERT INTO marks VALUES (?, ?, ?, ?, ?)",
            [(DONE, "overlap", "user", 6.9, 7.04), (DONE, "interruption", "user", 2.5, 0.1 + 2.8)],
        )
        connection.commit()
    sound = np.full((SAMPLE_RATE_HZ, 2), 0.25, np.float32)
    soundfile.write(folder / f"{DONE}.wav", sound, SAMPLE_RATE_HZ, subtype="PCM_16")
    return folder


def version_of(folder):
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def contents_of(folder):
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection:
        return list(connection.iterdump())


def test_folder_of_version_1_reads_the_same(folder, tmp_path):
    library = Library(folder, temporary_root=tmp_path)
    assert library.keep_problem is None
    assert [(each.id, each.status) for each in library.talks(NOBODY.with_owner_key(KEY))] == [
        (CUT_OFF, "interrupted"),
        (DONE, "done"),
    ]
    found = library.get(NOBODY.with_owner_key(KEY), DONE)
    assert found.meta == TalkMeta("classic", "Nora", "A role.", "waste", Sampling(**json.loads(SAMPLING)))
    assert (found.duration_s, found.end_reason, found.stars, found.comment) == (83.4, "stopped", 4, "fine")
    assert found.utterances == (
        Utterance(1, "user", "How much?", 0.5, 1.5, True, (Word("How", 0.5, 0.7), Word("much?", 0.7, 1.5))),
        Utterance(2, "agent", "Eight dollars.", 1.9, 3.2, True),
    )
    assert found.marks == (
        Mark("interruption", "user", 2.5, 0.1 + 2.8),
        Mark("overlap", "user", 6.9, 7.04),
    )
    assert found.turn_latencies == (TurnLatency(1.5, 1.9), TurnLatency(7.04, 7.8999999999999995))
    assert library.get(NOBODY.with_owner_key(KEY), CUT_OFF).duration_s == 6.5
    with library.open_audio(NOBODY.with_owner_key(KEY), DONE) as wav:
        assert soundfile.info(wav).frames == SAMPLE_RATE_HZ
    library.close()
    assert version_of(folder) == len(MIGRATIONS)


def test_folder_of_version_1_is_exported_with_the_keys_that_it_had(folder, tmp_path):
    library = Library(folder, temporary_root=tmp_path)
    made = json.loads(export.to_json(export.describe(library.get(NOBODY.with_owner_key(KEY), DONE))))
    library.close()
    utterance = {"id": 1, "speaker": "user", "start_s": 0.5, "end_s": 1.5, "text": "How much?"}
    assert made == {
        "schema": 1,
        "sample_rate_hz": 24_000,
        "id": DONE,
        "status": "done",
        "kept": True,
        "has_audio": True,
        "started_at": "2025-11-21T04:40:00Z",
        "duration_s": 83.4,
        "engine": "classic",
        "voice": "Nora",
        "persona": "waste",
        "end_reason": "stopped",
        "stars": 4,
        "comment": "fine",
        "prompt": "A role.",
        "sampling": json.loads(SAMPLING),
        "turn_latencies": [
            {"user_end_s": 1.5, "agent_start_s": 1.9, "latency_s": 0.4},
            {"user_end_s": 7.04, "agent_start_s": 7.8999999999999995, "latency_s": 0.86},
        ],
        "utterances": [
            {**utterance, "words": [["How", 0.5, 0.7], ["much?", 0.7, 1.5]], "typed": False, "line": ""},
            {
                "id": 2,
                "speaker": "agent",
                "start_s": 1.9,
                "end_s": 3.2,
                "text": "Eight dollars.",
                "words": [],
                "typed": False,
                "line": "",
            },
        ],
        "marks": [
            {"kind": "interruption", "speaker": "user", "start_s": 2.5, "end_s": 2.9},
            {"kind": "overlap", "speaker": "user", "start_s": 6.9, "end_s": 7.04},
        ],
    }


def test_migrated_file_has_the_schema_of_a_new_one_and_is_written_like_it(folder, tmp_path):
    open_archive(folder, 1 << 30).close()
    open_archive(tmp_path / "new", 1 << 30).close()
    schema = "SELECT type, name, tbl_name FROM sqlite_master ORDER BY name"
    columns = "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('talks')"
    found = []
    for each in (folder, tmp_path / "new"):
        with closing(sqlite3.connect(each / DATABASE_NAME)) as connection:
            found.append((connection.execute(schema).fetchall(), connection.execute(columns).fetchall()))
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert found[0] == found[1]
    archive = open_archive(folder, 1 << 30)
    owner = NOBODY.with_owner_key(KEY).owner
    archive.add(DONE, [Mark("overlap", "user", 9.0, 9.5)])
    assert len(archive.get(owner, DONE).marks) == 3
    archive.delete(owner, DONE)
    archive.close()
    assert not (folder / f"{DONE}.wav").exists()
    assert not [line for line in contents_of(folder) if DONE in line]


def broken(connection):
    connection.execute("DROP TABLE marks")
    connection.execute("INSERT INTO nowhere VALUES (1)")


def refusing(connection):
    connection.execute("DELETE FROM talks")
    raise ValueError("a value that was not expected")


@pytest.mark.parametrize(
    ("fails", "said"),
    [(broken, "cannot be used: no such table: nowhere"), (refusing, "cannot be brought to schema 2")],
)
def test_migration_that_fails_leaves_the_file_as_it_was(folder, fails, said):
    before = contents_of(folder)
    with pytest.raises(StorageError, match=said):
        Database(folder / DATABASE_NAME, (MIGRATIONS[0], fails))
    assert (contents_of(folder), version_of(folder)) == (before, 1)
    open_archive(folder, 1 << 30).close()
    assert version_of(folder) == len(MIGRATIONS)


def test_migration_that_fails_keeps_those_before_it(folder):
    with pytest.raises(StorageError):
        Database(folder / DATABASE_NAME, (*MIGRATIONS, broken))
    assert version_of(folder) == len(MIGRATIONS)
    open_archive(folder, 1 << 30).close()


def test_migration_on_a_full_disk_leaves_the_file_as_it_was(folder):
    from .test_recording import largest_file

    before = contents_of(folder)
    with largest_file(4_000), pytest.raises((StorageFull, StorageError)):
        open_archive(folder, 1 << 30)
    assert (contents_of(folder), version_of(folder)) == (before, 1)


def test_version_that_is_newer_is_left_alone(folder):
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection:
        connection.execute("PRAGMA user_version=99")
    before = contents_of(folder)
    with pytest.raises(
        StorageError, match=r"newer version.*schema 99, this one knows 4\). Nothing was changed"
    ):
        open_archive(folder, 1 << 30)
    assert (contents_of(folder), version_of(folder)) == (before, 99)
