"""An engine that says back what it heard, one frame later: a microphone check, and the measure of the live
path.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..units import FRAME_SAMPLES
from ..voices import Voice
from .contract import Capabilities, EngineState, SessionConfig, Step


class EchoSession:
    """Holds the one frame that is on its way back."""

    def __init__(self) -> None:
        self._held = np.zeros(FRAME_SAMPLES, np.float32)

    def step(self, user: np.ndarray) -> Step:
        """Return the frame of the step before.

        Shapes: `user` and the result's `agent` are float32 [1920].
        """
        held = self._held
        self._held = user.astype(np.float32, copy=True)
        return Step(held)

    def interrupt(self) -> None:
        """Drop the held frame."""
        self._held = np.zeros(FRAME_SAMPLES, np.float32)

    def close(self) -> None:
        """Nothing is held beyond the object itself."""


class EchoEngine:
    """Needs nothing and is ready at once."""

    name = "echo"
    capabilities = Capabilities()
    voices = (Voice("echo", "Your own voice", "Says back what it hears, 80 ms later.", "Check"),)
    max_sessions = 64
    about = ""
    identity = "echo"
    lost = ""

    def sample(self, voice: str) -> None:
        """There is none: the voice is the user's own."""

    def load(self, report: Callable[[EngineState], None]) -> None:
        """Ready as it is."""

    def open(self, config: SessionConfig) -> EchoSession:
        """Begin an echo; the configuration has nothing to say here."""
        return EchoSession()

    def close(self) -> None:
        """Nothing to free."""
