"""A talk on the event loop: waits for the engine and a slot, moves sound and events between the client and
the talk's worker side (`sessions.talk_runner`), watches limits, and says how it ended.

`protocol_events` lists the events that a client can get and the orders that it can give; its entry point
says which of the events it wants.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
import numpy as np

from .. import logs
from ..engine.contract import Engine, EngineState, LinkedSession, SessionConfig
from ..engine.lease_contract import LeasingEngine
from ..errors import BadInput, CapacityError, GpuUnavailable, PersonaplexError, shorten
from ..principal import NOBODY, Principal
from ..protocol import ChatRequest
from ..protocol_events import (
    EVENTS,
    Audio,
    BadOrder,
    Begun,
    ControlStart,
    Ended,
    Failure,
    Frame,
    FromClient,
    Interrupt,
    Interrupted,
    LeaseOffer,
    Limit,
    LimitKind,
    Notice,
    Ping,
    Playback,
    Pong,
    Preparing,
    Queued,
    Ready,
    Sampling,
    SamplingChange,
    Start,
    StepEvent,
    Stop,
    ToClient,
    UnknownOrder,
)
from ..sessions.admission import Place
from ..sessions.records import TalkMeta, new_talk_id
from ..sessions.talk_recorder import TalkRecorder
from ..sessions.talk_runner import TalkRunner
from ..sessions.talk_stats import TalkStats
from . import end_reasons
from .app_state import AppState
from .channel import Channel, Disconnected
from .end_reasons import EndReason
from .engine_supervisor import EngineSupervisor
from .entry_point import EntryPoint
from .leasing import usable_engine
from .queues import AudioQueue, SendQueue

log = logging.getLogger(__name__)

GOODBYE_S = 2.0
WARN_BEFORE_S = 30.0
TICK_S = 0.5
# how many are believed between two reports of a page, which come about once a second
MOST_UNDERRUNS = 1_000
_TOLD_AS_JSON = frozenset(EVENTS.values())
# how many different unknown types are answered, each once
MOST_UNKNOWN_ANSWERED = 8


@dataclass(frozen=True)
class _Summary:
    """The record of a talk that has ended: its id, its length, whether there is sound, whether it is kept."""

    talk_id: str | None = None
    duration_s: float = 0.0
    recording: bool = False
    kept: bool = False


class Talk:
    """One caller from connect to close."""

    def __init__(
        self,
        channel: Channel,
        request: ChatRequest,
        app_state: AppState,
        entry: EntryPoint,
        caller: Principal = NOBODY,
    ) -> None:
        self._channel = channel
        self._request = request
        self._app_state = app_state
        self._entry = entry
        self._caller = caller
        self._policy = entry.policy
        self._talk_s = min(entry.policy.talk_s, app_state.settings.talk_limit_s)
        self._idle_s = min(entry.policy.idle_s, app_state.settings.idle_limit_s)
        self._codec = entry.codec()
        self._audio_queue = AudioQueue()
        self._send_queue = SendQueue()
        self._configured = anyio.Event()
        if not request.config_follows:
            self._configured.set()
        self._end: EndReason | None = None
        self._scope = anyio.CancelScope()
        self._supervisor: EngineSupervisor = app_state.supervisor
        self._talk: TalkRunner | None = None
        self._sampling = Sampling()
        # made here, so that log lines before the recording carry it too
        self._id = new_talk_id()
        self._engine_name = ""
        self._underruns = 0
        self._unknown: set[str] = set()
        self._summary = _Summary()

    async def run(self) -> None:
        """Hold the conversation, then say how it ended and close the channel."""
        self._app_state.caller_came()
        # inherited by the tasks below and by the threads that they call
        logs.TALK.set(self._id)
        try:
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._guarded, self._read)
                    tasks.start_soon(self._guarded, self._write)
                    tasks.start_soon(self._guarded, self._converse)
        finally:
            end = self._end or end_reasons.LOST
            # shielded: a talk that the app's end cancels says goodbye too
            with anyio.CancelScope(shield=True):
                await self._say_goodbye(end)
            # only now: the app's end waits until every caller has got its last message
            self._app_state.caller_left()
            if end.failed:
                self._app_state.metrics.errors.labels(end.reason).inc()
            logs.event(log, "a caller left", reason=end.reason, duration_s=round(self._summary.duration_s, 2))

    async def _guarded(self, part: Any) -> None:
        """Run one part; whatever ends it ends this talk with a sentence, and no other talk."""
        try:
            await part()
        except Disconnected:
            self._finish(end_reasons.LOST)
        except PersonaplexError as error:
            self._finish(end_reasons.end_of(error))
        except Exception:
            log.exception("a talk ended by a fault of the program")
            self._finish(end_reasons.FAULT)

    def _finish(self, end: EndReason) -> None:
        # the first reason counts: what is cancelled next may fail too
        self._end = self._end or end
        self._scope.cancel()

    def _tell(self, event: ToClient) -> None:
        """Queue an event for the client, if its entry point wants such events."""
        if self._wanted(event) and not self._send_queue.put(event):
            self._finish(end_reasons.SLOW)

    def _wanted(self, event: ToClient) -> bool:
        kind = type(event)
        return kind in self._entry.events or kind not in _TOLD_AS_JSON

    async def _write(self) -> None:
        await self._send_queue.drain_to(self._channel)

    # orders of the client

    async def _read(self) -> None:
        while True:
            try:
                with anyio.fail_after(self._policy.silent_s):
                    order = await self._channel.receive()
            except TimeoutError:
                return self._finish(end_reasons.SILENT)
            await self._take(order)

    async def _take(self, order: FromClient) -> None:
        match order:
            case Audio(payload):
                await self._audio_queue.put(self._codec.decode(payload))
            case Start() if not self._configured.is_set():
                self._request = self._request.configured(order)
                self._configured.set()
            case BadOrder("start", why) if not self._configured.is_set():
                raise BadInput(why)
            case Start() | BadOrder("start"):
                text = "The talk has already begun; stop it before you start another."
                self._tell(Notice("already_started", text))
            case ControlStart():
                text = "The talk has already begun; this start was ignored."
                self._tell(Notice("already_started", text))
            case Stop():
                self._finish(
                    end_reasons.STOPPED if self._configured.is_set() else end_reasons.NOTHING_TO_STOP
                )
            case Interrupt() if self._talk:
                await anyio.to_thread.run_sync(self._talk.interrupt, limiter=self._app_state.workers)
                self._tell(Interrupted())
            case Interrupt():
                self._tell(Notice("not_begun", "The talk has not begun; there is nobody to interrupt."))
            case SamplingChange():
                await self._resample(order)
            case BadOrder(_, why):
                self._refuse_sampling(why)
            case Playback():
                self._count_underruns(order.underruns)
            case Ping():
                self._tell(Pong(order.sent))
            case UnknownOrder(type_):
                self._tell_unknown(type_)
            case _:
                # a message without a use here; that it came has kept the talk alive
                return

    def _tell_unknown(self, type_: str) -> None:
        """Answer each unknown type once, up to a bounded number of them."""
        name = shorten(type_)
        if name in self._unknown or len(self._unknown) >= MOST_UNKNOWN_ANSWERED:
            return
        self._unknown.add(name)
        self._tell(Notice("unknown_type", f"A message of the type {name} is unknown here and was ignored."))

    def _count_underruns(self, reported: int | None) -> None:
        """Add the increase in the number of gaps that a page reports, as far as it is plausible."""
        if reported is not None and 0 <= reported - self._underruns <= MOST_UNDERRUNS:
            self._app_state.metrics.underruns.inc(reported - self._underruns)
            self._underruns = reported

    async def _resample(self, change: SamplingChange) -> None:
        """Change temperatures and top-k during the talk; a change that is refused changes nothing, and a
        notice says why.
        """
        request = self._request.resampled(change)
        try:
            if self._talk is None:
                raise BadInput("The talk has not begun; put its sampling into the start message.")
            sampling = Sampling(**{**request.sampling, "seed": self._sampling.seed})
            await anyio.to_thread.run_sync(self._talk.resample, sampling, limiter=self._app_state.workers)
        except BadInput as error:
            self._refuse_sampling(str(error))
            return
        self._request = request
        self._sampling = sampling
        self._tell(sampling)

    def _refuse_sampling(self, why: str) -> None:
        self._tell(Notice("sampling_refused", f"{why} Nothing was changed."))

    # the talk

    async def _converse(self) -> None:
        with anyio.move_on_after(end_reasons.START_PATIENCE_S):
            await self._configured.wait()
        if not self._configured.is_set():
            return self._finish(end_reasons.NO_START)
        app_state = self._app_state
        self._session_config()  # a bad request is refused before the caller waits in line
        self._supervisor = app_state.supervisor_of(self._request)
        async with AsyncExitStack() as held:
            engine = await self._enter(held)
            device = await held.enter_async_context(
                usable_engine(app_state, engine, self._lease_s(engine), self._tell_lease)
            )
            # once more: while the caller waited, another engine may have taken over, with other voices
            config = self._session_config()
            talk, record = await anyio.to_thread.run_sync(
                self._open, device.engine, config, limiter=app_state.workers
            )
            self._talk = talk
            self._sampling = config.sampling
            self._talk_s = min(self._talk_s, device.limit_s())
            try:
                self._tell(Begun())
                self._tell_ready(record, config)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._guarded, self._step)
                    tasks.start_soon(self._guarded, self._watch_limits)
            finally:
                # shielded: whatever cancels the talk, the engine's session is freed and the record completed
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(self._close, talk, record, limiter=app_state.workers)

    def _session_config(self) -> SessionConfig:
        return self._app_state.session_config(self._request, self._policy.persona, self._caller)

    def _lease_s(self, engine: Engine) -> int:
        """Return for how long the talk's device must be lent, 0 where it need not be."""
        if not isinstance(engine, LeasingEngine):
            return 0
        if not (self._policy.may_lease and LeaseOffer in self._entry.events):
            raise GpuUnavailable(
                "The GPU here is lent to visitors of the page, and this client did not come from it. "
                "Ask /api/chat for engine=classic to talk with the embedded engine."
            )
        return self._request.lease_s or engine.lease_lengths_s[0]

    async def _enter(self, held: AsyncExitStack) -> Engine:
        """Wait for the engine and a slot. Raises: CapacityError when that takes too long."""
        app_state = self._app_state
        try:
            with anyio.fail_after(self._policy.wait_s):
                await self._supervisor.ready(self._tell_state)
                app_state.fit()
                await held.enter_async_context(app_state.admission.slot(self._tell_place))
                # again: while the caller waited in line, another engine may have taken over
                return await self._supervisor.ready(self._tell_state)
        except TimeoutError:
            raise CapacityError(
                f"No slot became free within {self._policy.wait_s:g} s; try again in a few minutes."
            ) from None

    def _open(self, engine: Engine, config: SessionConfig) -> tuple[TalkRunner, TalkRecorder]:
        """Begin the engine's session, then its record. Called in a worker thread."""
        session = engine.open(config)
        try:
            owner = self._caller.with_owner_key(self._request.owner)
            record = self._app_state.library.begin(
                owner, self._request.keep, TalkMeta.of(engine.name, config), self._id
            )
        except BaseException:
            session.close()
            raise
        self._engine_name = engine.name
        logs.event(log, "a talk begins", engine=engine.name, persona=config.persona, face=self._entry.name)
        stats = TalkStats(session.link_stats if isinstance(session, LinkedSession) else None)
        meter = self._app_state.metrics.step_meter(engine.name)
        return TalkRunner(session, (meter, stats, record)), record

    def _close(self, talk: TalkRunner, record: TalkRecorder) -> None:
        """End the engine's session, then, whatever happened, the record. Called in a worker thread."""
        try:
            talk.close()
        finally:
            reason = (self._end or end_reasons.LOST).reason
            record.finish(reason)
            self._app_state.metrics.talks.labels(self._engine_name, self._entry.name, reason).inc()
            self._summary = _Summary(record.id, talk.duration_s, record.recording, record.keeping)

    async def _step(self) -> None:
        while True:
            samples = await self._audio_queue.take()
            for event in await anyio.to_thread.run_sync(self._feed, samples, limiter=self._app_state.workers):
                self._tell(event)

    def _feed(self, samples: np.ndarray) -> list[ToClient]:
        """Step the talk; return the events for the client, with coded sound. Called in a worker thread."""
        assert self._talk
        coded = (self._coded(event) for event in self._talk.feed(samples))
        return [event for event in coded if event]

    def _coded(self, event: StepEvent) -> ToClient | None:
        if not isinstance(event, Frame):
            return event
        # a codec may wait for more sound before a piece becomes whole
        payload = self._codec.encode(event.agent)
        return Audio(payload) if payload else None

    async def _watch_limits(self) -> None:
        """Warn before a limit is reached, then end the talk.

        The limits are its time, the user's silence, and the time that is left until the server stops.
        """
        assert self._talk
        app_state = self._app_state
        began_s = time.monotonic()
        warned: set[str] = set()
        while True:
            # when the talk ends, and how long before that the client is warned
            # in each turn anew, since the user's last speech and a shutdown move them
            limits: dict[LimitKind, tuple[EndReason, float, float]] = {
                "time": (
                    end_reasons.TIME_LIMIT,
                    began_s + self._talk_s,
                    min(WARN_BEFORE_S, self._talk_s / 2),
                ),
                "idle": (
                    end_reasons.IDLE,
                    self._talk.user_spoke_s + self._idle_s,
                    min(WARN_BEFORE_S, self._idle_s / 2),
                ),
            }
            if app_state.drained_s is not None:
                limits["draining"] = (end_reasons.DRAINED, app_state.drained_s, math.inf)
            for reason, (end, at_s, warn_before_s) in limits.items():
                left_s = at_s - time.monotonic()
                if left_s <= 0:
                    return self._finish(end)
                near = left_s <= warn_before_s
                if near and reason not in warned:
                    self._tell(Limit(reason, left_s))
                # a user who speaks again has left the idle limit, and is warned anew the next time
                (warned.add if near else warned.discard)(reason)
            await anyio.sleep(TICK_S)

    # events for the client

    def _tell_state(self, state: EngineState) -> None:
        choice = self._supervisor.choice
        self._tell(Preparing(choice.name, choice.title, state.stage, state.detail, state.progress))

    def _tell_lease(self, token: str) -> None:
        self._tell(LeaseOffer(token))

    def _tell_place(self, place: Place) -> None:
        self._tell(Queued(place.ahead, place.wait_s))

    def _tell_ready(self, record: TalkRecorder, config: SessionConfig) -> None:
        supervisor = self._supervisor
        capabilities = supervisor.engine.capabilities
        ready = Ready(
            talk_id=record.id,
            engine=supervisor.choice.name,
            engine_title=supervisor.choice.title,
            voice=config.voice,
            persona=config.persona,
            limit_s=self._talk_s,
            idle_s=self._idle_s,
            keeping=record.keeping,
            keep_problem=record.problem or "",
            capabilities=capabilities,
            sampling=config.sampling if capabilities.sampling else None,
        )
        self._tell(ready)
        if self._request.voice not in ("", config.voice):
            text = (
                f"{supervisor.choice.title} has no voice {self._request.voice} here; you hear {config.voice}"
                " in its place."
            )
            self._tell(Notice("other_voice", text))

    async def _say_goodbye(self, end: EndReason) -> None:
        """Send the last messages, dropping what is still queued, and close."""
        # sound that still waits is of no use any more, and the last messages must not wait behind it
        self._send_queue.close()
        last: list[ToClient] = [Ended(end.reason, end.text, **vars(self._summary))]
        if end.failed:
            last.append(Failure(end.text))
        with anyio.move_on_after(GOODBYE_S):
            try:
                # a client that is lost reads nothing
                for event in filter(self._wanted, last if end is not end_reasons.LOST else []):
                    await self._channel.send(event)
            except Disconnected:
                return
        await self._channel.close(end.code, end.text)
