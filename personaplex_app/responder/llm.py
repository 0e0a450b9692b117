"""A responder that asks a language model, and the rules where it fails."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

from .figure_guard import NO_FIGURE, ToldFigures
from .language_model import Cancelled, LanguageModel, LlmFailed, Message
from .markup import Markup, ThoughtFilter
from .memory import begins_with
from .sentences import SentenceCutter

MAX_HISTORY_MESSAGES = 24
# what was said in this many messages before is what "it" and "that" may stand for
_RECENT_MESSAGES = 2
# replies that may still be played: an older one was given up
MAX_OPEN_TURNS = 4
# on a machine that is busy the rules take the next turn too
_LATE_PAUSE_S = 10.0


@dataclass(frozen=True)
class ReplyStyle:
    """What the model is told about how to speak, and what is said in place of a figure that nobody told."""

    prompt: str
    no_figure: str


STYLE_PROMPT = (
    "You are on a live voice call. Answer in English, in one or two short spoken sentences, without lists,"
    " markup or emoji. Use only facts and figures given above or by the user; say so when you do not know"
    " something."
)
ENGLISH_STYLE = ReplyStyle(STYLE_PROMPT, NO_FIGURE)
SPANISH_STYLE = ReplyStyle(
    STYLE_PROMPT.replace("in English", "in Spanish"), "Lo siento, esa cifra no la tengo en mis notas."
)
# models that think, and whose templates may open the tag of their thoughts
_THINKERS = re.compile(r"(?i)think|reason|\br1\b|qwq|magistral")
# small models write who speaks
_SPEAKER = re.compile(r"(?i)^\W*(?:assistant|agent|ai|bot)\s*:\s*|^(?:assistant|model)$")
# and go on with what the other side might say
_OTHER_SPEAKER = re.compile(r"(?:User|Human)\s*:")


class Fallback(Protocol):
    """The responder that answers when the model fails; it also gets the model's turns, for its memory."""

    @property
    def pace(self) -> float: ...
    def greet(self) -> str: ...
    def knows(self, user_text: str) -> bool: ...
    def heed(self, user_text: str) -> None: ...
    def reply(self, user_text: str) -> Iterator[str]: ...
    def record_played(self, agent_text: str, interrupted: bool) -> None: ...
    def record_answer(self, user_text: str, agent_text: str) -> None: ...
    def close(self) -> None: ...


@dataclass
class _OpenReply:
    """One reply that is being made or may still be played.

    `user_text` is None for the greeting; `by_rules`: the fallback answered; `spoken` is what was yielded.
    """

    user_text: str | None
    by_rules: bool = False
    spoken: str = ""


class ReplyStream(Iterator[str]):
    """The sentences of one reply. `cancel` may be called from any thread, the rest by one thread alone."""

    def __init__(self, make: Callable[[Cancelled], Generator[str, None, None]]) -> None:
        self._cancelled = threading.Event()
        self._sentences = make(self._cancelled.is_set)

    def __next__(self) -> str:
        return next(self._sentences)

    def cancel(self) -> None:
        """Let the model stop at once; the reply ends with what it has."""
        self._cancelled.set()

    def close(self) -> None:
        self._sentences.close()


class LlmResponder:
    """Streams a model's answers by sentence, the first one by clause.

    `notice` is the sentence that the user was shown when the model first failed, None before.
    """

    def __init__(
        self,
        prompt: str,
        model: LanguageModel,
        fallback: Fallback,
        notify: Callable[[str], None] | None = None,
        in_time: bool = True,
        style: ReplyStyle = ENGLISH_STYLE,
    ) -> None:
        self._style = style
        self._prompt = prompt
        self._model = model
        self._fallback = fallback
        self._notify = notify
        self._first_clause_s = model.first_clause_s if in_time else float("inf")
        self._chat = model.chat(in_time)
        # the model's template opens the tag of its thoughts itself
        self._thinks_unopened = _THINKERS.search(getattr(model, "model", "")) is not None
        self._figures = ToldFigures(prompt)
        self._history: list[tuple[str, str]] = []
        self._turns: deque[_OpenReply] = deque(maxlen=MAX_OPEN_TURNS)
        self._closed = False
        self._paused_until_s = 0.0
        self.notice: str | None = None
        self._chat.prepare(self._messages())

    @property
    def pace(self) -> float:
        return self._fallback.pace

    def greet(self) -> str:
        """Return the fallback's greeting, which needs no model."""
        turn = _OpenReply(None, by_rules=True, spoken=self._fallback.greet())
        self._turns.append(turn)
        return turn.spoken

    def reply(self, user_text: str) -> ReplyStream:
        """Yield the model's sentences as they arrive, or the rules' when it fails before the first one."""
        turn = _OpenReply(user_text)
        return ReplyStream(lambda cancelled: self._reply(turn, user_text, cancelled))

    def _reply(self, turn: _OpenReply, user_text: str, cancelled: Cancelled) -> Generator[str, None, None]:
        self._turns.append(turn)
        paused = time.monotonic() < self._paused_until_s or not re.search(r"\w", user_text)
        if not (paused or (self._model.is_small and self._fallback.knows(user_text))):
            # the user's wish for another pace holds for the model's answers too
            self._fallback.heed(user_text)
            try:
                for sentence in self._sentences(user_text, cancelled):
                    turn.spoken = f"{turn.spoken} {sentence}"
                    yield sentence
                if not turn.spoken and not cancelled():
                    raise LlmFailed("it sent an empty answer")
            except LlmFailed as failure:
                if self._closed:
                    return
                self._failed(failure)
        if not turn.spoken and not cancelled():
            turn.by_rules = True
            for sentence in self._fallback.reply(user_text):
                turn.spoken = f"{turn.spoken} {sentence}"
                yield sentence

    def record_played(self, agent_text: str, interrupted: bool) -> None:
        """Add the user's turn and what was played of the answer to the model's history."""
        if not self._turns:
            return
        # several replies may have been made to one turn; the words that were played tell which of them it
        # was
        turn = next((t for t in reversed(self._turns) if begins_with(t.spoken, agent_text)), self._turns[-1])
        if turn.user_text is not None:
            self._figures.hear(turn.user_text)
            self._history.append(("user", turn.user_text))
        if agent_text:
            self._history.append(("assistant", agent_text + (" —" if interrupted else "")))
        self._forget()
        if turn.by_rules or turn.user_text is None:
            self._fallback.record_played(agent_text, interrupted)
        else:
            self._fallback.record_answer(turn.user_text, agent_text)
        while self._turns and self._turns.popleft() is not turn:
            pass
        self._chat.prepare(self._messages())

    def close(self) -> None:
        """Close the connections, which ends a waiting reply. May be called twice and from another thread."""
        self._closed = True
        self._chat.close()
        self._fallback.close()

    def _failed(self, failure: LlmFailed) -> None:
        self._paused_until_s = time.monotonic() + failure.retry_s
        if self.notice is None and failure.told:
            self.notice = f"The language model did not answer ({failure}); the built-in answers take over."
            if self._notify:
                self._notify(self.notice)

    def _forget(self) -> None:
        """Bound the history. Half of it goes at once, so that most prompts begin as the one before."""
        limit_chars = self._model.max_history_chars
        if (
            len(self._history) <= MAX_HISTORY_MESSAGES
            and sum(len(text) for _, text in self._history) <= limit_chars
        ):
            return
        room = limit_chars // 2
        kept = 0
        for _, text in reversed(self._history[-MAX_HISTORY_MESSAGES // 2 :]):
            room -= len(text)
            if room < 0:
                break
            kept += 1
        del self._history[: len(self._history) - kept]

    def _messages(self, *user_text: str) -> list[Message]:
        return [
            {"role": "system", "content": f"{self._prompt}\n\n{self._style.prompt}"},
            *({"role": role, "content": text} for role, text in self._history),
            *({"role": "user", "content": text} for text in user_text),
        ]

    def _sentences(self, user_text: str, cancelled: Cancelled) -> Iterator[str]:
        """Yield what of the reply may be said: figures that nobody told are not.

        Raises: LlmFailed, also when the first sentence has such a figure: the rules may know the right one.
        """
        recent = " ".join(text for _, text in self._history[-_RECENT_MESSAGES:])
        self._figures.hear(user_text)
        spoken = ""
        for sentence in self._streamed(user_text, cancelled):
            if self._figures.allow(sentence, spoken, user_text, recent):
                spoken = f"{spoken} {sentence}"
                yield sentence
            elif spoken:
                yield self._style.no_figure
                return
            else:
                raise LlmFailed("it answered with a figure that nobody told", retry_s=0.0, told=False)

    def _streamed(self, user_text: str, cancelled: Cancelled) -> Iterator[str]:
        """Yield the reply's whole sentences; one that is broken off is dropped.

        Raises: LlmFailed.
        """
        began_s = time.monotonic()
        reply = _ReplyText(self._model.max_reply_chars, ThoughtFilter(self._thinks_unopened))
        try:
            for piece in self._chat.pieces(self._messages(user_text), cancelled):
                yield from reply.push(piece)
                if reply.full or cancelled():
                    return
                if not reply.length and time.monotonic() - began_s > self._first_clause_s:
                    raise LlmFailed("its first words were late", retry_s=_LATE_PAUSE_S, told=False)
        except LlmFailed:
            # a complete sentence is spoken, though the stream broke off after it
            yield from reply.finish(broken=True)
            raise
        yield from reply.finish(broken=self._chat.cut_short)
        # an answer without any tag of thoughts had none
        self._thinks_unopened = reply.thoughts.unopened and reply.thoughts.thought
        if not reply.length and reply.thoughts.thought:
            if not (self._chat.cut_short and self._chat.make_room_for_thoughts()):
                raise LlmFailed("it thought and sent no answer")
            yield from self._streamed(user_text, cancelled)


class _ReplyText:
    """Makes sentences to speak of the pieces of one reply. `full`: it is as long as a reply may be."""

    def __init__(self, limit_chars: int, thoughts: ThoughtFilter) -> None:
        self.thoughts = thoughts
        self.length = 0
        self._limit_chars = limit_chars
        self._cutter = SentenceCutter()
        self._markup = Markup()

    @property
    def full(self) -> bool:
        return self.length >= self._limit_chars

    def push(self, piece: str) -> Iterator[str]:
        """Take a piece of the stream and yield the sentences that are whole by now."""
        yield from self._spoken(self._cutter.push(self.thoughts.push(piece)))
        if not self.length and (clause := self._cutter.take_clause()):
            yield from self._spoken([clause])
        waiting = self._cutter.waiting
        if len(waiting) > self._limit_chars and not self.full:
            part = waiting[: self._limit_chars]
            yield from self._spoken([part.rpartition(" ")[0] or part])
            self.length = self._limit_chars

    def finish(self, broken: bool = False) -> Iterator[str]:
        """Yield what is left; of a reply that is broken off only whole sentences."""
        left = [*self._cutter.push(self.thoughts.finish(broken)), *self._cutter.finish()]
        if broken and left and not re.search(r"[.!?…][\"')\]”’*_]*$", left[-1]):
            del left[-1]
        yield from self._spoken(left)

    def _spoken(self, sentences: list[str]) -> Iterator[str]:
        for sentence in filter(None, map(self._markup.plain, sentences)):
            if self.full:
                return
            if not self.length:
                sentence = _SPEAKER.sub("", sentence)
            if _OTHER_SPEAKER.match(sentence):
                self.length = self._limit_chars
                return
            if not sentence:
                continue
            self.length += len(sentence)
            yield sentence
