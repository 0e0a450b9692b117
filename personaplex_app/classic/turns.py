"""Whose turn it is. A state machine of voice activity, recognised text and the clock; it has no threads,
models or audio.

LISTEN  the agent is silent, the user may be speaking
HOLD    the user has paused; the turn may be over
SPEAK   the agent has the floor
FADE    the agent was cut off; whether the user meant it is not known before the words are

Every frame `hear` looks at the gate and says what to do; `recognised` and `ready` bring in what the workers
found. Results of a turn or pause that is past are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..engine.contract import Mark
from ..speech.vad import ON, ON_WHILE_SPEAKING, SpeechGate
from .phrases import PATIENCE_S, Ending, ending, is_backchannel, is_echo, is_fresh, is_stop, plain_words

PAUSE_S = 0.16
PARTIAL_EVERY_S = 0.48
DUCK_AFTER_S = 0.24
CUT_AFTER_S = 0.44
# A burst as long as this after the cut is no backchannel, whatever its words will be.
SETTLE_AFTER_S = 1.4
SHORT_BURST_S = 0.45
_BURST_VOICED_S = 0.16
# An answer is prepared this long before it may be needed: preparing costs two cores some 0.2 s.
_PREPARE_AHEAD_S = 0.5
HUM_AFTER_S = 0.64
_HUM_EVERY_S = 5.0
_HUM_VOICED_S = 0.6
# An answer of which so little was heard did not answer, and who speaks so soon had not finished: the question
# goes on.
_UNHEARD_WORDS = 2
_UNHEARD_WITHIN_S = 3.0
_CONTINUES_WITHIN_S = 0.8
_OVERLAP_AT_END_S = 0.3
_FRESH_PASSES = 2
# Two cuts in a row by sounds without words, by a single word that the agent just said, or that began and
# ended with the agent's voice: that voice itself, too short to be told.
_SUSPECT_CUTS = 2
_LOUD_ROOM_WORDS = 2
_SUSPECT_ONSET_S = 0.4
_SUSPECT_END_S = 0.35


class Phase(Enum):
    LISTEN = "listen"
    HOLD = "hold"
    SPEAK = "speak"
    FADE = "fade"


class ActionKind(Enum):
    """What the session does about it."""

    BEGIN = "begin a user turn"
    RESUME_TURN = "the user goes on after a pause"
    PARTIAL = "recognise the turn so far, for the captions"
    PAUSE = "recognise the turn so far, to act on it"
    PREPARE = "get the answer ready"
    DISCARD = "give up the answer that was being prepared"
    ANSWER = "close the user's turn and speak"
    CLOSE = "close the user's turn"
    FORGET = "there was no user turn"
    DUCK = "speak softer"
    UNDUCK = "speak as before"
    CUT = "fall silent, keep the rest"
    RESUME = "go on from the cut"
    SETTLE = "the cut stands: what was played is all that was said"
    HUM = "say mm-hm"
    MARK = "mark the lane"
    LOUD_ROOM = "the loudspeaker is heard by the microphone"


@dataclass(frozen=True)
class Action:
    """One thing to do. `turn_id` and `pause` name what a recognition is for."""

    do: ActionKind
    turn_id: int = 0
    pause: int = 0
    text: str = ""
    mark: Mark | None = None


@dataclass
class UserTurn:
    """The user's turn in progress.

    `asked` means that the present pause was sent to the recogniser; `text` is what came back.
    """

    id: int
    onset_s: float
    over_agent: bool
    partial_at_s: float
    pause: int = 0
    asked: bool = False
    text: str | None = None
    prepared: bool = False
    ready: bool = False
    voiced_s: float = 0.0
    fresh: int = 0


class Turns:
    """One conversation's turn-taking. `gate` is fed by the caller before each `hear`."""

    def __init__(self) -> None:
        self.gate = SpeechGate(gap_s=PAUSE_S)
        self.phase = Phase.LISTEN
        self.turn: UserTurn | None = None
        self.loud_room = False
        self._turn_ids = 0
        self._cut_s = 0.0
        self._agent_end_s = -10.0
        self._hummed_s = -10.0
        self._ducked = False
        self._unanswered = ""
        self._unanswered_until_s = 0.0
        self._burst = 0
        self._suspect_cuts = 0
        self._speaks_from_s = 0.0

    def agent_sounds(self, sounding: bool) -> None:
        """Raise the gate's threshold while the agent can be heard."""
        self.gate.threshold = ON_WHILE_SPEAKING if sounding else ON

    def greet(self, now_s: float) -> None:
        """Give the agent the floor without a user turn before it."""
        self.phase = Phase.SPEAK
        self._speaks_from_s = now_s

    # -- every frame -------------------------------------------------------------------------------

    def hear(self, now_s: float) -> list[Action]:
        """Advance to `now_s`, the end of the frame just heard."""
        actions: list[Action] = []
        turn = self._opened(now_s, actions)
        if turn is None:
            return actions
        turn.voiced_s = max(turn.voiced_s, self.gate.voiced_s)
        if self.phase is Phase.SPEAK:
            self._over_agent(turn, now_s, actions)
        elif self.gate.open:
            if self.phase is Phase.FADE and now_s - turn.onset_s >= SETTLE_AFTER_S:
                self._suspect_cuts = 0
                self._settle(turn, actions)
            self._ask_partial(turn, now_s, actions)
        else:
            self._paused(turn, now_s, actions)
        return actions

    def _opened(self, now_s: float, actions: list[Action]) -> UserTurn | None:
        """Begin a turn with a new burst, or take a turn up again after its pause."""
        turn = self.turn
        if turn is None:
            if self.gate.bursts == self._burst:
                return None
            self._turn_ids += 1
            turn = self.turn = UserTurn(self._turn_ids, self.gate.onset_s, self.phase is Phase.SPEAK, now_s)
            actions.append(Action(ActionKind.BEGIN, turn.id))
        elif turn.asked and self.gate.open:
            if turn.prepared:
                actions.append(Action(ActionKind.DISCARD, turn.id))
            turn.asked = turn.prepared = turn.ready = False
            turn.text = None
            turn.partial_at_s = now_s
            if self.phase is Phase.HOLD:
                self.phase = Phase.LISTEN
            actions.append(Action(ActionKind.RESUME_TURN, turn.id))
        self._burst = self.gate.bursts
        return turn

    def _over_agent(self, turn: UserTurn, now_s: float, actions: list[Action]) -> None:
        if self.gate.open:
            age_s = now_s - turn.onset_s  # counted through a breath: who speaks again means it
            if self.loud_room:
                self._ask_partial(turn, now_s, actions)
            elif age_s >= CUT_AFTER_S:
                self._cut(now_s, actions)
            elif age_s >= DUCK_AFTER_S and not self._ducked:
                self._ducked = True
                actions.append(Action(ActionKind.DUCK))
        elif now_s - self.gate.voice_end_s >= PAUSE_S:
            if self._ducked:
                self._ducked = False
                actions.append(Action(ActionKind.UNDUCK))
            self._ask_pause(turn, actions)

    def _paused(self, turn: UserTurn, now_s: float, actions: list[Action]) -> None:
        silence_s = now_s - self.gate.voice_end_s
        if silence_s < PAUSE_S:
            return
        if not turn.asked:
            self._ask_pause(turn, actions)
        if self.phase is Phase.LISTEN:
            self.phase = Phase.HOLD
        if self.phase is not Phase.HOLD or turn.text is None:
            return
        end = ending(turn.text)
        patience_s = PATIENCE_S[end]
        if not turn.prepared and silence_s >= patience_s - _PREPARE_AHEAD_S:
            turn.prepared = True
            actions.append(Action(ActionKind.PREPARE, turn.id, text=self._question(turn)))
        if (
            end in (Ending.OPEN, Ending.LOOSE)
            and HUM_AFTER_S <= silence_s < patience_s - _PREPARE_AHEAD_S / 2
            and turn.voiced_s >= _HUM_VOICED_S
            and now_s - self._hummed_s >= _HUM_EVERY_S
        ):
            self._hummed_s = now_s
            actions.append(Action(ActionKind.HUM))
        if turn.ready and silence_s >= patience_s:
            self._unanswered = self._question(turn)
            self._speaks_from_s = now_s
            self._unanswered_until_s = now_s + _UNHEARD_WITHIN_S
            self.turn = None
            self.phase = Phase.SPEAK
            actions.append(Action(ActionKind.ANSWER, turn.id))

    def _question(self, turn: UserTurn) -> str:
        text = turn.text or ""
        if self._unanswered and turn.onset_s < self._unanswered_until_s and not is_stop(text):
            return f"{self._unanswered} {text}"
        return text

    def _ask_partial(self, turn: UserTurn, now_s: float, actions: list[Action]) -> None:
        if now_s - turn.partial_at_s >= PARTIAL_EVERY_S:
            turn.partial_at_s = now_s
            actions.append(Action(ActionKind.PARTIAL, turn.id, turn.pause))

    def _ask_pause(self, turn: UserTurn, actions: list[Action]) -> None:
        if not turn.asked:
            turn.asked = True
            turn.pause += 1
            actions.append(Action(ActionKind.PAUSE, turn.id, turn.pause))

    # -- what the workers found --------------------------------------------------------------------

    def current(self, turn_id: int, pause: int) -> bool:
        """Return whether a recognition of this pause still says how the turn stands."""
        turn = self.turn
        return (
            turn is not None
            and turn.id == turn_id
            and turn.asked
            and turn.pause == pause
            and not self.gate.open
        )

    def recognised(self, turn_id: int, pause: int, text: str, played: str, now_s: float) -> list[Action]:
        """Take the text of a pause; `played` is what the agent said lately."""
        turn = self.turn
        if turn is None or not self.current(turn_id, pause):
            return []
        actions: list[Action] = []
        echo = turn.over_agent and is_echo(text, played, self.loud_room)
        loud = echo and len(plain_words(text)) >= _LOUD_ROOM_WORDS
        if self.phase is Phase.FADE:
            self._suspect_cuts = (
                self._suspect_cuts + 1 if self._is_suspect(turn, text) or (echo and not loud) else 0
            )
            loud = loud or self._suspect_cuts >= _SUSPECT_CUTS
            echo = loud or (echo and not is_stop(text))
        if self.phase is Phase.SPEAK:
            self._burst_over_agent(turn, text, echo, now_s, actions)
        elif self.phase is Phase.FADE and (echo or not text or is_backchannel(text)):
            if loud and not self.loud_room:
                self.loud_room = True
                actions.append(Action(ActionKind.LOUD_ROOM))
            self.phase = Phase.SPEAK
            self._speaks_from_s = now_s
            actions.append(Action(ActionKind.RESUME))
            self._aside(turn, text, echo, actions)
        elif echo or not text:
            self.turn = None
            self.phase = Phase.LISTEN
            actions.append(Action(ActionKind.FORGET, turn.id))
        elif (
            turn.over_agent and is_backchannel(text) and turn.onset_s < self._agent_end_s - _OVERLAP_AT_END_S
        ):
            self.phase = Phase.LISTEN
            self._aside(turn, text, echo, actions)
        else:
            if self.phase is Phase.FADE:
                self._settle(turn, actions)
            self.phase = Phase.HOLD
            turn.text = text
        return actions

    def _burst_over_agent(
        self, turn: UserTurn, text: str, echo: bool, now_s: float, actions: list[Action]
    ) -> None:
        """Decide about a burst that ended before it cut the agent off."""
        meant = (
            text
            and not echo
            and not is_backchannel(text)
            and (is_stop(text) or text.endswith("?") or turn.voiced_s > SHORT_BURST_S)
        )
        if not meant:
            self._aside(turn, text, echo, actions)
            return
        self._cut(now_s, actions)
        self._settle(turn, actions)
        self.phase = Phase.HOLD
        turn.text = text

    def _aside(self, turn: UserTurn, text: str, echo: bool, actions: list[Action]) -> None:
        """End a turn that asked for nothing: a backchannel, a noise or an echo."""
        self.turn = None
        if not echo and (text or turn.voiced_s >= _BURST_VOICED_S):
            actions.append(
                Action(ActionKind.MARK, mark=Mark("backchannel", "user", turn.onset_s, self.gate.voice_end_s))
            )
        actions.append(Action(ActionKind.CLOSE if text and not echo else ActionKind.FORGET, turn.id))

    def overheard(self, turn_id: int, text: str, played: str, now_s: float) -> list[Action]:
        """Take a text recognised in mid-speech: in a loud room only words that the agent did not say can
        interrupt it.
        """
        turn = self.turn
        actions = list[Action]()
        if (
            turn is None
            or turn.id != turn_id
            or self.phase is not Phase.SPEAK
            or not self.loud_room
            or is_backchannel(text)
        ):
            return actions
        turn.fresh = turn.fresh + 1 if is_fresh(text, played) else 0
        if turn.fresh >= _FRESH_PASSES:
            self._cut(now_s, actions)
            self._settle(turn, actions)
        return actions

    def ready(self, turn_id: int) -> None:
        """The first sentence of the answer is there to be played."""
        if self.turn is not None and self.turn.id == turn_id and self.turn.prepared:
            self.turn.ready = True

    def unanswered(self, turn_id: int) -> list[Action]:
        """Nothing is to be said to this turn."""
        if self.turn is None or self.turn.id != turn_id or not self.turn.prepared:
            return []
        self.turn = None
        self.phase = Phase.LISTEN
        self._unanswered = ""
        return [Action(ActionKind.CLOSE, turn_id)]

    # -- the agent's end ---------------------------------------------------------------------------

    def agent_done(self, now_s: float) -> list[Action]:
        """The agent has said all it had to say."""
        turn = self.turn
        actions = list[Action]()
        self._agent_end_s = now_s
        self._unanswered = ""
        self._ducked = False
        self.phase = Phase.LISTEN
        if turn is not None and not self.loud_room:
            actions.append(Action(ActionKind.MARK, mark=Mark("overlap", "user", turn.onset_s, now_s)))
        return actions

    def stop(self, now_s: float) -> list[Action]:
        """Take the floor from the agent for good, and give up the answer that is being prepared."""
        turn = self.turn
        actions = list[Action]()
        if self.phase in (Phase.SPEAK, Phase.FADE):
            if self.phase is Phase.SPEAK:
                actions.append(Action(ActionKind.CUT))
            actions.append(Action(ActionKind.SETTLE))
            self._agent_end_s = now_s
            self._ducked = False
        self._unanswered = ""
        if turn is not None and turn.prepared:
            actions += [Action(ActionKind.DISCARD, turn.id), Action(ActionKind.CLOSE, turn.id)]
            self.turn = turn = None
        self.phase = Phase.LISTEN
        return actions

    def said(self, words: int) -> None:
        """Take note of how many words of the answer were played when it was cut."""
        if words > _UNHEARD_WORDS:
            self._unanswered_until_s = min(
                self._unanswered_until_s, self._speaks_from_s + _CONTINUES_WITHIN_S
            )

    def _is_suspect(self, turn: UserTurn, text: str) -> bool:
        with_agent = (
            turn.onset_s - self._speaks_from_s < _SUSPECT_ONSET_S
            and self.gate.voice_end_s - self._cut_s < _SUSPECT_END_S
        )
        return not text or with_agent

    def _cut(self, now_s: float, actions: list[Action]) -> None:
        self.phase = Phase.FADE
        self._ducked = False
        self._cut_s = self._agent_end_s = now_s
        actions.append(Action(ActionKind.CUT))

    def _settle(self, turn: UserTurn, actions: list[Action]) -> None:
        self.phase = Phase.LISTEN
        actions += [
            Action(ActionKind.SETTLE),
            Action(ActionKind.MARK, mark=Mark("interruption", "user", turn.onset_s, self._cut_s)),
        ]
