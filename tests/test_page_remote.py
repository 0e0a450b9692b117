"""A visitor talks through a remote server, sees what the way costs, and is told when the server goes."""

import re
import threading
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .support.app_process import app_process
from .support.browser import (
    chromium,
    expect_state,
    open_page,
    played,
    screenshots,
    start_talk,
    tone,
    tone_level,
    until_audible,
    until_played,
    visitor,
    write_microphone,
)
from .support.moshi_servers import Talk, moshi_server

pytestmark = pytest.mark.browser


def test_page_talk_through_a_remote_server_shows_the_way_and_its_end(tmp_path: Path) -> None:
    over = threading.Event()

    def echo_until_over(talk: Talk) -> None:
        talk.begin()
        for n, frame in enumerate(talk.frames()):
            talk.speak(frame)
            if n == 20:
                talk.say(2, b" Hello there")
            if over.is_set():
                talk.socket.close(1001, "maintenance")

    microphone = write_microphone(tmp_path / "tone.wav", tone())
    with (
        moshi_server(echo_until_over) as server,
        app_process(tmp_path, engine="remote", remote_url=server.url, drain_s=1) as app,
        chromium(microphone) as browser,
        visitor(browser) as page,
    ):
        app.until_ready()
        open_page(page, app.url)
        host = server.url.split("/")[2]
        expect(page.locator("#talk-engine b")).to_have_text("Remote server")
        page.get_by_text("How it runs here").click()
        expect(page.locator("#talk-engine")).to_contain_text(f"{host} answers in")
        expect(page.locator('[data-part="sampling-hint"]')).to_contain_text("It is chosen before a talk.")
        start_talk(page)
        expect(page.locator('[data-readout="bridge"]')).to_contain_text(re.compile(r"^[\d.]+ \+ [\d.]+ ms$"))
        expect(page.locator('#talk-captions [data-speaker="agent"]')).to_contain_text("Hello there")
        expect(page.locator('[name="audio_temperature"]')).to_be_disabled()
        screenshots(page, "remote")
        until_audible(page)
        until_played(page, 2.0)
        over.set()
        expect_state(page, "error")
        said = page.locator("#talk-status")
        expect(said).to_contain_text(
            f"The talk with the remote server {host} has ended. It closed the connection (code 1001,"
            " 'maintenance')."
        )
        rate_hz, heard = played(page)
        # a busy machine begins to play later
        assert (
            max(
                tone_level(heard[at : at + rate_hz], rate_hz)
                for at in range(0, len(heard) - rate_hz, rate_hz // 4)
            )
            > 0.1
        )
        assert len(server.asked) == 1
