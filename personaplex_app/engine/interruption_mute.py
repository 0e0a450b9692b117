"""Mute an interrupted agent until it pauses, for models that have no command to stop."""

from __future__ import annotations

import numpy as np

from ..audio import level_db
from ..units import s_to_frames

QUIET_DB = -45.0
"""Frames below this level count as a pause."""
# longer than the gaps within words
PAUSE_FRAMES = s_to_frames(0.32)
# a model that talks on for longer has not noticed the interruption; silence would then look like a fault
MAX_FRAMES = s_to_frames(10.0)


class InterruptionMute:
    """Mutes the agent from an interruption until its next pause, for ten seconds at most."""

    def __init__(self) -> None:
        self._frames_left = 0
        self._quiet_frames = 0

    def begin(self) -> None:
        """Mute the agent from the next frame on. May be called from any thread."""
        self._quiet_frames = 0
        # last, since the step's thread reads it: the pause counted so far must not end the new mute
        self._frames_left = MAX_FRAMES

    def apply(self, frame: np.ndarray, text: str) -> tuple[np.ndarray, str]:
        """Return the agent's next frame and its text, or silence and no text while muted.

        Shapes: `frame` and the result's are float32 [1920].
        """
        if not self._frames_left:
            return frame, text
        self._quiet_frames = self._quiet_frames + 1 if level_db(frame) < QUIET_DB else 0
        self._frames_left = 0 if self._quiet_frames == PAUSE_FRAMES else self._frames_left - 1
        return np.zeros_like(frame), ""
