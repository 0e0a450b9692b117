"""The door: origin and login, on every route."""

import base64

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from personaplex_app.server.auth import COOKIE, LAUNCH_PATH, AuthMiddleware

pytestmark = pytest.mark.unit


def client_of(auth="", api_key="", allowed_origins=(), opened=None):
    async def hello(request: Request):
        return PlainTextResponse("hello")

    def guard(app):
        made = AuthMiddleware(app, auth, api_key, allowed_origins)
        (opened if opened is not None else []).append(made)
        return made

    paths = ["/", "/api/chat/http", "/voice/status", LAUNCH_PATH]
    app = Starlette(
        routes=[Route(path, hello, methods=["GET", "POST"]) for path in paths], middleware=[Middleware(guard)]
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test:7860")


def basic(login):
    return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


async def test_guard_without_login_lets_everybody_in():
    async with client_of() as client:
        assert (await client.get("/")).text == "hello"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://app.test:7861", "http://app.test", "null"]
)
async def test_guard_foreign_origin_is_refused(origin):
    async with client_of() as client:
        response = await client.post("/api/chat/http", headers={"Origin": origin})
    assert (response.status_code, response.json()["error"]) == (403, "origin")


@pytest.mark.parametrize("origin", ["http://app.test:7860", "https://tutor.example"])
async def test_guard_own_and_named_origins_pass(origin):
    async with client_of(allowed_origins=("https://tutor.example",)) as client:
        assert (await client.post("/api/chat/http", headers={"Origin": origin})).status_code == 200


@pytest.mark.parametrize("path", ["/", "/voice/status", "/api/chat/http", "/nowhere"])
async def test_guard_with_login_asks_on_every_route(path):
    async with client_of(auth="ann:sesame") as client:
        response = await client.get(path)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    "headers",
    [basic("ann:wrong"), basic("ann"), {"Authorization": "Basic %%%"}, {"Authorization": "Bearer sesame"}],
)
async def test_guard_wrong_login_is_refused(headers):
    async with client_of(auth="ann:sesame") as client:
        assert (await client.get("/", headers=headers)).status_code == 401


async def test_guard_login_gives_a_cookie_that_opens_the_next_request():
    async with client_of(auth="ann:sesame") as client:
        first = await client.get("/", headers=basic("ann:sesame"))
        assert "HttpOnly" in first.headers["set-cookie"]
        assert "SameSite=Strict" in first.headers["set-cookie"]
        assert (await client.get("/voice/status")).status_code == 200
        client.cookies.clear()
        assert (await client.get("/", headers={"Cookie": f"{COOKIE}=guessed"})).status_code == 401


@pytest.mark.parametrize(
    "way",
    [
        {"headers": {"X-API-Key": "k-1"}},
        {"headers": {"Authorization": "Bearer k-1"}},
        {"params": {"api_key": "k-1"}},
    ],
)
async def test_guard_api_key_opens_by_each_way(way):
    async with client_of(api_key="k-1") as client:
        assert (await client.get("/", **way)).status_code == 200


@pytest.mark.parametrize(
    "way",
    [
        {},
        {"headers": {"X-API-Key": "k-2"}},
        {"headers": {"X-API-Key": b"cl\xc3\xa9"}},
        {"params": {"api_key": ""}},
    ],
)
async def test_guard_wrong_api_key_is_refused(way):
    async with client_of(api_key="k-1") as client:
        assert (await client.get("/", **way)).status_code == 401


async def test_guard_launch_route_closes_after_the_launch():
    opened = []
    async with client_of(auth="ann:sesame", opened=opened) as client:
        assert (await client.get(LAUNCH_PATH)).status_code == 200
        opened[0].launched()
        assert (await client.get(LAUNCH_PATH)).status_code == 401
