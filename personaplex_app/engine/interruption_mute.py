"""What makes an agent stop that decides itself when to: its sound is left out until it pauses."""

from __future__ import annotations

import numpy as np

from ..audio import level_db
from ..units import s_to_frames

QUIET_DB = -45.0
PAUSE_FRAMES = s_to_frames(0.32)
MOST_FRAMES = s_to_frames(10.0)


class InterruptionMute:
    """Begins when the agent is interrupted and ends in its next pause, or after ten seconds of speech."""

    def __init__(self) -> None:
        self._left = self._quiet = 0

    def begin(self) -> None:
        """Leave the agent's sound out from the next frame on. May be called from any thread."""
        self._quiet = 0
        self._left = MOST_FRAMES

    def heard(self, frame: np.ndarray, text: str) -> tuple[np.ndarray, str]:
        """Take the agent's next frame with its text and return what is to be heard of them.

        Shapes: `frame` and the result's are float32 [1920].
        """
        if not self._left:
            return frame, text
        self._quiet = self._quiet + 1 if level_db(frame) < QUIET_DB else 0
        self._left = 0 if self._quiet == PAUSE_FRAMES else self._left - 1
        return np.zeros_like(frame), ""
