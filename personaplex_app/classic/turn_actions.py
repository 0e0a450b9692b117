"""The data of turn-taking: its phases, the user's turn in progress, and the actions that it returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..engine.contract import Mark


class Phase(Enum):
    """Who has the floor; see the docstring of `turns`."""

    LISTEN = "listen"
    HOLD = "hold"
    SPEAK = "speak"
    FADE = "fade"


class ActionKind(Enum):
    """What the session has to do."""

    BEGIN = "begin a user turn"
    RESUME_TURN = "continue the user's turn after a pause"
    PARTIAL = "recognise the turn so far, for the captions"
    PAUSE = "recognise the turn so far, to act on it"
    PREPARE = "get the answer ready"
    TYPED = "show what was written, and get the answer ready"
    DISCARD = "give up the answer that was being prepared"
    ANSWER = "close the user's turn and speak"
    CLOSE = "close the user's turn"
    DISCARD_TURN = "drop the user's turn: it was noise or an echo"
    DUCK = "play the agent's speech softer"
    UNDUCK = "play the agent's speech at its normal level"
    CUT = "stop playing, keep what was not played"
    RESUME = "continue from the cut"
    CONFIRM_CUT = "drop what was not played: the cut was an interruption"
    BACKCHANNEL = "say mm-hm"
    MARK = "emit a mark"
    BABBLE = "get ready to say that it is too loud to understand anything"
    LOUD_ROOM = "report that the microphone picks up the loudspeakers"


@dataclass(frozen=True)
class Action:
    """One thing to do. `turn_id` and `pause` say which turn and pause a recognition is for."""

    do: ActionKind
    turn_id: int = 0
    pause: int = 0
    text: str = ""
    mark: Mark | None = None


@dataclass
class UserTurn:
    """The user's turn in progress.

    `during_agent`: it began while the agent spoke. `pause` counts its pauses; `requested`: the present one
    was sent to the recogniser, and `text` is the result. `prepared` and `ready` are about the answer;
    `forced`: it is given although the user's sound goes on.
    """

    id: int
    onset_s: float
    during_agent: bool
    partial_at_s: float
    pause: int = 0
    requested: bool = False
    text: str | None = None
    prepared: bool = False
    ready: bool = False
    forced: bool = False
    voiced_s: float = 0.0
    own_words_passes: int = 0
