"""Spoken words for the tests, from the embedded engine's own models, loaded once in a process.

What they have said and heard is remembered, since the same text in a voice is the same sound, and the same
sound the same words; `computed_anew` forgets it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from personaplex_app.responder.sentence_encoder import SentenceEncoder
from personaplex_app.speech.recogniser import Recogniser, Transcript
from personaplex_app.speech.synthesiser import TIMBRES, SpeechClip, Synthesiser, Timbre


class _Memory:
    """What was computed, by what it was computed of. Several threads may ask; one computes at a time."""

    def __init__(self) -> None:
        self.known: dict[Hashable, Any] = {}
        self._lock = threading.Lock()

    def of(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        with self._lock:
            if key not in self.known:
                self.known[key] = compute()
            return self.known[key]


class _Synthesiser(Synthesiser):
    def __init__(self) -> None:
        super().__init__()
        self.memory = _Memory()

    def speak(self, text: str, timbre: Timbre) -> SpeechClip:
        say = super().speak

        def computed() -> SpeechClip:
            clip = say(text, timbre)
            clip.samples.flags.writeable = False  # others get it too
            return clip

        return self.memory.of((text, timbre), computed)


class _Recogniser(Recogniser):
    def __init__(self) -> None:
        super().__init__()
        self.memory = _Memory()

    def transcribe(self, samples: np.ndarray, beam: int = 1, with_words: bool = True) -> Transcript:
        transcribe = super().transcribe
        sound = hashlib.sha256(np.ascontiguousarray(samples)).digest()
        return self.memory.of(
            (sound, str(samples.dtype), beam, with_words), lambda: transcribe(samples, beam, with_words)
        )


@cache
def synthesiser() -> Synthesiser:
    return _Synthesiser()


@cache
def recogniser() -> Recogniser:
    return _Recogniser()


@cache
def encoder() -> SentenceEncoder:
    return SentenceEncoder()


@contextmanager
def computed_anew() -> Iterator[None]:
    """Compute again what was said or heard before."""
    with pytest.MonkeyPatch.context() as patch:
        for model in (synthesiser(), recogniser()):
            patch.setattr(model.memory, "known", {})
        yield


@contextmanager
def loaded_once(*modules: ModuleType) -> Iterator[None]:
    """Let modules of the program take the models of this process where they load their own."""
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            for load in (synthesiser, recogniser, encoder):
                name = "SentenceEncoder" if load is encoder else load.__name__.capitalize()
                if hasattr(module, name):
                    patch.setattr(module, name, load)
        yield


def speak(text: str, voice: str = "natural", pause_s: float = 0.3) -> np.ndarray:
    """Return `text` spoken, float32 [N] at 24 kHz, with a little silence after it."""
    timbre = next(timbre for timbre in TIMBRES if timbre.voice.name == voice)
    spoken = synthesiser().speak(text, timbre).samples
    return np.concatenate([spoken, np.zeros(int(24_000 * pause_s), np.float32)])


def recognise(samples: np.ndarray) -> str:
    """Return what is said in float32 [N] at 24 kHz, read in windows of 9 s."""
    parts = [samples[at : at + 24_000 * 9] for at in range(0, len(samples), 24_000 * 9)]
    return " ".join(
        recogniser().transcribe(part, with_words=False).text for part in parts if len(part) > 2400
    )
