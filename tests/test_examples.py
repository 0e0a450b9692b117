"""Every example tells what it takes, and ends by one sentence where it cannot go on."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf

from .support.app_process import ROOT, free_port
from .support.patience import PATIENCE_S

pytestmark = pytest.mark.process

SCRIPTS = sorted((ROOT / "examples").glob("*.py"))


def run(script, *arguments):
    command = [sys.executable, str(script), *map(str, arguments)]
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
    assert "url" in told.stdout
    assert "usage" in run(script).stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
@pytest.mark.parametrize("wrong", ["missing file", "no sound", "other rate", "nobody there", "no address"])
def test_example_that_cannot_go_on_ends_by_a_sentence(script, wrong, question, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    sf.write(tmp_path / "rate.wav", np.zeros(800, np.float32), 8_000)
    url = f"ws://127.0.0.1:{free_port()}"
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
