"""Speech recognition by Whisper, on a window as short as the clip allows: tiny.en, or base for Spanish.

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
from .decoding_loops import MAX_WORDS_PER_S, audible_s, without_loops

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
# in the second attempt after a loop no sequence of so many tokens may come twice
_NO_REPEAT_TOKENS = 4
# Whisper's own thresholds, but for the log probability of a text with a high no-speech probability
_NO_SPEECH = 0.6
_MIN_LOG_PROB = -1.0
_NOISE_LOG_PROB = -0.8
# A word or two have few tokens to average over: "No" and "Go on" of speech come with less than -1. What is
# certainly speech by the other measure may have as little; noise has a no-speech probability above 0.9.
_SURELY_SPEECH = 0.45
_SHORT_WORDS = 3
_MIN_SHORT_LOG_PROB = -2.1
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
_SPANISH_HALLUCINATIONS = frozenset(
    (
        "gracias",
        "muchas gracias",
        "gracias por ver el video",
        "gracias por ver",
        "subtítulos realizados por la comunidad de amaraorg",
        "subtítulos por la comunidad de amaraorg",
        "suscríbete",
        "suscríbete al canal",
        "no",
        "sí",
        "y",
        "eh",
        "ah",
    )
)
_HALLUCINATION_LOG_PROB = -0.5
_MIN_HALLUCINATION_LOG_PROB = -1.2


@dataclass(frozen=True)
class Transcript:
    """The recognised text of one clip, empty when it is more likely noise than speech.

    Word times are in seconds from the clip's first sample.
    """

    text: str = ""
    words: tuple[Word, ...] = ()
    log_prob: float = 0.0
    no_speech: float = 0.0

    @property
    def faint(self) -> bool:
        """Whether a short text counts only where nobody else was speaking: "Mm-hm" may come out as "No"."""
        return not is_believable(self.text, self.log_prob, self.no_speech, short_may_be_faint=False)


@dataclass(frozen=True)
class _Decoded:
    ids: list[int]
    log_prob: float
    no_speech: float


def window_frames(clip_frames: int) -> int:
    """Return the shortest window that holds a clip, both in feature frames of 10 ms."""
    return next((window for window in WINDOWS_FRAMES if clip_frames <= window), WINDOWS_FRAMES[-1])


class Recogniser:
    """Whisper in int8 on one thread. Not thread-safe: one call at a time."""

    def __init__(self, language: str = "") -> None:
        """Load tiny.en, or for Spanish ("es") the base model that knows many languages.

        Raises: WeightsError when a package is missing or another one.
        """
        # not at the top: these packages take a while to import, and most commands recognise nothing
        import ctranslate2
        from faster_whisper.feature_extractor import FeatureExtractor
        from tokenizers import Tokenizer

        one_thread = {"device": "cpu", "compute_type": "int8", "intra_threads": 1, "inter_threads": 1}
        if language:
            *parts, tokens = weights.SPANISH_RECOGNISER
            files: dict[str, bytes] = {}
            for part in parts:
                # two packages hold half of the model each
                name = part.path.removeprefix("data/").partition(".part")[0]
                files[name] = files.get(name, b"") + part.verified().read_bytes()
            self._model = ctranslate2.models.Whisper(f"whisper-base-{language}", files=files, **one_thread)
        else:
            tokens = weights.RECOGNISER_TOKENS
            self._model = ctranslate2.models.Whisper(str(weights.RECOGNISER.verified().parent), **one_thread)
        self._tokens = Tokenizer.from_file(str(tokens.verified()))
        self._hallucinations = _SPANISH_HALLUCINATIONS if language else _HALLUCINATIONS
        self._storage = ctranslate2.StorageView
        self._features = FeatureExtractor()
        in_language = [f"<|{language}|>", "<|transcribe|>"] if language else []
        self._start = [self._tokens.token_to_id(name) for name in ("<|startoftranscript|>", *in_language)]
        self._prompt = [*self._start, self._tokens.token_to_id("<|notimestamps|>")]
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
        result = self._decode(encoded, beam, most)
        speech_s = audible_s(clip, RATE_HZ)
        ids = self._without_loops(result.ids, speech_s)
        if len(ids) < len(result.ids):
            # what was said beside the words that the loop repeats is found where none may repeat
            again = self._decode(encoded, beam, most, no_repeat_ngram_size=_NO_REPEAT_TOKENS)
            # a decoder that must go on loops in other words: then the first text stands, without its loop
            if len(self._by_word(again.ids)) <= MAX_WORDS_PER_S * speech_s and is_believable(
                self._text(again.ids), again.log_prob, again.no_speech, hallucinations=self._hallucinations
            ):
                result = again
                ids = self._without_loops(again.ids, speech_s)
        text = self._text(ids)
        if not is_believable(text, result.log_prob, result.no_speech, hallucinations=self._hallucinations):
            return Transcript("", (), result.log_prob, result.no_speech)
        words = self._words(encoded, ids, min(frames, window)) if with_words else ()
        return Transcript(text, words, result.log_prob, result.no_speech)

    def _decode(self, encoded, beam: int, most: int, **options: int) -> _Decoded:
        result = self._model.generate(
            encoded,
            [self._prompt],
            beam_size=beam,
            max_length=most,
            return_scores=True,
            return_no_speech_prob=True,
            **options,
        )[0]
        ids = [token for token in result.sequences_ids[0] if token < self._end]
        return _Decoded(ids, float(result.scores[0]), float(result.no_speech_prob))

    def _text(self, ids: list[int]) -> str:
        return " ".join(self._tokens.decode(ids).split())

    def _by_word(self, ids: list[int]) -> list[list[int]]:
        """Return the places of each word's tokens."""
        words: list[list[int]] = []
        for index, token in enumerate(ids):
            # a token that begins with a space begins a word; the others continue one
            if not words or self._tokens.decode([token]).startswith(" "):
                words.append([])
            words[-1].append(index)
        return words

    def _without_loops(self, ids: list[int], speech_s: float) -> list[int]:
        """Return the tokens without the words that the decoder only repeats."""
        words = self._by_word(ids)
        kept = without_loops([self._tokens.decode([ids[at] for at in word]) for word in words], speech_s)
        return [ids[at] for word in kept for at in words[word]]

    def _words(self, encoded, ids: list[int], frames: int) -> tuple[Word, ...]:
        """Return each word with its time, from the cross-attention between text and audio."""
        aligned = self._model.align(encoded, self._start, [ids], [frames])[0].alignments
        # the entry past the last token is the end of the audio, so that every word has an end
        starts_s = [frames * HOP_SAMPLES / RATE_HZ] * (len(ids) + 1)
        # backwards: of several alignments of a token the first one stays
        for token, at in reversed(aligned):
            starts_s[token] = at * _ALIGN_S
        spans = (
            (self._tokens.decode([ids[i] for i in word]).strip(), starts_s[word[0]], starts_s[word[-1] + 1])
            for word in self._by_word(ids)
        )
        return tuple(Word(text, start, max(start, end)) for text, start, end in spans if text)


def is_believable(
    text: str,
    log_prob: float,
    no_speech: float,
    short_may_be_faint: bool = True,
    hallucinations: frozenset[str] = _HALLUCINATIONS,
) -> bool:
    """Return whether Whisper's text comes from speech, and not from noise, music or a decoding loop."""
    plain = "".join(letter for letter in text.lower() if letter.isalnum() or letter == " ").strip()
    # brackets and notes describe a sound, such as "[music]"
    if not plain or text[0] in "([♪*":
        return False
    speech = short_may_be_faint and no_speech < _SURELY_SPEECH
    if plain in hallucinations:
        least = _MIN_HALLUCINATION_LOG_PROB if speech else _HALLUCINATION_LOG_PROB
        return log_prob >= least and no_speech <= _NO_SPEECH
    least = _MIN_SHORT_LOG_PROB if speech and len(plain.split()) <= _SHORT_WORDS else _MIN_LOG_PROB
    if log_prob < least or (no_speech > _NO_SPEECH and log_prob < _NOISE_LOG_PROB):
        return False
    data = plain.encode()
    return len(data) / len(zlib.compress(data)) < _MAX_COMPRESSION
