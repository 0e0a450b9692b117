"""Recordings as files: what a player reads from them, whole, cut off anywhere, or on a disk that is full."""

import resource
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_app.errors import StorageError
from personaplex_app.sessions.recording import HEADER_BYTES, SAMPLE_BYTES, Recorder, part_path, recover
from personaplex_app.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

pytestmark = pytest.mark.unit


def frames(count, seed=0):
    """Return `count` frames of both sides, float32 [count, 2, 1920]."""
    return np.random.default_rng(seed).uniform(-1, 1, (count, 2, FRAME_SAMPLES)).astype(np.float32)


def as_stored(both):
    return np.round(both.transpose(0, 2, 1).reshape(-1, 2) * 32767).astype(np.int16)


def record(path, both, **options):
    recorder = Recorder(path, **{"limit_s": 60, **options})
    for user, agent in both:
        recorder.add(user, agent)
    return recorder


@contextmanager
def largest_file(limit_bytes):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("durable", [True, False])
def test_recorder_finished_recording_is_a_wav_with_user_left_agent_right(tmp_path, durable):
    both = frames(20)
    assert record(tmp_path / "a.wav", both, durable=durable).finish() == pytest.approx(1.6)
    samples, rate_hz = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert rate_hz == SAMPLE_RATE_HZ
    assert np.array_equal(samples, as_stored(both))
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_recorder_unfinished_recording_plays_up_to_what_is_saved(tmp_path):
    both = frames(30)
    recorder = record(tmp_path / "a.wav", both)
    assert recorder.saved_s == pytest.approx(2.08)
    with open(part_path(tmp_path / "a.wav"), "rb") as file:
        samples, _ = soundfile.read(file, dtype="int16")
    assert np.array_equal(samples, as_stored(both)[: round(2.08 * SAMPLE_RATE_HZ)])
    recorder.finish()
    assert recorder.saved_s == pytest.approx(2.4)


def test_recorder_past_its_limit_drops_the_rest(tmp_path):
    both = frames(20)
    assert record(tmp_path / "a.wav", both, limit_s=1.0).finish() == 1.0
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert np.array_equal(samples, as_stored(both)[:SAMPLE_RATE_HZ])


def test_recorder_values_that_are_not_numbers_become_silence(tmp_path):
    both = frames(1)
    both[0, 1, 5:9] = np.nan
    record(tmp_path / "a.wav", both).finish()
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert not samples[5:9, 1].any()
    assert samples[9:, 1].any()


def test_recorder_after_finish_or_abandon_does_nothing(tmp_path):
    both = frames(2)
    finished, abandoned = record(tmp_path / "a.wav", both), record(tmp_path / "b.wav", both)
    finished.finish()
    abandoned.abandon()
    for recorder in (finished, abandoned):
        recorder.add(*both[0])
        recorder.abandon()
        recorder.finish()
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]
    assert soundfile.info(tmp_path / "a.wav").frames == 2 * FRAME_SAMPLES


def test_recorder_full_disk_is_said_once_and_what_was_recorded_is_kept(tmp_path):
    both = frames(10)
    recorder = Recorder(tmp_path / "a.wav", limit_s=60)
    whole_bytes = HEADER_BYTES + 4 * FRAME_SAMPLES * SAMPLE_BYTES
    with largest_file(whole_bytes + 1_001):
        for user, agent in both[:4]:
            recorder.add(user, agent)
        with pytest.raises(StorageError, match=r"stopped at 0 s.*make room"):
            recorder.add(*both[4])
        recorder.add(*both[5])
        assert recorder.finish() == pytest.approx(0.32)
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert np.array_equal(samples, as_stored(both[:4]))


def test_recorder_without_a_folder_says_so_and_leaves_nothing(tmp_path):
    with pytest.raises(StorageError, match="cannot begin: No such file"):
        Recorder(tmp_path / "absent" / "a.wav", limit_s=60)
    with largest_file(10), pytest.raises(StorageError, match="cannot begin"):
        Recorder(tmp_path / "a.wav", limit_s=60)
    assert list(tmp_path.iterdir()) == []


def test_recorder_never_writes_over_another_recording(tmp_path):
    part_path(tmp_path / "a.wav").write_bytes(b"somebody else's")
    with pytest.raises(StorageError):
        Recorder(tmp_path / "a.wav", limit_s=60)
    assert part_path(tmp_path / "a.wav").read_bytes() == b"somebody else's"


@settings(max_examples=60, deadline=None)
@given(
    cut_bytes=st.integers(0, HEADER_BYTES + 15 * FRAME_SAMPLES * SAMPLE_BYTES),
    header=st.binary(max_size=HEADER_BYTES),
)
def test_recover_part_cut_anywhere_plays_what_is_there(cut_bytes, header):
    both = frames(15)
    with TemporaryDirectory() as folder:
        wav = Path(folder) / "a.wav"
        record(wav, both, durable=False).finish()
        data = (
            header + wav.read_bytes()[len(header) : cut_bytes]
            if cut_bytes > len(header)
            else wav.read_bytes()[:cut_bytes]
        )
        wav.unlink()
        part_path(wav).write_bytes(data)
        expected = max(0, cut_bytes - HEADER_BYTES) // SAMPLE_BYTES
        assert recover(part_path(wav)) == expected / SAMPLE_RATE_HZ
        assert not part_path(wav).exists()
        assert wav.exists() == (expected > 0)
        if expected:
            samples, _ = soundfile.read(wav, dtype="int16")
            assert np.array_equal(samples, as_stored(both)[:expected])
