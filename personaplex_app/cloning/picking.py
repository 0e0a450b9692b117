"""Select the few seconds of clean speech in a recording that a voice is cloned from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import BadAudio
from ..speech.vad import CHUNK_S, VadModel, VadStream
from ..units import SAMPLE_RATE_HZ

MIN_SPEECH_S = 3.0
MAX_SPEECH_S = 10.0
SPEECH_ON = 0.5
"""Speech begins at this probability, and lasts until it falls below `SPEECH_OFF` (hysteresis)."""
SPEECH_OFF = 0.35
GAP_S = 0.5
"""A shorter silence is a pause within speech."""
EDGE_S = 0.15
"""Kept before and after speech, for soft consonants that the voice activity model detects late."""
MIN_SPAN_S = 0.4
JOIN_COST_S = 0.5
"""The cost of a cut, in seconds of speech: a run with one more cut must be longer by this to be chosen."""
# hides the click where two spans are joined
FADE_S = 0.01
# a span that is too long is cut at the quietest moment of its last so many seconds
CUT_WITHIN_S = 1.5
BLOCK_S = 0.02
MIN_SNR_DB = 12.0
MIN_HEADROOM = 1.2
"""Smallest ratio of the 99.95 % to the 99 % quantile of amplitudes: 1.4 and more in clean speech, 1.0
where peaks are clipped.
"""

Span = tuple[int, int]
"""First sample and the one after the last."""


@dataclass(frozen=True)
class Picked:
    """Speech selected from a recording. `spans` are its times in that recording, in seconds."""

    samples: np.ndarray
    spans: tuple[tuple[float, float], ...]

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


class Picker:
    """Selects speech from recordings. One instance may serve all threads."""

    @cached_property
    def _vad(self) -> VadModel:
        return VadModel()

    def pick(self, recording: np.ndarray) -> Picked:
        """Return the best 3 to 10 s of speech, silence trimmed.

        Shapes: `recording` is float32 [N] at 24 kHz.
        Raises: BadAudio when there is too little speech, too much noise, or when it is clipped.
        """
        found = [_padded(span, len(recording)) for span in self._speech(recording)]
        found_s = sum(stop - start for start, stop in found) / SAMPLE_RATE_HZ
        if found_s < MIN_SPEECH_S:
            length = f"{len(recording) / SAMPLE_RATE_HZ:.1f} s of sound"
            heard = (
                f"In {length} only {found_s:.1f} s of speech were found"
                if found
                else f"In {length} no speech was heard in your recording"
            )
            raise BadAudio(
                f"{heard}; a voice needs {MIN_SPEECH_S:.0f} s at least. Record 10 to 20 s of one person"
                " talking."
            )
        spans = _best(found, recording)
        samples = np.concatenate([_faded(recording[start:stop]) for start, stop in spans])
        _check(samples)
        return Picked(
            samples, tuple((start / SAMPLE_RATE_HZ, stop / SAMPLE_RATE_HZ) for start, stop in spans)
        )

    def _speech(self, recording: np.ndarray) -> Iterator[Span]:
        """Yield the spans of speech, including short pauses."""
        start_s = end_s = None
        # a little silence at the end makes the stream return its last chunk
        for chunk in VadStream(self._vad).push(np.pad(recording, (0, round(2 * CHUNK_S * SAMPLE_RATE_HZ)))):
            inside = end_s is not None and chunk.start_s - end_s < CHUNK_S / 2
            if chunk.probability < (SPEECH_OFF if inside else SPEECH_ON):
                continue
            if start_s is not None and end_s is not None and chunk.start_s - end_s > GAP_S:
                yield round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)
                start_s = None
            start_s = chunk.start_s if start_s is None else start_s
            end_s = chunk.end_s
        if start_s is not None and end_s is not None:
            yield round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)


def _padded(span: Span, length: int) -> Span:
    edge = round(EDGE_S * SAMPLE_RATE_HZ)
    return max(0, span[0] - edge), min(length, span[1] + edge)


def _best(found: list[Span], recording: np.ndarray) -> list[Span]:
    """Return the run of spans with the most speech and the fewest cuts, at most ten seconds; the first of
    equals.
    """
    long_enough = [span for span in found if span[1] - span[0] >= MIN_SPAN_S * SAMPLE_RATE_HZ]
    if sum(stop - start for start, stop in long_enough) >= MIN_SPEECH_S * SAMPLE_RATE_HZ:
        found = long_enough
    runs = [_run(found[first:], recording) for first in range(len(found))]
    return max(
        runs,
        key=lambda run: sum(stop - start for start, stop in run) / SAMPLE_RATE_HZ - JOIN_COST_S * len(run),
    )


def _run(found: list[Span], recording: np.ndarray) -> list[Span]:
    """Return as many of the first spans as fit into ten seconds; the last may be cut short at a quiet
    moment.
    """
    left = round(MAX_SPEECH_S * SAMPLE_RATE_HZ)
    run: list[Span] = []
    for start, stop in found:
        if stop - start <= left:
            run.append((start, stop))
            left -= stop - start
            continue
        if left >= 2 * CUT_WITHIN_S * SAMPLE_RATE_HZ:
            run.append(
                (
                    start,
                    _quietest(recording, start + left - round(CUT_WITHIN_S * SAMPLE_RATE_HZ), start + left),
                )
            )
        break
    return run


def _quietest(recording: np.ndarray, start: int, stop: int) -> int:
    """Return the middle of the quietest block between two samples."""
    powers = _block_powers(recording[start:stop])
    return start + round((int(np.argmin(powers)) + 0.5) * BLOCK_S * SAMPLE_RATE_HZ)


def _faded(samples: np.ndarray) -> np.ndarray:
    ramp = np.linspace(0.0, 1.0, round(FADE_S * SAMPLE_RATE_HZ), dtype=np.float32)
    faded = samples.copy()
    faded[: len(ramp)] *= ramp
    faded[-len(ramp) :] *= ramp[::-1]
    return faded


def _block_powers(samples: np.ndarray) -> np.ndarray:
    width = round(BLOCK_S * SAMPLE_RATE_HZ)
    return np.square(samples[: len(samples) // width * width]).reshape(-1, width).mean(axis=1)


def _check(speech: np.ndarray) -> None:
    # clipping flattens the peaks, so that the loudest samples are hardly louder than many others
    loudest, loud = np.quantile(np.abs(speech), [0.9995, 0.99])
    if loudest < MIN_HEADROOM * loud:
        raise BadAudio(
            "The recording is clipped: its loudest parts are cut off. Move away from the microphone or turn"
            " it down, and try again."
        )
    # speech has gaps of a few hundredths of a second, in which only the room's noise is left
    powers = _block_powers(speech)
    snr_db = 10.0 * float(np.log10(powers.mean() + 1e-12) - np.log10(np.percentile(powers, 5) + 1e-12))
    if snr_db < MIN_SNR_DB:
        raise BadAudio(
            f"The recording is too noisy: the voice is {max(0.0, snr_db):.0f} dB above the noise, and"
            f" {MIN_SNR_DB:.0f} dB are needed. Record in a quieter place, closer to the microphone."
        )
