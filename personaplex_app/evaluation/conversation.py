"""A scenario played to an engine, frame by frame: on the timeline as fast as the machine allows, or in real
time on the wall clock.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np

from ..engine.contract import Engine, SessionConfig, Utterance
from ..protocol_events import Word
from ..rendering.render import Render, Rendering, request
from ..units import FRAME_S, FRAME_SAMPLES
from .measures import AgentSide

_LOOK_EVERY_S = 0.25


class Stopped(Exception):
    """Somebody asked to stop; what is whole stays."""


def heard_in(rendering: Rendering) -> AgentSide:
    """Return the agent's side of a rendering."""
    return AgentSide(rendering.agent, _agent_words(rendering.utterances), rendering.step_ms)


def play(engine: Engine, user: np.ndarray, config: SessionConfig, stop: threading.Event) -> AgentSide:
    """Play a recording on the timeline.

    Shapes: `user` is float32 [N] at 24 kHz.
    Raises: Stopped, UnknownVoice, BadPrompt, CapacityError, EngineError.
    """
    under_way = Render(engine, request(user, config))
    try:
        while under_way.advance(_LOOK_EVERY_S):
            if stop.is_set():
                raise Stopped
        return heard_in(under_way.finish())
    finally:
        under_way.close()


def play_live(engine: Engine, user: np.ndarray, config: SessionConfig, stop: threading.Event) -> AgentSide:
    """Play a recording in real time: each frame is given when its last sample would have been said.

    Shapes: `user` is float32 [N] at 24 kHz.
    Raises: Stopped, UnknownVoice, BadPrompt, CapacityError, EngineError.
    """
    asked_s = time.perf_counter()
    session = engine.open(replace(config, realtime=True))
    agent: list[np.ndarray] = []
    said: dict[int, Utterance] = {}
    step_ms: list[float] = []
    ready_s: list[float] = []
    try:
        began_s = time.perf_counter()
        for index, frame in enumerate(
            np.pad(user, (0, -len(user) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
        ):
            due_s = began_s + (index + 1) * FRAME_S
            if stop.wait(max(0.0, due_s - time.perf_counter())):
                raise Stopped
            given_s = time.perf_counter()
            step = session.step(frame)
            back_s = time.perf_counter()
            step_ms.append(round((back_s - given_s) * 1000, 3))
            ready_s.append(round(back_s - began_s, 6))
            agent.append(step.agent)
            said |= {
                event.id: event
                for event in step.events
                if isinstance(event, Utterance) and event.speaker == "agent"
            }
    finally:
        session.close()
    return AgentSide(
        np.concatenate(agent)[: len(user)],
        _agent_words(said.values()),
        tuple(step_ms),
        tuple(ready_s),
        began_s - asked_s,
    )


def _agent_words(utterances) -> tuple[Word, ...]:
    words = [word for each in utterances if each.speaker == "agent" for word in each.words]
    return tuple(sorted(words, key=lambda word: word.start_s))
