"""The door: origin and login, on every route."""

import base64
import hashlib
from dataclasses import asdict

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from personaplex_app.errors import BadInput, CapacityError
from personaplex_app.principal import NOBODY, Limits, Principal
from personaplex_app.server.auth import COOKIE, AuthMiddleware
from personaplex_app.server.connect_rate import ConnectRate
from personaplex_app.server.http import principal_of
from personaplex_app.settings import Settings

pytestmark = pytest.mark.unit


OPEN = "/gradio_api/startup-events"


def client_of(auth="", api_key="", allowed_origins=(), open_paths=(), gateway_key=""):
    async def hello(request: Request):
        return PlainTextResponse("hello")

    async def who(request: Request):
        return JSONResponse({**asdict(principal_of(request)), "scopes": list(principal_of(request).scopes)})

    settings = Settings(auth=auth, api_key=api_key, gateway_key=gateway_key, connects_per_minute=7)
    app = Starlette(
        routes=[
            *(
                Route(path, hello, methods=["GET", "POST"])
                for path in ("/", "/api/chat/http", "/voice/status", OPEN)
            ),
            Route("/who", who),
        ],
        middleware=[Middleware(AuthMiddleware, settings, allowed_origins, open_paths)],
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


async def test_guard_open_path_needs_no_login_and_its_neighbours_do():
    async with client_of(auth="ann:sesame", open_paths=(OPEN,)) as client:
        assert (await client.get(OPEN)).status_code == 200
        assert (await client.get(OPEN + "/")).status_code == 401
        assert (await client.get("/")).status_code == 401
    async with client_of(auth="ann:sesame") as client:
        assert (await client.get(OPEN)).status_code == 401


async def test_guard_tells_every_route_who_calls():
    key = "a-key-of-a-browser"
    async with client_of(gateway_key="g-1") as client:
        unknown = (await client.get("/who")).json()
        owner = (await client.get("/who", headers={"X-Owner-Key": key, "X-API-Key": "g-1"})).json()
    assert unknown == {
        "tenant": "default",
        "owner": "",
        "owner_key_chars": 0,
        "address": "127.0.0.1",
        "scopes": [],
        "limits": {"connects_per_minute": 7},
    }
    # the name under which what a browser owns lies in data folders
    assert owner["owner"] == hashlib.sha256(key.encode()).hexdigest()
    assert owner["scopes"] == ["gateway"]


@pytest.mark.parametrize("key", ["", "short", "long" * 60])
def test_principal_without_a_proper_key_owns_nothing(key):
    caller = NOBODY.with_owner_key(key)
    with pytest.raises(BadInput, match=rf"The owner key has {len(key)} characters; it must have 16 to 200"):
        _ = caller.required_owner


def test_connect_rate_counts_each_address_by_its_own_limit():
    rate = ConnectRate("talks", most_callers=2)
    one, other = (Principal(address=address, limits=Limits(2)) for address in ("10.0.0.1", "10.0.0.2"))
    rate.admit(one, 0.0)
    rate.admit(one, 1.0)
    rate.admit(other, 2.0)
    with pytest.raises(CapacityError, match="More than 2 talks a minute from this address; wait 58 s"):
        rate.admit(one, 2.0)
    rate.admit(one, 61.0)
