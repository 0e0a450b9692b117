"""What a request looks like behind proxies: the caller's address, the origin check and the path, with and
without trust.
"""

import logging

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from personaplex_app.server.auth import COOKIE, AuthMiddleware
from personaplex_app.server.http import principal_of
from personaplex_app.server.proxy_headers import ProxyHeaders
from personaplex_app.settings import Settings

pytestmark = pytest.mark.unit

PROXY = "10.0.0.2"
SAID = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "voice.example:8443",
    "X-Forwarded-Prefix": "/tutor/voice/",
}


def client_of(trusted="", root_path="", peer=PROXY, auth=""):
    async def seen(request: Request):
        return JSONResponse(
            {
                "address": principal_of(request).address,
                "url": str(request.url),
                "root": request.scope.get("root_path", ""),
            }
        )

    login = {"PERSONAPLEX_AUTH": auth} if auth else {}
    settings = Settings.read(login, {"trusted_proxies": trusted, "root_path": root_path})
    app = Starlette(
        routes=[Route("/seen", seen, methods=["GET", "POST"])],
        middleware=[
            Middleware(ProxyHeaders, settings.trusted_proxies, settings.root_path),
            Middleware(AuthMiddleware, settings),
        ],
    )
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=(peer, 4711)), base_url="http://app.internal:7860"
    )


@pytest.mark.parametrize("trusted", [PROXY, "10.0.0.0/8", "192.0.2.1, 10.0.0.3/24", "*"])
async def test_front_trusted_proxy_is_believed(trusted):
    async with client_of(trusted) as client:
        seen = (await client.get("/seen", headers=SAID)).json()
    assert seen == {
        "address": "203.0.113.9",
        "url": "https://voice.example:8443/tutor/voice/seen",
        "root": "/tutor/voice",
    }


@pytest.mark.parametrize("scheme", ["HTTPS", "https,http", "https, https", " https"])
@pytest.mark.parametrize(
    "host", ["Voice.example:8443", "voice.example:8443, app.internal", "voice.example.:8443"]
)
async def test_front_chain_of_proxies_is_read_from_its_beginning(scheme, host):
    async with client_of(PROXY) as client:
        headers = SAID | {"X-Forwarded-Proto": scheme, "X-Forwarded-Host": host}
        answer = await client.get("/seen", headers=headers | {"Origin": "https://voice.example:8443"})
    assert answer.status_code == 200
    assert answer.json()["url"].startswith("https://")


@pytest.mark.parametrize(
    ("said", "address", "url"),
    [
        ({"Forwarded": "for=203.0.113.9;proto=https;host=voice.example"}, "203.0.113.9", "https://voice.example"),
        (
            {"Forwarded": 'For="[2001:db8::9]:4711" ; Proto=HTTPS;host="voice.example:8443", for=10.0.0.2'},
            "2001:db8::/64",
            "https://voice.example:8443",
        ),
        # what a proxy does not know of comes from somebody else
        (
            {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=198.51.100.1;host=evil.example"},
            "203.0.113.9",
            "http://app.internal:7860",
        ),
        ({"Forwarded": 'for="; host=,=;'}, PROXY, "http://app.internal:7860"),
        (
            {"X-Forwarded-Host": "voice.example", "X-Forwarded-Port": "8443", "X-Forwarded-Proto": "https"},
            PROXY,
            "https://voice.example:8443",
        ),
        ({"Host": "voice.example", "X-Forwarded-Port": "8443"}, PROXY, "http://voice.example:8443"),
        ({"Host": "[2001:db8::1]", "X-Forwarded-Port": "8443"}, PROXY, "http://[2001:db8::1]:8443"),
        # a proxy behind the one that ends TLS tells its own port
        ({"Host": "voice.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "80"}, PROXY,
         "https://voice.example"),
        ({"Host": "voice.example", "X-Forwarded-Port": "99999999"}, PROXY, "http://voice.example"),
    ],
)  # fmt: skip
async def test_front_proxy_may_tell_it_in_other_headers(said, address, url):
    async with client_of(PROXY) as client:
        seen = (await client.get("/seen", headers=said)).json()
    assert (seen["address"], seen["url"]) == (address, f"{url}/seen")


@pytest.mark.parametrize("trusted", ["", "127.0.0.1", "10.0.0.3", "10.1.0.0/16"])
async def test_front_other_peers_are_not_believed(trusted, caplog):
    with caplog.at_level(logging.WARNING):
        async with client_of(trusted) as client:
            seen = [(await client.get("/seen", headers=SAID)).json() for _ in range(2)]
    assert seen == [{"address": PROXY, "url": "http://app.internal:7860/seen", "root": ""}] * 2
    assert [("--trusted-proxies" in line, "203.0.113.9" in line) for line in caplog.messages] == [
        (True, False)
    ]


async def test_front_address_is_what_the_nearest_trusted_proxy_saw():
    async with client_of("10.0.0.0/8") as client:
        forged = {"X-Forwarded-For": "127.0.0.1, 203.0.113.9, 10.0.0.7"}
        assert (await client.get("/seen", headers=forged)).json()["address"] == "203.0.113.9"


@pytest.mark.parametrize("said", ["//evil.example", "/../x y", "voice", "/a?b", "/ä"])
async def test_front_prefix_that_is_no_path_is_ignored(said):
    async with client_of("*") as client:
        assert (await client.get("/seen", headers={"X-Forwarded-Prefix": said.encode()})).json()["root"] == ""


@pytest.mark.parametrize("path", ["/voice/seen", "/seen"])
async def test_front_root_path_fits_whether_the_proxy_takes_it_off(path):
    async with client_of(root_path="/voice/") as client:
        seen = (await client.get(path)).json()
    assert (seen["url"], seen["root"]) == ("http://app.internal:7860/voice/seen", "/voice")


@pytest.mark.parametrize(
    ("trusted", "origin", "status"),
    [
        ("*", "https://voice.example:8443", 200),
        ("*", "http://voice.example:8443", 403),  # not what ended TLS: anybody on the way
        ("*", "https://voice.example", 403),
        ("*", "http://app.internal:7860", 403),
        ("*", "https://evil.example", 403),
        ("*", "https://[evil", 403),
        ("", "https://voice.example:8443", 403),
        ("", "http://app.internal:7860", 200),
        ("", "https://app.internal:7860", 200),  # TLS may have ended in front without a word
    ],
)
async def test_front_origin_check_holds_behind_a_proxy(trusted, origin, status):
    async with client_of(trusted) as client:
        assert (await client.post("/seen", headers={**SAID, "Origin": origin})).status_code == status


async def test_front_login_cookie_is_for_the_prefix_and_for_tls():
    async with client_of("*", auth="ann:sesame") as client:
        cookie = (await client.get("/seen", headers=SAID, auth=("ann", "sesame"))).headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "; Path=/tutor/voice; " in cookie
    assert cookie.endswith("; Secure")


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "address"),
    [
        ("10.0.0.0/8", "::ffff:10.0.0.2", "203.0.113.9", "203.0.113.9"),
        ("::ffff:10.0.0.0/104", "10.0.0.2", "::ffff:203.0.113.9", "203.0.113.9"),
        ("[2001:db8::1]", "2001:DB8:0::1", "[2001:db8:7:7::9]:51234", "2001:db8:7:7::/64"),
        ("10.0.0.0/8", "10.0.0.2", "203.0.113.9:51234, ::ffff:10.0.0.9", "203.0.113.9"),
        ("", "::ffff:203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("", "2001:db8::5", "198.51.100.1", "2001:db8::/64"),
    ],
)
async def test_front_addresses_are_compared_in_every_spelling(trusted, peer, forwarded, address):
    async with client_of(trusted, peer=peer) as client:
        seen = (await client.get("/seen", headers={"X-Forwarded-For": forwarded})).json()
    assert seen["address"] == address


async def reaching(trusted="", relayed=False, **headers):
    """Return the headers that get through to the app."""

    async def seen(request: Request):
        return JSONResponse(dict(request.headers))

    app = Starlette(
        routes=[Route("/", seen)], middleware=[Middleware(ProxyHeaders, tuple(trusted), "", relayed)]
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=(PROXY, 4711)), base_url="http://app.internal:7860"
    ) as client:
        return (await client.get("/", headers=headers)).json()


async def test_front_nothing_that_an_untrusted_peer_forwards_reaches_the_app():
    said = {**SAID, "X-Gradio-Server": "http://evil.example", "Forwarded": "host=evil.example"}
    headers = await reaching(**said)
    assert headers["host"] == "app.internal:7860"
    assert not [name for name in headers if "forwarded" in name or "gradio" in name]


async def test_front_relay_of_the_host_is_believed_for_links_alone():
    headers = await reaching(relayed=True, **SAID)
    assert {name for name in headers if "forwarded" in name} == {"x-forwarded-host", "x-forwarded-proto"}
    assert headers["host"] == "app.internal:7860"


async def test_front_forwarded_host_that_is_none_is_ignored():
    headers = await reaching(trusted=["*"], **{"X-Forwarded-Host": 'evil.example"><script>'})
    assert headers["host"] == "app.internal:7860"
