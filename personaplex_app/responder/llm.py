"""A responder that asks a language model over an OpenAI-compatible API, with the rules as its fallback."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from .chat_api import ChatApi, LlmFailed, LlmSettings, Message
from .markup import Markup, ThoughtFilter
from .memory import begins_with
from .sentences import SentenceCutter

MAX_HISTORY_MESSAGES = 24
MAX_HISTORY_CHARS = 8_000
# replies that may still be played: an older one was given up
MAX_OPEN_TURNS = 4
# after a failure the rules answer for so long, so that not every turn waits for the timeout
RETRY_AFTER_S = 30.0
STYLE_PROMPT = (
    "You are on a live voice call. Answer in English, in one or two short spoken sentences, without lists,"
    " markup or emoji. Use only facts and figures given above or by the user; say so when you do not know"
    " something."
)


class Fallback(Protocol):
    """The responder that answers when the model fails; it also gets the model's turns, for its memory."""

    @property
    def pace(self) -> float: ...
    def greet(self) -> str: ...
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


class LlmResponder:
    """Streams a model's answers by sentence.

    `notice` is the sentence that the user was shown when the model first failed, None before.
    """

    def __init__(
        self,
        prompt: str,
        settings: LlmSettings,
        fallback: Fallback,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self._prompt = prompt
        self._settings = settings
        self._fallback = fallback
        self._notify = notify
        self._api = ChatApi(settings)
        # the model's template opens the tag of its thoughts itself
        self._thinks_unopened = False
        self._history: list[tuple[str, str]] = []
        self._turns: deque[_OpenReply] = deque(maxlen=MAX_OPEN_TURNS)
        self._closed = False
        self._paused_until_s = 0.0
        self.notice: str | None = None

    @property
    def pace(self) -> float:
        return self._fallback.pace

    def greet(self) -> str:
        """Return the fallback's greeting, which needs no model."""
        turn = _OpenReply(None, by_rules=True, spoken=self._fallback.greet())
        self._turns.append(turn)
        return turn.spoken

    def reply(self, user_text: str) -> Iterator[str]:
        """Yield the model's sentences as they arrive, or the rules' when it fails before the first one."""
        turn = _OpenReply(user_text)
        self._turns.append(turn)
        if time.monotonic() >= self._paused_until_s and re.search(r"\w", user_text):
            try:
                for sentence in self._sentences(user_text):
                    turn.spoken = f"{turn.spoken} {sentence}"
                    yield sentence
                if not turn.spoken:
                    raise LlmFailed("it sent an empty answer")
            except LlmFailed as failure:
                if self._closed:
                    return
                self._failed(failure)
        if not turn.spoken:
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
            self._history.append(("user", turn.user_text))
        if agent_text:
            self._history.append(("assistant", agent_text + (" —" if interrupted else "")))
        del self._history[:-MAX_HISTORY_MESSAGES]
        if turn.by_rules or turn.user_text is None:
            self._fallback.record_played(agent_text, interrupted)
        else:
            self._fallback.record_answer(turn.user_text, agent_text)
        while self._turns and self._turns.popleft() is not turn:
            pass

    def close(self) -> None:
        """Close the connections, which ends a waiting reply. May be called twice and from another thread."""
        self._closed = True
        self._api.close()
        self._fallback.close()

    def _failed(self, failure: LlmFailed) -> None:
        self._paused_until_s = float("inf") if failure.lasting else time.monotonic() + RETRY_AFTER_S
        if self.notice is None:
            self.notice = f"The language model did not answer ({failure}); the built-in answers take over."
            if self._notify:
                self._notify(self.notice)

    def _messages(self, user_text: str) -> list[Message]:
        # the newest turns first, until the room is used up
        room = MAX_HISTORY_CHARS
        kept = []
        for role, text in reversed(self._history):
            room -= len(text)
            if room < 0:
                break
            kept.append({"role": role, "content": text})
        return [
            {"role": "system", "content": f"{self._prompt}\n\n{STYLE_PROMPT}"},
            *reversed(kept),
            {"role": "user", "content": user_text},
        ]

    def _sentences(self, user_text: str) -> Iterator[str]:
        """Yield the reply's whole sentences; one that is broken off is dropped.

        Raises: LlmFailed.
        """
        reply = _ReplyText(self._settings.max_reply_chars, ThoughtFilter(self._thinks_unopened))
        try:
            for piece in self._api.pieces(self._messages(user_text)):
                yield from reply.push(piece)
                if reply.full:
                    return
        except LlmFailed:
            # a complete sentence is spoken, though the stream broke off after it
            yield from reply.finish(broken=True)
            raise
        yield from reply.finish()
        self._thinks_unopened = reply.thoughts.unopened
        if not reply.length and reply.thoughts.thought:
            if not (self._api.cut_short and self._api.make_room_for_thoughts()):
                raise LlmFailed("it thought and sent no answer")
            yield from self._sentences(user_text)


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
        waiting = self._cutter.waiting
        if len(waiting) > self._limit_chars and not self.full:
            part = waiting[: self._limit_chars]
            yield from self._spoken([part.rpartition(" ")[0] or part])
            self.length = self._limit_chars

    def finish(self, broken: bool = False) -> Iterator[str]:
        """Yield what is left; of a reply that is broken off only whole sentences."""
        left = [*self._cutter.push(self.thoughts.finish()), *self._cutter.finish()]
        if broken and left and not re.search(r"[.!?…][\"')\]”’*_]*$", left[-1]):
            del left[-1]
        yield from self._spoken(left)

    def _spoken(self, sentences: list[str]) -> Iterator[str]:
        for sentence in filter(None, map(self._markup.plain, sentences)):
            if self.full:
                return
            self.length += len(sentence)
            yield sentence
