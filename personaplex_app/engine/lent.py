"""What somebody with a lease sees of an engine: the same, but it can be talked to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .contract import Capabilities, Engine, EngineState, Session, SessionConfig, Voice


class LentEngine:
    """`engine` with another way to open a session, one at a time."""

    max_sessions = 1
    lost = ""

    def __init__(self, engine: Engine, open_: Callable[[SessionConfig], Session]) -> None:
        self._engine, self._open = engine, open_
        self.name = engine.name

    @property
    def capabilities(self) -> Capabilities:
        return self._engine.capabilities

    @property
    def voices(self) -> tuple[Voice, ...]:
        return self._engine.voices

    @property
    def about(self) -> str:
        return self._engine.about

    @property
    def identity(self) -> str:
        return self._engine.identity

    def sample(self, voice: str) -> np.ndarray | None:
        """Return how a voice sounds, as the engine does."""
        return self._engine.sample(voice)

    def load(self, report: Callable[[EngineState], None]) -> None:
        """Do nothing: it is loaded, or there would be no lease."""

    def open(self, config: SessionConfig) -> Session:
        """Begin a conversation on the lent device."""
        return self._open(config)

    def close(self) -> None:
        """Do nothing: the lease is ended by who has it."""
