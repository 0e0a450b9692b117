"""The Compare tab in a real browser: a choice, the answers, a whole blind round with a reload in it, the
results.
"""

import re
from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import Browser, Page, Route, expect

from personaplex_app.evaluation.blind_test.ranking import Vote, rank

from .support.app_process import AppProcess
from .support.axe import assert_accessible
from .support.browser import open_page, screenshot, until_drawn, until_true, visitor
from .support.page_checks import assert_fits
from .support.speech import speak

pytestmark = pytest.mark.browser
WIDTHS = (1280, 390)
TARGETS = """() => [...document.querySelectorAll(
  '.compare :is(button, select, summary, textarea, label.card)')]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }) &&
    each.getBoundingClientRect().height > 0)
  .map((each) => [each.textContent.trim().slice(0, 30), Math.round(each.getBoundingClientRect().height)])
  .filter(([, height]) => height < 44)"""


def look(page: Page, name: str, axe: bool = True) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        until_drawn(page)
        assert_fits(page)
        assert not page.evaluate(TARGETS)
        screenshot(page, f"compare-{name}-{width}", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})
    if axe:
        assert_accessible(page, name)


def hear_both(page: Page) -> None:
    """Listen to both sides to the end; a vote is possible then and not before."""
    vote = page.locator(".blind-choice").first
    expect(vote).to_be_disabled()
    unlocking = page.locator(".compare-blind")
    for key in "ab":
        # what a busy machine plays in leaps does not count as heard
        while f"more of {key.upper()}" in unlocking.inner_text():
            pauses = page.evaluate("window.__tap.pauses")
            page.keyboard.press(key)
            until_true(page, "before => window.__tap.pauses > before", arg=pauses)
            expect(page.get_by_role("button", name=f"Play side {key.upper()}")).to_be_visible()
    expect(vote).to_be_enabled()


def seen_by_ten_votes(page: Page) -> None:
    """Have the page take its next vote for the tenth, and the board for what ten votes make of it: to hear
    ten pairs takes minutes.
    """

    def as_tenth(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "done": 10})

    votes = [Vote("x", "a", "b", choice) for choice in ("left", "left", "right", "tie", "left")] * 2
    ranks = rank(votes).standings
    shown = [{"score": each.rounded[0], "margin": each.rounded[1]} for each in ranks if each.rounded]
    standings = [{"rank": n + 1, "rounded": each, "preliminary": True} for n, each in enumerate(shown)]
    page.route("**/vote", as_tenth)
    told = {"votes": 10, "listeners": 1, "standings": standings}
    page.route("**/board", lambda route: route.fulfill(json=told))


def expect_pair(page: Page, number: int) -> None:
    expect(page.locator(".blind-count")).to_have_text(f"Pair {number}")
    until_true(page, "() => document.querySelector('.player-time').textContent.includes('/')")


def test_compare_from_a_recording_to_results_over_a_reload(
    app: AppProcess, browser: Browser, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "hello.wav", speak("Hello?", pause_s=0.1), 24_000)
    with visitor(browser) as page:
        open_page(page, app.url)
        page.click("#tab-compare-button")
        expect(page.locator("#compare-render")).to_be_enabled()
        page.select_option("#compare-by", "persona")
        expect(page.locator('[data-part="count"]')).to_have_text("2 answers")
        look(page, "personas", axe=False)
        page.select_option("#compare-by", "voice")
        look(page, "choose", axe=False)  # test_page_access.py looks at it
        page.locator('input[name="scenario"]:checked').uncheck()
        expect(page.locator('[data-part="count"]')).to_contain_text("at least one thing to say")
        page.locator('.compare [data-part="file"]').set_input_files(tmp_path / "hello.wav")
        expect(page.locator('input[name="recording"]')).to_be_checked()
        page.fill('input[name="room_s"]', "1")
        page.click('[data-act="no-voices"]')
        page.locator('input[name="voice"][value="natural"]').check()
        page.locator('input[name="voice"][value="deep"]').check()
        expect(page.locator('[data-part="count"]')).to_have_text("2 answers")
        page.click("#compare-render")
        expect(page.locator(".compare-run .status")).to_have_text("All answers are rendered.")
        expect(page.locator(".compare-cell .compare-facts")).to_have_count(2)
        look(page, "answers")
        page.get_by_role("button", name="Play the answer of Deep").click()
        until_true(page, "window.__tap.plays > 0")
        page.select_option("#compare-channels", "agent")  # what was loaded is let go of
        with page.expect_request(re.compile(r"/cells/\d+/\d+/agent\.wav$")):
            page.get_by_role("button", name="Play the answer of Deep").click()
        page.click("#blind-begin")
        expect_pair(page, 1)
        expect(page.locator(".blind-question-text")).to_contain_text(re.compile("hello", re.IGNORECASE))
        above = "() => document.querySelector('.blind-question').getBoundingClientRect().bottom"
        sides = "() => document.querySelector('.blind-sides').getBoundingClientRect().top"
        assert page.evaluate(above) <= page.evaluate(sides)
        plays = page.evaluate("window.__tap.plays")
        page.get_by_role("button", name="Play the question").click()
        until_true(page, "before => window.__tap.plays > before", arg=plays)
        expect(page.locator("#blind-stop")).to_be_disabled()
        look(page, "pair")
        assert not re.search("Natural|Deep", page.locator(".compare-blind").inner_text())
        page.keyboard.press("ArrowLeft")  # no vote before both were heard
        hear_both(page)
        page.keyboard.press("ArrowLeft")
        expect_pair(page, 2)
        page.reload()
        page.click("#tab-compare-button")
        expect_pair(page, 2)
        page.keyboard.press("u")
        expect_pair(page, 1)
        hear_both(page)
        page.get_by_text("Why?").click()
        page.get_by_label("well timed").check()
        page.get_by_role("button", name="B is better").click()
        for number in (2, 3, 4):
            expect_pair(page, number)
            hear_both(page)
            if number == 4:
                seen_by_ten_votes(page)
            page.keyboard.press("=")
        expect_pair(page, 11)
        expect(page.locator(".blind-board svg")).to_have_attribute(
            "aria-label", re.compile(r"Scores: Place 1 1\d00 ± \d+, Place 2")
        )
        look(page, "board")
        page.reload()
        page.click("#tab-compare-button")
        expect_pair(page, 5)  # past what was planned at first, and so on until one stops
        page.click("#blind-stop")
        expect(page.locator(".compare-results h1")).to_have_text("What the votes say")
        expect(page.locator(".compare-results")).to_contain_text(
            re.compile(r"[2-4] votes of 1 listener, hidden checks apart")
        )
        expect(page.locator(".compare-results")).to_contain_text("Preliminary")
        expect(page.locator(".compare-results")).to_contain_text("timing 1")
        expect(page.locator(".compare-results")).to_contain_text("Scores are shown from 10 votes on")
        expect(page.locator(".compare-results")).to_contain_text("Some pairs were hidden checks")
        assert not re.search(r"1[0-9]{3}\s±", page.locator(".compare-results").inner_text())
        look(page, "results")
        with page.expect_download() as download:
            page.click('[data-export="csv"]')
        assert Path(download.value.path()).read_text().count("\n") == 6
        test = page.evaluate("() => JSON.parse(sessionStorage.getItem('personaplex.compare')).test")
        for recording, told in (
            ("scenario", "turn-short"),
            ("recording", "f" * 32),
        ):  # as after a restart of the server
            asked = {"inputs": [{recording: told}], "voices": ["deep"], "seeds": [0], "persona": ""}
            page.evaluate(
                "(known) => sessionStorage.setItem('personaplex.compare', JSON.stringify(known))",
                {"run": "0" * 32, "asked": asked},
            )
            page.reload()
            page.click("#tab-compare-button")
            if recording == "scenario":
                expect(page.locator(".compare-run h2").last).to_have_text("One short word")
            else:
                expect(page.locator('.compare [data-part="notice"]')).to_contain_text(
                    "That recording is no longer here"
                )
                expect(page.locator("#compare-render")).to_be_enabled()
    with visitor(browser, color_scheme="dark") as page:
        page.goto(f"{app.url}/?compare={test}")
        expect_pair(page, 1)  # a link opens on it, without a press
        look(page, "pair-dark", axe=False)
