"""What an agent says to a recording of the user: both sides on one time axis, with the words, marks and times
that go with them.

A rendering is told by its key, which names everything that it depends on: the same request of the same engine
is the same rendering.
`render_cache` keeps renderings on disk, `render_batch` makes many of them beside live talks.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from ..audio import checked, float_to_pcm16, pcm16_to_float
from ..engine.contract import Engine, Event, Mark, Sampling, SessionConfig, TurnLatency, Utterance
from ..errors import BadAudio, BadInput
from ..sessions.records import TalkMeta
from ..units import FRAME_SAMPLES, SAMPLE_RATE_HZ

SCHEMA = 1
MAX_USER_S = 300
MAX_EVENTS = 20_000


@dataclass(frozen=True)
class RenderRequest:
    """What to render. The configuration must have a seed and not be `realtime`; `request` takes care of both.

    Shapes: `user` is float32 [N] at 24 kHz in [-1, 1], at most five minutes.
    """

    user: np.ndarray
    config: SessionConfig

    @property
    def duration_s(self) -> float:
        return len(self.user) / SAMPLE_RATE_HZ

    def key(self, engine_identity: str) -> str:
        """Return what tells this request's answer from every other: 64 hexadecimal digits."""
        config = _as_json(self.config)
        # the key of a rendering that lies on somebody's disk was made when the field was called so
        config["paced"] = config.pop("realtime")
        told = {
            "schema": SCHEMA,
            "engine": engine_identity,
            "user": hashlib.sha256(float_to_pcm16(self.user)).hexdigest(),
            "config": config,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


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


def request(user: np.ndarray, config: SessionConfig, seed: int = 0, room_s: float = 0.0) -> RenderRequest:
    """Return a request that renders the same whenever it is made: not in real time, and with `seed` where the
    configuration has none.

    `room_s` seconds of silence after the user's recording leave the agent time to answer.

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
        sampling = Sampling(**{**_fields(sampling), "seed": seed})
    return RenderRequest(
        samples, SessionConfig(**{**_fields(config), "sampling": sampling, "realtime": False})
    )


class Render:
    """One rendering under way in a session of its own.

    Every call blocks; the object belongs to one thread at a time.
    """

    def __init__(self, engine: Engine, asked: RenderRequest) -> None:
        """Open the session.

        Raises: UnknownVoice, BadPrompt, CapacityError, EngineError; BadInput for a request that would not
        render the same again.
        """
        if asked.config.realtime or asked.config.sampling.seed is None:
            raise BadInput(
                "A rendering needs a seed and must not be in real time; make its request with"
                " `render.request`."
            )
        self._asked = asked
        self._engine_name = engine.name
        self._key = asked.key(engine.identity)
        self._user = pcm16_to_float(float_to_pcm16(asked.user))
        self._frames = np.pad(self._user, (0, -len(self._user) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
        self._agent: list[np.ndarray] = []
        self._utterances: dict[tuple[str, int], Utterance] = {}
        self._events: list[Event] = []
        self._step_ms: list[float] = []
        self._session = engine.open(asked.config)

    @property
    def done_frames(self) -> int:
        return len(self._step_ms)

    @property
    def total_frames(self) -> int:
        return len(self._frames)

    def advance(self, budget_s: float) -> bool:
        """Step until `budget_s` have passed, at least once; return whether there is more to do.

        Raises: EngineError.
        """
        until_s = time.perf_counter() + budget_s
        while self.done_frames < self.total_frames:
            began_s = time.perf_counter()
            step = self._session.step(self._frames[self.done_frames])
            now_s = time.perf_counter()
            self._step_ms.append((now_s - began_s) * 1000)
            self._agent.append(step.agent)
            for event in step.events:
                self._take(event)
            if now_s >= until_s:
                break
        return self.done_frames < self.total_frames

    def finish(self) -> Rendering:
        """Return what was rendered and close the session."""
        self.close()
        count = len(self._user)
        agent = np.concatenate(self._agent)[:count] if self._agent else np.zeros(0, np.float32)
        return Rendering(
            key=self._key,
            meta=TalkMeta.of(self._engine_name, self._asked.config),
            rendered_at_s=time.time(),
            user=self._user[: len(agent)],
            agent=pcm16_to_float(float_to_pcm16(agent)),
            utterances=tuple(sorted(self._utterances.values(), key=lambda each: (each.start_s, each.end_s))),
            marks=tuple(event for event in self._events if isinstance(event, Mark)),
            turn_latencies=tuple(event for event in self._events if isinstance(event, TurnLatency)),
            step_ms=tuple(round(ms, 3) for ms in self._step_ms),
        )

    def close(self) -> None:
        """Give the session back. May be called twice."""
        self._session.close()

    def _take(self, event: Event) -> None:
        if isinstance(event, Utterance) and (
            len(self._utterances) < MAX_EVENTS or (event.speaker, event.id) in self._utterances
        ):
            self._utterances[event.speaker, event.id] = event
        elif isinstance(event, Mark | TurnLatency) and len(self._events) < MAX_EVENTS:
            self._events.append(event)


def render(engine: Engine, asked: RenderRequest) -> Rendering:
    """Render one request here and now.

    Raises: UnknownVoice, BadPrompt, CapacityError, EngineError.
    """
    under_way = Render(engine, asked)
    try:
        while under_way.advance(1.0):
            pass
        return under_way.finish()
    finally:
        under_way.close()


def _fields(value: Any) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value)}


def _as_json(value: Any) -> Any:
    """Return a dataclass as JSON can hold it, bytes as their hash: a field that is added later counts too."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _as_json(each) for name, each in _fields(value).items()}
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value
