"""Talks with their recordings: found by their owner alone, on disk when said to be, and gone when deleted."""

import random
import shutil
import threading

import numpy as np
import pytest
import soundfile

from personaplex_app.engine.contract import Mark, Sampling, TurnLatency, Utterance
from personaplex_app.errors import NoRecording, NotFound, StorageError, StorageFull, TalkRunning
from personaplex_app.principal import NOBODY
from personaplex_app.protocol_events import Word
from personaplex_app.sessions.archive import DATABASE_NAME, open_archive
from personaplex_app.sessions.records import TalkMeta
from personaplex_app.units import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

pytestmark = pytest.mark.unit

OWNER, OTHER = NOBODY.with_owner_key("a" * 32).owner, NOBODY.with_owner_key("b" * 32).owner
META = TalkMeta("classic", "Nora", "You are a wise teacher.", "teacher", Sampling(seed=7))
SAID = (
    Utterance(1, "user", "How much is it?", 0.5, 1.5, True, (Word("How", 0.5, 0.7), Word("much", 0.7, 0.9))),
    Utterance(2, "agent", "Eight dollars a month.", 1.9, 3.2, True),
)
FRAME = np.full(FRAME_SAMPLES, 0.25, np.float32)
MAX_BYTES = 1 << 30


@pytest.fixture
def archive(tmp_path):
    archive = open_archive(tmp_path / "kept", MAX_BYTES)
    yield archive
    archive.close()


def talk(archive, owner=OWNER, steps=5, said=SAID, reason="stopped", meta=META):
    talk_id, recorder = archive.begin(owner, meta, limit_s=60)
    for _ in range(steps):
        recorder.add(FRAME, -FRAME)
    archive.add(talk_id, said)
    recorder.finish()
    archive.finish(talk_id, steps * FRAME_S, reason)
    return talk_id


def sound_of(archive, talk_id):
    with archive.open_audio(OWNER, talk_id) as wav:
        return soundfile.info(wav)


def bytes_of(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_archive_finished_talk_comes_back_as_it_was(archive):
    talk_id, recorder = archive.begin(OWNER, META, limit_s=60)
    for _ in range(5):
        recorder.add(FRAME, -FRAME)
    marks, turn = [Mark("interruption", "user", 2.5, 2.9)], TurnLatency(1.5, 1.9)
    archive.add(talk_id, [*SAID[:1], *marks, turn])
    archive.add(talk_id, [*SAID[1:], TurnLatency(4.0, 4.5)])
    assert archive.get(OWNER, talk_id).status == "live"
    recorder.finish()
    archive.finish(talk_id, 0.4, "stopped")
    found = archive.get(OWNER, talk_id)
    assert (found.meta, found.status, found.end_reason, found.duration_s) == (META, "done", "stopped", 0.4)
    assert (found.utterances, found.marks) == (SAID, tuple(marks))
    assert found.turn_latencies == (turn, TurnLatency(4.0, 4.5))
    assert (found.kept, found.has_audio, found.stars) == (True, True, None)
    assert sound_of(archive, talk_id).frames == 5 * FRAME_SAMPLES


@pytest.mark.parametrize(
    ("reason", "status"),
    [("time_limit", "done"), ("idle", "done"), ("lost", "interrupted"), ("fault", "interrupted")],
)
def test_archive_end_reason_decides_whether_a_talk_was_interrupted(archive, reason, status):
    assert archive.get(OWNER, talk(archive, reason=reason)).status == status


def test_archive_list_is_newest_first_and_only_ones_own(archive):
    first, second, _ = talk(archive), talk(archive), talk(archive, OTHER)
    assert [t.id for t in archive.summaries(OWNER)] == [second, first]


@pytest.mark.parametrize(
    "talk_id", ["another's", "0" * 16, "", "../../etc/passwd", "a" * 15 + "\n", "' OR 1=1 --"]
)
def test_archive_others_and_absent_talks_are_the_same_not_found(archive, talk_id):
    anothers = talk(archive, OTHER)
    talk_id = anothers if talk_id == "another's" else talk_id
    errors = []
    for act in (
        archive.get,
        archive.open_audio,
        archive.delete,
        lambda owner, i: archive.rate(owner, i, 5, ""),
    ):
        with pytest.raises(NotFound) as error:
            act(OWNER, talk_id)
        errors.append((type(error.value), str(error.value)))
    assert len(set(errors)) == 1
    assert archive.get(OTHER, anothers).stars is None
    assert archive.delete_all(OWNER) == (0, 0)


def test_archive_running_talk_can_be_neither_played_nor_deleted(archive):
    talk_id, recorder = archive.begin(OWNER, META, limit_s=60)
    with pytest.raises(TalkRunning):
        archive.open_audio(OWNER, talk_id)
    with pytest.raises(TalkRunning):
        archive.delete(OWNER, talk_id)
    assert archive.delete_all(OWNER) == (0, 1)
    recorder.finish()
    archive.finish(talk_id, 0, "stopped")
    assert archive.delete_all(OWNER) == (1, 0)


def test_archive_talk_without_sound_says_that_only_the_transcript_is_there(archive, tmp_path):
    talk_id = talk(archive)
    (tmp_path / "kept" / f"{talk_id}.wav").unlink()
    with pytest.raises(NoRecording, match="only its transcript"):
        archive.open_audio(OWNER, talk_id)


@pytest.mark.parametrize("seed", range(3))
def test_archive_deleted_talks_leave_no_byte_in_the_folder(archive, tmp_path, seed):
    """Talks run at once and end in any order, so that their rows lie mixed in the file and are moved about in
    it.
    """
    chance = random.Random(seed)
    secrets: dict[str, list[str]] = {}
    running = {}
    for number in range(400):
        secret = f"SECRET{chance.getrandbits(80):020x}"
        if len(running) < 5:
            talk_id, running[talk_id] = archive.begin(
                OWNER, TalkMeta("classic", "Nora", prompt=secret), limit_s=60
            )
            secrets[talk_id] = [secret]
        else:
            talk_id = chance.choice(list(running))
            secrets[talk_id].append(secret)
            text = secret + "x" * chance.choice([5, 50, 500, 2_000])
            said = Utterance(
                number, "user", text, number, number + 1, True, (Word(secret, number, number + 1),)
            )
            turns = [TurnLatency(number, number + 1)] * chance.randint(0, 30)
            archive.add(talk_id, [said, *turns])
        if chance.random() < 0.05:
            gone = chance.choice(list(running))
            running[gone].add(FRAME, FRAME)
            running.pop(gone).finish()
            archive.finish(gone, 1.0, "stopped")
            archive.delete(OWNER, gone)
            left = bytes_of(tmp_path)
            assert not [secret for secret in [gone, *secrets.pop(gone)] if secret.encode() in left]
            assert not list(tmp_path.rglob(gone + "*"))
    left = bytes_of(tmp_path)
    assert all(secret.encode() in left for own in secrets.values() for secret in own)
    for talk_id, recorder in running.items():
        recorder.finish()
        archive.finish(talk_id, 1.0, "lost")
    archive.delete_all(OWNER)
    assert b"SECRET" not in bytes_of(tmp_path)
    assert sorted(p.suffix for p in (tmp_path / "kept").iterdir()) == [".sqlite3", ".sqlite3-wal"]


def test_archive_replaced_comment_leaves_no_byte_in_the_folder(archive, tmp_path):
    talk_id = talk(archive)
    archive.rate(OWNER, talk_id, 4, "SECRETCOMMENT")
    archive.rate(OWNER, talk_id, 4, "fine")
    assert b"SECRETCOMMENT" not in bytes_of(tmp_path)


def test_archive_holds_the_owner_key_nowhere(tmp_path):
    key = "browser-held-key-0123456789"
    archive = open_archive(tmp_path / "kept", MAX_BYTES)
    talk(archive, NOBODY.with_owner_key(key).owner)
    archive.close()
    assert key.encode() not in bytes_of(tmp_path)


def test_archive_files_are_for_their_user_alone(archive, tmp_path):
    talk(archive)
    modes = {p.name: p.stat().st_mode & 0o077 for p in [tmp_path / "kept", *(tmp_path / "kept").iterdir()]}
    assert set(modes.values()) == {0}, modes


def test_archive_copied_in_mid_talk_opens_with_the_talk_interrupted(archive, tmp_path):
    done = talk(archive)
    talk_id, recorder = archive.begin(OWNER, META, limit_s=60)
    for _ in range(30):
        recorder.add(FRAME, -FRAME)
    archive.add(talk_id, SAID)
    shutil.copytree(tmp_path / "kept", tmp_path / "copy")  # what a power cut would leave
    recorder.abandon()
    again = open_archive(tmp_path / "copy", MAX_BYTES)
    found = again.get(OWNER, talk_id)
    assert (found.status, found.utterances, found.end_reason) == ("interrupted", SAID, None)
    assert found.duration_s == SAID[1].end_s
    assert sound_of(again, talk_id).frames == 30 * FRAME_SAMPLES
    assert again.get(OWNER, done).status == "done"
    again.close()


def test_archive_two_threads_write_two_talks_at_once(archive):
    barrier, ids = threading.Barrier(2), {}

    def write(speaker):
        barrier.wait()
        talk_id, recorder = archive.begin(OWNER, META, limit_s=60)
        for step in range(100):
            recorder.add(FRAME, FRAME)
            archive.add(talk_id, [Utterance(step, speaker, f"{speaker} {step}", step, step + 1, True)])
        recorder.finish()
        archive.finish(talk_id, 100 * FRAME_S, "stopped")
        ids[speaker] = talk_id

    threads = [threading.Thread(target=write, args=(speaker,)) for speaker in ("user", "agent")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ids.keys() == {"user", "agent"}
    for speaker, talk_id in ids.items():
        assert [u.text for u in archive.get(OWNER, talk_id).utterances] == [
            f"{speaker} {step}" for step in range(100)
        ]
        assert sound_of(archive, talk_id).frames == 100 * FRAME_SAMPLES


def damage_nothing(path):
    path.write_bytes(b"this is no database at all, whatever its name says" * 100)


def damage_pages(path):
    data = bytearray(path.read_bytes())
    data[4096:] = random.Random(1).randbytes(len(data) - 4096)
    path.write_bytes(data)


def damage_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [damage_nothing, damage_pages, damage_half])
def test_archive_damaged_database_is_named_and_nothing_is_deleted(tmp_path, damage):
    archive = open_archive(tmp_path / "kept", MAX_BYTES)
    for _ in range(30):
        talk(archive, steps=1)
    archive.close()
    path = tmp_path / "kept" / DATABASE_NAME
    damage(path)
    part = tmp_path / "kept" / "0123456789abcdef.wav.part"
    part.write_bytes(b"RIFF" * 100)
    before = {p.name: p.read_bytes() for p in path.parent.iterdir()}
    with pytest.raises(StorageError, match=r"damaged.*Nothing was deleted.*move the file away") as error:
        open_archive(tmp_path / "kept", MAX_BYTES)
    assert str(path) in str(error.value)
    after = {p.name: p.read_bytes() for p in path.parent.iterdir() if not p.name.endswith(("-wal", "-shm"))}
    assert after == before


def test_archive_in_use_refuses_a_second_user_and_goes_on(archive, tmp_path):
    with pytest.raises(StorageError, match="in use by another running program"):
        open_archive(tmp_path / "kept", MAX_BYTES)
    assert archive.get(OWNER, talk(archive)).status == "done"


def test_archive_folder_that_is_a_file_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be made: Not a directory"):
        open_archive(tmp_path / "file" / "kept", MAX_BYTES)


def test_archive_full_says_so_until_something_is_deleted(tmp_path):
    archive = open_archive(tmp_path / "kept", 12 << 20)
    talk_id = talk(archive, steps=round(30 / FRAME_S))  # 2.9 MB; a talk of 60 s sets 5.8 MB aside
    live_id, recorder = archive.begin(OWNER, META, limit_s=60)
    with pytest.raises(StorageFull, match=r"of 12 MiB are used.*Delete talks"):
        archive.begin(OWNER, META, limit_s=60)
    recorder.finish()
    archive.finish(live_id, 0, "stopped")
    archive.begin(OWNER, META, limit_s=60)[1].abandon()
    assert archive.delete_all(OWNER) == (2, 1)
    assert not (tmp_path / "kept" / f"{talk_id}.wav").exists()
    archive.close()


def test_archive_full_disk_stops_nothing_that_runs_and_still_deletes(archive, tmp_path):
    from .test_recording import largest_file

    kept = talk(archive, said=[Utterance(i, "user", "x" * 3_000, i, i + 1, True) for i in range(50)])
    talk_id, recorder = archive.begin(OWNER, META, limit_s=60)
    with largest_file((tmp_path / "kept" / (DATABASE_NAME + "-wal")).stat().st_size):
        with pytest.raises(StorageError):
            archive.add(talk_id, [Utterance(1, "user", "x" * 4_000, i, i + 1, True) for i in range(50)])
        assert archive.get(OWNER, talk_id).utterances == ()
    archive.add(talk_id, SAID)
    recorder.finish()
    archive.finish(talk_id, 4.0, "stopped")
    assert archive.get(OWNER, talk_id).utterances == SAID
    archive.delete(OWNER, kept)


@pytest.fixture
def temporary(tmp_path):
    archive = open_archive(tmp_path / "temporary", MAX_BYTES, temporary=True)
    yield archive
    archive.close()


def test_archive_adopt_moves_rows_and_sound_in_one(archive, temporary, tmp_path):
    talk_id = talk(temporary)
    temporary.rate(OWNER, talk_id, 5, "lovely")
    before = temporary.get(OWNER, talk_id)
    archive.adopt(temporary, OWNER, talk_id)
    after = archive.get(OWNER, talk_id)
    assert (before.kept, after.kept) == (False, True)
    assert (after.meta, after.utterances, after.stars, after.comment) == (META, SAID, 5, "lovely")
    assert sound_of(archive, talk_id).frames == 5 * FRAME_SAMPLES
    assert list((tmp_path / "temporary").iterdir()) == []
    with pytest.raises(NotFound):
        temporary.get(OWNER, talk_id)


def test_archive_adopt_what_is_anothers_or_runs_is_refused(archive, temporary):
    talk_id, (live_id, recorder) = talk(temporary), temporary.begin(OWNER, META, limit_s=60)
    with pytest.raises(NotFound):
        archive.adopt(temporary, OTHER, talk_id)
    with pytest.raises(TalkRunning):
        archive.adopt(temporary, OWNER, live_id)
    assert archive.summaries(OWNER) == []
    recorder.abandon()


def test_archive_adopt_without_room_leaves_the_talk_where_it_was(temporary, tmp_path):
    small = open_archive(tmp_path / "small", 300_000)
    talk_id = talk(temporary, steps=50)
    with pytest.raises(StorageFull):
        small.adopt(temporary, OWNER, talk_id)
    assert small.summaries(OWNER) == []
    assert {p.suffix for p in (tmp_path / "small").iterdir()} == {".sqlite3", ".sqlite3-wal"}
    assert temporary.get(OWNER, talk_id).has_audio
    small.close()


def test_archive_move_cut_off_before_the_rows_is_undone_and_after_them_completed(tmp_path):
    archive = open_archive(tmp_path / "kept", MAX_BYTES)
    talk_id = talk(archive)
    archive.close()
    folder = tmp_path / "kept"
    (folder / f"{talk_id}.wav").rename(folder / f"{talk_id}.wav.arriving")
    (folder / f"{'0' * 16}.wav.arriving").write_bytes(b"sound of a talk that nobody has")
    archive = open_archive(folder, MAX_BYTES)
    assert sound_of(archive, talk_id).frames == 5 * FRAME_SAMPLES
    assert [p.name for p in folder.glob("*.arriving")] == []
    archive.close()


def test_archive_recording_cut_off_in_the_last_rename_is_found(tmp_path):
    archive = open_archive(tmp_path / "kept", MAX_BYTES)
    talk_id = talk(archive, steps=25)
    archive.close()
    path = tmp_path / "kept" / f"{talk_id}.wav"
    path.rename(path.with_name(path.name + ".part"))
    archive = open_archive(tmp_path / "kept", MAX_BYTES)
    assert sound_of(archive, talk_id).duration == pytest.approx(25 * FRAME_SAMPLES / SAMPLE_RATE_HZ)
    archive.close()


def test_archive_expire_removes_the_old_and_the_many_but_never_the_running(tmp_path):
    now_s = [1000.0]
    archive = open_archive(tmp_path / "temporary", MAX_BYTES, temporary=True, clock=lambda: now_s[0])
    ids = []
    for _ in range(4):
        ids.append(talk(archive))
        now_s[0] += 10

    def expire(at_most, old=()):
        return archive.expire(set(old).__contains__, lambda talk_id: (), at_most, room_bytes=0)

    live_id, recorder = archive.begin(OWNER, META, limit_s=60)
    remain = expire(10, old=[ids[0], live_id])
    assert remain == {t.id for t in archive.summaries(OWNER)} == {live_id, *ids[1:]}
    expire(3)
    assert {t.id for t in archive.summaries(OWNER)} == {live_id, *ids[2:]}
    expire(0)
    assert [t.id for t in archive.summaries(OWNER)] == [live_id]
    recorder.abandon()
    archive.close()
