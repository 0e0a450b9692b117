"""Where somebody speaks in a recording: silero VAD over whole files, with the defaults that the published
scores use.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import soxr

from . import weights
from .quality import SILENT_DB, blocks_db
from .sound import Sound, Span

RATE_HZ = 16_000
THRESHOLD = 0.5
MIN_SPEECH_MS = 250
MIN_SILENCE_MS = 100
PAD_MS = 30

BLOCK_S = 0.01
BELOW_SPEECH_DB = 35.0
ABOVE_NOISE_DB = 6.0
REACH_BLOCKS = 40
CLOSURE_BLOCKS = 8
"""The longest silence inside a word: what goes before a p, t or k."""


class SpeechFinder:
    """Silero VAD v6 and its own segmentation, from the faster-whisper package; the weights are
    checked first.
    """

    def __init__(self) -> None:
        weights.VAD.verified()
        from faster_whisper.vad import VadOptions, get_speech_timestamps

        self._options = VadOptions(
            threshold=THRESHOLD,
            min_speech_duration_ms=MIN_SPEECH_MS,
            min_silence_duration_ms=MIN_SILENCE_MS,
            speech_pad_ms=PAD_MS,
        )
        self._find = get_speech_timestamps

    def segments(self, sound: Sound) -> list[Span]:
        """Return the spans of speech in seconds, to the sample."""
        samples = (
            sound.samples
            if sound.rate_hz == RATE_HZ
            else soxr.resample(sound.samples, sound.rate_hz, RATE_HZ)
        )
        found = self._find(np.ascontiguousarray(samples, np.float32), self._options)
        return [(segment["start"] / RATE_HZ, segment["end"] / RATE_HZ) for segment in found]


def to_tenths(segments: list[Span]) -> list[Span]:
    """Return the segments rounded to 0.1 s, as the published scores round them."""
    return [(round(start_s, 1), round(end_s, 1)) for start_s, end_s in segments]


def at_the_sound(segments: list[Span], sound: Sound) -> list[Span]:
    """Return the segments, their ends moved to where the sound itself begins and ends, to 10 ms.

    The network is late for a soft beginning, by up to 150 ms, and pads what it finds; a latency is from sound
    to sound.
    """
    levels_db = blocks_db(sound.samples, int(BLOCK_S * sound.rate_hz))
    spans = [
        (int(start_s / BLOCK_S), min(len(levels_db), int(np.ceil(end_s / BLOCK_S))))
        for start_s, end_s in segments
    ]
    silent = np.ones(len(levels_db), bool)
    for first, last in spans:
        silent[first:last] = False
    noise_db = float(np.percentile(levels_db[silent], 20)) if silent.any() else SILENT_DB
    # no segment reaches further than half-way to its neighbour
    edges = [0, *((last + first) // 2 for (_, last), (first, _) in pairwise(spans)), len(levels_db)]
    moved = []
    for place, (first, last) in enumerate(spans):
        speech_db = float(np.percentile(levels_db[first:last], 90))
        loud = levels_db > max(SILENT_DB, noise_db + ABOVE_NOISE_DB, speech_db - BELOW_SPEECH_DB)
        inside = np.flatnonzero(loud[first:last]) + first
        if not len(inside):
            moved.append(segments[place])
            continue
        begin = _reach(loud, int(inside[0]), max(edges[place], first - REACH_BLOCKS) - 1)
        end = _reach(loud, int(inside[-1]), min(edges[place + 1], last + REACH_BLOCKS))
        moved.append((begin * BLOCK_S, (end + 1) * BLOCK_S))
    return moved


def _reach(loud: np.ndarray, at: int, until: int) -> int:
    """Return the furthest loud block from `at` on towards `until`, over gaps no longer than inside a word."""
    edge = at
    for block in range(at, until, 1 if until > at else -1):
        if abs(block - edge) > CLOSURE_BLOCKS:
            break
        edge = block if loud[block] else edge
    return edge
