"""What a listener of a blind test hears of a rendering: the answer alone, and the question before it.

Spans are in seconds on the rendering's own time axis. Nothing here finds speech; it is given where it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..speech.sound import Span
from ..units import SAMPLE_RATE_HZ

LEAD_S = 0.1
TAIL_S = 0.3
"""How much is kept before the first sound of an answer and after its last, so that nothing is cut off."""
NO_ANSWER_S = 2.0
"""How much silence stands for an answer that never came."""
BREATH_S = 0.6
"""How long a silence inside a question is left; longer ones are the agent's time to speak."""


def answer_window(user: Sequence[Span], agent: Sequence[Span], duration_s: float) -> Span:
    """Return where the answer to the user's last turn begins and ends, or a short silence if none came.

    A greeting and earlier answers are left out. A turn that ends while the agent speaks, such as a "mm-hm",
    asks nothing. `user` has the user's turns, `agent` the spans of the agent's speech, both in order.
    """
    asked_s = [end_s for _, end_s in user if not any(first_s <= end_s < last_s for first_s, last_s in agent)]
    answer = [span for span in agent if not asked_s or span[0] >= asked_s[-1]]
    if not answer:
        start_s = min(asked_s[-1] if asked_s else 0.0, max(0.0, duration_s - NO_ANSWER_S))
        return start_s, min(duration_s, start_s + NO_ANSWER_S)
    # never into the speech before it
    earliest_s = asked_s[-1] if asked_s else 0.0
    return max(earliest_s, answer[0][0] - LEAD_S), min(duration_s, answer[-1][1] + TAIL_S)


def cut(samples: np.ndarray, window: Span) -> np.ndarray:
    """Return the part of a sound in a window. Shapes: float32 [N] at 24 kHz."""
    first, last = (round(at_s * SAMPLE_RATE_HZ) for at_s in window)
    return samples[first:last]


def question(user: np.ndarray, spans: Sequence[Span]) -> np.ndarray:
    """Return what the user says, without the long silences in which the agent is to speak.

    Shapes: float32 [N] at 24 kHz; the whole sound where no speech is known.
    """
    if not spans:
        return user
    parts: list[np.ndarray] = []
    for number, (start_s, end_s) in enumerate(spans):
        before_s = start_s - LEAD_S if not number else max(spans[number - 1][1] + TAIL_S, start_s - BREATH_S)
        parts.append(cut(user, (max(0.0, before_s), end_s + TAIL_S)))
    return np.concatenate(parts)
