"""The agent's side of a talk: answers fetched sentence by sentence, synthesised one ahead, played, captioned,
remembered.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from ..engine.contract import Event, Mark, Notice, TurnLatency, Utterance
from ..protocol_events import Word
from ..responder.contract import Responder
from ..speech.synthesiser import SpeechClip, Synthesiser, Timbre
from ..units import SAMPLE_RATE_HZ
from .playback import Playback, Played, first_audible_s
from .workers import Worker, WorkQueue

_log = logging.getLogger(__name__)
_RECENT_WORDS = 200
_ABOUT_TO_BE_WORDS = 3
HUM_TEXT = "Mm-hm."


class _Failure:
    """The responder raised; what it raised stays out of the talk and its text out of the log."""


@dataclass
class Reply:
    """One answer on its way.

    `dropped` is read by the responder's thread, which then does nothing more for it.
    """

    turn_id: int
    source: Callable[[], Iterator[str]]
    iterator: Iterator[str] | None = None
    first: SpeechClip | None = None
    fetching: bool = False
    exhausted: bool = False
    dropped: bool = False
    utterance_id: int = 0


class ReplyPlayer:
    """Owns the responder's thread. `emit` takes events; `on_ready` and `on_nothing` are told a turn's id."""

    def __init__(
        self,
        responder: Responder,
        synthesiser: Synthesiser,
        synthesis: Worker,
        timbre: Timbre,
        work_queue: WorkQueue,
        next_id: Callable[[], int],
        emit: Callable[[Event], None],
        on_ready: Callable[[int], None],
        on_nothing: Callable[[int], None],
    ) -> None:
        self._responder = responder
        self._synthesiser = synthesiser
        self._synthesis = synthesis
        self._timbre = timbre
        self._work_queue = work_queue
        self._next_id = next_id
        self._emit = emit
        self._on_ready = on_ready
        self._on_nothing = on_nothing
        self._worker = Worker("responder")
        self.playback = Playback()
        self._prepared: Reply | None = None
        self._current: Reply | None = None
        self._hum: SpeechClip | None = None
        self._recent: deque[Word] = deque(maxlen=_RECENT_WORDS)
        work_queue.run(synthesis, lambda: synthesiser.speak(HUM_TEXT, timbre), self._got_hum)

    def _got_hum(self, clip: SpeechClip) -> None:
        self._hum = clip

    def played_since(self, start_s: float) -> str:
        """Return the words that sounded after `start_s`, and the few that are about to: where a word begins
        is an estimate.
        """
        heard = [word.text for word in self._recent if word.end_s >= start_s]
        return " ".join(heard + self.playback.upcoming[:_ABOUT_TO_BE_WORDS])

    # -- answers -----------------------------------------------------------------------------------

    def prepare_greeting(self) -> None:
        """Get the opening line ready, as the answer to turn 0."""
        self._prepare(Reply(0, lambda: iter((self._responder.greet(),))))

    def prepare(self, turn_id: int, text: str) -> None:
        """Get the answer to `text` ready to be played at once."""
        self.discard()
        self._prepare(Reply(turn_id, lambda: self._responder.reply(text)))

    def _prepare(self, reply: Reply) -> None:
        self._prepared = reply
        self._fetch(reply)

    def discard(self) -> None:
        """Give up the answer that was being prepared; nobody heard of it."""
        if self._prepared:
            self._drop(self._prepared)
            self._prepared = None

    def begin(self, now_s: float, user_end_s: float | None) -> None:
        """Play what was prepared, from the frame that begins at `now_s`."""
        reply = self._prepared
        self._prepared = None
        assert reply is not None
        assert reply.first is not None
        self._current = reply
        self.playback.say(reply.first)
        reply.utterance_id = self._next_id()
        if user_end_s is not None:
            self._emit(TurnLatency(user_end_s, now_s + first_audible_s(reply.first)))

    def settle(self, now_s: float) -> int:
        """Let a cut stand; return how many words had been played."""
        words = tuple(self.playback.words)
        reply = self._current
        self._current = None
        if reply:
            self._drop(reply)
            self._close_utterance(reply, words, now_s, interrupted=True)
        self.playback.drop()
        return len(words)

    def _fetch(self, reply: Reply) -> None:
        reply.fetching = True
        self._work_queue.run(
            self._worker,
            lambda: self._next_sentence(reply),
            lambda sentence: self._got_sentence(reply, sentence),
        )

    def _next_sentence(self, reply: Reply) -> str | _Failure | None:
        """Runs on the responder's thread."""
        if reply.dropped:
            return None
        try:
            if reply.iterator is None:
                reply.iterator = reply.source()
            return next(reply.iterator, None)
        except Exception as error:  # whatever a responder raises must not end the talk
            _log.warning("the responder failed: %s", type(error).__name__)
            return _Failure()

    def _got_sentence(self, reply: Reply, sentence: str | _Failure | None) -> None:
        if reply.dropped:
            return
        if isinstance(sentence, str):
            self._work_queue.run(
                self._synthesis,
                lambda: self._synthesiser.speak(sentence, self._timbre),
                lambda clip: self._got_clip(reply, clip),
            )
            return
        reply.fetching = False
        reply.exhausted = True
        if isinstance(sentence, _Failure):
            self._emit(Notice("responder", "No answer could be made to that; please say it once more."))
        if reply is self._prepared:
            self._prepared = None
            self._on_nothing(reply.turn_id)

    def _got_clip(self, reply: Reply, clip: SpeechClip) -> None:
        if reply.dropped:
            return
        reply.fetching = False
        if not len(clip.samples):
            self._fetch(reply)
        elif reply is self._prepared:
            reply.first = clip
            self._on_ready(reply.turn_id)
        else:
            self.playback.say(clip)

    def _drop(self, reply: Reply) -> None:
        reply.dropped = True
        self._work_queue.run(self._worker, lambda: _close(reply), lambda _: None)

    # -- sound -------------------------------------------------------------------------------------

    def hum(self, now_s: float) -> str:
        """Say mm-hm softly; return its text, "" when that sound is not there yet."""
        if self._hum is None:
            return ""
        self.playback.say_aside(self._hum)
        end_s = now_s + len(self._hum.samples) / SAMPLE_RATE_HZ
        self._emit(Mark("backchannel", "agent", now_s, end_s))
        self._emit(
            Utterance(self._next_id(), "agent", HUM_TEXT, now_s, end_s, True, (Word(HUM_TEXT, now_s, end_s),))
        )
        return f" {HUM_TEXT}"

    def pull(self, now_s: float) -> Played:
        """Return the frame that begins at `now_s`, emit the captions that go with it, and fetch the sentence
        after the next.
        """
        reply = self._current
        if reply and self.playback.room and not (reply.fetching or reply.exhausted):
            self._fetch(reply)
        played = self.playback.pull(now_s)
        if reply and played.begun:
            words = tuple(self.playback.words)
            self._recent += played.begun
            self._emit(
                Utterance(
                    reply.utterance_id, "agent", _text(words), words[0].start_s, words[-1].end_s, False, words
                )
            )
        return played

    def finished(self, now_s: float) -> bool:
        """Return True once, when everything was said and played by `now_s`."""
        reply = self._current
        if reply is None or not reply.exhausted or not self.playback.empty:
            return False
        self._current = None
        self._close_utterance(reply, tuple(self.playback.words), now_s, interrupted=False)
        self.playback.drop()
        return True

    def _close_utterance(
        self, reply: Reply, words: tuple[Word, ...], now_s: float, interrupted: bool
    ) -> None:
        if not words:
            return
        text = _text(words)
        end_s = min(words[-1].end_s, now_s)
        words = tuple(Word(word.text, word.start_s, min(word.end_s, end_s)) for word in words)
        self._emit(Utterance(reply.utterance_id, "agent", text, words[0].start_s, end_s, True, words))
        self._work_queue.run(self._worker, lambda: self._remember(text, interrupted), lambda _: None)

    def _remember(self, text: str, interrupted: bool) -> None:
        """Runs on the responder's thread."""
        try:
            self._responder.heard(text, interrupted)
        except Exception as error:  # as above
            _log.warning("the responder failed: %s", type(error).__name__)

    def close(self) -> None:
        """End the responder and its thread."""
        replies = [reply for reply in (self._prepared, self._current) if reply]
        for reply in replies:
            reply.dropped = True

        def last_work() -> None:
            for reply in replies:
                _close(reply)
            self._responder.close()

        self._worker.close(last_work)


def _close(reply: Reply) -> None:
    """Close a generator on the thread that runs it; one that fails at that has ended all the same."""
    with suppress(Exception):
        close = getattr(reply.iterator, "close", None)
        if close:
            close()


def _text(words: tuple[Word, ...]) -> str:
    return " ".join(word.text for word in words)
