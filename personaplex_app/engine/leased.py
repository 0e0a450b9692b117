"""An engine on a device that is lent for a while: its sessions live in a worker process, their frames go over
a Unix socket.

This process loads the weights and forks; a fork has the device as long as the lease runs, and may be used
again for the next one. The worker runs `_serve`, which connects to the lease's socket and answers requests:
pickles, for both ends are this program. No end of file crosses a fork (a later worker inherits our ends of
earlier sockets), so the end is a message of its own, and silence ends too.
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
from collections.abc import Callable, Iterator
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
from .contract import Capabilities, Engine, EngineState, Sampling, Session, SessionConfig, Step

log = logging.getLogger(__name__)

LENGTHS_S = (60, 30, 120)
MARGIN_S = 15
"""What a lease is longer than its talk: the worker's start, the weights' way to the device, the prompt phase.
"""
GOODBYE_S = 1.0
YIELD_EVERY_S = 1.0
SILENT_S = 20.0
OPEN_PATIENCE_S = 60.0
STEP_PATIENCE_S = 10.0
MEET_PATIENCE_S = 5.0
MAX_LEASE_REQUESTS = 64
OVER = "The time on the GPU is over."
LOST = "The GPU was taken away before the end: its worker stopped. Start again."


@dataclass(frozen=True)
class WorkerLease:
    """Where a worker is: `ends_s` is when its lease ends, on the monotonic clock that all processes share."""

    pid: int
    ends_s: float


# a worker's work: the path of a lease's socket, and for how many seconds the device is lent
Serve = Callable[[str, float], Iterator[WorkerLease]]


class RestingEngine(Engine, Protocol):
    """An engine that can be loaded in two steps, the first in this process and the second in a fork."""

    def rest(self, report: Callable[[EngineState], None]) -> None:
        """Bring the weights to where a fork finds them, and no further. Raises: EngineError."""
        ...


class Lender(Protocol):
    """The platform that lends devices."""

    def lend(self, serve: Serve) -> Serve:
        """Return `serve` as it runs in a process that has a device."""
        ...

    def explain(self, error: Exception) -> EngineError:
        """Return why no device was lent, as a sentence for the visitor."""
        ...


class LeasedEngine:
    """`engine`, whose sessions run in workers of a `lender`; at most `most` of them at once."""

    lease_lengths_s = LENGTHS_S
    lost = ""

    def __init__(self, engine: RestingEngine, lender: Lender, most: int) -> None:
        self._engine = engine
        self._lender = lender
        self.max_sessions = most
        self.name = engine.name
        self._run = lender.lend(self._serve)
        self._home_pid = os.getpid()
        self._fresh = True
        self._lease_requests: dict[str, _Lease] = {}
        self._workers: deque[int] = deque(maxlen=MAX_LEASE_REQUESTS)
        self._lock = threading.Lock()
        # a socket's path has at most 107 bytes, so the folder is not in one of ours
        self._folder = tempfile.TemporaryDirectory(prefix="lease-")

    @property
    def capabilities(self) -> Capabilities:
        # a voice is cloned on the device, which nobody holds then
        return Capabilities(**{**vars(self._engine.capabilities), "cloning": False})

    @property
    def voices(self) -> tuple[Voice, ...]:
        return self._engine.voices

    @property
    def about(self) -> str:
        return f"{self._engine.about} The GPU is lent for each talk and given back after it.".strip()

    @property
    def identity(self) -> str:
        return self._engine.identity

    def sample(self, voice: str) -> np.ndarray | None:
        """Return nothing: a sample is said on the device, which nobody holds then."""
        return None

    def load(self, report: Callable[[EngineState], None]) -> None:
        """Load the weights, once. Where a platform emulates its device, that is on the main thread before the
        page is launched.

        Raises: EngineError.
        """
        self._engine.rest(report)

    def open(self, config: SessionConfig) -> Session:
        """Refuse: there is no device without a lease."""
        raise GpuUnavailable(
            "PersonaPlex needs a GPU that is lent to a visitor of the page; open the page and start there."
        )

    def close(self) -> None:
        """End every lease and every worker, and let go of the weights. May be called twice."""
        with self._lock:
            lease_requests = list(self._lease_requests.values())
            self._lease_requests = {}
        for lease in lease_requests:
            lease.end()
        for child in multiprocessing.active_children():
            # they outlive their leases, and this program's end would wait for them: they do not hear SIGTERM
            if child.pid in self._workers:
                child.kill()
        self._engine.close()
        self._folder.cleanup()

    def lease(self, length_s: float) -> _Lease:
        """Wish for a device for so long (see the contract).

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
        """Take a lease's device and keep it until the lease ends (see the contract)."""
        lease = self._lease_requests.get(token)
        if lease is None or not lease.claim():
            return
        values = self._run(lease.path, lease.length_s + MARGIN_S)
        try:
            for at in values:
                if at.pid not in self._workers:
                    self._workers.append(at.pid)
                if not lease.meet(at.ends_s):
                    break
                yield
        except Exception as error:
            lease.fail(self._lender.explain(error))
        finally:
            lease.fail(EngineError(OVER))
            values.close()  # type: ignore[attr-defined]

    def _forget(self, lease: _Lease) -> None:
        with self._lock:
            self._lease_requests.pop(lease.token, None)

    # in the worker

    def _serve(self, path: str, lease_s: float) -> Iterator[WorkerLease]:
        """Open and step sessions for whoever listens at `path`."""
        fresh = self._fresh and os.getpid() != self._home_pid
        at = WorkerLease(os.getpid(), time.monotonic() + lease_s - (_age_s() if fresh else 0.0))
        if fresh:
            torch.set_num_threads(1)  # the threads that the parent computed with are not in a fork
        self._fresh = False
        try:
            connection = Client(path, "AF_UNIX")
        except OSError:
            return  # nobody waits any more
        with closing(connection), closing(_LeaseWorker(self._engine)) as desk:
            yield at
            heard_s = told_s = time.monotonic()
            while (now_s := time.monotonic()) < at.ends_s and now_s - heard_s < SILENT_S:
                if now_s - told_s >= YIELD_EVERY_S:
                    told_s = now_s
                    yield at
                try:
                    if not connection.poll(max(0.0, min(told_s + YIELD_EVERY_S, at.ends_s) - now_s)):
                        continue
                    request = connection.recv()
                    if request is None:
                        break
                    connection.send(desk.answer(*request))
                except (EOFError, OSError):
                    break
                heard_s = time.monotonic()
        if self._engine.lost:
            # a worker that ends with an error is not used again
            raise EngineError(self._engine.lost)


class _LeaseWorker:
    """The worker's end of a lease: one session of the engine at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Session | None = None

    def answer(self, name: str, *args: Any) -> Any:
        """Do what is asked and return the answer, which may be an error."""
        try:
            if name == "open":
                self.close()
                self._engine.load(lambda state: None)
                self._session = self._engine.open(*args)
            elif name == "close":
                self.close()
            elif self._session is None:
                raise EngineError(OVER)
            else:
                return getattr(self._session, name)(*args)
        except PersonaplexError as error:
            return error
        except Exception as error:
            log.exception("a worker's session failed")
            return EngineError(f"The engine failed on the GPU ({type(error).__name__}); start again.")
        return None

    def close(self) -> None:
        session = self._session
        self._session = None
        if session:
            session.close()


class _Lease:
    """Our end of a lease, from the wish to the end."""

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
        # held for a request and its answer; `_state` guards the rest and is never waited for
        self._asking = threading.Lock()
        self._state = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(MEET_PATIENCE_S)
        self._listener.bind(self.path)
        self._listener.listen(1)

    @property
    def left_s(self) -> float:
        return max(0.0, min(self.length_s, self._ends_s - GOODBYE_S - time.monotonic()))

    def claim(self) -> bool:
        """Take the lease for the one who holds it; False when somebody has, or when it is over."""
        with self._state:
            mine = not (self.held or self._ended)
            self.held = True
            return mine

    def meet(self, ends_s: float) -> bool:
        """Connect with the worker, once it is there; False when the lease has ended meanwhile."""
        with self._state:
            if self._ended:
                return False
            if self._connection is None:
                met, _ = self._listener.accept()
                met.setblocking(True)
                self._connection = Connection(met.detach())
                self._ends_s = ends_s
                self.granted.set_result(None)
        return True

    def fail(self, error: EngineError) -> None:
        """Tell whoever waits, if anybody does, that no device comes."""
        with self._state:
            if not self.granted.done():
                self.granted.set_exception(error)

    def end(self) -> None:
        """Give the device back, or let go of the wish. May be called twice, from any thread."""
        self._forget(self)
        self.fail(EngineError(OVER))
        with self._state:
            if self._ended:
                return
            self._ended = True
            self._listener.close()
            Path(self.path).unlink(missing_ok=True)
        with self._asking:
            self._hang_up(tell=True)

    def ask(self, patience_s: float, *request: Any) -> Any:
        """Return the worker's answer to a request.

        Raises: EngineError, also when the worker is gone; whatever the engine raises.
        """
        with self._asking:
            connection = self._connection
            if connection is None or self._ended or time.monotonic() >= self._ends_s:
                raise EngineError(OVER)
            try:
                connection.send(request)
                if not connection.poll(patience_s):
                    # an answer that came later would be taken for another's
                    self._hang_up(tell=True)
                    raise EngineError(f"The GPU did not answer within {patience_s:.0f} s. Start again.")
                answer = connection.recv()
            except (EOFError, OSError) as error:
                self._hang_up()
                raise EngineError(LOST) from error
        if isinstance(answer, PersonaplexError):
            raise answer
        return answer

    def _hang_up(self, tell: bool = False) -> None:
        connection = self._connection
        self._connection = None
        if connection is None:
            return
        try:
            if tell:
                connection.send(None)
        except OSError:
            pass  # the worker is gone already
        finally:
            connection.close()

    def _open(self, config: SessionConfig) -> Session:
        self.granted.result()
        self.ask(OPEN_PATIENCE_S, "open", config)
        return _LeasedSession(self)


class LeasedEngineView:
    """An engine as the holder of a lease sees it: the same, but its sessions open on the leased device, one
    at a time.
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
        """Return how a voice sounds, as the engine does."""
        return self._engine.sample(voice)

    def load(self, report: Callable[[EngineState], None]) -> None:
        """Do nothing: it is loaded, or there would be no lease."""

    def open(self, config: SessionConfig) -> Session:
        """Begin a conversation on the lent device."""
        return self._open(config)

    def close(self) -> None:
        """Do nothing: the lease is ended by who has it."""


class _LeasedSession:
    """A session in a worker."""

    def __init__(self, lease: _Lease) -> None:
        self._lease: _Lease | None = lease

    def step(self, user: np.ndarray) -> Step:
        """Advance by one frame (see the contract)."""
        return self._ask("step", user)

    def interrupt(self) -> None:
        """Make the agent stop speaking now."""
        self._ask("interrupt")

    def resample(self, sampling: Sampling) -> None:
        """Change the sampling from the next frame on."""
        self._ask("resample", sampling)

    def close(self) -> None:
        """Free what the worker holds. May be called twice."""
        lease = self._lease
        self._lease = None
        if lease:
            try:
                lease.ask(STEP_PATIENCE_S, "close")
            except EngineError:
                return  # with the lease it is closed too

    def _ask(self, name: str, *args: Any) -> Any:
        if self._lease is None:
            raise EngineError("The talk has been closed.")
        return self._lease.ask(STEP_PATIENCE_S, name, *args)


def _age_s() -> float:
    """Return how long this process has been there: a lease began before its worker was forked."""
    ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(ticks) / os.sysconf("SC_CLK_TCK")
