"""The remote engine: a client of any server that speaks the moshi wire protocol, or of several."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .. import __version__
from ..codec import make_codec
from ..errors import BadPrompt, CapacityError, EngineError, EngineUnavailable, UnknownVoice, shorten
from ..voices import Voice
from .contract import Capabilities, EngineState, SessionConfig
from .remote_connection import RemoteConnection, ServerFault, TalkRefused, Timeouts, dial
from .remote_session import RemoteSession
from .remote_upstreams import PLAIN, RELEASED, Access, Upstream, by_load, client_of

log = logging.getLogger(__name__)

PROBE_EVERY_S = 10.0
START_S = 20.0
"""How long servers may take to answer when the engine is loaded."""
STARTING_S = 900.0
"""The same for servers that answer that they are still starting."""
LOST_AFTER_S = 120.0
"""The engine counts as lost when no server has answered for so long."""
ATTEMPTS = 3
PAUSE_S = 0.5
MAX_SHOWN = 4
MAX_ADDRESS_CHARS = 8_000
"""Web servers accept request lines of up to 8 KiB, and the role prompt travels in the address."""

T = TypeVar("T")


@dataclass(frozen=True)
class RemoteSettings:
    """The servers and how they are reached. `places` is how many talks to begin on a server that does not
    report how many it holds.
    """

    urls: tuple[str, ...]
    access: Access = field(default_factory=Access)
    places: int = 1
    timeouts: Timeouts = field(default_factory=Timeouts)
    start_s: float = START_S
    pause_s: float = PAUSE_S


class RemoteEngine:
    """Holds talks on remote servers: the least busy one first; one that fails is not tried for a while.

    A talk stays on the server where it began.
    """

    name = "remote"

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._upstreams = [Upstream(url, settings.places) for url in settings.urls]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._answered_s = 0.0
        self._probing: asyncio.Task[None] | None = None
        # kept: the event loop itself holds its tasks only weakly, and a collected one ends a talk
        self._connection_tasks: set[asyncio.Task[None]] = set()
        addresses = hashlib.sha256("\n".join(settings.urls).encode()).hexdigest()[:12]
        # a server does not report which weights it runs, so that its address stands for them
        self.identity = f"remote {__version__} {', '.join(each.host for each in self._upstreams)} {addresses}"
        self.lost = ""

    @property
    def _known(self) -> list[Upstream]:
        return [each for each in self._upstreams if each.answer_ms is not None]

    @property
    def capabilities(self) -> Capabilities:
        """What all servers can do; one that reports nothing is taken for PersonaPlex.

        Cloning and captions of the user are not in the protocol.
        """
        # the intersection, since a talk may begin on any of the servers
        known = [each.status.capabilities for each in self._known] or [PLAIN]
        return Capabilities(**{name: all(getattr(each, name) for each in known) for name in vars(PLAIN)})

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The voices that all servers have; a server that reports none is taken to have the released ones."""
        known = [each.status.voices for each in self._known] or [RELEASED]
        return (
            tuple(
                voice
                for voice in known[0]
                if all(voice.name in {other.name for other in others} for others in known)
            )
            # servers without a voice in common: better the first one's than none
            or known[0]
        )

    @property
    def max_sessions(self) -> int:
        """How many talks the servers that answer can hold at once."""
        return max(1, sum(each.total for each in self._upstreams if each.usable(time.monotonic())))

    @property
    def about(self) -> str:
        """A sentence on each server: whether it answers, and how long a round trip takes."""
        shown = " ".join(_state(each) for each in self._upstreams[:MAX_SHOWN])
        more = len(self._upstreams) - MAX_SHOWN
        return shown + (f" And {more} more." if more > 0 else "")

    def sample(self, voice: str) -> None:
        """Return None: the protocol cannot ask for a sample."""

    def load(self, report: Callable[[EngineState], None]) -> None:
        """Wait until one of the servers answers. Later calls do nothing.

        Raises: EngineUnavailable when none does.
        """
        if not self._upstreams:
            raise EngineUnavailable(
                "No remote server is named; set --remote-url to the address of one, such as wss://gpu.example:8998"
            )
        if self._thread:
            return
        self._start()
        began_s = time.monotonic()
        detail = "asking " + ", ".join(each.host for each in self._upstreams[:MAX_SHOWN])
        while True:
            report(EngineState("starting", detail))
            self._run(self._probe())
            if any(not each.why for each in self._upstreams):
                break
            starting = [each for each in self._upstreams if not each.status.available]
            if time.monotonic() - began_s > (STARTING_S if starting else self._settings.start_s):
                raise EngineUnavailable(_failure(self._upstreams))
            detail = f"waiting for {starting[0].host}: {starting[0].status.detail}" if starting else detail
            time.sleep(self._settings.pause_s)
        # on the loop, since a task can only be made there
        self._run(self._start_probing())

    def open(self, config: SessionConfig) -> RemoteSession:
        """Begin a session on the least busy server.

        Raises: UnknownVoice, BadPrompt, CapacityError, EngineError.
        """
        names = [voice.name for voice in self.voices]
        if config.voice not in names:
            raise UnknownVoice(
                f"The remote server has no voice {shorten(config.voice)}; choose one of: {', '.join(names)}."
            )
        if any(len(each.talk_url(config)) > MAX_ADDRESS_CHARS for each in self._upstreams):
            raise BadPrompt(
                "The role prompt is too long for a remote server, which takes it in its address; shorten it."
            )
        upstream, connection = self._run(self._begin(config))
        return RemoteSession(
            connection,
            upstream.host,
            config.realtime,
            self._settings.timeouts.silent_s,
            lambda: self._talk_ended(upstream),
        )

    def close(self) -> None:
        """End every talk and the thread of their event loop. May be called twice."""
        with self._lock:
            loop = self._loop
            self._loop = None
            if loop and self._stopping:
                loop.call_soon_threadsafe(self._stopping.set)
        if self._thread:
            # bounded: a server that hangs must not hold up the app's end
            self._thread.join(timeout=10)

    # the thread with the event loop

    def _start(self) -> None:
        # `_run` needs the loop, which exists only once the thread runs
        running = threading.Event()

        async def run_loop() -> None:
            self._loop = asyncio.get_running_loop()
            self._stopping = asyncio.Event()
            running.set()
            await self._stopping.wait()
            # a cancelled task may have started further ones: repeat until none is left
            while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)  # aborted transports close in the loop's next iteration

        self._thread = threading.Thread(target=lambda: asyncio.run(run_loop()), name="remote", daemon=True)
        self._thread.start()
        running.wait()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the event loop from another thread and wait for its result.

        Raises: EngineError when the engine is not running.
        """
        # `close` must not end the loop between the check and the scheduling
        with self._lock:
            if self._loop is None:
                work.close()  # a coroutine that is never awaited makes Python warn
                raise EngineError("The remote engine is not running; wait until it is ready.")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise EngineError("The remote engine was closed.") from None

    async def _probe(self) -> None:
        # a server that holds a talk is known to work, and may be too busy to answer
        async with client_of(self._settings.access) as client:
            await asyncio.gather(*(each.probe(client) for each in self._upstreams if not each.talks))
        if any(each.talks or not each.why for each in self._upstreams):
            self._answered_s = time.monotonic()

    async def _start_probing(self) -> None:
        async def probe_forever() -> None:
            while not self.lost:
                await asyncio.sleep(PROBE_EVERY_S)
                try:
                    await self._probe()
                except Exception as error:
                    # whatever a server answers, the others are asked again
                    log.warning("the remote servers could not be asked: %s", type(error).__name__)
                if time.monotonic() - self._answered_s > LOST_AFTER_S:
                    self.lost = _failure(self._upstreams)

        self._probing = asyncio.ensure_future(probe_forever())

    async def _begin(self, config: SessionConfig) -> tuple[Upstream, RemoteConnection]:
        """Connect to the first server that takes the talk, in up to `ATTEMPTS` rounds over all servers."""
        timeouts = self._settings.timeouts
        began_s = time.monotonic()
        refusal = ""
        asked: set[str] = set()
        for attempt in range(ATTEMPTS):
            # no pause before the first round
            await asyncio.sleep(self._settings.pause_s * attempt)
            for upstream in by_load(self._upstreams, time.monotonic()):
                # the caller waits: once its time is used up, no further server is tried
                waited_s = time.monotonic() - began_s
                if upstream.talks >= upstream.total or waited_s > timeouts.connect_s + (
                    0 if attempt else timeouts.handshake_s
                ):
                    continue
                asked.add(upstream.url)
                # counted before it is connected, so that talks that begin meanwhile go to other servers
                upstream.talks += 1
                try:
                    return upstream, await self._dial(upstream, config)
                except TalkRefused as error:
                    refusal = f"The remote server {upstream.host} refused the talk. {error}"
                except ServerFault as error:
                    log.warning("remote server %s: %s", upstream.host, error)
                    upstream.failed(str(error), time.monotonic(), in_talk=True)
                upstream.talks -= 1
            # a refusal is a decision, not a fault: another round would get the same answer
            if refusal:
                raise EngineError(refusal)
        if not asked:
            raise CapacityError("All slots of the remote servers are taken; try again when a talk has ended.")
        raise EngineError(_failure([each for each in self._upstreams if each.url in asked]))

    async def _dial(self, upstream: Upstream, config: SessionConfig) -> RemoteConnection:
        def note(round_trip_ms: float) -> None:
            upstream.round_trip_ms = round(round_trip_ms, 1)

        access = self._settings.access
        timeouts = self._settings.timeouts
        try:
            connection = await dial(
                upstream.talk_url(config), make_codec(upstream.codec), access, timeouts, config.realtime, note
            )
        except ServerFault:
            raise  # `_begin` goes on to the next server and counts this one down itself
        except BaseException:
            upstream.talks -= 1
            raise
        connection.saying = upstream.status.capabilities.saying
        upstream.worked()
        task = asyncio.ensure_future(connection.run())
        self._connection_tasks.add(task)
        task.add_done_callback(self._connection_ended)
        return connection

    def _connection_ended(self, task: asyncio.Task[None]) -> None:
        self._connection_tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a talk with a remote server ended by a fault of the program", exc_info=error)

    def _talk_ended(self, upstream: Upstream) -> None:
        def left() -> None:
            upstream.talks -= 1

        with self._lock:
            if self._loop:
                # on the loop, which counts up too: neither needs a lock then
                self._loop.call_soon_threadsafe(left)


def probe_servers(settings: RemoteSettings) -> list[dict[str, Any]]:
    """Return for each server whether it answers, for the `doctor` command."""
    upstreams = [Upstream(url, settings.places) for url in settings.urls]

    async def probe() -> None:
        async with client_of(settings.access) as client:
            await asyncio.gather(*(each.probe(client) for each in upstreams))

    if upstreams:
        # on a thread of its own: a notebook's main thread already runs an event loop
        with ThreadPoolExecutor(1) as own:
            own.submit(asyncio.run, probe()).result()
    return [{"host": each.host, "answers": not each.why, "detail": _state(each)} for each in upstreams]


def _state(upstream: Upstream) -> str:
    """Return a sentence on one server's state."""
    name = f"{upstream.host} ({upstream.status.title})" if upstream.status.title else upstream.host
    if upstream.why:
        return f"{name}: {upstream.why}"
    if upstream.round_trip_ms is not None:
        return f"{name} answers; a round trip takes {upstream.round_trip_ms:g} ms."
    return f"{name} answers" + ("." if upstream.answer_ms is None else f" in {upstream.answer_ms:g} ms.")


def _failure(upstreams: list[Upstream]) -> str:
    """Return a sentence on why no server can be used."""
    if len(upstreams) == 1:
        return f"The remote server {upstreams[0].host} cannot be used. {upstreams[0].why}"
    reasons = " ".join(f"{each.host}: {each.why}" for each in upstreams[:MAX_SHOWN])
    return f"None of the {len(upstreams)} remote servers can be used. {reasons}"
