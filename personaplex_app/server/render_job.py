"""Renderings made while the app runs: tasks of the app, so that they end with it, or when nobody waits for
them any longer.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import anyio

from ..errors import EngineError, PersonaplexError
from ..principal import NOBODY, Principal
from ..rendering.batch import BatchProgress, RenderBatch
from ..rendering.render import RenderRequest
from .app_state import AppState
from .leasing import UsableEngine

log = logging.getLogger(__name__)


class RenderJob:
    """A batch that is being rendered.

    Watch it with `changed` until it is `over`; `cancel` it when nobody waits any longer.
    """

    def __init__(
        self,
        app_state: AppState,
        requests: Sequence[RenderRequest],
        device: UsableEngine,
        caller: Principal = NOBODY,
    ) -> None:
        """Begin to render into the app's temporary cache.

        To be called on the app's event loop, once its engine is ready.
        """
        self.cache = app_state.renderings
        self.batch = RenderBatch(
            requests,
            device.engine,
            device.admission,
            self.cache,
            device.workers,
            self._tell,
            app_state.transcriber,
            caller,
        )
        self.over = False
        self.fault: PersonaplexError | None = None
        self._scope = anyio.CancelScope()
        self._news = anyio.Event()
        app_state.start_soon(self._run)

    @property
    def progress(self) -> BatchProgress:
        return self.batch.progress

    async def changed(self, within_s: float) -> None:
        """Wait for news, or until `within_s` have passed."""
        with anyio.move_on_after(within_s):
            await self._news.wait()
        # an anyio event cannot be cleared
        self._news = anyio.Event()

    def cancel(self) -> None:
        """End it within a fraction of a second; what is rendered is kept."""
        self._scope.cancel()

    async def _run(self) -> None:
        try:
            with self._scope:
                await self.batch.run()
        except Exception:
            log.exception("rendering ended by a fault of the program")
            self.fault = EngineError(
                "The rendering ended because of a fault in this program; please try again."
            )
        finally:
            self.over = True
            self._news.set()

    def _tell(self, progress: BatchProgress) -> None:
        self._news.set()
