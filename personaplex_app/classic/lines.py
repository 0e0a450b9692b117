"""The lines that a session of the embedded engine was told to say, and their words as they come in."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence

from ..engine.saying_contract import Line, check_room, no_such_line
from ..errors import BadInput
from ..languages import is_latin
from ..protocol_events import Said, SaidState, Word
from ..responder.sentences import SentenceCutter

MORE_WAIT_S = 8.0


class SpokenLine:
    """A line, with what has come of it so far.

    `begun`: its first word was played; `taken_back`: nothing more of it is to be said.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self.begun = self.taken_back = False
        self._pieces: list[str] = []
        self._last = False
        self._came = threading.Condition()
        self.push(line.text, line.last)

    @property
    def text(self) -> str:
        """All that has come of it."""
        return " ".join(self._pieces)

    @property
    def goes_on(self) -> bool:
        return not self._last

    def push(self, text: str, last: bool) -> None:
        """Add to the text; `last` says that nothing follows. Raises: BadInput for what cannot be spoken."""
        if not is_latin(text):
            raise BadInput("The voice cannot read this script; write the line in Latin letters.")
        with self._came:
            self._pieces += [" ".join(text.split())] * bool(text.strip())
            self._last = last
            self._came.notify_all()

    def sentences(self) -> LineSentences:
        """Return its sentences from the first on, each as soon as it is whole."""
        return LineSentences(self)

    def wait(self, seen: int, cancelled: threading.Event) -> list[str]:
        """Wait for pieces after the first `seen` ones; return none when nothing more will come."""
        with self._came:
            self._came.wait_for(
                lambda: len(self._pieces) > seen or self._last or cancelled.is_set(), MORE_WAIT_S
            )
            return self._pieces[seen:]

    def wake(self) -> None:
        """Let who waits look again."""
        with self._came:
            self._came.notify_all()

    def report(self, state: SaidState, words: Sequence[Word], at_s: float) -> Said:
        """Return how it fares, after `words` of it were played."""
        written = self.text.split()
        heard = len(words)
        return Said(self.line.id, state, " ".join(written[:heard]), " ".join(written[heard:]), at_s)


class LineSentences(Iterator[str]):
    """Gives a line's sentences; blocks while more of it is to come.

    `cancel` may be called from any thread.
    """

    def __init__(self, line: SpokenLine) -> None:
        self._line = line
        self._cutter = SentenceCutter()
        self._ready: deque[str] = deque()
        self._seen = 0
        self._over = False
        self._cancelled = threading.Event()

    def __next__(self) -> str:
        while not self._ready and not self._over:
            pieces = self._line.wait(self._seen, self._cancelled)
            self._seen += len(pieces)
            for piece in pieces:
                self._ready.extend(self._cutter.push(f"{piece} "))
            # the rest is no sentence yet, but all there is to say for now
            if not self._ready and (clause := self._cutter.take_clause()):
                self._ready.append(clause)
            if not pieces:
                self._ready.extend(self._cutter.finish())
                self._over = True
        if not self._ready or self._cancelled.is_set():
            raise StopIteration
        return self._ready.popleft()

    def cancel(self) -> None:
        """Give up: what waits ends."""
        self._cancelled.set()
        self._line.wake()


class LineQueue:
    """The lines that wait, the one that is said included; all of it may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[SpokenLine] = deque()
        self._told: list[Said] = []
        self.held = False

    @property
    def first(self) -> SpokenLine | None:
        """The line that is said, or is next."""
        return self._lines[0] if self._lines else None

    def say(self, line: Line, at_s: float) -> None:
        """Take a line at `at_s` of the talk. Raises: BadInput, CapacityError."""
        spoken = SpokenLine(line)
        if not any(letter.isalnum() for letter in line.text):
            raise BadInput("A line needs at least a word.")
        with self._lock:
            check_room(line, [each.line for each in self._lines])
            self._lines.append(spoken)
            self._told.append(spoken.report("waiting", [], at_s))

    def more(self, line_id: str, text: str, last: bool) -> None:
        """Go on with a line. Raises: BadInput."""
        with self._lock:
            found = next((each for each in self._lines if each.line.id == line_id and each.goes_on), None)
            if found is None:
                raise no_such_line(line_id)
            found.push(text, last)

    def unsay(self, line_id: str, at_s: float) -> None:
        """Take a line back, "" for all; one that has begun is only marked."""
        with self._lock:
            kept = deque[SpokenLine]()
            for each in self._lines:
                each.taken_back |= line_id in ("", each.line.id)
                if each.taken_back and not each.begun:
                    self._told.append(each.report("cut", [], at_s))
                else:
                    kept.append(each)
            self._lines = kept

    def ended(self, line: SpokenLine) -> None:
        """Forget a line that was said or cut."""
        with self._lock:
            if line in self._lines:
                self._lines.remove(line)
            self.held |= line.line.then == "hold"

    def news(self) -> list[Said]:
        """Return what is to be told since the last call."""
        with self._lock:
            told = self._told
            self._told = []
            return told

    def close(self) -> None:
        """Let nothing wait any more."""
        for each in list(self._lines):
            each.taken_back = True
            each.wake()
