"""A visitor meets PersonaPlex, on the tiny golden checkpoint: brought from a Hub, refused by it, talked with,
and sampled while talking.
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

from personaplex_app.model.config import LM_FILE

from .support import tiny
from .support.app_process import AppProcess, app_process
from .support.browser import (
    MICROPHONE_HZ,
    chromium,
    expect_state,
    open_page,
    played,
    screenshots,
    start_talk,
    stop_talk,
    until_true,
    visitor,
    write_microphone,
)
from .support.hub_server import Hub
from .support.patience import until
from .support.tiny_hub import COMMIT, GOOD, NAME

pytestmark = pytest.mark.browser

STAGES = ["starting", "being downloaded", "loading", "testing itself", "warming up"]
# every sentence that the status line says, from now on
LISTEN = """() => {
  const line = document.querySelector('#talk-status [data-part="status-text"]');
  window.__said = [line.textContent];
  new MutationObserver(() => window.__said.push(line.textContent)).observe(line, { childList: true,
      characterData: true, subtree: true });
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    samples = soxr.resample(tiny.user_wav(), 24_000, MICROPHONE_HZ)
    with chromium(write_microphone(tmp_path_factory.mktemp("microphone") / "user.wav", samples)) as running:
        yield running


def env_of(server: Hub, folder: Path, **more: str) -> dict[str, str]:
    return {
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_ETAG_TIMEOUT": "60",
        **more,
    }


def status(page: Page):
    return page.locator("#talk-status")


def test_states_from_the_first_to_a_talk_are_all_shown(browser: Browser, server: Hub, tmp_path: Path) -> None:
    server.answers.clear()
    server.fault(LM_FILE).pause_s = 0.05
    env = env_of(server, tmp_path, HF_TOKEN=GOOD)
    with (
        app_process(
            tmp_path, engine="personaplex", env=env, checkpoint=f"{NAME}@{COMMIT}", device="cpu"
        ) as app,
        visitor(browser) as page,
    ):
        open_page(page, app.url)
        expect(status(page)).to_contain_text("PersonaPlex is starting")
        expect(page.locator("#talk-voice optgroup")).to_have_count(5)
        screenshots(page, "starting")
        page.evaluate(LISTEN)
        page.click("#talk-start")
        expect_state(page, "preparing")
        server.answers.set()
        expect(status(page)).to_contain_text(
            re.compile(r"is being downloaded \(\d+ %\): model.safetensors, \d")
        )
        expect(page.locator("#talk-status progress")).to_be_visible()
        screenshots(page, "downloading")
        expect_state(page, "live")
        said = page.evaluate("() => window.__said")
        shares = [int(found[1]) for each in said if (found := re.search(r"downloaded \((\d+) %", each))]
        assert len(set(shares)) > 3
        assert shares == sorted(shares)
        stages = [
            stage
            for each in said
            for stage in ("starting", "downloaded", "loading", "testing itself", "warming up")
            if stage in each
        ]
        assert list(dict.fromkeys(stages)) == [
            "starting",
            "downloaded",
            "loading",
            "testing itself",
            "warming up",
        ]
        stop_talk(page)
        page.reload()
        expect(status(page)).to_contain_text("Ready when you are")
        expect(page.locator("#talk-engine")).to_contain_text("How it runs here")
        page.click("text=How it runs here")
        expect(page.locator("#talk-engine")).to_contain_text("float32: memory allows it. unquantised")
        expect(page.locator("#masthead")).to_contain_text("A voice that listens while it speaks")
        expect(page.locator("#masthead")).not_to_contain_text("stand-in")
        screenshots(page, "ready")


def test_refused_licence_is_told_and_the_embedded_engine_speaks(
    browser: Browser, server: Hub, tmp_path: Path
) -> None:
    server.gated = True
    with (
        app_process(
            tmp_path, engine="personaplex", env=env_of(server, tmp_path), checkpoint=NAME, device="cpu"
        ) as app,
        visitor(browser) as page,
    ):
        app.until_ready()
        health = app.get("/health").json()
        assert (health["engine"], health["instead_of"]) == ("classic", "personaplex")
        open_page(page, app.url)
        fallback = page.locator('[data-part="fallback"]')
        expect(fallback).to_contain_text(
            "PersonaPlex has failed. Until it is mended the small stand-in speaks."
        )
        expect(page.locator(".stand-in")).to_have_text(
            "This is a small stand-in. PersonaPlex-7B is not running here: it has failed."
        )
        # what only the owner can do waits behind one press, and is named as theirs
        expect(fallback.locator("a")).to_be_hidden()
        fallback.get_by_text("For the owner of this app").click()
        expect(fallback).to_contain_text("somebody/tiny-plex is only given to those who accepted its licence")
        expect(fallback).to_contain_text("set HF_TOKEN to a token of that account")
        expect(fallback.locator("a")).to_have_attribute("href", re.compile("somebody/tiny-plex$"))
        expect(page.locator("#talk-engine")).to_contain_text("Will speak: Small stand-in")
        screenshots(page, "fallback")
        start_talk(page)
        expect(page.locator("#talk-engine")).to_contain_text("Speaking now: Small stand-in")
        expect(page.locator('#talk-captions [data-speaker="agent"]').first).to_be_visible()
        expect(page.locator('[data-part="sampling"]')).to_be_hidden()
        stop_talk(page)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with app_process(
        tmp_path_factory.mktemp("app"),
        engine="personaplex",
        checkpoint=tiny.GOLDEN,
        device="cpu",
        slots=1,
    ) as running:
        running.until_ready()
        yield running


def taken_home(page: Page) -> dict:
    with page.expect_download() as download:
        page.click('[data-export="json"]')
    return json.loads(download.value.path().read_text())


def test_talk_with_the_model_is_heard_read_tuned_and_taken_home(app: AppProcess, browser: Browser) -> None:
    with visitor(browser) as page:
        open_page(page, app.url)
        page.get_by_role("radio", name="Varied, female 3").check(force=True)
        page.click('[data-part="sampling-title"]')
        page.get_by_label("Seed").fill("11")
        page.get_by_label("Text top-k").fill("0")
        page.click("#talk-start")
        expect(page.locator('.talk [data-part="notice"]')).to_contain_text(
            "Text top-k must be a whole number from 1 to 32,000"
        )
        page.get_by_label("Text top-k").fill("")
        screenshots(page, "personaplex-setup")
        start_talk(page)
        expect(page.locator('.talk [data-part="notice"]')).to_contain_text("early context")
        expect(page.locator('#talk-captions [data-speaker="agent"]').first).to_be_visible()
        until_true(
            page, "() => Number(document.querySelector('.meter[data-side=agent] i').dataset.level) > 0.05"
        )
        expect(page.get_by_text("Seed of this talk: 11")).to_be_visible()
        expect(page.get_by_label("Seed")).to_be_disabled()
        page.get_by_role("slider", name="Audio temperature").fill("0.3")
        in_force = page.locator('[data-part="sampling"]')
        expect(in_force).to_have_attribute(
            "data-in-force", re.compile('"audio_temperature":0.3,"text_temperature":0.7')
        )
        page.get_by_label("Audio top-k").fill("40")
        expect(in_force).to_have_attribute("data-in-force", re.compile('"audio_topk":40'))
        screenshots(page, "personaplex-live")
        page.click('[data-part="sampling-reset"]')
        expect(in_force).to_have_attribute(
            "data-in-force", re.compile('"audio_temperature":0.8,.*"audio_topk":250')
        )
        _, heard = played(page)
        assert np.abs(heard).max() > 0.01
        stop_talk(page)
        talk = taken_home(page)
        screenshots(page, "personaplex-ended")
    assert (talk["engine"], talk["voice"]) == ("personaplex", "VARF2")
    assert {each["speaker"] for each in talk["utterances"]} == {"agent"}


def test_talk_without_voice_and_role_is_offered_and_samples_can_be_heard(
    app: AppProcess, browser: Browser
) -> None:
    with visitor(browser) as page:
        open_page(page, app.url)
        app.until_free()
        page.get_by_role("radio", name="One of its own").check(force=True)
        page.fill("#talk-prompt", "")
        start_talk(page)
        stop_talk(page)
        assert taken_home(page)["voice"] == "none"
        # made while nobody talks, and a page asks for it seldom
        app.until_free()
        until(lambda: app.get("/voice/status").json()["voices"][0]["sample"])
        page.reload()
        hear = page.get_by_role("button", name="Hear Natural, female 1")
        expect(hear).to_be_visible()
        with page.expect_response(re.compile(r"/voice/samples/NATF0\.wav$")) as answer:
            hear.click()
        samples, rate_hz = sf.read(io.BytesIO(answer.value.body()))
        assert rate_hz == 24_000
        assert np.abs(samples).max() > 0.01
        screenshots(page, "personaplex-voices")
