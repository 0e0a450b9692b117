"""How the voices sound: said by the model when nobody talks, kept, broken off for a caller."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from personaplex_app.engine import voice_samples
from personaplex_app.engine.contract import SessionConfig
from personaplex_app.engine.personaplex import PersonaplexEngine, PersonaplexSettings
from personaplex_app.model.checkpoint import fingerprint
from personaplex_app.units import FRAME_SAMPLES
from personaplex_app.voices import NO_VOICE

from .support import tiny
from .support.patience import PATIENCE_S, until

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(voice_samples, "MAX_FRAMES", 10)
    monkeypatch.setattr(voice_samples, "PROMPT", "Be kind.")


@pytest.fixture
def make(tmp_path):
    engines = []

    def made(checkpoint=tiny.GOLDEN) -> PersonaplexEngine:
        engines.append(
            PersonaplexEngine(PersonaplexSettings(str(checkpoint), tmp_path / "voices", "cpu", "float32", 1))
        )
        engines[-1].load(lambda state: None)
        return engines[-1]

    yield made
    for engine in engines:
        engine.close()


def sample_of(engine, voice):
    until(lambda: engine.sample(voice) is not None)
    return engine.sample(voice)


def test_sample_asked_for_is_made_kept_and_found_by_the_next_engine(make, tmp_path, monkeypatch):
    first = make()
    assert first.sample("NATF0") is None
    ours, other, none = (sample_of(first, voice) for voice in ("NATF0", "NATM1", NO_VOICE))
    assert 0 < len(ours) <= 10 * FRAME_SAMPLES
    assert np.abs(ours).max() > 0.01
    assert not any(len(ours) == len(each) and np.allclose(ours, each, atol=0.01) for each in (other, none))
    assert len(list((tmp_path / "voices" / "samples").glob("*.wav"))) == 3
    assert first.snapshots.bytes == 0
    assert first.sample("VARM9") is None
    first.close()
    second = make()
    monkeypatch.setattr(second, "_open_session", None)  # nothing is said again
    assert np.allclose(sample_of(second, "NATF0"), ours, atol=1e-3)


def test_sample_spoiled_on_the_disk_is_made_again(make, tmp_path):
    first = make()
    ours = sample_of(first, "NATF0")
    first.close()
    (kept,) = (tmp_path / "voices" / "samples").glob("*.wav")
    kept.write_bytes(b"RIFF of nothing")
    assert np.allclose(sample_of(make(), "NATF0"), ours, atol=1e-3)


def test_sample_of_another_model_is_another_file(tmp_path):
    plain = fingerprint(tiny.GOLDEN / "model.safetensors", tiny.GOLDEN / "mimi.json")
    copy = Path(shutil.copy(tiny.GOLDEN / "model.safetensors", tmp_path))
    assert fingerprint(copy, tiny.GOLDEN / "mimi.json") == plain
    with copy.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    assert fingerprint(copy, tiny.GOLDEN / "mimi.json") != plain


def test_sample_gives_its_place_to_a_caller_and_waits_until_nobody_talks(make, monkeypatch):
    monkeypatch.setattr(voice_samples, "MAX_FRAMES", 100_000)
    engine = make()
    asked = SessionConfig("NATM1", "Be kind.")
    assert engine.sample("NATF0") is None
    until(engine._sample_lock.locked)
    talk = engine.open(asked)  # there is one place only
    monkeypatch.setattr(voice_samples, "MAX_FRAMES", 5)
    for _ in range(5):
        talk.step(np.zeros(FRAME_SAMPLES, np.float32))
        time.sleep(0.1)
        assert engine.sample("NATF0") is None
    talk.close()
    assert len(sample_of(engine, "NATF0"))


def test_sample_on_a_slow_machine_is_given_up(make, monkeypatch):
    monkeypatch.setattr(voice_samples, "PATIENCE_S", 0.0)
    engine = make()
    for voice in ("NATF0", "NATM1"):
        engine.sample(voice)
    thread = engine._samples._thread
    if thread:
        thread.join(timeout=PATIENCE_S)
    assert engine.sample("NATF0") is engine.sample("NATM1") is None
    assert engine._samples._thread is None
