"""Ask an OpenAI-compatible server for a chat completion, whatever its dialect.

What a server refuses is left out or replaced, once, and remembered for the talk.
"""

from __future__ import annotations

import json
import math
import re
import ssl
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from ..errors import SettingsError, shorten
from .chat_events import NO_EVENTS, Delta, WholeCharacters, events, read_delta
from .language_model import RETRY_AFTER_S, Cancelled, LlmFailed, Message

MAX_ERROR_BYTES = 16_384
# what a model that thinks may write more than the answer needs
THOUGHT_TOKENS = 2_048
_LASTING = frozenset((400, 401, 403, 404, 422))
_OWN_LAST_PARTS = re.compile(r"/(?:v\d+\w*|openai|openapi|inference|serving-endpoints|deployments/[^/]+)$")
_OLLAMA_PATH = "/api/chat"
_PRIVATE_WORDS = 5
_MIN_PRIVATE_CHARS = 12
_LONGEST_RETRY_S = 600.0
# what proxies send lest a connection be closed
_SIGN_OF_LIFE = re.compile(r"(?i)\W*(?:ping|keep-?alive|heartbeat)\W*")


@dataclass(frozen=True)
class LlmSettings:
    """The model's endpoint, its limits of time, and the longest reply.

    `url` may end in /v1, in /chat/completions, in a part of the server's own, before either, or in Ollama's
    own /api/chat; a query stays.
    `first_token_s` and `total_s` are the longest waits for the first and for the last part of a reply.
    """

    url: str
    key: str = field(default="", repr=False)
    model: str = ""
    first_token_s: float = 3.0
    total_s: float = 20.0
    max_reply_chars: int = 600
    max_tokens: int = 160
    temperature: float = 0.6
    max_history_chars: int = 8_000
    is_small: bool = False
    first_clause_s: float = math.inf

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
    def endpoints(self) -> tuple[str, ...]:
        """The URL of chat completions, and another one where the address leaves two possible."""
        parts = urlsplit(self.url)
        base = parts.path.rstrip("/")
        if base.endswith(("/chat/completions", _OLLAMA_PATH)):
            paths = (base,)
        elif _OWN_LAST_PARTS.search(base) or re.search(r"/v\d", base):
            paths = (f"{base}/chat/completions",)
        else:
            paths = (f"{base}/v1/chat/completions", f"{base}/chat/completions")
            if base.endswith("/api"):
                paths = (*paths, f"{base}/chat")
        return tuple(urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")) for path in paths)

    def start(self) -> None:
        """Do nothing: the server is asked first when somebody talks."""

    def close(self) -> None:
        """Do nothing: each talk closes its own connections."""

    def chat(self, in_time: bool = True) -> ChatApi:
        """Return one talk's line to the server, whose own waits hold whether a talk is live or not."""
        return ChatApi(self)

    @property
    def headers(self) -> dict[str, str]:
        """What proves to the server who asks."""
        if not self.key:
            return {}
        parts = urlsplit(self.url)
        is_azure = (parts.hostname or "").endswith(".azure.com") or "api-version=" in parts.query
        return {"api-key": self.key} if is_azure else {"Authorization": f"Bearer {self.key}"}


@dataclass(frozen=True)
class _Refusal:
    """A server's answer that is no success, and what it says of the reason."""

    status: int
    reason: str
    parameter: str
    code: str
    retry_s: float = RETRY_AFTER_S


@cache
def _authorities() -> ssl.SSLContext:
    """Return what certificates are checked against: the usual authorities, or those of SSL_CERT_FILE.

    They are read once: it takes longer than the rest of a talk's opening.
    """
    return httpx.create_ssl_context()


class ChatApi:
    """One talk's line to the server. `cut_short`: the last reply ended at its limit of tokens."""

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        # trust_env would add proxies and .netrc logins from the environment
        self._client = httpx.Client(
            timeout=httpx.Timeout(settings.first_token_s),
            headers=settings.headers,
            trust_env=False,
            verify=_authorities(),
        )
        self._endpoints = list(settings.endpoints)
        self._options: dict[str, Any] = {
            "stream": True,
            "max_tokens": settings.max_tokens,
            "temperature": settings.temperature,
        }
        self._system_as_user = False
        self._closed = False
        self.cut_short = False

    def pieces(self, messages: Sequence[Message], cancelled: Cancelled = lambda: False) -> Iterator[str]:
        """Yield the text of one reply as it comes; "" for signs of life without text.

        Raises: LlmFailed when the reply is late, refused, malformed, or ends without its end marker.
        """
        began_s = time.monotonic()
        try:
            while (refusal := (yield from self._ask(messages, began_s, cancelled))) is not None:
                if not self._adapt(refusal):
                    told = _told(refusal, messages, self._settings.key)
                    raise LlmFailed(told, _is_lasting(refusal), refusal.retry_s)
        except httpx.TimeoutException:
            raise LlmFailed("it took too long") from None
        # httpx raises RuntimeError for a client that `close` has closed meanwhile
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, RuntimeError):
            raise LlmFailed("the connection failed") from None

    def prepare(self, messages: Sequence[Message]) -> None:
        """Do nothing: a server keeps what it wants of the prompts that it has seen."""

    def make_room_for_thoughts(self) -> bool:
        """Raise the limit of tokens for the next replies; return whether that was still to be done."""
        name = next((name for name in ("max_tokens", "max_completion_tokens") if name in self._options), None)
        if name is None or self._options[name] > THOUGHT_TOKENS:
            return False
        self._options[name] += THOUGHT_TOKENS
        return True

    def close(self) -> None:
        """Close the connections, which ends a waiting reply. May be called twice and from another thread."""
        self._closed = True
        self._client.close()

    def _ask(
        self, messages: Sequence[Message], began_s: float, cancelled: Cancelled
    ) -> Generator[str, None, _Refusal | None]:
        """Yield the text of a reply; return the server's refusal, None when there was none."""
        body = {"messages": _as_users(messages) if self._system_as_user else list(messages), **self._options}
        if self._settings.model:
            body["model"] = self._settings.model
        if urlsplit(self._endpoints[0]).path.endswith(_OLLAMA_PATH):
            names = {"max_tokens": "num_predict", "temperature": "temperature"}
            body["options"] = {theirs: body.pop(ours) for ours, theirs in names.items() if ours in body}
        with self._client.stream("POST", self._endpoints[0], json=body) as response:
            if response.status_code != httpx.codes.OK:
                return _refusal(response)
            alive = is_other = False
            text = ""
            characters = WholeCharacters()
            # httpx's timeout is per read: an endpoint that sends a little again and again is bounded here
            for data in events(response.iter_bytes()):
                self._check_time(began_s, alive)
                if cancelled():
                    return None
                if data.upper() == "[DONE]":
                    return None
                delta = self._delta(data, messages)
                alive = alive or bool(delta.text) or delta.thinks
                text = delta.text or text
                is_other = is_other or not delta.known
                yield characters.push(delta.text)
                if delta.finish:
                    self.cut_short = delta.finish == "length"
                    return None
            # without an end marker the reply is whole if the transfer was, or if its last sentence is
            framed = "content-length" in response.headers or "transfer-encoding" in response.headers
            if not (text and (framed or re.search(r"[.!?…][\"')\]*_]*\s*$", text))):
                other = is_other and not text
                raise LlmFailed("its answer is no chat completion" if other else "the connection was cut")
        return None

    def _check_time(self, began_s: float, alive: bool) -> None:
        waited_s = time.monotonic() - began_s
        settings = self._settings
        if self._closed or waited_s > settings.total_s or (not alive and waited_s > settings.first_token_s):
            raise LlmFailed("it took too long")

    def _delta(self, data: str, messages: Sequence[Message]) -> Delta:
        """Read one event. Raises: LlmFailed when it is no event of a chat completion, or an error."""
        if not data or _SIGN_OF_LIFE.fullmatch(data):
            return Delta()
        try:
            event: Any = json.loads(data)
            if isinstance(event, list):  # Gemini's
                event = next(iter(event))
            message = event.get("message")
            told = event.get("detail") or (message if isinstance(message, str) else "")
            bare = "choices" not in event and told
            if event.get("error") or event.get("object") == "error" or bare:
                refusal = _read_refusal(0, event)
                raise LlmFailed(_told(refusal, messages, self._settings.key))
            return read_delta(event) if event else Delta()
        except (ValueError, AttributeError, TypeError, KeyError, IndexError, RecursionError):
            raise LlmFailed(NO_EVENTS) from None

    def _adapt(self, refusal: _Refusal) -> bool:
        """Ask differently next time; return whether there is another way."""
        if refusal.status == httpx.codes.NOT_FOUND:
            another_way = len(self._endpoints) > 1 and "model" not in f"{refusal.code} {refusal.parameter}"
            if another_way:
                del self._endpoints[0]
            return another_way
        if refusal.status not in (400, 422, 501):
            return False
        named = next(
            (name for name in (refusal.parameter, *_words(refusal.reason)) if name in self._options), None
        )
        if named == "max_tokens":
            # the successor counts a model's thoughts too
            self._options["max_completion_tokens"] = self._options[named] + THOUGHT_TOKENS
        if named:
            del self._options[named]
            return True
        about_roles = re.search(r"(?i)\broles?\b|\bsystem\b|developer instruction|alternat", refusal.reason)
        if about_roles and not self._system_as_user:
            self._system_as_user = True
            return True
        return False


def _is_lasting(refusal: _Refusal) -> bool:
    # a filter objects to this turn, a full context to this history: the next one may pass
    passing = re.search(
        r"(?i)content.?filter|context.?length|rate.?limit", f"{refusal.code} {refusal.reason}"
    )
    return refusal.status in _LASTING and not passing


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def _as_users(messages: Sequence[Message]) -> list[Message]:
    """Return the messages for a model that knows no system role: that is said by the user, and the roles
    alternate.
    """
    merged: list[Message] = []
    for message in messages:
        role = "user" if message["role"] == "system" else message["role"]
        if merged and merged[-1]["role"] == role:
            merged[-1] = {"role": role, "content": f"{merged[-1]['content']}\n\n{message['content']}"}
        else:
            merged.append({"role": role, "content": message["content"]})
    return merged


# -- refusals ----------------------------------------------------------------------------------------------


def _refusal(response: httpx.Response) -> _Refusal:
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_ERROR_BYTES:
            break
    text = body[:MAX_ERROR_BYTES].decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except ValueError:
        data = {"message": text}
    refusal = _read_refusal(response.status_code, data)
    return replace(refusal, retry_s=_retry_s(response.headers.get("retry-after", "")))


def _retry_s(header: str) -> float:
    """Return the pause that a server asks for; it may also name a date, which is not worth reading."""
    try:
        return min(max(float(header), 1.0), _LONGEST_RETRY_S)
    except ValueError:
        return RETRY_AFTER_S


def _read_refusal(status: int, data: Any) -> _Refusal:
    """Read an error in any of the forms that servers give it."""
    if isinstance(data, list) and data:  # Gemini's
        data = data[0]
    error = data.get("error") if isinstance(data, dict) and data.get("error") else data
    error = error if isinstance(error, dict) else {"message": error}
    detail = error.get("detail")
    where = ""
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):  # FastAPI's
        where = str((detail[0].get("loc") or [""])[-1])
        detail = f"{where}: {detail[0].get('msg', '')}"
    message = error.get("message") or detail or ""
    code = error.get("code") or error.get("type") or ""
    message = "" if re.search(r"<[!/\w]", str(message)) else message  # a proxy's page tells nothing
    return _Refusal(status, _as_text(message), _as_text(error.get("param") or where), _as_text(code))


def _as_text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else "" if value is None else json.dumps(value)


def _told(refusal: _Refusal, messages: Sequence[Message], key: str) -> str:
    """Return the reason to show: the server's own, without its text where that holds what was sent."""
    status = f"status {refusal.status}" if refusal.status else "it reported an error"
    reason = refusal.reason.rstrip(".")
    if not reason or _quotes(reason, messages) or (key and key[:8] in reason):
        reason = refusal.code if re.fullmatch(r"[\w.-]{1,60}", refusal.code) else ""
    return f"{status}: {shorten(reason, 160)}" if reason else status


def _quotes(reason: str, messages: Sequence[Message]) -> bool:
    """Return whether a server's text repeats a part of the prompt or of the talk."""
    words = [word.lower() for word in _words(reason)]
    runs = {tuple(words[k : k + _PRIVATE_WORDS]) for k in range(len(words) - _PRIVATE_WORDS + 1)}
    for message in messages:
        content = message["content"]
        sent = [word.lower() for word in _words(content)]
        if len(content) >= _MIN_PRIVATE_CHARS and content.lower() in reason.lower():
            return True
        if any(tuple(sent[k : k + _PRIVATE_WORDS]) in runs for k in range(len(sent) - _PRIVATE_WORDS + 1)):
            return True
    return False
