"""A visitor talks with the embedded engine: a spoken question, an audible answer with the fact in it, an
interruption.
"""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
from playwright.sync_api import Browser, Page, expect

from personaplex_app.units import SAMPLE_RATE_HZ

from .support.app_process import ROOT, AppProcess, app_process
from .support.browser import (
    MICROPHONE_HZ,
    chromium,
    keep_changes,
    open_page,
    screenshot,
    start_talk,
    stop_talk,
    until_audible,
    until_changed,
    visitor,
    write_microphone,
)
from .support.patience import until
from .support.speech import recognise, speak

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    personas = ROOT / "assets" / "personas.yaml"
    with app_process(
        tmp_path_factory.mktemp("app"),
        engine="auto",
        module="tests.support.serve_lockstep",
        personas=personas,
    ) as running:
        yield running


class Microphone:
    """What the browser's microphone will say: the file is read when a page opens the microphone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.says(1.0)

    def says(self, *parts: np.ndarray | float) -> None:
        """Take speech at 24 kHz, and numbers for seconds of silence."""
        samples = [
            np.zeros(int(part * SAMPLE_RATE_HZ), np.float32) if isinstance(part, float) else part
            for part in parts
        ]
        write_microphone(self.path, soxr.resample(np.concatenate(samples), SAMPLE_RATE_HZ, MICROPHONE_HZ))


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Microphone:
    return Microphone(tmp_path_factory.mktemp("microphone") / "microphone.wav")


@pytest.fixture(scope="module")
def browser(microphone: Microphone) -> Iterator[Browser]:
    with chromium(microphone.path) as running:
        yield running


def said(page: Page, speaker: str, pattern: str, which: str = "") -> None:
    """Wait for a caption that matches."""
    captions = page.locator(f'#talk-captions [data-speaker="{speaker}"]{which}').filter(
        has_text=re.compile(pattern, re.IGNORECASE)
    )
    expect(captions.first).to_be_visible()


def taken_home(page: Page, kind: str) -> bytes:
    with page.expect_download() as download:
        page.click(f'[data-export="{kind}"]')
    return download.value.path().read_bytes()


def test_classic_spoken_question_is_answered_with_the_fact(
    app: AppProcess, browser: Browser, microphone: Microphone
) -> None:
    microphone.says(6.5, speak("How much is the compost bin?"), 20.0)
    with visitor(browser) as page:
        open_page(page, app.url)
        stand_in = "This is a small stand-in. PersonaPlex-7B is not running here: "
        expect(page.locator("#talk-engine")).to_contain_text("Will speak: Small stand-in")
        expect(page.locator("#masthead")).to_contain_text(stand_in)
        page.select_option("#talk-persona", "waste-collection")
        start_talk(page)
        # the microphone's clock is its own: the question may come before the greeting, or into it
        said(page, "user", "compost bin")
        said(page, "agent", "eight dollars")
        expect(page.locator("#masthead")).to_contain_text(stand_in)
        expect(page.locator('[data-readout="turn"]')).to_contain_text("ms")
        screenshot(page, "classic-live")
        # its words are shown before they have sounded
        said(page, "agent", "eight dollars", ":not(.is-provisional)")
        until_audible(page)
        page.fill("#talk-typed", "Is it <b>free</b> on Sundays?")
        page.locator("#talk-typed").press("Enter")
        said(page, "user", r"Typed 0:\d+Is it <b>free</b> on Sundays\?")
        expect(page.locator("#talk-typed")).to_have_value("")
        before = len(page.locator('#talk-captions [data-speaker="agent"]').all())
        until(lambda: len(page.locator('#talk-captions [data-speaker="agent"]').all()) > before)
        stop_talk(page)
        screenshot(page, "classic-ended", full_page=True)
        said(page, "user", "Typed")
        talk = json.loads(taken_home(page, "json"))
        recording, rate_hz = sf.read(io.BytesIO(taken_home(page, "flac")), dtype="float32")
    assert {u["speaker"] for u in talk["utterances"]} == {"user", "agent"}
    # of a busy machine's loudspeaker nobody could say what was heard
    assert re.search(r"\b(eight|\$?8)\b", heard := recognise(recording[:, 1])), heard
    assert rate_hz == SAMPLE_RATE_HZ
    assert "CityClean" not in app.log.read_text()


def test_classic_answers_from_the_role_that_was_typed(
    app: AppProcess, browser: Browser, microphone: Microphone
) -> None:
    microphone.says(
        5.2, speak("Can you guarantee that the replacement part will be shipped tomorrow?", "warm"), 20.0
    )
    with visitor(browser) as page:
        open_page(page, app.url)
        page.fill(
            "#talk-prompt",
            "You work for Northside Repairs and your name is Milan. Information: The part is out of stock; we"
            " can use an alternative part with a 3-day delay.",
        )
        start_talk(page)
        said(page, "user", "replacement part")
        said(page, "agent", "delay|out of stock|notes|guarantee")
        screenshot(page, "classic-role")
        stop_talk(page)


def test_classic_agent_stops_when_interrupted(
    app: AppProcess, browser: Browser, microphone: Microphone
) -> None:
    parts = (
        5.5,
        speak("Tell me a story about a dragon."),
        8.5,
        speak("Hold on a second, I would like to ask you something else."),
        20.0,
    )
    microphone.says(*parts)
    with visitor(browser, viewport={"width": 390, "height": 844}) as page:
        open_page(page, app.url)
        page.select_option("#talk-persona", "storyteller")
        start_talk(page)
        said(page, "agent", "dragon")
        said(page, "user", "hold on")
        screenshot(page, "classic-interrupted-phone")
        stop_talk(page)
        talk = json.loads(taken_home(page, "json"))
    (cut,) = [mark for mark in talk["marks"] if mark["kind"] == "interruption" and mark["speaker"] == "user"][
        :1
    ]
    speaking = [
        u
        for u in talk["utterances"]
        if u["speaker"] == "agent" and u["start_s"] < cut["start_s"] < u["end_s"] + 1.0
    ]
    assert speaking, "the agent was not speaking when it was interrupted"
    # the story would go on for much longer
    assert speaking[-1]["end_s"] <= cut["start_s"] + 2.0


def test_classic_persona_of_an_operators_file_is_chosen_in_the_page(
    app: AppProcess, browser: Browser, microphone: Microphone
) -> None:
    with visitor(browser) as page:
        app.until_ready()
        open_page(page, app.url)
        page.select_option("#talk-persona", "garden-centre")
        expect(page.locator("#talk-prompt")).to_have_value(re.compile("Fernhill Gardens"))
        expect(page.locator("#talk-voice")).to_have_value("warm")
        expect(page.locator('[data-part="examples"]')).to_contain_text("How much is a tomato plant?")


def test_classic_role_is_shared_by_a_link(app: AppProcess, browser: Browser) -> None:
    role = "You are Otto & sell 100 % of your pears."
    with visitor(browser) as page:
        app.until_ready()
        open_page(page, f"{app.url}?persona=garden-centre&voice=deep")
        expect(page.locator("#talk-persona")).to_have_value("garden-centre")
        expect(page.locator("#talk-voice")).to_have_value("deep")
        page.fill("#talk-prompt", role)
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="Share this role").click()
        expect(page.locator('[data-part="share-told"]')).to_contain_text("Copied")
        link = page.evaluate("() => navigator.clipboard.readText()")
        assert link.startswith(f"{app.url}/?persona=garden-centre&voice=deep#prompt=You+are+Otto")
        page.goto("about:blank")
        open_page(page, link.replace("voice=deep", "voice=nobody"))
        expect(page.locator("#talk-prompt")).to_have_value(role)
        expect(page.locator('[data-part="share-told"]')).to_have_text("The link's voice is not here.")


def test_classic_voice_is_heard_and_chosen_before_a_talk(
    app: AppProcess, browser: Browser, microphone: Microphone
) -> None:
    with visitor(browser) as page:
        app.until_ready()
        open_page(page, app.url)
        page.fill("#talk-prompt", "You are Otto.")
        expect(page.locator('[data-part="examples"]')).to_be_hidden()
        hear = page.get_by_role("button", name="Hear Deep")
        keep_changes(hear, "aria-pressed")
        with page.expect_response(re.compile(r"/voice/samples/deep\.wav$")) as answer:
            hear.click()
        assert answer.value.headers["content-type"] == "audio/wav"
        screenshot(page, "classic-voices", full_page=True)
        until_changed(hear, "true", "false")
        expect(page.locator("#talk-voice")).not_to_have_value("deep")
        page.get_by_role("radio", name=re.compile("^Deep")).check(force=True)
        expect(page.locator("#talk-voice")).to_have_value("deep")
        expect(page.locator("#talk-prompt")).to_have_value("You are Otto.")
