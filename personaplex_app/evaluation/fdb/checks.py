"""Check inputs for faults that would spoil a score: clipping, shifted clocks, missing ends, wrong
channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr

from ...protocol_events import Word
from ...speech.quality import SILENT_DB, blocks_db, clipping_share
from ...speech.sound import Sound, Span
from .folders import Note

MAX_CLIPPING = 1e-3
MAX_LENGTH_GAP_S = 0.5
MIN_SPEECH_RATE_HZ = 16_000
# tolerance for inexact times of words and events
NEAR_S = 0.25
MIN_IN_SOUND = 0.5
# correlation from which one side counts as a copy of the other
SAME_VOICE = 0.8
_BLOCK_S = 0.02
_COMPARE_HZ = 8_000
_COMPARE_S = 60.0


def check_sound(sound: Sound, name: str, note: Note) -> None:
    """Report doubts about one sound file to `note`."""
    if sound.channels > 1:
        note(f"{name} has {sound.channels} different channels, scored as one; give one speaker alone.")
    if sound.rate_hz < MIN_SPEECH_RATE_HZ:
        note(
            f"{name} has {sound.rate_hz} samples a second; below {MIN_SPEECH_RATE_HZ} speech is found less"
            " surely, render it at 24000."
        )
    share = clipping_share(sound.samples)
    if share > MAX_CLIPPING:
        note(f"{name} is clipped in {share:.1%} of its samples; lower its gain and render it again.")


def check_pair(user: Sound, agent: Sound, user_name: str, agent_name: str, note: Note) -> None:
    """Report signs that two sides are not of one conversation."""
    if user.rate_hz != agent.rate_hz:
        note(
            f"{agent_name} has {agent.rate_hz} samples a second and {user_name} {user.rate_hz}; both are"
            " resampled, check the headers."
        )
    gap_s = agent.duration_s - user.duration_s
    if abs(gap_s) > MAX_LENGTH_GAP_S:
        note(
            f"{agent_name} is {abs(gap_s):.1f} s {'longer' if gap_s > 0 else 'shorter'} than {user_name}; "
            "render both on one clock, or latencies and frequencies are wrong."
        )
    alike, shift_s = likeness(user, agent)
    if alike > SAME_VOICE:
        where = f", {shift_s:+.2f} s apart" if abs(shift_s) > _BLOCK_S else ""
        note(
            f"{agent_name} is mostly the sound of {user_name} (correlation {alike:.2f}{where}); give the"
            " agent's channel alone."
        )


def likeness(user: Sound, agent: Sound) -> tuple[float, float]:
    """Return the highest correlation of two sounds at any shift, and that shift in seconds."""
    a, b = (
        np.asarray(
            soxr.resample(sound.samples[: int(_COMPARE_S * sound.rate_hz)], sound.rate_hz, _COMPARE_HZ, "QQ"),
            np.float32,
        )
        for sound in (user, agent)
    )
    energy = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    if energy < 1e-9:
        return 0.0, 0.0
    # cross-correlation by FFT, padded so that shifts do not wrap around; the second half are negative shifts
    size = 1 << (len(a) + len(b)).bit_length()
    products = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
    best = int(np.argmax(np.abs(products)))
    return float(abs(products[best]) / energy), (best if best < size // 2 else best - size) / _COMPARE_HZ


def check_words(words: Sequence[Word], sound: Sound, words_name: str, sound_name: str, note: Note) -> None:
    """Report signs that a transcript and a sound are not on the same clock."""
    if not words:
        return
    if max(word.end_s for word in words) > sound.duration_s + MAX_LENGTH_GAP_S:
        end_s = max(word.end_s for word in words)
        note(
            f"{words_name} has words until {end_s:.1f} s and {sound_name} ends at {sound.duration_s:.1f} s; "
            "write times in seconds on the sound's clock (frame index × 0.08)."
        )
        return
    silent = [word for word in words if not has_sound(sound, (word.start_s, word.end_s))]
    if len(silent) > MIN_IN_SOUND * len(words):
        note(
            f"{words_name}: {len(silent)} of {len(words)} words lie where {sound_name} is silent; "
            "write times in seconds on the sound's clock, from its first sample."
        )


def check_events(
    events: Sequence[Span], user: Sound, events_name: str, user_name: str, spoken: bool, note: Note
) -> None:
    """Report annotations that contradict the user's sound; `spoken` ones must contain sound."""
    for start_s, end_s in events:
        if end_s > user.duration_s + MAX_LENGTH_GAP_S:
            note(
                f"{events_name} names {end_s:.1f} s and {user_name} ends at {user.duration_s:.1f} s; check"
                " that both are of one sample."
            )
            return
        if spoken and not has_sound(user, (start_s, end_s)):
            note(
                f"{events_name}: {user_name} is silent from {start_s:.1f} to {end_s:.1f} s; check that both"
                " are of one sample."
            )
            return


def has_sound(sound: Sound, span: Span) -> bool:
    """Return whether a span, or its immediate surroundings, contains audible sound."""
    first, last = (max(0, int(at_s * sound.rate_hz)) for at_s in (span[0] - NEAR_S, span[1] + NEAR_S))
    return bool((blocks_db(sound.samples[first:last], int(_BLOCK_S * sound.rate_hz)) > SILENT_DB).any())
