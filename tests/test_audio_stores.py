"""What every AudioStore does, wherever it keeps recordings. A new one is held to it by a line in STORES."""

import io

import numpy as np
import pytest
import soundfile as sf

from personaplex_app.errors import NoRecording, StorageFull
from personaplex_app.sessions.records import new_talk_id
from personaplex_app.sessions.wav_folder import WavFolder
from personaplex_app.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

STORES = {
    "a folder": lambda folder, max_bytes: WavFolder(folder / "audio", max_bytes),
    "a folder that waits for no disk": lambda folder, max_bytes: WavFolder(
        folder / "audio", max_bytes, False
    ),
}
MAX_BYTES = 4 << 20
FRAMES = 25


@pytest.fixture(params=STORES.values(), ids=STORES)
def reopen(request, tmp_path):
    """Open the store, each time as the program does when it starts anew."""
    return lambda: request.param(tmp_path, MAX_BYTES)


@pytest.fixture
def store(reopen):
    return reopen()


def frames():
    rng = np.random.default_rng(1)
    return rng.uniform(-0.5, 0.5, (FRAMES, 2, FRAME_SAMPLES)).astype(np.float32)


def record(store, talk_id, close=True):
    store.reserve(talk_id, 10.0)
    recorder = store.recorder(talk_id)
    for user, agent in frames():
        recorder.add(user, agent)
    if close:
        recorder.finish()
        store.release(talk_id)
    return recorder


def heard(store, talk_id):
    with store.open(talk_id) as wav:
        samples, rate_hz = sf.read(wav, dtype="float32")
    assert rate_hz == SAMPLE_RATE_HZ
    return samples.T


def test_recording_is_read_as_it_was_written(store):
    talk_id = new_talk_id()
    record(store, talk_id)
    assert store.has(talk_id)
    assert store.length_s(talk_id) == pytest.approx(FRAMES * 0.08, abs=0.01)
    said = np.concatenate(list(frames()), axis=1)
    np.testing.assert_allclose(heard(store, talk_id), said, atol=1 / 32_000)


def test_recording_in_progress_is_not_there_yet(store):
    talk_id = new_talk_id()
    recorder = record(store, talk_id, close=False)
    assert not store.has(talk_id)
    with pytest.raises(NoRecording, match="has no recording"):
        store.open(talk_id)
    recorder.finish()
    assert store.has(talk_id)


def test_recording_cut_off_by_the_end_of_the_program_is_completed_by_the_next(reopen):
    talk_id = new_talk_id()
    record(reopen(), talk_id, close=False)
    after = reopen()
    after.recover(lambda _: True)
    assert 0 < after.length_s(talk_id) <= FRAMES * 0.08 + 0.01
    np.testing.assert_allclose(heard(after, talk_id)[:, :FRAME_SAMPLES], frames()[0], atol=1 / 32_000)


def test_room_is_promised_once_and_free_again_when_the_recording_is_shorter(store):
    first, second = new_talk_id(), new_talk_id()
    store.reserve(first, 30.0)
    with pytest.raises(StorageFull, match="Delete talks you no longer need"):
        store.reserve(second, 30.0)
    store.release(first)
    store.reserve(second, 30.0)


def test_copy_arrives_whole_or_not_at_all(store):
    talk_id, copied, failed = new_talk_id(), new_talk_id(), new_talk_id()
    record(store, talk_id)
    with store.open(talk_id) as wav, store.arriving(copied, wav):
        assert not store.has(copied)
    np.testing.assert_array_equal(heard(store, copied), heard(store, talk_id))
    with (
        pytest.raises(RuntimeError, match="the talk's record could not be written"),
        store.open(talk_id) as wav,
        store.arriving(failed, wav),
    ):
        raise RuntimeError("the talk's record could not be written")
    assert not store.has(failed)


def test_copy_too_large_is_refused_and_leaves_nothing(store):
    talk_id = new_talk_id()
    with pytest.raises(StorageFull), store.arriving(talk_id, io.BytesIO(bytes(MAX_BYTES + 1))):
        pass
    assert not store.has(talk_id)
    assert store.fits(MAX_BYTES)


def test_deleted_recording_is_gone_and_its_reader_undisturbed(store):
    talk_id = new_talk_id()
    record(store, talk_id)
    with store.open(talk_id) as wav:
        store.delete([talk_id, new_talk_id()])
        assert not store.has(talk_id)
        assert store.length_s(talk_id) == 0
        assert len(wav.read()) > FRAMES * FRAME_SAMPLES * 4
    assert store.fits(MAX_BYTES)
