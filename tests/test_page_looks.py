"""How the page looks and behaves: widths, themes, contrast, reach, settings, limits, a server that
goes away.
"""

import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from personaplex_app.speech.weights import SYNTHESISER
from personaplex_app.ui.page_language import strings

from .support.app_process import AppProcess, app_process
from .support.browser import (
    expect_state,
    forget_played,
    open_page,
    screenshot,
    screenshots,
    start_talk,
    stop_talk,
    until_played,
    visitor,
)
from .support.page_checks import NAMELESS, TARGETS, assert_fits_everywhere, assert_readable
from .support.patience import PATIENCE_S

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_at_every_width_fits_and_is_readable(app: AppProcess, browser: Browser, scheme: str) -> None:
    with visitor(browser, color_scheme=scheme) as page:
        open_page(page, app.url)
        assert_fits_everywhere(page, f"idle-{scheme}")
        assert_readable(page)
        dark = page.evaluate("() => document.body.classList.contains('dark')")
        assert dark is (scheme == "dark")
        start_talk(page)
        expect(page.locator('[data-readout="left"]')).to_contain_text(":")
        assert_fits_everywhere(page, f"live-{scheme}", full_page=False)
        assert_readable(page)
        stop_talk(page)
        assert_fits_everywhere(page, f"ended-{scheme}")
        assert_readable(page)
        page.click("#tab-sessions-button")
        expect(page.locator(".session")).to_have_count(1)
        assert_fits_everywhere(page)
        assert_readable(page)


# what the Talk tab shows or says in the page's own language; a role in another one says so by `lang`
SHOWN = """() => {
  const root = document.querySelector('.talk');
  const own = (element) => element.closest('[lang]').lang === document.documentElement.lang;
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (own(text.parentElement)) found.push(text.textContent);
  }
  for (const element of root.querySelectorAll('*')) {
    if (own(element)) found.push(element.title, element.ariaLabel, element.placeholder);
  }
  const outside = document.querySelectorAll('.masthead-line, [role=tab]');
  found.push(document.title, ...[...outside].map((each) => each.textContent));
  return found.filter((text) => text && /[a-z]{2}/i.test(text));
}"""
# no words of Spanish or Dutch
ENGLISH_WORDS = re.compile(r"\b(the|you|your|and|it|its|to|with|what|talk|talks|voice)\b", re.I)


@pytest.mark.parametrize("language", ["es", "nl"])
def test_page_in_another_language_has_no_english_and_fits(
    app: AppProcess, browser: Browser, language: str
) -> None:
    def assert_translated(page: Page) -> None:
        shown = page.evaluate(SHOWN)
        assert len(shown) > 60
        english = {*strings("en")["page"].values()} - {*strings(language)["page"].values()}
        wrong = [text for text in shown if text.strip() in english or ENGLISH_WORDS.search(text)]
        assert wrong == []

    with visitor(browser, locale=language) as page:
        open_page(page, app.url)
        assert page.evaluate("() => document.documentElement.lang") == language
        told = strings(language)["page"]
        expect(page.locator("#talk-start")).to_have_text(told["start"])
        assert_fits_everywhere(page, f"idle-{language}")
        assert_translated(page)
        for width in (360, 390):
            page.set_viewport_size({"width": width, "height": 844})
            assert not page.evaluate("""() => [...document.querySelectorAll('[role=tab]')]
              .filter((tab) => tab.scrollWidth > tab.clientWidth).map((tab) => tab.textContent)""")
        start_talk(page)
        expect(page.locator('[data-readout="left"]')).to_contain_text(":")
        assert_fits_everywhere(page, f"live-{language}", full_page=False)
        assert_translated(page)
        stop_talk(page)
        expect(page.locator("#talk-status")).to_have_text(strings(language)["server"]["ended"])
        assert_fits_everywhere(page, f"ended-{language}")
        assert_translated(page)


def test_page_has_an_icon_of_its_own(app: AppProcess) -> None:
    answer = app.get("/favicon.ico")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert 'aria-label="personaplex-app"' in answer.text


def test_page_by_hand_and_by_ear_reaches_everything(app: AppProcess, browser: Browser) -> None:
    with visitor(
        browser, viewport={"width": 390, "height": 844}, reduced_motion="reduce", device_scale_factor=3
    ) as page:
        open_page(page, app.url)
        targets = page.evaluate(TARGETS)
        assert len(targets) > 10
        assert not [each for each in targets if each[1] < 44]
        assert not page.evaluate(NAMELESS)
        for width in (360, 390):  # no tab hides in a menu
            page.set_viewport_size({"width": width, "height": 844})
            expect(page.get_by_role("tab")).to_have_text(
                ["Talk", "Respond", "Compare", "Evaluate", "Sessions"]
            )
        expect(page.locator("#talk-lane")).to_have_attribute(
            "aria-label", "Two empty lanes on one time axis: you above, the agent below."
        )
        expect(page.locator("#talk-status")).to_have_attribute("aria-live", "polite")
        # the lane is as sharp as the screen
        assert page.evaluate(
            "() => { const c = document.querySelector('#talk-lane canvas'); return c.width / c.clientWidth; }"
        ) == pytest.approx(3, abs=0.02)


def test_setup_by_persona_fills_prompt_voice_and_examples(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as page:
        open_page(page, app.url)
        page.select_option("#talk-persona", "waste-collection")
        expect(page.locator("#talk-prompt")).to_have_value(re.compile("CityClean"))
        expect(page.locator('[data-part="example-list"] li').first).to_contain_text("compost")
        expect(page.locator('input[name="persona-choice"]:checked')).to_have_value("waste-collection")
        page.get_by_role("radio", name="Deep").check()
        expect(page.locator("#talk-voice")).to_have_value("deep")
        expect(page.locator('[data-part="sampling-hint"]')).to_contain_text("does not sample")
        expect(page.locator('[data-part="prompt-count"]')).to_contain_text("of 2,000 characters")
        expect(page.locator("#clone-open")).to_be_hidden()  # this engine cannot clone


def test_start_with_a_bad_prompt_says_what_is_wrong(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as page:
        open_page(page, app.url)
        for prompt, sentence in (
            ("x" * 2001, "2001 characters; the limit is 2000"),
            ("  ", "role prompt is empty"),
        ):
            page.fill("#talk-prompt", prompt)
            page.click("#talk-start")
            expect(page.locator('.talk [data-part="notice"]')).to_contain_text(sentence)
            expect_state(page, "idle")
            expect(page.locator("#talk-prompt")).to_be_focused()


def test_status_of_an_engine_that_cannot_start_is_told(browser: Browser, tmp_path: Path) -> None:
    package = SYNTHESISER.locate().parent.parent
    spoiled = tmp_path / "packages" / package.name
    for each in (path for path in package.rglob("*") if path.is_file()):
        copy = spoiled / each.relative_to(package)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(each)
    (spoiled / SYNTHESISER.path).unlink()
    (spoiled / SYNTHESISER.path).write_bytes(b"cut off")
    with (
        app_process(tmp_path, engine="classic", env={"PYTHONPATH": str(spoiled.parent)}) as app,
        visitor(browser) as page,
    ):
        open_page(page, app.url)
        expect_state(page, "error")
        expect(page.locator("#talk-status")).to_contain_text("could not start. The weight file")
        expect(page.locator("#talk-status")).to_contain_text("pip install --force-reinstall hibari-tts")
        assert app.get("/health").json()["status"] == "failed"
        screenshots(page, "failed")


def test_talk_of_a_silent_user_and_one_of_a_stopping_server_are_warned_and_end(
    browser: Browser, tmp_path: Path
) -> None:
    with (
        app_process(tmp_path, idle_limit_s=5, drain_s=120) as app,
        visitor(browser) as page,
        visitor(browser) as late,
    ):
        open_page(page, app.url)
        notice = page.locator('.talk [data-part="notice"]')
        start_talk(page)
        page.click("#talk-mute")
        expect(notice).to_contain_text("Nothing was heard from you")
        screenshots(page, "idle-warned")
        expect_state(page, "ended")
        expect(page.locator("#talk-status")).to_contain_text("nothing was said for a while")
        start_talk(page)
        open_page(late, app.url)
        app.process.send_signal(signal.SIGTERM)
        expect(notice).to_contain_text("The server is about to stop; this talk ends in about 2 minutes")
        expect(page.locator('[data-readout="left"]')).to_have_text(re.compile("[012]:[0-5][0-9]"))
        assert app.get("/health").json()["status"] == "draining"
        late.reload()  # a page that was here before is here again within the grace
        expect(late.locator("#talk-status")).to_contain_text("begins no new talks")
        screenshots(late, "draining")
        app.process.send_signal(signal.SIGTERM)  # once more: now
        expect_state(page, "ended")
        expect(page.locator("#talk-status")).to_contain_text("because the server is being stopped")
        assert app.process.wait(timeout=PATIENCE_S) == 0


def test_talk_near_its_limit_is_warned_then_ends_and_a_lost_server_is_told(
    browser: Browser, tmp_path: Path
) -> None:
    with app_process(tmp_path, talk_limit_s=15) as app, visitor(browser) as page:
        open_page(page, app.url)
        start_talk(page)
        expect(page.locator('.talk [data-part="notice"]')).to_contain_text("its time is nearly over")
        expect_state(page, "ended")
        expect(page.locator("#talk-status")).to_contain_text("time for this talk is over")
        forget_played(page)
        start_talk(page)
        until_played(page, 1.0)
        app.process.send_signal(signal.SIGKILL)
        expect_state(page, "error")
        expect(page.locator("#talk-status")).to_contain_text("connection was lost")
        expect(page.locator("#talk-start")).to_contain_text("Talk again")
        screenshot(page, "lost")
        # what was drawn of it stays
        expect(page.locator("#talk-lane")).to_have_attribute("aria-label", re.compile("A talk of"))
        page.click("#talk-start")
        expect_state(page, "error")
        expect(page.locator("#talk-status")).to_contain_text("cannot be reached")
