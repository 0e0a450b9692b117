"""Render an agent's answer to a recording of the user: both sides on one time axis, with words, marks and
times.

A rendering is identified by its key, a hash of everything it depends on: the same request to the same engine
gives the same key. `cache` keeps renderings on disk, `batch` makes many of them while talks run.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from ..audio import checked, float_to_pcm16, pcm16_to_float
from ..engine.contract import Engine, Event, Mark, SessionConfig, TurnLatency, Utterance
from ..errors import BadAudio, BadInput
from ..sessions.records import TalkMeta
from ..units import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

SCHEMA = 1
MAX_USER_S = 300
# bounds the memory of an engine that never stops sending events
MAX_EVENTS = 20_000
# an agent has ended when it was quieter than this for so long
AUDIBLE = 0.01
ENDED_S = 1.2
# so long an answer may go on after its time: a slow voice is not cut
MOST_MORE_S = 15.0


@dataclass(frozen=True)
class RenderRequest:
    """A request to render. The configuration must have a seed and not be `realtime`; `request` sees to both.

    An agent that still speaks when the user's sound is over is heard to its end, for `more_s` at most.

    Shapes: `user` is float32 [N] at 24 kHz in [-1, 1], at most five minutes.
    """

    user: np.ndarray
    config: SessionConfig
    more_s: float = 0.0

    @property
    def duration_s(self) -> float:
        return len(self.user) / SAMPLE_RATE_HZ

    def key(self, engine_identity: str) -> str:
        """Return the rendering's key: 64 hexadecimal digits."""
        config = _as_json(self.config)
        # the field's former name: another one would change the keys of renderings that are on disk already
        config["paced"] = config.pop("realtime")
        # what was added later is left out where it changes nothing, for the same reason
        if config["greets"]:
            del config["greets"]
        inputs = {
            "schema": SCHEMA,
            "engine": engine_identity,
            "user": hashlib.sha256(float_to_pcm16(self.user)).hexdigest(),
            "config": config,
            **({"more_s": self.more_s} if self.more_s else {}),
        }
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Rendering:
    """Both sides of a rendered conversation, int16 sound as float32, and what happened in it.

    Shapes: `user` and `agent` are float32 [N] at 24 kHz, the same N.
    Units: `step_ms` has the wall-clock time of each engine step; every other time lies on the audio's own
    axis.
    """

    key: str
    meta: TalkMeta
    rendered_at_s: float
    user: np.ndarray
    agent: np.ndarray
    utterances: tuple[Utterance, ...] = ()
    marks: tuple[Mark, ...] = ()
    turn_latencies: tuple[TurnLatency, ...] = ()
    step_ms: tuple[float, ...] = ()

    @property
    def duration_s(self) -> float:
        return len(self.agent) / SAMPLE_RATE_HZ

    @property
    def compute_s(self) -> float:
        """How long the engine's steps took together."""
        return sum(self.step_ms) / 1000


def request(
    user: np.ndarray, config: SessionConfig, seed: int = 0, room_s: float = 0.0, more_s: float = 0.0
) -> RenderRequest:
    """Return a reproducible request: not in real time, and with `seed` where the configuration has none.

    `room_s` seconds of silence after the user's recording leave the agent time to answer, and at most
    `more_s` more let it end what it says.

    Shapes: `user` is float32 [N] at 24 kHz.
    Raises: BadAudio when there is no sound, or more than five minutes of it.
    """
    samples = checked(np.concatenate([user, np.zeros(round(room_s * SAMPLE_RATE_HZ), np.float32)]))
    if not len(user):
        raise BadAudio("The recording holds no sound; record or choose another.")
    if len(samples) > MAX_USER_S * SAMPLE_RATE_HZ:
        raise BadAudio(
            f"The recording has {len(samples) / SAMPLE_RATE_HZ:.0f} s; the limit is {MAX_USER_S} s. Cut it"
            " and try again."
        )
    sampling = config.sampling
    if sampling.seed is None:
        # without a seed the same request would not give the same answer
        sampling = replace(sampling, seed=seed)
    return RenderRequest(samples, replace(config, sampling=sampling, realtime=False), more_s)


class Render:
    """A rendering in progress, in a session of its own. Every call blocks; one thread may use it at a
    time.
    """

    def __init__(self, engine: Engine, render_request: RenderRequest) -> None:
        """Open the session.

        Raises: UnknownVoice, BadPrompt, CapacityError, EngineError; BadInput for a request that would not
        render the same again.
        """
        if render_request.config.realtime or render_request.config.sampling.seed is None:
            raise BadInput(
                "A rendering needs a seed and must not be in real time; make its request with"
                " `render.request`."
            )
        self._request = render_request
        self._engine_name = engine.name
        self._key = render_request.key(engine.identity)
        # exactly what is stored and hashed: 16-bit samples
        self._user = pcm16_to_float(float_to_pcm16(render_request.user))
        self._frames = np.pad(self._user, (0, -len(self._user) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
        self._agent: list[np.ndarray] = []
        self._utterances: dict[tuple[str, int], Utterance] = {}
        self._events: list[Event] = []
        self._step_ms: list[float] = []
        self._sounded_frame = -math.inf
        self._session = engine.open(render_request.config)

    @property
    def done_frames(self) -> int:
        return len(self._step_ms)

    @property
    def _next_frame(self) -> np.ndarray | None:
        """What the user sends next; None when all is over."""
        if self.done_frames < len(self._frames):
            return self._frames[self.done_frames]
        more_s = (self.done_frames - len(self._frames)) * FRAME_S
        quiet_s = (self.done_frames - self._sounded_frame) * FRAME_S
        goes_on = more_s < self._request.more_s and quiet_s < ENDED_S
        return np.zeros(FRAME_SAMPLES, np.float32) if goes_on else None

    def advance(self, budget_s: float) -> bool:
        """Step for `budget_s`, at least once; return whether there is more to do.

        Raises: EngineError.
        """
        until_s = time.perf_counter() + budget_s
        while (frame := self._next_frame) is not None:
            began_s = time.perf_counter()
            step = self._session.step(frame)
            now_s = time.perf_counter()
            self._step_ms.append((now_s - began_s) * 1000)
            self._agent.append(step.agent)
            if np.max(np.abs(step.agent)) > AUDIBLE:
                self._sounded_frame = self.done_frames
            for event in step.events:
                self._take(event)
            if now_s >= until_s:
                break
        return self._next_frame is not None

    def finish(self) -> Rendering:
        """Return what was rendered and close the session."""
        self.close()
        agent = np.concatenate(self._agent) if self._agent else np.zeros(0, np.float32)
        if self.done_frames <= len(self._frames):
            agent = agent[: len(self._user)]
        user = np.pad(self._user, (0, max(0, len(agent) - len(self._user))))
        return Rendering(
            key=self._key,
            meta=TalkMeta.of(self._engine_name, self._request.config),
            rendered_at_s=time.time(),
            user=user[: len(agent)],
            agent=pcm16_to_float(float_to_pcm16(agent)),
            utterances=tuple(sorted(self._utterances.values(), key=lambda each: (each.start_s, each.end_s))),
            marks=tuple(event for event in self._events if isinstance(event, Mark)),
            turn_latencies=tuple(event for event in self._events if isinstance(event, TurnLatency)),
            step_ms=tuple(round(ms, 3) for ms in self._step_ms),
        )

    def close(self) -> None:
        """Close the session. May be called twice."""
        self._session.close()

    def _take(self, event: Event) -> None:
        if isinstance(event, Utterance) and (
            len(self._utterances) < MAX_EVENTS or (event.speaker, event.id) in self._utterances
        ):
            self._utterances[event.speaker, event.id] = event
        elif isinstance(event, Mark | TurnLatency) and len(self._events) < MAX_EVENTS:
            self._events.append(event)


def render(engine: Engine, render_request: RenderRequest) -> Rendering:
    """Render one request on this thread.

    Raises: UnknownVoice, BadPrompt, CapacityError, EngineError.
    """
    under_way = Render(engine, render_request)
    try:
        while under_way.advance(1.0):
            pass
        return under_way.finish()
    finally:
        under_way.close()


def _fields(value: Any) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value)}


def _as_json(value: Any) -> Any:
    """Return a dataclass as JSON, bytes as their hash; fields that are added later are included by
    themselves.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _as_json(each) for name, each in _fields(value).items()}
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value
