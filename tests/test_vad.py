"""Voice activity on real speech, silence, noise and music; where speech begins and ends."""

import numpy as np
import pytest

from personaplex_app.speech.vad import CHUNK_S, ON, Chunk, SpeechGate, VadModel, VadStream, speech_end
from personaplex_app.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

from .support.speech import speak


@pytest.fixture(scope="module")
def model():
    return VadModel()


def chunks_of(model: VadModel, samples: np.ndarray, size: int = FRAME_SAMPLES) -> list[Chunk]:
    stream = VadStream(model)
    return [
        chunk
        for at in range(0, len(samples), size)
        for chunk in stream.push(samples[at : at + size].astype(np.float32))
    ]


def gate_of(probabilities: list[float]) -> SpeechGate:
    gate = SpeechGate()
    for index, probability in enumerate(probabilities):
        gate.push(Chunk(index * CHUNK_S, probability, 1e-2 * probability))
    return gate


@pytest.mark.slow
def test_vad_speech_in_silence_is_found_where_it_is(model):
    speech = speak("How much is the compost bin?", pause_s=0.0)
    gate = SpeechGate()
    for chunk in chunks_of(model, np.pad(speech, (SAMPLE_RATE_HZ, SAMPLE_RATE_HZ))):
        gate.push(chunk)
    assert gate.bursts == 1
    assert not gate.open
    assert gate.onset_s == pytest.approx(1.02, abs=0.1)
    assert gate.voice_end_s == pytest.approx(1.0 + len(speech) / SAMPLE_RATE_HZ - 0.16, abs=0.12)


def _noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0.0, 0.1, 5 * SAMPLE_RATE_HZ)


def _music() -> np.ndarray:
    t = np.arange(SAMPLE_RATE_HZ // 2) / SAMPLE_RATE_HZ
    notes = [
        0.2 * np.exp(-2 * t) * sum(np.sin(2 * np.pi * pitch * k * t) / k for k in (1, 2, 3))
        for pitch in (220, 277, 330, 440, 392, 349)
    ]
    return np.concatenate(notes * 2)


@pytest.mark.parametrize(
    ("sound", "most_chunks"),
    [(np.zeros(5 * SAMPLE_RATE_HZ), 0), (_noise(), 0), (_music(), 6)],
    ids=["silence", "noise", "music"],
)
def test_vad_no_speech_is_not_taken_for_speech(model, sound, most_chunks):
    assert sum(chunk.probability > ON for chunk in chunks_of(model, sound)) <= most_chunks


def test_vad_any_frame_size_gives_the_same_probabilities(model):
    speech = speak("Hello there.")
    whole = [chunk.probability for chunk in chunks_of(model, speech)]
    parts = [chunk.probability for chunk in chunks_of(model, speech, 700)]
    assert len(parts) == pytest.approx(len(whole), abs=1)
    assert np.allclose(whole[: len(parts)], parts[: len(whole)], atol=1e-3)


def test_gate_single_loud_chunk_stays_closed():
    assert gate_of([0.0, 0.9, 0.0, 0.9, 0.0]).bursts == 0


def test_gate_short_gap_is_the_same_burst():
    gate = gate_of([0.0] * 4 + [0.9] * 5 + [0.0] * 3 + [0.9] * 5)
    assert gate.bursts == 1
    assert gate.voiced_s == pytest.approx(10 * CHUNK_S)


def test_gate_long_gap_begins_a_new_burst():
    gate = gate_of([0.0] * 4 + [0.9] * 5 + [0.0] * 8 + [0.9] * 3)
    assert gate.bursts == 2
    assert gate.onset_s == pytest.approx(17 * CHUNK_S)


def test_gate_loud_sound_before_the_model_notices_moves_the_onset_back():
    gate = SpeechGate()
    for index, (probability, power) in enumerate([(0.0, 1e-7)] * 10 + [(0.2, 1e-3)] * 2 + [(0.9, 1e-2)] * 2):
        gate.push(Chunk(index * CHUNK_S, probability, power))
    assert gate.onset_s == pytest.approx(10 * CHUNK_S)


def test_speech_end_quiet_tail_is_left_out():
    voice = np.sin(np.arange(SAMPLE_RATE_HZ) * 0.1).astype(np.float32)
    tail = np.zeros(2_400, np.float32)
    assert speech_end(np.concatenate([voice, tail])) == pytest.approx(SAMPLE_RATE_HZ, abs=240)
