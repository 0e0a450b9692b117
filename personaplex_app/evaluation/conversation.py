"""Play a scenario to an engine frame by frame: as fast as the machine allows, or in real time."""

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

STOP_CHECK_EVERY_S = 0.25


class Stopped(Exception):
    """The run was asked to stop; conversations that were finished before are kept."""


def agent_side_of(rendering: Rendering) -> AgentSide:
    """Return the agent's side of a rendering."""
    return AgentSide(rendering.agent, _agent_words(rendering.utterances), rendering.step_ms)


def play(engine: Engine, user: np.ndarray, config: SessionConfig, stop: threading.Event) -> AgentSide:
    """Play a recording as fast as the machine allows, with latencies on the audio timeline.

    Shapes: `user` is float32 [N] at 24 kHz.
    Raises: Stopped, UnknownVoice, BadPrompt, CapacityError, EngineError.
    """
    rendering = Render(engine, request(user, config))
    try:
        while rendering.advance(STOP_CHECK_EVERY_S):
            if stop.is_set():
                raise Stopped
        return agent_side_of(rendering.finish())
    finally:
        rendering.close()


def play_live(engine: Engine, user: np.ndarray, config: SessionConfig, stop: threading.Event) -> AgentSide:
    """Play a recording in real time: each frame is passed on when its last sample
    would have been spoken.

    Shapes: `user` is float32 [N] at 24 kHz.
    Raises: Stopped, UnknownVoice, BadPrompt, CapacityError, EngineError.
    """
    asked_s = time.perf_counter()
    session = engine.open(replace(config, realtime=True))
    agent: list[np.ndarray] = []
    utterances_by_id: dict[int, Utterance] = {}
    step_ms: list[float] = []
    ready_s: list[float] = []
    try:
        began_s = time.perf_counter()
        padded = np.pad(user, (0, -len(user) % FRAME_SAMPLES))
        for index, frame in enumerate(padded.reshape(-1, FRAME_SAMPLES)):
            # from the beginning, not from the last frame, so that errors do not add up
            due_s = began_s + (index + 1) * FRAME_S
            if stop.wait(max(0.0, due_s - time.perf_counter())):
                raise Stopped
            given_s = time.perf_counter()
            step = session.step(frame)
            back_s = time.perf_counter()
            step_ms.append(round((back_s - given_s) * 1000, 3))
            ready_s.append(round(back_s - began_s, 6))
            agent.append(step.agent)
            utterances_by_id |= {
                event.id: event
                for event in step.events
                if isinstance(event, Utterance) and event.speaker == "agent"
            }
    finally:
        session.close()
    return AgentSide(
        np.concatenate(agent)[: len(user)],
        _agent_words(utterances_by_id.values()),
        tuple(step_ms),
        tuple(ready_s),
        began_s - asked_s,
    )


def _agent_words(utterances) -> tuple[Word, ...]:
    words = [word for each in utterances if each.speaker == "agent" for word in each.words]
    return tuple(sorted(words, key=lambda word: word.start_s))
