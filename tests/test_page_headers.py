"""What browsers are told about every answer, and the page's text that is made once for all."""

import re

import anyio
import anyio.lowlevel
import httpx
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route

from personaplex_app.server.page_cache import KEPT_S, MOST_KEPT, PageCache
from personaplex_app.server.page_headers import PageHeaders
from personaplex_app.ui.page_head import PREVIEW, PREVIEW_SIZE, with_head

pytestmark = pytest.mark.unit


async def plain(request: Request):
    return PlainTextResponse("hello")


async def report(request: Request):
    return PlainTextResponse("a report", headers={"Content-Security-Policy": "default-src 'none'"})


async def headers_of(path="/", base="http://app.test", **options):
    routes = [Route("/", plain), Route("/report", report)]
    app = Starlette(routes=routes, middleware=[Middleware(PageHeaders, **options)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base) as client:
        return (await client.get(path)).headers


async def test_answer_is_shown_in_frames_of_its_own_and_named_pages_alone():
    headers = await headers_of(ancestors=("https://huggingface.co",))
    policy = headers["content-security-policy"]
    ancestors = policy.partition("; frame-ancestors ")[2]
    assert ancestors == "'self' http://localhost:* http://127.0.0.1:* https://huggingface.co"
    assert "default-src 'self';" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


async def test_answer_with_a_stricter_policy_keeps_it():
    headers = await headers_of("/report")
    assert headers.get_list("content-security-policy") == ["default-src 'none'"]


@pytest.mark.parametrize(
    ("base", "certified", "told"),
    [("https://app.test", True, True), ("https://app.test", False, False), ("http://app.test", True, False)],
)
async def test_browsers_are_told_to_stay_with_a_certificate_they_know(base, certified, told):
    assert ("strict-transport-security" in await headers_of(base=base, certified=certified)) is told


def titled(page, scope, language):
    return page.replace(b"</head>", f"{scope['path']} of ours</head>".encode())


class Page:
    """A page that counts how often it was made."""

    def __init__(self):
        self.made = []
        self.now_s = 0.0
        self.running = self.most_running = 0
        routes = [Route(path, self.page) for path in ("/", "/config", "/other")]
        routes.append(Route("/broken", self.page))
        middleware = [Middleware(PageCache, titled, lambda scope: "en", lambda: self.now_s)]
        transport = httpx.ASGITransport(Starlette(routes=routes, middleware=middleware))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://app.test")

    async def page(self, request: Request):
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await anyio.lowlevel.checkpoint()
        self.running -= 1
        self.made.append(str(request.url))
        return HTMLResponse(f"<html><head></head>{request.url}</html>", 200 if len(self.made) > 1 else 500)


async def test_page_is_made_once_for_each_address_and_anew_after_a_while():
    page = Page()
    async with page.client as client:
        assert (await client.get("/")).status_code == 500  # not kept
        answers = [await client.get("/", params={"x": n}) for n in range(3)]
        assert {answer.text for answer in answers} == {
            "<html><head>/ of ours</head>http://app.test/?x=0</html>"
        }
        assert len(page.made) == 2
        await client.get("/", headers={"Host": "other.test"})
        await client.get("/config")
        await client.get("/config")
        assert len(page.made) == 4
        page.now_s += KEPT_S
        await client.get("/")
        assert len(page.made) == 5
        for _ in range(2):
            await client.get("/other")
            await client.get("/", params={"deep_link": "x"})
        assert len(page.made) == 9


async def test_page_is_made_for_one_at_a_time_and_few_are_kept():
    page = Page()
    async with page.client as client, anyio.create_task_group() as group:
        for n in range(MOST_KEPT + 8):
            group.start_soon(lambda n=n: client.get("/", headers={"Host": f"h{n}.test"}))
    assert page.most_running == 1


async def test_page_asked_for_its_head_alone_keeps_its_length():
    page = Page()
    async with page.client as client:
        await client.head("/")
        assert int((await client.head("/")).headers["content-length"]) > 0


def test_link_to_the_page_shows_its_name_sentence_and_picture_and_nothing_of_its_makers():
    theirs = b"""<head><meta property="og:title" content="Gradio" />
      <meta
        property="og:image" content="https://elsewhere.test/x.jpg" />
      <meta name="twitter:creator" content="@teamGradio" />
      <meta name="viewport" content="width=device-width" />"""
    scope = {"type": "http", "scheme": "https", "path": "/voice/", "root_path": "/voice", "query_string": b""}
    head = with_head(theirs, {**scope, "headers": [(b"host", b"app.test")]}, "en").decode()
    assert not re.search('gradio"|teamGradio|elsewhere', head, re.I)
    assert '<meta name="viewport"' in head
    told = dict(re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)"', head))
    assert told["og:url"] == "https://app.test/voice/"
    assert told["og:image"] == "https://app.test/voice/preview.png"
    assert told["og:title"].startswith("PersonaPlex")
    assert told["description"] == told["og:description"] != ""
    with Image.open(PREVIEW) as picture:
        assert picture.size == PREVIEW_SIZE


def test_what_is_no_page_is_left_as_it_is():
    assert with_head(b'{"title": "Gradio"}', {}, "en") == b'{"title": "Gradio"}'
