"""A visitor clones a voice on the golden checkpoint: consent, a recording, its preview, a talk in it,
keeping, export, deletion.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
from playwright.sync_api import Browser, Page, expect

from .support import tiny
from .support.app_process import AppProcess, app_process
from .support.axe import assert_accessible
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
from .support.page_checks import TARGETS, WIDTHS, assert_fits, assert_readable
from .support.speech import speak

pytestmark = pytest.mark.browser
WORDS = "The river ran slowly past the old mill, and nobody had opened its door for years."


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    quiet = np.zeros(24_000, np.float32)
    return np.concatenate([quiet, speak(WORDS), quiet])


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("app")
    with app_process(
        folder,
        engine="personaplex",
        checkpoint=tiny.GOLDEN,
        device="cpu",
        connects_per_minute=600,
    ) as running:
        running.until_ready()
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, spoken: np.ndarray) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("microphone")
    with chromium(
        write_microphone(folder / "speech.wav", soxr.resample(spoken, 24_000, MICROPHONE_HZ))
    ) as running:
        yield running


def upload(spoken: np.ndarray, name: str = "Aunt Clara.wav") -> dict:
    file = io.BytesIO()
    sf.write(file, soxr.resample(spoken, 24_000, 44_100), 44_100, format="WAV", subtype="PCM_16")
    return {"name": name, "mimeType": "audio/wav", "buffer": file.getvalue()}


def open_sheet(page: Page) -> None:
    page.click("#clone-open")
    expect(page.locator("#clone-dialog")).to_be_visible()


def kept_files(app: AppProcess) -> list[Path]:
    return sorted((app.log.parent / "data" / "clones").rglob("*.safetensors"))


def test_clone_from_upload_to_talk_to_deletion(app: AppProcess, browser: Browser, spoken: np.ndarray) -> None:
    with visitor(browser) as page:
        open_page(page, app.url)
        open_sheet(page)
        for way in ("record", "upload", "import"):
            expect(page.locator(f"#clone-{way}")).to_be_disabled()
        expect(page.locator("#clone-status")).to_contain_text("only with consent")
        screenshot(page, "clone-consent")
        page.keyboard.press("Space")  # the box has the focus
        expect(page.locator("#clone-upload")).to_be_enabled()

        page.set_input_files(
            "#clone-recording-file", {"name": "no.wav", "mimeType": "audio/wav", "buffer": b"nothing"}
        )
        expect(page.locator("#clone-status")).to_contain_text("cannot be read as a recording")
        expect(page.locator('[data-part="clone-form"]')).to_be_hidden()
        page.set_input_files("#clone-recording-file", upload(spoken))
        expect(page.locator('[data-part="clone-picked"]')).to_contain_text("seconds picked")
        expect(page.locator("#clone-name")).to_have_value("Aunt Clara")
        assert drawn(page) > 500
        keep_changes(page.locator("#clone-play"), "aria-pressed")
        page.click("#clone-play")
        until_changed(page.locator("#clone-play"), "true")
        screenshot(page, "clone-preview")
        assert_accessible(page, "clone dialog")
        page.click("#clone-make")
        expect(page.locator("#clone-dialog")).to_be_hidden()
        expect(page.locator("#talk-voice option:checked")).to_have_text("Aunt Clara")
        expect(page.locator('[data-part="clone-notice"]')).to_contain_text("chosen for your next talk")
        page.select_option("#talk-persona", "waste-collection")
        expect(page.locator("#talk-voice option:checked")).to_have_text("Aunt Clara")
        page.locator("#clone-open").scroll_into_view_if_needed()
        screenshot(page, "clone-chosen")

        start_talk(page)
        until_audible(page)
        stop_talk(page)
        expect(page.locator("#talk-voice option:checked")).to_have_text("Aunt Clara")

        page.click("#tab-compare-button")
        expect(page.locator('.compare [aria-label="Your voices"] .card')).to_contain_text("Aunt Clara")
        page.click("#tab-respond-button")
        expect(page.locator("#respond-voice")).to_contain_text(
            "Voices that you cloned answer in Talk and Compare."
        )
        page.click("#tab-talk-button")

        assert not kept_files(app)
        page.click("#clone-keep-chosen")
        expect(page.locator('[data-part="clone-fate"]')).to_contain_text("is kept on this computer")
        assert len(kept_files(app)) == 1
        with page.expect_download() as download:
            page.click("#clone-export")
        assert download.value.suggested_filename == "Aunt-Clara.safetensors"
        exported = download.value.path().read_bytes()
        assert exported == kept_files(app)[0].read_bytes()
        page.click("#clone-delete")
        page.click("#clone-delete-sure")
        expect(page.locator('[data-part="clone-notice"]')).to_contain_text("deleted for good")
        expect(page.locator('#talk-voice optgroup[label="Your voices"]')).to_have_count(0)
        assert not kept_files(app)

        open_sheet(page)
        page.check("#clone-consent")
        page.set_input_files(
            "#clone-voice-file", {"name": "x.safetensors", "mimeType": "", "buffer": exported[:-9]}
        )
        page.click("#clone-make")
        expect(page.locator("#clone-status")).to_contain_text("not a safetensors file")
        page.set_input_files(
            "#clone-voice-file", {"name": "Back again.safetensors", "mimeType": "", "buffer": exported}
        )
        page.fill("#clone-name", "Back again")
        page.check("#clone-keep")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#talk-voice option:checked")).to_have_text("Back again")
        assert [path.read_bytes() for path in kept_files(app)] == [exported]


def drawn(page: Page) -> int:
    """How many points of the waveform are in the agent's colour."""
    return page.evaluate("""() => {
      const canvas = document.querySelector('#clone-wave');
      const [r, g, b] = getComputedStyle(canvas).getPropertyValue('--agent').trim().match(/[0-9a-f]{2}/g)
          .map((hex) => parseInt(hex, 16));
      const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      let count = 0;
      for (let i = 0; i < data.length; i += 4) count += data[i] === r && data[i + 1] === g &&
          data[i + 2] === b;
      return count;
    }""")


def test_clone_from_the_microphone_fits_a_phone_and_both_themes(app: AppProcess, browser: Browser) -> None:
    with visitor(browser, color_scheme="dark", viewport={"width": 390, "height": 844}) as page:
        open_page(page, app.url)
        open_sheet(page)
        page.check("#clone-consent")
        page.click("#clone-record")
        expect(page.locator("#clone-record")).to_contain_text(re.compile(r"Stop · 0:(0[6-9]|[1-9]\d)"))
        screenshot(page, "clone-recording-dark-390")
        assert_fits(page)
        page.click("#clone-record")
        expect(page.locator("#clone-name")).to_have_value("My voice")
        expect(page.locator("#clone-record")).to_have_text("Record")
        screenshot(page, "clone-preview-dark-390")
        targets = page.evaluate(TARGETS)
        assert len(targets) > 5
        assert not [each for each in targets if each[1] < 44]
        assert_readable(page)
        page.emulate_media(color_scheme="light")
        page.reload()
        open_page(page, app.url)
        expect(page.locator("#clone-dialog")).to_be_hidden()
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            open_sheet(page)
            assert_fits(page)
            screenshot(page, f"clone-sheet-{width}")
            page.keyboard.press("Escape")
            expect(page.locator("#clone-dialog")).to_be_hidden()
        expect(page.locator("#clone-open")).to_be_focused()
