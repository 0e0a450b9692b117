"""A talk on the event loop: waits for the engine and a slot, moves messages, watches limits, and says how it
ended.

The engine's work happens in `sessions.talk_runner.TalkRunner`, on a worker thread. What goes to clients that
asked for events, as kind 4 objects: `preparing`, `queued` and `lease` (the page is to take a device, see
`leasing`) before the handshake; `ready` after it; `utterance`, `mark`, `turn_latency`, `stats`, `saved` and
`notice` from the talk (`sessions.talk_runner`); `sampling` with what is in force, after a
`sampling` that changed it; `interrupted` after an `interrupt` is done; `limit` before a limit is reached;
`pong`; and `ended` as the last.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

import anyio
import anyio.to_thread

from .. import logs
from ..codec import make_codec
from ..engine.contract import Engine, EngineState, LeasingEngine, Sampling, SessionConfig
from ..errors import BadInput, CapacityError, GpuUnavailable, PersonaplexError
from ..protocol import MAX_MESSAGE_BYTES, ChatRequest, Control, Kind, Message, decode, metadata
from ..sessions.admission import Place
from ..sessions.records import TalkMeta, new_talk_id
from ..sessions.talk_recorder import TalkRecorder
from ..sessions.talk_runner import TalkRunner
from . import end_reasons
from .app_state import AppState
from .channel import Channel, Disconnected
from .end_reasons import EndReason, EntryPolicy
from .engine_supervisor import EngineSupervisor
from .leasing import usable_engine
from .queues import AudioQueue, SendQueue

log = logging.getLogger(__name__)

GOODBYE_S = 2.0
WARN_BEFORE_S = 30.0
TICK_S = 0.5
# between two reports of a page, which come about once a second
MOST_UNDERRUNS = 1_000


class Talk:
    """One caller from connect to close."""

    def __init__(
        self, channel: Channel, request: ChatRequest, app_state: AppState, policy: EntryPolicy = EntryPolicy()
    ) -> None:
        self._channel = channel
        self._request = request
        self._app_state = app_state
        self._policy = policy
        self._talk_s = min(policy.talk_s, app_state.settings.talk_limit_s)
        self._idle_s = min(policy.idle_s, app_state.settings.idle_limit_s)
        self._codec = make_codec(request.codec)
        self._audio_queue = AudioQueue()
        self._send_queue = SendQueue(request.events)
        self._configured = anyio.Event()
        if not request.config_follows:
            self._configured.set()
        self._end: EndReason | None = None
        self._scope = anyio.CancelScope()
        self._supervisor: EngineSupervisor = app_state.supervisor
        self._talk: TalkRunner | None = None
        self._sampling = Sampling()
        self._id = new_talk_id()
        self._engine_name = ""
        self._underruns = 0
        self._summary: dict[str, Any] = {
            "talk_id": None,
            "duration_s": 0.0,
            "recording": False,
            "kept": False,
        }

    async def run(self) -> None:
        """Hold the conversation, then say how it ended and close the channel."""
        self._app_state.callers += 1
        logs.TALK.set(self._id)
        try:
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._guarded, self._read)
                    tasks.start_soon(self._guarded, self._write)
                    tasks.start_soon(self._guarded, self._converse)
        finally:
            end = self._end or end_reasons.LOST
            with anyio.CancelScope(shield=True):
                await self._say_goodbye(end)
            self._app_state.callers -= 1
            if end.failed:
                self._app_state.metrics.errors.labels(end.reason).inc()
            logs.event(log, "a caller left", reason=end.reason, duration_s=self._summary["duration_s"])

    async def _guarded(self, part: Any) -> None:
        """Run one part; whatever ends it ends the conversation with a sentence, and nobody else's."""
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
        self._end = self._end or end
        self._scope.cancel()

    def _tell(self, type_: str, **fields: Any) -> None:
        self._post(metadata(type_, **fields))

    def _post(self, message: Message) -> None:
        if not self._send_queue.put(message):
            self._finish(end_reasons.SLOW)

    async def _write(self) -> None:
        await self._send_queue.drain_to(self._channel)

    # what the client says

    async def _read(self) -> None:
        while True:
            try:
                with anyio.fail_after(self._policy.silent_s):
                    data = await self._channel.receive()
            except TimeoutError:
                return self._finish(end_reasons.SILENT)
            if len(data) > MAX_MESSAGE_BYTES:
                self._finish(end_reasons.too_big(len(data), MAX_MESSAGE_BYTES))
            elif isinstance(data, str):
                self._finish(end_reasons.TEXT)
            else:
                await self._take(decode(data))

    async def _take(self, message: Message) -> None:
        match message.kind:
            case Kind.AUDIO:
                await self._audio_queue.put(self._codec.decode(message.payload))
            case Kind.METADATA:
                await self._obey(message.json())
            case Kind.CONTROL if message.payload[:1] == bytes([Control.START]):
                self._tell(
                    "notice",
                    code="already_started",
                    text="The talk has already begun; this start was ignored.",
                )
            case _:
                # end of turn, pause, restart, pings and echoes of our own kinds: a full-duplex talk has no
                # use for them
                return

    async def _obey(self, order: dict[str, Any]) -> None:
        match order["type"]:
            case "start":
                if self._configured.is_set():
                    self._tell(
                        "notice",
                        code="already_started",
                        text="The talk has already begun; stop it before you start another.",
                    )
                    return
                self._request = self._request.configured(order)
                self._configured.set()
            case "stop":
                self._finish(
                    end_reasons.STOPPED if self._configured.is_set() else end_reasons.NOTHING_TO_STOP
                )
            case "interrupt" if self._talk:
                await anyio.to_thread.run_sync(self._talk.interrupt, limiter=self._app_state.workers)
                self._tell("interrupted")
            case "interrupt":
                self._tell(
                    "notice", code="not_begun", text="The talk has not begun; there is nobody to interrupt."
                )
            case "sampling":
                await self._resample(order)
            case "playback":
                self._count_underruns(order.get("underruns"))
            case "ping":
                self._tell("pong", sent=order.get("sent"))

    def _count_underruns(self, reported: Any) -> None:
        """Add what is new in the number of gaps that a page reports, as far as it can be true."""
        if isinstance(reported, int) and 0 <= reported - self._underruns <= MOST_UNDERRUNS:
            self._app_state.metrics.underruns.inc(reported - self._underruns)
            self._underruns = reported

    async def _resample(self, order: dict[str, Any]) -> None:
        """Change temperatures and top-k in mid-talk; what cannot be done is told, and nothing changes."""
        try:
            request = self._request.resampled(order)
            if self._talk is None:
                raise BadInput("The talk has not begun; put its sampling into the start message.")
            sampling = Sampling(**{**request.sampling, "seed": self._sampling.seed})
            await anyio.to_thread.run_sync(self._talk.resample, sampling, limiter=self._app_state.workers)
        except BadInput as error:
            self._tell("notice", code="sampling_refused", text=f"{error} Nothing was changed.")
            return
        self._request = request
        self._sampling = sampling
        self._tell("sampling", **asdict(sampling))

    # the talk

    async def _converse(self) -> None:
        with anyio.move_on_after(end_reasons.START_PATIENCE_S):
            await self._configured.wait()
        if not self._configured.is_set():
            return self._finish(end_reasons.NO_START)
        app_state = self._app_state
        app_state.session_config(
            self._request, self._policy.persona
        )  # a bad request is told before the caller waits in line
        self._supervisor = app_state.supervisor_of(self._request)
        async with AsyncExitStack() as place:
            engine = await self._enter(place)
            device = await place.enter_async_context(
                usable_engine(app_state, engine, self._lease_s(engine), self._tell_lease)
            )
            config = app_state.session_config(self._request, self._policy.persona)
            talk, record = await anyio.to_thread.run_sync(
                self._open, device.engine, config, limiter=app_state.workers
            )
            self._talk = talk
            self._sampling = config.sampling
            self._talk_s = min(self._talk_s, device.limit_s())
            try:
                self._post(Message(Kind.HANDSHAKE))
                self._tell_ready(record, config)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._guarded, self._step)
                    tasks.start_soon(self._guarded, self._watch_limits)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(self._close, talk, record, limiter=app_state.workers)

    def _lease_s(self, engine: Engine) -> int:
        """Return for how long the talk's device must be lent, 0 where it need not be."""
        if not isinstance(engine, LeasingEngine):
            return 0
        if not self._request.events or self._policy.transport != "chat":
            raise GpuUnavailable(
                "The GPU here is lent to visitors of the page, and this client did not come from it. "
                "Ask /api/chat for engine=classic to talk with the embedded engine."
            )
        return self._request.lease_s or engine.lease_lengths_s[0]

    async def _enter(self, place: AsyncExitStack) -> Engine:
        """Wait for the engine and a slot. Raises: CapacityError when that takes too long."""
        app_state = self._app_state
        try:
            with anyio.fail_after(self._policy.wait_s):
                await self._supervisor.ready(self._tell_state)
                app_state.fit()
                await place.enter_async_context(app_state.admission.slot(self._tell_place))
                # while it waited in line another engine may have taken over
                return await self._supervisor.ready(self._tell_state)
        except TimeoutError:
            raise CapacityError(
                f"No place came free within {self._policy.wait_s:g} s; try again in a few minutes."
            ) from None

    def _open(self, engine: Engine, config: SessionConfig) -> tuple[TalkRunner, TalkRecorder]:
        """In a worker: begin the session, then its record."""
        session = engine.open(config)
        try:
            record = self._app_state.library.begin(
                self._request.owner, self._request.keep, TalkMeta.of(engine.name, config), self._id
            )
        except BaseException:
            session.close()
            raise
        self._engine_name = engine.name
        logs.event(
            log, "a talk begins", engine=engine.name, persona=config.persona, face=self._policy.transport
        )
        return (
            TalkRunner(
                session, record, self._codec.encode, meter=self._app_state.metrics.step_meter(engine.name)
            ),
            record,
        )

    def _close(self, talk: TalkRunner, record: TalkRecorder) -> None:
        """In a worker: end the session whatever happens, then the record."""
        try:
            talk.close()
        finally:
            reason = (self._end or end_reasons.LOST).reason
            record.finish(reason)
            self._app_state.metrics.talks.labels(self._engine_name, self._policy.transport, reason).inc()
            duration_s = round(talk.duration_s, 2)
            self._summary = {
                "talk_id": record.id,
                "duration_s": duration_s,
                "recording": record.recording,
                "kept": record.keeping,
            }

    async def _step(self) -> None:
        assert self._talk
        while True:
            samples = await self._audio_queue.take()
            for message in await anyio.to_thread.run_sync(
                self._talk.feed, samples, limiter=self._app_state.workers
            ):
                self._post(message)

    async def _watch_limits(self) -> None:
        """Warn before the time, the user's silence or the server's last grace runs out, then end the talk."""
        assert self._talk
        app_state = self._app_state
        began_s = time.monotonic()
        warned: set[str] = set()
        while True:
            # when it ends, and how long before that it is told
            limits = {
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
                    self._tell("limit", reason=reason, left_s=round(left_s, 1))
                (warned.add if near else warned.discard)(reason)
            await anyio.sleep(TICK_S)

    # what the client is told

    def _tell_state(self, state: EngineState) -> None:
        choice = self._supervisor.choice
        self._tell("preparing", engine=choice.name, engine_title=choice.title, **asdict(state))

    def _tell_lease(self, token: str) -> None:
        self._tell("lease", token=token)

    def _tell_place(self, place: Place) -> None:
        self._tell("queued", ahead=place.ahead, wait_s=place.wait_s)

    def _tell_ready(self, record: TalkRecorder, config: SessionConfig) -> None:
        supervisor = self._supervisor
        self._tell(
            "ready",
            talk_id=record.id,
            engine=supervisor.choice.name,
            engine_title=supervisor.choice.title,
            voice=config.voice,
            persona=config.persona,
            limit_s=round(self._talk_s, 1),
            idle_s=self._idle_s,
            keeping=record.keeping,
            keep_problem=record.problem or "",
            capabilities=asdict(supervisor.engine.capabilities),
            sampling=asdict(config.sampling) if supervisor.engine.capabilities.sampling else None,
        )
        if self._request.voice not in ("", config.voice):
            text = (
                f"{supervisor.choice.title} has no voice {self._request.voice} here; you hear {config.voice}"
                " in its place."
            )
            self._tell("notice", code="other_voice", text=text)

    async def _say_goodbye(self, end: EndReason) -> None:
        """Send the last messages past whatever still waited, and close."""
        self._send_queue.close()
        last = (
            [metadata("ended", reason=end.reason, text=end.text, **self._summary)]
            if self._request.events
            else []
        )
        if end.failed:
            last.append(Message(Kind.ERROR, end.text.encode()))
        with anyio.move_on_after(GOODBYE_S):
            try:
                for message in last if end is not end_reasons.LOST else []:
                    await self._channel.send(message.encode())
            except Disconnected:
                return
        await self._channel.close(end.code, end.text)
