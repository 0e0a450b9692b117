"""What the README says is run: its snippet against the real app, its commands and settings against what
exists.
"""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from personaplex_app.settings import Settings

from .support.app_process import ROOT
from .support.patience import PATIENCE_S
from .support.speech import recognise, speak

pytestmark = pytest.mark.process

README = (ROOT / "README.md").read_text()


def write_snippet(name: str, folder: Path) -> None:
    (folder / "client.py").write_text(
        re.search(rf"<!-- test: {name} -->\n```python\n(.*?)```", README, re.DOTALL)[1]
    )


def test_readme_respond_snippet_gives_the_answer(app, tmp_path):
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


def test_readme_snippet_asks_a_question_and_gets_the_answer(app, tmp_path):
    write_snippet("snippet", tmp_path)
    # the agent greets first
    question = np.concatenate([np.zeros(24_000 * 5, np.float32), speak("How much is the compost bin?")])
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


def test_readme_names_only_settings_that_exist():
    known = {f.name for f in fields(Settings)}
    flags = {flag.replace("-", "_") for flag in re.findall(r"`--([a-z-]+)[ `]", README)}
    variables = {name.lower() for name in re.findall(r"PERSONAPLEX_([A-Z_]+)", README)}
    assert flags
    assert variables
    assert flags | variables <= known


def test_readme_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_readme_links_to_files_that_exist():
    for path in re.findall(r"`((?:personaplex_app|benchmarks|tests|examples)/[\w./]+)`", README):
        assert (ROOT / path).exists(), path
