"""Make the pictures in assets/ from the real page: every tab, light and dark, as wide as a desk and as a phone, and a talk's lane.

    python scripts/make_screenshots.py [NAME ...]

NAMEs are talk, respond, compare, evaluate, sessions, icon; all unless given. The embedded engine speaks and a fake microphone asks,
so that nothing is drawn that did not happen. It also writes assets/question.wav, a question to try Respond and `offline` with.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile as sf
import soxr
from PIL import Image
from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from personaplex_app.units import SAMPLE_RATE_HZ  # noqa: E402
from tests.support.browser import (
    MICROPHONE_HZ,
    chromium,
    open_page,
    start_talk,
    stop_talk,
    visitor,
    write_microphone,
)  # noqa: E402
from tests.support.app_process import App, app_process  # noqa: E402
from tests.support.speech import speak  # noqa: E402

ASSETS = ROOT / "assets"
QUESTION = "How much is the compost bin?"
INTERRUPTION = "Sorry, when is my recycling picked up?"
# the agent greets first; the interruption comes while it answers
SAID = (6.0, speak(QUESTION, "deep"), 2.4, speak(INTERRUPTION, "deep"), 30.0)
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")
COLOURS = 128
MAX_BYTES = 250_000
PEAKS_PER_BAR = 2
# of lane.svg: how far words may run on behind their time
RUN_ON_PX = 120


def main(names: list[str]) -> int:
    """Make the pictures that are asked for."""
    makers: dict[str, Callable[[Browser, App], None]] = {
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


def talk(browser: Browser, app: App) -> None:
    """A talk in which the user asks and interrupts, while it runs; the lane of one becomes lane.svg."""
    # a phone shows a few seconds of a lane: what happens in them is the interruption
    for size, moment in (("phone", ("user", "recycling")), ("desk", ("agent", "Thursday"))):
        with visitor(browser) as page:
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
            (ASSETS / "lane.svg").write_text(lane_svg(answer.value.json()["lane"]))


def respond(browser: Browser, app: App) -> None:
    """The recording of assets/ answered, with words and lane."""
    with visitor(browser) as page:
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


def compare(browser: Browser, app: App) -> None:
    """Two voices' answers to the same scenario, side by side."""
    with visitor(browser) as page:
        open_page(page, app.url)
        page.click("#tab-compare-button")
        expect(page.locator("#compare-render")).to_be_enabled()
        page.click('[data-act="no-voices"]')
        for voice in ("natural", "deep", "bright"):
            page.locator(f'input[name="voice"][value="{voice}"]').check()
        page.click("#compare-render")
        expect(page.locator(".compare-run .status")).to_have_text("All answers are rendered.", timeout=90_000)
        expect(page.locator(".compare-cell .compare-facts")).to_have_count(
            page.locator(".compare-cell").count(), timeout=20_000
        )
        page.locator(".compare-run").scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        pictures(page, "compare", at=".compare-run")


def evaluate(browser: Browser, app: App) -> None:
    """The report of the scenarios that interrupt."""
    with visitor(browser) as page:
        open_page(page, app.url)
        page.click("#tab-evaluate-button")
        expect(page.locator("#evaluate-start")).to_be_visible()
        choose_kinds(page, "Interruptions")
        page.click("#evaluate-start")
        frame = page.frame_locator("#evaluate-state iframe")
        expect(frame.locator("h1")).to_have_text("How classic holds a conversation", timeout=240_000)
        frame.locator(".lane").first.scroll_into_view_if_needed()
        page.wait_for_timeout(800)
        pictures(page, "evaluate", at="#evaluate-state iframe")


def sessions(browser: Browser, app: App) -> None:
    """A kept talk in the list, opened."""
    with visitor(browser) as page:
        open_page(page, app.url)
        page.select_option("#talk-persona", "waste-collection")
        page.locator("#talk-keep").check()
        start_talk(page)
        caption(page, "agent", "recycling|Thursday|June")
        page.wait_for_timeout(5_000)
        stop_talk(page)
        page.click("#tab-sessions-button")
        page.locator(".session").first.get_by_text("Transcript").click()
        expect(page.locator(".session .caption").first).to_be_visible()
        page.wait_for_timeout(500)
        pictures(page, "sessions", full_page=True)


def icon(browser: Browser, app: App) -> None:
    """The thumbnail that a Space shows, and the icon in the sizes that do not take SVG."""
    for name, width, height in (("thumbnail", 1200, 630), ("icon", 512, 512)):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto((ASSETS / f"{name}.svg").as_uri())
        (ASSETS / f"{name}.png").write_bytes(small(page.screenshot()))
        page.close()


def pictures(
    page: Page,
    name: str,
    full_page: bool = False,
    at: str = "",
    sizes: tuple[str, ...] = tuple(SIZES),
    schemes: tuple[str, ...] = SCHEMES,
) -> None:
    """Keep a picture of each size and scheme; `at` is what stands at its top."""
    for size in sizes:
        page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.wait_for_function(
                "dark => document.body.classList.contains('dark') === dark", arg=scheme == "dark"
            )
            page.wait_for_timeout(400)
            page.evaluate(
                "at => scrollTo(0, at ? document.querySelector(at).getBoundingClientRect().top + scrollY - 20 : 0)",
                at,
            )
            page.wait_for_timeout(100)
            path = ASSETS / f"{name}-{size}-{scheme}.png"
            path.write_bytes(small(page.screenshot(full_page=full_page)))
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB", flush=True)
    page.set_viewport_size(SIZES["desk"])  # type: ignore[arg-type]
    page.emulate_media(color_scheme="light")


def small(png: bytes) -> bytes:
    """Return a picture in few colours. Raises: ValueError when that is still too large for a repository."""
    out = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    if len(out.getvalue()) > MAX_BYTES:
        raise ValueError(f"A picture has {len(out.getvalue()):,} bytes; the limit is {MAX_BYTES:,}.")
    return out.getvalue()


def caption(page: Page, speaker: str, pattern: str) -> None:
    """Wait for words of one side."""
    found = page.locator(f'#talk-captions [data-speaker="{speaker}"]').filter(
        has_text=re.compile(pattern, re.IGNORECASE)
    )
    expect(found.last).to_be_visible(timeout=60_000)


def choose_kinds(page: Page, *titles: str) -> None:
    """Tick kinds of scenarios until Gradio, which may still be being built, leaves them ticked."""
    boxes = {
        box.inner_text().strip(): box.locator("input") for box in page.locator("#evaluate-kinds label").all()
    }
    while not all(box.is_checked() == (title in titles) for title, box in boxes.items()):
        for title, box in boxes.items():
            box.set_checked(title in titles)
        page.wait_for_timeout(500)


def lane_svg(lane: dict[str, Any], length_s: float = 13.5) -> str:
    """Return a part of a talk's lane, from the user's first word on, as a picture that is at home in light and dark."""
    width, height, left, axis, half = 1200, 280, 84, 140, 74
    from_s = next(each["start_s"] for each in lane["utterances"] if each["speaker"] == "user") - 0.4
    to_s = from_s + length_s
    out = []

    def at(seconds: float) -> float:
        return round(left + (seconds - from_s) * (width - left) / length_s, 1)

    for side, sign in (("user", -1), ("agent", 1)):
        bars = []
        peaks = lane[side]
        for first in range(int(from_s * lane["peaks_per_s"]), int(to_s * lane["peaks_per_s"]), PEAKS_PER_BAR):
            peak = max(peaks[first : first + PEAKS_PER_BAR], default=0)
            if peak > 0.004:
                tall = max(2.0, min(1.0, peak**0.6 * 1.15) * half)
                bars.append(f"M{at(first / lane['peaks_per_s']) + 1:g} {axis + sign * 3}v{sign * tall:.1f}")
        out.append(f'<path class="{side} bars" d="{"".join(bars)}"/>')
        row, ends = 0, [0.0, 0.0]
        for text, start_s, _ in [
            word for each in lane["utterances"] if each["speaker"] == side for word in each["words"]
        ]:
            if not from_s <= start_s < to_s:
                continue
            # text runs on in one row while it stays near its time
            x = at(start_s)
            if ends[row] + RUN_ON_PX < x:
                row = 0
            elif ends[row] - x > RUN_ON_PX:
                row = 1 - row
            x = max(x, ends[row])
            ends[row] = x + width_px(text) + 6
            if ends[row] < width:
                y = axis + sign * (half + 22 + 20 * row) + 5
                out.append(f'<text class="{side}" x="{x:g}" y="{y}">{escape(text)}</text>')
    for mark in lane["marks"]:
        if mark["kind"] == "interruption" and from_s <= mark["start_s"] < to_s:
            x = at(mark["start_s"])
            out.append(f'<path class="user mark" d="M{x} {axis - half}v{2 * half}m-5 -8l5 8l5 -8"/>')
            out.append(f'<text class="user name" x="{x + 10}" y="{axis + half}">interrupts</text>')
    seconds = "".join(f"M{at(s)} {axis - 5}v10" for s in range(int(from_s) + 1, int(to_s) + 1))
    style = (
        "rect{fill:#f6f3ec}.rule{stroke:#d9d3c6;fill:none}.bars{stroke-width:2.4;fill:none}.user{stroke:#0a7a83}.agent{stroke:#c2481f}"
        "text{stroke:none!important;font:500 14px system-ui,sans-serif}text.user{fill:#08636b}text.agent{fill:#9d3715}"
        ".mark{stroke-width:2;fill:none}text.name,text.who{font:600 13px system-ui,sans-serif}"
        "@media(prefers-color-scheme:dark){rect{fill:#131619}.rule{stroke:#333a41}.user{stroke:#45b8c0}.agent{stroke:#ee7f53}"
        "text.user{fill:#7ad3d9}text.agent{fill:#f7a684}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="One talk as two tracks on one time axis: the user above, the agent below">\n'
        f"<style>{style}</style>\n"
        f'<rect width="{width}" height="{height}" rx="10"/>\n<path class="rule" d="M0 {axis}H{width}{seconds}"/>\n'
        f'<text class="user who" x="16" y="{axis - 12}">you</text><text class="agent who" x="16" y="{axis + 23}">agent</text>\n'
        + "\n".join(out)
        + "\n</svg>\n"
    )


def width_px(text: str) -> float:
    """Return about how wide a word is in the font of lane.svg."""
    return sum(12.5 if c in "mwMW" else 5.5 if c in "iljtfr.,'!" else 8.6 for c in text)


def _microphone() -> np.ndarray:
    parts = [
        np.zeros(int(part * SAMPLE_RATE_HZ), np.float32) if isinstance(part, float) else part for part in SAID
    ]
    return soxr.resample(np.concatenate(parts), SAMPLE_RATE_HZ, MICROPHONE_HZ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
