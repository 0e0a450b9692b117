"""Helpers of the browser tests: the page in a real Chromium whose microphone plays a file."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import soundfile as sf
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Locator,
    Page,
    Playwright,
    ViewportSize,
    expect,
    sync_playwright,
)

from .patience import PATIENCE_S, until

MICROPHONE_HZ = 48_000
DESK: ViewportSize = {"width": 1280, "height": 900}
expect.set_options(timeout=PATIENCE_S * 1000)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
# host names for this machine: one that is no secure context, and one that has a certificate
INSECURE_HOST = "insecure.test"
SECURE_HOST = "voice.example.org"
SCREENSHOTS = Path(__file__).parents[1] / ".screenshots"
# what is connected to a loudspeaker is recorded too, at the rate of its own context; and how often a clip is
# played and paused is counted
TAP = """
(() => {
  const tap = (window.__tap = { chunks: [], rate: 0, sent: [], plays: 0, pauses: 0 });
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    tap.plays += 1;
    this.addEventListener('pause', () => { tap.pauses += 1; }, { once: true });
    return play.call(this);
  };
  const code = `registerProcessor('tap', class extends AudioWorkletProcessor {
    constructor() { super(); this.kept = []; }
    process(inputs) {
      if (inputs[0][0]) this.kept.push(inputs[0][0].slice());
      if (this.kept.length >= 32) { this.port.postMessage(this.kept); this.kept = []; }
      return true;
    }
  });`;
  const original = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    const result = original.call(this, to, ...rest);
    if (to instanceof AudioDestinationNode && this.numberOfInputs === 0) {
      const context = this.context;
      tap.rate = context.sampleRate;
      context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })))
          .then(() => {
        const node = new AudioWorkletNode(context, 'tap');
        node.port.onmessage = ({ data }) => tap.chunks.push(...data);
        original.call(this, node);
        original.call(node, context.destination);
      }).catch((fault) => {  // a page may close what it plays through at any moment
        if (context.state !== 'closed') throw fault;
      });
    }
    return result;
  };
})();
"""
COLLECT = """() => {
  const all = new Float32Array(window.__tap.chunks.reduce((n, each) => n + each.length, 0));
  let at = 0;
  for (const each of window.__tap.chunks) { all.set(each, at); at += each.length; }
  const bytes = new Uint8Array(all.buffer);
  let text = '';
  for (let i = 0; i < bytes.length; i += 32768) {
    text += String.fromCharCode.apply(null, bytes.subarray(i, i + 32768));
  }
  return [window.__tap.rate, btoa(text)];
}"""


def chromium_path() -> str | None:
    """Return the system's Chromium, None to use Playwright's own.

    The one without windows, which is Playwright's own too, computes half as much for a page as the other.
    """
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def write_microphone(path: Path, samples: np.ndarray, rate_hz: int = MICROPHONE_HZ) -> Path:
    """Write the recording that the microphone plays in a loop."""
    sf.write(path, samples.astype(np.float32), rate_hz, subtype="PCM_16")
    return path


def tone(frequency_hz: float = 440.0, seconds: float = 2.0) -> np.ndarray:
    """Return a whole number of periods of a tone, so that it can be looped without a click."""
    return 0.25 * np.sin(2 * np.pi * frequency_hz * np.arange(int(MICROPHONE_HZ * seconds)) / MICROPHONE_HZ)


@contextmanager
def chromium(microphone: Path, *more_flags: str) -> Iterator[Browser]:
    """Run a browser whose microphone plays a wav file.

    Without more flags it is the one that earlier files of tests have left running (`leave_browser`).
    """
    if _running.cache_info().currsize and not _running().browser.is_connected():
        leave_browser()
    running = _running()
    if not more_flags:
        # it reads the file whenever a page opens the microphone
        running.microphone.unlink(missing_ok=True)
        running.microphone.symlink_to(microphone.absolute())
        yield running.browser
        return
    flags = _flags(microphone, *more_flags)
    other = running.playwright.chromium.launch(executable_path=chromium_path(), args=flags)
    try:
        yield other
    finally:
        other.close()


@dataclass(frozen=True)
class _Running:
    playwright: Playwright
    browser: Browser
    microphone: Path


@cache
def _running() -> _Running:
    """Start the browser that one file of tests after the other uses: a start costs as much as three pages."""
    microphone = Path(tempfile.mkdtemp(prefix="microphone-")) / "sound.wav"
    playwright = sync_playwright().start()
    browser = playwright.chromium.launch(executable_path=chromium_path(), args=_flags(microphone))
    return _Running(playwright, browser, microphone)


def threads_of_browser() -> tuple[str, ...]:
    """Return names of the threads that Playwright's event loop has started, while the browser runs."""
    return ("asyncio-waitpid-", "asyncio_") if _running.cache_info().currsize else ()


def leave_browser() -> None:
    """Close the browser, if one runs: beside its event loop no test can have one of its own."""
    if _running.cache_info().currsize:
        running = _running()
        _running.cache_clear()
        running.browser.close()
        running.playwright.stop()


def _flags(microphone: Path, *more: str) -> list[str]:
    names = ", ".join(f"MAP {name} 127.0.0.1" for name in (INSECURE_HOST, SECURE_HOST))
    sound = f"--use-file-for-fake-audio-capture={microphone}"
    return [*FLAGS, *_user(True), sound, f"--host-resolver-rules={names}", *more]


def _user(gives: bool) -> list[str]:
    """Return the flags of a browser whose user gives pages the microphone, or does not."""
    if "headless-shell" in (chromium_path() or "headless-shell"):  # which can ask nobody
        return ["--use-fake-ui-for-media-stream" + ("" if gives else "=deny")]
    return ["--deny-permission-prompts"]


@contextmanager
def refusing(browser: Browser) -> Iterator[Browser]:
    """Run another browser, for a visitor who gives no page the microphone."""
    running = browser.browser_type.launch(executable_path=chromium_path(), args=[*FLAGS, *_user(False)])
    try:
        yield running
    finally:
        running.close()


@contextmanager
def visitor(
    browser: Browser, microphone: bool = True, viewport: ViewportSize = DESK, **options: Any
) -> Iterator[Page]:
    """Yield a page of a new visitor, with its own storage and permissions; script errors fail the test.

    Echo cancellation, noise suppression and gain control are off: they would treat test tones as noise.
    """
    # the lane is drawn four times a second where motion is reduced, which spares the cores for other tests
    media = {"color_scheme": None, "reduced_motion": "reduce"}
    media |= {name: options.pop(name) for name in media if name in options}
    # those who were here before leave their context, emptied, and in it a page whose process has compiled the
    # app's scripts already
    left = [] if options else [context for context in browser.contexts if len(context.pages) == 1]
    person = left[0] if left else _context(browser, options)
    person.clear_permissions()
    if microphone:
        person.grant_permissions(["microphone"])
    page = person.new_page()
    page.set_viewport_size(viewport)
    page.emulate_media(**media)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    origins: set[str] = set()
    page.on(
        "framenavigated", lambda frame: origins.add("{0.scheme}://{0.netloc}".format(urlsplit(frame.url)))
    )
    try:
        yield page
        assert not faults, faults
    except BaseException:
        person.close()
        raise
    if options or not _left_empty(page, origins):
        person.close()


def _context(browser: Browser, options: dict[str, Any]) -> BrowserContext:
    """Make a context with one page, which stays when its visitors have left."""
    person = browser.new_context(viewport=DESK, **options)
    person.set_default_timeout(PATIENCE_S * 1000)
    person.add_init_script(TAP)
    person.add_init_script("""
      const given = navigator.mediaDevices?.getUserMedia?.bind(navigator.mediaDevices);
      if (given) navigator.mediaDevices.getUserMedia = (asked) =>
        given({ ...asked, audio: { ...asked.audio, echoCancellation: false, noiseSuppression: false,
            autoGainControl: false } });
    """)
    person.new_page()
    return person


def _left_empty(page: Page, origins: set[str]) -> bool:
    """Delete all that a visit stored, but keep its compiled scripts; return False if the server is gone."""
    try:
        origin, first = page.evaluate("origin"), page.context.pages[0]
        if not first.url.startswith(f"{origin}/"):
            first.goto(f"{origin}/health")
        page.goto("about:blank")  # what a page stores when it is left is stored before it is cleared
        cleaner = page.context.new_cdp_session(page)
        for origin in origins:
            cleaner.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        page.close()
    except Error:
        return False
    return True


def expect_state(page: Page, state: str) -> None:
    """Wait until the Talk tab says that it is in a state."""
    expect(page.locator("#talk-status")).to_have_attribute("data-state", state)


def open_page(page: Page, url: str) -> None:
    """Open the page and wait until it shows the engine and its voices."""
    page.goto(url)
    expect(page.locator("#talk-voice option").first).to_be_attached()
    expect(page.locator("#talk-engine b")).not_to_be_empty()


def start_talk(page: Page) -> None:
    page.click("#talk-start")
    expect_state(page, "live")


def stop_talk(page: Page) -> None:
    """End the talk and wait for its recording."""
    page.click("#talk-stop")
    expect_state(page, "ended")
    expect(page.locator(".recording").first).to_be_visible()


def played(page: Page) -> tuple[int, np.ndarray]:
    """Return the rate and everything that the page has played, float32 [N]."""
    rate_hz, data = page.evaluate(COLLECT)
    return int(rate_hz), np.frombuffer(base64.b64decode(data), np.float32)


def until_true(page: Page, expression: str, arg: object = None) -> None:
    """Wait until a JavaScript expression is true, looked at ten times a second.

    Playwright's own way looks at every picture, and has the browser compose sixty a second.
    """
    page.wait_for_function(expression, arg=arg, polling=100)


def until_audible(page: Page) -> None:
    """Wait until the page has played something that is not silence."""
    until_true(page, "() => window.__tap.chunks.some((each) => each.some((x) => Math.abs(x) > 0.001))")


def until_played(page: Page, seconds: float) -> None:
    """Wait until the page has played so much since it was opened or what it played was forgotten."""
    until_true(
        page, "(seconds) => window.__tap.chunks.length * 128 > seconds * window.__tap.rate", arg=seconds
    )


def until_drawn(page: Page) -> None:
    """Wait until what has changed is laid out and on the screen."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def keep_changes(locator: Locator, attribute: str) -> None:
    """Keep every value that an element's attribute takes from now on, for `until_changed`: one that does not
    last may be over before anybody looks.
    """
    locator.evaluate(
        """(element, name) => {
          element.__changes = [element.getAttribute(name)];
          new MutationObserver(() => element.__changes.push(element.getAttribute(name)))
              .observe(element, { attributeFilter: [name] });
        }""",
        attribute,
    )


def until_changed(locator: Locator, *values: str) -> None:
    """Wait until an attribute has taken these values one after the other, since `keep_changes`."""

    def found() -> bool:
        seen = locator.evaluate("(element) => element.__changes")
        return any(seen[at : at + len(values)] == list(values) for at in range(len(seen)))

    until(found)


def forget_played(page: Page) -> None:
    page.evaluate("() => { window.__tap.chunks = []; }")


def tone_level(samples: np.ndarray, rate_hz: int, frequency_hz: float = 440.0) -> float:
    """Return the amplitude of one frequency."""
    n = np.arange(len(samples))
    return (
        float(2 * np.abs(np.mean(samples * np.exp(-2j * np.pi * frequency_hz * n / rate_hz))))
        if len(samples)
        else 0.0
    )


def screenshots(page: Page, name: str) -> None:
    """Save a screenshot at desktop and at phone width, and check that the page fits both."""
    before = page.viewport_size or DESK
    for width, height in ((1280, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 0
        screenshot(page, f"{name}-{width}", full_page=True)
    page.set_viewport_size({"width": before["width"], "height": before["height"]})


def screenshot(page: Page, name: str, **options: object) -> None:
    """Save a screenshot for people to look at, where they asked for it by SCREENSHOTS=1; git ignores the
    folder.
    """
    if not os.environ.get("SCREENSHOTS"):
        return
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", **options)  # type: ignore[arg-type]
