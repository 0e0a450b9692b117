"""Find the speech in a whole recording: silero VAD with the settings that Full-Duplex-Bench's scores use."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import soxr

from . import weights
from .quality import SILENT_DB, blocks_db
from .sound import Sound, Span

NO_SPEECH = "The agent answers silence: no speech was heard in your recording."
RATE_HZ = 16_000
THRESHOLD = 0.5
MIN_SPEECH_MS = 250
MIN_SILENCE_MS = 100
PAD_MS = 30

BLOCK_S = 0.01
# a block is audible when it is this close to the segment's level and this far above the background's
BELOW_SPEECH_DB = 35.0
ABOVE_NOISE_DB = 6.0
REACH_BLOCKS = 40
"""How far an edge may move outwards: 400 ms."""
CLOSURE_BLOCKS = 8
"""The longest silence within a word, 80 ms: the closure before a p, t or k."""


class SpeechFinder:
    """Silero VAD v6 with the segmentation of the faster-whisper package.

    Raises: WeightsError when the weights are missing or other ones.
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
        """Return the spans of speech, in seconds and exact to the sample at 16 kHz."""
        samples = (
            sound.samples
            if sound.rate_hz == RATE_HZ
            else soxr.resample(sound.samples, sound.rate_hz, RATE_HZ)
        )
        found = self._find(np.ascontiguousarray(samples, np.float32), self._options)
        return [(segment["start"] / RATE_HZ, segment["end"] / RATE_HZ) for segment in found]


def to_tenths(segments: list[Span]) -> list[Span]:
    """Return the segments rounded to 0.1 s, as Full-Duplex-Bench rounds them."""
    return [(round(start_s, 1), round(end_s, 1)) for start_s, end_s in segments]


def align_to_sound(segments: list[Span], sound: Sound) -> list[Span]:
    """Return the segments with their edges moved to where the sound begins and ends, exact to 10 ms.

    The VAD notices a soft beginning up to 150 ms late and pads what it finds; a latency must be measured from
    sound to sound.
    """
    levels_db = blocks_db(sound.samples, int(BLOCK_S * sound.rate_hz))
    spans = [
        (int(start_s / BLOCK_S), min(len(levels_db), int(np.ceil(end_s / BLOCK_S))))
        for start_s, end_s in segments
    ]
    silent = np.ones(len(levels_db), bool)
    for first, last in spans:
        silent[first:last] = False
    # a low percentile, so that short sounds between the segments hardly raise the background's level
    noise_db = float(np.percentile(levels_db[silent], 20)) if silent.any() else SILENT_DB
    # no segment may reach further than half-way to its neighbour
    limits = [0, *((last + first) // 2 for (_, last), (first, _) in pairwise(spans)), len(levels_db)]
    moved = []
    for number, (first, last) in enumerate(spans):
        speech_db = float(np.percentile(levels_db[first:last], 90))
        loud = levels_db > max(SILENT_DB, noise_db + ABOVE_NOISE_DB, speech_db - BELOW_SPEECH_DB)
        inside = np.flatnonzero(loud[first:last]) + first
        if not len(inside):
            moved.append(segments[number])
            continue
        begin = _extend(loud, int(inside[0]), max(limits[number], first - REACH_BLOCKS) - 1)
        end = _extend(loud, int(inside[-1]), min(limits[number + 1], last + REACH_BLOCKS))
        moved.append((begin * BLOCK_S, (end + 1) * BLOCK_S))
    return moved


def _extend(loud: np.ndarray, at: int, until: int) -> int:
    """Return the last loud block between `at` and `until` that no gap longer than a closure cuts off."""
    edge = at
    for block in range(at, until, 1 if until > at else -1):
        if abs(block - edge) > CLOSURE_BLOCKS:
            break
        edge = block if loud[block] else edge
    return edge
