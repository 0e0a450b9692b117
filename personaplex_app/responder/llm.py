"""A responder that asks a language model over an OpenAI-compatible API, with the rules as its fallback."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from ..errors import SettingsError, shorten
from .memory import begins_with

MAX_HISTORY_MESSAGES = 24
MAX_HISTORY_CHARS = 8_000
# replies that may still be played: an older one was given up
MAX_OPEN_TURNS = 4
MAX_LINE_BYTES = 65_536
# after a failure the rules answer for so long, so that not every turn waits for the timeout
RETRY_AFTER_S = 30.0
STYLE_PROMPT = (
    "You are on a live voice call. Answer in one or two short spoken sentences, without lists, markup or"
    " emoji. Use only facts and figures given above or by the user; say so when you do not know something."
)
_SENTENCE = re.compile(
    r"(?<!\bDr\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\ba\.m\.)(?<!\bp\.m\.)(?<=[.!?…])[\"')\]]*\s+|\n+"
)
_MARKUP = re.compile(r"[*_`#>|]+|<[^>]{0,200}>")


@dataclass(frozen=True)
class LlmSettings:
    """The model's endpoint, its limits of time, and the longest reply.

    `url` may end in /v1, in /chat/completions, or before either. `first_token_s` and `total_s` are the
    longest waits for the first and for the last part of a reply.
    """

    url: str
    key: str = field(default="", repr=False)
    model: str = ""
    first_token_s: float = 3.0
    total_s: float = 20.0
    max_reply_chars: int = 600
    max_tokens: int = 160

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise SettingsError(
                f"The language model's address {shorten(parts.hostname or '')} must be http:// or https://, a"
                " host, and hold no login."
            )
        if min(self.first_token_s, self.total_s, self.max_reply_chars, self.max_tokens) <= 0:
            raise SettingsError("The language model's time and size limits must be above zero.")

    @property
    def endpoint(self) -> str:
        """The URL of chat completions."""
        base = self.url.rstrip("/")
        if base.endswith("/chat/completions"):
            return base
        return base + ("/chat/completions" if re.search(r"/v\d+\w*$", base) else "/v1/chat/completions")


class Fallback(Protocol):
    """The responder that answers when the model fails; it also gets the model's turns, for its memory."""

    def greet(self) -> str: ...
    def reply(self, user_text: str) -> Iterator[str]: ...
    def record_played(self, agent_text: str, interrupted: bool) -> None: ...
    def record_answer(self, user_text: str, agent_text: str) -> None: ...
    def close(self) -> None: ...


class LlmFailed(Exception):
    """The model gave no answer. The message has no prompt, key or transcript in it.

    `lasting`: trying again is useless, such as with a wrong key.
    """

    def __init__(self, why: str, lasting: bool = False) -> None:
        super().__init__(why)
        self.lasting = lasting


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
        timeout = httpx.Timeout(settings.first_token_s)
        headers = {"Authorization": f"Bearer {settings.key}"} if settings.key else {}
        # trust_env would add proxies and .netrc logins from the environment
        self._client = httpx.Client(timeout=timeout, headers=headers, trust_env=False)
        self._history: list[tuple[str, str]] = []
        self._turns: deque[_OpenReply] = deque(maxlen=MAX_OPEN_TURNS)
        self._closed = False
        self._paused_until_s = 0.0
        self.notice: str | None = None

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
        self._client.close()
        self._fallback.close()

    def _failed(self, failure: LlmFailed) -> None:
        self._paused_until_s = float("inf") if failure.lasting else time.monotonic() + RETRY_AFTER_S
        if self.notice is None:
            self.notice = f"The language model did not answer ({failure}); the built-in answers take over."
            if self._notify:
                self._notify(self.notice)

    def _messages(self, user_text: str) -> list[dict[str, str]]:
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
        waiting = ""
        length = 0
        limit = self._settings.max_reply_chars
        try:
            for piece in self._pieces(user_text):
                waiting += piece
                *whole, waiting = _SENTENCE.split(waiting)
                for sentence in filter(None, map(_clean, whole)):
                    length += len(sentence)
                    yield sentence
                    if length >= limit:
                        return
                if len(waiting) > limit:
                    yield _clean(waiting[:limit].rpartition(" ")[0] or waiting[:limit])
                    return
        except LlmFailed:
            # a complete sentence is spoken, though the stream broke off after it
            if re.search(r"[.!?…]$", waiting.strip()):
                yield _clean(waiting)
            raise
        if last := _clean(waiting):
            yield last

    def _pieces(self, user_text: str) -> Iterator[str]:
        """Yield the text of one streamed reply, piece by piece.

        Raises: LlmFailed when the reply is late, refused, malformed, or ends without its end marker.
        """
        settings = self._settings
        began_s = time.monotonic()
        body = {
            "messages": self._messages(user_text),
            "stream": True,
            "max_tokens": settings.max_tokens,
            "temperature": 0.6,
        }
        if settings.model:
            body["model"] = settings.model
        seen = False
        try:
            with self._client.stream("POST", settings.endpoint, json=body) as response:
                if response.status_code != httpx.codes.OK:
                    raise LlmFailed(
                        f"status {response.status_code}",
                        lasting=response.status_code in (400, 401, 403, 404, 422),
                    )
                # httpx's timeout is per read: an endpoint that sends a little again and again is bounded here
                for data in _events(response.iter_bytes()):
                    waited_s = time.monotonic() - began_s
                    if (
                        self._closed
                        or waited_s > settings.total_s
                        or (not seen and waited_s > settings.first_token_s)
                    ):
                        raise LlmFailed("it took too long")
                    if data == "[DONE]":
                        return
                    piece, ended = _delta(data)
                    seen = seen or bool(piece)
                    if piece:
                        yield piece
                    if ended:
                        return
        except httpx.TimeoutException:
            raise LlmFailed("it took too long") from None
        # httpx raises RuntimeError for a client that `close` has closed meanwhile
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, RuntimeError):
            raise LlmFailed("the connection failed") from None
        raise LlmFailed("the connection was cut")


def _events(chunks: Iterator[bytes]) -> Iterator[str]:
    """Yield the data of server-sent events, and "" after each chunk so that the caller can check the time.

    Raises: LlmFailed when a line is too long.
    """
    waiting = b""
    for chunk in chunks:
        waiting += chunk
        *lines, waiting = waiting.split(b"\n")
        if len(waiting) > MAX_LINE_BYTES:
            raise LlmFailed("its answer was not a stream of events")
        yield ""
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].decode("utf-8", "replace").strip()


def _delta(data: str) -> tuple[str, bool]:
    """Return the text of one event, and whether it is the reply's last.

    Raises: LlmFailed when it is no event of a chat completion.
    """
    if not data:
        return "", False
    try:
        event = json.loads(data)
        choices = event.get("choices", [])
        if "error" in event:
            raise LlmFailed("it reported an error")
        if not choices:
            return "", False
        text = (choices[0].get("delta") or choices[0].get("message") or {}).get("content")
        ended = choices[0].get("finish_reason") is not None
    except (ValueError, AttributeError, TypeError, KeyError, IndexError):
        raise LlmFailed("its answer was not a stream of events") from None
    return (text if isinstance(text, str) else ""), ended


def _clean(text: str) -> str:
    """Return a sentence without markup, which cannot be spoken."""
    return " ".join(_MARKUP.sub(" ", text).split())
