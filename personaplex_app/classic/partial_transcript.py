"""The growing transcript of one user turn.

The latest audio, the window, is recognised again and again; words before the window are final. A pass costs
the more the longer the window is, so it is cut from time to time.
Source: LocalAgreement-2 of Liu et al. (2020), as in Macháček et al., "Turning Whisper into Real-Time
Transcription System".
"""

from __future__ import annotations

from ..protocol_events import Word
from ..speech.recogniser import Transcript
from .phrases import plain_words

# A window longer than this is cut at a pause: the words before it become final.
_TRIM_AT_PAUSE_S = 7.0
# A longer one is cut in mid-speech, after a word on which two passes agree: the recogniser's smallest window
# is 10 s, and its next one costs half as much again.
_TRIM_S = 9.0
# The last words may still change, so the cut stays this far behind.
_KEEP_S = 2.0
MAX_WINDOW_S = 26.0


class PartialTranscript:
    """The transcript of a turn that began at `start_s`; times are seconds on the session's clock."""

    def __init__(self, start_s: float) -> None:
        self.window_s = start_s
        self._final: list[Word] = []
        self._window: list[Word] = []
        self._previous: list[Word] = []
        self._pause_s: float | None = None

    @property
    def words(self) -> tuple[Word, ...]:
        return (*self._final, *self._window)

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    def partial(self, transcript: Transcript, window_s: float, now_s: float) -> None:
        """Take the result of a pass in mid-speech: the words on which it agrees with the last pass count."""
        if window_s != self.window_s:  # the window was cut since this pass began
            return
        words = _shifted(transcript, window_s)
        agreed = _agreed(self._previous, words)
        self._previous = words
        # captions only grow: a pass that agrees on less than before takes nothing back
        if len(agreed) >= len(self._window):
            self._window = agreed
        if now_s - self.window_s > _TRIM_S:
            settled = [word for word in agreed if word.end_s < now_s - _KEEP_S]
            if settled or now_s - self.window_s > MAX_WINDOW_S:
                # nothing agreed within the longest window: words that may be wrong are better than none
                self._carry(settled or words, settled[-1].end_s if settled else now_s)

    def pause(self, transcript: Transcript, window_s: float, now_s: float) -> None:
        """Take the result of the pass at a pause: all its words count, unless the turn goes on."""
        if window_s == self.window_s:
            self._window = self._previous = _shifted(transcript, window_s)
            self._pause_s = now_s

    def resume(self) -> None:
        """Continue after a pause: a long window is cut there."""
        if self._pause_s is not None and self._pause_s - self.window_s > _TRIM_AT_PAUSE_S:
            self._carry(self._window, self._pause_s)
        self._pause_s = None

    def overrun(self, now_s: float) -> None:
        """Cut the window when recognition is too slow to keep up with it."""
        if now_s - self.window_s > MAX_WINDOW_S + _KEEP_S:
            self._carry(self._previous or self._window, now_s - _KEEP_S)

    def _carry(self, words: list[Word], until_s: float) -> None:
        self._final += words
        self._window = []
        self._previous = []
        self.window_s = until_s


def _shifted(transcript: Transcript, by_s: float) -> list[Word]:
    """Return a transcript's words with their times moved by `by_s`."""
    return [Word(word.text, word.start_s + by_s, word.end_s + by_s) for word in transcript.words]


def _agreed(previous: list[Word], current: list[Word]) -> list[Word]:
    """Return the first words of `current` that are the same in both passes, but for case and marks."""
    same: list[Word] = []
    for old, new in zip(previous, current, strict=False):
        if plain_words(old.text) != plain_words(new.text):
            break
        same.append(new)
    return same
