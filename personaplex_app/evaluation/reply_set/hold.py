"""Hold the visitors' talks: with a responder in text, or with an engine by voice in lockstep."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ...engine.contract import Engine, Event, Session, SessionConfig, TurnLatency, Utterance
from ...responder.contract import Responder
from ...responder.numbers import figures
from ...speech.synthesiser import TIMBRES, Synthesiser
from ...units import FRAME_S, FRAME_SAMPLES
from .turns import Turn, VisitorTalk
from .verdict import Verdict, judge

QUIET_S = 1.6
"""So long an agent that has answered is silent before the visitor speaks again."""
MAX_REPLY_S = 25.0
MAX_WAIT_S = 6.0
"""An agent that has not begun by then has not answered."""
# a little noise throughout, because no microphone delivers digital silence
_FLOOR = 0.0003


@dataclass(frozen=True)
class JudgedTurn:
    """One turn of a talk, what was replied and the verdict on it.

    `heard` is what the agent recognised, the visitor's words in text. `reply_s` is the time until the first
    sentence in text, and the turn latency on the audio's timeline by voice; None where nothing came.
    """

    role: str
    number: int
    turn: Turn
    heard: str
    reply: str
    reply_s: float | None
    verdict: Verdict


def hold_in_text(
    talk: VisitorTalk, make: Callable[[SessionConfig], Responder], voice: str
) -> Iterator[JudgedTurn]:
    """Yield the turns of a talk with a responder alone; everything it says counts as played."""
    responder = make(SessionConfig(voice, talk.prompt, talk.persona, realtime=False))
    try:
        last = responder.greet()
        responder.record_played(last, False)
        judging = _Judging(talk, last)
        for turn in talk.turns:
            began_s = time.perf_counter()
            first_s: float | None = None
            sentences: list[str] = []
            for sentence in responder.reply(turn.say):
                if first_s is None:
                    first_s = time.perf_counter() - began_s
                sentences.append(sentence)
            reply = " ".join(sentences)
            responder.record_played(reply, False)
            yield judging.judged(turn, turn.say, reply, first_s)
    finally:
        responder.close()


def hold_by_voice(
    talk: VisitorTalk, engine: Engine, voice: str, synthesiser: Synthesiser, visitor: int
) -> Iterator[JudgedTurn]:
    """Yield the turns of a talk with an engine as fast as the machine allows; `visitor` picks who speaks.

    The visitor waits until the agent has greeted and answered, so no turn is cut.
    Raises: UnknownVoice, BadPrompt, CapacityError, EngineError.
    """
    session = engine.open(SessionConfig(voice, talk.prompt, talk.persona, realtime=False))
    line = _Line(session, np.random.default_rng(visitor))
    timbre = TIMBRES[visitor % len(TIMBRES)]
    try:
        line.listen()
        judging = _Judging(talk, line.said("agent", 0.0))
        for turn in talk.turns:
            began_s = line.at_s
            line.send(synthesiser.speak(turn.say, timbre).samples)
            line.listen()
            reply = line.said("agent", began_s)
            yield judging.judged(turn, line.said("user", began_s), reply, line.latency_s(began_s))
    finally:
        session.close()


class _Judging:
    """Judges the turns of one talk, each in the light of those before it."""

    def __init__(self, talk: VisitorTalk, greeting: str) -> None:
        self._talk = talk
        self._last = greeting
        self._known = figures(talk.prompt)
        self._number = 0

    def judged(self, turn: Turn, heard: str, reply: str, reply_s: float | None) -> JudgedTurn:
        self._number += 1
        # a number misheard is not the responder's invention
        self._known |= figures(turn.say) | figures(heard)
        verdict = judge(turn, reply, self._last, self._known)
        # what was right to say stays right in the turns that follow
        self._known |= figures(reply) if turn.figures is None else turn.figures
        self._last = reply
        return JudgedTurn(self._talk.role, self._number, turn, heard, reply, reply_s, verdict)


class _Line:
    """A session stepped frame by frame, and what was said in it."""

    def __init__(self, session: Session, rng: np.random.Generator) -> None:
        self._session = session
        self._rng = rng
        self._frames = 0
        self._utterances: dict[int, Utterance] = {}
        self._latencies: list[TurnLatency] = []

    @property
    def at_s(self) -> float:
        return self._frames * FRAME_S

    def send(self, samples: np.ndarray) -> None:
        """Say a clip."""
        padded = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES))
        for frame in padded.reshape(-1, FRAME_SAMPLES):
            self._step(frame)

    def listen(self) -> None:
        """Send silence until the agent has spoken and is quiet again, or does not begin."""
        began_s = self.at_s
        while self.at_s - began_s < MAX_REPLY_S:
            self._step(np.zeros(FRAME_SAMPLES, np.float32))
            spoken = [u for u in self._utterances.values() if u.speaker == "agent" and u.end_s > began_s]
            if not spoken:
                if self.at_s - began_s >= MAX_WAIT_S:
                    return
            elif all(u.final for u in spoken) and self.at_s - max(u.end_s for u in spoken) >= QUIET_S:
                return

    def said(self, speaker: str, since_s: float) -> str:
        """Return what a side has said in utterances that began after `since_s`."""
        said = [u for u in self._utterances.values() if u.speaker == speaker and u.start_s >= since_s]
        return " ".join(u.text for u in sorted(said, key=lambda u: u.start_s)).strip()

    def latency_s(self, since_s: float) -> float | None:
        """Return the latency of the first turn answered after `since_s`."""
        return next((t.agent_start_s - t.user_end_s for t in self._latencies if t.user_end_s > since_s), None)

    def _step(self, frame: np.ndarray) -> None:
        noisy = frame + self._rng.normal(0.0, _FLOOR, len(frame))
        step = self._session.step(np.clip(noisy, -1.0, 1.0).astype(np.float32))
        self._frames += 1
        for event in step.events:
            self._note(event)

    def _note(self, event: Event) -> None:
        match event:
            case Utterance():
                self._utterances[event.id] = event
            case TurnLatency():
                self._latencies.append(event)
