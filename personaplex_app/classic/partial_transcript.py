"""One user turn's text as it grows: a window that is recognised again and again, and the words that have left
it.
"""

from __future__ import annotations

from ..protocol_events import Word
from ..speech.recogniser import Transcript
from .phrases import plain_words

# Above this, the words before a pause are kept as they are and the window begins anew after them.
_TRIM_AT_PAUSE_S = 7.0
# Without a pause, the window (which costs least below 10 s) is cut after a word on which two passes agree.
_TRIM_S = 9.0
_KEEP_S = 2.0
MAX_WINDOW_S = 26.0


class TurnText:
    """The text of a turn that began at `start_s`; all times are the session's.

    Holds at most one window's audio span.
    """

    def __init__(self, start_s: float) -> None:
        self.window_s = start_s
        self._carried: list[Word] = []
        self._window: list[Word] = []
        self._previous: list[Word] = []
        self._pause_s: float | None = None

    @property
    def words(self) -> tuple[Word, ...]:
        return (*self._carried, *self._window)

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    def partial(self, transcript: Transcript, window_s: float, now_s: float) -> None:
        """Take a pass over the window made in mid-speech: the words two passes agree on are shown
        (LocalAgreement-2).
        """
        if window_s != self.window_s:
            return
        words = _shifted(transcript, window_s)
        agreed = _agreed(self._previous, words)
        self._previous = words
        if len(agreed) >= len(self._window):
            self._window = agreed
        if now_s - self.window_s > _TRIM_S:
            settled = [word for word in agreed if word.end_s < now_s - _KEEP_S]
            if settled or now_s - self.window_s > MAX_WINDOW_S:
                self._carry(settled or words, settled[-1].end_s if settled else now_s)

    def pause(self, transcript: Transcript, window_s: float, now_s: float) -> None:
        """Take the pass made when the voice fell silent: it stands unless the turn goes on."""
        if window_s == self.window_s:
            self._window = self._previous = _shifted(transcript, window_s)
            self._pause_s = now_s

    def resume(self) -> None:
        """The voice goes on: a long window is left behind at the pause."""
        if self._pause_s is not None and self._pause_s - self.window_s > _TRIM_AT_PAUSE_S:
            self._carry(self._window, self._pause_s)
        self._pause_s = None

    def overrun(self, now_s: float) -> None:
        """Leave the window's audio behind when recognition cannot keep up with it."""
        if now_s - self.window_s > MAX_WINDOW_S + _KEEP_S:
            self._carry(self._previous or self._window, now_s - _KEEP_S)

    def _carry(self, words: list[Word], until_s: float) -> None:
        self._carried += words
        self._window = []
        self._previous = []
        self.window_s = until_s


def _shifted(transcript: Transcript, by_s: float) -> list[Word]:
    return [Word(word.text, word.start_s + by_s, word.end_s + by_s) for word in transcript.words]


def _agreed(previous: list[Word], current: list[Word]) -> list[Word]:
    """Return the words of `current` that both passes begin with."""
    same: list[Word] = []
    for old, new in zip(previous, current, strict=False):
        if plain_words(old.text) != plain_words(new.text):
            break
        same.append(new)
    return same
