"""An engine that returns the user's sound one frame later.

It serves as a microphone check, and to measure the latency of the live path without a model.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..units import FRAME_SAMPLES
from ..voices import Voice
from .contract import Capabilities, EngineState, SessionConfig, Step


class EchoSession:
    """Delays the user's sound by one frame."""

    def __init__(self) -> None:
        self._held = np.zeros(FRAME_SAMPLES, np.float32)

    def step(self, user: np.ndarray) -> Step:
        """Return the user's previous frame.

        Shapes: `user` and the result's `agent` are float32 [1920].
        """
        held = self._held
        # a copy, since the caller may reuse its array
        self._held = user.astype(np.float32, copy=True)
        return Step(held)

    def interrupt(self) -> None:
        """Drop the held frame."""
        self._held = np.zeros(FRAME_SAMPLES, np.float32)

    def close(self) -> None:
        """Do nothing: the session holds no resources."""


class EchoEngine:
    """Echoes the user's sound; needs no model and is ready at once."""

    name = "echo"
    capabilities = Capabilities()
    voices = (Voice("echo", "Your own voice", "Says back what it hears, 80 ms later.", "Check"),)
    max_sessions = 64
    about = ""
    identity = "echo"
    lost = ""

    def sample(self, voice: str) -> None:
        """Return None: the voice is the user's own."""

    def load(self, report: Callable[[EngineState], None]) -> None:
        """Do nothing: the engine is ready."""

    def open(self, config: SessionConfig) -> EchoSession:
        """Begin a session; the configuration is ignored."""
        return EchoSession()

    def close(self) -> None:
        """Do nothing: the engine holds no resources."""
