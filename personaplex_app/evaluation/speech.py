"""Where somebody speaks in a recording: silero VAD over whole files, with the defaults that the published scores use."""

from __future__ import annotations

import numpy as np
import soxr

from ..classic import weights
from .duplex_bench import Span
from .folders import Sound

RATE_HZ = 16_000
THRESHOLD = 0.5
MIN_SPEECH_MS = 250
MIN_SILENCE_MS = 100
PAD_MS = 30


class SpeechFinder:
    """Silero VAD v6 and its own segmentation, from the faster-whisper package; the weights are checked first."""

    def __init__(self) -> None:
        weights.VAD.verified()
        from faster_whisper.vad import VadOptions, get_speech_timestamps

        self._options = VadOptions(
            threshold=THRESHOLD, min_speech_duration_ms=MIN_SPEECH_MS, min_silence_duration_ms=MIN_SILENCE_MS, speech_pad_ms=PAD_MS
        )
        self._find = get_speech_timestamps

    def segments(self, sound: Sound) -> list[Span]:
        """Return the spans of speech in seconds, to the sample."""
        samples = sound.samples if sound.rate_hz == RATE_HZ else soxr.resample(sound.samples, sound.rate_hz, RATE_HZ)
        found = self._find(np.ascontiguousarray(samples, np.float32), self._options)
        return [(segment["start"] / RATE_HZ, segment["end"] / RATE_HZ) for segment in found]


def to_tenths(segments: list[Span]) -> list[Span]:
    """Return the segments rounded to 0.1 s, as the published scores round them."""
    return [(round(start_s, 1), round(end_s, 1)) for start_s, end_s in segments]
