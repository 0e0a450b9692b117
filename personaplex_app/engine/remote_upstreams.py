"""The servers behind the remote engine: where each one is, what it told, whether it answers, and who is asked
next.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import anyio
import httpx

from ..errors import shorten
from ..voices import CLONE_PREFIX, NAMES, Voice, released_voice
from .contract import Capabilities, SessionConfig

CHAT_PATH = "/api/chat"
STATUS_PATH = "/voice/status"
PROBE_S = 5.0
RETRY_S = (5.0, 60.0)
MAX_STATUS_BYTES = 1 << 20
MAX_VOICES = 256
MAX_PLACES = 1_000
RELEASED = tuple(released_voice(name) for name in NAMES)
PLAIN = Capabilities(sampling=True, backchannels=True, agent_captions=True, role_prompt=True, roleless=True)
"""What a server of the moshi family can do that tells nothing of itself."""


@dataclass(frozen=True)
class Access:
    """How servers are reached: what they ask for, and whether their certificates are checked."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    insecure: bool = False

    def tls(self) -> ssl.SSLContext:
        """Return a fresh context; the system's certificates, or those of SSL_CERT_FILE, are trusted."""
        context = ssl.create_default_context()
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@dataclass(frozen=True)
class ServerStatus:
    """What a server of this program tells of itself; servers of the moshi family tell nothing."""

    title: str = ""
    available: bool = True
    detail: str = ""
    voices: tuple[Voice, ...] = RELEASED
    capabilities: Capabilities = PLAIN
    places: int | None = None
    used: int = 0


@dataclass
class Upstream:
    """One server. `why` says what was wrong the last time, "" when all was well."""

    url: str
    places: int = 1
    told: ServerStatus = field(default_factory=ServerStatus)
    talks: int = 0
    why: str = "It has not been asked yet."
    answer_ms: float | None = None
    round_trip_ms: float | None = None
    _failures: int = 0
    _skipped_until_s: float = 0.0
    _failed_in_talk: bool = False

    @property
    def host(self) -> str:
        """Host and port, which is all that anybody else is shown."""
        return urlsplit(self.url).netloc

    @property
    def total(self) -> int:
        """How many talks it holds at once, as far as is known."""
        return self.told.places or self.places

    @property
    def busy(self) -> float:
        """The share of its places that are taken, by us or by others."""
        return max(self.talks, self.told.used) / self.total

    def usable(self, now_s: float) -> bool:
        """Return whether it is worth asking now."""
        return now_s >= self._skipped_until_s

    def worked(self) -> None:
        """Note that it does what it should."""
        self.why = ""
        self._failures = 0
        self._skipped_until_s = 0.0
        self._failed_in_talk = False

    def failed(self, why: str, now_s: float, in_talk: bool = False) -> None:
        """Note what went wrong: it is left alone for a while, longer each time."""
        self.why = why
        self._failed_in_talk = in_talk
        self._skipped_until_s = now_s + min(RETRY_S[0] * 2**self._failures, RETRY_S[1])
        self._failures = min(self._failures + 1, 10)

    def talk_url(self, config: SessionConfig) -> str:
        """Return where to talk in a voice and role; what the server's own address says already stays as it
        says.
        """
        parts = urlsplit(self.url)
        asked = {
            "voice_prompt": f"{config.voice}.pt" if config.voice in NAMES else config.voice,
            "text_prompt": config.prompt,
            "audio_temperature": config.sampling.audio_temperature,
            "text_temperature": config.sampling.text_temperature,
            "audio_topk": config.sampling.audio_topk,
            "text_topk": config.sampling.text_topk,
            "seed": -1 if config.sampling.seed is None else config.sampling.seed,
        }
        return urlunsplit(
            parts._replace(query=urlencode(asked | dict(parse_qsl(parts.query, keep_blank_values=True))))
        )

    @property
    def codec(self) -> Literal["opus", "pcm"]:
        """The codec that its address asks for; every server of the family has Opus."""
        return "pcm" if dict(parse_qsl(urlsplit(self.url).query)).get("codec") == "pcm" else "opus"

    async def probe(self, client: httpx.AsyncClient) -> None:
        """Ask how it is; the answer, or why there was none, is noted here.

        Any answer of a web server will do.
        """
        parts = urlsplit(self.url)
        status = urlunsplit(
            (
                "https" if parts.scheme == "wss" else "http",
                parts.netloc,
                parts.path.removesuffix(CHAT_PATH) + STATUS_PATH,
                "",
                "",
            )
        )
        before_s = time.perf_counter()
        try:
            with anyio.fail_after(PROBE_S):
                async with client.stream("GET", status) as answer:
                    body = b""
                    async for part in answer.aiter_raw():
                        body += part
                        if len(body) > MAX_STATUS_BYTES:
                            break
        except TimeoutError:
            return self.failed(f"It did not answer within {PROBE_S:g} s.", time.monotonic())
        except (httpx.HTTPError, OSError) as error:
            return self.failed(sentence_of(error), time.monotonic())
        self.answer_ms = round((time.perf_counter() - before_s) * 1000, 1)
        if answer.status_code in (401, 403):
            return self.failed(ASKS_FOR_A_KEY.format(status=answer.status_code), time.monotonic())
        if told := read_status(body):
            self.told = told
        elif answer.status_code >= 500:
            return self.failed(f"It answers HTTP {answer.status_code}.", time.monotonic())
        if not self.told.available:
            return self.failed(f"It is not ready. {self.told.detail}".strip(), time.monotonic())
        # that it answers does not show that it talks
        if not self._failed_in_talk or self.usable(time.monotonic()):
            self.worked()


ASKS_FOR_A_KEY = (
    "It refuses without the right key (HTTP {status}); set PERSONAPLEX_REMOTE_KEY or"
    " PERSONAPLEX_REMOTE_HEADERS."
)


def by_turn(upstreams: list[Upstream], now_s: float) -> list[Upstream]:
    """Return whom to ask, first the least busy; those that failed lately come last."""
    return sorted(upstreams, key=lambda each: (not each.usable(now_s), each.busy))


def client_of(access: Access) -> httpx.AsyncClient:
    """Return what `Upstream.probe` asks with."""
    return httpx.AsyncClient(verify=access.tls(), headers=dict(access.headers), timeout=PROBE_S)


def sentence_of(error: BaseException) -> str:
    """Return what kept a connection from being made, without the address, which may hold what is private."""
    for each in _causes(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return (
                f"Its certificate cannot be verified ({each.verify_message}). Name its authority's file in"
                " SSL_CERT_FILE, or give --remote-insecure to do without the check."
            )
        if isinstance(each, ssl.SSLError):
            return "It does not speak TLS; begin its address with ws:// if that is meant."
        if isinstance(each, socket.gaierror):
            return "Its name is not known to the name servers."
        if isinstance(each, OSError) and (each.errno or 0) > 0:
            # the system's words alone: Python's name the address behind the name
            return f"It cannot be reached ({os.strerror(each.errno or 0)})."
    return "It cannot be reached."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen = 0
    while error is not None and seen < 10:
        yield error
        error = error.__cause__ or error.__context__
        seen = seen + 1


def read_status(body: bytes) -> ServerStatus | None:
    """Return what a `/voice/status` of this program says, None for anything else.

    Nothing in it is trusted to have its form.
    """
    try:
        status = json.loads(body)
        engine = status["engine"]
        slots = status["slots"]
        voices = tuple(
            _voice(each)
            for each in status["voices"][:MAX_VOICES]
            if not str(each["name"]).startswith(CLONE_PREFIX)
        )
        can = {
            name: engine["capabilities"][name] is True
            for name in ("sampling", "backchannels", "agent_captions", "role_prompt")
        }
        return ServerStatus(
            title=one_line(engine["title"]),
            available=status["available"] is True,
            detail=one_line(engine["detail"] or engine["stage"]),
            voices=voices or RELEASED,
            capabilities=Capabilities(**can),
            places=min(max(int(slots["total"]), 1), MAX_PLACES),
            used=max(int(slots["used"]), 0),
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None


def _voice(entry: Any) -> Voice:
    return Voice(*(one_line(entry[name]) for name in ("name", "title", "description", "family")))


def one_line(text: Any, limit: int = 200) -> str:
    """Return what a server said as it can be shown: one line, printable, not too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)[: 4 * limit]).split())
    return line if len(line) <= limit else shorten(line, limit)[1:-1]
