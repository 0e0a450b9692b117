"""The page for everybody: every state of every tab under an accessibility checker, a phone's screen, a slow
line.
"""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from .support.app_process import AppProcess
from .support.axe import faults_of, load_axe
from .support.browser import expect_state, open_page, start_talk, stop_talk, visitor
from .support.patience import until

pytestmark = pytest.mark.browser

# how many frames the page has asked for, and whether it asks for none in a while
COUNT_FRAMES = """{
  const ask = window.requestAnimationFrame.bind(window);
  window.__frames = 0;
  window.requestAnimationFrame = (callback) => { window.__frames += 1; return ask(callback); };
}"""
AT_REST = """async () => {
  const before = window.__frames;
  await new Promise((done) => setTimeout(done, 500));
  return window.__frames === before;
}"""
PHONE = {"width": 390, "height": 844}
# 1.6 Mbit/s down and 750 kbit/s up, 100 ms there and back
SLOW = {"offline": False, "latency": 100, "downloadThroughput": 200_000, "uploadThroughput": 93_750}


def microphone(page: Page, code: str) -> None:
    page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {code}; }}")


def test_every_state_of_every_tab_is_accessible(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as page:
        page.add_init_script(COUNT_FRAMES)
        open_page(page, app.url)
        expect_state(page, "idle")
        until(lambda: page.evaluate(AT_REST))
        load_axe(page)
        faults: set[str] = set()
        faults |= faults_of(page, "idle")
        page.get_by_text("Microphone and loudspeaker").click()
        page.get_by_text("Advanced: chance in its answers").click()
        page.evaluate("() => { window.given = navigator.mediaDevices.getUserMedia; }")
        microphone(page, "() => new Promise(() => {})")
        page.click("#talk-start")
        expect_state(page, "connecting")
        faults |= faults_of(page, "connecting")
        page.click("#talk-stop")
        microphone(page, "async () => { throw new DOMException('none', 'NotFoundError'); }")
        page.click("#talk-start")
        expect_state(page, "error")
        faults |= faults_of(page, "error")
        microphone(page, "window.given")
        start_talk(page)
        expect(page.locator("#talk-captions .caption").first).to_be_visible()
        page.get_by_role("checkbox", name="Push to talk").check()
        page.fill("#talk-typed", "What can you do?")
        page.locator("#talk-typed").press("Enter")
        expect(page.locator("#talk-captions").get_by_text("Typed")).to_be_visible()
        faults |= faults_of(page, "live")
        stop_talk(page)
        faults |= faults_of(page, "after")
        for tab in ("respond", "compare", "evaluate", "sessions"):
            page.click(f"#tab-{tab}-button")
            expect(page.locator(f"#tab-{tab}")).to_be_visible()
            if tab == "sessions":
                expect(page.locator(".session")).to_have_count(1)
            faults |= faults_of(page, tab)
        assert not faults, "\n".join(sorted(faults))


def test_phone_has_a_talk_on_one_screen_and_the_setup_on_two(app: AppProcess, browser: Browser) -> None:
    with visitor(browser, viewport=PHONE) as page:
        open_page(page, app.url)
        expect(page.locator(".persona-gallery .picture").first).to_be_visible()
        height = page.locator('[data-part="setup"]').bounding_box()["height"]
        assert height <= 2 * PHONE["height"]
        start_talk(page)
        expect(page.locator("#talk-captions .caption").first).to_be_visible()
        for each in ("#talk-lane", "#talk-stop", "#talk-mute", "#talk-hush", "#talk-captions", "#talk-typed"):
            box = page.locator(each).bounding_box()
            assert box["y"] >= 0, each
            assert box["y"] + box["height"] <= PHONE["height"], each
        stop_talk(page)


def test_first_press_on_a_slow_line_is_obeyed_and_our_files_are_few_and_small(
    app: AppProcess, browser: Browser
) -> None:
    with visitor(browser) as page:
        line = page.context.new_cdp_session(page)
        line.send("Network.enable")
        line.send("Network.setCacheDisabled", {"cacheDisabled": True})
        line.send("Network.emulateNetworkConditions", SLOW)
        asked: dict[str, str] = {}
        bytes_of: dict[str, int] = {}
        line.on(
            "Network.requestWillBeSent",
            lambda told: asked.update({told["requestId"]: told["request"]["url"]}),
        )
        line.on(
            "Network.loadingFinished",
            lambda told: bytes_of.update({told["requestId"]: int(told["encodedDataLength"])}),
        )
        page.goto(app.url, wait_until="commit")
        page.click("#talk-start")  # as soon as it can be seen
        expect_state(page, "live")
        ours = [(urlsplit(url).path, bytes_of.get(key, 0)) for key, url in asked.items() if is_ours(url)]
        assert 2 <= len(ours) <= 12, ours
        assert sum(size for _, size in ours) <= 400_000, ours
        # what this line needs for the files without which the button does nothing, one after the other
        needed = [size for path, size in ours if path.endswith(("/page.js", "/voice/status"))]
        assert len(needed) >= 2
        assert all(needed)
        assert sum(needed) / SLOW["downloadThroughput"] + len(needed) * SLOW["latency"] / 1000 <= 1.5, ours
        stop_talk(page)


def is_ours(url: str) -> bool:
    """Whether a file of the page is ours, not Gradio's."""
    path = urlsplit(url).path
    return path.startswith(("/scripts/", "/voice/", "/api/")) or path in ("/", "/favicon.ico", "/theme.css")
