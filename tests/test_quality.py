"""Sound without a reference: clipping, silence, DNSMOS as its package computes it, voices told apart."""

import sys
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
import soxr

from personaplex_app.evaluation.similarity import VoiceEncoder, similarity
from personaplex_app.speech.quality import Dnsmos, clipping_share, silence_share
from personaplex_app.speech.sound import Sound

from .support import oracle  # noqa: F401 - Resemblyzer lies in its folder
from .support.fdb_samples import tone
from .support.speech import speak

TEXTS = (
    (
        "Could you tell me when the museum opens tomorrow morning, please? I would like to go there with my"
        " two children."
    ),
    "It opens at nine, and the tour of the old town begins an hour later at the main gate.",
)


def test_clipping_share_counts_full_scale_only():
    assert clipping_share(np.array([0.0, 0.998, 1.0, -1.0], np.float32)) == 0.5
    assert clipping_share(np.zeros(0, np.float32)) == 0.0


def test_silence_share_is_of_time():
    assert silence_share(tone((2, 5)), 24_000) == pytest.approx(0.7, abs=0.01)
    assert silence_share(tone(), 24_000) == 1.0
    assert silence_share(np.zeros(0, np.float32), 24_000) == 1.0


@pytest.fixture(scope="module")
def dnsmos() -> Dnsmos:
    return Dnsmos()


@pytest.mark.slow
def test_dnsmos_agrees_with_its_package(dnsmos, monkeypatch):
    monkeypatch.setitem(sys.modules, "librosa", ModuleType("librosa"))  # only its other network needs that
    from speechmos import dnsmos as package

    clip = soxr.resample(speak(" ".join(TEXTS)), 24_000, 16_000)[: int(9.5 * 16_000)]
    folder = package.__file__.removesuffix(".py") + "_models"
    theirs = package.DNSMOS(f"{folder}/sig_bak_ovr.onnx", f"{folder}/model_v8.onnx")
    monkeypatch.setattr(theirs, "audio_melspec", lambda audio: np.zeros((900, 120)))
    expected = theirs(clip, 16_000, False)
    found = dnsmos.score(clip, 16_000)
    assert found.signal == pytest.approx(expected["sig_mos"], abs=1e-4)
    assert found.background == pytest.approx(expected["bak_mos"], abs=1e-4)
    assert found.overall == pytest.approx(expected["ovrl_mos"], abs=1e-4)


def test_dnsmos_hears_noise_and_has_no_score_for_silence(dnsmos):
    clean = speak(TEXTS[1])
    noisy = clean + np.random.default_rng(0).normal(0, 0.05, len(clean)).astype(np.float32)
    assert dnsmos.score(clean, 24_000).overall > dnsmos.score(noisy, 24_000).overall + 0.5
    assert dnsmos.score(tone(), 24_000) is None
    assert dnsmos.score(np.zeros(0, np.float32), 24_000) is None


@pytest.fixture(scope="module")
def encoder() -> VoiceEncoder:
    if find_spec("resemblyzer") is None:
        pytest.skip("the package Resemblyzer is not installed: `make test` does that")
    return VoiceEncoder()


def test_voice_encoder_makes_what_the_package_makes(encoder):
    at_s = np.arange(40_000) / 16_000
    hum = (
        sum(np.sin(2 * np.pi * (140 + 15 * np.sin(3 * at_s)) * k * at_s) / k for k in range(1, 25))
        * 0.1
        * (1 + np.sin(11 * at_s))
    )
    found = encoder.embed_speech(hum.astype(np.float32))
    assert np.linalg.norm(found) == pytest.approx(1.0, abs=1e-6)
    # the six largest of what Resemblyzer 0.1.4 with librosa 0.11 returned for this sound
    for place, value in {
        246: 0.22724,
        36: 0.21588,
        218: 0.20326,
        10: 0.19751,
        182: 0.19004,
        158: 0.17796,
    }.items():
        assert found[place] == pytest.approx(value, abs=2e-5)


def test_voice_encoder_tells_voices_apart(encoder):
    one, same, other = (
        encoder.embed(Sound(speak(text, voice), 24_000, 1))
        for text, voice in ((TEXTS[0], "warm"), (TEXTS[1], "warm"), (TEXTS[1], "light"))
    )
    assert similarity(one, same) > 0.9
    assert similarity(one, other) < 0.8
    assert encoder.embed(Sound(speak("Yes."), 24_000, 1)) is None
    assert encoder.embed(Sound(tone(), 24_000, 1)) is None
