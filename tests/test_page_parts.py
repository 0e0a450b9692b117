"""The page's parts without the page: the jitter ring, the resampler, the protocol, the lane's data, run in
the browser they are for.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from personaplex_app.ui.page_language import strings_element

from .support.browser import chromium, tone, write_microphone

pytestmark = pytest.mark.browser

STATIC = Path(__file__).parent.parent / "personaplex_app" / "ui" / "static"
ORIGIN = "http://parts.test"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Run a function of page_parts.js with the modules of the page."""
    microphone = write_microphone(tmp_path_factory.mktemp("microphone") / "tone.wav", tone())
    with chromium(microphone) as browser, browser.new_page() as page:
        # straight from the folder: these parts need no server
        page.route(
            f"{ORIGIN}/**/*.js",
            lambda route: route.fulfill(
                path=STATIC / route.request.url.removeprefix(f"{ORIGIN}/"), content_type="text/javascript"
            ),
        )
        page.route(
            f"{ORIGIN}/", lambda route: route.fulfill(body=strings_element("en"), content_type="text/html")
        )
        page.goto(f"{ORIGIN}/")
        code = Path(__file__).with_name("page_parts.js").read_text()
        call = """async ([code, name, folder]) => {
          const module = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
          return module[name](folder);
        }"""
        yield lambda name: page.evaluate(call, [code, name, ORIGIN])


def test_jitter_ring_follows_the_network_without_hard_cuts(run: Callable[[str], dict[str, Any]]) -> None:
    found = run("ring")
    steepest = 3000 / 32768 * 2 * 3.1416 * 220 / 24000
    for name, one in found.items():
        assert one["worst"] < 2.5 * steepest, (
            name
        )  # no click anywhere: no step much steeper than the wave itself
    assert found["calm"]["underruns"] == 0
    assert found["calm"]["buffer_ms"] < 75  # 40 of it is the mean of a frame on its way through
    assert found["jitter"]["after"] <= 2
    assert found["stall"]["underruns"] == 1
    assert found["stall"]["fill_ms"] < 150  # 3 s late at once, and trimmed away again
    assert found["stall"]["trimmed_ms"] > 2500
    assert found["fast"]["fill_ms"] < 200
    assert found["fast"]["trimmed_ms"] > 100
    assert found["slow"]["stretched_ms"] > 50


def test_parts_of_the_page_keep_their_word(run: Callable[[str], dict[str, Any]]) -> None:
    found = run("parts")
    assert found["pcm"] == [1, -2, 300]
    assert (found["stop"], found["text"], found["garbage"]) == ("stop", "hi", [None] * 3)
    assert found["host"] == "the server that runs this app"
    assert found["count"] == pytest.approx(400 * 128 * 24000 / 44100, abs=40)
    assert found["frames"] in (36, 37)  # 3 s at three rates: the talk's clock runs on
    assert found["amplitude"] == pytest.approx(1, abs=0.01)
    assert abs(found["rest"]) < 1e-4
    assert (
        found["summary"]
        == "A talk of 1 minute 5 seconds on one time axis: you spoke 1 time, the agent 0 times; 2 overlaps."
    )
    assert found["peak"] == 0.5
    assert found["length"] <= 3600 * 50


def test_words_of_a_lane_keep_their_order_and_their_row(run: Callable[[str], dict[str, Any]]) -> None:
    found = run("words")
    assert found["faults"] == []
    assert found["kept"] > 200  # wherever there is room every word is shown
