"""Make a model that decides one text token a frame say a line word for word, at its own pace.

Where the line has a word to come, the model's own wish to begin a word decides when, within limits: at least
as many frames of PAD as the word before needs to be spoken, at most a pause that one would notice. The
numbers are those of the model's free speech (three published traces: 3 frames from word to word in the
median, 4 to 9 after punctuation).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from unicodedata import combining, normalize

from ..errors import BadInput, shorten
from ..model.config import EPAD, PAD
from ..model.steering import FREE, Gate, Steer
from ..protocol_events import Said, SaidState
from ..units import s_to_frames
from .saying_contract import Line, check_room, no_such_line

GAPS = {",": (4, 10), ";": (4, 10), ":": (4, 10), ".": (6, 12), "!": (6, 12), "?": (6, 12)}
"""The fewest and the most frames of PAD after a word that ends in such a mark."""
_MARKS = str.maketrans(
    {"’": "'", "‘": "'", **dict.fromkeys('“”„«»"()[]{}<>*_', " "), **dict.fromkeys("–—", ",")}
)
MAX_GAP = 8
STOP_FRAMES = 4
"""How long the model is kept quiet before a line that does not wait, and after one that was cut."""
FINISH_FRAMES = 8
"""How long a word that the model has begun may go on before a line that does not wait."""
TAIL_FRAMES = 6
"""How long the model is kept quiet after a line, so that its last word is spoken to the end."""
IDLE_FRAMES = 3
IDLE_WAIT_FRAMES = s_to_frames(3.0)
MORE_WAIT_FRAMES = s_to_frames(8.0)


@dataclass(frozen=True)
class Spelled:
    """A word of a line: its text and tokens, and the fewest and the most frames of PAD after it."""

    text: str
    tokens: tuple[int, ...]
    min_gap: int
    max_gap: int


def spelled(text: str, encode: Callable[[str], Sequence[int]], control: frozenset[int]) -> list[Spelled]:
    """Return a line's words with their tokens; marks that stand alone are left out.

    Raises: BadInput for a word that the vocabulary cannot spell, even without its accents.
    """
    words = []
    for word in text.translate(_MARKS).split():
        if not any(letter.isalnum() for letter in word):
            continue
        tokens = tuple(encode(word))
        if control.intersection(tokens):
            tokens = tuple(encode(_without_accents(word)))
        # an unknown piece has the number of EPAD, which is no word
        if control.intersection(tokens):
            raise BadInput(f"The model has no letters for {shorten(word)}; write it as it is spoken.")
        gap = GAPS.get(word[-1], (1 + max(0, len(tokens) - 2), MAX_GAP))
        words.append(Spelled(word, tokens, *gap))
    return words


def _without_accents(word: str) -> str:
    return "".join(letter for letter in normalize("NFKD", word) if not combining(letter))


class _Phase(Enum):
    WAIT = auto()
    FINISH = auto()
    STOP = auto()
    START = auto()
    WORD = auto()
    GAP = auto()
    TAIL = auto()


@dataclass
class _Spoken:
    """A line that is to be said: `words` are still to come, `said` have begun."""

    line: Line
    last: bool
    words: deque[Spelled]
    said: list[Spelled] = field(default_factory=list)
    begun: bool = False
    taken_back: bool = False

    def report(self, state: SaidState, at_s: float, why: str = "") -> Said:
        heard = " ".join(word.text for word in self.said)
        return Said(self.line.id, state, heard, " ".join(word.text for word in self.words), at_s, why)


class LineSteering:
    """Decides each frame's `Steer`, from what was decided in the frame before.

    `spell` makes words of a text. All but `next_steer` and `take` may be called from any thread.
    """

    def __init__(self, spell: Callable[[str], list[Spelled]]) -> None:
        self._spell = spell
        self._lock = threading.Lock()
        self._lines: deque[_Spoken] = deque()
        self._held = False
        self._phase = _Phase.WAIT
        self._frames = 0
        """How many frames the phase has lasted."""
        self._tokens: deque[int] = deque()
        """What is left of the word that is being said."""
        self._last = PAD
        self._at_s = 0.0
        self._quiet = 0
        self._answering = False
        """Whether the user has begun to say what a line is to answer."""
        self._told: list[Said] = []

    # from any thread

    def say(self, line: Line) -> None:
        """Take a line. Raises: BadInput, CapacityError."""
        words = self._spell(line.text)
        if not words:
            raise BadInput("A line needs at least a word.")
        with self._lock:
            check_room(line, [each.line for each in self._lines])
            spoken = _Spoken(line, line.last, deque(words))
            self._lines.append(spoken)
            self._told.append(spoken.report("waiting", self._at_s))

    def more(self, line_id: str, text: str, last: bool) -> None:
        """Go on with a line. Raises: BadInput."""
        words = self._spell(text)
        with self._lock:
            found = next((each for each in self._lines if each.line.id == line_id and not each.last), None)
            if found is None:
                raise no_such_line(line_id)
            found.words.extend(words)
            found.last = last

    def unsay(self, line_id: str) -> None:
        """Take a line back, "" for all."""
        with self._lock:
            for each in self._lines:
                each.taken_back |= line_id in ("", each.line.id)

    def hold(self, on: bool) -> None:
        """Keep the model from words of its own, or let it."""
        self._held = on

    # from the thread that steps

    @property
    def speaking(self) -> str:
        """The id of the line whose words are being decided, "" for none."""
        phases = (_Phase.START, _Phase.WORD, _Phase.GAP, _Phase.TAIL)
        return self._lines[0].line.id if self._lines and self._phase in phases else ""

    def next_steer(self, user_sounds: bool, agent_sounds: bool) -> Steer:
        """Return how the next frame is steered.

        Whether either side makes a sound now decides when a line may begin.
        """
        with self._lock:
            quiet = not (user_sounds or agent_sounds) and self._last in (PAD, EPAD)
            self._quiet = self._quiet + 1 if quiet else 0
            self._answering |= user_sounds
            self._drop_taken_back()
            if not self._lines:
                return Steer(gate=Gate.HOLD) if self._held else FREE
            return self._steer(self._lines[0])

    def take(self, decided: int, at_s: float) -> tuple[Said, ...]:
        """Take the token that was decided, to be heard at `at_s`; return what is to be told of the lines."""
        with self._lock:
            self._frames += 1
            self._at_s = at_s
            if self._lines:
                self._advance(self._lines[0], decided)
            self._last = decided
            told = tuple(self._told)
            self._told.clear()
            return told

    def _steer(self, spoken: _Spoken) -> Steer:
        if self._phase is _Phase.WAIT:
            self._leave_waiting(spoken.line)
        match self._phase:
            case _Phase.WAIT:
                # what a line is to answer, the model must not answer
                held = self._held or (spoken.line.when == "reply" and self._answering)
                return Steer(gate=Gate.HOLD if held else Gate.FREE)
            case _Phase.FINISH:
                return Steer(gate=Gate.FINISH)
            case _Phase.STOP | _Phase.TAIL:
                return Steer(forced=PAD)
            case _Phase.START:
                return Steer(forced=EPAD)
            case _Phase.WORD:
                return Steer(forced=self._tokens[0])
            case _Phase.GAP:
                return self._between(spoken)

    def _leave_waiting(self, line: Line) -> None:
        """Begin with a line whose time has come."""
        waits_for_user = line.when == "reply" and not self._answering
        if line.when == "now":
            self._enter(_Phase.FINISH)
        elif self._quiet >= IDLE_FRAMES and not waits_for_user:
            self._enter(_Phase.START)
        elif line.when == "idle" and self._frames >= IDLE_WAIT_FRAMES:
            self._enter(_Phase.FINISH)

    def _between(self, spoken: _Spoken) -> Steer:
        """Return how a frame between two words is steered."""
        before = spoken.said[-1]
        if self._frames < before.min_gap or not spoken.words or spoken.taken_back:
            return Steer(forced=PAD)
        first = spoken.words[0].tokens[0]
        if self._frames >= before.max_gap or self._last == EPAD:
            return Steer(forced=first)
        return Steer(following=first, epad=self._last == PAD)

    def _advance(self, spoken: _Spoken, decided: int) -> None:
        silent = decided in (PAD, EPAD)
        match self._phase:
            case _Phase.FINISH if silent or self._frames >= FINISH_FRAMES:
                self._enter(_Phase.STOP)
            case _Phase.STOP if self._frames >= STOP_FRAMES:
                self._enter(_Phase.START)
            case _Phase.START:
                self._begin_word(spoken)
            case _Phase.WORD:
                self._take_token(spoken)
            case _Phase.GAP if not silent:
                self._begin_word(spoken)
                self._take_token(spoken)
            case _Phase.GAP if spoken.taken_back or (spoken.last and not spoken.words):
                self._enter(_Phase.TAIL)
            case _Phase.GAP if not spoken.words and self._frames >= MORE_WAIT_FRAMES:
                self._end(spoken.report("done", self._at_s, "Nothing more came of this line."))
            case _Phase.TAIL if self._frames >= (STOP_FRAMES if spoken.taken_back else TAIL_FRAMES):
                self._end(spoken.report("cut" if spoken.words else "done", self._at_s))

    def _take_token(self, spoken: _Spoken) -> None:
        if not spoken.begun:
            spoken.begun = True
            self._told.append(spoken.report("begun", self._at_s))
        self._tokens.popleft()
        if not self._tokens:
            self._enter(_Phase.GAP)

    def _begin_word(self, spoken: _Spoken) -> None:
        word = spoken.words.popleft()
        spoken.said.append(word)
        self._tokens = deque(word.tokens)
        self._enter(_Phase.WORD)

    def _drop_taken_back(self) -> None:
        """Forget what was taken back before it began."""
        begun = self._phase in (_Phase.WORD, _Phase.GAP, _Phase.TAIL)
        kept = []
        for n, spoken in enumerate(self._lines):
            if spoken.taken_back and not (n == 0 and begun):
                self._told.append(spoken.report("cut", self._at_s))
                if n == 0:
                    self._enter(_Phase.WAIT)
            else:
                kept.append(spoken)
        self._lines = deque(kept)

    def _end(self, said: Said) -> None:
        ended = self._lines.popleft()
        self._held |= ended.line.then == "hold"
        self._told.append(said)
        self._enter(_Phase.WAIT)

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._frames = 0
        if phase is _Phase.WAIT:
            self._answering = False
