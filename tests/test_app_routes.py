"""The whole app, its routes listed from itself, Gradio's among them: who may ask what, and what it costs."""

import json
import os
import re
from pathlib import Path

import httpx
import pytest
from starlette.routing import WebSocketRoute

from personaplex_app.application import GRADIO_FOLDER, create_app
from personaplex_app.server.request_limits import MAX_UPLOAD_FILES
from personaplex_app.settings import Settings
from personaplex_app.ui.page import SESSIONS_REMEMBERED

from .support.app_routes import METHODS, routes_of

# Gradio's page is built for each app; in an event loop, or Gradio makes one that nobody closes
pytestmark = pytest.mark.slow

ODD = (
    "//",
    "/gradio_api/startup-events/",
    "/%67radio_api/info",
    "/static/../config",
    "/docs",
    "/openapi.json",
)


@pytest.fixture
def made(tmp_path):
    """Make apps that are closed with the test."""
    apps = []

    def make(**settings):
        apps.append(create_app(Settings(engine="echo", data=tmp_path / "data", **settings)))
        return apps[-1]

    yield make
    for app in apps:
        app.close()
        app.state.library.close()
        app.state.renderings.close()


@pytest.mark.parametrize("door", [{"auth": "ann:sesame"}, {"api_key": "k-1"}])
async def test_every_route_asks_for_the_login(made, door):
    app = made(**door)
    routes = routes_of(app._asgi.routes)
    paths = {path for path, _ in routes}
    assert {
        "/",
        "/config",
        "/gradio_api/upload",
        "/gradio_api/queue/join",
        "/api/sessions",
        "/metrics",
    } <= paths
    assert len(paths) > 60
    opened = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test") as client:
        for path in sorted({*paths, *ODD}):
            for method in METHODS:
                answer = await client.request(method, path, content=b"{}")
                if answer.status_code != 401:
                    opened.append((method, path, answer.status_code))
    assert not opened


async def test_caller_who_leaves_in_the_middle_of_a_body_is_no_fault(made):
    app = made(drain_s=0)
    posts = [
        path
        for path, route in routes_of(app._asgi.routes)
        if "POST" in (getattr(route, "methods", None) or ())
    ]
    assert len(posts) > 20
    async with app.state.open():
        for path in posts:
            for kind in (b"application/json", b"multipart/form-data; boundary=x"):
                await leave_in_the_middle(app, path, kind)  # which raises what nobody took


async def test_request_that_a_fault_ends_is_told_so_in_a_sentence(made, monkeypatch, caplog):
    app = made(drain_s=0)

    def talks(caller):
        raise RuntimeError("0x7f: what somebody said")

    monkeypatch.setattr(app.state.library, "talks", talks)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app.test") as client:
        answer = await client.get("/api/sessions", headers={"X-Owner-Key": "k" * 20})
    assert (answer.status_code, answer.json()["error"]) == (500, "fault")
    assert "try again" in answer.json()["message"]
    assert "somebody" not in answer.text


@pytest.mark.parametrize("files", [1, MAX_UPLOAD_FILES + 1])
async def test_upload_that_is_broken_off_or_refused_leaves_no_file(made, files):
    app = made(drain_s=0)
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
    part = head + b"a" * 5000 + b"\r\n"
    async with app.state.open():
        before = gradio_files()
        await leave_in_the_middle(
            app, "/gradio_api/upload", b"multipart/form-data; boundary=x", [part] * files
        )
        assert gradio_files() == before


def gradio_files():
    return set(Path(os.environ[GRADIO_FOLDER]).rglob("*"))


async def leave_in_the_middle(app, path, content_type, pieces=(b"{",)):
    sent = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    coming = [{"type": "http.disconnect"}, *sent]

    async def receive():
        return coming.pop() if len(coming) > 1 else coming[0]

    async def send(message):
        pass

    scope = {"type": "http", "method": "POST", "scheme": "http", "http_version": "1.1", "query_string": b""}
    headers = [(b"host", b"app.test"), (b"content-type", content_type), (b"content-length", b"90000")]
    where = {"path": path, "raw_path": path.encode(), "server": ("app.test", 80), "client": ("1.2.3.4", 5)}
    await app({**scope, **where, "headers": headers}, receive, send)


async def test_every_websocket_asks_for_the_login(made):
    app = made(auth="ann:sesame")
    sockets = [path for path, route in routes_of(app._asgi.routes) if isinstance(route, WebSocketRoute)]
    assert {"/api/chat", "/ws/voice/x"} <= set(sockets)

    async def receive():
        return {"type": "websocket.connect"}

    for path in sockets:
        sent = []

        async def send(message, sent=sent):
            sent.append(message["type"])

        scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "scheme": "ws"}
        await app(scope, receive, send)
        assert sent == ["websocket.close"]


async def test_gradios_routes_take_no_large_body_echo_none_and_do_not_pass_the_queue_by(made):
    app = made()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test") as client:
        big = b"[" + b"[1,2]," * 100_000 + b"1]"
        said = {"Content-Type": "application/json"}
        for name in (
            "queue/join",
            "run/respond",
            "api/respond",
            "call/respond",
            "component_server",
            "cancel",
        ):
            answer = await client.post(f"/gradio_api/{name}", content=big, headers=said)
            assert (name, answer.status_code) == (name, 413)
        unfit = await client.post("/gradio_api/queue/join", content=big[:30_000] + b"1]]", headers=said)
        assert (unfit.status_code, len(unfit.content) < 200) == (422, True)
        inputs = {"data": [None, "", "assistant", "", 1, None, None, None, None, 1], "session_hash": "x"}
        for way in ("run", "api"):
            answer = await client.post(f"/gradio_api/{way}/respond", json=inputs)
            assert answer.status_code == 404
            assert "queue" in answer.text


async def test_gradio_remembers_a_bounded_number_of_callers(made):
    app = made()
    assert app._asgi
    remembered = app.page.state_holder
    for n in range(SESSIONS_REMEMBERED + 5):
        assert remembered[f"caller {n}"]
    assert len(remembered.session_data) == SESSIONS_REMEMBERED


async def test_page_is_made_once_and_carries_what_a_refused_page_says(made):
    app = made()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test") as client:
        page = await client.get("/")
        config = (await client.get("/config", headers={"X-Forwarded-Host": "evil.example"})).json()
        picture = await client.get(re.search(r'"og:image" content="([^"]+)"', page.text)[1])
    assert picture.headers["content-type"] == "image/png"
    assert str(Path(__file__).parents[1]) not in page.text
    # what looks whether Gradio's own scripts came is before them
    assert page.text.index("page-refused") < page.text.index('type="module"')
    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
    assert config["root"] == "http://app.test"
    assert json.dumps(config).count("evil.example") == 0


async def test_what_visitors_send_to_gradio_lies_in_a_private_folder_that_goes_with_the_app(
    made, monkeypatch, tmp_path
):
    monkeypatch.setenv(GRADIO_FOLDER, str(tmp_path / "given"))
    apps = [made(), made()]
    folders = [Path(app.page.GRADIO_CACHE) for app in apps]
    assert [(folder.parent, folder.stat().st_mode & 0o777) for folder in folders] == [
        (tmp_path / "given", 0o700)
    ] * 2
    apps[0].close()
    assert [folder.exists() for folder in folders] == [False, True]
