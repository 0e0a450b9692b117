"""Speech synthesis by one packaged English speaker, varied in pitch, formants and tempo to several voices.

Resampling moves pitch and formants together, a vocoder the pitch alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ..protocol_events import Word
from ..units import SAMPLE_RATE_HZ
from ..voices import EMBEDDED, Voice
from . import weights
from .spoken_form import spoken_form
from .vocoder import with_pitch

_LEAD_S = 0.02
_TAIL_S = 0.16
_AUDIBLE = 0.006
_BLOCK_SAMPLES = 240
# a fixed seed, so that the same text always sounds the same
_SEED = 20_240


class Speaker(Enum):
    """Whose recordings a voice was made of."""

    HEART = "heart"
    DORA = "dora"
    ALEX = "alex"


@dataclass(frozen=True)
class Timbre:
    """A variant of a packaged speaker.

    `scale` multiplies pitch and formants together, as a smaller or larger body would; `pitch` the fundamental
    alone, and `tilt_db` brightens the sound by so much an octave: both take the vocoder. `speed` is the
    tempo.
    """

    voice: Voice
    speaker: Speaker
    is_man: bool
    scale: float = 1.0
    pitch: float = 1.0
    tilt_db: float = 0.0
    speed: float = 1.0

    @property
    def is_vocoded(self) -> bool:
        """Whether the vocoder makes it, which costs a tenth of real time."""
        return self.pitch != 1.0 or self.tilt_db != 0.0


_MEN = frozenset(("deep", "firm"))
_MADE_OF: dict[str, dict[str, float]] = {
    "natural": {},
    "warm": {"scale": 0.82},
    "deep": {"scale": 0.76, "pitch": 0.68, "tilt_db": -1.5},
    "firm": {"scale": 0.9, "pitch": 0.65, "tilt_db": 2.5},
    "bright": {"scale": 1.15},
    "light": {"scale": 1.28},
}
TIMBRES = tuple(
    Timbre(voice, Speaker.HEART, voice.name in _MEN, **_MADE_OF[voice.name]) for voice in EMBEDDED
)
SAMPLE_TEXT = "Hello. This is how I sound when we talk."
SAMPLES_FOLDER = Path(__file__).with_name("samples")


_LOUDEST = 0.98
_GAIN = 1.9


def kept_sample(timbre: Timbre) -> np.ndarray:
    """Return a voice saying `SAMPLE_TEXT`, from a file, so that no start waits until it is spoken.

    `scripts/make_voice_samples.py` writes the files.
    Shapes: float32 [N] at 24 kHz.
    """
    return soundfile.read(SAMPLES_FOLDER / f"{timbre.voice.name}.flac", dtype="float32")[0]


@dataclass(frozen=True)
class SpeechClip:
    """Synthesised speech.

    Shapes: `samples` is float32 [N] at 24 kHz. Word times are in seconds from its first sample.
    """

    samples: np.ndarray
    words: tuple[Word, ...]


class Synthesiser:
    """The packaged speaker on one thread. Not thread-safe: one call at a time."""

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
        # before the model cuts it into sentences: it would cut after "No." and before the 5; resampling
        # changes the tempo too, which the model's speed undoes
        made = self._model(spoken_form(text), speed=timbre.speed / timbre.scale, seed=_SEED)
        if not len(made):
            return SpeechClip(made, ())
        samples = shaped(made, timbre, _GAIN)
        return SpeechClip(samples, self._words(text, len(samples) / SAMPLE_RATE_HZ))

    def _words(self, text: str, duration_s: float) -> tuple[Word, ...]:
        """Divide the clip's time among the words in proportion to their average phoneme durations."""
        words = text.split()
        phonemes = self._model.g2p(text).split(" ")
        if len(phonemes) != len(words):  # a figure is one word in writing and several aloud
            phonemes = [self._model.g2p(word) for word in words]
        # the pause of the last mark was trimmed from the clip
        phonemes[-1:] = [last.rstrip(".?!…,;:—") for last in phonemes[-1:]]
        return timed_words(words, [phonemes_length(word) for word in phonemes], duration_s)


def shaped(made: np.ndarray, timbre: Timbre, gain: float) -> np.ndarray:
    """Return synthesised speech in the scale and pitch of a timbre, trimmed, and as loud as others.

    Shapes: both are float32 [N] at 24 kHz.
    """
    if timbre.scale != 1.0:
        made = soxr.resample(made, SAMPLE_RATE_HZ * timbre.scale, SAMPLE_RATE_HZ)
    if timbre.is_vocoded and len(made):
        made = with_pitch(made, timbre.pitch, timbre.tilt_db)
    samples = trimmed(made)
    # less for a clip that would be cut at full scale
    gain = min(gain, _LOUDEST / float(np.abs(samples).max(initial=_LOUDEST / 10)))
    return (samples * gain).astype(np.float32)


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
