"""No command looks a name up, connects to another machine or leaves a file in the home folder."""

import json
import os
import subprocess
import sys

import pytest

from tests.support.app_process import ROOT, app_process

pytestmark = pytest.mark.process

# Python's own look-ups and connections are noted; what a package does in C++ shows in the home folder
NOTING = """
import os, sys

def note(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        name = args[0]
    elif event == "socket.connect":
        name = args[1][0] if isinstance(args[1], tuple) else None
    else:
        return
    if name and str(name) not in ("127.0.0.1", "localhost", "::1", "0.0.0.0"):
        with open(os.environ["NAMES_NOTED"], "a") as file:
            file.write(f"{event} {name}\\n")

sys.addaudithook(note)
"""
VOICE_DETECTOR = (
    "import personaplex_app.notebook; from personaplex_app.speech.vad import VadModel; VadModel()"
)
RECORDING = str(ROOT / "tests" / "golden" / "user.wav")


@pytest.fixture
def watched(tmp_path):
    """An environment with a home of its own in which every name is noted."""
    home = tmp_path / "home"
    hook = tmp_path / "hook"
    home.mkdir()
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(NOTING)
    unset = ("XDG_", "HF_", "ORT_", "GRADIO_", "DO_NOT_TRACK", "PERSONAPLEX_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    noted = tmp_path / "names"
    yield {**env, "HOME": str(home), "PYTHONPATH": str(hook), "NAMES_NOTED": str(noted)}
    assert not noted.exists() or not noted.read_text()
    assert [path for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "personaplex_app", "doctor"],
        ["-m", "personaplex_app", "offline", "--engine=echo", f"--input-wav={RECORDING}"],
        ["-m", "personaplex_app", "evaluate", "run", "--engine=echo", "--scenarios", "silence"],
        ["-c", VOICE_DETECTOR],
    ],
    ids=["doctor", "offline", "evaluate", "notebook"],
)
def test_command_looks_nothing_up_and_leaves_nothing_at_home(watched, tmp_path, arguments):
    if "offline" in arguments:
        arguments = [*arguments, f"--output-wav={tmp_path / 'o.wav'}", f"--output-text={tmp_path / 'o.json'}"]
    if "evaluate" in arguments:
        arguments = [*arguments, f"--out={tmp_path / 'run'}"]
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=watched, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr


def test_serve_looks_nothing_up_and_leaves_nothing_at_home(watched, tmp_path, monkeypatch):
    for name in set(os.environ) - set(watched):
        monkeypatch.delenv(name)
    with app_process(tmp_path, "classic", watched) as app:
        app.until_ready()
        assert app.get("/").status_code == 200


def test_hook_notes_a_name(watched, tmp_path):
    code = "import socket\ntry: socket.getaddrinfo('nobody.invalid', 80)\nexcept OSError: pass"
    subprocess.run([sys.executable, "-c", code], env=watched, check=True)
    noted = tmp_path / "names"
    assert noted.read_text() == "socket.getaddrinfo nobody.invalid\n"
    noted.unlink()


@pytest.mark.process
def test_import_of_the_package_switches_every_report_off():
    # in a process of its own: another test here may have set the variables anew
    program = "import json, os, personaplex_app; print(json.dumps(dict(os.environ)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    off = {"ORT_DISABLE_TELEMETRY": "1", "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
    assert off.items() <= json.loads(done.stdout).items()
