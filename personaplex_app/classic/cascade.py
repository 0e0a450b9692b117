"""A session of the embedded engine: a step takes 80 ms of the user stream and gives 80 ms of the agent's."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from ..engine.contract import Event, Notice, Step, Utterance
from ..engine.saying_contract import Line
from ..errors import BadAudio, BadInput, EngineError, PersonaplexError
from ..responder.contract import Responder
from ..speech.recogniser import Recogniser
from ..speech.spanish.voices import SpanishSynthesiser
from ..speech.synthesiser import Synthesiser, Timbre
from ..speech.vad import VadModel, VadStream
from ..units import FRAME_S, FRAME_SAMPLES
from .language import ENGLISH_TALK, TalkLanguage
from .lines import LineQueue
from .reply_player import ReplyPlayer
from .turn_actions import Action, ActionKind, Phase
from .turns import Turns
from .user_recognition import UserRecognition
from .workers import Worker, WorkQueue

_MOST_TYPED = 4
LINE_TURN = -1
"""Stands for the turn that a line answers which answers none; the greeting's is 0."""
# The agent's voice may come back through the network, buffers, loudspeaker and room within two seconds.
_ECHO_DELAY_S = 2.0


@dataclass
class Models:
    """What all sessions of one language share: the models, and a worker thread for each slow one."""

    vad: VadModel
    recogniser: Recogniser
    recognition: Worker
    synthesiser: Synthesiser | SpanishSynthesiser
    synthesis: Worker


class CascadeSession:
    """A session of the embedded engine.

    With `lockstep` every piece of work takes exactly two frames: the session may run faster than real time
    and gives the same result each time. Without it, results are used as soon as they are there.
    """

    def __init__(
        self,
        models: Models,
        timbre: Timbre,
        responder: Responder,
        notices: deque[Notice],
        lockstep: bool = False,
        prompt: str = "",
        language: TalkLanguage = ENGLISH_TALK,
        greets: bool = True,
    ) -> None:
        self._language = language
        self._work_queue = WorkQueue(lockstep)
        self._turns = Turns(language.words)
        self._vad = VadStream(models.vad)
        self._events: list[Event] = []
        self._text = ""
        self._notices = notices
        self._frame = 0
        self._closed = False
        # `interrupt` may be called from any thread, but only `step` touches the rest of the state
        self._stop = threading.Event()
        self._typed: deque[str] = deque()
        self._typed_turn = 0
        self._lines = LineQueue()
        ids = itertools.count(1)

        def next_id() -> int:
            return next(ids)

        self._next_id = next_id
        self._recognition = UserRecognition(
            models.recogniser,
            models.recognition,
            self._work_queue,
            lockstep,
            next_id,
            self._events.append,
            self._on_pause,
            self._on_partial,
        )
        self._player = ReplyPlayer(
            responder,
            models.synthesiser,
            models.synthesis,
            timbre,
            self._work_queue,
            next_id,
            self._events.append,
            self._on_ready,
            self._on_no_answer,
            self._lines.ended,
            prompt,
            language,
        )
        if greets:
            self._player.prepare_greeting()
        # a noise before the greeting only delays it; words of the user cancel it
        self._user_spoke = self._understood = self._greeting_missed = False

    @property
    def _now_s(self) -> float:
        """The end of the present frame, in seconds from the session's beginning."""
        return (self._frame + 1) * FRAME_S

    def step(self, user: np.ndarray) -> Step:
        """Advance by one frame.

        Shapes: `user` is float32 [1920] at 24 kHz.
        Raises: BadAudio for a frame of another shape (the talk can go on), EngineError when it cannot go on.
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
        self._recognition.sound.push(user)
        # the order matters: the gate first sees this frame, then the workers' results, then the turn advances
        self._turns.set_agent_sounding(self._player.playback.is_sounding)
        for chunk in self._vad.push(user):
            self._turns.gate.push(chunk)
        if self._stop.is_set():
            self._stop.clear()
            self._stop_agent()
        while self._typed:
            self._do(self._turns.typed(self._typed.popleft(), self._now_s))
        self._begin_line()
        self._work_queue.poll(self._frame)
        while self._notices:
            self._events.append(self._notices.popleft())
        self._do(self._turns.advance(self._now_s))
        played = self._player.pull(start_s)
        self._text += "".join(f" {word.text}" for word in played.started_words)
        if self._player.finished(self._now_s):
            self._do(self._turns.agent_finished(self._now_s))
        self._frame += 1
        return Step(played.frame, self._text, tuple(self._events))

    def _begin_line(self) -> None:
        """Tell how lines fare, end one that was taken back, and prepare the next when its time has come."""
        self._events.extend(self._lines.news())
        turns = self._turns
        player = self._player
        # what may not be interrupted is spoken to its end
        turns.protected = bool(player.line and player.line.begun and not player.line.line.interruptible)
        line = self._lines.first
        if player.line and player.line.taken_back:
            self._stop_agent()
        elif line and line is not player.line and line.line.when != "reply":
            if line.line.when == "now":
                self._stop_agent()
            if turns.phase is Phase.LISTEN and not turns.turn and player.is_free:
                player.prepare_line(LINE_TURN, line)

    def _stop_agent(self) -> None:
        self._do(self._turns.stop(self._now_s))
        self._player.discard()

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            self._perform(action)

    def _perform(self, action: Action) -> None:
        player = self._player
        recognition = self._recognition
        gate = self._turns.gate
        match action.do:
            case ActionKind.BEGIN:
                self._user_spoke = True
                recognition.begin(action.turn_id, gate.onset_s)
            case ActionKind.RESUME_TURN:
                recognition.resume()
            case ActionKind.PARTIAL:
                recognition.recognise_partial(self._now_s)
            case ActionKind.PAUSE:
                recognition.recognise_pause(action.turn_id, action.pause, self._now_s)
            case ActionKind.PREPARE:
                self._prepare(action)
            case ActionKind.TYPED:
                self._user_spoke = self._understood = True
                self._typed_turn = action.turn_id
                self._events.append(
                    Utterance(
                        self._next_id(), "user", action.text, self._now_s, self._now_s, True, typed=True
                    )
                )
                self._prepare(action)
            case ActionKind.BABBLE:
                player.prepare_loud(action.turn_id)
            case ActionKind.DISCARD:
                player.discard()
            case ActionKind.ANSWER:
                user_end_s = recognition.voice_end_s(gate.voice_end_s)
                recognition.close(user_end_s)
                # from a line that was written on, no latency of speech can be told
                player.begin(
                    self._frame * FRAME_S, None if action.turn_id == self._typed_turn else user_end_s
                )
                self._understood = True
            case ActionKind.CLOSE:
                recognition.close(gate.voice_end_s)
                self._understood = True
            case ActionKind.DISCARD_TURN:
                # with words it was the agent's own voice, or a backchannel
                recognition.discard()
                self._user_spoke = self._understood
                if self._greeting_missed and not self._understood:
                    self._greeting_missed = False
                    player.prepare_greeting()
            case ActionKind.DUCK | ActionKind.UNDUCK:
                player.playback.duck(action.do is ActionKind.DUCK)
            case ActionKind.CUT:
                player.playback.cut()
            case ActionKind.RESUME:
                player.playback.resume()
            case ActionKind.CONFIRM_CUT:
                self._turns.reply_was_cut(player.confirm_cut(self._now_s))
            case ActionKind.BACKCHANNEL:
                self._text += player.backchannel(self._frame * FRAME_S)
            case ActionKind.LOUD_ROOM:
                self._events.append(Notice("loud_room", self._language.lines.loud_room))
            case ActionKind.MARK if action.mark is not None:
                self._events.append(action.mark)

    def _prepare(self, action: Action) -> None:
        """Prepare the answer to the user: the line that is to be it, the responder's, or none while held."""
        line = self._lines.first
        if line and line.line.when == "reply":
            self._player.prepare_line(action.turn_id, line)
        elif self._lines.held:
            self._do(self._turns.no_answer(action.turn_id))
        else:
            self._player.prepare(action.turn_id, action.text)

    def _played(self) -> str:
        """Return the agent's words that the microphone may have picked up during the user's turn."""
        turn = self._turns.turn
        return self._player.played_since(turn.onset_s - _ECHO_DELAY_S) if turn else ""

    def _on_pause(self, turn_id: int, pause: int, text: str, faint: bool) -> None:
        turn = self._turns.turn
        if turn is None or not self._turns.current(turn_id, pause):
            return
        if faint and turn.during_agent:
            text = ""
        self._do(self._turns.recognised(turn_id, pause, text, self._played(), self._now_s))
        if self._turns.turn is not None:
            self._recognition.show_partial(self._turns.gate.voice_end_s)

    def _on_partial(self, turn_id: int, text: str) -> None:
        so_far = self._recognition.text
        self._do(self._turns.recognised_partial(turn_id, text, self._played(), self._now_s, so_far))
        if self._turns.phase is not Phase.SPEAK:  # what comes while the agent speaks may be its own voice
            self._recognition.show_partial(self._turns.gate.voice_end_s)

    def _on_ready(self, turn_id: int) -> None:
        if turn_id > 0:
            self._turns.ready(turn_id)
        elif turn_id == LINE_TURN:
            if self._turns.turn:  # the user was quicker; the line waits for the next silence
                self._player.discard()
            else:
                self._turns.greet(self._now_s)
                self._player.begin(self._frame * FRAME_S, None)
        elif self._user_spoke or self._lines.held:
            self._player.discard()
            self._greeting_missed = self._user_spoke
        else:
            self._turns.greet(self._now_s)
            self._player.begin(self._frame * FRAME_S, None)

    def _on_no_answer(self, turn_id: int) -> None:
        self._do(self._turns.no_answer(turn_id))

    def interrupt(self) -> None:
        """Silence the agent from the next frame on. May be called from any thread."""
        self._stop.set()

    def type(self, text: str) -> None:
        """Take a line as the user's turn from the next frame on. May be called from any thread.

        Raises: BadInput when too many lines wait.
        """
        if len(self._typed) >= _MOST_TYPED:
            raise BadInput(f"{_MOST_TYPED} lines wait already; write again in a moment.")
        self._typed.append(text)

    def say(self, line: Line) -> None:
        """Take a line. May be called from any thread. Raises: BadInput, CapacityError."""
        self._lines.say(line, self._now_s)

    def more(self, line_id: str, text: str, last: bool) -> None:
        """Go on with a line. May be called from any thread. Raises: BadInput."""
        self._lines.more(line_id, text, last)

    def unsay(self, line_id: str) -> None:
        """Take a line back, "" for all. May be called from any thread."""
        self._lines.unsay(line_id, self._now_s)

    def hold(self, on: bool) -> None:
        """Answer nothing of its own from the next turn on, or answer again. May be called from any thread."""
        self._lines.held = on

    def close(self) -> None:
        """End the session and its thread. May be called twice."""
        if not self._closed:
            self._closed = True
            self._lines.close()
            # first the queue, so that no result is delivered to a closed player
            self._work_queue.close()
            self._player.close()
