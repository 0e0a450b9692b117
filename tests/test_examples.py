"""Every example tells what it takes, and ends by one sentence where it cannot go on."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf

from .support.app_process import ROOT, app_process, free_port
from .support.patience import PATIENCE_S

pytestmark = pytest.mark.process

EXAMPLES = ROOT / "examples"
SCRIPTS = sorted([*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.js")])


def run(script, *arguments):
    program = "node" if script.suffix == ".js" else sys.executable
    command = [program, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@pytest.fixture(scope="module")
def question(tmp_path_factory):
    path = tmp_path_factory.mktemp("question") / "question.wav"
    sf.write(path, np.zeros(2_400, np.float32), 24_000)
    return path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_example_tells_how_it_is_used(script):
    told = run(script, "--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert "url" in told.stdout.lower()
    assert "usage" in run(script).stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
@pytest.mark.parametrize("wrong", ["missing file", "no sound", "other rate", "nobody there", "no address"])
def test_example_that_cannot_go_on_ends_by_a_sentence(script, wrong, question, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    sf.write(tmp_path / "rate.wav", np.zeros(800, np.float32), 8_000)
    url = f"{'http' if script.suffix == '.js' else 'ws'}://127.0.0.1:{free_port()}"
    file, url = {
        "missing file": (tmp_path / "nothing.wav", url),
        "no sound": (tmp_path / "text.wav", url),
        "other rate": (tmp_path / "rate.wav", url),
        "nobody there": (question, url),
        "no address": (question, "nowhere"),
    }[wrong]
    done = run(script, url, file, tmp_path / "answer.wav")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (sentence,) = done.stderr.splitlines()
    expected = {"nobody there": url, "no address": "nowhere is no address"}.get(wrong, file.name)
    assert expected in sentence
    assert not (tmp_path / "answer.wav").exists()


def test_javascript_client_brings_the_answer_home(tmp_path):
    spoken = (0.3 * np.sin(np.arange(24_000) / 8)).astype(np.float32)
    sf.write(tmp_path / "question.wav", spoken, 24_000, subtype="PCM_16")
    answer = tmp_path / "answer.wav"
    with app_process(tmp_path) as app:
        app.until_ready()
        quick = (
            f"import {{ talk }} from {str(EXAMPLES / 'talk_client.js')!r};"
            "const question = Int16Array.from({ length: 24000 }, (_, i) => 9000 * Math.sin(i / 8));"
            f"const held = await talk({app.url!r}, question, {{ persona: 'storyteller' }}, 1);"
            "const types = [...new Set(held.events.map((event) => event.type))];"
            "import { writeFileSync } from 'node:fs';"
            f"writeFileSync({str(tmp_path / 'held.json')!r},"
            " JSON.stringify([[...held.agent], types, held.reason]));"
        )
        done = subprocess.run(
            ["node", "--input-type=module", "--eval", quick],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        agent, types, reason = json.loads((tmp_path / "held.json").read_text())
        refused = run(EXAMPLES / "talk_client.js", app.url, tmp_path / "question.wav", answer, "nobody")
    assert reason == "stopped"
    assert {"ready", "ended"} <= set(types)
    said = np.int16(9000 * np.sin(np.arange(24_000) / 8))
    assert np.abs(np.array(agent[1920:20_000]) - said[: 20_000 - 1920]).max() < 4  # an echo, a frame later
    assert refused.returncode == 1
    assert "nobody" in refused.stderr
    assert not answer.exists()
