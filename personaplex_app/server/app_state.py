"""The state of one running app that all of its callers share."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from ..cloning.voices import ClonedVoice, ClonedVoices
from ..engine.contract import Clone, CloningEngine, Engine, Sampling, SessionConfig
from ..engine.lease_contract import LeasingEngine
from ..engine.spoken_languages import speaks
from ..engine_choice import Choice, build, fallback_engine, replacement, stand_in
from ..errors import (
    BadInput,
    CapacityError,
    NoCloning,
    PersonaplexError,
    SettingsError,
    UnknownVoice,
    shorten,
)
from ..foreign_files import in_the_way
from ..gateway.adapters import Adapters, load_adapters
from ..languages import ENGLISH_CODE, SPANISH, SPANISH_CODE, other_language
from ..metrics import Metrics
from ..personas import Persona, check_prompt, find, load_personas
from ..principal import NOBODY, Principal
from ..protocol import ChatRequest
from ..protocol_events import Notice
from ..rendering.cache import RenderCache, temporary_renderings
from ..rendering.transcription import Transcriber
from ..sessions.admission import DRAINING, MOST_WAITING, Admission
from ..sessions.library import Library
from ..settings import Settings
from ..speech.spanish.voices import spanish_is_installed
from ..voices import CLONE_PREFIX
from ..voices import SPANISH as SPANISH_VOICES
from .arrivals import Arrivals
from .askers import Askers
from .channel import HttpChannels
from .connect_rate import ConnectRate
from .engine_supervisor import EngineSupervisor
from .resumption import Resumptions
from .threads import Worker
from .typed_speech import TypedSpeech

if TYPE_CHECKING:
    from .talk import Talk

log = logging.getLogger(__name__)

PURGE_EVERY_S = 30.0
LOOK_EVERY_S = 0.5
MOST_ORDERS = 16
MAX_SEED = 2**31


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class AppState:
    """The engine, the slots, the records and the workers of one app."""

    settings: Settings
    supervisor: EngineSupervisor
    # the first is the default
    personas: tuple[Persona, ...]
    admission: Admission
    library: Library
    channels: HttpChannels
    # renderings and what is cleaned up; a talk has a thread of its own
    workers: anyio.CapacityLimiter
    metrics: Metrics = field(default_factory=Metrics)
    adapters: Adapters = field(default_factory=lambda: Adapters({}))
    # the engine for talks that get no lease of the chosen one's device; None where it needs no lease
    fallback_engine: EngineSupervisor | None = None
    clones: ClonedVoices = field(default_factory=lambda: ClonedVoices(None, lambda data: None))
    # when running talks end because the app stops, on the monotonic clock; None while it is not to stop
    drained_s: float | None = None
    askers: Askers = field(default_factory=Askers)
    rate: ConnectRate = field(default_factory=ConnectRate)
    arrivals: Arrivals = field(default_factory=Arrivals)
    transcriber: Transcriber = field(default_factory=Transcriber)
    # which talk a client comes back to after a broken connection
    resumptions: Resumptions[Talk] = field(default_factory=Resumptions)
    # answers to recordings, kept for as long as a temporary talk
    renderings: RenderCache = field(default_factory=temporary_renderings)
    typed_speech: TypedSpeech = field(default_factory=TypedSpeech)
    # how many connections are in a talk, or before one
    callers: int = 0
    # set while there are no callers
    alone: threading.Event = field(default_factory=_set_event)
    # what clients order beside the steps of their talks
    orders: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(MOST_ORDERS))
    # threads of talks that have ended while a call of their engine has not come back
    _hung: list[Worker] = field(default_factory=list)
    _tasks: TaskGroup | None = None
    _ended: bool = False
    _loop: asyncio.AbstractEventLoop | None = None

    @property
    def _supervisors(self) -> list[EngineSupervisor]:
        return [self.supervisor, *([self.fallback_engine] if self.fallback_engine else [])]

    def start_soon(self, work: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Begin what outlives a request; it ends with the app. A fault of it is logged, and its own."""
        assert self._tasks, "the app is not open"
        self._tasks.start_soon(_guarded, work, args)

    def note_hung(self, worker: Worker) -> None:
        """Remember a thread until its call comes back."""
        self._hung = [each for each in (*self._hung, worker) if not each.idle]

    @property
    def problem(self) -> str:
        """Why this process should get no callers now although it is up, "" for nothing."""
        if self._ended:
            return "The app's background work has ended; restart it."
        if any(not each.idle for each in self._hung):
            return "A call of the engine has not come back; restart the app unless it recovers."
        return next((why for each in self._supervisors if (why := each.problem)), "")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Load the engine and keep it running until the app stops."""
        self._loop = asyncio.get_running_loop()
        for supervisor in self._supervisors:
            supervisor.start()
        try:
            async with anyio.create_task_group() as self._tasks:
                for purge in (self.library.purge, self.clones.purge, self.renderings.purge):
                    self._tasks.start_soon(_again_and_again, PURGE_EVERY_S, partial(self._purge, purge))
                self._tasks.start_soon(_again_and_again, LOOK_EVERY_S, self._look)
                yield
                self._tasks.cancel_scope.cancel()
        finally:
            self._ended = True
        # once all tasks have ended: they use what `close` frees
        await anyio.to_thread.run_sync(self.close)

    async def _purge(self, purge: Callable[[], None]) -> None:
        """Throw away, on time, what nobody chose to keep."""
        await anyio.to_thread.run_sync(purge, limiter=self.workers)

    async def _look(self) -> None:
        """Notice an engine that is lost, and give as many places as the one that speaks has."""
        self.supervisor.look()
        if self.supervisor.state.stage == "ready":
            self.fit()

    def fit(self) -> None:
        """Offer as many slots as the engine can hold talks, which it knows once it is loaded."""
        slots = min(self.settings.slots, self.supervisor.engine.max_sessions)
        if slots != self.admission.total:
            self.admission.resize(slots)

    def caller_came(self) -> None:
        """Count a connection."""
        self.callers += 1
        self.alone.clear()

    def caller_left(self) -> None:
        """Count a connection that ended."""
        self.callers -= 1
        if not self.callers:
            self.alone.set()

    def drain(self, grace_s: float) -> None:
        """Begin no new talks and give running ones `grace_s` to end.

        May be called from any thread, while the app is open.
        """
        assert self._loop, "the app is not open"
        self.drained_s = time.monotonic() + grace_s
        # admission belongs to the event loop, and this is called from the thread that waits for signals
        self._loop.call_soon_threadsafe(self.admission.drain)
        self.supervisor.refuse(CapacityError(DRAINING))

    @classmethod
    def build(cls, settings: Settings, choice: Choice) -> AppState:
        """Return an app whose engine has not begun to load, except a leasing one: that is loaded here, before
        the page is launched.

        Raises: SettingsError for a file of personas or adapters or a data folder that cannot be used,
        EngineUnavailable.
        """
        if file := in_the_way(settings.data):
            raise SettingsError(
                f"--data is {settings.data}, but {file} is a file; name a folder, which is made if it is"
                " missing."
            )
        spanish = spanish_is_installed()
        personas = load_personas(settings.personas, spanish)
        adapters = load_adapters(
            personas, settings.adapters, keyed=bool(settings.gateway_key or settings.api_key)
        )
        make = partial(build, settings=settings)
        try:
            supervisor = EngineSupervisor(make(choice), choice, make, stand_in(choice, settings))
            # the platform's emulated device takes weights on the main thread only, before the page is
            # launched
            if isinstance(supervisor.engine, LeasingEngine):
                supervisor.load_here()
        except PersonaplexError as error:
            # an engine that cannot even be made is replaced like one that fails to load
            instead = replacement(choice, str(error))
            if instead is None:
                raise
            log.error("engine %s failed, %s takes over: %s", choice.name, instead.name, error)
            choice = instead
            supervisor = EngineSupervisor(make(choice), choice, make)
        engine = supervisor.engine
        leases = isinstance(engine, LeasingEngine)
        second = fallback_engine(choice, leases) if leases or spanish else None
        return cls(
            settings=settings,
            supervisor=supervisor,
            personas=personas,
            adapters=adapters,
            admission=Admission(min(settings.slots, engine.max_sessions), talk_limit_s=settings.talk_limit_s),
            library=Library(settings.data, talk_limit_s=settings.talk_limit_s),
            # as many as can talk or wait in line
            channels=HttpChannels(most=settings.slots + MOST_WAITING),
            workers=anyio.CapacityLimiter(settings.slots + 1),
            fallback_engine=EngineSupervisor(make(second), second) if second else None,
            clones=ClonedVoices(settings.data / "clones", lambda data: _forget_clone(supervisor, data)),
        )

    def close(self) -> None:
        """Free the engine and the records."""
        for supervisor in self._supervisors:
            supervisor.close()
        self.library.close()
        self.renderings.close()

    def supervisor_of(self, request: ChatRequest, persona: Persona | None = None) -> EngineSupervisor:
        """Return the engine that a request names, the app's own unless it names one.

        A talk in a language that this engine does not speak gets the other engine, where that one does.
        Raises: BadInput, UnknownPersona.
        """
        # reversed, so that the app's own engine wins where both have the same name
        names = {supervisor.choice.name: supervisor for supervisor in reversed(self._supervisors)}
        if request.engine not in ("", *names):
            raise BadInput(
                f"Engine {shorten(request.engine)} is not available here; available:"
                f" {' and '.join(sorted(names))}."
            )
        named = names[request.engine] if request.engine else self.supervisor
        code = self._language(request, persona)
        if speaks(named.engine, code):
            return named
        return next((other for other in self._supervisors if speaks(other.engine, code)), named)

    def _language(self, request: ChatRequest, persona: Persona | None = None) -> str:
        """Return the code of a talk's language, "" for English: the one asked for, the persona's, or that of
        a role which is written for the talk.
        """
        if request.language:
            return "" if request.language == ENGLISH_CODE else request.language
        asked = persona or self._asked(request)
        own = persona or request.prompt in (None, asked.prompt)
        if own and asked.language:
            return asked.language
        prompt = asked.prompt if own else request.prompt
        return SPANISH_CODE if other_language(prompt or "") == SPANISH else ""

    def language_told(self, request: ChatRequest, config: SessionConfig) -> Notice | None:
        """Return what a caller must be told of the language of their talk, None for nothing."""
        named = self.supervisor if not request.engine else None
        if config.language and named and not speaks(named.engine, config.language):
            text = (
                f"{named.choice.title} speaks English only; in this Spanish role the embedded engine speaks."
            )
            return Notice("other_engine", text)
        if request.language == SPANISH_CODE and not config.language:
            text = (
                "No engine here speaks Spanish, so this talk is in English; its owner can add Spanish with:"
                " pip install -r requirements-es.txt"
            )
            return Notice("other_language", text)
        return None

    def _asked(self, request: ChatRequest) -> Persona:
        return find(request.persona, self.personas) if request.persona else self.personas[0]

    def session_config(
        self, request: ChatRequest, persona: Persona | None = None, caller: Principal = NOBODY
    ) -> SessionConfig:
        """Return the configuration that the engine is opened with, everything looked up and checked. A given
        `persona` replaces the requested one. A cloned voice must be the caller's.

        Raises: UnknownVoice, UnknownPersona, BadPrompt; BadInput for an engine that is not available here.
        """
        supervisor = self.supervisor_of(request, persona)
        engine = supervisor.engine
        language = self._language(request, persona)
        # where no engine here speaks it, the talk is in English, and the client is told
        language = language if speaks(engine, language) else ""
        persona = persona or self._asked(request)
        prompt = persona.prompt if request.prompt is None else request.prompt
        if prompt or not engine.capabilities.roleless:
            prompt = check_prompt(prompt)
        # drawn here where none is given, so that `ready` can name it and the talk can be repeated
        sampling = Sampling(**{"seed": secrets.randbelow(MAX_SEED), **request.sampling})
        if request.voice.startswith(CLONE_PREFIX):
            return SessionConfig(
                request.voice,
                prompt,
                persona.name,
                sampling,
                self._clone(request, caller.with_owner_key(request.owner)),
            )
        voices = [voice.name for voice in engine.voices]
        voice = request.voice or self.voice_of(persona, engine, language)
        if voice not in voices:
            # another voice is given only to a caller who was offered this one, and who reads events that say
            # so
            if not request.events or not any(voice in each.offered_voices for each in self._supervisors):
                raise UnknownVoice(
                    f"Voice {shorten(voice)} is not one of {supervisor.choice.title}'s: {', '.join(voices)}."
                )
            voice = self.voice_of(persona, engine, language)
        return SessionConfig(voice, prompt, persona.name, sampling, language=language)

    def cloner(self) -> CloningEngine:
        """Return the engine as one that clones voices.

        Raises: NoCloning.
        """
        if not self.supervisor.engine.capabilities.cloning:
            raise NoCloning(
                f"{self.supervisor.choice.title} cannot clone voices; the PersonaPlex engine can."
                f" {self.supervisor.choice.next_step}".strip()
            )
        return cast(CloningEngine, self.supervisor.engine)

    def cloned_voices(self, caller: Principal) -> list[ClonedVoice]:
        """Return a caller's cloned voices that can be used now; none for a caller without a valid key."""
        try:
            return self.clones.all(caller) if self.supervisor.engine.capabilities.cloning else []
        except BadInput:
            return []

    def _clone(self, request: ChatRequest, caller: Principal) -> Clone:
        self.cloner()
        try:
            voice = self.clones.get(caller, request.voice.removeprefix(CLONE_PREFIX))
        except BadInput:
            raise UnknownVoice(
                "That cloned voice is not among yours: it was deleted, or not kept and not used for an hour. "
                "Choose another, or clone it again."
            ) from None
        return Clone(voice.name, voice.data)

    def voice_of(self, persona: Persona, engine: Engine | None = None, language: str = "") -> str:
        """Return the persona's first voice that the engine has in a language, or the engine's first."""
        voices = [voice.name for voice in (engine or self.supervisor.engine).voices]
        if language:
            voices = [voice.name for voice in SPANISH_VOICES if voice.name in voices] or voices
        return persona.voice_among(voices) or voices[0]


def _forget_clone(supervisor: EngineSupervisor, data: bytes) -> None:
    if supervisor.engine.capabilities.cloning:
        cast(CloningEngine, supervisor.engine).forget_clone(data)


async def _guarded(work: Callable[..., Awaitable[object]], args: tuple[Any, ...]) -> None:
    """Do one piece of background work; whatever ends it, the others go on."""
    try:
        await work(*args)
    except Exception:
        log.exception("a piece of background work ended by a fault of the program")


async def _again_and_again(every_s: float, work: Callable[[], Awaitable[object]]) -> None:
    """Do something now and then; a fault of one time is logged, and it is done again the next time."""
    while True:
        await _guarded(work, ())
        await anyio.sleep(every_s)
