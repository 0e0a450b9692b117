"""The HTTP half-channels: what flows when nobody says anything."""

import anyio
import pytest

from personaplex_app.protocol import Kind, Message, pack
from personaplex_app.protocol_events import AgentText
from personaplex_app.server import channel, listener
from personaplex_app.server.channel import HttpChannel

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
