"""Every example tells what it takes, and ends by one sentence where it cannot go on."""

import io
import json
import os
import re
import runpy
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import soundfile as sf

from .support.app_process import ROOT, app_process, free_port
from .support.patience import PATIENCE_S
from .support.speech import recognise

pytestmark = pytest.mark.process

EXAMPLES = ROOT / "examples"
GATEWAY, RECIPES, TALK = (
    EXAMPLES / name for name in ("gateway_client.py", "gradio_recipes.py", "talk_client.js")
)
LINE = EXAMPLES / "say_line.py"
# a script, and the word before its arguments
WAYS = [(GATEWAY,), (RECIPES, "respond"), (RECIPES, "compare"), (TALK,)]
KEY = "open sesame"


def run(script, *arguments, node=(), **environment):
    """Run an example as a program; one of Python in this process, which has imported what it needs."""
    if script.suffix == ".js":
        return process(["node", *node, str(script), *map(str, arguments)], **environment)
    argv, out, err = sys.argv, io.StringIO(), io.StringIO()
    sys.argv = [str(script), *map(str, arguments)]
    code = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            runpy.run_path(str(script), run_name="__main__")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
        if isinstance(ended.code, str):
            print(ended.code, file=err)
    finally:
        sys.argv = argv
    return subprocess.CompletedProcess([], code, out.getvalue(), err.getvalue())


def process(command, **environment):
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def question(tmp_path_factory):
    path = tmp_path_factory.mktemp("question") / "question.wav"
    sf.write(path, (0.3 * np.sin(np.arange(24_000) / 8)).astype(np.float32), 24_000, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """An app that says back what it hears, to those who have its key."""
    with app_process(tmp_path_factory.mktemp("echo"), env={"PERSONAPLEX_API_KEY": KEY}) as running:
        running.until_ready(headers={"X-API-Key": KEY})
        yield running


@pytest.mark.parametrize(
    "way",
    [*WAYS, (RECIPES, "evaluate"), (LINE,)],
    ids=lambda way: "-".join(map(str, way[1:])) or way[0].name,
)
def test_example_tells_how_it_is_used(way):
    told = run(*way, "--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert "url" in told.stdout.lower()
    assert "usage" in run(*way).stderr


@pytest.mark.parametrize(
    ("way", "wrong"),
    [
        (way, wrong)
        for way in WAYS
        for wrong in ("missing file", "no sound", "other rate", "nobody there", "no address")
        # the app takes any rate from the recipes, and is who says what it cannot read
        if not (way[0] is RECIPES and wrong in ("no sound", "other rate"))
    ],
    ids=lambda each: each if isinstance(each, str) else "-".join(map(str, each[1:])) or each[0].name,
)
def test_example_that_cannot_go_on_ends_by_a_sentence(way, wrong, question, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    sf.write(tmp_path / "rate.wav", np.zeros(800, np.float32), 8_000)
    url = f"{'ws' if way[0] is GATEWAY else 'http'}://127.0.0.1:{free_port()}"
    file, url = {
        "missing file": (tmp_path / "nothing.wav", url),
        "no sound": (tmp_path / "text.wav", url),
        "other rate": (tmp_path / "rate.wav", url),
        "nobody there": (question, url),
        "no address": (question, "nowhere"),
    }[wrong]
    done = run(*way, url, file, tmp_path / "answer.wav", *(["echo"] if "compare" in way else []))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (sentence,) = done.stderr.splitlines()
    expected = {"nobody there": url, "no address": "nowhere is no address"}.get(wrong, file.name)
    assert expected in sentence
    assert not (tmp_path / "answer.wav").exists()


def test_recipes_bring_answers_and_a_report_home(locked, question, tmp_path, monkeypatch):
    refused = run(RECIPES, "compare", locked.url, question, tmp_path / "answers", "echo")
    assert "API key" in refused.stderr
    # in processes of their own: gradio_client's threads outlive what was asked
    refused = process([sys.executable, str(RECIPES), "respond", locked.url, str(question), "answer.wav"])
    assert refused.stderr == f"{locked.url} asks for a key; set PERSONAPLEX_API_KEY to it.\n"
    both = (
        "import gradio_recipes as r, sys; url, question, folder = sys.argv[1:]; r.ROOM_S = 1;"
        "parse = r.parser().parse_args;"
        "r.respond(parse(['respond', url, question, folder + '/answer.wav']));"
        "r.evaluate(parse(['evaluate', url, folder, 'silence', '--voices', 'echo']))"
    )
    command = [sys.executable, "-c", both, locked.url, str(question), str(tmp_path)]
    done = process(command, PERSONAPLEX_API_KEY=KEY, PYTHONPATH=str(EXAMPLES))
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "report.html") in done.stdout
    assert json.loads((tmp_path / "report.json").read_text())
    answer, _ = sf.read(tmp_path / "answer.wav", dtype="float32")
    assert abs(np.sqrt(np.mean(answer[4_000:20_000] ** 2)) - 0.3 / 2**0.5) < 0.01  # the echo of the tone

    monkeypatch.setenv("PERSONAPLEX_API_KEY", KEY)
    done = run(RECIPES, "compare", locked.url, question, tmp_path / "answers", "echo")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("echo: after ")
    assert len(sf.read(tmp_path / "answers" / "echo.wav")[0]) > 24_000
    done = run(RECIPES, "compare", locked.url, question, tmp_path / "answers", "nobody")
    assert "'nobody' is not one of Echo's" in done.stderr
    done = run(RECIPES, "compare", locked.url, RECIPES, tmp_path / "answers", "echo")
    assert "cannot be read as a recording" in done.stderr


def test_javascript_client_brings_the_answer_home_with_a_key(locked, question, tmp_path):
    answer = tmp_path / "answer.wav"
    quick = (
        f"import {{ talk }} from {str(TALK)!r};"
        "const question = Int16Array.from({ length: 24000 }, (_, i) => 9000 * Math.sin(i / 8));"
        f"const headers = {{ 'X-API-Key': {KEY!r} }};"
        f"const held = await talk({locked.url!r}, question, {{ persona: 'storyteller' }}, 1, headers);"
        "const types = [...new Set(held.events.map((event) => event.type))];"
        "import { writeFileSync } from 'node:fs';"
        f"writeFileSync({str(tmp_path / 'held.json')!r},"
        " JSON.stringify([[...held.agent], types, held.reason, held.transport]));"
    )
    # node 22 has WebSocket without the flag, and knows the flag
    socket = ("--experimental-websocket",)
    done = process(["node", *socket, "--input-type=module", "--eval", quick])
    assert done.returncode == 0, done.stderr
    agent, types, *end = json.loads((tmp_path / "held.json").read_text())
    assert end == ["stopped", "socket"]
    assert {"ready", "ended"} <= set(types)
    said = np.int16(9000 * np.sin(np.arange(24_000) / 8))
    assert np.abs(np.array(agent[1920:20_000]) - said[: 20_000 - 1920]).max() < 4  # an echo, a frame later

    # over HTTP, whose answer to a key that is not one names what is wanted
    refused = run(TALK, locked.url, question, answer, "nobody", PERSONAPLEX_API_KEY=KEY)
    assert (refused.returncode, "nobody" in refused.stderr) == (1, True)
    refused = run(TALK, locked.url, question, answer, PERSONAPLEX_API_KEY="wrong")
    assert (refused.returncode, "API key" in refused.stderr) == (1, True)
    assert not answer.exists()


def test_line_is_said_word_for_word_and_saved(app, tmp_path):
    text = "Your order costs $8, and comes at noon."
    done = run(LINE, app.url.replace("http", "ws"), text, tmp_path / "said.wav")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"\d s  (\w+):", done.stdout) == ["waiting", "begun", "done"]
    assert done.stdout.rstrip().endswith(text)
    samples, rate_hz = sf.read(tmp_path / "said.wav", dtype="float32")
    assert rate_hz == 24_000
    heard = recognise(samples)
    assert "order" in heard
    assert "noon" in heard
    assert text not in app.log.read_text()


@pytest.mark.parametrize(
    ("url", "text", "sentence"),
    [
        ("nowhere", "Hello.", "nowhere is no address"),
        ("ws://127.0.0.1:9", "Hello.", "does not answer as the app does"),
        ("app", "…", "A line needs at least a word."),
        ("app", "x" * 1201, "the limit is 1,200"),
        ("locked", "Hello.", "does not answer as the app does"),
        ("echo", "Hello.", "cannot be told what to say"),
    ],
)
def test_line_that_cannot_be_said_ends_by_a_sentence(app, locked, url, text, sentence, tmp_path, monkeypatch):
    if url == "echo":
        monkeypatch.setenv("PERSONAPLEX_API_KEY", KEY)
    url = {"app": app.url, "locked": locked.url, "echo": locked.url}.get(url, url).replace("http", "ws")
    done = run(LINE, url, text, tmp_path / "said.wav")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "said.wav").exists()
