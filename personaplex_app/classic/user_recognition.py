"""The user's side of a session: the last half minute of sound, its recognition, and its captions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..engine.contract import Event, Utterance
from ..speech.recogniser import Recogniser, Transcript
from ..speech.vad import speech_end
from ..units import SAMPLE_RATE_HZ
from .partial_transcript import MAX_WINDOW_S, PartialTranscript
from .workers import Worker, WorkQueue

# a little more than the turn, in case its onset was found late
_PREROLL_S = 0.3
# the longest window, and more for the time in which its cut is waited for
_BUFFER_S = MAX_WINDOW_S + 6.0
_EDGE_S = 1.0


class RecentSound:
    """A ring buffer of the user stream's last half minute, addressed by time."""

    def __init__(self) -> None:
        self._ring = np.zeros(int(_BUFFER_S * SAMPLE_RATE_HZ), np.float32)
        self._samples = 0

    def push(self, frame: np.ndarray) -> None:
        """Append one frame.

        Shapes: `frame` is float32 [N] at 24 kHz.
        """
        at = (self._samples + np.arange(len(frame))) % len(self._ring)
        self._ring[at] = frame
        self._samples += len(frame)

    def since(self, start_s: float, end_s: float | None = None) -> np.ndarray:
        """Return a copy of the sound from `start_s` to `end_s` (or the last frame), as far as it is kept."""
        end = self._samples if end_s is None else min(self._samples, int(end_s * SAMPLE_RATE_HZ))
        start = max(int(start_s * SAMPLE_RATE_HZ), self._samples - len(self._ring), 0)
        if start >= end:
            return np.zeros(0, np.float32)
        # indexing copies, so that the recogniser's thread is not disturbed by later frames
        return self._ring[np.arange(start, end) % len(self._ring)]


class UserRecognition:
    """Recognises one user turn at a time.

    `on_pause(turn_id, pause, text, faint)` and `on_partial(turn_id, text)` get the recognised text.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        worker: Worker,
        work_queue: WorkQueue,
        lockstep: bool,
        next_id: Callable[[], int],
        emit: Callable[[Event], None],
        on_pause: Callable[[int, int, str, bool], None],
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
        self.sound = RecentSound()
        self._transcript: PartialTranscript | None = None
        self._turn_id = 0
        self._pause = 0
        self._utterance_id = 0
        self._onset_s = 0.0
        self._end_s = 0.0
        self._shown_text = ""
        self._partial_pending = False

    def begin(self, turn_id: int, onset_s: float) -> None:
        """Begin a user turn that started at `onset_s`."""
        self._turn_id = turn_id
        self._onset_s = onset_s
        self._end_s = onset_s
        self._pause = 0
        self._shown_text = ""
        self._utterance_id = 0
        self._transcript = PartialTranscript(max(0.0, onset_s - _PREROLL_S))

    @property
    def onset_s(self) -> float:
        """When the user's present turn began."""
        return self._onset_s

    @property
    def text(self) -> str:
        """What was understood of the present turn so far."""
        return self._transcript.text if self._transcript else ""

    def resume(self) -> None:
        """Continue the turn after a pause."""
        if self._transcript:
            self._transcript.resume()

    def recognise_partial(self, now_s: float) -> None:
        """Recognise the turn so far for the captions, if the recogniser is free."""
        current = self._transcript
        if current is None:
            return
        current.overrun(now_s)
        # a pass for captions alone must not delay the one that ends a turn; in lockstep none can
        if self._partial_pending or (self._worker.busy and not self._lockstep):
            return
        self._partial_pending = True
        turn_id = self._turn_id
        window_s = current.window_s

        def then(transcript: Transcript) -> None:
            self._partial_pending = False
            if turn_id == self._turn_id and self._transcript is current:
                current.partial(transcript, window_s, now_s)
                self._on_partial(turn_id, transcript.text)

        self._run(window_s, then)

    def recognise_pause(self, turn_id: int, pause: int, now_s: float) -> None:
        """Recognise the turn at a pause; whether it is over depends on the result."""
        current = self._transcript
        if current is None:
            return
        current.overrun(now_s)
        self._pause = pause
        window_s = current.window_s

        def then(transcript: Transcript) -> None:
            if turn_id == self._turn_id and pause == self._pause and self._transcript is current:
                # otherwise the window was cut meanwhile, and its words are final
                if window_s == current.window_s:
                    current.pause(transcript, window_s, now_s)
                self._on_pause(turn_id, pause, current.text, transcript.faint)

        self._run(window_s, then)

    def _run(self, window_s: float, then: Callable[[Transcript], None]) -> None:
        samples = self.sound.since(window_s)
        self._work_queue.run(self._worker, lambda: self._recogniser.transcribe(samples), then)

    def show_partial(self, end_s: float) -> None:
        """Emit a provisional caption of the turn so far, if it has changed."""
        text = self.text
        self._end_s = end_s
        if text and text != self._shown_text:
            self._shown_text = text
            self._emit_utterance(final=False)

    def close(self, voice_end_s: float) -> None:
        """End the turn and emit its final caption."""
        self._end_s = voice_end_s
        if self._transcript and (self._transcript.text or self._utterance_id):
            self._emit_utterance(final=True)
        self._transcript = None

    def discard(self) -> None:
        """End a turn that turned out to be noise or an echo, and withdraw its captions."""
        if self._transcript and self._utterance_id:
            self._emit(Utterance(self._utterance_id, "user", "", self._onset_s, self._end_s, True))
        self._transcript = None

    def voice_end_s(self, vad_end_s: float) -> float:
        """Return when the user's voice ended, corrected by loudness from where the VAD put the end."""
        edge = self.sound.since(vad_end_s - _EDGE_S, vad_end_s)
        return vad_end_s - (len(edge) - speech_end(edge)) / SAMPLE_RATE_HZ

    def _emit_utterance(self, final: bool) -> None:
        assert self._transcript is not None
        self._utterance_id = self._utterance_id or self._next_id()
        self._emit(
            Utterance(
                self._utterance_id,
                "user",
                self._transcript.text,
                self._onset_s,
                self._end_s,
                final,
                self._transcript.words,
            )
        )
