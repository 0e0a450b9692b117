"""Spoken words for the tests, from the embedded engine's own models."""

from __future__ import annotations

from functools import cache

import numpy as np

from personaplex_app.speech.recogniser import Recogniser
from personaplex_app.speech.synthesiser import TIMBRES, Synthesiser


@cache
def _models() -> tuple[Synthesiser, Recogniser]:
    return Synthesiser(), Recogniser()


def synthesiser() -> Synthesiser:
    return _models()[0]


def speak(text: str, voice: str = "natural", pause_s: float = 0.3) -> np.ndarray:
    """Return `text` spoken, float32 [N] at 24 kHz, with a little silence after it."""
    return np.concatenate([_spoken(text, voice), np.zeros(int(24_000 * pause_s), np.float32)])


@cache
def _spoken(text: str, voice: str) -> np.ndarray:
    timbre = next(timbre for timbre in TIMBRES if timbre.voice.name == voice)
    return _models()[0].speak(text, timbre).samples


def recognise(samples: np.ndarray) -> str:
    """Return what is said in float32 [N] at 24 kHz, read in windows of 9 s."""
    parts = [samples[at : at + 24_000 * 9] for at in range(0, len(samples), 24_000 * 9)]
    return " ".join(
        _models()[1].transcribe(part, with_words=False).text for part in parts if len(part) > 2400
    )
