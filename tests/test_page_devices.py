"""What happens to a talk in the page when connection, sound or page go away in its middle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from .support.app_process import AppProcess, app_process
from .support.browser import (
    expect_state,
    forget_played,
    open_page,
    start_talk,
    stop_talk,
    until_true,
    visitor,
)
from .support.faulty_proxy import Line, LinkFaults, faulty_proxy
from .test_page_talk import wait_for_tone

pytestmark = pytest.mark.browser

# how the script of the page is told of devices, which a browser without any does not do by itself
CONTEXTS = """
const Real = AudioContext;
window.contexts = [];
window.AudioContext = class extends Real {
  constructor(...options) { super(...options); window.contexts.push(this); }
};
const given = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
window.tracks = [];
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await given(wanted);
  window.tracks.push(...stream.getTracks());
  return stream;
};
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with app_process(tmp_path_factory.mktemp("app"), slots=1, connects_per_minute=600) as running:
        yield running


@pytest.fixture(autouse=True)
def _free_slots(app: AppProcess) -> Iterator[None]:
    yield
    app.until_free()


@contextmanager
def line_to(app: AppProcess, websockets: bool = True) -> Iterator[tuple[str, Line]]:
    """Put a proxy before an app; yield its address and the line."""
    address = urlsplit(app.url)
    line = Line()
    with faulty_proxy(
        address.hostname or "", address.port or 0, LinkFaults(websockets=websockets, line=line)
    ) as port:
        yield f"http://127.0.0.1:{port}/", line


def notice(page: Page):
    return page.locator('.talk [data-part="notice"]')


@pytest.mark.parametrize("transport", ["socket", "HTTP"])
def test_talk_goes_on_after_its_line_was_cut(app: AppProcess, browser: Browser, transport: str) -> None:
    with line_to(app, websockets=transport == "socket") as (url, line), visitor(browser) as page:
        open_page(page, url)
        start_talk(page)
        wait_for_tone(page, heard=True)
        expect(page.locator('[data-readout="transport"]')).to_have_text(transport)
        line.cut()
        expect(notice(page)).to_contain_text("The connection is back")
        wait_for_tone(page, heard=True)
        expect_state(page, "live")
        stop_talk(page)
        assert app.get("/metrics").text.count('lost_connections_total{outcome="resumed"}')


def start_watched_talk(page: Page, app: AppProcess) -> None:
    """Start a talk in a page whose audio contexts and tracks a test can reach."""
    page.add_init_script(CONTEXTS)
    open_page(page, app.url)
    start_talk(page)


def test_line_that_goes_silent_is_noticed_and_the_talk_comes_back(app: AppProcess, browser: Browser) -> None:
    with line_to(app) as (url, line), visitor(browser) as page:
        open_page(page, url)
        start_talk(page)
        line.silence(True)
        expect(notice(page)).to_contain_text("not heard any more")
        line.silence(False)
        expect(notice(page)).to_contain_text("The connection is back")
        wait_for_tone(page, heard=True)
        stop_talk(page)


def test_sound_that_the_browser_stops_goes_on_by_itself_or_at_a_press(
    app: AppProcess, browser: Browser
) -> None:
    with visitor(browser) as page:
        start_watched_talk(page, app)
        page.evaluate("contexts[0].suspend()")
        until_true(page, "contexts[0].state === 'running'")
        # as on a phone in a call: it does not resume until a press
        page.evaluate(
            """() => { const context = contexts[0]; context.kept = context.resume;
            context.resume = () => Promise.reject(new Error('not now')); context.suspend(); }"""
        )
        expect(notice(page)).to_contain_text("Press anywhere")
        page.evaluate("delete contexts[0].resume")
        page.mouse.click(5, 5)
        until_true(page, "contexts[0].state === 'running'")
        expect(notice(page)).to_be_hidden()
        stop_talk(page)


def test_microphone_that_is_muted_or_taken_away_is_told_and_another_one_taken(
    app: AppProcess, browser: Browser
) -> None:
    with visitor(browser) as page:
        start_watched_talk(page, app)
        page.evaluate("tracks[0].dispatchEvent(new Event('mute'))")
        expect(notice(page)).to_contain_text("muted by the system")
        page.evaluate("tracks[0].dispatchEvent(new Event('unmute'))")
        expect(notice(page)).to_be_hidden()
        # another tab took it: a press takes it back
        page.evaluate("tracks[0].dispatchEvent(new Event('mute'))")
        page.mouse.click(5, 5)
        until_true(page, "tracks.length === 2")
        expect(notice(page)).to_be_hidden()
        wait_for_tone(page, heard=True)
        page.evaluate("() => { tracks[1].stop(); tracks[1].dispatchEvent(new Event('ended')); }")
        until_true(page, "tracks.length === 3")
        wait_for_tone(page, heard=True)
        expect(notice(page)).to_be_hidden()
        stop_talk(page)


def test_devices_are_tried_before_a_talk_changed_in_it_and_remembered(
    app: AppProcess, browser: Browser
) -> None:
    with visitor(browser) as page:
        page.add_init_script(CONTEXTS)
        open_page(page, app.url)
        microphone, loudspeaker = (
            page.locator(f'[data-part="{kind}"]') for kind in ("audioinput", "audiooutput")
        )
        told = page.locator('[data-part="devices-told"]')
        page.get_by_text("Microphone and loudspeaker").click()
        page.get_by_role("button", name="Try them").click()
        expect(told).to_contain_text("Two notes were played")
        until_true(page, "() => document.querySelector('[data-part=devices-level]').value > 0.1")
        loudspeaker.select_option(label="Fake Audio Output 1")
        until_true(page, "() => contexts.at(-1).sinkId !== ''")
        start_talk(page)  # which ends the trial
        until_true(page, "() => tracks[0].readyState === 'ended'")
        assert page.evaluate("contexts.at(-1).sinkId") == loudspeaker.input_value() != ""
        # one that was pulled out: the system's own goes on, until it is back
        page.evaluate(
            """() => { const context = contexts.at(-1); context.setSinkId = (id) => id
              ? Promise.reject(new DOMException('gone', 'NotFoundError'))
              : AudioContext.prototype.setSinkId.call(context, id);
            navigator.mediaDevices.dispatchEvent(new Event('devicechange')); }"""
        )
        until_true(page, "contexts.at(-1).sinkId === ''")
        page.evaluate(
            """() => { delete contexts.at(-1).setSinkId;
            navigator.mediaDevices.dispatchEvent(new Event('devicechange')); }"""
        )
        until_true(page, "contexts.at(-1).sinkId !== ''")
        microphone.select_option(label="Fake Audio Input 2")
        until_true(page, "() => tracks.length === 3 && tracks[1].readyState === 'ended'")
        assert page.evaluate("tracks[2].getSettings().deviceId") == microphone.input_value()
        forget_played(page)
        wait_for_tone(page, heard=True)
        stop_talk(page)
        open_page(page, app.url)
        page.get_by_text("Microphone and loudspeaker").click()
        expect(microphone.locator("option:checked")).to_have_text("Fake Audio Input 2")


def test_page_that_comes_back_from_the_cache_has_ended_its_talk(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as page:
        start_watched_talk(page, app)
        wait_for_tone(page, heard=True)
        page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
        expect_state(page, "ended")
        assert page.evaluate("tracks[0].readyState") == "ended"
        page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
        expect(page.locator(".talk .player")).to_be_visible()


def test_embedded_page_without_the_microphone_says_who_can_allow_it(
    app: AppProcess, browser: Browser
) -> None:
    class Site(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f'<iframe src="{app.url}" width="1100" height="800"></iframe>'.encode())

    # the site is gone before its visitor leaves, who would wait for its answer
    with visitor(browser) as page, ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        page.goto(f"http://localhost:{site.server_port}/")
        frame = page.frame_locator("iframe")
        expect(frame.locator("#talk-voice option").first).to_be_attached()
        frame.locator("#talk-start").click()
        status = frame.locator("#talk-status")
        expect(status).to_contain_text('allow="microphone"')
        expect(status.locator("a")).to_have_attribute("href", app.url + "/")
        site.shutdown()
        thread.join()
