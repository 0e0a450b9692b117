"""The worker's end of a lease."""

from __future__ import annotations

import logging
from typing import Any

from ..errors import EngineError, PersonaplexError
from .contract import Engine, Session

log = logging.getLogger(__name__)

OVER = "The time on the GPU is over."


class LeaseWorker:
    """Answers a lease's requests in the worker: one session of the engine at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Session | None = None

    def answer(self, name: str, *args: Any) -> Any:
        """Run a request and return its result, or the error as a value, to be sent back."""
        try:
            if name == "open":
                self.close()
                # the part of loading that needs the device; it does nothing where an earlier lease did it
                self._engine.load(lambda state: None)
                self._session = self._engine.open(*args)
            elif name == "close":
                self.close()
            elif self._session is None:
                raise EngineError(OVER)
            else:
                return getattr(self._session, name)(*args)
        except PersonaplexError as error:
            return error
        except Exception as error:
            log.exception("a worker's session failed")
            return EngineError(f"The engine failed on the GPU ({type(error).__name__}); start again.")
        return None

    def close(self) -> None:
        session = self._session
        self._session = None
        if session:
            session.close()
