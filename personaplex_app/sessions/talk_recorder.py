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
    """Records one talk, called from its worker thread; the talk goes on whatever happens to its record.

    `problem` says what is wrong with the record, None when all is well. `keeping` says whether it outlives
    the visit.
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
        """How much of the sound is safely stored by now, in seconds from the beginning."""
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
            for utterance in (e for e in events if isinstance(e, Utterance)):
                self._spoken.pop(utterance.id, None)
                if not utterance.final:
                    self._spoken[utterance.id] = utterance
            new = [
                e
                for e in events
                if isinstance(e, Mark | TurnLatency) or (isinstance(e, Utterance) and e.final)
            ]
            # bounds what one talk can store, however many events an engine or a remote server makes
            if self._events + len(new) <= MAX_EVENTS:
                self._events += len(new)
                self._unwritten += new
            reported: list[Notice | Saved] = []
            for frame in frames:
                reported += self._attempt(lambda frame=frame: recorder.add(frame.user, frame.agent))
            reported += self._attempt(lambda: self._write(store, talk_id, PATIENCE_S))
            if recorder.saved_s > self._reported_saved_s:
                self._reported_saved_s = recorder.saved_s
                reported.append(Saved(self._reported_saved_s))
            return reported

    def finish(self, reason: str) -> None:
        """End the record. Later calls do nothing."""
        with self._lock:
            if self._target is None or self._over:
                return
            self._over = True
            store, talk_id, recorder = self._target
            self._unwritten += [replace(each, final=True) for each in self._spoken.values() if each.text]
            self._attempt(recorder.finish)
            self._attempt(lambda: self._write(store, talk_id))
            self._attempt(lambda: store.finish(talk_id, self._steps * FRAME_S, reason))
        # not under the lock: it may move the talk, which takes time and other locks
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
