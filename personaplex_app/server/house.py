"""What one running app shares between its callers."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from ..cloning.voices import ClonedVoice, ClonedVoices
from ..engine.choose import Choice, build
from ..engine.contract import Clone, CloningEngine, Engine, EngineState, Sampling, SessionConfig
from ..errors import BadInput, EngineUnavailable, NoCloning, PersonaplexError, UnknownVoice, shorten
from ..personas import Persona, check_prompt, find, load_personas
from ..protocol import ChatRequest
from ..sessions.admission import MOST_WAITING, Admission
from ..sessions.library import Library
from ..settings import Settings
from ..voices import CLONE_PREFIX
from .channel import ConnectRate, HttpChannels

PURGE_EVERY_S = 30.0

log = logging.getLogger(__name__)


class EngineHost:
    """Loads an engine in the background and lets callers wait for it."""

    def __init__(self, engine: Engine, choice: Choice) -> None:
        self.engine, self.choice = engine, choice
        self.state = EngineState("starting")
        self._closing = False
        self._thread = threading.Thread(target=self._load, name="engine-load", daemon=True)

    def start(self) -> None:
        """Begin loading."""
        self._thread.start()

    async def ready(self, tell: Callable[[EngineState], None]) -> Engine:
        """Return the engine once it can open sessions, telling each new state on the way.

        Raises: EngineUnavailable when it could not start.
        """
        told = None
        while self.state.stage != "ready":
            if self.state.stage == "failed":
                raise EngineUnavailable(self.state.detail)
            if self.state != told:
                told = self.state
                tell(told)
            await anyio.sleep(0.1)
        return self.engine

    def close(self) -> None:
        """Break off the loading, if it still goes on, and free the engine."""
        self._closing = True
        self._thread.join(timeout=30)
        self.engine.close()

    def _load(self) -> None:
        try:
            self.engine.load(self._report)
            self._report(EngineState("ready"))
        except _Closed:
            log.info("engine %s: its loading was broken off", self.engine.name)
        except PersonaplexError as error:
            self._note(EngineState("failed", str(error)))
        except Exception:
            log.exception("engine %s failed to load", self.engine.name)
            self._note(
                EngineState("failed", f"{self.choice.title} could not start because of a fault of its own; the log has the details.")
            )

    def _report(self, state: EngineState) -> None:
        if self._closing:
            raise _Closed
        self._note(state)

    def _note(self, state: EngineState) -> None:
        before, self.state = self.state, state
        if (before.stage, _tenth(before)) != (state.stage, _tenth(state)):
            share = "" if state.progress is None else f" {state.progress:.0%}"
            log.info("engine %s: %s%s %s", self.engine.name, state.stage, share, state.detail)


class _Closed(Exception):
    """The app ends while the engine loads."""


def _tenth(state: EngineState) -> int:
    """A download reports thousands of times; ten of them are worth a line."""
    return int((state.progress or 0.0) * 10)


@dataclass
class House:
    """The engine, the slots, the records and the workers of one app."""

    settings: Settings
    host: EngineHost
    # the first is the default
    personas: tuple[Persona, ...]
    admission: Admission
    library: Library
    channels: HttpChannels
    rate: ConnectRate
    # a talk's calls are made one after the other, so a thread a slot is enough; one more serves those who come and go
    workers: anyio.CapacityLimiter
    clones: ClonedVoices = field(default_factory=lambda: ClonedVoices(None, lambda data: None))
    _tasks: TaskGroup | None = None

    @property
    def tasks(self) -> TaskGroup:
        """Where what outlives a request runs; it is there while the app is."""
        assert self._tasks, "the house is not open"
        return self._tasks

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Load the engine and keep house until the app stops."""
        self.host.start()
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._purge)
            yield
            self._tasks.cancel_scope.cancel()
        await anyio.to_thread.run_sync(self.close)

    async def _purge(self) -> None:
        """Throw away, on time, the talks that nobody chose to keep."""
        while True:
            await anyio.sleep(PURGE_EVERY_S)
            await anyio.to_thread.run_sync(self.library.purge, limiter=self.workers)
            await anyio.to_thread.run_sync(self.clones.purge, limiter=self.workers)

    @classmethod
    def build(cls, settings: Settings, choice: Choice) -> House:
        """Return a house whose engine has not begun to load."""
        engine = build(choice, settings)
        slots = min(settings.slots, engine.max_sessions)
        host = EngineHost(engine, choice)
        return cls(
            settings=settings,
            host=host,
            personas=load_personas(),
            admission=Admission(slots, talk_limit_s=settings.talk_limit_s),
            library=Library(settings.data, talk_limit_s=settings.talk_limit_s),
            channels=HttpChannels(most=slots + MOST_WAITING),
            rate=ConnectRate(settings.connects_per_minute),
            workers=anyio.CapacityLimiter(slots + 1),
            clones=ClonedVoices(settings.data / "clones", lambda data: _forget_clone(host, data)),
        )

    def close(self) -> None:
        """Free the engine and the records."""
        self.host.close()
        self.library.close()

    def session_config(self, request: ChatRequest) -> SessionConfig:
        """Return what the engine is opened with, everything looked up and checked.

        Raises: UnknownVoice, UnknownPersona, BadPrompt.
        """
        persona = find(request.persona, self.personas) if request.persona else self.personas[0]
        prompt = persona.prompt if request.prompt is None else check_prompt(request.prompt)
        if request.voice.startswith(CLONE_PREFIX):
            return SessionConfig(request.voice, prompt, persona.name, Sampling(**request.sampling), self._clone(request))
        voices = [voice.name for voice in self.host.engine.voices]
        suggested = self.voice_of(persona)
        voice = request.voice or suggested
        if voice not in voices:
            raise UnknownVoice(f"Voice {shorten(voice)} is not one of {self.host.choice.title}'s: {', '.join(voices)}.")
        return SessionConfig(voice, prompt, persona.name, Sampling(**request.sampling))

    def cloner(self) -> CloningEngine:
        """Return the engine as one that clones voices.

        Raises: NoCloning.
        """
        if not self.host.engine.capabilities.cloning:
            raise NoCloning(
                f"{self.host.choice.title} cannot clone voices; the PersonaPlex engine can. {self.host.choice.next_step}".strip()
            )
        return cast(CloningEngine, self.host.engine)

    def cloned_voices(self, owner_key: str) -> list[ClonedVoice]:
        """Return what a caller has cloned and can talk in; nothing for a caller without a proper key."""
        try:
            return self.clones.all(owner_key) if self.host.engine.capabilities.cloning else []
        except BadInput:
            return []

    def _clone(self, request: ChatRequest) -> Clone:
        self.cloner()
        try:
            voice = self.clones.get(request.owner, request.voice.removeprefix(CLONE_PREFIX))
        except BadInput:
            raise UnknownVoice(
                "That cloned voice is not among yours: it was deleted, or not kept and not used for an hour. "
                "Choose another, or clone it again."
            ) from None
        return Clone(voice.name, voice.data)

    def voice_of(self, persona: Persona) -> str:
        """Return the persona's voice, or the engine's first where it has not got it."""
        voices = [voice.name for voice in self.host.engine.voices]
        return next((v for v in (persona.voice, persona.classic_voice) if v in voices), voices[0])


def _forget_clone(host: EngineHost, data: bytes) -> None:
    if host.engine.capabilities.cloning:
        cast(CloningEngine, host.engine).forget_clone(data)
