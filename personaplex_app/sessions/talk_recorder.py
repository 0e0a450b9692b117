"""The record of one running talk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..errors import StorageError
from ..protocol_events import Frame, Mark, Notice, Saved, StepEvent, TurnLatency, Utterance
from ..units import FRAME_S
from .archive import TalkArchive
from .contract import AudioRecorder, Busy, StoredEvent

MAX_EVENTS = 20_000
PATIENCE_S = 0.005  # scrubbing after a deletion can hold the store for most of a frame


class TalkRecorder:
    """Written from the talk's worker thread; the talk goes on whatever happens to its record.

    `problem` says what is wrong with the record, None when all is well. `keeping` tells whether it stays
    after the visit.
    """

    def __init__(
        self,
        target: tuple[TalkArchive, str, AudioRecorder] | None,
        keeping: bool,
        problem: str | None,
        ended: Callable[[TalkRecorder], None],
    ) -> None:
        self.problem = problem
        self.keeping = keeping
        self.keep_at_end = False
        self._target = target
        self._ended = ended
        # utterances still being spoken, which the talk's end may cut off
        self._spoken: dict[int, Utterance] = {}
        self._reported_saved_s = 0.0
        self._steps = 0
        self._events = 0
        self._unwritten: list[StoredEvent] = []
        self._over = False
        self._lock = threading.Lock()

    @property
    def id(self) -> str | None:
        """The id under which the owner finds the talk; None when it is not recorded."""
        return self._target[1] if self._target else None

    @property
    def recording(self) -> bool:
        """Whether there is sound of the talk for its owner."""
        return self.saved_s > 0

    @property
    def saved_s(self) -> float:
        """How much of the sound is safe by now, in seconds from the beginning."""
        return self._target[2].saved_s if self._target else 0.0

    def see(self, events: Sequence[StepEvent]) -> list[Notice | Saved]:
        """Record what one step of the talk brought; return a sentence for the person when recording has just
        failed, and how much is saved when that grew.

        Final utterances, marks and turn latencies are on disk when this returns, or with a step soon after
        when the store is busy; of utterances still provisional the last state is written at the end.
        """
        frames = [e for e in events if isinstance(e, Frame)]
        with self._lock:
            self._steps += len(frames)
            if self._target is None or self._over:
                return []
            store, talk_id, recorder = self._target
            for said in (e for e in events if isinstance(e, Utterance)):
                self._spoken.pop(said.id, None)
                if not said.final:
                    self._spoken[said.id] = said
            new = [
                e
                for e in events
                if isinstance(e, Mark | TurnLatency) or (isinstance(e, Utterance) and e.final)
            ]
            if self._events + len(new) <= MAX_EVENTS:
                self._events += len(new)
                self._unwritten += new
            told: list[Notice | Saved] = []
            for frame in frames:
                told += self._attempt(lambda frame=frame: recorder.add(frame.user, frame.agent))
            told += self._attempt(lambda: self._write(store, talk_id, PATIENCE_S))
            if recorder.saved_s > self._reported_saved_s:
                self._reported_saved_s = recorder.saved_s
                told.append(Saved(self._reported_saved_s))
            return told

    def finish(self, reason: str) -> None:
        """End the record. Later calls do nothing."""
        with self._lock:
            if self._target is None or self._over:
                return
            self._over = True
            store, talk_id, recorder = self._target
            self._unwritten += [replace(said, final=True) for said in self._spoken.values() if said.text]
            self._attempt(recorder.finish)
            self._attempt(lambda: self._write(store, talk_id))
            self._attempt(lambda: store.finish(talk_id, self._steps * FRAME_S, reason))
        self._ended(self)

    def _write(self, store: TalkArchive, talk_id: str, wait_s: float = -1) -> None:
        events = self._unwritten
        self._unwritten = []
        if events:
            try:
                store.add(talk_id, events, wait_s)
            except Busy:
                self._unwritten = events

    def _attempt(self, write: Callable[[], object]) -> list[Notice]:
        try:
            write()
        except StorageError as error:
            if self.problem is None:
                self.problem = str(error)
                return [Notice(error.code, self.problem)]
        return []
