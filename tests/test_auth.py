"""The door: origin and login, on every route."""

import base64
import hashlib
import tracemalloc
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
from personaplex_app.server.auth import COOKIE, WRONG_LOGINS_PER_MINUTE, AuthMiddleware
from personaplex_app.server.connect_rate import ConnectRate, Recent
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


@pytest.mark.parametrize(
    ("host", "origin", "fits"),
    [
        ("voice.example:443", "https://voice.example", True),
        ("voice.example:80", "http://voice.example", True),
        ("Voice.Example", "https://voice.example", True),
        ("voice.example.", "https://voice.example", True),
        ("[0:0:0:0:0:0:0:1]:7860", "http://[::1]:7860", True),
        ("voice.example:443", "https://voice.example:8443", False),
        ("voice.example:443", "http://voice.example", False),
        ("evil.example", "https://voice.example", False),
        ("voice.example", "https://ann@voice.example", False),
        ("voice.example", "https://voice.example.evil.example", False),
        ("", "https://voice.example", False),
        ("[", "https://voice.example", False),
    ],
)
async def test_guard_compares_origins_as_addresses(host, origin, fits):
    async with client_of() as client:
        answer = await client.post("/api/chat/http", headers={"Host": host, "Origin": origin})
    assert answer.status_code == (200 if fits else 403)


@pytest.mark.parametrize("named", ["HTTPS://Tutor.example:443", "null"])
async def test_guard_named_origins_are_compared_as_addresses(named):
    settings = Settings.read({"PERSONAPLEX_ALLOWED_ORIGINS": f"http://a.example, {named}"})
    async with client_of(allowed_origins=settings.allowed_origins) as client:
        for origin, status in (("https://tutor.example", 200), ("null", 200), ("https://b.example", 403)):
            fits = status == 200 and (origin == "null") == (named == "null")
            answer = await client.post("/api/chat/http", headers={"Origin": origin})
            assert answer.status_code == (200 if fits else 403)


async def test_guard_refused_page_is_told_in_the_log_once_with_both_names(caplog):
    async with client_of() as client:
        for _ in range(3):
            await client.post("/", headers={"Origin": "https://voice.example", "Host": "10.0.0.7:7860"})
        for n in range(100):
            await client.post("/", headers={"Origin": f"https://evil{n}.example"})
    (first, *others) = caplog.messages
    assert "'https://voice.example'" in first
    assert "'10.0.0.7:7860'" in first
    assert len(others) < 40


HERE = ("127.0.0.1", 7860)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:7860", 200),
        ("127.0.0.1:7860", 200),
        ("[::1]:7860", 200),
        ("app.localhost:7860", 200),
        ("tutor.example:7860", 200),  # named
        ("evil.example:7860", 421),
        ("192.168.1.7:7860", 421),
        ("localhost.evil.example:7860", 421),
        ("voice.example", 200),  # a proxy's own port
        ("voice.example:8443", 200),
    ],
)
async def test_guard_name_that_leads_to_this_machine_is_no_name_of_it(host, status):
    async with client_of(allowed_origins=("https://tutor.example",)) as client:
        client._transport = Through(client._transport.app, HERE)
        answer = await client.get("/", headers={"Host": host, "Origin": f"http://{host}"})
    assert answer.status_code == status


class Through(httpx.ASGITransport):
    """Requests that came to one of this server's own addresses."""

    def __init__(self, app, server):
        async def there(scope, receive, send):
            await app({**scope, "server": server}, receive, send)

        super().__init__(there)


@pytest.mark.parametrize(
    ("settings", "server", "base"),
    [
        ({"host": "0.0.0.0"}, HERE, "http://box.example:7860"),
        ({"share": True}, HERE, "http://box.example:7860"),
        ({}, ("192.0.2.1", 7860), "http://box.example:7860"),
        ({}, HERE, "https://box.example:7860"),  # TLS has the browser compare the name
    ],
)
async def test_guard_app_for_others_has_any_name(settings, server, base):
    async def hello(request: Request):
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/", hello)], middleware=[Middleware(AuthMiddleware, Settings(**settings))])
    async with httpx.AsyncClient(transport=Through(app, server), base_url=base) as client:
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize(
    ("app", "wrong", "right"),
    [
        ({"auth": "ann:sesame"}, {"headers": basic("ann:guess")}, {"headers": basic("ann:sesame")}),
        ({"api_key": "k-1"}, {"params": {"api_key": "guess"}}, {"headers": {"X-API-Key": "k-1"}}),
        ({"gateway_key": "g-1"}, {"params": {"api_key": "guess"}}, {"params": {"api_key": "g-1"}}),
    ],
)
async def test_guard_guesses_of_one_address_are_not_looked_at_without_end(app, wrong, right):
    async with client_of(**app) as client:
        before = [(await client.get("/", **right)).status_code for _ in range(30)]
        client.cookies.clear()
        guesses = [(await client.get("/", **wrong)).status_code for _ in range(WRONG_LOGINS_PER_MINUTE)]
        answer = await client.get("/", **right)
        unasked = await client.get("/")
    assert before == [200] * 30
    assert 429 not in guesses
    assert (answer.status_code, answer.json()["error"]) == (429, "too_many_logins")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert unasked.status_code == (200 if "gateway_key" in app else 401)


async def test_guard_who_is_logged_in_goes_on_beside_guesses():
    async with client_of(auth="ann:sesame") as client:
        cookie = (await client.get("/", headers=basic("ann:sesame"))).headers["set-cookie"].split(";")[0]
        client.cookies.clear()
        for _ in range(WRONG_LOGINS_PER_MINUTE + 1):
            await client.get("/", headers=basic("ann:guess"))
        assert (await client.get("/", headers={"Cookie": cookie})).status_code == 200


async def test_guard_bearer_token_of_somebody_else_is_no_guess():
    async with client_of(gateway_key="g-1") as client:
        answers = [
            (await client.get("/", headers={"Authorization": "Bearer of-the-host"})).status_code
            for _ in range(WRONG_LOGINS_PER_MINUTE + 5)
        ]
    assert set(answers) == {200}


@pytest.mark.parametrize("cookie", ['"' + "\\" * 60_000 + '"', "x; personaplex_login", "=;=;;", '"'])
async def test_guard_strange_cookies_are_no_login(cookie):
    async with client_of(auth="ann:sesame") as client:
        assert (await client.get("/", headers={"Cookie": f"{COOKIE}={cookie}"})).status_code == 401


@pytest.mark.parametrize("login", [b"Basic \xff", b"Basic " + base64.b64encode(b"\xff\xfe"), b"Basic", b""])
async def test_guard_login_that_is_no_text_is_wrong(login):
    async with client_of(auth="ann:sesame") as client:
        assert (await client.get("/", headers={"Authorization": login})).status_code == 401


def test_recent_remembers_a_bounded_number_of_callers():
    recent = Recent(most_callers=3)
    for n in range(10):
        recent.add(n, 0.0)
    assert [recent.wait_s(n, 1, 1.0) for n in (6, 7, 8, 9)] == [0, 59, 59, 59]
    assert recent.wait_s(9, 1, 60.0) == 0


def test_recent_forgets_callers_whose_minute_is_over():
    recent = Recent()
    tracemalloc.start()
    for n in range(60_000):
        recent.add(n, n / 10)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 500_000  # 600 callers
    assert recent.wait_s(59_999, 1, 6000.0) > 59
