"""The agent's side of a session: fetch answers by sentence, synthesise one ahead, play and caption them."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from ..engine.contract import Event, Mark, Notice, TurnLatency, Utterance
from ..languages import is_latin
from ..protocol_events import Word
from ..responder.contract import Responder
from ..speech.spanish.voices import SpanishSynthesiser
from ..speech.synthesiser import SpeechClip, Synthesiser, Timbre
from ..units import SAMPLE_RATE_HZ
from .language import ENGLISH_TALK, TalkLanguage
from .lines import SpokenLine
from .playback import Playback, Played, first_audible_s
from .workers import Worker, WorkQueue

_log = logging.getLogger(__name__)
_RECENT_WORDS = 200
_UPCOMING_WORDS = 3


class _Failure:
    """Stands for an exception of the responder, whose text must reach neither the talk nor the log."""


@dataclass
class Reply:
    """One answer, from its first sentence to its last.

    Once `dropped` is set, the responder's thread does nothing more for it. `own`: the answer is the engine's,
    not the responder's. `foreign`: a part of it could not be spoken. `line`: what the agent was told to say.
    """

    turn_id: int
    source: Callable[[], Iterator[str]]
    iterator: Iterator[str] | None = None
    first: SpeechClip | None = None
    fetching: bool = False
    exhausted: bool = False
    dropped: bool = False
    own: bool = False
    foreign: bool = False
    utterance_id: int = 0
    line: SpokenLine | None = None


class ReplyPlayer:
    """Prepares and plays answers; owns the responder's thread.

    `emit` takes the session's events; `on_ready` and `on_no_answer` get the id of the turn that is answered,
    `on_line_end` a line that was said or cut.
    """

    def __init__(
        self,
        responder: Responder,
        synthesiser: Synthesiser | SpanishSynthesiser,
        synthesis: Worker,
        timbre: Timbre,
        work_queue: WorkQueue,
        next_id: Callable[[], int],
        emit: Callable[[Event], None],
        on_ready: Callable[[int], None],
        on_no_answer: Callable[[int], None],
        on_line_end: Callable[[SpokenLine], None],
        prompt: str = "",
        language: TalkLanguage = ENGLISH_TALK,
    ) -> None:
        self._language = language
        self._lines = language.lines
        self._responder = responder
        self._role_words = frozenset(re.findall(r"\w+", prompt.lower()))
        self._synthesiser = synthesiser
        self._synthesis = synthesis
        self._timbre = timbre
        self._work_queue = work_queue
        self._next_id = next_id
        self._emit = emit
        self._on_ready = on_ready
        self._on_no_answer = on_no_answer
        self._on_line_end = on_line_end
        self._worker = Worker("responder")
        self.playback = Playback()
        self._prepared: Reply | None = None
        self._current: Reply | None = None
        self._backchannel: SpeechClip | None = None
        self._recent_words: deque[Word] = deque(maxlen=_RECENT_WORDS)
        work_queue.run(
            synthesis, lambda: synthesiser.speak(language.lines.backchannel, timbre), self._backchannel_ready
        )

    def _backchannel_ready(self, clip: SpeechClip) -> None:
        self._backchannel = clip

    def played_since(self, start_s: float) -> str:
        """Return the words played after `start_s` and the next few, since the words' times are estimates."""
        played = [word.text for word in self._recent_words if word.end_s >= start_s]
        return " ".join(played + self.playback.upcoming[:_UPCOMING_WORDS])

    # -- answers -----------------------------------------------------------------------------------

    def prepare_greeting(self) -> None:
        """Prepare the greeting, as the answer to turn 0."""
        self._prepare(Reply(0, lambda: iter((self._responder.greet(),))))

    def prepare(self, turn_id: int, text: str) -> None:
        """Prepare the answer to `text`, so that it can be played at once.

        Speech in which no word was understood has no text; the answer is what this engine understands.
        """
        self.discard()
        language = "" if self._is_of_the_role(text) else self._language.other_in(text)
        if text and not language:
            self._prepare(Reply(turn_id, lambda: self._responder.reply(text)))
            return
        lines = self._lines
        heard = lines.heard_another.format(language) if language else lines.not_understood
        self._emit(Notice("english_only", heard))
        self._prepare(Reply(turn_id, lambda: iter((lines.only,)), own=True))

    def prepare_line(self, turn_id: int, line: SpokenLine) -> None:
        """Prepare a line that the agent was told to say, as the answer to a turn or to none."""
        self.discard()
        self._prepare(Reply(turn_id, line.sentences, line=line))

    @property
    def line(self) -> SpokenLine | None:
        """The line that is prepared or said."""
        reply = self._current or self._prepared
        return reply.line if reply else None

    @property
    def is_free(self) -> bool:
        """Whether nothing is prepared or said."""
        return not self._current and not self._prepared

    def _is_of_the_role(self, text: str) -> bool:
        """Return whether half the words of a text are in the role prompt, as a tutor's examples are."""
        words = set(re.findall(r"\w+", text.lower()))
        return 2 * len(words & self._role_words) >= len(words)

    def prepare_loud(self, turn_id: int) -> None:
        """Prepare to say, in place of an answer, that it is too loud."""
        self.discard()
        self._emit(Notice("loud_room", self._lines.too_loud_here))
        self._prepare(Reply(turn_id, lambda: iter((self._lines.too_loud,)), own=True))

    def _prepare(self, reply: Reply) -> None:
        self._prepared = reply
        self._fetch(reply)

    def discard(self) -> None:
        """Drop the answer that was being prepared; nothing of it was played."""
        if self._prepared:
            self._drop(self._prepared)
            self._prepared = None

    def begin(self, now_s: float, user_end_s: float | None) -> None:
        """Play the prepared answer from the frame at `now_s` on; the user's turn ended at `user_end_s`."""
        reply = self._prepared
        self._prepared = None
        assert reply is not None
        assert reply.first is not None
        self._current = reply
        self.playback.say(reply.first)
        reply.utterance_id = self._next_id()
        if user_end_s is not None:
            self._emit(TurnLatency(user_end_s, now_s + first_audible_s(reply.first)))

    def confirm_cut(self, now_s: float) -> int:
        """Drop the rest of an answer that was cut; return how many of its words had been played."""
        words = tuple(self.playback.words)
        reply = self._current
        self._current = None
        if reply:
            self._drop(reply)
            self._close_utterance(reply, words, now_s, interrupted=True)
            self._end_line(reply, words, now_s)
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
            spoken = self._sayable(reply, sentence)
            timbre = replace(self._timbre, speed=self._timbre.speed * self._responder.pace)
            self._work_queue.run(
                self._synthesis,
                lambda: self._synthesiser.speak(spoken, timbre),
                lambda clip: self._got_clip(reply, clip),
            )
            return
        reply.fetching = False
        reply.exhausted = True
        if isinstance(sentence, _Failure):
            self._emit(Notice("responder", "No answer could be made to that; please say it once more."))
        if reply is self._prepared:
            self._prepared = None
            self._on_no_answer(reply.turn_id)

    def _sayable(self, reply: Reply, sentence: str) -> str:
        """Return a sentence, or what is said once in place of those whose script the voice cannot speak."""
        if is_latin(sentence):
            return sentence
        told = reply.foreign
        reply.foreign = True
        if not told:
            self._emit(Notice("english_only", self._lines.not_speakable))
        return "" if told else self._lines.only

    def _got_clip(self, reply: Reply, clip: SpeechClip) -> None:
        if reply.dropped:
            return
        reply.fetching = False
        # a sentence without anything to speak, such as marks alone: go on with the next one
        if not len(clip.samples):
            self._fetch(reply)
        elif reply is self._prepared:
            reply.first = clip
            self._on_ready(reply.turn_id)
        else:
            self.playback.say(clip)

    def _drop(self, reply: Reply) -> None:
        _forget(reply)
        # a generator can only be closed on the thread that runs it
        self._work_queue.run(self._worker, lambda: _close(reply), lambda _: None)

    # -- sound -------------------------------------------------------------------------------------

    def backchannel(self, now_s: float) -> str:
        """Play a soft "mm-hm" and return its text, "" while it is not synthesised yet."""
        if self._backchannel is None:
            return ""
        self.playback.play_over(self._backchannel)
        end_s = now_s + len(self._backchannel.samples) / SAMPLE_RATE_HZ
        self._emit(Mark("backchannel", "agent", now_s, end_s))
        self._emit(
            Utterance(
                self._next_id(),
                "agent",
                self._lines.backchannel,
                now_s,
                end_s,
                True,
                (Word(self._lines.backchannel, now_s, end_s),),
            )
        )
        return f" {self._lines.backchannel}"

    def pull(self, now_s: float) -> Played:
        """Return the frame that begins at `now_s`, emit its captions, and fetch sentences ahead."""
        reply = self._current
        # one sentence ahead: more would be lost at an interruption
        if reply and self.playback.has_room and not (reply.fetching or reply.exhausted):
            self._fetch(reply)
        played = self.playback.pull(now_s)
        if reply and played.started_words:
            words = tuple(self.playback.words)
            self._recent_words += played.started_words
            if reply.line and not reply.line.begun:
                reply.line.begun = True
                self._emit(reply.line.report("begun", words, words[0].start_s))
            times = words[0].start_s, words[-1].end_s
            self._emit(
                Utterance(
                    reply.utterance_id, "agent", _text(words), *times, False, words, line=_line_id(reply)
                )
            )
        return played

    def finished(self, now_s: float) -> bool:
        """Return True once, when the whole answer has been played by `now_s`."""
        reply = self._current
        if reply is None or not reply.exhausted or not self.playback.empty:
            return False
        self._current = None
        words = tuple(self.playback.words)
        self._close_utterance(reply, words, now_s, interrupted=False)
        self._end_line(reply, words, now_s)
        self.playback.drop()
        return True

    def _end_line(self, reply: Reply, words: tuple[Word, ...], now_s: float) -> None:
        if reply.line:
            said = reply.line.report("done", words, now_s)
            self._emit(replace(said, state="cut") if said.rest else said)
            self._on_line_end(reply.line)

    def _close_utterance(
        self, reply: Reply, words: tuple[Word, ...], now_s: float, interrupted: bool
    ) -> None:
        if not words:
            return
        text = _text(words)
        # a cut word ends now, not when it would have ended
        end_s = min(words[-1].end_s, now_s)
        words = tuple(Word(word.text, word.start_s, min(word.end_s, end_s)) for word in words)
        times = words[0].start_s, end_s
        self._emit(Utterance(reply.utterance_id, "agent", text, *times, True, words, line=_line_id(reply)))
        if not reply.own:
            self._work_queue.run(self._worker, lambda: self._remember(text, interrupted), lambda _: None)

    def _remember(self, text: str, interrupted: bool) -> None:
        """Runs on the responder's thread."""
        try:
            self._responder.record_played(text, interrupted)
        except Exception as error:  # as above
            _log.warning("the responder failed: %s", type(error).__name__)

    def close(self) -> None:
        """End the responder and its thread."""
        # the session's work queue is closed by now: the worker itself closes the generators, after what is
        # queued
        replies = [reply for reply in (self._prepared, self._current) if reply]
        for reply in replies:
            _forget(reply)

        def last_work() -> None:
            for reply in replies:
                _close(reply)
            self._responder.close()

        self._worker.close(last_work)


def _forget(reply: Reply) -> None:
    """Note that nobody wants a reply; the responder's thread may be waiting for a sentence of it."""
    reply.dropped = True
    cancel = getattr(reply.iterator, "cancel", None)
    if cancel:
        cancel()


def _close(reply: Reply) -> None:
    """Close a reply's generator, on the thread that runs it; one that raises then has ended too."""
    with suppress(Exception):
        close = getattr(reply.iterator, "close", None)
        if close:
            close()


def _line_id(reply: Reply) -> str:
    return reply.line.line.id if reply.line else ""


def _text(words: tuple[Word, ...]) -> str:
    return " ".join(word.text for word in words)
