"""The servers of the remote engine: address, reported status, health, and the order in which they are
tried.
"""

from __future__ import annotations

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
from ..json_input import read_json
from ..voices import CLONE_PREFIX, NAMES, Voice, released_voice
from .contract import Capabilities, SessionConfig

CHAT_PATH = "/api/chat"
STATUS_PATH = "/voice/status"
PROBE_S = 5.0
# pause after a failure, doubled each time: the first, and the longest
RETRY_S = (5.0, 60.0)
MAX_STATUS_BYTES = 1 << 20
# limits for what a server reports: its answer is untrusted
MAX_VOICES = 256
MAX_PLACES = 1_000
RELEASED = tuple(released_voice(name) for name in NAMES)
PLAIN = Capabilities(sampling=True, backchannels=True, agent_captions=True, role_prompt=True, roleless=True)
"""The capabilities assumed of a moshi-protocol server that reports none."""


@dataclass(frozen=True)
class Access:
    """How servers are reached: headers such as a key, and whether certificates are verified."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    insecure: bool = False

    def tls(self) -> ssl.SSLContext:
        """Return a fresh TLS context that trusts the system's certificates, or those of SSL_CERT_FILE."""
        context = ssl.create_default_context()
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@dataclass(frozen=True)
class ServerStatus:
    """The status that a server of this program reports; other moshi servers report none."""

    title: str = ""
    available: bool = True
    detail: str = ""
    voices: tuple[Voice, ...] = RELEASED
    capabilities: Capabilities = PLAIN
    places: int | None = None
    used: int = 0


@dataclass
class Upstream:
    """One server. `why` says why it last failed, "" when it works."""

    url: str
    places: int = 1
    status: ServerStatus = field(default_factory=ServerStatus)
    talks: int = 0
    why: str = "It has not been asked yet."
    answer_ms: float | None = None
    round_trip_ms: float | None = None
    _failures: int = 0
    _skipped_until_s: float = 0.0
    _failed_in_talk: bool = False

    @property
    def host(self) -> str:
        """Host and port: the rest of the address may hold secrets and is never shown."""
        return urlsplit(self.url).netloc

    @property
    def total(self) -> int:
        """How many talks it holds at once, as far as is known."""
        return self.status.places or self.places

    @property
    def busy(self) -> float:
        """The share of its slots that are taken, by this program or by others."""
        return max(self.talks, self.status.used) / self.total

    def usable(self, now_s: float) -> bool:
        """Return whether it may be tried now, and is not skipped because of a recent failure."""
        return now_s >= self._skipped_until_s

    def worked(self) -> None:
        """Note that the server works."""
        self.why = ""
        self._failures = 0
        self._skipped_until_s = 0.0
        self._failed_in_talk = False

    def failed(self, why: str, now_s: float, in_talk: bool = False) -> None:
        """Note a failure: the server is not tried for a while, longer after each one."""
        self.why = why
        self._failed_in_talk = in_talk
        self._skipped_until_s = now_s + min(RETRY_S[0] * 2**self._failures, RETRY_S[1])
        # bounded, since 2**failures must stay a small number
        self._failures = min(self._failures + 1, 10)

    def talk_url(self, config: SessionConfig) -> str:
        """Return the address of a talk with this configuration.

        Parameters that the server's configured address already has win over the session's.
        """
        parts = urlsplit(self.url)
        asked = {
            # other moshi servers know the released voices by their file names
            "voice_prompt": f"{config.voice}.pt" if config.voice in NAMES else config.voice,
            "text_prompt": config.prompt,
            "audio_temperature": config.sampling.audio_temperature,
            "text_temperature": config.sampling.text_temperature,
            "audio_topk": config.sampling.audio_topk,
            "text_topk": config.sampling.text_topk,
            # -1 is the protocol's word for "choose one"
            "seed": -1 if config.sampling.seed is None else config.sampling.seed,
        }
        if self.status.capabilities.saying:
            asked["events"] = "1"  # such a server tells how lines fare
        return urlunsplit(
            parts._replace(query=urlencode(asked | dict(parse_qsl(parts.query, keep_blank_values=True))))
        )

    @property
    def codec(self) -> Literal["opus", "pcm"]:
        """The codec that its address asks for; every moshi server has Opus."""
        return "pcm" if dict(parse_qsl(urlsplit(self.url).query)).get("codec") == "pcm" else "opus"

    async def probe(self, client: httpx.AsyncClient) -> None:
        """Request the server's status, and note its answer or why there was none.

        Any HTTP answer below 500 shows that the server is up: other moshi servers have no status page.
        """
        parts = urlsplit(self.url)
        status_url = urlunsplit(
            (
                # the status page lies beside the chat route, whatever path a proxy puts before both
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
                async with client.stream("GET", status_url) as answer:
                    body = b""
                    # raw, so that a compressed answer cannot unpack to more than the limit
                    async for part in answer.aiter_raw():
                        body += part
                        if len(body) > MAX_STATUS_BYTES:
                            break
        except TimeoutError:
            return self.failed(f"It did not answer within {PROBE_S:g} s.", time.monotonic())
        except (httpx.HTTPError, OSError) as error:
            return self.failed(connection_error_text(error), time.monotonic())
        self.answer_ms = round((time.perf_counter() - before_s) * 1000, 1)
        if answer.status_code in (401, 403):
            return self.failed(KEY_REQUIRED.format(status=answer.status_code), time.monotonic())
        if status := read_status(body):
            self.status = status
        elif answer.status_code >= 500:
            return self.failed(f"It answers HTTP {answer.status_code}.", time.monotonic())
        if not self.status.available:
            return self.failed(f"It is not ready. {self.status.detail}".strip(), time.monotonic())
        # an HTTP answer does not prove that talks work: a failed talk keeps its pause
        if not self._failed_in_talk or self.usable(time.monotonic()):
            self.worked()


KEY_REQUIRED = (
    "It refuses without the right key (HTTP {status}); set PERSONAPLEX_REMOTE_KEY or"
    " PERSONAPLEX_REMOTE_HEADERS."
)


def by_load(upstreams: list[Upstream], now_s: float) -> list[Upstream]:
    """Return the servers in the order to try: least busy first, those that failed recently last."""
    return sorted(upstreams, key=lambda each: (not each.usable(now_s), each.busy))


def client_of(access: Access) -> httpx.AsyncClient:
    """Return an HTTP client for `Upstream.probe`."""
    return httpx.AsyncClient(verify=access.tls(), headers=dict(access.headers), timeout=PROBE_S)


def connection_error_text(error: BaseException) -> str:
    """Return a sentence on why a connection failed, without the address, which may hold secrets."""
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
            # the system's message for the number: Python's own contains the IP address
            return f"It cannot be reached ({os.strerror(each.errno or 0)})."
    return "It cannot be reached."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    # chains may be long or, by a fault, circular
    seen = 0
    while error is not None and seen < 10:
        yield error
        error = error.__cause__ or error.__context__
        seen = seen + 1


def read_status(body: bytes) -> ServerStatus | None:
    """Return the status in a `/voice/status` answer of this program, None for anything else.

    The answer is untrusted: every field is checked, cut to a limit or replaced.
    """
    try:
        status = read_json(body)
        engine = status["engine"]
        slots = status["slots"]
        voices = tuple(
            _voice(each)
            for each in status["voices"][:MAX_VOICES]
            if not str(each["name"]).startswith(CLONE_PREFIX)
        )
        can = {
            # what an earlier state of this program does not name, it cannot do
            name: engine["capabilities"].get(name) is True
            for name in ("sampling", "backchannels", "agent_captions", "role_prompt", "saying")
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
    """Return a server's text made safe to show: one line, printable characters, at most `limit` of them."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)[: 4 * limit]).split())
    return line if len(line) <= limit else shorten(line, limit)[1:-1]
