"""A visitor talks with the echo: what is heard, shown, kept and taken home."""

import io
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile as sf
from playwright.sync_api import Browser, Page, Route, expect

from personaplex_app.units import SAMPLE_RATE_HZ

from .support.app_process import AppProcess, app_process
from .support.axe import assert_accessible
from .support.browser import (
    INSECURE_HOST,
    expect_state,
    forget_played,
    open_page,
    played,
    refusing,
    screenshot,
    start_talk,
    stop_talk,
    tone_level,
    until_played,
    until_true,
    visitor,
)
from .support.faulty_proxy import LinkFaults, faulty_proxy
from .support.patience import PATIENCE_S, until

pytestmark = pytest.mark.browser

LOUD = 0.05


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("app")
    # on every network interface: a name that leads to 127.0.0.1 alone is refused there
    with app_process(folder, host="0.0.0.0", slots=1, connects_per_minute=600) as running:
        yield running


@pytest.fixture(autouse=True)
def _free_slots(app: AppProcess) -> Iterator[None]:
    yield
    app.until_free()


def wait_for_tone(page: Page, heard: bool) -> None:
    """Wait until the page plays the microphone's tone, or nothing."""
    deadline_s = time.monotonic() + PATIENCE_S
    level = -1.0
    while time.monotonic() < deadline_s:
        forget_played(page)
        page.wait_for_timeout(500)
        rate_hz, samples = played(page)
        level = tone_level(samples, rate_hz)
        if len(samples) > rate_hz // 5 and (level > LOUD if heard else np.abs(samples).max() < 1e-3):
            return
    raise AssertionError(f"the tone was {'not heard' if heard else 'still heard'}: its level was {level:.4f}")


def test_talk_spoken_comes_back_and_is_taken_home(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as page:
        strangers: list[str] = []
        page.on(
            "request",
            lambda request: (
                strangers.append(request.url)
                if not request.url.startswith((app.url, "blob:", "data:"))
                else None
            ),
        )
        open_page(page, app.url)
        expect(page.locator("#talk-engine")).to_contain_text("Echo")
        start_talk(page)
        wait_for_tone(page, heard=True)
        for side in ("user", "agent"):
            until_true(
                page,
                f"() => Number(document.querySelector('.meter[data-side={side}] i').dataset.level) > 0.2",
            )
        expect(page.locator('[data-readout="transport"]')).to_have_text("socket")
        expect(page.locator('[data-readout="buffer"]')).to_contain_text("ms")
        expect(page.locator('[data-readout="left"]')).to_contain_text(":")
        expect(page.locator('[data-readout="step"]')).to_contain_text("ms")
        screenshot(page, "live")
        until_played(page, 1.2)  # a shorter talk has no second for the player to show
        stop_talk(page)
        screenshot(page, "ended", full_page=True)
        expect(page.locator("#talk-lane")).to_have_attribute("role", "slider")
        with page.expect_download() as download:
            page.click('[data-export="wav"]')
        samples, rate_hz = sf.read(download.value.path())
        assert rate_hz == SAMPLE_RATE_HZ
        assert samples.shape[1] == 2
        middle = samples[len(samples) // 3 : len(samples) * 2 // 3]
        assert tone_level(middle[:, 0], rate_hz) > LOUD
        assert tone_level(middle[:, 1], rate_hz) > LOUD
        with page.expect_download() as download:
            page.click('[data-export="json"]')
        told = json.loads(download.value.path().read_text())
        assert told["engine"] == "echo"
        assert told["duration_s"] == pytest.approx(len(samples) / rate_hz, abs=0.1)
        forget_played(page)
        page.click(".button-play")
        expect(page.locator(".player-time")).not_to_contain_text("0:00 /")
        assert not strangers
        # one press makes a file of it that plays where nothing can be asked for
        with page.expect_download() as download:
            page.get_by_role("button", name="Share: One file").click()
        file = download.value.path().with_suffix(".html")
        download.value.save_as(file)
        page.route(re.compile("^http"), lambda route: route.abort())
        page.goto(file.as_uri())
        screenshot(page, "shared", full_page=True)
        lane = page.get_by_role("slider")
        expect(lane).to_have_attribute("aria-label", re.compile("A talk of"))
        until_true(page, "() => document.querySelector('audio').duration > 1")
        lane.press("End")
        until_true(page, "() => document.querySelector('audio').currentTime > 1")
        assert page.evaluate("() => document.querySelector('canvas').width") > 100
        assert_accessible(page, "shared")


def test_start_pressed_before_the_page_can_obey_starts(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as page:
        held: list[Route] = []
        page.add_init_script("""
          navigator.wakeLock.request = async () => {
            window.__awake = true;
            return { release: async () => { window.__awake = false; } };
          };
        """)
        for late in ("**/page.js", "**/voice/status"):
            page.route(late, lambda route: held.append(route))
        with page.expect_request("**/page.js"):
            page.goto(app.url)
        page.click("#talk-start")
        with page.expect_request("**/voice/status"):
            held.pop().continue_()
        expect(page.locator("#talk-status")).to_contain_text("as soon as")
        page.unroute("**/voice/status")
        held.pop().continue_()
        expect_state(page, "live")
        expect(page).to_have_title(re.compile("^Talking · PersonaPlex"))
        until_true(page, "() => window.__awake")
        stop_talk(page)
        expect(page).to_have_title(re.compile("^PersonaPlex"))
        until_true(page, "() => window.__awake === false")


@pytest.mark.parametrize("tracks", [True, False])
def test_microphone_is_read_from_its_track_or_through_web_audio_where_it_gives_none(
    app: AppProcess, browser: Browser, tracks: bool
) -> None:
    with visitor(browser) as page:
        if not tracks:
            page.add_init_script("delete window.MediaStreamTrackProcessor")
        open_page(page, app.url)
        start_talk(page)
        wait_for_tone(page, heard=True)
        assert any("capture-worker.js" in worker.url for worker in page.workers) is tracks
        page.click("#talk-mute")
        wait_for_tone(page, heard=False)
        stop_talk(page)


def test_mute_sends_silence_until_unmuted(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as page:
        open_page(page, app.url)
        start_talk(page)
        wait_for_tone(page, heard=True)
        page.click("#talk-mute")
        expect(page.locator("#talk-mute")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#talk-status")).to_contain_text("muted")
        wait_for_tone(page, heard=False)
        page.click("#talk-mute")
        wait_for_tone(page, heard=True)
        # push-to-talk: silent but while a button or the space bar is held
        page.get_by_text("Microphone and loudspeaker").click()
        page.get_by_role("checkbox", name="Push to talk").check()
        hold = page.get_by_role("button", name="Hold to talk")
        expect(page.locator("#talk-mute")).to_be_hidden()
        wait_for_tone(page, heard=False)
        hold.hover()
        page.mouse.down()
        expect(page.locator("#talk-hold")).to_have_attribute("aria-pressed", "true")
        wait_for_tone(page, heard=True)
        page.mouse.up()
        wait_for_tone(page, heard=False)
        page.locator("#talk-lane").click()
        page.keyboard.down(" ")
        wait_for_tone(page, heard=True)
        page.evaluate("dispatchEvent(new Event('blur'))")  # another window is in front: nothing stays open
        expect(page.locator("#talk-hold")).to_have_attribute("aria-pressed", "false")
        page.keyboard.up(" ")
        hold.press("Enter")  # who cannot hold opens and closes it
        expect(page.locator("#talk-hold")).to_have_attribute("aria-pressed", "true")
        page.locator("#talk-hold").press("Enter")
        wait_for_tone(page, heard=False)
        stop_talk(page)
        start_talk(page)  # as it was left, from the first sample on
        expect(page.locator("#talk-hold")).to_be_focused()
        wait_for_tone(page, heard=False)
        stop_talk(page)


@contextmanager
def full_house(app: AppProcess, browser: Browser) -> Iterator[tuple[Page, Page]]:
    """One visitor who talks and one who waits for the only slot."""
    with visitor(browser) as first, visitor(browser) as second:
        open_page(first, app.url)
        open_page(second, app.url)
        start_talk(first)
        second.click("#talk-start")
        expect_state(second, "queued")
        yield first, second


def test_second_caller_is_told_the_queue_and_gets_in_alone(app: AppProcess, browser: Browser) -> None:
    with full_house(app, browser) as (first, second):
        expect(second.locator("#talk-status")).to_contain_text("You are next")
        screenshot(second, "queued")
        stop_talk(first)
        expect_state(second, "live")
        wait_for_tone(second, heard=True)
        stop_talk(second)


def test_cancel_in_the_queue_leaves_it(app: AppProcess, browser: Browser) -> None:
    with full_house(app, browser) as (first, second):
        second.click("#talk-stop")
        expect_state(second, "idle")
        until(lambda: not app.get("/voice/status").json()["slots"]["waiting"])
        stop_talk(first)


def test_microphone_refused_says_how_to_allow_it(app: AppProcess, browser: Browser) -> None:
    with refusing(browser) as other, visitor(other, microphone=False) as page:
        open_page(page, app.url)
        page.click("#talk-start")
        expect_state(page, "error")
        expect(page.locator("#talk-status")).to_contain_text("did not give this page the microphone")
        expect(page.locator("#talk-status")).to_contain_text("allow Microphone")
        expect(page.locator("#talk-start")).to_contain_text("Try again")
        screenshot(page, "refused")


def test_microphone_missing_says_so(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as page:
        page.add_init_script(
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('none',"
            " 'NotFoundError'); }"
        )
        open_page(page, app.url)
        page.click("#talk-start")
        expect_state(page, "error")
        expect(page.locator("#talk-status")).to_contain_text("No microphone was found")


def test_insecure_page_names_https_and_localhost(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as page:
        open_page(page, f"http://{INSECURE_HOST}:{app.url.rsplit(':', 1)[1]}")
        page.click("#talk-start")
        expect_state(page, "error")
        expect(page.locator("#talk-status")).to_contain_text("https")
        expect(page.locator("#talk-status")).to_contain_text("http://localhost")


def test_reload_in_mid_talk_brings_the_recording(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as page:
        open_page(page, app.url)
        start_talk(page)
        wait_for_tone(page, heard=True)
        page.reload()
        expect_state(page, "ended")
        expect(page.locator("#talk-status")).to_contain_text("cut by the reload")
        expect(page.locator(".recording")).to_be_visible()
        with page.expect_download() as download:
            page.click('[data-export="flac"]')
        samples, rate_hz = sf.read(io.BytesIO(download.value.path().read_bytes()))
        assert tone_level(samples[len(samples) // 2 :, 1], rate_hz) > LOUD
        page.click("#talk-start")
        expect_state(page, "live")
        stop_talk(page)


def test_network_without_websockets_talks_over_http(app: AppProcess, browser: Browser) -> None:
    with (
        faulty_proxy("127.0.0.1", int(app.url.rsplit(":", 1)[1]), LinkFaults(websockets=False)) as port,
        visitor(browser) as page,
    ):
        open_page(page, f"http://localhost:{port}")
        start_talk(page)
        expect(page.locator('[data-readout="transport"]')).to_have_text("HTTP")
        wait_for_tone(page, heard=True)
        stop_talk(page)


def test_keyboard_alone_starts_mutes_and_stops(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as page:
        open_page(page, app.url)
        page.keyboard.press("Space")
        expect_state(page, "live")
        expect(page.locator("#talk-mute")).to_be_focused()
        until_true(page, "() => document.querySelector('[data-readout=left]').textContent !== '–'")
        wait_for_tone(page, heard=True)
        until_played(page, 1.2)
        page.keyboard.press("m")
        expect(page.locator("#talk-mute")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Escape")
        expect_state(page, "ended")
        comment = page.get_by_label("Comment on this talk")
        comment.focus()
        page.keyboard.type("a comment")
        expect_state(page, "ended")
        page.locator("#talk-lane").focus()
        page.keyboard.press("End")
        expect(page.locator(".player-time")).not_to_contain_text("0:00 /")


def test_recording_is_rated_kept_listed_and_deleted(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as page:
        open_page(page, app.url)
        page.click("#tab-sessions-button")
        expect(page.locator('.sessions [data-part="empty"]')).to_be_visible()
        screenshot(page, "sessions-empty")
        page.click("#tab-talk-button")
        start_talk(page)
        until_played(page, 0.5)
        stop_talk(page)
        page.get_by_label("Comment on this talk").fill("clear sound")
        page.get_by_label("4 of 5, Good").check()
        expect(page.locator(".rating [role=status]")).to_contain_text("4 of 5")
        page.click("text=Keep it")
        expect(page.locator(".fate")).to_contain_text("Kept on this computer")
        page.click("#tab-sessions-button")
        session = page.locator(".session")
        expect(session).to_have_count(1)
        expect(session.locator(".talk-heading")).to_contain_text("kept")
        expect(session.get_by_label("4 of 5, Good")).to_be_checked()
        expect(session.get_by_label("Comment on this talk")).to_have_value("clear sound")
        screenshot(page, "sessions-full", full_page=True)
        session.locator('[data-act="delete"]').click()
        session.locator('[data-act="delete-sure"]').click()
        expect(session).to_have_count(0)
        page.reload()
        page.click("#tab-sessions-button")
        expect(page.locator('.sessions [data-part="empty"]')).to_be_visible()


def test_sessions_of_another_browser_are_not_shown(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as first, visitor(browser) as second:
        open_page(first, app.url)
        start_talk(first)
        stop_talk(first)
        open_page(second, app.url)
        second.click("#tab-sessions-button")
        expect(second.locator('.sessions [data-part="empty"]')).to_be_visible()
        expect(second.locator(".session")).to_have_count(0)
