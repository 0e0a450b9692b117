"""Speech synthesis: one packaged English voice, made into several by moving pitch and formants together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

from ..protocol_events import Word
from ..units import SAMPLE_RATE_HZ
from ..voices import EMBEDDED, Voice
from . import weights

_LEAD_S = 0.02
_TAIL_S = 0.16
_AUDIBLE = 0.006
_BLOCK_SAMPLES = 240
_LEVEL = 1.9
_SEED = 20_240


@dataclass(frozen=True)
class Timbre:
    """`pitch` multiplies fundamental and formants of the packaged voice, `pace` its speed."""

    voice: Voice
    pitch: float
    pace: float


_PITCH_AND_PACE = {
    "natural": (1.0, 1.0),
    "warm": (0.9, 1.0),
    "deep": (0.76, 0.95),
    "bright": (1.15, 1.0),
    "light": (1.28, 1.0),
}
TIMBRES = tuple(Timbre(voice, *_PITCH_AND_PACE[voice.name]) for voice in EMBEDDED)


@dataclass(frozen=True)
class SpeechClip:
    """Synthesised speech.

    Shapes: `samples` is float32 [N] at 24 kHz. Word times are in seconds from its first sample.
    """

    samples: np.ndarray
    words: tuple[Word, ...]


class Synthesiser:
    """The packaged voice, one thread. One call at a time."""

    def __init__(self) -> None:
        from hibari import Hibari

        path = weights.SYNTHESISER.verified()
        weights.SPELLING.verified()
        self._model = Hibari(model=str(path))
        self._model.g2p  # noqa: B018  the dictionaries load at first touch

    def speak(self, text: str, timbre: Timbre) -> SpeechClip:
        """Return `text` spoken, without the silence around it; empty when there is nothing to say aloud."""
        made = self._model(text, speed=timbre.pace / timbre.pitch, seed=_SEED)
        if not len(made):
            return SpeechClip(made, ())
        samples = _trimmed(
            soxr.resample(made, SAMPLE_RATE_HZ * timbre.pitch, SAMPLE_RATE_HZ)
            if timbre.pitch != 1.0
            else made
        )
        samples = np.clip(samples * _LEVEL, -1.0, 1.0).astype(np.float32)
        return SpeechClip(samples, self._words(text, len(samples) / SAMPLE_RATE_HZ))

    def _words(self, text: str, duration_s: float) -> tuple[Word, ...]:
        """Share the clip's time among the words by the model's average phoneme lengths."""
        words = text.split()
        spoken = self._model.g2p(text).split(" ")
        if len(spoken) != len(words):  # a figure is one word in writing and several aloud
            spoken = [self._model.g2p(word) for word in words]
        spoken[-1:] = [last.rstrip(".?!…,;:—") for last in spoken[-1:]]
        lengths = [phonemes_length(word) for word in spoken]
        total = sum(lengths)
        if not total:
            return ()
        scale = max(0.0, duration_s - _LEAD_S - _TAIL_S) / total
        ends = _LEAD_S + np.cumsum(lengths) * scale
        starts = np.concatenate([[_LEAD_S], ends[:-1]])
        return tuple(
            Word(word, float(start), float(end)) for word, start, end in zip(words, starts, ends, strict=True)
        )


# Least squares over 215 sentences: the model's duration against its phonemes, frames of 12.5 ms; 3 % error a
# sentence.
_PHONEME_FRAMES = {
    **dict.fromkeys("AIOWYQɑɔuiɜæ", 10.0),
    **dict.fromkeys("əɪʊʌɛᵊᵻɐɒaeo", 7.9),
    **dict.fromkeys("sʃfθzʒʧʤvð", 5.3),
    **dict.fromkeys("pbtdkɡTʔɾ", 3.2),
    **dict.fromkeys("mnŋlɹjwh", 2.8),
    **dict.fromkeys(",;:—", 13.6),
    **dict.fromkeys(".!?…", 40.0),
    "ˈ": 6.6,
    "ˌ": 3.5,
}


def phonemes_length(phonemes: str) -> float:
    """Return how long a phoneme string lasts on average, in frames of 12.5 ms."""
    return sum(_PHONEME_FRAMES.get(phoneme, 0.0) for phoneme in phonemes)


def _trimmed(samples: np.ndarray) -> np.ndarray:
    """Cut the silence around speech down to a short lead and tail."""
    blocks = (
        np.abs(np.pad(samples, (0, -len(samples) % _BLOCK_SAMPLES))).reshape(-1, _BLOCK_SAMPLES).max(axis=1)
    )
    loud = np.flatnonzero(blocks > _AUDIBLE)
    if not len(loud):
        return samples[:0]
    first = max(0, loud[0] * _BLOCK_SAMPLES - int(_LEAD_S * SAMPLE_RATE_HZ))
    last = (loud[-1] + 1) * _BLOCK_SAMPLES + int(_TAIL_S * SAMPLE_RATE_HZ)
    return np.pad(samples[first:last], (0, max(0, last - len(samples))))
