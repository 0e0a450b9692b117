"""The programs that the documentation shows are run against the real app."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from .support.app_process import ROOT
from .support.patience import PATIENCE_S
from .support.speech import recognise, speak

pytestmark = pytest.mark.process

PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()


def write_snippet(name: str, folder: Path) -> None:
    found = re.search(rf"<!-- test: {name} -->\n```python\n(.*?)```", PROTOCOL, re.DOTALL)
    assert found
    (folder / "client.py").write_text(found[1])


def test_docs_respond_snippet_gives_the_answer(app, tmp_path):
    write_snippet("respond", tmp_path)
    sf.write(tmp_path / "question.mp3", speak("How much is the compost bin?"), 24_000)
    command = [sys.executable, "client.py", app.url, "question.mp3", "answer.wav"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert re.search(r"0\.\d user: How much is the compost bin\?\n.*agent: .*eight dollars", done.stdout)
    answer, rate_hz = sf.read(tmp_path / "answer.wav", dtype="float32")
    assert (rate_hz, len(answer) > 24_000 * 9) == (24_000, True)
    assert re.search(r"eight|8", recognise(answer))
    assert "compost" not in app.log.read_text()


def test_docs_client_asks_a_question_and_gets_the_answer(app, tmp_path):
    write_snippet("snippet", tmp_path)
    # the agent greets first; on a busy machine it answers long after the six seconds that the client gives it
    silence = np.zeros(24_000 * 5, np.float32)
    question = np.concatenate([silence, speak("How much is the compost bin?"), *[silence] * 4])
    sf.write(tmp_path / "question.wav", question, 24_000)
    command = [sys.executable, "client.py", app.url.replace("http", "ws"), "question.wav", "answer.wav"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert "compost" not in app.log.read_text()
    assert "eight dollars" in done.stdout or "$8" in done.stdout
    answer, rate_hz = sf.read(tmp_path / "answer.wav", dtype="float32")
    assert rate_hz == 24_000
    assert re.search(r"eight|8", recognise(answer[24_000 * 6 :]))
