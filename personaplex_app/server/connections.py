"""The connections to a server: how many there may be, in all and from one caller, and which must make room.

A connection that waits for a request costs its peer nothing, so that a thousand can be held by anybody. Where
there are too many, the one that has waited longest is closed for the new one; connections in a request or a
talk stay, and if there are only such, the new one is closed.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import socket
from collections import Counter, defaultdict
from collections.abc import Container
from contextlib import suppress
from typing import Any

from ..addresses import bracketed, caller_of
from ..errors import SettingsError

log = logging.getLogger(__name__)

PORTS_TRIED = 50
MOST_CONNECTIONS = 4096
MOST_OF_A_CALLER = 512
HANDLES_WANTED = 65_536
# for what the program opens itself: databases, recordings, engines, other servers
HANDLES_KEPT = 256


def raise_handle_limit() -> None:
    """Let this process open as many files and sockets as it may; who does not ask often gets 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = HANDLES_WANTED if hard == resource.RLIM_INFINITY else min(HANDLES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # then the limit of connections fits the handles there are
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """Return how many connections this process's limit of handles leaves room for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else soft - HANDLES_KEPT
    return max(HANDLES_KEPT // 4, min(MOST_CONNECTIONS, room))


class Connections:
    """The open connections of one server, by handle. Callers in `proxies` count in all, not one by one."""

    def __init__(
        self, most: int, most_of_a_caller: int = MOST_OF_A_CALLER, proxies: Container[str] = ()
    ) -> None:
        self._most = most
        self._most_of_a_caller = most_of_a_caller
        self._proxies = proxies
        self._open: dict[int, tuple[str, socket.socket]] = {}
        self._count: Counter[str] = Counter()
        # of each caller, the connection that has waited longest first
        self._waiting: defaultdict[str, dict[int, socket.socket]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, sock: socket.socket, address: str) -> bool:
        """Count a connection, which waits for its first request; return whether there is room for it."""
        caller = caller_of(address)
        full = self._count[caller] >= self._most_of_a_caller and address not in self._proxies
        if full and not self._make_room(caller):
            return False
        if len(self._open) >= self._most and not self._make_room(*self._greediest()):
            return False
        self._open[sock.fileno()] = (caller, sock)
        self._count[caller] += 1
        self._waiting[caller][sock.fileno()] = sock
        return True

    def left(self, handle: int) -> None:
        """Count a connection no more. May be called twice."""
        caller, _ = self._open.pop(handle, ("", None))
        self._stop_waiting(caller, handle)
        self._count[caller] -= 1
        if self._count[caller] <= 0:
            del self._count[caller]

    def busy(self, handle: int) -> None:
        """Note that a connection is in a request or a talk."""
        caller, _ = self._open.get(handle, ("", None))
        self._stop_waiting(caller, handle)

    def waits(self, handle: int) -> None:
        """Note that a connection waits for the next request."""
        if handle in self._open:
            caller, sock = self._open[handle]
            self._waiting[caller][handle] = sock

    def _stop_waiting(self, caller: str, handle: int) -> None:
        waiting = self._waiting.get(caller, {})
        waiting.pop(handle, None)
        if not waiting:
            self._waiting.pop(caller, None)

    def _greediest(self) -> list[str]:
        """Return who has the most connections among those with one that waits, if there is one."""
        return sorted(self._waiting, key=lambda caller: self._count[caller])[-1:]

    def _make_room(self, caller: str = "") -> bool:
        """Close the connection of a caller that has waited longest; return whether there was one."""
        waiting = self._waiting.get(caller)
        if not waiting:
            return False
        handle = next(iter(waiting))
        sock = waiting[handle]
        self.left(handle)
        # its transport reads an end and closes it; so too in a TLS handshake, before there is a protocol
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        return True


class _Accepted(socket.socket):
    """A connection that is counted until it is closed."""

    connections: Connections | None = None

    def close(self) -> None:
        """Close it."""
        handle = self.fileno()
        super().close()
        if self.connections is not None and handle >= 0:
            self.connections.left(handle)


class Listening(socket.socket):
    """A listening socket whose connections are counted.

    It never tells asyncio that the process has no handle left: that would log the same thousands of times a
    second. Its one spare handle serves to close what cannot be taken.
    """

    def __init__(self, family: int, connections: Connections) -> None:
        # asyncio asks a socket for its protocol, and lets only TCP send small pieces without delay
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._connections = connections
        self._spare = os.open(os.devnull, os.O_RDONLY)
        self._told = False

    def accept(self) -> tuple[socket.socket, object]:
        """Return the next connection there is room for.

        Raises: BlockingIOError when there is none now.
        """
        try:
            plain, peer = super().accept()
        except BlockingIOError:
            raise
        except OSError as error:
            self._turn_away(error)
            raise BlockingIOError from None
        sock = _Accepted(self.family, self.type, self.proto, plain.detach())
        if not self._connections.admit(sock, peer[0]):
            sock.close()
            raise BlockingIOError
        sock.connections = self._connections
        return sock, peer

    def close(self) -> None:
        """Stop listening."""
        super().close()
        self._close_spare()

    def _turn_away(self, error: OSError) -> None:
        """Close a connection for which the process has no handle."""
        if not self._told:
            self._told = True
            log.error("connections are being turned away: %s", error.strerror)
        self._close_spare()
        with suppress(OSError):
            super().accept()[0].close()
        with suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY)

    def _close_spare(self) -> None:
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1


def listen(host: str, port: int, connections: Connections) -> list[Listening]:
    """Return sockets that are bound to every address of a host; `::` is IPv4's too.

    Raises: OSError.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[Listening] = []
    absent: OSError | None = None
    try:
        for family, address in dict.fromkeys((each[0], each[4]) for each in found):
            try:
                sockets.append(_bound(family, address, connections, both=host == "::"))
            except OSError as error:
                # such as ::1 of localhost where there is no IPv6
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                absent = error
        if absent and not sockets:
            raise absent
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bound(family: int, address: Any, connections: Connections, both: bool) -> Listening:
    """Return a socket bound to an address, of `both` families or of its own alone."""
    sock = Listening(family, connections)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def listen_from(host: str, port: int, connections: Connections) -> tuple[list[Listening], int]:
    """Return sockets bound to `port`, or to the next free one, saying so, and the port.

    Raises: SettingsError when none of the next fifty is free.
    """
    reason = "it does not exist"
    for candidate in range(port, min(port + PORTS_TRIED, 65_536)):
        try:
            sockets = listen(host, candidate, connections)
        except OSError as error:
            reason = error.strerror or str(error)
            if isinstance(error, socket.gaierror):
                break
            continue
        if candidate != port:
            print(
                f"Port {port} is in use; taking {candidate}. Choose another with --port or PERSONAPLEX_PORT.",
                flush=True,
            )
        return sockets, candidate
    raise SettingsError(
        f"No port from {port} to {port + PORTS_TRIED - 1} can be used on {bracketed(host)} ({reason}); choose"
        " another with --port, or another address with --host."
    )


def free_port(host: str, port: int) -> int:
    """Return `port`, or the next free one, for a server that somebody else starts.

    Raises: SettingsError when none of the next fifty is free.
    """
    sockets, found = listen_from(host, port, Connections(0))
    for sock in sockets:
        sock.close()
    return found
