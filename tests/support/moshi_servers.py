"""Scripted servers of the moshi wire protocol, well-behaved and hostile, over real sockets."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from personaplex_app.audio import Reframer
from personaplex_app.codec import make_codec
from personaplex_app.protocol import Kind, decode
from personaplex_app.units import FRAME_SAMPLES

from .patience import PATIENCE_S


class Talk:
    """The server's side of one talk, in Opus."""

    def __init__(self, socket: ServerConnection, over: threading.Event) -> None:
        self.socket, self.over = socket, over
        self._codec, self._reframer = make_codec("opus"), Reframer()

    def begin(self) -> None:
        self.socket.send(bytes([Kind.HANDSHAKE]))

    def say(self, kind: Kind, payload: bytes = b"") -> None:
        self.socket.send(bytes([kind]) + payload)

    def speak(self, samples: np.ndarray) -> None:
        self.say(Kind.AUDIO, self._codec.encode(samples))

    def frames(self) -> Iterator[np.ndarray]:
        """Yield the user's frames as they come."""
        for data in self.socket:
            message = decode(data)
            assert message.kind is Kind.AUDIO
            yield from self._reframer.push(self._codec.decode(message.payload))


def echo(talk: Talk) -> None:
    """Begin the talk, and send each frame back at once."""
    talk.begin()
    for frame in talk.frames():
        talk.speak(frame)


def hang(talk: Talk) -> None:
    """Never begin the talk."""
    for _ in talk.socket:
        pass


def mute(talk: Talk) -> None:
    """Begin the talk, receive everything, and send nothing."""
    talk.begin()
    for _ in talk.frames():
        pass


def after_one_frame(act: Callable[[Talk], object]) -> Callable[[Talk], None]:
    """Return a server that answers one frame and then calls `act`."""

    def run(talk: Talk) -> None:
        talk.begin()
        next(iter(talk.frames()))
        talk.speak(np.zeros(FRAME_SAMPLES, np.float32))
        act(talk)
        talk.over.wait(PATIENCE_S)

    return run


@dataclass
class MoshiServer:
    """A running server. `asked` has the query and the headers of each request for a talk."""

    url: str
    asked: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)
    talks: int = 0


@contextmanager
def moshi_server(
    talk: Callable[[Talk], object] = echo,
    status: Callable[[], tuple[int, bytes]] = lambda: (404, b""),
    port: int = 0,
    key: str = "",
    answer: tuple[int, dict[str, str]] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[MoshiServer]:
    """Run a server whose talks are held by `talk`.

    Other paths are answered by `status`; with `answer`, requests for a talk get that status and headers.
    """
    over = threading.Event()
    server = MoshiServer("")

    def process(connection: ServerConnection, request: Request) -> Response | None:
        if key and request.headers.get("Authorization") != f"Bearer {key}":
            return connection.respond(401, "")
        parts = urlsplit(request.path)
        code, headers = (status()[0], {}) if parts.path != "/api/chat" else answer or (0, {})
        if not code:
            server.asked.append((dict(parse_qsl(parts.query, keep_blank_values=True)), dict(request.headers)))
            return None
        response = connection.respond(code, "")
        response.body = status()[1] if parts.path != "/api/chat" else b""
        response.headers.update(headers)
        del response.headers["Content-Length"]
        response.headers["Content-Length"] = str(len(response.body))
        return response

    def hold(socket: ServerConnection) -> None:
        server.talks += 1
        try:
            talk(Talk(socket, over))
        except (ConnectionClosed, StopIteration):
            pass
        finally:
            server.talks -= 1

    quiet = logging.Logger("quiet", logging.CRITICAL)
    with serve(
        hold,
        "127.0.0.1",
        port,
        process_request=process,
        ssl=tls,
        close_timeout=1,
        ping_interval=None,
        compression=None,
        logger=quiet,
    ) as running:
        server.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{running.socket.getsockname()[1]}/api/chat"
        thread = threading.Thread(target=running.serve_forever, name="moshi-server")
        thread.start()
        try:
            yield server
        finally:
            over.set()
            running.shutdown()
            thread.join(PATIENCE_S)
