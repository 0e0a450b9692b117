"""The gateway's two example clients against the real app: a program, and a page of another site in
Chromium.
"""

import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile as sf
from playwright.sync_api import expect

from .support.app_process import ROOT, app_process
from .support.browser import chromium, forget_played, played, tone, tone_level, visitor, write_microphone
from .support.patience import PATIENCE_S, until

pytestmark = pytest.mark.browser

EXAMPLES = ROOT / "examples"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def another_site():
    """Serve the examples' folder from an origin of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(EXAMPLES))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def site():
    with another_site() as address:
        yield address


@pytest.fixture(scope="module")
def app(site, tmp_path_factory):
    with app_process(tmp_path_factory.mktemp("app"), allowed_origins=site) as running:
        running.until_ready()
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(write_microphone(tmp_path_factory.mktemp("microphone") / "tone.wav", tone())) as running:
        yield running


def test_gateway_example_program_brings_the_answer_home(app, tmp_path):
    spoken = (0.3 * np.sin(np.arange(24_000) / 8)).astype(np.float32)
    sf.write(tmp_path / "question.wav", spoken, 24_000, subtype="FLOAT")
    address = app.url.replace("http", "ws")
    quick = "import gateway_client as c, sys, asyncio; c.LISTEN_S = 4.0; asyncio.run(c.ask(*sys.argv[1:]))"
    command = [
        sys.executable,
        "-c",
        quick,
        address,
        str(tmp_path / "question.wav"),
        str(tmp_path / "answer.wav"),
        "personaplex-chat",
    ]
    done = subprocess.run(
        command, cwd=EXAMPLES, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert "connected to personaplex-chat as example" in done.stdout
    assert "closed: 1000 The talk is over." in done.stdout
    answer, rate_hz = sf.read(tmp_path / "answer.wav", dtype="float32")
    assert rate_hz == 24_000
    assert np.abs(answer[1920:20_000] - spoken[: 20_000 - 1920]).max() < 1e-3
    command = [sys.executable, "gateway_client.py", *command[3:-1], "nobody"]
    refused = subprocess.run(
        command, cwd=EXAMPLES, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert "error: There is no adapter 'nobody'" in refused.stderr


def test_gateway_example_page_talks_from_another_site(app, site, browser):
    with visitor(browser) as page:
        page.goto(
            f"{site}/gateway_client.html?server={app.url.replace('http', 'ws')}"
            "&adapter=personaplex-storyteller"
        )
        page.click("#start")
        expect(page.locator("#status")).to_have_text("Connected to personaplex-storyteller.")
        until(lambda: tone_level(played(page)[1][-12_000:], played(page)[0]) > 0.1)
        page.click("#interrupt")
        forget_played(page)
        until(lambda: tone_level(played(page)[1][-12_000:], played(page)[0]) > 0.1)
        page.click("#end")
        expect(page.locator("#status")).to_have_text("Closed (1000). The talk is over.")
        expect(page.locator("#start")).to_be_enabled()
        page.goto(f"{site}/gateway_client.html?server={app.url.replace('http', 'ws')}&adapter=nobody")
        page.click("#start")
        expect(page.locator("#status")).to_contain_text("There is no adapter")


def test_gateway_example_page_of_a_site_that_is_not_named_is_refused(app, browser):
    with another_site() as stranger, visitor(browser) as page:
        page.goto(f"{stranger}/gateway_client.html?server={app.url.replace('http', 'ws')}")
        page.click("#start")
        expect(page.locator("#status")).to_contain_text("Closed (1006)")
