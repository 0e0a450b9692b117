"""How many requests one address may make, and that those of others do not wait for them."""

import logging
import tracemalloc

import anyio
import anyio.lowlevel
import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from personaplex_app.server import request_rate
from personaplex_app.server.request_rate import (
    BURST,
    LOG_EVERY_S,
    PATIENCE_S,
    REQUESTS_PER_S,
    SPACED_PER_S,
    UNSPACED,
    RequestRate,
)

pytestmark = pytest.mark.unit

HAMMERED_S = 30


async def plain(request: Request):
    return PlainTextResponse("hello")


async def talk(socket: WebSocket):
    await socket.accept()
    await socket.close()


class App:
    """An app behind the limit, on a clock that only waiting moves."""

    def __init__(self, monkeypatch, **options) -> None:
        self.now_s = 0.0
        self.waited_s = 0.0
        self.refused = Counter("refused", "", ["kind"], registry=CollectorRegistry())
        limit = Middleware(RequestRate, self.refused, now=lambda: self.now_s, **options)
        routes = [Route("/{path:path}", plain, methods=["GET", "POST"]), WebSocketRoute("/talk", talk)]
        self.asgi = Starlette(routes=routes, middleware=[limit])
        monkeypatch.setattr(request_rate.anyio, "sleep", self._sleep)

    async def _sleep(self, seconds):
        self.waited_s += seconds
        self.now_s += seconds

    async def get(self, path="/voice/status", address="203.0.113.9", **kwargs):
        transport = httpx.ASGITransport(self.asgi, client=(address, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://app.test") as client:
            return await client.get(path, **kwargs)

    async def status(self, path="/voice/status", query=b"", address="203.0.113.9"):
        """Ask without a client, which would take most of the test's time."""
        statuses = []

        async def receive():
            await anyio.lowlevel.checkpoint()
            return {"type": "http.request"}

        async def send(message):
            statuses.append(message.get("status"))

        scope = {"type": "http", "path": path, "method": "GET", "headers": [], "client": (address, 4711)}
        await self.asgi({**scope, "query_string": query}, receive, send)
        return statuses[0]

    async def hammer(self, until_s):
        """Ask without a pause, and return the statuses."""
        statuses = []
        while self.now_s < until_s:
            statuses.append(await self.status())
        return statuses


@pytest.fixture
def app(monkeypatch):
    return App(monkeypatch)


@pytest.fixture
def tenth(monkeypatch):
    """Everything a tenth as fast and as much."""
    for name in ("REQUESTS_PER_S", "BURST", "SPACED_PER_S", "UNSPACED"):
        monkeypatch.setattr(request_rate, name, getattr(request_rate, name) // 10)


async def test_flood_of_one_address_is_spaced_out_then_refused_and_others_go_on(tenth, app, caplog):
    caplog.set_level(logging.WARNING)
    statuses = await app.hammer(HAMMERED_S)
    assert set(statuses) == {200, 429}
    assert len(statuses) <= (UNSPACED + HAMMERED_S * SPACED_PER_S) / 10 + 1
    let_in = statuses.count(200)
    assert BURST / 10 < let_in <= (BURST + HAMMERED_S * REQUESTS_PER_S) / 10 + 1
    assert 429 not in statuses[: UNSPACED // 10 + 1]
    more = [await app.get() for _ in range(3)]
    answer = next(each for each in more if each.status_code == 429)
    assert answer.json()["error"] == "capacity"
    assert answer.headers["retry-after"] == str(answer.json()["retry_after_s"]) == "1"
    assert f"More than {REQUESTS_PER_S // 10} requests a second" in answer.json()["message"]
    assert app.refused.labels("capacity")._value.get() == sum(
        status == 429 for status in (*statuses, *(each.status_code for each in more))
    )
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "203.0.113" not in caplog.text
    waited_s = app.waited_s
    assert (await app.get(address="198.51.100.1")).status_code == 200
    assert app.waited_s == waited_s


async def test_flood_is_logged_once_a_minute_and_forgotten_once_it_ends(tenth, app, caplog):
    await app.hammer(LOG_EVERY_S + 20)
    assert len(caplog.records) == 2
    app.now_s += 60
    waited_s = app.waited_s
    assert (await app.get()).status_code == 200
    assert app.waited_s == waited_s


async def test_an_office_that_opens_the_page_at_once_is_not_refused(app):
    for _ in range(40):
        for n in range(80):
            assert await app.status(f"/assets/part-{n}.js") == 200
        for path in ("/", "/config", "/voice/status", "/gradio_api/heartbeat/a", "/api/sessions"):
            assert await app.status(path) == 200
    assert app.now_s < 5


@pytest.mark.parametrize(("path", "query"), [("/metrics", b""), ("/", b"deep_link=x")])
async def test_request_that_takes_long_counts_more(app, path, query):
    for _ in range(UNSPACED // 2):
        await app.status(path, query)
    assert app.waited_s > 0


async def test_first_page_of_an_address_waits_for_nothing(app):
    for n in range(100):
        await app.status(f"/static/{n}.woff2")
    for _ in range(50):
        await app.status("/api/sessions")
    assert app.waited_s == 0


async def test_who_asks_for_more_at_once_than_can_have_a_turn_soon_is_refused(app, monkeypatch):
    monkeypatch.setattr(request_rate, "PATIENCE_S", 0.0)
    statuses = [await app.status() for _ in range(UNSPACED + 1)]
    assert statuses == [200] * UNSPACED + [429]
    assert app.now_s == 0 < PATIENCE_S


async def test_who_leaves_while_waiting_for_a_refusal_gets_none(monkeypatch):
    app = App(monkeypatch)
    monkeypatch.setattr(request_rate, "UNSPACED", 0)
    monkeypatch.setattr(request_rate, "SPACED_PER_S", 0.1)
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": "/", "method": "GET", "headers": [], "client": ("192.0.2.1", 1)}
    scope["query_string"] = b""
    with anyio.fail_after(10):
        await app.asgi(scope, receive, send)
    assert not sent


async def test_a_house_of_ipv6_is_one_address_and_how_many_are_remembered_is_bounded(monkeypatch):
    app = App(monkeypatch, most_callers=2)
    monkeypatch.setattr(request_rate, "UNSPACED", 1)
    for address in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"):
        await app.get(address=address)
    assert app.waited_s > 0
    waited_s = app.waited_s
    for n in range(3):  # the first is forgotten, and begins anew
        await app.get(address=f"192.0.2.{n}")
    await app.get(address="192.0.2.0")
    assert app.waited_s == waited_s


async def test_an_address_that_was_quiet_for_a_minute_is_forgotten(monkeypatch):
    app = App(monkeypatch)
    await app.status()  # which makes the routes
    tracemalloc.start()
    for n in range(3000):
        await app.status(address=f"192.0.{n // 250}.{n % 250}")
        app.now_s += 1
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held_bytes < 100_000  # sixty of them


async def test_the_gateways_own_program_is_not_counted(monkeypatch):
    app = App(monkeypatch, gateway_key="g" * 20)
    monkeypatch.setattr(request_rate, "BURST", 1)
    monkeypatch.setattr(request_rate, "UNSPACED", 1)
    for _ in range(5):
        assert (await app.get(headers={"X-API-Key": "g" * 20})).status_code == 200
    assert app.waited_s == 0
    assert 429 in [(await app.get(headers={"X-API-Key": "h" * 20})).status_code for _ in range(3)]


def test_websockets_count_too(monkeypatch):
    app = App(monkeypatch)
    monkeypatch.setattr(request_rate, "BURST", 1)
    client = TestClient(app.asgi)
    with client.websocket_connect("/talk"):
        pass
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/talk"):
        pass
    assert getattr(refused.value, "status_code", 0) == 429
