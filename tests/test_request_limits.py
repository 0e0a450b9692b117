"""Bodies and cookies over the limit, with a length and without; how much one caller may upload."""

import json

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from personaplex_app.errors import CapacityError
from personaplex_app.server import request_limits
from personaplex_app.server.auth import AuthMiddleware
from personaplex_app.server.request_limits import (
    MAX_BODY_BYTES,
    MAX_COOKIE_BYTES,
    MAX_UPLOAD_FILES,
    UPLOAD_PATH,
    UPLOADS_AT_ONCE,
    UPLOADS_AT_ONCE_EACH,
    UPLOADS_KEPT_S,
    BodyLimit,
    CookieLimit,
    UploadShares,
)
from personaplex_app.settings import Settings

pytestmark = pytest.mark.unit


async def length(request: Request):
    if request.query_params.get("fail") == "true":
        await request.body()
        return JSONResponse({}, 500)
    return JSONResponse({"length": len(await request.body()), "cookies": request.cookies})


async def swallow(request: Request):
    """Read the body, and make one's own answer of whatever goes wrong with it."""
    try:
        await request.body()
    except Exception:
        return JSONResponse({"error": "mine"}, 400)
    return JSONResponse({})


async def unread(request: Request):
    return JSONResponse({"read": False})


async def talk(socket: WebSocket):
    await socket.accept()
    await socket.send_json(socket.cookies)
    await socket.close()


def app_of(shares=None, auth=""):
    routes = [
        *(Route(path, length, methods=["POST", "GET"]) for path in ("/gradio_api/queue/join", UPLOAD_PATH)),
        Route("/api/own", length, methods=["POST"]),
        Route("/swallow", swallow, methods=["POST"]),
        Route("/unread", unread, methods=["POST"]),
        WebSocketRoute("/talk", talk),
    ]
    middleware = [
        Middleware(CookieLimit),
        Middleware(AuthMiddleware, Settings(auth=auth)),
        Middleware(BodyLimit, shares or UploadShares()),
    ]
    return Starlette(routes=routes, middleware=middleware)


def client_of(address="203.0.113.9", **kwargs):
    transport = httpx.ASGITransport(app_of(**kwargs), client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://app.test")


def chunked(size):
    async def pieces():
        for at in range(0, size, 1000):
            yield b"a" * min(1000, size - at)

    return pieces()


SENT = {"length": lambda size: b"a" * size, "chunked": chunked}


@pytest.mark.parametrize("how", SENT)
@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/swallow"])
async def test_body_over_the_limit_is_413_whatever_the_route_makes_of_it(path, how):
    async with client_of() as client:
        assert (await client.post(path, content=SENT[how](MAX_BODY_BYTES))).status_code == 200
        answer = await client.post(path, content=SENT[how](MAX_BODY_BYTES + 1))
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    assert str(MAX_BODY_BYTES) in answer.json()["message"]


@pytest.mark.parametrize("how", SENT)
async def test_body_of_our_own_routes_has_their_own_limit(how):
    async with client_of() as client:
        answer = await client.post("/api/own", content=SENT[how](MAX_BODY_BYTES + 1))
    assert answer.json()["length"] == MAX_BODY_BYTES + 1


@pytest.mark.parametrize("said", ["9" * 5000, "-1", "1e9", "٣"])
async def test_body_with_a_strange_length_is_counted(said):
    async with client_of() as client:
        request = client.build_request("POST", "/swallow", content=chunked(MAX_BODY_BYTES + 1))
        request.headers["content-length"] = said
        assert (await client.send(request)).status_code == 413


async def test_body_limit_comes_after_the_login():
    shares = UploadShares()
    async with client_of(shares=shares, auth="ann:sesame") as client:
        assert (await client.post(UPLOAD_PATH, content=b"a" * 1000)).status_code == 401
    assert not shares._uploads


def files(number, size=10):
    return [("files", (f"{n}.wav", b"a" * size)) for n in range(number)]


async def test_upload_of_many_files_at_once_is_refused():
    async with client_of() as client:
        assert (await client.post(UPLOAD_PATH, files=files(MAX_UPLOAD_FILES))).status_code == 200
        answer = await client.post(UPLOAD_PATH, files=files(MAX_UPLOAD_FILES + 1))
    assert answer.status_code == 413
    assert f"{MAX_UPLOAD_FILES} files" in answer.json()["message"]


async def test_upload_in_small_pieces_is_counted_to_the_file():
    whole = httpx.Request("POST", "http://app.test", files=files(3))
    body = whole.read()

    async def pieces():
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    shares = UploadShares()
    async with client_of(shares=shares) as client:
        headers = {"content-type": whole.headers["content-type"]}
        assert (await client.post(UPLOAD_PATH, content=pieces(), headers=headers)).status_code == 200
    (upload,) = shares._uploads
    assert (upload.files, upload.bytes, upload.running) == (3, len(body), False)


async def test_upload_of_too_much_lately_is_refused_until_it_is_deleted(monkeypatch):
    monkeypatch.setattr(request_limits, "MOST_UPLOADED_BYTES_EACH", 2000)
    shares = UploadShares()
    async with client_of(shares=shares) as client:
        assert (await client.post(UPLOAD_PATH, content=b"a" * 1500)).status_code == 200
        assert (await client.post(UPLOAD_PATH, content=b"a" * 501)).status_code == 413
        assert (await client.post(UPLOAD_PATH, content=chunked(501))).status_code == 413
        assert (await client.post(UPLOAD_PATH, content=b"a" * 500)).status_code == 200
        answer = await client.post(UPLOAD_PATH, content=b"a" * 10)
    assert (answer.status_code, answer.json()["error"]) == (429, "capacity")
    assert "deleted after 15 minutes" in answer.json()["message"]
    assert shares.begin("198.51.100.1")


@pytest.mark.parametrize("size", [1001, 900])
async def test_upload_that_was_refused_or_failed_does_not_count(monkeypatch, size):
    monkeypatch.setattr(request_limits, "MOST_UPLOADED_BYTES_EACH", 1000)
    shares = UploadShares()
    async with client_of(shares=shares) as client:
        for _ in range(request_limits.MOST_UPLOADED_FILES_EACH + 1):
            answer = await client.post(UPLOAD_PATH, content=chunked(size), params={"fail": size < 1000})
            assert answer.status_code in (413, 500)
        assert (await client.post(UPLOAD_PATH, content=b"a" * 1000)).status_code == 200


def test_upload_shares_forget_what_was_deleted():
    shares = UploadShares()
    old = shares.begin("203.0.113.9", now_s=0.0)
    old.bytes, old.running = request_limits.MOST_UPLOADED_BYTES_EACH, False
    with pytest.raises(CapacityError, match="again in 15 minutes"):
        shares.begin("203.0.113.9", now_s=10.0)
    assert shares.begin("203.0.113.9", now_s=UPLOADS_KEPT_S + 1.0)
    assert old not in shares._uploads


def test_upload_shares_hold_for_all_callers_together(monkeypatch):
    monkeypatch.setattr(request_limits, "MOST_UPLOADED_BYTES", 1000)
    shares = UploadShares()
    first = shares.begin("203.0.113.1")
    first.bytes = 600
    assert shares.room(shares.begin("203.0.113.2")) == 400
    first.bytes = 1000
    with pytest.raises(CapacityError):
        shares.begin("203.0.113.3")


def test_uploads_at_once_are_few_for_one_and_for_all():
    shares = UploadShares()
    for n in range(UPLOADS_AT_ONCE):
        uploads = [shares.begin(f"203.0.113.{n // UPLOADS_AT_ONCE_EACH}")]
    with pytest.raises(CapacityError, match="a few seconds"):
        shares.begin("203.0.113.99")
    uploads[0].running = False
    assert shares.begin("203.0.113.99")


ESCAPES = 'personaplex_login="' + "\\" * 5000 + '"'


async def test_cookie_with_escapes_is_left_out_and_the_others_stay():
    async with client_of() as client:
        headers = {"Cookie": f"a=1; {ESCAPES}; b=2"}
        answer = await client.post("/api/own", headers=headers)
    assert answer.json()["cookies"] == {"a": "1", "b": "2"}


async def test_cookies_over_the_limit_are_refused_on_every_path():
    headers = {"Cookie": "a=" + "x" * MAX_COOKIE_BYTES}
    async with client_of(auth="ann:sesame") as client:
        for path in ("/", "/api/own", "/nowhere"):
            answer = await client.get(path, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (431, "cookies")


def test_cookies_of_a_websocket_have_the_same_limit():
    client = TestClient(app_of())
    with client.websocket_connect("/talk", headers={"Cookie": f"a=1; {ESCAPES}"}) as socket:
        assert json.loads(socket.receive_text()) == {"a": "1"}
    headers = {"Cookie": "a=" + "x" * MAX_COOKIE_BYTES}
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("/talk", headers=headers),
    ):
        pass
    assert refused.value.status_code == 403
    assert "cookies have" in refused.value.json()["message"]
