"""A voice in Piper's format, an ONNX file, driven by phonemes of the other synthesiser's alphabet.

Source: Kim et al., "Conditional Variational Autoencoder with Adversarial Learning for End-to-End
Text-to-Speech" (VITS), for the network; the voice's own JSON file for its rate and its phonemes' numbers.
"""

from __future__ import annotations

import json
import re

import numpy as np

from .weights import PackagedWeights

# In the alphabet of the dictionaries one letter stands for a diphthong or an affricate; in the voice's, two.
_LETTERS = str.maketrans(
    {
        "A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "Q": "əʊ", "S": "ʃ", "T": "ɾ",
        "ʤ": "dʒ", "ʧ": "tʃ", "ᵊ": "ə", "u": "uː", "ɑ": "ɑː", "ɜ": "ɜː", "—": ",", "…": ".",
    }
)  # fmt: skip
_VOWEL_NEXT = "(?=[ˈˌ]?[aeiouæɐɑɒɔəɚɛɜɪʊʌᵻ])"
_LONG = (
    (re.compile(f"ɜːɹ(?!{_VOWEL_NEXT})"), "ɜː"),
    (re.compile(f"əɹ(?!{_VOWEL_NEXT})"), "ɚ"),
    (re.compile("ɔ(?!ɪ)"), "ɔː"),
    (re.compile("([ˈˌ])i"), r"\1iː"),
)
_BEGIN, _PAD, _END = "^", "_", "$"


class PiperVoice:
    """One speaker on one thread. Not thread-safe: one call at a time."""

    def __init__(self, model: PackagedWeights, phonemes: PackagedWeights) -> None:
        """Load the voice. Raises: WeightsError when its package is missing or another one."""
        import onnxruntime

        path = model.verified()
        about = json.loads(phonemes.verified().read_text(encoding="utf-8"))
        self.rate_hz: int = about["audio"]["sample_rate"]
        self._ids: dict[str, list[int]] = about["phoneme_id_map"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # a thread that spins while it waits takes a core from the other talks
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def speak(self, sentences: list[str], speed: float) -> np.ndarray:
        """Synthesise phoneme strings, one a sentence.

        Shapes: the result is float32 [N] at `rate_hz`.
        """
        return np.concatenate([np.zeros(0, np.float32), *(self._sentence(each, speed) for each in sentences)])

    def _sentence(self, phonemes: str, speed: float) -> np.ndarray:
        ids = self._numbers(piper_phonemes(phonemes))
        inputs = {
            "input": np.asarray([ids], np.int64),
            "input_lengths": np.asarray([len(ids)], np.int64),
            # without noise, so that the same text always sounds the same
            "scales": np.asarray([0.0, 1.0 / speed, 0.0], np.float32),
        }
        return np.asarray(self._session.run(None, inputs)[0], np.float32).reshape(-1)

    def _numbers(self, phonemes: str) -> list[int]:
        """Return the network's input: each phoneme's numbers, a pad after each, begin and end around them."""
        ids = [*self._ids[_BEGIN], *self._ids[_PAD]]
        for phoneme in phonemes:
            if phoneme in self._ids:
                ids += [*self._ids[phoneme], *self._ids[_PAD]]
        return [*ids, *self._ids[_END]]


def piper_phonemes(phonemes: str) -> str:
    """Return a phoneme string of the dictionaries in the IPA that Piper's English voices were trained on."""
    written = phonemes.translate(_LETTERS)
    for pattern, by in _LONG:
        written = pattern.sub(by, written)
    return written
