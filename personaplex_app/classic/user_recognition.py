"""The user's side of a talk: the sound of the last half minute, its recognition, and the captions
made of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..engine.contract import Event, Utterance
from ..speech.recogniser import Recogniser, Transcript
from ..speech.vad import speech_end
from ..units import SAMPLE_RATE_HZ
from .partial_transcript import MAX_WINDOW_S, TurnText
from .workers import Worker, WorkQueue

_PREROLL_S = 0.3
_HELD_S = MAX_WINDOW_S + 6.0
_EDGE_S = 1.0
# A pass for the captions that finds the recogniser busy is left out: the pass that ends a turn must not wait
# behind it.


class RecentSound:
    """The last half minute of the user's sound, by time."""

    def __init__(self) -> None:
        self._ring = np.zeros(int(_HELD_S * SAMPLE_RATE_HZ), np.float32)
        self._samples = 0

    def push(self, frame: np.ndarray) -> None:
        """Append one frame, float32 [N]."""
        at = (self._samples + np.arange(len(frame))) % len(self._ring)
        self._ring[at] = frame
        self._samples += len(frame)

    def since(self, start_s: float, end_s: float | None = None) -> np.ndarray:
        """Return a copy of what was heard from `start_s` on, as far as it is still held."""
        end = self._samples if end_s is None else min(self._samples, int(end_s * SAMPLE_RATE_HZ))
        start = max(int(start_s * SAMPLE_RATE_HZ), self._samples - len(self._ring), 0)
        if start >= end:
            return np.zeros(0, np.float32)
        return self._ring[np.arange(start, end) % len(self._ring)]


class UserRecognition:
    """Recognises one user turn at a time.

    `on_pause(turn_id, pause, text)` and `on_partial(turn_id, text)` get what was found.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        worker: Worker,
        work_queue: WorkQueue,
        lockstep: bool,
        next_id: Callable[[], int],
        emit: Callable[[Event], None],
        on_pause: Callable[[int, int, str], None],
        on_partial: Callable[[int, str], None],
    ) -> None:
        self._recogniser = recogniser
        self._worker = worker
        self._work_queue = work_queue
        self._lockstep = lockstep
        self._next_id = next_id
        self._emit = emit
        self._on_pause = on_pause
        self._on_partial = on_partial
        self.heard = RecentSound()
        self._text: TurnText | None = None
        self._turn_id = 0
        self._pause = 0
        self._utterance_id = 0
        self._onset_s = 0.0
        self._end_s = 0.0
        self._shown = ""
        self._partial_pending = False

    def begin(self, turn_id: int, onset_s: float) -> None:
        """A user turn has begun."""
        self._turn_id = turn_id
        self._onset_s = onset_s
        self._end_s = onset_s
        self._pause = 0
        self._shown = ""
        self._utterance_id = 0
        self._text = TurnText(max(0.0, onset_s - _PREROLL_S))

    def resume(self) -> None:
        """The user goes on after a pause."""
        if self._text:
            self._text.resume()

    def recognise_partial(self, now_s: float) -> None:
        """Make a pass for the captions, when the recogniser has nothing else to do."""
        text = self._text
        if text is None:
            return
        text.overrun(now_s)
        if self._partial_pending or (self._worker.busy and not self._lockstep):
            return
        self._partial_pending = True
        turn_id = self._turn_id
        window_s = text.window_s

        def then(transcript: Transcript) -> None:
            self._partial_pending = False
            if turn_id == self._turn_id and self._text is text:
                text.partial(transcript, window_s, now_s)
                self._on_partial(turn_id, transcript.text)

        self._run(window_s, then)

    def recognise_pause(self, turn_id: int, pause: int, now_s: float) -> None:
        """Make the pass that a decision waits for."""
        text = self._text
        if text is None:
            return
        text.overrun(now_s)
        self._pause = pause
        window_s = text.window_s

        def then(transcript: Transcript) -> None:
            if turn_id == self._turn_id and pause == self._pause and self._text is text:
                if window_s == text.window_s:
                    text.pause(transcript, window_s, now_s)
                self._on_pause(turn_id, pause, text.text)

        self._run(window_s, then)

    def _run(self, window_s: float, then: Callable[[Transcript], None]) -> None:
        samples = self.heard.since(window_s)
        self._work_queue.run(self._worker, lambda: self._recogniser.transcribe(samples), then)

    def show(self, end_s: float) -> None:
        """Caption what is known of the turn so far, provisionally."""
        text = self._text.text if self._text else ""
        self._end_s = end_s
        if text and text != self._shown:
            self._shown = text
            self._emit_utterance(final=False)

    def close(self, voice_end_s: float) -> None:
        """The turn is over; its text is final."""
        self._end_s = voice_end_s
        if self._text and (self._text.text or self._utterance_id):
            self._emit_utterance(final=True)
        self._text = None

    def forget(self) -> None:
        """There was no turn: what was shown of it is taken back."""
        if self._text and self._utterance_id:
            self._emit(Utterance(self._utterance_id, "user", "", self._onset_s, self._end_s, True))
        self._text = None

    def voice_end_s(self, vad_end_s: float) -> float:
        """Return when the user's voice really ended, given the VAD's idea of it."""
        edge = self.heard.since(vad_end_s - _EDGE_S, vad_end_s)
        return vad_end_s - (len(edge) - speech_end(edge)) / SAMPLE_RATE_HZ

    def _emit_utterance(self, final: bool) -> None:
        assert self._text is not None
        self._utterance_id = self._utterance_id or self._next_id()
        self._emit(
            Utterance(
                self._utterance_id,
                "user",
                self._text.text,
                self._onset_s,
                self._end_s,
                final,
                self._text.words,
            )
        )
