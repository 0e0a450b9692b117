"""Speech synthesis by two packaged English speakers, varied by shifting pitch and formants together.

Both speak the same phonemes, which the first one's own dictionaries and rules make of the text.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ..errors import WeightsError
from ..protocol_events import Word
from ..units import SAMPLE_RATE_HZ
from ..voices import EMBEDDED, Voice
from . import weights
from .piper_voice import PiperVoice
from .spoken_form import spoken_form

_log = logging.getLogger(__name__)
_LEAD_S = 0.02
_TAIL_S = 0.16
_AUDIBLE = 0.006
_BLOCK_SAMPLES = 240
# a fixed seed, so that the same text always sounds the same
_SEED = 20_240


class Speaker(Enum):
    """Whose recordings a voice was made of."""

    WOMAN = "woman"
    MAN = "man"
    DORA = "dora"
    ALEX = "alex"

    @property
    def is_woman(self) -> bool:
        """Whether the recordings were a woman's."""
        return self in (Speaker.WOMAN, Speaker.DORA)


@dataclass(frozen=True)
class Timbre:
    """A variant of a packaged speaker: `pitch` multiplies fundamental and formants, `speed` the tempo."""

    voice: Voice
    speaker: Speaker
    pitch: float
    speed: float


_MADE_OF = {
    "natural": (Speaker.WOMAN, 1.0, 1.0),
    "warm": (Speaker.WOMAN, 0.82, 1.0),
    "deep": (Speaker.MAN, 1.0, 1.0),
    "firm": (Speaker.MAN, 1.18, 0.95),
    "bright": (Speaker.WOMAN, 1.15, 1.0),
    "light": (Speaker.WOMAN, 1.28, 1.0),
}
TIMBRES = tuple(Timbre(voice, *_MADE_OF[voice.name]) for voice in EMBEDDED)
ALWAYS_THERE = tuple(timbre for timbre in TIMBRES if timbre.speaker is Speaker.WOMAN)
"""The voices whose speaker is in every installation and is loaded with the engine."""
SAMPLE_TEXT = "Hello. This is how I sound when we talk."
SAMPLES_FOLDER = Path(__file__).with_name("samples")
WITHOUT_MAN = 0.76
"""How far the woman's pitch and formants are lowered for a man's voice where the man's package is missing."""


_LOUDEST = 0.98
# brings both to about the same loudness
_GAIN = {Speaker.WOMAN: 1.9, Speaker.MAN: 1.8}


def kept_sample(timbre: Timbre) -> np.ndarray:
    """Return a man's voice saying `SAMPLE_TEXT`, from a file: the man is not loaded for it.

    `scripts/make_voice_samples.py` writes the files.
    Shapes: float32 [N] at 24 kHz.
    """
    return soundfile.read(SAMPLES_FOLDER / f"{timbre.voice.name}.flac", dtype="float32")[0]


def missing(timbre: Timbre) -> str:
    """Return what is to be said where a voice's own speaker is not installed, "" where it is."""
    if timbre.speaker is Speaker.MAN:
        try:
            weights.MAN.locate()
        except WeightsError as error:
            return f"A woman's voice, lowered, speaks instead of the man's. {error}"
    return ""


@dataclass(frozen=True)
class SpeechClip:
    """Synthesised speech.

    Shapes: `samples` is float32 [N] at 24 kHz. Word times are in seconds from its first sample.
    """

    samples: np.ndarray
    words: tuple[Word, ...]


class Synthesiser:
    """The packaged speakers on one thread. Not thread-safe: one call at a time.

    The man is loaded when a voice of his first speaks.
    """

    def __init__(self) -> None:
        from hibari import Hibari
        from hibari.g2p import G2P

        path = weights.SYNTHESISER.verified()
        weights.SPELLING.verified()
        # its dictionaries are loaded here, so that the first talk does not wait for them
        phonemes = G2P()
        self._woman = Hibari(model=str(path), g2p=lambda text: phonemes(spoken_form(text)))
        self._man: PiperVoice | None = None
        self._man_refused = False

    def speak(self, text: str, timbre: Timbre) -> SpeechClip:
        """Synthesise `text`, without the silence around it; the clip is empty when nothing can be spoken."""
        man = self._loaded_man() if timbre.speaker is Speaker.MAN else None
        if timbre.speaker is Speaker.MAN and man is None:
            timbre = replace(timbre, speaker=Speaker.WOMAN, pitch=WITHOUT_MAN * timbre.pitch)
        # resampling changes the pitch and the tempo; the model's speed undoes the change of tempo
        speed = timbre.speed / timbre.pitch
        # before the model cuts it into sentences: it would cut after "No." and before the 5
        spoken = spoken_form(text)
        if man:
            made = man.speak(self._woman.phonemize(spoken), speed)
            made_hz = man.rate_hz
        else:
            made = self._woman(spoken, speed=speed, seed=_SEED)
            made_hz = SAMPLE_RATE_HZ
        if not len(made):
            return SpeechClip(made, ())
        made_hz *= timbre.pitch
        samples = trimmed(soxr.resample(made, made_hz, SAMPLE_RATE_HZ) if made_hz != SAMPLE_RATE_HZ else made)
        # less for a clip that would be cut at full scale
        gain = min(_GAIN[timbre.speaker], _LOUDEST / float(np.abs(samples).max(initial=_LOUDEST / 10)))
        samples = (samples * gain).astype(np.float32)
        return SpeechClip(samples, self._words(text, len(samples) / SAMPLE_RATE_HZ))

    def _loaded_man(self) -> PiperVoice | None:
        """Return the man, None where his package is missing or another one."""
        if self._man is None and not self._man_refused:
            try:
                self._man = PiperVoice(weights.MAN, weights.MAN_PHONEMES)
            except WeightsError as error:
                self._man_refused = True
                _log.warning("a man's voice is spoken by a lowered woman's: %s", error)
        return self._man

    def _words(self, text: str, duration_s: float) -> tuple[Word, ...]:
        """Divide the clip's time among the words in proportion to their average phoneme durations."""
        words = text.split()
        phonemes = self._woman.g2p(text).split(" ")
        if len(phonemes) != len(words):  # a figure is one word in writing and several aloud
            phonemes = [self._woman.g2p(word) for word in words]
        # the pause of the last mark was trimmed from the clip
        phonemes[-1:] = [last.rstrip(".?!…,;:—") for last in phonemes[-1:]]
        return timed_words(words, [phonemes_length(word) for word in phonemes], duration_s)


def timed_words(words: list[str], lengths: list[float], duration_s: float) -> tuple[Word, ...]:
    """Divide a trimmed clip's time among its words in proportion to their lengths."""
    total = sum(lengths)
    if not total:
        return ()
    ends = _LEAD_S + np.cumsum(lengths) * (max(0.0, duration_s - _LEAD_S - _TAIL_S) / total)
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


def trimmed(samples: np.ndarray) -> np.ndarray:
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
