"""The server's limits on heads, bodies and silence, over real sockets: nothing is answered by silence."""

import asyncio
import base64
import os
import socket
from contextlib import ExitStack, closing, contextmanager, suppress
from urllib.parse import quote

import pytest
import uvicorn
from uvicorn.server import ServerState

from personaplex_app.protocol_fields import MAX_PROMPT_CHARS
from personaplex_app.server import listener
from personaplex_app.server.connections import Connections, listen
from personaplex_app.server.listener import MAX_HEAD_BYTES, MAX_HEADERS, Server

from .support.patience import PATIENCE_S

pytestmark = pytest.mark.unit


async def app(scope, receive, send):
    """Answer with how long the body was, before it is there for /early; accept every WebSocket."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": message["type"] + ".complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while scope["path"] == "/stay" and (await receive())["type"] != "websocket.disconnect":
            pass
        return await send({"type": "websocket.close", "code": 1000})
    length = 0
    while scope["path"] != "/early":
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        length += len(message["body"])
        if not message["more_body"]:
            break
    body = str(length).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(autouse=True)
def _little_patience_with_readers(monkeypatch):
    monkeypatch.setattr(listener, "LINGER_S", 0.05)


@contextmanager
def serving(most=64):
    """Serve the app; yield a function that connects, and the connections."""
    connections = Connections(most)
    (sock,) = listen("127.0.0.1", 0, connections)
    address = sock.getsockname()
    server = Server(app, 10.0, [sock], connections)
    server.start()
    try:
        yield lambda: closing(socket.create_connection(address, timeout=PATIENCE_S)), connections
    finally:
        server.close()


@pytest.fixture(scope="module")
def dial():
    with serving() as (connect, _):
        yield connect


def read(connection):
    """Return all that comes until the server closes."""
    said = b""
    while piece := connection.recv(65536):
        said += piece
    return said.decode("latin-1")


def status(connection):
    return int(connection.recv(65536).split()[1])


def head(query="", *lines, upgrade=True, method="GET"):
    wanted = [
        *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
    ]
    all_lines = [f"{method} /{query} HTTP/1.1", "Host: localhost", *(wanted if upgrade else ()), *lines]
    return "\r\n".join([*all_lines, "", ""]).encode()


@pytest.mark.parametrize("upgrade", [True, False])
@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("", []),
        ("?text_prompt=" + quote("你" * MAX_PROMPT_CHARS), []),
        ("?text_prompt=" + quote("é" * MAX_PROMPT_CHARS), []),
        ("?text_prompt=" + quote("🧁" * MAX_PROMPT_CHARS), []),
        ("", ["Cookie: " + "; ".join(f"sso_{n}={'x' * 3500}" for n in range(3))]),
        ("", ["Authorization: Bearer " + "x" * 40_000]),
        ("", [f"X-H{n}: 1" for n in range(MAX_HEADERS - 10)]),
    ],
    ids=["short", "Chinese", "accented", "emoji", "cookies", "token", "headers"],
)
def test_head_within_the_limits_connects(dial, query, lines, upgrade):
    with dial() as connection:
        connection.sendall(head(query, *lines, upgrade=upgrade))
        assert status(connection) == (101 if upgrade else 200)


@pytest.mark.parametrize("upgrade", [True, False])
@pytest.mark.parametrize(
    ("query", "lines", "wanted"),
    [
        ("?" + "x" * MAX_HEAD_BYTES, [], 414),
        ("", ["X-Long: " + "x" * MAX_HEAD_BYTES], 431),
        ("", [f"X-H{n}: {'x' * 2000}" for n in range(40)], 431),
        ("", [f"X-H{n}: 1" for n in range(MAX_HEADERS + 1)], 431),
    ],
    ids=["line", "header", "all", "number"],
)
def test_head_over_the_limits_is_answered_and_closed(dial, query, lines, wanted, upgrade):
    with dial() as connection:
        connection.sendall(head(query, *lines, upgrade=upgrade))
        answer = read(connection)
    assert answer.startswith(f"HTTP/1.1 {wanted} ")
    assert "here; this one has more." in answer


@pytest.mark.parametrize(
    "sent",
    [
        head("", method="POST"),
        head("", "Content-Length: 5") + b"hello",
        head("").replace(b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 12"),
        head("").replace(b"Sec-WebSocket-Key", b"X-Key"),
        head("", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"no request at all\r\n\r\n",
    ],
    ids=["method", "body", "version", "key", "chunked", "TLS", "nonsense"],
)
def test_handshake_that_is_none_is_answered_and_closed(dial, sent):
    with dial() as connection:
        connection.sendall(sent)
        assert read(connection).startswith(("HTTP/1.1 4", "HTTP/1.1 5"))


def test_websocket_is_not_watched_as_a_request_with_a_body(monkeypatch, caplog):
    monkeypatch.setattr(listener, "BODY_CHECK_S", 0.0)
    with serving() as (connect, connections), connect() as connection:
        connection.sendall(head(query="talk"))
        assert status(connection) == 101
        assert not connections._waiting
        connection.sendall(b"\x88\x80\0\0\0\0")  # the answer to the server's close
        read(connection)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_head_in_many_pieces_and_two_requests_in_one_are_understood(dial):
    with dial() as connection:
        for piece in (b"GET / HT", b"TP/1.1\r\nHost: x\r", b"\n\r", b"\n"):
            connection.sendall(piece)
        assert status(connection) == 200
        connection.sendall(head(upgrade=False) + head("", "Connection: close", upgrade=False))
        assert read(connection).count("HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    ("sent", "said"), [(b"", ""), (b"GET /heal", "408"), (head(upgrade=True)[:-2], "408")]
)
def test_head_that_does_not_come_is_not_waited_for(monkeypatch, sent, said):
    monkeypatch.setattr(listener, "HEAD_PATIENCE_S", 0.05)
    with serving() as (connect, _), connect() as connection:
        connection.sendall(sent)
        assert read(connection)[9:12] == said


@pytest.mark.parametrize(
    "sent",
    [
        head("", "Content-Length: 1000", upgrade=False, method="POST") + b"a",
        head("", "Transfer-Encoding: chunked", upgrade=False, method="POST") + b"5\r\nhello\r\n",
    ],
)
def test_body_that_does_not_come_is_not_waited_for(monkeypatch, sent):
    monkeypatch.setattr(listener, "BODY_PATIENCE_S", 0.05)
    monkeypatch.setattr(listener, "BODY_CHECK_S", 0.05)
    with serving() as (connect, _), connect() as connection:
        connection.sendall(sent)
        assert read(connection).startswith("HTTP/1.1 408 Request Timeout")


@pytest.mark.parametrize("then", ["keep-alive", "close"])
def test_body_that_nobody_wants_is_read_on_so_that_the_answer_arrives(dial, then):
    with dial() as connection:
        lines = ["Content-Length: 8000000", f"Connection: {then}"]
        connection.sendall(head("early", *lines, upgrade=False, method="POST"))
        connection.sendall(b"a" * 8_000_000)
        assert status(connection) == 200


def test_body_that_nobody_wants_is_not_read_without_end(monkeypatch):
    monkeypatch.setattr(listener, "BODY_CHECK_S", 0.02)
    monkeypatch.setattr(listener, "DRAIN_S", 0.06)
    with serving() as (connect, _), connect() as connection:
        connection.sendall(head("early", "Content-Length: 8000000", upgrade=False, method="POST"))
        assert status(connection) == 200
        with suppress(ConnectionResetError):
            read(connection)  # until it is closed, which is what is wanted


def test_idle_connections_leave_the_others_served():
    with serving(most=8) as (connect, connections), ExitStack() as idle:
        for _ in range(40):
            idle.enter_context(connect())
        with connect() as connection:
            connection.sendall(head(upgrade=False))
            assert status(connection) == 200
            # waits for its next request, and is the youngest that does
            connection.sendall(head("", "Connection: close", upgrade=False))
            assert "HTTP/1.1 200 OK" in read(connection)
        assert len(connections) <= 8


async def test_reader_that_never_reads_is_closed(monkeypatch):
    monkeypatch.setattr(listener, "READER_PATIENCE_S", 0.0)
    aborted = asyncio.Event()

    class Transport(asyncio.Transport):
        abort = aborted.set

    config = uvicorn.Config(app, **listener.limits(10.0))
    config.load()
    protocol = listener.BoundedHttp(config, ServerState(), {}, open_connections=Connections(1))
    protocol.connection_made(Transport())
    protocol.pause_writing()
    await asyncio.wait_for(aborted.wait(), PATIENCE_S)
    protocol.connection_lost(ConnectionResetError())


FRAMES = {
    "message": b"\x82\x80\0\0\0\0",
    "ping": b"\x89\x80\0\0\0\0",
    "pong": b"\x8a\x80\0\0\0\0",
    "fragment": b"\x00\x80\0\0\0\0",
}


@contextmanager
def websocket(dial):
    """Open a WebSocket that the app keeps; yield its socket."""
    head = "GET /stay HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    key = base64.b64encode(os.urandom(16)).decode()
    with dial() as connection:
        connection.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        while not connection.recv(4096).endswith(b"\r\n\r\n"):
            pass
        yield connection


@pytest.mark.parametrize("frame", FRAMES)
def test_websocket_that_brings_frames_without_end_is_closed(dial, frame):
    with websocket(dial) as connection:
        said = ""
        with suppress(ConnectionError):  # what it sent after the end is answered by a reset
            connection.sendall((b"\x02\x80\0\0\0\0" if frame == "fragment" else b"") + FRAMES[frame] * 43_000)
        with suppress(ConnectionError):
            said = read(connection)
        pongs, closed, _ = said.partition("\x88")
        assert len(pongs) <= 2 * listener.FRAMES_AT_ONCE
        if closed:  # a reset may overtake it
            assert "More than 400 frames a second came." in said


def test_websocket_may_bring_at_once_what_a_network_held_back(dial):
    with websocket(dial) as connection:
        connection.sendall(FRAMES["message"] * 1000 + FRAMES["ping"])
        assert connection.recv(4096) == b"\x8a\0"
