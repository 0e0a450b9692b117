"""Speech synthesis by one packaged English voice, varied by shifting pitch and formants together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

from ..protocol_events import Word
from ..units import SAMPLE_RATE_HZ
from ..voices import EMBEDDED, Voice
from . import weights
from .spoken_form import spoken_form

_LEAD_S = 0.02
_TAIL_S = 0.16
_AUDIBLE = 0.006
_BLOCK_SAMPLES = 240
_GAIN = 1.9
# a fixed seed, so that the same text always sounds the same
_SEED = 20_240


@dataclass(frozen=True)
class Timbre:
    """A variant of the packaged voice: `pitch` multiplies fundamental and formants, `speed` the tempo."""

    voice: Voice
    pitch: float
    speed: float


# multiplies the pitch, and the tempo, of the packaged voice
_PITCH_AND_SPEED = {
    "natural": (1.0, 1.0),
    "warm": (0.9, 1.0),
    "deep": (0.76, 0.95),
    "bright": (1.15, 1.0),
    "light": (1.28, 1.0),
}
TIMBRES = tuple(Timbre(voice, *_PITCH_AND_SPEED[voice.name]) for voice in EMBEDDED)


@dataclass(frozen=True)
class SpeechClip:
    """Synthesised speech.

    Shapes: `samples` is float32 [N] at 24 kHz. Word times are in seconds from its first sample.
    """

    samples: np.ndarray
    words: tuple[Word, ...]


class Synthesiser:
    """The packaged voice on one thread. Not thread-safe: one call at a time."""

    def __init__(self) -> None:
        from hibari import Hibari
        from hibari.g2p import G2P

        path = weights.SYNTHESISER.verified()
        weights.SPELLING.verified()
        # its dictionaries are loaded here, so that the first talk does not wait for them
        phonemes = G2P()
        self._model = Hibari(model=str(path), g2p=lambda text: phonemes(spoken_form(text)))

    def speak(self, text: str, timbre: Timbre) -> SpeechClip:
        """Synthesise `text`, without the silence around it; the clip is empty when nothing can be spoken."""
        # resampling changes the pitch and the tempo; the model's speed undoes the change of tempo
        # before the model cuts it into sentences: it would cut after "No." and before the 5
        made = self._model(spoken_form(text), speed=timbre.speed / timbre.pitch, seed=_SEED)
        if not len(made):
            return SpeechClip(made, ())
        samples = _trimmed(
            soxr.resample(made, SAMPLE_RATE_HZ * timbre.pitch, SAMPLE_RATE_HZ)
            if timbre.pitch != 1.0
            else made
        )
        samples = np.clip(samples * _GAIN, -1.0, 1.0).astype(np.float32)
        return SpeechClip(samples, self._words(text, len(samples) / SAMPLE_RATE_HZ))

    def _words(self, text: str, duration_s: float) -> tuple[Word, ...]:
        """Divide the clip's time among the words in proportion to their average phoneme durations."""
        words = text.split()
        phonemes = self._model.g2p(text).split(" ")
        if len(phonemes) != len(words):  # a figure is one word in writing and several aloud
            phonemes = [self._model.g2p(word) for word in words]
        # the pause of the last mark was trimmed from the clip
        phonemes[-1:] = [last.rstrip(".?!…,;:—") for last in phonemes[-1:]]
        lengths = [phonemes_length(word) for word in phonemes]
        total = sum(lengths)
        if not total:
            return ()
        scale = max(0.0, duration_s - _LEAD_S - _TAIL_S) / total
        ends = _LEAD_S + np.cumsum(lengths) * scale
        starts = np.concatenate([[_LEAD_S], ends[:-1]])
        return tuple(
            Word(word, float(start), float(end)) for word, start, end in zip(words, starts, ends, strict=True)
        )


# Average durations in frames of 12.5 ms, fitted by least squares to the model's durations of 215 sentences;
# the error is 3 % a sentence.
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
