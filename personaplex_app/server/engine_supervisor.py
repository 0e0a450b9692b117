"""Load the engine in the background, let callers wait for it, and replace it by another when it fails."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from ..engine.contract import Engine, EngineState, WatchedEngine
from ..engine_choice import Choice, replacement
from ..errors import EngineUnavailable, PersonaplexError

log = logging.getLogger(__name__)


class _Notifier:
    """Wakes tasks of event loops from any thread. `changes` counts the notifications.

    An asyncio.Event belongs to one loop and may not be set from another thread, hence this.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._lock = threading.Lock()
        self._sleepers: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def notify(self) -> None:
        """Wake everybody."""
        with self._lock:
            self.changes += 1
            for woken, loop in self._sleepers.items():
                with suppress(RuntimeError):  # the loop is closed, and nobody waits there any more
                    loop.call_soon_threadsafe(woken.set)

    async def wait_beyond(self, changes: int) -> None:
        """Wait until there were more notifications than that."""
        woken = asyncio.Event()
        with self._lock:
            if self.changes > changes:
                return
            self._sleepers[woken] = asyncio.get_running_loop()
        try:
            await woken.wait()
        finally:
            with self._lock:
                del self._sleepers[woken]


@dataclass
class _Attempt:
    """One engine and the stages of its start-up, the last of them where it is now."""

    engine: Engine
    choice: Choice
    stages: list[EngineState] = field(default_factory=lambda: [EngineState("starting")])

    def note(self, state: EngineState) -> bool:
        """Take a report; return whether callers are to be notified of it: a download has thousands."""
        before = self.stages[-1]
        if (before.stage, _tenth(before)) != (state.stage, _tenth(state)):
            share = "" if state.progress is None else f" {state.progress:.0%}"
            log.info("engine %s: %s%s %s", self.engine.name, state.stage, share, state.detail)
        if before.stage == state.stage:
            self.stages[-1] = state
        else:
            self.stages.append(state)
        return (before.stage, _shown(before)) != (state.stage, _shown(state))


class EngineSupervisor:
    """Loads an engine. Where it fails, while loading or later, and `build` is given, its replacement is built
    and loaded. With `stand_in` given too, that engine is loaded first and holds the talks until the other is
    ready.
    """

    def __init__(
        self,
        engine: Engine,
        choice: Choice,
        build: Callable[[Choice], Engine] | None = None,
        stand_in: Choice | None = None,
    ) -> None:
        self._attempt = _Attempt(engine, choice)
        # the engine that is loaded behind the one that speaks
        self._coming: _Attempt | None = None
        # one that spoke before, and whose talks go on
        self._before: _Attempt | None = None
        if build and stand_in:
            self._coming, self._attempt = self._attempt, _Attempt(build(stand_in), stand_in)
        self._build = build
        self._closing = False
        self._changed = _Notifier()
        self._refusal: PersonaplexError | None = None
        # engines that have hung, whose threads may come back
        self._hung: list[WatchedEngine] = []
        self._thread = threading.Thread(target=self._load, name="engine-load", daemon=True)
        # every voice that a page may have shown, before the engine was loaded or before another took over
        self.offered_voices = _names(engine) | _names(self.engine)

    @property
    def engine(self) -> Engine:
        return self._attempt.engine

    @property
    def choice(self) -> Choice:
        return self._attempt.choice

    def choice_of(self, engine: Engine) -> Choice:
        """Return the choice that led to an engine, which may be the one that spoke before."""
        return self._before.choice if self._before and self._before.engine is engine else self.choice

    @property
    def state(self) -> EngineState:
        return self._attempt.stages[-1]

    @property
    def problem(self) -> str:
        """Why the engine failed, or that one hangs which may have been replaced; "" for nothing."""
        state = self.state
        if state.stage == "failed":
            return state.detail
        return next((why for each in self._hung if (why := each.hung)), "")

    def start(self) -> None:
        """Begin loading."""
        self._thread.start()

    def load_here(self) -> None:
        """Load in this thread, where it must be this one. Raises: whatever the engine's `load` raises."""
        self.engine.load(self._report)

    async def ready(self, on_stage: Callable[[EngineState], None]) -> Engine:
        """Return the engine once it can open sessions.

        `on_stage` is called with every stage until then, however short.

        Raises: EngineUnavailable when it could not start, or the error that `refuse` was called with.
        """
        attempt = self._attempt
        at = len(self._attempt.stages) - 1
        reported = None
        while True:
            # read before the stages, so that no change after that is missed
            changes = self._changed.changes
            if attempt is not self._attempt:
                attempt = self._attempt
                at = 0
            fresh = attempt.stages[at:]
            # the last stage is read again, since it may be replaced by a newer report of itself
            at += len(fresh) - 1
            for state in fresh:
                if state.stage == "failed":
                    raise EngineUnavailable(state.detail)
                if state.stage == "ready":
                    return attempt.engine
                if state is not reported:
                    reported = state
                    on_stage(state)
            if self._refusal:
                raise self._refusal
            await self._changed.wait_beyond(changes)

    def refuse(self, error: PersonaplexError) -> None:
        """Raise `error` in every call that waits for the engine, now and later."""
        self._refusal = error
        self._changed.notify()

    def look(self) -> None:
        """Replace an engine that can hold no more talks.

        To be called on the event loop from time to time.
        """
        attempt = self._attempt
        if self._coming or attempt.stages[-1].stage != "ready" or not (why := attempt.engine.lost):
            return
        log.error("engine %s is lost: %s", attempt.engine.name, why)
        if isinstance(attempt.engine, WatchedEngine) and attempt.engine.hung:
            self._hung.append(attempt.engine)
        # at once, so that no further talk begins on it and the next `look` does nothing
        attempt.stages.append(EngineState("starting"))
        self._thread = threading.Thread(
            target=self._take_over, args=(attempt, why), name="engine-load", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Abort the loading, if it is still going on, and free the engine."""
        self._closing = True
        # a download or a load looks for `_closing` at each report only
        self._thread.join(timeout=30)
        self.engine.close()
        for other in filter(None, (self._coming, self._before)):
            other.engine.close()

    def _load(self) -> None:
        attempt = self._attempt
        try:
            attempt.engine.load(self._report)
            self._report(EngineState("ready"))
            if self._coming:
                self._load_behind(self._coming)
        except _Closed:
            log.info("engine %s: its loading was aborted", attempt.engine.name)
        except PersonaplexError as error:
            self._take_over(attempt, str(error))
        except Exception:
            log.exception("engine %s failed to load", attempt.engine.name)
            self._take_over(attempt, _fault_of(attempt))

    def _load_behind(self, coming: _Attempt) -> None:
        """Load an engine while another speaks; it holds the talks from then on, or is said to have failed.

        Raises: _Closed.
        """
        speaking = self._attempt

        def report(state: EngineState) -> None:
            if self._closing:
                raise _Closed
            coming.note(state)

        try:
            coming.engine.load(report)
        except PersonaplexError as error:
            why = str(error)
        except _Closed:
            raise
        except Exception:
            log.exception("engine %s failed to load", coming.engine.name)
            why = _fault_of(coming)
        else:
            report(EngineState("ready"))
            log.info("engine %s speaks from the next talk on", coming.engine.name)
            self._coming, self._before, self._attempt = None, speaking, coming
            self._changed.notify()
            return
        log.error("engine %s failed, %s goes on: %s", coming.engine.name, speaking.engine.name, why)
        coming.engine.close()
        self._coming = None
        speaking.choice = replacement(coming.choice, why) or speaking.choice

    def _take_over(self, failed: _Attempt, why: str) -> None:
        """Free the failed engine and load its replacement; where there is none, the state is "failed"."""
        if self._closing:
            return
        if self._coming:
            log.error(
                "engine %s failed, %s is waited for: %s", failed.engine.name, self._coming.engine.name, why
            )
            failed.engine.close()
            self._attempt, self._coming = self._coming, None
            self._changed.notify()
            self._load()
            return
        choice = replacement(failed.choice, why)
        if self._build is None or choice is None:
            self._note(failed, EngineState("failed", why))
            return
        log.error("engine %s failed, %s takes over: %s", failed.engine.name, choice.name, why)
        try:
            # first of all: the machine may not have the memory for both
            failed.engine.close()
            self._attempt = _Attempt(self._build(choice), choice)
            self.offered_voices |= _names(self.engine)
            self._changed.notify()
        except Exception:
            log.exception("engine %s could not take over", choice.name)
            self._note(failed, EngineState("failed", why))
            return
        self._load()

    def _report(self, state: EngineState) -> None:
        if self._closing:
            raise _Closed
        self._note(self._attempt, state)

    def _note(self, attempt: _Attempt, state: EngineState) -> None:
        if attempt.note(state):
            self._changed.notify()


class _Closed(Exception):
    """Raised in an engine's progress report, to abort its loading when the app ends."""


def _fault_of(attempt: _Attempt) -> str:
    return f"{attempt.choice.title} could not start because of a fault of its own; the log has the details."


def _names(engine: Engine) -> frozenset[str]:
    return frozenset(voice.name for voice in engine.voices)


def _tenth(state: EngineState) -> int:
    """Return the tenth of its progress: of a download's thousands of reports ten are worth a log line."""
    return int((state.progress or 0.0) * 10)


def _shown(state: EngineState) -> int | str:
    """Return what a page shows of a stage: percents, or words where progress cannot be known."""
    return state.detail if state.progress is None else int(state.progress * 100)
