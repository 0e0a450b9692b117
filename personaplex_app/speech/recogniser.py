"""Speech recognition by Whisper tiny.en, on a window as short as the clip allows.

Source: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", for the model and for
the thresholds that reject noise (log probability, no-speech probability, compression ratio).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import soxr

from ..protocol_events import Word
from ..units import SAMPLE_RATE_HZ
from . import weights

RATE_HZ = 16_000
HOP_SAMPLES = 160
# Whisper was trained on 30 s; its encoder runs on less, in proportion to the window. What lies past the
# window would be cut silently.
WINDOWS_FRAMES = (1_000, 1_500, 3_000)
MAX_CLIP_S = 30.0
_ALIGN_S = 0.02
_MAX_TOKENS = 200
# more than a person speaks in a second: what would be longer is cut
_MAX_TOKENS_PER_S = 8
# Whisper's own thresholds, but for the log probability of a text with a high no-speech probability
_NO_SPEECH = 0.6
_MIN_LOG_PROB = -1.0
_NOISE_LOG_PROB = -0.8
# text that compresses better than this repeats itself
_MAX_COMPRESSION = 2.4
# Texts that Whisper tends to produce for noise; they count only when it is confident.
_HALLUCINATIONS = frozenset(
    (
        "you",
        "thank you",
        "thanks",
        "thank you very much",
        "thanks for watching",
        "thank you for watching",
        "bye",
        "bye bye",
        "so",
        "oh",
        "i",
        "the",
    )
)
_HALLUCINATION_LOG_PROB = -0.5


@dataclass(frozen=True)
class Transcript:
    """The recognised text of one clip, empty when it is more likely noise than speech.

    Word times are in seconds from the clip's first sample.
    """

    text: str = ""
    words: tuple[Word, ...] = ()
    log_prob: float = 0.0
    no_speech: float = 0.0


def window_frames(clip_frames: int) -> int:
    """Return the shortest window that holds a clip, both in feature frames of 10 ms."""
    return next((window for window in WINDOWS_FRAMES if clip_frames <= window), WINDOWS_FRAMES[-1])


class Recogniser:
    """Whisper tiny.en in int8 on one thread. Not thread-safe: one call at a time."""

    def __init__(self) -> None:
        # not at the top: these packages take a while to import, and most commands recognise nothing
        import ctranslate2
        from faster_whisper.feature_extractor import FeatureExtractor
        from tokenizers import Tokenizer

        model = weights.RECOGNISER.verified()
        self._tokens = Tokenizer.from_file(str(weights.RECOGNISER_TOKENS.verified()))
        self._model = ctranslate2.models.Whisper(
            str(model.parent), device="cpu", compute_type="int8", intra_threads=1, inter_threads=1
        )

        self._storage = ctranslate2.StorageView
        self._features = FeatureExtractor()
        start = self._tokens.token_to_id("<|startoftranscript|>")
        self._start = [start]
        self._prompt = [start, self._tokens.token_to_id("<|notimestamps|>")]
        self._end = self._tokens.token_to_id("<|endoftext|>")

    def transcribe(self, samples: np.ndarray, beam: int = 1, with_words: bool = True) -> Transcript:
        """Transcribe `samples`; the transcript is empty when they are more likely noise than speech.

        `beam` is the beam size; `with_words` also computes the time of each word.
        Shapes: `samples` is float32 [N] at 24 kHz; only the last 30 s are used.
        """
        clip = soxr.resample(samples[-int(MAX_CLIP_S * SAMPLE_RATE_HZ) :], SAMPLE_RATE_HZ, RATE_HZ)
        frames = max(1, len(clip) // HOP_SAMPLES)
        window = window_frames(frames)
        # not padded to 30 s, as Whisper's own code does
        features = self._features(clip, padding=HOP_SAMPLES)[:, :window]
        # Whisper pads with silence before it normalises; silence lies at the floor of the normalised
        # features.
        padded = np.pad(
            features, ((0, 0), (0, window - features.shape[1])), constant_values=float(features.min())
        )
        encoded = self._model.encode(self._storage.from_array(np.ascontiguousarray(padded[None], np.float32)))
        # 16 more for short clips, whose tokens a second are more
        most = min(_MAX_TOKENS, int(frames / 100 * _MAX_TOKENS_PER_S) + 16)
        result = self._model.generate(
            encoded,
            [self._prompt],
            beam_size=beam,
            max_length=most,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        ids = [token for token in result.sequences_ids[0] if token < self._end]
        text = " ".join(self._tokens.decode(ids).split())
        log_prob = float(result.scores[0])
        no_speech = float(result.no_speech_prob)
        if not is_believable(text, log_prob, no_speech):
            return Transcript("", (), log_prob, no_speech)
        words = self._words(encoded, ids, min(frames, window)) if with_words else ()
        return Transcript(text, words, log_prob, no_speech)

    def _words(self, encoded, ids: list[int], frames: int) -> tuple[Word, ...]:
        """Return each word with its time, from the cross-attention between text and audio."""
        aligned = self._model.align(encoded, self._start, [ids], [frames])[0].alignments
        # the entry past the last token is the end of the audio, so that every word has an end
        starts_s = [frames * HOP_SAMPLES / RATE_HZ] * (len(ids) + 1)
        # backwards: of several alignments of a token the first one stays
        for token, at in reversed(aligned):
            starts_s[token] = at * _ALIGN_S
        words: list[list[int]] = []
        for index, token in enumerate(ids):
            # a token that begins with a space begins a word; the others continue one
            if not words or self._tokens.decode([token]).startswith(" "):
                words.append([])
            words[-1].append(index)
        spans = (
            (self._tokens.decode([ids[i] for i in word]).strip(), starts_s[word[0]], starts_s[word[-1] + 1])
            for word in words
        )
        return tuple(Word(text, start, max(start, end)) for text, start, end in spans if text)


def is_believable(text: str, log_prob: float, no_speech: float) -> bool:
    """Return whether Whisper's text comes from speech, and not from noise, music or a decoding loop."""
    plain = "".join(letter for letter in text.lower() if letter.isalnum() or letter == " ").strip()
    if not plain or log_prob < _MIN_LOG_PROB or (no_speech > _NO_SPEECH and log_prob < _NOISE_LOG_PROB):
        return False
    # brackets and notes describe a sound, such as "[music]"
    if text[0] in "([♪*" or (
        plain in _HALLUCINATIONS and (log_prob < _HALLUCINATION_LOG_PROB or no_speech > _NO_SPEECH)
    ):
        return False
    data = plain.encode()
    return len(data) / len(zlib.compress(data)) < _MAX_COMPRESSION
