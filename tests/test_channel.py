"""The HTTP half-channels: what flows when nobody says anything."""

from contextlib import ExitStack

import anyio
import anyio.lowlevel
import pytest

from personaplex_app.errors import CapacityError, ProtocolError
from personaplex_app.protocol import Kind, Message, pack
from personaplex_app.protocol_events import AgentText
from personaplex_app.server import channel, listener
from personaplex_app.server.allowance import BURST_S, BYTES_PER_S, MESSAGES_PER_S, Allowance
from personaplex_app.server.channel import MOST_POSTS, HttpChannel, WebSocketChannel

from .support.patience import PATIENCE_S

pytestmark = pytest.mark.unit


async def test_stream_says_something_when_the_talk_says_nothing(monkeypatch):
    # what proxies call idle begins at 30 s; a late thread or a lost packet must not matter
    assert max(channel.KEEP_ALIVE_S, listener.PING_EVERY_S) <= 10
    monkeypatch.setattr(channel, "KEEP_ALIVE_S", 0.01)
    half = HttpChannel()
    body = half.stream()
    alive = pack([Message(Kind.PING).encode()])
    assert [await anext(body), await anext(body)] == [alive, alive]
    await half.send(AgentText("at last"))
    while (said := await anext(body)) == alive:  # on a busy machine one more may be due before it
        pass
    assert said == pack([Message(Kind.TEXT, b"at last").encode()])
    assert await anext(body) == alive
    await half.close(1000, "")
    assert [each async for each in body] == []


async def test_stream_of_a_talk_that_was_hung_up_ends(monkeypatch):
    monkeypatch.setattr(channel, "KEEP_ALIVE_S", 0.01)
    half = HttpChannel()
    body = half.stream()
    await anext(body)
    half.hang_up()
    with anyio.fail_after(PATIENCE_S):
        assert [each async for each in body] == []
    await half.close(1000, "")


def test_allowance_lets_a_burst_pass_and_then_so_much_a_second():
    now_s = [0.0]
    allowance = Allowance(lambda: now_s[0])
    for _ in range(round(BURST_S * MESSAGES_PER_S)):
        allowance.take(b"x")
    with pytest.raises(ProtocolError, match="200 messages a second"):
        allowance.take(b"x")
    now_s[0] += 60.0
    for _ in range(round(BURST_S * BYTES_PER_S / 65_536)):
        allowance.take(bytes(65_536))
    with pytest.raises(ProtocolError, match="512 KiB a second"):
        allowance.take(bytes(65_536))


class _Flood:
    """The frames of a client that sends without end."""

    async def receive(self):
        await anyio.lowlevel.checkpoint()
        return Message(Kind.METADATA, b'{"type":"interrupt"}').encode()


async def _receive_all(of):
    while True:
        await of.receive()


async def test_flood_ends_its_connection_over_websocket_and_http():
    most = round(BURST_S * MESSAGES_PER_S)
    with pytest.raises(ProtocolError, match="messages a second"):
        await _receive_all(WebSocketChannel(_Flood()))
    half = HttpChannel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(half.put, 0, [await _Flood().receive()] * (2 * most))
        with pytest.raises(ProtocolError, match="messages a second"):
            await _receive_all(half)
        tasks.cancel_scope.cancel()
    await half.close(1000, "")
    half.hang_up()


async def test_posts_of_one_talk_are_bounded():
    half = HttpChannel()
    with ExitStack() as held:
        for _ in range(MOST_POSTS):
            held.enter_context(half.post())
        with pytest.raises(CapacityError, match="on their way"):
            held.enter_context(half.post())
    with half.post():
        pass
    await half.close(1000, "")
    half.hang_up()
