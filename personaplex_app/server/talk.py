"""A talk on the event loop: waits for the engine and a slot, moves sound and events between the client and
the talk's worker side (`sessions.talk_runner`), watches limits, and says how it ended.

`protocol_events` lists the events that a client can get and the orders that it can give; its entry point
says which of the events it wants.
"""

from __future__ import annotations

import logging
import time
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from .. import logs
from ..engine.contract import Engine, EngineState, SessionConfig, language_of
from ..engine.lease_contract import LeasingEngine
from ..errors import BadInput, CapacityError, CloseCode, PersonaplexError, shorten
from ..languages import language_warning
from ..principal import NOBODY, Principal
from ..protocol import ChatRequest
from ..protocol_events import (
    EVENTS,
    Audio,
    Begun,
    Ended,
    Failure,
    LeaseOffer,
    Notice,
    Pong,
    Preparing,
    Queued,
    Ready,
    Resumable,
    ToClient,
)
from ..protocol_orders import (
    BadOrder,
    ControlStart,
    FromClient,
    Ping,
    Playback,
    Resume,
    Start,
    Stop,
    UnknownOrder,
)
from ..sessions.admission import Place, Slot
from ..sessions.records import new_talk_id
from ..sessions.talk_recorder import TalkRecorder
from ..sessions.talk_runner import TalkRunner
from ..units import FRAME_S
from . import end_reasons
from .agent_sound import AgentSound
from .app_state import AppState
from .channel import Channel, Disconnected
from .end_reasons import EndReason
from .engine_supervisor import EngineSupervisor
from .entry_point import EntryPoint
from .leasing import UsableEngine, talk_lease_s, usable_engine
from .limit_watch import watch_limits
from .queues import WAITING_S, AudioQueue, SendQueue
from .refusals import refusal
from .resumption import RESUME_S, Carried, ResumableChannel, TalkTokens
from .talk_orders import TalkOrder, TalkOrders
from .talk_session import Summary, TalkSession

log = logging.getLogger(__name__)

GOODBYE_S = 2.0
# between two reports of a page, which come about once a second
MOST_UNDERRUNS = 1_000
_TOLD_AS_JSON = frozenset(EVENTS.values())
# how many different unknown types are answered, each once
MOST_UNKNOWN_ANSWERED = 8


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
        self._first_channel = channel
        self._channel = ResumableChannel(channel)
        self._request = request
        self._app_state = app_state
        self._entry = entry
        self._caller = caller
        self._policy = entry.policy
        self._talk_s = min(entry.policy.talk_s, app_state.settings.talk_limit_s)
        self._idle_s = min(entry.policy.idle_s, app_state.settings.idle_limit_s)
        self._sound = AgentSound(entry.codec())
        self._audio_queue = AudioQueue()
        self._send_queue = SendQueue()
        self._configured = anyio.Event()
        if not request.config_follows:
            self._configured.set()
        self._end: EndReason | None = None
        self._scope = anyio.CancelScope()
        self._supervisor: EngineSupervisor = app_state.supervisor
        self._session: TalkSession | None = None
        self._talk: TalkRunner | None = None
        # the talk that this connection carries, in place of one of its own
        self._carried: Carried | None = None
        self._tokens = TalkTokens(app_state.resumptions, self)
        self._orders = TalkOrders(app_state.orders, self._tell)
        self._behind = False
        # made here, so that log lines before the recording carry it too
        self._id = new_talk_id()
        self._underruns = 0
        self._unknown: set[str] = set()
        self._slot: Slot | None = None
        self._parted = False

    async def run(self) -> None:
        """Hold the conversation, over this connection and those that continue it; then say how it ended and
        close the channel.
        """
        self._app_state.caller_came()
        # inherited by the tasks below and by the threads that they call
        logs.TALK.set(self._id)
        try:
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._guarded, self._read)
                    tasks.start_soon(self._guarded, self._orders.obey)
                    tasks.start_soon(self._guarded, self._write)
                    tasks.start_soon(self._guarded, self._converse)
        finally:
            if not self._carried:
                await self._leave(self._end or end_reasons.LOST)
            self._app_state.caller_left()
        if self._carried:
            await self._carried.replaced.close(CloseCode.NORMAL, "The talk goes on over another connection.")
            await self._carried.left.wait()

    async def _leave(self, end: EndReason) -> None:
        metrics = self._app_state.metrics
        # shielded: a talk that the app's end cancels says goodbye too
        with anyio.CancelScope(shield=True):
            await self._part()
        if end is end_reasons.GIVEN_UP:
            metrics.lost_connections.labels("given_up").inc()
        if end.failed:
            metrics.errors.labels(end.reason).inc()
        logs.event(log, "a caller left", reason=end.reason, duration_s=round(self._summary.duration_s, 2))

    @property
    def _summary(self) -> Summary:
        return self._session.summary if self._session else Summary()

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
        heard_s = time.monotonic()
        while not self._carried:
            try:
                with anyio.fail_after(max(0.0, heard_s + self._silent_s - time.monotonic())):
                    order = await self._channel.receive()
            except TimeoutError:
                if time.monotonic() < heard_s + self._silent_s:
                    continue  # it has become resumable meanwhile
                end = end_reasons.GIVEN_UP if self._channel.resumable else end_reasons.SILENT
                return self._finish(end)
            heard_s = time.monotonic()
            self._tokens.settle()
            self._take(order)
            # a receive that has messages waiting gives nobody else a turn, neither the writer nor other talks
            await anyio.lowlevel.checkpoint()

    @property
    def _silent_s(self) -> float:
        """How long nothing may come from the client, connected or not."""
        return RESUME_S if self._channel.resumable else self._policy.silent_s

    def _take(self, order: FromClient) -> None:
        """Take what a client said; nothing here waits, so that a stop is never behind anything."""
        match order:
            case Audio(payload):
                if self._audio_queue.put(self._sound.codec.decode(payload)):
                    self._tell_behind()
            case Start() if not self._configured.is_set():
                self._request = self._request.configured(order)
                self._configured.set()
            case Resume() if not self._configured.is_set():
                self._resume(order)
            case BadOrder("start" | "resume", why) if not self._configured.is_set():
                raise BadInput(why)
            case Start() | Resume() | BadOrder("start" | "resume") | ControlStart():
                text = "The talk has already begun; stop it before you start another."
                self._tell(Notice("already_started", text))
            case Stop():
                self._finish(
                    end_reasons.STOPPED if self._configured.is_set() else end_reasons.NOTHING_TO_STOP
                )
            case _ if isinstance(order, TalkOrder):
                self._orders.put(order)
            case BadOrder(type_, why):
                self._tell(refusal(type_, why))
            case Playback():
                self._count_underruns(order.underruns)
            case Ping():
                self._tell(Pong(order.sent))
            case UnknownOrder(type_):
                self._tell_unknown(type_)
            case _:
                # a message without a use here; that it came has kept the talk alive
                return

    # a connection after another

    def _offer_resumption(self) -> None:
        """Tell the client how it comes back to this talk, if it asked to be told."""
        # a lent GPU goes back with the page's connection to the platform, whatever we wish
        leased = isinstance(self._supervisor.engine, LeasingEngine)
        wanted = self._request.resumable and Resumable in self._entry.events
        self._channel.resumable = wanted and not leased
        if self._channel.resumable:
            owner = self._caller.with_owner_key(self._request.owner)
            self._tell(Resumable(self._tokens.renew(owner), RESUME_S))

    def _resume(self, order: Resume) -> None:
        """Give this connection to the talk that it continues. Raises: CannotResume."""
        owner = self._caller.with_owner_key(order.owner or self._request.owner)
        talk = self._app_state.resumptions.find(order.token, owner)
        self._carried = talk._carry_on(self._first_channel, self._entry, order)
        self._scope.cancel()

    def _carry_on(self, channel: Channel, entry: EntryPoint, order: Resume) -> Carried:
        """Go on over another connection: silence stands for what was not heard of its user, and it hears the
        agent from now on. Raises: CannotResume.
        """
        self._tokens.use(order.token, self._channel.connected)
        carried = self._channel.attach(channel, order.received)
        self._entry = entry
        self._audio_queue.fill()
        frames = self._talk.frames + self._audio_queue.waiting_frames if self._talk else 0
        self._sound.renew(entry.codec(), frames)
        self._offer_resumption()
        self._app_state.metrics.lost_connections.labels("resumed").inc()
        logs.event(log, "a talk goes on over another connection", face=entry.name)
        return carried

    async def _stand_in(self) -> None:
        """While nobody is connected, let the engine hear silence at the pace of real time."""
        while True:
            await self._channel.until_lost()
            self._audio_queue.fill()
            await anyio.sleep(FRAME_S)

    def _tell_behind(self) -> None:
        if self._talk and not self._behind:
            self._behind = True
            text = f"The engine is more than {WAITING_S:g} s behind; the oldest of your sound is left out."
            self._tell(Notice("behind", text))

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

    # the talk

    async def _converse(self) -> None:
        with anyio.move_on_after(end_reasons.START_PATIENCE_S):
            await self._configured.wait()
        if not self._configured.is_set():
            return self._finish(end_reasons.NO_START)
        app_state = self._app_state
        self._session_config()  # a bad request is refused before the caller waits in line
        self._supervisor = app_state.supervisor_of(self._request, self._policy.persona)
        self._offer_resumption()
        async with AsyncExitStack() as held:
            engine = await self._enter(held)
            may_lease = self._policy.may_lease and LeaseOffer in self._entry.events
            lease_s = talk_lease_s(engine, self._request.lease_s, may_lease)
            device = await held.enter_async_context(
                usable_engine(app_state, engine, lease_s, lambda token: self._tell(LeaseOffer(token)))
            )
            # once more: while the caller waited, another engine may have taken over, with other voices
            config = self._session_config()
            session = self._session = TalkSession(app_state, self._entry.name, self._id)
            try:
                await self._guarded(partial(self._hold, session, device, config))
            finally:
                # shielded: whatever cancels the talk, the engine's session is freed and the record completed
                with anyio.CancelScope(shield=True):
                    await session.close(lambda: (self._end or end_reasons.LOST).reason, self._part)

    async def _hold(self, session: TalkSession, device: UsableEngine, config: SessionConfig) -> None:
        owner = self._caller.with_owner_key(self._request.owner)
        talk, record = await session.open(device.engine, config, owner, self._request.keep)
        self._talk = self._orders.talk = talk
        self._orders.sampling = config.sampling
        self._talk_s = min(self._talk_s, device.limit_s())
        self._tell(Begun())
        self._tell_ready(record, config, device.engine)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._guarded, partial(self._step, session, talk))
            tasks.start_soon(self._guarded, self._stand_in)
            tasks.start_soon(self._guarded, partial(self._watch_limits, talk))

    def _session_config(self) -> SessionConfig:
        return self._app_state.session_config(self._request, self._policy.persona, self._caller)

    async def _enter(self, held: AsyncExitStack) -> Engine:
        """Wait for the engine and a slot. Raises: CapacityError when that takes too long."""
        app_state = self._app_state
        try:
            with anyio.fail_after(self._policy.wait_s):
                await self._supervisor.ready(self._tell_state)
                app_state.fit()
                caller = self._caller.with_owner_key(self._request.owner)
                self._slot = await held.enter_async_context(
                    app_state.admission.slot(self._tell_place, caller=caller)
                )
                # while it waited in line another engine may have taken over
                return await self._supervisor.ready(self._tell_state)
        except TimeoutError:
            raise CapacityError(
                f"No slot became free within {self._policy.wait_s:g} s; try again in a few minutes."
            ) from None

    async def _watch_limits(self, talk: TalkRunner) -> None:
        assert self._slot
        limits = (self._talk_s, self._idle_s)
        self._finish(await watch_limits(self._app_state, talk, self._slot, *limits, self._tell))

    async def _step(self, session: TalkSession, talk: TalkRunner) -> None:
        while True:
            samples = await self._audio_queue.take()
            codec = self._sound.codec
            for event in await session.step(self._sound.feed, talk, samples, codec):
                # what was coded for a connection before is no sound to this one
                if codec is self._sound.codec or not isinstance(event, Audio):
                    self._tell(event)

    # what the client is told

    def _tell_state(self, state: EngineState) -> None:
        choice = self._supervisor.choice
        self._tell(Preparing(choice.name, choice.title, state.stage, state.detail, state.progress))

    def _tell_place(self, place: Place) -> None:
        self._tell(Queued(place.ahead, place.wait_s))

    def _tell_ready(self, record: TalkRecorder, config: SessionConfig, engine: Engine) -> None:
        choice = self._supervisor.choice_of(engine)
        capabilities = engine.capabilities
        ready = Ready(
            talk_id=record.id,
            engine=choice.name,
            engine_title=choice.title,
            stand_in=choice.stand_in,
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
        if (wanted := self._request.voice) not in ("", config.voice):
            text = f"{choice.title} has no voice {wanted} here; you hear {config.voice} in its place."
            self._tell(Notice("other_voice", text))
        if told := self._app_state.language_told(self._request, config):
            self._tell(told)
        elif not config.language and (
            text := language_warning(choice.title, language_of(engine), config.prompt)
        ):
            self._tell(Notice("other_language", text))

    async def _part(self) -> None:
        """Send the last messages past whatever still waited, and close; once."""
        if self._parted:
            return
        self._parted = True
        self._tokens.withdraw()
        end = self._end or end_reasons.LOST
        self._send_queue.close()
        said = Ended(end.reason, end.text, **vars(self._summary), retry_after_s=end.retry_after_s)
        last: list[ToClient] = [said, *([Failure(end.text, end.retry_after_s)] if end.failed else [])]
        with anyio.move_on_after(GOODBYE_S):
            with suppress(Disconnected):
                # a client that is lost reads nothing
                for event in filter(self._wanted, last if end is not end_reasons.LOST else []):
                    await self._channel.send(event)
        await self._channel.close(end.code, end.text)
