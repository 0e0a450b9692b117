"""Make the pictures in assets/ from the real page: every tab, light and dark, desktop and phone.

    python -m scripts.make_screenshots [NAME ...]

NAMEs are talk, respond, compare, evaluate, sessions, icon; default all. The embedded engine answers a fake
microphone, so that the pictures show talks that happened. A talk's lane becomes assets/lane.svg, and
assets/question.wav is a question to try Respond and `offline` with.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile as sf
import soxr
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from personaplex_app.ui.page_head import PREVIEW, PREVIEW_SIZE
from personaplex_app.units import SAMPLE_RATE_HZ
from scripts.lane_svg import lane_svg
from tests.support.app_process import ROOT, AppProcess, app_process
from tests.support.browser import (
    MICROPHONE_HZ,
    chromium,
    open_page,
    start_talk,
    stop_talk,
    visitor,
    write_microphone,
)
from tests.support.speech import speak

ASSETS = ROOT / "assets"
ICON = ROOT / "personaplex_app" / "ui" / "static" / "shared" / "icon.svg"
QUESTION = "How much is the compost bin?"
INTERRUPTION = "Sorry, when is my recycling picked up?"
# the agent greets first; the interruption comes while it answers
SAID = (6.0, speak(QUESTION, "deep"), 2.4, speak(INTERRUPTION, "deep"), 30.0)
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")
COLOURS = 128
MAX_BYTES = 250_000
PATIENCE_MS = 900_000  # a busy machine renders slowly
SCROLL = """at => {
  scrollTo(0, at ? document.querySelector(at).getBoundingClientRect().top + scrollY - 20 : 0);
}"""


def main(names: list[str]) -> int:
    """Make the named pictures, or all. Exit status: 2 for an unknown name."""
    makers: dict[str, Callable[[Browser, AppProcess], None]] = {
        "talk": talk,
        "respond": respond,
        "compare": compare,
        "evaluate": evaluate,
        "sessions": sessions,
        "icon": icon,
    }
    if unknown := set(names) - set(makers):
        print(f"There is no {', '.join(sorted(unknown))}; choose {', '.join(makers)}.", file=sys.stderr)
        return 2
    ASSETS.mkdir(exist_ok=True)
    sf.write(ASSETS / "question.wav", speak(QUESTION), SAMPLE_RATE_HZ, subtype="PCM_16")
    with TemporaryDirectory() as folder:
        microphone = write_microphone(Path(folder) / "microphone.wav", _microphone())
        with (
            app_process(Path(folder), engine="classic", connects_per_minute=600) as app,
            chromium(microphone) as browser,
        ):
            app.until_ready()
            for name in names or makers:
                makers[name](browser, app)
    return 0


def talk(browser: Browser, app: AppProcess) -> None:
    """Picture a running talk in which the user asks and interrupts; its lane becomes lane.svg."""
    # a phone shows only a few seconds of a lane, so its picture is taken at the interruption
    for size, moment in (("phone", ("user", "recycling")), ("desk", ("agent", "Thursday"))):
        # on a busy machine the answer comes too late to be interrupted
        while not (lane := _talk(browser, app, size, moment)):
            print("The user interrupted nobody; once more.", flush=True)
        (ASSETS / "lane.svg").write_text(lane_svg(lane))


def _talk(browser: Browser, app: AppProcess, size: str, moment: tuple[str, str]) -> dict[str, Any] | None:
    """Hold the talk and return its lane, None when the agent was not interrupted."""
    with visitor(browser, reduced_motion="no-preference") as page:
        open_page(page, app.url)
        page.select_option("#talk-persona", "waste-collection")
        start_talk(page)
        page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
        caption(page, *moment)
        pictures(page, "talk", sizes=(size,))
        caption(page, "agent", "June")
        page.wait_for_timeout(3_000)
        with page.expect_response(re.compile(r"/api/sessions/[0-9a-f]{16}$")) as answer:
            stop_talk(page)
        lane = answer.value.json()["lane"]
    return lane if any(mark["kind"] == "interruption" for mark in lane["marks"]) else None


def respond(browser: Browser, app: AppProcess) -> None:
    """Picture the answer to assets/question.wav, with words and lane."""
    with visitor(browser, reduced_motion="no-preference") as page:
        open_page(page, app.url)
        page.click("#tab-respond-button")
        expect(page.locator("#respond-prompt textarea")).to_have_value(re.compile("."))
        page.locator("#respond-clip input[type=file]").set_input_files(ASSETS / "question.wav")
        page.locator("#respond-persona input").click()
        page.get_by_role("option", name="Waste collection").click()
        expect(page.locator("#respond-prompt textarea")).to_have_value(re.compile("CityClean"))
        page.click("#respond-start")
        card = page.locator(".session").first
        expect(card.locator('.caption[data-speaker="agent"]').last).to_contain_text(
            "eight dollars", timeout=60_000
        )
        page.wait_for_timeout(500)
        pictures(page, "respond", full_page=True)


def compare(browser: Browser, app: AppProcess) -> None:
    """Picture several voices' answers to the same scenario, side by side."""
    with visitor(browser, reduced_motion="no-preference") as page:
        open_page(page, app.url)
        page.click("#tab-compare-button")
        expect(page.locator("#compare-render")).to_be_enabled()
        page.click('[data-act="no-voices"]')
        for voice in ("natural", "deep", "bright"):
            page.locator(f'input[name="voice"][value="{voice}"]').check()
        page.click("#compare-render")
        expect(page.locator(".compare-run .status")).to_have_text(
            "All answers are rendered.", timeout=PATIENCE_MS
        )
        expect(page.locator(".compare-cell .compare-facts")).to_have_count(
            page.locator(".compare-cell").count(), timeout=120_000
        )
        page.locator(".compare-run").scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        pictures(page, "compare", at=".compare-run")


def evaluate(browser: Browser, app: AppProcess) -> None:
    """Picture the report of the scenarios that interrupt."""
    with visitor(browser, reduced_motion="no-preference") as page:
        open_page(page, app.url)
        page.click("#tab-evaluate-button")
        expect(page.locator("#evaluate-start")).to_be_visible()
        choose_kinds(page, "Interruptions")
        page.click("#evaluate-start")
        frame = page.frame_locator("#evaluate-state iframe")
        expect(frame.locator("h1")).to_have_text("How classic holds a conversation", timeout=PATIENCE_MS)
        for size in SIZES:
            page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
            frame.get_by_text("Worth hearing: the worst").evaluate("each => each.scrollIntoView()")
            page.wait_for_timeout(800)
            pictures(page, "evaluate", at="#evaluate-state iframe", sizes=(size,))


def sessions(browser: Browser, app: AppProcess) -> None:
    """Picture a kept talk in the list, opened."""
    with visitor(browser, reduced_motion="no-preference") as page:
        open_page(page, app.url)
        page.select_option("#talk-persona", "waste-collection")
        page.locator("#talk-keep").check()
        start_talk(page)
        caption(page, "agent", "Thursday")
        page.wait_for_timeout(5_000)
        stop_talk(page)
        page.click("#tab-sessions-button")
        page.locator(".session").first.get_by_text("Transcript").click()
        expect(page.locator(".session .caption").first).to_be_visible()
        page.wait_for_timeout(500)
        pictures(page, "sessions", full_page=True)


def icon(browser: Browser, app: AppProcess) -> None:
    """Render the picture that links to the page show, and the icon for places that do not accept SVG."""
    drawings = ((ASSETS / "thumbnail.svg", PREVIEW, PREVIEW_SIZE), (ICON, ASSETS / "icon.png", (512, 512)))
    for drawing, picture, (width, height) in drawings:
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(drawing.as_uri())
        picture.write_bytes(small(page.screenshot()))
        page.close()


def pictures(
    page: Page,
    name: str,
    full_page: bool = False,
    at: str = "",
    sizes: tuple[str, ...] = tuple(SIZES),
    schemes: tuple[str, ...] = SCHEMES,
) -> None:
    """Save a picture for each size and scheme; `at` selects the element at its top."""
    for size in sizes:
        page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.wait_for_function(
                "dark => document.body.classList.contains('dark') === dark", arg=scheme == "dark"
            )
            page.wait_for_timeout(400)
            page.evaluate(SCROLL, at)
            page.wait_for_timeout(100)
            path = ASSETS / f"{name}-{size}-{scheme}.png"
            path.write_bytes(small(page.screenshot(full_page=full_page)))
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB", flush=True)
    page.set_viewport_size(SIZES["desk"])  # type: ignore[arg-type]
    page.emulate_media(color_scheme="light")


def small(png: bytes) -> bytes:
    """Return a picture in few colours.

    Raises: ValueError when it is still larger than `MAX_BYTES`, too much for a repository.
    """
    out = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    if len(out.getvalue()) > MAX_BYTES:
        raise ValueError(f"A picture has {len(out.getvalue()):,} bytes; the limit is {MAX_BYTES:,}.")
    return out.getvalue()


def caption(page: Page, speaker: str, pattern: str) -> None:
    """Wait for a caption of one speaker that matches a pattern."""
    found = page.locator(f'#talk-captions [data-speaker="{speaker}"]').filter(
        has_text=re.compile(pattern, re.IGNORECASE)
    )
    expect(found.last).to_be_visible(timeout=60_000)


def choose_kinds(page: Page, *titles: str) -> None:
    """Tick kinds of scenarios, again if need be: Gradio resets the boxes while it builds the page."""
    boxes = {
        box.inner_text().strip(): box.locator("input") for box in page.locator("#evaluate-kinds label").all()
    }
    while not all(box.is_checked() == (title in titles) for title, box in boxes.items()):
        for title, box in boxes.items():
            box.set_checked(title in titles)
        page.wait_for_timeout(500)


def _microphone() -> np.ndarray:
    parts = [
        np.zeros(int(part * SAMPLE_RATE_HZ), np.float32) if isinstance(part, float) else part for part in SAID
    ]
    return soxr.resample(np.concatenate(parts), SAMPLE_RATE_HZ, MICROPHONE_HZ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
