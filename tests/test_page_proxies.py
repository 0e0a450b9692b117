"""The page behind a real nginx, the README's and worse ones, and over the app's own https: it talks by name,
under a prefix.
"""

import base64
import hashlib
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile as sf
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import Browser, Page, Route, expect

from personaplex_app.server.certificates import Certificate, certificate_of
from personaplex_app.settings import Settings

from .support.app_process import AppProcess, app_process, free_port
from .support.browser import (
    SECURE_HOST,
    chromium,
    expect_state,
    open_page,
    start_talk,
    stop_talk,
    tone,
    visitor,
    write_microphone,
)
from .support.nginx import ABSENT, NGINX, nginx, readme_servers
from .support.patience import PATIENCE_S
from .test_page_respond import choose_clip, open_tab
from .test_page_talk import wait_for_tone

pytestmark = pytest.mark.browser
needs_nginx = pytest.mark.skipif(NGINX is None, reason=ABSENT)

# each takes the prefix off and says which it was; what is silent for 4 s is cut
WORSE = """
server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_read_timeout 4s;
    location /idle/deep/ {{
        proxy_pass {app};
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Prefix /idle/deep;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade;
    }}
    location /cut/ {{
        proxy_pass {app};
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Prefix /cut;
        proxy_buffering on;
        proxy_ignore_headers X-Accel-Buffering;
        proxy_request_buffering on;
    }}
    location /voice/ {{
        proxy_pass {whole};
        proxy_set_header Host localhost:8443;
    }}
    location /off/ {{
        proxy_pass {whole}/;
        proxy_set_header Host localhost:8443;
    }}
}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proxies")


@pytest.fixture(scope="module")
def certificate(folder: Path) -> Certificate:
    made = certificate_of(Settings(ssl=True, data=folder / "data"))
    assert made
    return made


@pytest.fixture(scope="module")
def browser(folder: Path, certificate: Certificate) -> Iterator[Browser]:
    """A browser that takes this one key from any name, and no other."""
    key = x509.load_pem_x509_certificate(certificate.chain.read_bytes()).public_key()
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    known = base64.b64encode(hashlib.sha256(spki).digest()).decode()
    microphone = write_microphone(folder / "tone.wav", tone())
    with chromium(microphone, f"--ignore-certificate-errors-spki-list={known}") as running:
        yield running


@pytest.fixture(scope="module")
def app(folder: Path) -> Iterator[AppProcess]:
    with app_process(
        folder, slots=1, connects_per_minute=600, drain_s=0, trusted_proxies="127.0.0.1"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def own(folder: Path, certificate: Certificate) -> Iterator[AppProcess]:
    """An app with https of its own, under a path."""
    settings = {"root_path": "/voice", "trusted_proxies": "127.0.0.2", "connects_per_minute": 2, "drain_s": 0}
    with app_process(folder, env={"PERSONAPLEX_SSL": "1"}, **settings) as running:
        yield running


@dataclass(frozen=True)
class Proxies:
    """Where the README's nginx and the worse one are."""

    readme: str
    worse: str


@pytest.fixture(scope="module")
def proxies(folder: Path, app: AppProcess, own: AppProcess, certificate: Certificate) -> Iterator[Proxies]:
    good, bad = free_port(), free_port()
    servers = readme_servers(
        listen=f"listen 127.0.0.1:{good} ssl",
        certificate=certificate.chain,
        key=certificate.key,
        app=f"{app.url}/",
    )
    with nginx(folder, servers + WORSE.format(port=bad, app=f"{app.url}/", whole=own.url)):
        yield Proxies(f"https://{SECURE_HOST}:{good}/personaplex/", f"http://localhost:{bad}")


def strangers_of(page: Page, base: str) -> list[str]:
    """Return a list that every request outside of a base address joins."""
    found: list[str] = []
    # browsers ask a site for its icon by themselves
    known = (base, "blob:", "data:", f"{base.rsplit('/', 2)[0]}/favicon.ico")
    page.on(
        "request", lambda request: found.append(request.url) if not request.url.startswith(known) else None
    )
    return found


@needs_nginx
def test_readmes_proxy_ends_tls_under_a_prefix_for_a_talk_and_a_large_recording(
    app: AppProcess, proxies: Proxies, browser: Browser, folder: Path
) -> None:
    clip = folder / "clip.wav"
    sf.write(clip, np.stack([tone(seconds=10.0)] * 2, axis=1), 48_000)
    assert clip.stat().st_size > 1_500_000  # nginx's own limit is 1 MB
    with visitor(browser) as page:
        strangers = strangers_of(page, proxies.readme)
        open_page(page, proxies.readme)
        start_talk(page)
        wait_for_tone(page, heard=True)
        expect(page.locator('[data-readout="transport"]')).to_have_text("socket")
        stop_talk(page)
        open_tab(page, proxies.readme)
        choose_clip(page, clip)
        page.click("#respond-start")
        card = page.locator(".session")
        card.get_by_role("button", name="Play the recording").click()
        expect(card.locator(".player-time")).not_to_have_text(re.compile("^0:00 "))
        assert not strangers
    app.until_free()


@needs_nginx
@pytest.mark.parametrize(("path", "transport"), [("/idle/deep/", "socket"), ("/cut/", "HTTP")])
def test_worse_proxy_is_talked_through_muted_and_queued(
    app: AppProcess, proxies: Proxies, browser: Browser, path: str, transport: str
) -> None:
    url = proxies.worse + path
    with visitor(browser) as first, visitor(browser) as second:
        open_page(first, url)
        open_page(second, url)
        start_talk(first)
        expect(first.locator('[data-readout="transport"]')).to_have_text(transport)
        second.click("#talk-start")
        expect_state(second, "queued")
        expect(second.locator("#talk-status")).to_contain_text("You are next")
        wait_for_tone(first, heard=True)
        first.click("#talk-mute")
        first.wait_for_timeout(4200)  # longer than the proxy lets anything be silent
        expect_state(first, "live")
        expect_state(second, "queued")
        stop_talk(first)
        expect_state(second, "live")
        expect(second.locator('[data-readout="transport"]')).to_have_text(transport)
        wait_for_tone(second, heard=True)
        stop_talk(second)
    app.until_free()


@needs_nginx
@pytest.mark.parametrize("path", ["/voice", "/off"])
def test_root_path_fits_a_proxy_that_keeps_the_prefix_and_one_that_takes_it_off(
    proxies: Proxies, path: str
) -> None:
    assert httpx.get(f"{proxies.worse}{path}/health", timeout=PATIENCE_S).json()["engine"] == "echo"
    assert (
        httpx.get(f"{proxies.worse}{path}/config", timeout=PATIENCE_S).json()["root"]
        == "https://localhost:8443/voice"
    )


def test_page_whose_scripts_are_refused_says_why_in_its_place(app: AppProcess, browser: Browser) -> None:
    def as_another_host(route: Route) -> None:
        """Pass a request on as a proxy does that keeps the Host header to itself."""
        request = route.request
        headers = {**request.all_headers(), "host": "10.0.0.7:7861"}
        answer = app.client.request(request.method, request.url, headers=headers)
        kept = {name: value for name, value in answer.headers.items() if not name.startswith("content-enc")}
        route.fulfill(status=answer.status_code, headers=kept, body=answer.content)

    with visitor(browser) as page:
        page.route("**/*", as_another_host)
        page.goto(app.url)
        expect(page.locator("#page-refused")).to_contain_text("must pass the Host header on, port and all")
    assert f"a page of '{app.url}' to the host '10.0.0.7:7861'" in app.log.read_text()


def test_own_https_under_a_root_path_talks_by_a_name_that_is_not_localhost(
    own: AppProcess, browser: Browser
) -> None:
    assert own.url.startswith("https://localhost:")
    base = f"https://{SECURE_HOST}:{own.url.rsplit(':', 1)[1]}/voice/"
    with visitor(browser) as page:
        strangers = strangers_of(page, base)
        open_page(page, base)
        assert page.evaluate("window.isSecureContext")
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        start_talk(page)
        wait_for_tone(page, heard=True)
        expect(page.locator('[data-readout="transport"]')).to_have_text("socket")
        stop_talk(page)
        assert not strangers
    log = own.log.read_text()
    assert "ERR_CERT_AUTHORITY_INVALID" in log
    assert "--host 0.0.0.0" in log


def test_forged_address_of_an_untrusted_peer_counts_as_that_peer(
    own: AppProcess, certificate: Certificate
) -> None:
    def begin(peer: str, said: str) -> int:
        with httpx.Client(
            transport=httpx.HTTPTransport(verify=trust, local_address=peer), timeout=PATIENCE_S
        ) as client:
            talks = f"{own.url}/voice/api/chat/http"
            begun = client.post(talks, params={"codec": "pcm"}, headers={"X-Forwarded-For": said})
            if begun.is_success:
                client.delete(f"{talks}/{begun.json()['id']}")
            return begun.status_code

    trust = ssl.create_default_context(cafile=str(certificate.chain))

    # the browser before came from here too; uvicorn by itself would trust this address
    assert 429 in [begin("127.0.0.1", f"203.0.113.{n}") for n in range(3)]
    assert [begin("127.0.0.2", f"203.0.113.{n}") for n in (7, 7, 7, 8)] == [200, 200, 429, 200]
