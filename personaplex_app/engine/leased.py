"""Run an engine on a device that is lent for a while: sessions live in a worker process.

This process loads the weights and the platform forks it; a fork has the device as long as the lease runs, and
may be reused for the next lease. The worker runs `_serve`, which connects to the lease's Unix socket and
answers requests. Messages are pickles, which is safe because both ends are this program. A closed socket is
not noticed across a fork, because later workers inherit copies of this process's ends of earlier sockets: so
the end of a lease is a message of its own, and the worker also ends after a time without requests.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import secrets
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from ..errors import BadInput, EngineError, GpuUnavailable, PersonaplexError
from ..voices import Voice
from .contract import (
    Capabilities,
    Engine,
    EngineState,
    Sampling,
    Session,
    SessionConfig,
    Step,
    language_of,
)
from .lease_worker import OVER, LeaseWorker
from .saying_contract import Line

log = logging.getLogger(__name__)

LENGTHS_S = (60, 30, 120)
MARGIN_S = 15
"""How much longer than its talk a lease is: the worker's start, the copy of the weights to the device,
prefill.
"""
GOODBYE_S = 1.0
"""Kept at the end of a lease to close the session."""
# with each value `hold` sees whether the lease has ended meanwhile
YIELD_EVERY_S = 1.0
# a talk sends a frame every 80 ms: without a request for so long, the other end is gone
IDLE_TIMEOUT_S = 20.0
# a worker's first session waits for the weights to be copied to the device
OPEN_TIMEOUT_S = 60.0
STEP_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
# bounds what visitors who press Start and leave can pile up
MAX_LEASE_REQUESTS = 64
LOST = "The GPU was taken away before the end: its worker stopped. Start again."


@dataclass(frozen=True)
class WorkerLease:
    """A worker process and its lease.

    `ends_s` is when the lease ends, on the monotonic clock, which all processes of a machine share.
    """

    pid: int
    ends_s: float


# what a worker runs; it takes the path of a lease's socket and the lease's length in seconds
Serve = Callable[[str, float], Generator[WorkerLease, None, None]]


class PreloadableEngine(Engine, Protocol):
    """An engine that is loaded in two steps: `preload` in this process, `load` in a fork of it."""

    def preload(self, report: Callable[[EngineState], None]) -> None:
        """Load the weights, which forks share, and nothing that only a real device can do.

        Raises: EngineError.
        """
        ...


class Lender(Protocol):
    """A platform that lends devices to functions."""

    def lend(self, serve: Serve) -> Serve:
        """Return a function that runs `serve` in a process that has a device."""
        ...

    def explain(self, error: Exception) -> EngineError:
        """Return an error that tells the visitor why no device was lent."""
        ...


class LeasedEngine:
    """Wraps `engine` so that its sessions run in a lender's workers, `max_sessions` of them at once."""

    lease_lengths_s = LENGTHS_S
    lost = ""

    def __init__(self, engine: PreloadableEngine, lender: Lender, max_sessions: int) -> None:
        self._engine = engine
        self._lender = lender
        self.max_sessions = max_sessions
        self.name = engine.name
        self._run = lender.lend(self._serve)
        self._parent_pid = os.getpid()
        self._is_first_lease = True
        self._lease_requests: dict[str, _Lease] = {}
        self._workers: deque[int] = deque(maxlen=MAX_LEASE_REQUESTS)
        self._lock = threading.Lock()
        # a Unix socket's path has at most 107 bytes, so it cannot lie in a data folder with a long name
        self._folder = tempfile.TemporaryDirectory(prefix="lease-")

    @property
    def capabilities(self) -> Capabilities:
        # cloning needs the device, and the clone page holds no lease
        return Capabilities(**{**vars(self._engine.capabilities), "cloning": False})

    @property
    def voices(self) -> tuple[Voice, ...]:
        return self._engine.voices

    @property
    def about(self) -> str:
        return f"{self._engine.about} The GPU is lent for each talk and given back after it.".strip()

    @property
    def language(self) -> str:
        """The wrapped engine's."""
        return language_of(self._engine)

    @property
    def identity(self) -> str:
        return self._engine.identity

    def sample(self, voice: str) -> np.ndarray | None:
        """Return None: making a sample needs the device, and no lease is held for it."""
        return None

    def load(self, report: Callable[[EngineState], None]) -> None:
        """Load the weights, once.

        On a platform that emulates the device, call it on the main thread before the page is launched.

        Raises: EngineError.
        """
        self._engine.preload(report)

    def open(self, config: SessionConfig) -> Session:
        """Raise GpuUnavailable: without a lease there is no device."""
        raise GpuUnavailable(
            "PersonaPlex needs a GPU that is lent to a visitor of the page; open the page and talk there."
        )

    def close(self) -> None:
        """End every lease and every worker, and free the weights. May be called twice."""
        with self._lock:
            # copied, since `end` takes the lock to forget its lease
            lease_requests = list(self._lease_requests.values())
            self._lease_requests = {}
        for lease in lease_requests:
            lease.end()
        for child in multiprocessing.active_children():
            # workers outlive their leases and ignore SIGTERM, and multiprocessing would wait for them at exit
            if child.pid in self._workers:
                child.kill()
        self._engine.close()
        self._folder.cleanup()

    def lease(self, length_s: float) -> _Lease:
        """Request a device for `length_s` (see the contract).

        Raises: BadInput, GpuUnavailable when too many wait.
        """
        if not 0 < length_s <= max(LENGTHS_S):
            raise BadInput(
                f"A GPU is lent for at most {max(LENGTHS_S)} s here; {length_s:g} s were asked for."
            )
        with self._lock:
            if len(self._lease_requests) >= MAX_LEASE_REQUESTS:
                raise GpuUnavailable(
                    f"{MAX_LEASE_REQUESTS} visitors wait for a GPU here, which is the most. Try again in a"
                    " few minutes."
                )
            lease = _Lease(self, length_s, Path(self._folder.name) / secrets.token_hex(8), self._forget)
            self._lease_requests[lease.token] = lease
        return lease

    def hold(self, token: str) -> Iterator[None]:
        """Acquire a lease's device and keep it until the lease ends (see the contract)."""
        lease = self._lease_requests.get(token)
        if lease is None or not lease.claim():
            return
        values = self._run(lease.path, lease.length_s + MARGIN_S)
        try:
            for worker_lease in values:
                if worker_lease.pid not in self._workers:
                    self._workers.append(worker_lease.pid)
                if not lease.connect_worker(worker_lease.ends_s):
                    break
                yield
        except Exception as error:
            lease.fail(self._lender.explain(error))
        finally:
            # without effect once the device was granted; else whoever waits for `granted` would wait forever
            lease.fail(EngineError(OVER))
            values.close()

    def _forget(self, lease: _Lease) -> None:
        with self._lock:
            self._lease_requests.pop(lease.token, None)

    # in the worker

    def _serve(self, path: str, lease_s: float) -> Generator[WorkerLease, None, None]:
        """Connect to the lease's socket at `path` and answer its requests until the lease ends."""
        # a lender without forks, as in the tests, runs this in the parent process itself, which keeps its
        # threads and is as old as the app
        first_lease = self._is_first_lease and os.getpid() != self._parent_pid
        # the platform counts a lease from before the fork: a fresh worker's first one is shorter by the
        # worker's age
        worker_lease = WorkerLease(
            os.getpid(), time.monotonic() + lease_s - (_age_s() if first_lease else 0.0)
        )
        if first_lease:
            # a fork has none of the parent's threads: waiting for its pool would hang
            torch.set_num_threads(1)
        self._is_first_lease = False
        try:
            connection = Client(path, "AF_UNIX")
        except OSError:
            return  # the lease has ended already
        with closing(connection), closing(LeaseWorker(self._engine)) as worker:
            yield worker_lease
            last_request_s = yielded_s = time.monotonic()
            while (
                now_s := time.monotonic()
            ) < worker_lease.ends_s and now_s - last_request_s < IDLE_TIMEOUT_S:
                if now_s - yielded_s >= YIELD_EVERY_S:
                    yielded_s = now_s
                    yield worker_lease
                try:
                    if not connection.poll(
                        max(0.0, min(yielded_s + YIELD_EVERY_S, worker_lease.ends_s) - now_s)
                    ):
                        continue
                    request = connection.recv()
                    if request is None:
                        break
                    connection.send(worker.answer(*request))
                except (EOFError, OSError):
                    break
                last_request_s = time.monotonic()
        if self._engine.lost:
            # the platform does not reuse a worker that ended with an error
            raise EngineError(self._engine.lost)


class _Lease:
    """This process's end of a lease, from the request for a device to the end."""

    def __init__(
        self, leased: LeasedEngine, length_s: float, path: Path, forget: Callable[[_Lease], None]
    ) -> None:
        self.token = secrets.token_urlsafe(24)
        self.path = str(path)
        self.length_s = length_s
        self.granted: Future[None] = Future()
        self.held = False
        self.engine = LeasedEngineView(leased, self._open)
        self._forget = forget
        self._ends_s = 0.0
        self._ended = False
        self._connection: Connection | None = None
        # held from a request to its answer, which may take seconds; `_state` guards the other fields and is
        # only held for moments
        self._request_lock = threading.Lock()
        self._state = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(CONNECT_TIMEOUT_S)
        self._listener.bind(self.path)
        self._listener.listen(1)

    @property
    def left_s(self) -> float:
        return max(0.0, min(self.length_s, self._ends_s - GOODBYE_S - time.monotonic()))

    def claim(self) -> bool:
        """Mark the lease as held; return False when it was held before or is over."""
        with self._state:
            mine = not (self.held or self._ended)
            self.held = True
            return mine

    def connect_worker(self, ends_s: float) -> bool:
        """Accept the worker's connection, the first time; return False when the lease has ended meanwhile."""
        with self._state:
            if self._ended:
                return False
            if self._connection is None:
                # at once: the worker has connected before it yields its first value
                accepted, _ = self._listener.accept()
                # a `Connection` reads the descriptor itself, which must block for that
                accepted.setblocking(True)
                self._connection = Connection(accepted.detach())
                self._ends_s = ends_s
                self.granted.set_result(None)
        return True

    def fail(self, error: EngineError) -> None:
        """Fail `granted` unless the device was granted already."""
        with self._state:
            if not self.granted.done():
                self.granted.set_exception(error)

    def end(self) -> None:
        """Return the device, or cancel the request for one. May be called twice, from any thread."""
        self._forget(self)
        self.fail(EngineError(OVER))
        with self._state:
            if self._ended:
                return
            self._ended = True
            self._listener.close()
            Path(self.path).unlink(missing_ok=True)
        # waits for a request in progress, which may take seconds: hence not under `_state`
        with self._request_lock:
            self._disconnect(notify=True)

    def request(self, timeout_s: float, *message: Any) -> Any:
        """Send a request to the worker and return its answer.

        Raises: EngineError, also when the worker is gone; whatever the engine raises.
        """
        with self._request_lock:
            connection = self._connection
            if connection is None or self._ended or time.monotonic() >= self._ends_s:
                raise EngineError(OVER)
            try:
                connection.send(message)
                if not connection.poll(timeout_s):
                    # a late answer would be taken for the answer to the next request
                    self._disconnect(notify=True)
                    raise EngineError(f"The GPU did not answer within {timeout_s:.0f} s. Start again.")
                answer = connection.recv()
            except (EOFError, OSError) as error:
                self._disconnect()
                raise EngineError(LOST) from error
        if isinstance(answer, PersonaplexError):
            raise answer
        return answer

    def _disconnect(self, notify: bool = False) -> None:
        connection = self._connection
        self._connection = None
        if connection is None:
            return
        try:
            if notify:
                connection.send(None)
        except OSError:
            pass  # the worker is gone already
        finally:
            connection.close()

    def _open(self, config: SessionConfig) -> Session:
        self.granted.result()
        self.request(OPEN_TIMEOUT_S, "open", config)
        return _LeasedSession(self)


class LeasedEngineView:
    """The engine of one lease: it has the wrapped engine's properties, and opens sessions on the leased
    device.

    It holds one session at a time.
    """

    max_sessions = 1
    lost = ""

    def __init__(self, engine: Engine, open_: Callable[[SessionConfig], Session]) -> None:
        self._engine = engine
        self._open = open_
        self.name = engine.name

    @property
    def capabilities(self) -> Capabilities:
        return self._engine.capabilities

    @property
    def voices(self) -> tuple[Voice, ...]:
        return self._engine.voices

    @property
    def about(self) -> str:
        return self._engine.about

    @property
    def identity(self) -> str:
        return self._engine.identity

    def sample(self, voice: str) -> np.ndarray | None:
        """Return a voice's sample, as the wrapped engine does."""
        return self._engine.sample(voice)

    def load(self, report: Callable[[EngineState], None]) -> None:
        """Do nothing: a lease is only made of a loaded engine."""

    def open(self, config: SessionConfig) -> Session:
        """Begin a session on the leased device."""
        return self._open(config)

    def close(self) -> None:
        """Do nothing: `Lease.end` frees the device."""


class _LeasedSession:
    """A session that runs in a worker process."""

    def __init__(self, lease: _Lease) -> None:
        self._lease: _Lease | None = lease

    def step(self, user: np.ndarray) -> Step:
        """Advance by one frame (see the contract)."""
        return self._request("step", user)

    def interrupt(self) -> None:
        """Make the agent stop speaking now."""
        self._request("interrupt")

    def resample(self, sampling: Sampling) -> None:
        """Change the sampling from the next frame on."""
        self._request("resample", sampling)

    def say(self, line: Line) -> None:
        """Take a line (see the contract)."""
        self._request("say", line)

    def more(self, line_id: str, text: str, last: bool) -> None:
        """Go on with a line."""
        self._request("more", line_id, text, last)

    def unsay(self, line_id: str) -> None:
        """Take a line back."""
        self._request("unsay", line_id)

    def hold(self, on: bool) -> None:
        """Keep the agent from speaking of its own, or let it again."""
        self._request("hold", on)

    def close(self) -> None:
        """Free what the worker holds. May be called twice."""
        lease = self._lease
        self._lease = None
        if lease:
            try:
                lease.request(STEP_TIMEOUT_S, "close")
            except EngineError:
                return  # the worker closed it when the lease ended

    def _request(self, name: str, *args: Any) -> Any:
        if self._lease is None:
            raise EngineError("The talk has been closed.")
        return self._lease.request(STEP_TIMEOUT_S, name, *args)


def _age_s() -> float:
    """Return how old this process is: a lease begins before its worker is forked.

    Source: proc(5), field 22 of /proc/self/stat, the start time in clock ticks after boot.
    """
    ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(ticks) / os.sysconf("SC_CLK_TCK")
