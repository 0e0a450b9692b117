"""One talk with the embedded engine: 80 ms of the user in, 80 ms of the agent out."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from ..engine.contract import Event, Notice, Step
from ..errors import BadAudio, EngineError, PersonaplexError
from ..responder.contract import Responder
from ..speech.recogniser import Recogniser
from ..speech.synthesiser import Synthesiser, Timbre
from ..speech.vad import VadModel, VadStream
from ..units import FRAME_S, FRAME_SAMPLES
from .reply_player import ReplyPlayer
from .turns import Action, ActionKind, Phase, Turns
from .user_recognition import UserRecognition
from .workers import Worker, WorkQueue

_LOUD_ROOM = (
    "Your microphone hears the loudspeakers, so interrupting takes a little longer; headphones would help."
)
# From the engine's frame through network, buffers, loudspeaker and room back to the engine: two seconds at
# the very most.
_ECHO_DELAY_S = 2.0


@dataclass
class Models:
    """What the sessions of an engine share: the models, and one thread for each that takes long."""

    vad: VadModel
    recogniser: Recogniser
    recognition: Worker
    synthesiser: Synthesiser
    synthesis: Worker


class CascadeSession:
    """A conversation. With `lockstep` every piece of work takes exactly two frames, so a talk can be run as
    fast as the machine allows and comes out the same each time; without it, results are taken up when they
    are there."""

    def __init__(
        self,
        models: Models,
        timbre: Timbre,
        responder: Responder,
        notices: deque[str],
        lockstep: bool = False,
    ) -> None:
        self._work_queue = WorkQueue(lockstep)
        self._turns = Turns()
        self._vad = VadStream(models.vad)
        self._events: list[Event] = []
        self._text = ""
        self._notices = notices
        self._frame = 0
        self._closed = False
        self._stop = threading.Event()
        ids = itertools.count(1)

        def next_id() -> int:
            return next(ids)

        self._listener = UserRecognition(
            models.recogniser,
            models.recognition,
            self._work_queue,
            lockstep,
            next_id,
            self._events.append,
            self._on_pause,
            self._on_partial,
        )
        self._speaker = ReplyPlayer(
            responder,
            models.synthesiser,
            models.synthesis,
            timbre,
            self._work_queue,
            next_id,
            self._events.append,
            self._on_ready,
            self._on_nothing,
        )
        self._speaker.prepare_greeting()
        # a sound without words that came before the greeting only puts it off
        self._user_spoke = self._understood = self._greeting_missed = False

    @property
    def _now_s(self) -> float:
        """The end of the frame that was just heard."""
        return (self._frame + 1) * FRAME_S

    def step(self, user: np.ndarray) -> Step:
        """Advance by one frame.

        Shapes: `user` is float32 [1920] at 24 kHz.
        Raises: BadAudio when the frame is none (the talk can go on), EngineError when the talk cannot go on.
        """
        if self._closed:
            raise EngineError("This talk has been closed; start a new one.")
        if user.shape != (FRAME_SAMPLES,):
            raise BadAudio(f"A frame is {FRAME_SAMPLES} samples; this one has the shape {user.shape}.")
        try:
            return self._advance(user)
        except PersonaplexError:
            raise
        except Exception as error:
            raise EngineError(
                f"The embedded engine failed in this talk ({type(error).__name__}); start a new one."
            ) from error

    def _advance(self, user: np.ndarray) -> Step:
        self._events.clear()
        self._text = ""
        start_s = self._frame * FRAME_S
        self._listener.heard.push(user)
        self._turns.agent_sounds(self._speaker.playback.sounding)
        for chunk in self._vad.push(user):
            self._turns.gate.push(chunk)
        if self._stop.is_set():
            self._stop.clear()
            self._do(self._turns.stop(self._now_s))
            self._speaker.discard()
        self._work_queue.poll(self._frame)
        while self._notices:
            self._events.append(Notice("responder", self._notices.popleft()))
        self._do(self._turns.hear(self._now_s))
        played = self._speaker.pull(start_s)
        self._text += "".join(f" {word.text}" for word in played.begun)
        if self._speaker.finished(self._now_s):
            self._do(self._turns.agent_done(self._now_s))
        self._frame += 1
        return Step(played.frame, self._text, tuple(self._events))

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            self._perform(action)

    def _perform(self, action: Action) -> None:
        speaker = self._speaker
        listener = self._listener
        gate = self._turns.gate
        match action.do:
            case ActionKind.BEGIN:
                self._user_spoke = True
                listener.begin(action.turn_id, gate.onset_s)
            case ActionKind.RESUME_TURN:
                listener.resume()
            case ActionKind.PARTIAL:
                listener.recognise_partial(self._now_s)
            case ActionKind.PAUSE:
                listener.recognise_pause(action.turn_id, action.pause, self._now_s)
            case ActionKind.PREPARE:
                speaker.prepare(action.turn_id, action.text)
            case ActionKind.DISCARD:
                speaker.discard()
            case ActionKind.ANSWER:
                user_end_s = listener.voice_end_s(gate.voice_end_s)
                listener.close(user_end_s)
                speaker.begin(self._frame * FRAME_S, user_end_s)
                self._understood = True
            case ActionKind.CLOSE:
                listener.close(gate.voice_end_s)
                self._understood = True
            case ActionKind.FORGET:
                listener.forget()
                self._user_spoke = self._understood
                if self._greeting_missed and not self._understood:
                    self._greeting_missed = False
                    speaker.prepare_greeting()
            case ActionKind.DUCK | ActionKind.UNDUCK:
                speaker.playback.duck(action.do is ActionKind.DUCK)
            case ActionKind.CUT:
                speaker.playback.cut()
            case ActionKind.RESUME:
                speaker.playback.resume()
            case ActionKind.SETTLE:
                self._turns.said(speaker.settle(self._now_s))
            case ActionKind.HUM:
                self._text += speaker.hum(self._frame * FRAME_S)
            case ActionKind.LOUD_ROOM:
                self._events.append(Notice("loud_room", _LOUD_ROOM))
            case ActionKind.MARK if action.mark is not None:
                self._events.append(action.mark)

    def _played(self) -> str:
        """What the microphone may have heard of the agent during the user's turn."""
        turn = self._turns.turn
        return self._speaker.played_since(turn.onset_s - _ECHO_DELAY_S) if turn else ""

    def _on_pause(self, turn_id: int, pause: int, text: str) -> None:
        if not self._turns.current(turn_id, pause):
            return
        self._do(self._turns.recognised(turn_id, pause, text, self._played(), self._now_s))
        if self._turns.turn is not None:
            self._listener.show(self._turns.gate.voice_end_s)

    def _on_partial(self, turn_id: int, text: str) -> None:
        self._do(self._turns.overheard(turn_id, text, self._played(), self._now_s))
        if self._turns.phase is not Phase.SPEAK:  # what comes while the agent speaks may be its own voice
            self._listener.show(self._turns.gate.voice_end_s)

    def _on_ready(self, turn_id: int) -> None:
        if turn_id:
            self._turns.ready(turn_id)
        elif self._user_spoke:
            self._speaker.discard()
            self._greeting_missed = True
        else:
            self._turns.greet(self._now_s)
            self._speaker.begin(self._frame * FRAME_S, None)

    def _on_nothing(self, turn_id: int) -> None:
        self._do(self._turns.unanswered(turn_id))

    def interrupt(self) -> None:
        """Make the agent stop speaking with the next frame. May be called from any thread."""
        self._stop.set()

    def close(self) -> None:
        """End the talk and its thread. May be called twice."""
        if not self._closed:
            self._closed = True
            self._work_queue.close()
            self._speaker.close()
