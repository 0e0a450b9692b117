"""Find where a recogniser's decoder repeated itself, and tell that from a person who did.

Whisper writes a short clip's words again and again: "Tell me a joke. Tell me a joke. Tell me". A person
repeats words too, but needs the time to say them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# quick speakers say five words a second
MAX_WORDS_PER_S = 5.2
# a phrase of so many words, so often in a row, is not said whatever the time
_PHRASE_WORDS = 4
_PHRASE_TIMES = 4
# shorter ones are said twice and thrice: "no no, wait", "bye bye", "very very good"
_SHORT_WORDS = 2
_SHORT_TIMES = 5
_KEPT_OF_SHORT = 2
_MAX_PERIOD_WORDS = 30
_BLOCK_S = 0.02
_AUDIBLE_DB = -30.0


def without_loops(words: Sequence[str], speech_s: float) -> list[int]:
    """Return the places of the words to keep of a text whose speech lasts `speech_s`.

    Of what the decoder repeats, the first time is kept.
    """
    plain = ["".join(letter for letter in word.lower() if letter.isalnum()) for word in words]
    too_many = len(words) > MAX_WORDS_PER_S * speech_s
    kept: list[int] = []
    at = 0
    while at < len(plain):
        period, times, rest = _repeated(plain, at)
        if not _is_loop(period, times, too_many):
            kept.append(at)
            at += 1
            continue
        kept += range(at, at + period * (_KEPT_OF_SHORT if period <= _SHORT_WORDS else 1))
        # the last time round may have been broken off, at the end of the text alone
        at += period * times + (rest if at + period * times + rest == len(plain) else 0)
    return kept


def _is_loop(period: int, times: int, too_many: bool) -> bool:
    if period <= _SHORT_WORDS:
        return too_many and times >= _SHORT_TIMES
    return times >= 2 and (too_many or (period >= _PHRASE_WORDS and times >= _PHRASE_TIMES))


def _repeated(plain: list[str], at: int) -> tuple[int, int, int]:
    """Return how many words from `at` on repeat, how often they stand there, and how many begin once more.

    The shortest such phrase counts; where nothing repeats it is the word at `at`, once.
    """
    for period in range(1, min(_MAX_PERIOD_WORDS, (len(plain) - at) // 2) + 1):
        same = 0
        while at + period + same < len(plain) and plain[at + same] == plain[at + period + same]:
            same += 1
        if same >= period:
            return period, 1 + same // period, same % period
    return 1, 1, 0


def audible_s(samples: np.ndarray, rate_hz: int) -> float:
    """Return how long the loud parts of a clip are together.

    Shapes: `samples` is float32 [N].
    """
    block = int(_BLOCK_S * rate_hz)
    power = np.square(samples[: len(samples) // block * block]).reshape(-1, block).mean(axis=1)
    return float(np.sum(power > power.max(initial=0.0) * 10 ** (_AUDIBLE_DB / 10)) * _BLOCK_S)
