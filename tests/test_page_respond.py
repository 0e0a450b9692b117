"""A visitor's recording is answered in the Respond tab: drawn with its words, heard, taken home, and again
with another voice.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from playwright.sync_api import Browser, Page, Route, expect

from .support.app_process import AppProcess
from .support.browser import screenshot, until_true, visitor
from .support.page_checks import assert_fits_everywhere, assert_readable
from .support.speech import recognise, speak

pytestmark = pytest.mark.browser
NAMELESS = """() => [...document.querySelectorAll(
  '#respond-form :is(button, input, textarea), .respond :is(button, select)')]
  .filter((each) => each.checkVisibility() && !(each.labels?.length || each.ariaLabel ||
      each.textContent.trim() || each.placeholder))
  .map((each) => each.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "question.mp3"
    sf.write(path, speak("How much is the compost bin?"), 24_000)
    return path


def open_tab(page: Page, url: str) -> None:
    page.goto(url)
    page.click("#tab-respond-button")
    expect(page.locator("#respond-prompt textarea")).to_have_value(re.compile("."))


def choose_clip(page: Page, path: Path) -> None:
    page.locator("#respond-clip input[type=file]").set_input_files(path)
    expect(
        page.locator(
            "#respond-clip [data-testid=waveform-Your\\ side], #respond-clip .waveform-container"
        ).first
    ).to_be_visible()


def choose_persona(page: Page, title: str) -> None:
    page.locator("#respond-persona input").click()
    page.get_by_role("option", name=title).click()
    expect(page.locator("#respond-prompt textarea")).to_have_value(re.compile("CityClean"))


def taken_home(page: Page, form: str) -> Path:
    with page.expect_download() as download:
        page.locator(f'.session [data-export="{form}"]').first.click()
    return download.value.path()


def test_respond_spoken_question_is_answered_drawn_heard_and_again_with_another_voice(
    app: AppProcess, browser: Browser, question: Path
) -> None:
    with visitor(browser) as page:
        held: list[Route] = []
        page.route("**/page.js", lambda route: held.append(route))
        open_tab(page, app.url)
        with page.expect_response("**/queue/join*"):
            page.click("#respond-start")
        held.pop().continue_()  # what was answered before the tab's script had come is told too
        expect(page.locator("#respond-status")).to_contain_text("There is no recording yet")
        page.get_by_role("button", name="One clear question").click()
        expect(page.locator("#respond-clip .waveform-container").first).to_be_visible()
        expect(page.locator("#respond-prompt textarea")).to_have_value(re.compile("CityClean"))
        page.locator("#respond-clip").get_by_label("Clear").click()
        choose_clip(page, question)
        choose_persona(page, "Waste collection")
        # too little for the answer, which is heard to its end all the same
        page.locator("#respond-room input[type=number]").fill("1")
        page.locator("#respond-room input[type=number]").blur()
        screenshot(page, "respond-asked", full_page=True)
        page.click("#respond-start")
        card = page.locator(".session").first
        expect(card).to_be_visible()
        expect(page.locator("#respond-status")).to_contain_text("Rendered ")  # how fast, is the machine's
        expect(card.locator('.caption[data-speaker="user"]')).to_contain_text("compost bin")
        expect(card.locator('.caption[data-speaker="agent"]')).to_contain_text("eight dollars")
        expect(card.locator(".lane")).to_have_attribute(
            "aria-label", re.compile("you spoke 1 time, the agent 1 time")
        )
        assert page.evaluate(
            "() => { const c = document.querySelector('.session canvas'); return c.width > 300 && c.height >"
            " 100; }"
        )
        card.get_by_role("button", name="Play the recording").click()
        expect(card.locator(".player-time")).not_to_have_text(re.compile("^0:00 "))
        card.get_by_role("button", name="Agent alone", exact=True).click()
        expect(card.get_by_role("button", name="Pause the recording")).to_be_visible()
        card.get_by_role("button", name="Pause the recording").click()

        told = json.loads(taken_home(page, "json").read_text())
        both, rate_hz = sf.read(taken_home(page, "wav"), dtype="float32")
        agent, _ = sf.read(taken_home(page, "agent.wav"), dtype="float32")
        assert "-->" in taken_home(page, "srt").read_text()
        assert rate_hz == 24_000
        assert both.shape == (len(agent), 2)
        assert len(agent) < 9 * rate_hz  # what was left to answer in was the second that was asked for
        assert np.array_equal(both[:, 1], agent)
        assert re.search(r"eight|8", recognise(agent))
        first_voice = card.get_attribute("data-voice")
        assert told["voice"] == first_voice
        assert isinstance(told["sampling"]["seed"], int)

        card.get_by_role("button", name="Hear it").click()
        expect(page.locator(".session")).to_have_count(2)
        again = page.locator(".session").first
        assert again.get_attribute("data-voice") != first_voice
        expect(again.locator('.caption[data-speaker="agent"]')).to_contain_text("eight dollars")

        page.click("#respond-start")
        expect(page.locator("#respond-status")).to_contain_text("rendered before")
        expect(page.locator(".session")).to_have_count(2)
        assert not page.evaluate(NAMELESS)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            until_true(
                page, f"() => document.body.classList.contains('dark') === {json.dumps(scheme == 'dark')}"
            )
            assert_fits_everywhere(page, f"respond-{scheme}")
            assert_readable(page)
    assert "compost" not in app.log.read_text()


def test_respond_long_recording_shows_progress_and_can_be_cancelled(
    app: AppProcess, browser: Browser, tmp_path: Path
) -> None:
    sf.write(
        tmp_path / "long.flac",
        np.tile(speak("Tell me a story about a dragon.", pause_s=2.0), 25)[: 24_000 * 100],
        24_000,
    )
    with visitor(browser, viewport={"width": 390, "height": 844}) as page:
        open_tab(page, app.url)
        choose_clip(page, tmp_path / "long.flac")
        page.click("#respond-start")
        expect(page.locator("#respond-status")).to_contain_text(re.compile("about .* left"))
        expect(page.locator("#respond-status progress")).to_be_visible()
        screenshot(page, "respond-working-phone", full_page=True)
        page.click("#respond-cancel")
        expect(page.locator("#respond-status")).to_contain_text("Cancelled")
        expect(page.locator("#respond-start")).to_be_visible()
        app.until_free()
        expect(page.locator(".session")).to_have_count(0)
