"""Spanish speech by Kokoro-82M, a network of many voices; a voice is a table of styles.

Source: Li et al., "StyleTTS 2", for the network; the weights and the styles are hexgrad's Kokoro-82M
(Apache-2.0), the int8 export is kokoro-onnx's (MIT). `styles.npz` holds the first rows of each table.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import numpy as np

from ...units import SAMPLE_RATE_HZ
from ...voices import SPANISH
from ..synthesiser import Speaker, SpeechClip, Timbre, shaped, timed_words
from ..weights import PHONEME_NUMBERS, SPANISH_RECOGNISER, SPANISH_VOICE, verified
from .figures import spoken_form
from .letters import phonemes

SPANISH_TIMBRES = (
    Timbre(SPANISH[0], Speaker.DORA, is_man=False, scale=1.06),
    Timbre(SPANISH[1], Speaker.ALEX, is_man=True, scale=0.9),
)
STYLES_FILE = Path(__file__).with_name("styles.npz")
_STYLES_SHA256 = "9eedbf3808a6ccee3f69470e758f9b5d58341c8cee688d7b25a3b89b9111767e"
_STYLES_REMEDY = "install this program again"
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+(?=\S)")
_CLAUSE_END = re.compile(r"(?<=[,;:—])\s+")
_MAX_PHONEMES = 180
_GAIN = 1.6


def spanish_is_installed() -> bool:
    """Return whether the packages of Spanish are there, recogniser and voices, without reading them."""
    return all(part.is_installed for part in (*SPANISH_VOICE, *SPANISH_RECOGNISER))


class SpanishSynthesiser:
    """The Spanish voices on one thread. Not thread-safe: one call at a time."""

    def __init__(self) -> None:
        """Load the network and the styles.

        Raises: WeightsError when a package is missing, or a file is another one than was tested.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # a thread that spins while it waits takes a core from the other talks
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            _whole_model(), options, providers=["CPUExecutionProvider"]
        )
        self._numbers: dict[str, int] = json.loads(PHONEME_NUMBERS.verified().read_text(encoding="utf-8"))
        with np.load(verified(STYLES_FILE, _STYLES_SHA256, _STYLES_REMEDY)) as styles:
            self._styles = {name: styles[name] for name in styles.files}

    def speak(self, text: str, timbre: Timbre) -> SpeechClip:
        """Synthesise `text`, without the silence around it; the clip is empty when nothing can be spoken."""
        speed = timbre.speed / timbre.scale
        style = self._styles[timbre.speaker.value]
        pieces = [self._piece(piece, style, speed) for piece in _pieces(phonemes(spoken_form(text)))]
        made = np.concatenate([np.zeros(0, np.float32), *pieces])
        samples = shaped(made, timbre, _GAIN)
        words = text.split()
        lengths = [_length(phonemes(spoken_form(word))) for word in words]
        return SpeechClip(samples, timed_words(words, lengths, len(samples) / SAMPLE_RATE_HZ))

    def _piece(self, sounds: str, style: np.ndarray, speed: float) -> np.ndarray:
        ids = [self._numbers[sound] for sound in sounds if sound in self._numbers]
        if not ids:
            return np.zeros(0, np.float32)
        # a table has one style for each length of a sentence
        chosen = style[min(len(ids), len(style)) - 1].astype(np.float32)
        inputs = {
            "tokens": np.asarray([[0, *ids, 0]], np.int64),
            "style": chosen[None],
            "speed": np.asarray([speed], np.float32),
        }
        return np.asarray(self._session.run(None, inputs)[0], np.float32).reshape(-1)


def _whole_model() -> bytes:
    """Return the network's file, whose parts come in a package each. Raises: WeightsError."""
    return b"".join(part.verified().read_bytes() for part in SPANISH_VOICE)


def _pieces(sounds: str) -> list[str]:
    """Return the sentences, and of a long one its clauses, as far as they must be parted."""
    out: list[str] = []
    for sentence in _SENTENCE_END.split(sounds):
        parts = [sentence] if len(sentence) <= _MAX_PHONEMES else _CLAUSE_END.split(sentence)
        for number, part in enumerate(parts):
            joined = f"{out[-1]} {part}" if number else part
            if number and len(joined) <= _MAX_PHONEMES:
                out[-1] = joined
            else:
                out.append(part)
    return [piece for piece in out if piece.strip()]


@cache
def _lengths() -> dict[str, float]:
    """Return how long a sound lasts beside others: vowels longest, marks as their pause."""
    return {**dict.fromkeys("aeiou", 2.0), **dict.fromkeys(",;:—", 3.0), **dict.fromkeys(".!?…", 6.0)}


def _length(sounds: str) -> float:
    known = _lengths()
    return sum(known.get(sound, 0.0 if sound in "ˈ " else 1.0) for sound in sounds)
