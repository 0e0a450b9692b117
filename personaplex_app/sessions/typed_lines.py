"""Lines that the user typed, for engines that only hear: spoken into the user's sound."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from ..errors import BadInput
from ..protocol_events import Utterance
from ..units import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

MOST_WAITING = 4
# an engine takes the silence after a line for the end of the turn; the next must not come into it
_PAUSE_FRAMES = round(1.2 / FRAME_S)
# speaks a text: float32 [N] at 24 kHz. Raises BadInput where nothing here can speak
Speak = Callable[[str], np.ndarray]


def nobody_speaks(text: str) -> np.ndarray:
    """Speak nothing. Raises: BadInput."""
    raise BadInput(
        "The engine only hears, and no voice is here that could read a line to it; say it instead."
    )


class TypedLines:
    """Lines in the order in which they were typed, one after the other in the user's sound.

    `add` may be called while another thread calls `mix`.
    """

    def __init__(self, speak: Speak) -> None:
        self._speak = speak
        self._waiting: deque[tuple[str, np.ndarray]] = deque()
        self._rest = np.zeros(0, np.float32)
        self._pause_frames = 0
        self._count = 0

    def add(self, text: str) -> None:
        """Speak a line as soon as the one before it is over; blocks while it is synthesised.

        Raises: BadInput where too many wait, or nothing here can speak.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise BadInput(f"{MOST_WAITING} lines wait to be said already; write again in a moment.")
        samples = self._speak(text)
        if not len(samples):
            raise BadInput("There is nothing in this line that can be spoken.")
        self._waiting.append((text, samples))

    def mix(self, user: np.ndarray, at_s: float) -> tuple[np.ndarray, list[Utterance]]:
        """Return the user's frame that begins at `at_s` with what is spoken of the lines, and the caption of
        a line that begins in it.

        Shapes: float32 [1920].
        """
        captions: list[Utterance] = []
        if not len(self._rest):
            self._pause_frames = max(0, self._pause_frames - 1)
            if not self._waiting or self._pause_frames:
                return user, captions
            text, self._rest = self._waiting.popleft()
            self._count += 1
            end_s = at_s + len(self._rest) / SAMPLE_RATE_HZ
            # engines count their own from 1 on
            captions.append(Utterance(-self._count, "user", text, at_s, end_s, True, typed=True))
        spoken = np.zeros_like(user)
        spoken[: len(self._rest)] = self._rest[:FRAME_SAMPLES]
        self._rest = self._rest[FRAME_SAMPLES:]
        if not len(self._rest):
            self._pause_frames = _PAUSE_FRAMES
        return np.clip(user + spoken, -1.0, 1.0), captions
