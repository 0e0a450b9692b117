"""The app as on a ZeroGPU Space: the real `spaces` package, an API played by the test, the tiny checkpoint,
real forks.

One app for all: by the wire, as the page speaks it, and in the page.
"""

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest
import soundfile
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from playwright.sync_api import Browser, Page, expect
from websockets.exceptions import ConnectionClosed

from personaplex_app.protocol import Kind

from .support import tiny
from .support.browser import (
    chromium,
    expect_state,
    open_page,
    screenshots,
    stop_talk,
    tone,
    until_true,
    visitor,
    write_microphone,
)
from .support.gradio_app import gradio_client
from .support.peers import call, call_http
from .support.zero_gpu import holding, ip_token, leased_talk, zero_gpu_api, zero_gpu_app

pytestmark = pytest.mark.browser
FRAME = bytes(3840)


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    with zero_gpu_api() as api, zero_gpu_app(tmp_path_factory.mktemp("app"), api) as app:
        yield app, api


@pytest.fixture
def app(platform):
    return platform[0]


@pytest.fixture
def api(platform):
    api = platform[1]
    api.answer, api.idle = "gpu", True
    api.asked.clear()
    api.leases.clear()
    yield api
    assert "running" not in api.until_released()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(write_microphone(tmp_path_factory.mktemp("microphone") / "tone.wav", tone())) as running:
        yield running


@contextmanager
def at_the_page(browser: Browser, app) -> Iterator[Page]:
    """Open the page as somebody whom the Hub knows."""
    with visitor(browser, extra_http_headers={"X-IP-Token": ip_token()}) as page:
        open_page(page, app.url)
        yield page


def speak(caller, *frames: bytes) -> None:
    """Send frames, each after the agent's answer to the one before."""
    for frame in frames:
        caller.say(Kind.AUDIO, frame)
        before = len(caller.audio)
        while len(caller.audio) == before:
            caller.take()


def golden_talk(app) -> str:
    """Hold the golden conversation on a lent GPU; return what the agent said."""
    about, _ = tiny.case("voice_and_text")
    samples, _ = soundfile.read(tiny.GOLDEN / "user.wav", dtype="int16")
    start = {
        "voice_prompt": about["voice"],
        "text_prompt": about["text_prompt"],
        "audio_temperature": 0,
        "text_temperature": 0,
    }
    with leased_talk(app, lease_s=120, **start) as caller:
        assert caller.until_event("ready")["limit_s"] == 120
        speak(caller, *(samples[1920 * t : 1920 * (t + 1)].astype("<i2").tobytes() for t in range(30)))
        caller.order("stop")
        assert caller.until_event("ended")["reason"] == "stopped"
        return caller.text


def test_zero_gpu_talks_in_one_worker_each_say_the_references_words_and_give_their_gpu_back(app, api):
    said = "".join(
        text
        for text in tiny.case("voice_and_text")[0]["text"][:30]
        if text not in ("PAD", "EPAD", "BOS", "EOS")
    )
    api.idle = False  # a fresh worker first, then the same again
    assert golden_talk(app) == said
    api.until_released()
    api.idle = True
    workers = len(api.pids)
    assert golden_talk(app) == said
    assert list(api.until_released()) == ["released"] * 2
    assert len(api.pids) == workers
    # the talk, and a margin for the worker's start; lent to the visitor whose token came with the event
    assert {(each["durationSeconds"], each["token"]) for each in api.asked} == {("135", ip_token())}
    assert api.reports == 1


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("over-quota", "You have 12 s of GPU time left, and this needs 75 s. Come back in 1 h 24 min."),
        ("illegal-duration", "So long a talk on the GPU is not allowed for you. Choose a shorter one."),
        ("busy", "No GPU is free: none became so within a minute. Come back in a few minutes."),
    ],
)
def test_zero_gpu_refused_says_why_and_when_to_come_back(app, api, answer, sentence):
    api.answer = answer
    with leased_talk(app) as caller:
        assert caller.until_closed() == 1013
        assert caller.error == sentence
        assert caller.until_event("ended")["reason"] == "no_gpu"
    assert api.leases == {}
    with call(app.url, codec="pcm", events=1, voice_prompt="NATF0", engine="classic") as caller:
        assert caller.until_event("ready")["engine"] == "classic"
        assert "has no voice NATF0" in caller.until_event("notice")["text"]
    app.until_free()


def test_zero_gpu_queued_caller_is_served_when_a_gpu_is_free(app, api):
    api.answer = "queue"
    with leased_talk(app, lease_s=30) as caller:
        caller.until_event("ready")
        speak(caller, FRAME, FRAME)
    assert api.until_released() == ["released"]


def test_zero_gpu_talk_over_http_takes_a_lease_and_gives_it_back(app, api):
    with leased_talk(app, call_http, lease_s=30) as caller:
        assert caller.until_event("ready")["limit_s"] == 30
        speak(caller, FRAME, FRAME)
        caller.order("stop")
        assert caller.until_event("ended")["reason"] == "stopped"
    assert api.until_released() == ["released"]
    assert (api.asked[0]["durationSeconds"], api.asked[0]["token"]) == ("45", ip_token())
    app.until_free()


def test_zero_gpu_worker_killed_in_mid_talk_ends_the_talk_with_a_sentence_and_the_lease(app, api):
    with leased_talk(app, lease_s=30) as caller:
        caller.until_event("ready")
        speak(caller, FRAME, FRAME)
        api.kill_worker()
        caller.say(Kind.AUDIO, FRAME)
        assert caller.until_closed() == 1011
        assert caller.error == "The GPU was taken away before the end: its worker stopped. Start again."
    assert api.until_released() == ["failed"]
    with leased_talk(app, lease_s=30) as caller:
        caller.until_event("ready")
        speak(caller, FRAME, FRAME)


def test_zero_gpu_talk_longer_than_any_lease_is_refused(app, api):
    with call(app.url, codec="pcm", events=1, voice_prompt="NATF0", lease_s=600) as caller:
        assert caller.until_closed() == 1008
        assert caller.error == "A GPU is lent for at most 120 s here; 600 s were asked for."
    assert not api.asked


def test_zero_gpu_client_that_is_no_page_is_told_what_it_can_have(app, api):
    with call(app.url, codec="pcm", voice_prompt="NATF0") as caller:
        assert caller.until_closed() == 1013
        assert "Ask /api/chat for engine=classic" in caller.error


def test_zero_gpu_event_with_an_unknown_token_takes_no_gpu(app, api):
    with holding(app, "somebody-elses") as events:
        assert b"process_completed" in b"".join(events.iter_raw())
    assert not api.asked


def test_zero_gpu_lease_whose_event_goes_away_ends_the_talk(app, api):
    with call(app.url, codec="pcm", events=1, config="message") as caller:
        caller.order("start", voice_prompt="NATF0", lease_s=30)
        with holding(app, caller.until_event("lease")["token"]):
            caller.until_event("ready")
        with suppress(ConnectionClosed):
            while True:
                speak(caller, FRAME)
                time.sleep(0.08)
        assert caller.until_closed() == 1011
        assert "taken away" in caller.error
    assert api.until_released() == ["released"]


def test_zero_gpu_talk_ends_by_itself_before_its_lease(app, api):
    with leased_talk(app, lease_s=4) as caller:
        assert caller.until_event("ready")["limit_s"] == 4
        with suppress(ConnectionClosed):
            while True:
                speak(caller, FRAME)
                time.sleep(0.06)
        assert caller.until_event("ended")["reason"] == "time_limit"
        assert caller.until_event("limit")["reason"] == "time"
    assert api.until_released() == ["released"]


def test_zero_gpu_random_aborts_leave_no_lease_behind(app, api):
    chance = random.Random(5)
    for _ in range(12):
        with leased_talk(app, lease_s=30) as caller:
            match chance.choice(["before", "at once", "talking", "stop"]):
                case "before":
                    continue
                case "at once":
                    caller.until_event("ready")
                case "talking":
                    caller.until_event("ready")
                    speak(caller, *[FRAME] * chance.randrange(1, 5))
                case "stop":
                    caller.until_event("ready")
                    caller.order("stop")
                    caller.until_closed()
    assert set(api.until_released()) == {"released"}
    app.until_free()


def test_zero_gpu_recording_is_answered_on_a_lent_gpu_once(app, api, tmp_path):
    samples, rate_hz = soundfile.read(tiny.GOLDEN / "user.wav", frames=1920 * 18)
    soundfile.write(tmp_path / "user.wav", samples, rate_hz)
    with gradio_client(app, {"X-IP-Token": ip_token()}) as client:
        asked = {
            "clip": handle_file(tmp_path / "user.wav"),
            "voice": "NATF0",
            "prompt": "Be kind.",
            "room_s": 0,
            "api_name": "/respond",
        }
        told = client.predict(**asked, seed=1)[0]
        assert told["engine"] == "personaplex"
        assert api.until_released() == ["released"]
        assert api.asked[0]["token"] == ip_token()
        assert client.predict(**asked, seed=1)[0]["cached"]
        assert len(api.asked) == 1
        api.answer = "over-quota"
        with pytest.raises(AppError, match="Come back in 1 h 24 min"):
            client.predict(**asked, seed=2)


def test_zero_gpu_status_offers_lengths_and_the_engine_beside(app, api):
    status = app.get("/voice/status").json()
    lease = status["lease"]
    assert (lease["lengths_s"], lease["usual_s"], lease["beside"]["name"]) == ([30, 60, 120], 60, "classic")
    assert {voice["name"] for voice in lease["beside"]["voices"]} >= {"natural", "deep"}
    engine = status["engine"]
    assert engine["about"].startswith("cuda: the GPU of this machine; float32: asked for.")
    assert engine["about"].endswith("The GPU is lent for each talk and given back after it.")
    assert not engine["capabilities"]["cloning"]
    assert np.all([voice["sample"] is False for voice in status["voices"]])


def test_page_talk_on_a_lent_gpu_counts_down_and_gives_it_back(app, api, browser):
    with at_the_page(browser, app) as page:
        expect(page.get_by_label("Length of the talk")).to_have_value("60")
        page.get_by_label("Length of the talk").select_option("30")
        screenshots(page, "zero-gpu-setup")
        page.click("#talk-start")
        expect_state(page, "live")
        expect(page.locator("[data-readout=left]")).to_have_text(re.compile("0:[012][0-9]"))
        until_true(
            page, "() => Number(document.querySelector('.meter[data-side=agent] i').dataset.level) > 0.02"
        )
        expect(page.locator("#talk-beside")).to_be_hidden()
        stop_talk(page)
        assert api.until_released() == ["released"]
        assert (api.asked[0]["durationSeconds"], api.asked[0]["token"]) == ("45", ip_token())


def test_page_without_quota_says_when_to_come_back_and_goes_on_with_the_embedded_engine(app, api, browser):
    api.answer = "over-quota"
    with at_the_page(browser, app) as page:
        page.click("#talk-start")
        expect_state(page, "error")
        expect(page.locator("#talk-status")).to_contain_text("Come back in 1 h 24 min.")
        screenshots(page, "zero-gpu-no-quota")
        page.get_by_role("button", name="Go on with the small stand-in").click()
        expect_state(page, "live")
        expect(page.locator("#talk-engine")).to_contain_text("Speaking now: Small stand-in")
        expect(page.locator("#masthead")).to_contain_text("not running here: no GPU was lent for this talk.")
        stop_talk(page)


def test_page_whose_worker_is_killed_says_so_and_a_visitor_who_leaves_gives_the_gpu_back(app, api, browser):
    with at_the_page(browser, app) as page:
        page.click("#talk-start")
        expect_state(page, "live")
        api.kill_worker()
        expect_state(page, "error")
        expect(page.locator("#talk-status")).to_contain_text("its worker stopped")
        expect(page.locator("#talk-beside")).to_be_visible()
        assert api.until_released() == ["failed"]
        page.click("#talk-start")
        expect_state(page, "live")
    assert api.until_released() == ["failed", "released"]


def test_page_comparison_is_rendered_on_a_lent_gpu_or_by_the_embedded_engine(app, api, browser, tmp_path):
    samples, rate_hz = soundfile.read(tiny.GOLDEN / "user.wav", frames=1920 * 12)
    soundfile.write(tmp_path / "user.wav", samples, rate_hz)
    with at_the_page(browser, app) as page:
        page.click("#tab-compare-button")
        expect(page.locator("#compare-render")).to_be_enabled()
        page.locator('input[name="scenario"]:checked').uncheck()
        page.locator('.compare [data-part="file"]').set_input_files(tmp_path / "user.wav")
        page.fill('input[name="room_s"]', "0")
        page.click('[data-act="no-voices"]')
        page.locator('input[name="voice"][value="NATF0"]').check()
        page.locator('input[name="voice"][value="VARF2"]').check()
        api.answer = "over-quota"
        page.click("#compare-render")
        expect(page.locator(".compare-run .status")).to_contain_text("Come back in 1 h 24 min.")
        page.click('[data-act="beside"]')
        expect(page.get_by_text("All answers are rendered.")).to_be_visible()
        expect(page.locator('.compare-cell[data-voice="natural"]')).to_have_count(1)
        page.get_by_role("button", name="Change the choice").click()
        api.answer = "gpu"
        api.asked.clear()
        page.click("#compare-render")
        rendered, go_on = (
            page.get_by_text("All answers are rendered."),
            page.get_by_role("button", name="Go on"),
        )
        expect(rendered.or_(go_on)).to_be_visible()
        while go_on.is_visible():  # on a busy machine the time on the GPU is over before all is rendered
            go_on.click()
            expect(go_on).to_be_hidden()
            expect(rendered.or_(go_on)).to_be_visible()
        assert set(api.until_released()) == {"released"}
        assert api.asked[0]["token"] == ip_token()


def test_page_without_quota_answers_a_recording_with_the_embedded_engine(app, api, browser, tmp_path):
    samples, rate_hz = soundfile.read(tiny.GOLDEN / "user.wav", frames=1920 * 12)
    soundfile.write(tmp_path / "user.wav", samples, rate_hz)
    api.answer = "over-quota"
    with at_the_page(browser, app) as page:
        page.click("#tab-respond-button")
        page.locator("#respond-clip input[type=file]").set_input_files(tmp_path / "user.wav")
        expect(page.locator("#respond-clip .waveform-container").first).to_be_visible()
        page.click("#respond-start")
        expect(page.locator("#respond-status")).to_contain_text("Come back in 1 h 24 min.")
        page.click("#respond-beside")
        expect(page.locator(".session").first).to_contain_text("classic")
