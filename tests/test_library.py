"""All talks of a program: the kept, the temporary, and what happens where neither can be."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from personaplex_app.engine.contract import Mark, Notice, Step, TurnLatency, Utterance
from personaplex_app.errors import BadInput, NoRecording, NotFound, StorageError, StorageFull, TalkRunning
from personaplex_app.principal import NOBODY
from personaplex_app.protocol_events import Frame, Saved
from personaplex_app.sessions.library import MAX_TEMPORARY, Library
from personaplex_app.sessions.records import TalkMeta
from personaplex_app.units import FRAME_S, FRAME_SAMPLES

MY_KEY, YOUR_KEY = "my-browser-key-0123", "your-browser-key-01"
ME, YOU = NOBODY.with_owner_key(MY_KEY), NOBODY.with_owner_key(YOUR_KEY)
META = TalkMeta("classic", "Nora", "You are a wise teacher.")
FRAME = np.full(FRAME_SAMPLES, 0.25, np.float32)
QUIET = Step(np.zeros(FRAME_SAMPLES, np.float32))
TOLD = Step(
    QUIET.agent,
    "Hi",
    (Utterance(1, "user", "Hel", 0, 0.2, False), Utterance(2, "agent", "Good day.", 0.4, 0.9, True)),
)
MARKED = Step(QUIET.agent, "", (Mark("overlap", "user", 0.5, 0.6), TurnLatency(0.1, 0.4), Notice("x", "y")))


@pytest.fixture
def open_library(tmp_path):
    opened = []
    (tmp_path / "temporary").mkdir()

    def make(folder=tmp_path / "kept", **options):
        opened.append(Library(folder, **{"temporary_root": tmp_path / "temporary", **options}))
        return opened[-1]

    yield make
    for library in opened:
        library.close()
    assert list((tmp_path / "temporary").iterdir()) == []


def step(log, brought):
    """Show a record what a step brought; return what it answers."""
    return log.see([Frame(FRAME, brought.agent, 0.01), *brought.events])


def talk(library, owner=ME, keep=False, steps=(TOLD, MARKED), reason="stopped"):
    log = library.begin(owner, keep, META)
    for each in steps:
        assert {type(told) for told in step(log, each)} <= {Saved}
    log.finish(reason)
    return log


@contextmanager
def unprivileged():
    """Become a user whom folder permissions bind, as root they do not."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("keep", [True, False])
def test_library_talk_is_there_for_its_owner_at_its_end(open_library, keep):
    library = open_library()
    log = talk(library, keep=keep)
    assert (log.keeping, log.recording, log.problem) == (keep, True, None)
    assert log.saved_s == pytest.approx(2 * FRAME_S)
    found = library.get(ME, log.id)
    assert (found.kept, found.status, found.duration_s) == (keep, "done", pytest.approx(2 * FRAME_S))
    assert [u.text for u in found.utterances] == ["Hel", "Good day."]  # the end cut the first one off
    assert (found.marks, found.turn_latencies) == (MARKED.events[:1], MARKED.events[1:2])
    with library.open_audio(ME, log.id) as file:
        assert np.abs(soundfile.read(file)[0][:, 0] - 0.25).max() < 1e-4
    assert [t.id for t in library.talks(ME)] == [log.id]
    assert library.talks(YOU) == []
    with pytest.raises(NotFound):
        library.get(YOU, log.id)


def test_library_talk_not_kept_leaves_nothing_in_the_data_folder_and_no_words_on_disk(open_library, tmp_path):
    library = open_library()
    talk(library)
    assert {p.suffix for p in (tmp_path / "kept").iterdir()} == {".sqlite3", ".sqlite3-wal"}
    data = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert b"Good day" not in data
    assert b"wise teacher" not in data


def test_library_temporary_folder_is_private_and_gone_after_close(open_library, tmp_path):
    library = open_library()
    log = talk(library)
    (folder,) = (tmp_path / "temporary").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [p.name for p in folder.iterdir()] == [f"{log.id}.wav"]
    library.close()
    assert not folder.exists()


RUNNING = """
import sys
from pathlib import Path
from personaplex_app.principal import NOBODY
from personaplex_app.sessions.library import Library
from tests.test_library import ME, talk
library = Library(None, temporary_root=Path(sys.argv[1]))
talk(library)
print("ready", flush=True)
sys.stdin.readline()
"""


def start_running(root):
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNING, root],
        stdin=pipe,
        stdout=pipe,
        cwd=Path(__file__).parents[1],
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def end(process, how):
    process.send_signal(how) if how else process.stdin.write("\n")
    process.communicate()


@pytest.mark.process
def test_library_temporary_talks_go_at_exit_and_those_of_a_killed_program_at_the_next_start(
    open_library, tmp_path
):
    root = tmp_path / "temporary"
    leaver, killed, alive = (start_running(root) for _ in range(3))
    assert len(list(root.iterdir())) == 3
    end(leaver, None)
    end(killed, signal.SIGKILL)
    assert len(list(root.iterdir())) == 2
    open_library()
    assert len(list(root.iterdir())) == 2  # the one alive and the new one
    assert len(list(root.rglob("*.wav"))) == 1
    end(alive, None)


def test_library_temporary_talks_go_when_old_or_many(open_library):
    now_s = [1e9]
    library = open_library(now=lambda: now_s[0])
    first = talk(library)
    now_s[0] += 14 * 60
    second = talk(library)
    now_s[0] += 61
    library.purge()
    assert [t.id for t in library.talks(ME)] == [second.id]
    with pytest.raises(NotFound):
        library.open_audio(ME, first.id)
    for _ in range(MAX_TEMPORARY):
        newest = talk(library, steps=())
    found = library.talks(ME)
    assert (len(found), found[0].id) == (MAX_TEMPORARY, newest.id)
    assert second.id not in {t.id for t in found}


def test_library_temporary_talks_make_room_for_newer_ones(open_library):
    library = open_library(talk_limit_s=20, max_temporary_bytes=6_000_000)  # a talk sets 2.9 MB aside
    ended = [talk(library, steps=[QUIET] * 250) for _ in range(3)]  # 1.9 MB each
    live = library.begin(ME, False, META)
    assert live.problem is None
    assert {t.id for t in library.talks(ME)} == {ended[2].id, live.id}
    another = library.begin(ME, False, META)
    assert {t.id for t in library.talks(ME)} == {another.id, live.id}
    none = library.begin(ME, False, META)
    assert none.id is None
    assert "is full" in none.problem
    assert step(none, TOLD) == []
    none.finish("stopped")


def test_library_rating_is_checked_and_replaced(open_library):
    library = open_library()
    log = talk(library)
    library.rate(ME, log.id, 4, "good \ud800 pace")
    assert (library.get(ME, log.id).stars, library.get(ME, log.id).comment) == (4, "good ? pace")
    library.rate(ME, log.id, 2)
    assert (library.get(ME, log.id).stars, library.get(ME, log.id).comment) == (2, "")
    wrong = [(0, ""), (6, ""), (True, ""), (3.0, ""), ("4", ""), (None, ""), (4, "x" * 501), (4, None)]
    for stars, comment in wrong:
        with pytest.raises(BadInput):
            library.rate(ME, log.id, stars, comment)
    assert library.get(ME, log.id).stars == 2


def test_library_kept_at_the_end_moves_and_stays(open_library, tmp_path):
    library = open_library()
    log = talk(library)
    library.rate(ME, log.id, 5, "lovely")
    assert library.keep(ME, log.id) is True
    assert library.keep(ME, log.id) is True  # asking twice does no harm
    library.close()
    again = open_library()
    (found,) = again.talks(ME)
    assert (found.id, found.kept, found.stars, found.comment) == (log.id, True, 5, "lovely")
    again.open_audio(ME, log.id).close()


def test_library_kept_while_running_moves_when_it_ends(open_library):
    library = open_library()
    log = library.begin(ME, False, META)
    step(log, TOLD)
    assert library.keep(ME, log.id) is False
    assert log.keeping is False
    log.finish("lost")
    assert log.keeping is True
    assert library.get(ME, log.id).kept


def test_library_others_can_neither_keep_nor_rate_nor_delete(open_library):
    library = open_library()
    ended, live = talk(library), library.begin(ME, False, META)
    for act in (
        library.keep,
        library.delete,
        library.open_audio,
        lambda who, i: library.rate(who, i, 1),
    ):
        for log in (ended, live):
            with pytest.raises(NotFound):
                act(YOU, log.id)
    live.finish("stopped")
    assert [t.kept for t in library.talks(ME)] == [False, False]
    assert library.delete_all(YOU) == (0, 0)
    assert library.delete_all(ME) == (2, 0)


def test_library_running_talk_is_not_deleted(open_library):
    library = open_library()
    log = library.begin(ME, True, META)
    with pytest.raises(TalkRunning, match="Stop it first"):
        library.delete(ME, log.id)
    assert library.delete_all(ME) == (0, 1)
    log.finish("stopped")
    library.delete(ME, log.id)
    assert library.talks(ME) == []


def test_library_talk_without_recording_is_told_from_no_talk(open_library, tmp_path):
    library = open_library()
    log = talk(library, keep=True)
    (tmp_path / "kept" / f"{log.id}.wav").unlink()
    with pytest.raises(NoRecording):
        library.open_audio(ME, log.id)


def test_library_without_a_data_folder_works_and_says_that_it_keeps_nothing(open_library):
    library = open_library(None)
    assert "not kept here" in library.keep_problem
    log = talk(library, keep=True)
    assert (log.keeping, log.problem, log.recording) == (False, library.keep_problem, True)
    with pytest.raises(StorageError, match="not kept here"):
        library.keep(ME, log.id)
    assert len(library.talks(ME)) == 1


def test_library_with_a_read_only_data_folder_works_and_says_so_at_once(caplog):
    with tempfile.TemporaryDirectory() as folder:  # not below tmp_path, which only root may enter
        os.chmod(folder, 0o555)
        with unprivileged():
            library = Library(Path(folder))
            try:
                assert "Permission denied" in library.keep_problem
                assert "writable" in library.keep_problem
                assert f"no talk can be kept: {library.keep_problem}" in caplog.text
                assert talk(library, keep=True).recording
            finally:
                library.close()


def test_library_with_a_full_data_folder_records_without_keeping(open_library):
    library = open_library(talk_limit_s=20, max_kept_bytes=1_000_000)
    log = talk(library, keep=True, steps=[QUIET] * 130)
    assert (log.keeping, log.recording) == (False, True)
    assert "is full" in log.problem
    with pytest.raises(StorageFull, match="Delete talks you no longer need"):
        library.keep(ME, log.id)
    assert [t.kept for t in library.talks(ME)] == [False]


def test_library_with_no_folder_at_all_lets_people_talk(tmp_path):
    library = Library(None, temporary_root=tmp_path / "absent")
    log = library.begin(ME, False, META)
    assert log.problem
    assert step(log, TOLD) == []
    log.finish("stopped")
    assert (log.id, log.recording, library.talks(ME)) == (None, False, [])
    library.close()


def test_library_whose_folders_vanish_lets_people_talk_on(open_library, tmp_path):
    library = open_library()
    running = library.begin(ME, True, META)
    for folder in (tmp_path / "kept", *(tmp_path / "temporary").iterdir()):
        shutil.rmtree(folder)
    log = library.begin(ME, True, META)
    assert (log.id, log.recording) == (None, False)
    assert "cannot be read any more" in log.problem
    step(running, TOLD)
    running.finish("stopped")
    assert "cannot be completed" in running.problem


def test_library_client_without_a_key_talks_unrecorded_but_keeps_nothing(open_library):
    library = open_library()
    log = library.begin(NOBODY, False, META)
    step(log, TOLD)
    log.finish("stopped")
    assert (log.id, log.problem, log.recording) == (None, None, False)
    for key, keep in [("", True), ("short", False)]:
        with pytest.raises(BadInput, match="owner key"):
            library.begin(NOBODY.with_owner_key(key), keep, META)


def test_talk_log_disk_that_fails_in_mid_talk_is_said_once_and_the_talk_goes_on(open_library):
    from .test_recording import largest_file

    library = open_library()
    log = library.begin(ME, True, META)
    step(log, QUIET)
    with largest_file(9_000):
        notices = [step(log, QUIET) for _ in range(5)]
    assert notices == [[Notice("storage", log.problem)], [], [], [], []]
    assert step(log, TOLD) == []  # the words are still written
    log.finish("stopped")
    found = library.get(ME, log.id)
    assert (found.duration_s, len(found.utterances)) == (pytest.approx(7 * FRAME_S), 2)
    with library.open_audio(ME, log.id) as file:
        assert soundfile.info(file).frames == FRAME_SAMPLES


def test_talk_log_store_in_other_hands_is_not_waited_for_and_written_afterwards(open_library):
    library = open_library()
    log = library.begin(ME, True, META)
    held, release = threading.Event(), threading.Event()

    def hold():
        with library.kept.talks._database.reading():
            held.set()
            release.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    assert step(log, TOLD) == []  # returns though the store is held until after it
    release.set()
    holder.join()
    assert library.get(ME, log.id).utterances == ()
    assert step(log, MARKED) == []
    found = library.get(ME, log.id)
    assert (len(found.utterances), len(found.marks), len(found.turn_latencies)) == (1, 1, 1)
    log.finish("stopped")


def test_library_closed_in_mid_talk_ends_the_record_as_interrupted(open_library):
    library = open_library()
    log = library.begin(ME, True, META)
    step(log, TOLD)
    library.close()
    assert step(log, TOLD) == []
    log.finish("stopped")
    (found,) = open_library().talks(ME)
    assert (found.status, found.end_reason, found.has_audio) == ("interrupted", "shutdown", True)
