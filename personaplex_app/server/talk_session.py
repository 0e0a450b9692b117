"""A talk's session and its record, on a thread of their own: nobody waits for an engine that does not
answer.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio.to_thread

from .. import logs
from ..engine.contract import Engine, LinkedSession, SessionConfig
from ..errors import EngineHung
from ..principal import Principal
from ..sessions.records import TalkMeta
from ..sessions.talk_recorder import TalkRecorder
from ..sessions.talk_runner import TalkRunner
from ..sessions.talk_stats import TalkStats
from .app_state import AppState
from .threads import Worker, came_back

log = logging.getLogger(__name__)

# an engine that has not answered for so long is taken to have hung; to begin a session takes longer
STEP_LIMIT_S = 10.0
OPEN_LIMIT_S = 120.0
# who leaves is told at once that the talk has ended, also while a step is slow to come back
PARTING_S = 0.5

T = TypeVar("T")


@dataclass(frozen=True)
class Summary:
    """What is left of a talk: id and sound of its record, and whether they stay."""

    talk_id: str | None = None
    duration_s: float = 0.0
    recording: bool = False
    kept: bool = False


class TalkSession:
    """The session and the record of one talk, from a slot's beginning to its end.

    `face` names the entry point in the metrics.
    """

    def __init__(self, app_state: AppState, face: str, talk_id: str) -> None:
        self._app_state = app_state
        self._face = face
        self._id = talk_id
        self._worker = Worker(f"talk-{talk_id}")
        # set in the worker, where they are ended too
        self._opened: tuple[TalkRunner, TalkRecorder] | None = None
        self._engine_name = ""
        # how long the call under way may take
        self._limit_s = 0.0
        self._hung = False
        self._recorded = False

    @property
    def summary(self) -> Summary:
        """What is left of the talk by now."""
        if self._opened is None:
            return Summary()
        talk, record = self._opened
        return Summary(record.id, talk.duration_s, record.recording, record.keeping)

    async def open(
        self, engine: Engine, config: SessionConfig, owner: Principal, keep: bool
    ) -> tuple[TalkRunner, TalkRecorder]:
        """Begin the session, then its record.

        Raises: EngineHung when that takes too long; what `Engine.open` and `Library.begin` raise.
        """
        settings = self._app_state.settings
        # remote servers are given the time that is theirs
        limit_s = OPEN_LIMIT_S + settings.remote_handshake_s * len(settings.remote_url)
        return await self._call(limit_s, self._open, engine, config, owner, keep)

    async def step(self, work: Callable[..., T], *args: object) -> T:
        """Return what `work` returns, which steps the session. Raises: EngineHung; what `work` raises."""
        return await self._call(STEP_LIMIT_S, work, *args)

    async def close(self, reason: Callable[[], str], part: Callable[[], Awaitable[None]]) -> None:
        """End session and record once the call that is under way has come back; where that takes its time,
        `part` tells before that the talk has ended. A call that does not come back holds neither the place
        nor the record.
        """
        closing = self._worker.start(self._end, reason)
        self._worker.end()
        if not await came_back(closing, PARTING_S):
            await part()
            if not await came_back(closing, 0.0 if self._hung else self._limit_s):
                self._app_state.note_hung(self._worker)
                await anyio.to_thread.run_sync(self._end_record, reason)
                return
        closing.result()

    async def _call(self, within_s: float, work: Callable[..., T], *args: object) -> T:
        self._limit_s = within_s
        try:
            return await self._worker.call(within_s, work, *args)
        except EngineHung:
            self._hung = True
            raise

    # in the worker

    def _open(
        self, engine: Engine, config: SessionConfig, owner: Principal, keep: bool
    ) -> tuple[TalkRunner, TalkRecorder]:
        session = engine.open(config)
        try:
            record = self._app_state.library.begin(owner, keep, TalkMeta.of(engine.name, config), self._id)
        except BaseException:
            session.close()
            raise
        self._engine_name = engine.name
        logs.event(log, "a talk begins", engine=engine.name, persona=config.persona, face=self._face)
        stats = TalkStats(session.link_stats if isinstance(session, LinkedSession) else None)
        meter = self._app_state.metrics.step_meter(engine.name)
        speak = self._app_state.typed_speech.speak
        self._opened = TalkRunner(session, (meter, stats, record), speak=speak), record
        return self._opened

    def _end(self, reason: Callable[[], str]) -> None:
        """End the session whatever happens, then the record."""
        try:
            if self._opened:
                self._opened[0].close()
        finally:
            self._end_record(reason)

    def _end_record(self, reason: Callable[[], str]) -> None:
        if self._opened and not self._recorded:
            self._recorded = True
            self._opened[1].finish(reason())
            self._app_state.metrics.talks.labels(self._engine_name, self._face, reason()).inc()
