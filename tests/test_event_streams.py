"""Gradio's streams of answers: a page that asks while one ends is told so after it has ended."""

import json

import pytest

from personaplex_app.server import event_streams
from personaplex_app.server.event_streams import DATA_PATH, JOIN_PATH, ON_ITS_WAY_S, StreamEnds


@pytest.fixture
def slept(monkeypatch):
    """How long was waited, in a world where that takes no time."""
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    monkeypatch.setattr(event_streams.anyio, "sleep", sleep)
    return waits


async def gradio(scope, receive, send):
    """As Gradio's queue: an answer and the end of the stream, or an event that is taken."""
    pieces = [b"{}"]
    if scope["path"] == DATA_PATH:
        pieces = [b'data: {"msg":"process_completed"}\n\n', b'data: {"msg":"close_stream"}\n\n']
    else:
        await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": piece != pieces[-1]})


class Page:
    """A page that asks, and what it is answered."""

    def __init__(self):
        self.app = StreamEnds(gradio)
        self.got = []

    async def ask(self, path, query=b"", body=b""):
        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            self.got.append(message)

        await self.app({"type": "http", "path": path, "query_string": query}, receive, send)


def joined(session):
    return json.dumps({"fn_index": 1, "session_hash": session}).encode()


async def test_event_is_confirmed_after_the_end_of_the_pages_stream_has_come(slept):
    page = Page()
    await page.ask(DATA_PATH, b"session_hash=one")
    await page.ask(JOIN_PATH, body=joined("one"))
    assert len(slept) == 1
    assert ON_ITS_WAY_S / 2 < slept[0] <= ON_ITS_WAY_S
    assert [message["type"] for message in page.got[-2:]] == ["http.response.start", "http.response.body"]


@pytest.mark.parametrize("body", [joined("another"), b"no json", b"[]", b""])
async def test_nobody_waits_whose_stream_has_not_ended(slept, body):
    page = Page()
    await page.ask(DATA_PATH, b"session_hash=one")
    await page.ask(JOIN_PATH, body=body)
    await page.ask("/", body=joined("one"))
    assert slept == []


async def test_streams_that_ended_long_ago_are_forgotten(slept, monkeypatch):
    now_s = [100.0]
    monkeypatch.setattr(event_streams.time, "monotonic", lambda: now_s[0])
    page = Page()
    for n in range(50):
        now_s[0] += ON_ITS_WAY_S / 2
        await page.ask(DATA_PATH, f"session_hash={n}".encode())
    assert len(page.app._ended_s) <= 4
    now_s[0] += 2 * ON_ITS_WAY_S
    await page.ask(JOIN_PATH, body=joined("49"))
    assert slept == [0.0]
