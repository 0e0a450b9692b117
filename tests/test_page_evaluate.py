"""The Evaluate tab: scenarios are held with progress, cancelled and gone on with, reported and downloaded;
other outputs are scored.
"""

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from .support.app_process import AppProcess
from .support.browser import screenshot, visitor
from .support.fdb_samples import chunks, every, write
from .support.page_checks import assert_fits_everywhere, assert_readable
from .support.patience import until

pytestmark = pytest.mark.browser


def open_tab(page: Page, url: str) -> None:
    page.goto(url)
    page.click("#tab-evaluate-button")
    expect(page.locator("#evaluate-start")).to_be_visible()


def choose(page: Page, *titles: str) -> None:
    boxes = {
        box.inner_text().strip(): box.locator("input") for box in page.locator("#evaluate-kinds label").all()
    }

    def stays() -> bool:
        for title, box in boxes.items():
            box.set_checked(title in titles)
        # Gradio takes a change up a moment later, and while it is still being built it takes it back
        page.wait_for_timeout(500)
        page.evaluate("() => new Promise((done) => requestIdleCallback(done))")
        return all(box.is_checked() == (title in titles) for title, box in boxes.items())

    until(stays)


def refused_without_a_choice(page: Page) -> bool:
    """Start with nothing ticked; return False where Gradio, still being built, had ticked its own again."""
    choose(page)
    page.click("#evaluate-start")
    expect(page.locator("#evaluate-state").locator(".notice, progress").first).to_be_visible()
    if page.locator("#evaluate-state progress").count():
        page.click("#evaluate-cancel")
        expect(page.locator("#evaluate-state .notice")).to_contain_text("goes on from there")
        return False
    expect(page.locator("#evaluate-state .notice")).to_contain_text("Nothing is chosen yet")
    return True


def kept(app: AppProcess) -> list[Path]:
    units = (app.log.parent / "data" / "evaluations").glob("*/units/*/unit.json")
    return [path for path in units if path.parent.suffix != ".part"]


def test_evaluate_run_is_cancelled_gone_on_with_reported_and_downloaded(
    app: AppProcess, browser: Browser
) -> None:
    with visitor(browser) as page:
        open_tab(page, app.url)
        until(lambda: refused_without_a_choice(page))
        choose(page, "Noise", "Silence", "Ends of turns")
        page.click("#evaluate-start")
        expect(page.locator("#evaluate-state")).to_contain_text(re.compile(r"[0-6] of 7 conversations"))
        screenshot(page, "evaluate-running")
        until(lambda: kept(app))
        page.click("#evaluate-cancel")
        expect(page.locator("#evaluate-state .notice")).to_contain_text("goes on from there")
        before = {path: path.stat().st_mtime_ns for path in kept(app)}
        assert len(before) < 7
        page.click("#evaluate-start")
        frame = page.frame_locator("#evaluate-state iframe")
        expect(frame.locator("h1")).to_have_text("How classic holds a conversation")
        expect(frame.locator("#matrix")).to_contain_text("Answers noise")
        assert frame.locator(".lane").count() >= 3
        with page.expect_download() as download:
            page.get_by_role("link", name="JSON").click()
        told = json.loads(download.value.path().read_text())
        assert told["conversations"] == 7
        assert all(
            path.stat().st_mtime_ns == held_ns for path, held_ns in before.items()
        )  # what was kept was not held again
        assert told["metrics"]["answers_noise"]["all"]["events"] == 2
        screenshot(page, "evaluate-done", full_page=True)
        frame.locator("audio").first.evaluate("(audio) => audio.play()")
        expect(frame.locator(".lane .playhead").first).to_have_css("visibility", "visible")
        assert_fits_everywhere(page)
        page.set_viewport_size({"width": 390, "height": 900})
        screenshot(page, "evaluate-phone", full_page=True)
        assert_readable(page)


def test_evaluate_others_outputs_are_scored_and_bad_files_named(
    app: AppProcess, browser: Browser, tmp_path: Path
) -> None:
    folder = write(
        tmp_path / "root" / "1",
        {"output.json": chunks(*every(0.25, 5.2, 8.0)), "turn_taking.json": [{"timestamp": [5.0, None]}]},
    ).parent
    write(folder / "2", {"output.json": {"no": "chunks"}})
    archive = tmp_path / "outputs.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.rglob("*.json"):
            file.write(path, path.relative_to(tmp_path))
    with visitor(browser) as page:
        open_tab(page, app.url)
        page.get_by_text("Score recordings that were made elsewhere").click()
        page.click("#evaluate-score")
        expect(page.locator("#evaluate-scores .notice")).to_contain_text("There is no file yet")
        page.locator("#evaluate-task input").click()
        page.get_by_role("option", name="smooth_turn_taking").click()
        page.locator("#evaluate-zip input[type=file]").set_input_files(archive)
        expect(page.locator("#evaluate-zip")).to_contain_text("outputs")
        page.click("#evaluate-score")
        scores = page.locator("#evaluate-scores pre")
        expect(scores).to_contain_text("smooth_turn_taking: 1 samples scored")
        expect(scores).to_contain_text('Skipped: 2/output.json has no list "chunks"')
        screenshot(page, "evaluate-others", full_page=True)
