"""The command line: exit codes, one clear line on stderr, a busy port, the doctor."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from personaplex_app.__main__ import main
from personaplex_app.personas import load_personas

from .support.app_process import ROOT, app_process
from .support.patience import PATIENCE_S


def run(*args: str, **env: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "personaplex_app", *args]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=PATIENCE_S
    )


@pytest.mark.process
@pytest.mark.parametrize(
    "args", [(), ("--help",), ("serve", "--help"), ("doctor", "--help"), ("evaluate", "score", "--help")]
)
def test_cli_help_or_no_command_explains_itself(args):
    done = run(*args)
    assert done.returncode == (0 if args else 2)
    assert "usage: personaplex_app" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        *("serve", "doctor", "space", "offline", "bench", "evaluate", "evaluate run", "evaluate score"),
        "evaluate report",
    ],
)
def test_cli_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    assert f"usage: personaplex_app {command}" in capsys.readouterr().out


@pytest.mark.process
def test_app_py_has_help_and_takes_no_flag_in_silence():
    asked, wrong = (
        subprocess.run(
            [sys.executable, "app.py", flag], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
        )
        for flag in ("--help", "--prot=7861")
    )
    assert asked.returncode == 0
    assert "usage: app.py" in asked.stdout
    assert "--port" in asked.stdout
    assert "PERSONAPLEX_API_KEY" in asked.stdout
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--prot" in wrong.stderr


@pytest.mark.process
@pytest.mark.parametrize(
    ("args", "env", "said"),
    [
        (("serve", "--port", "seven"), {}, "--port is 'seven'; it must be a whole number from 1 to 65535."),
        (
            ("serve",),
            {"PERSONAPLEX_ENGINE": "gpt"},
            "PERSONAPLEX_ENGINE is 'gpt'; it must be one of auto, personaplex, remote, classic, echo.",
        ),
    ],
)
def test_cli_bad_usage_is_one_line_and_exit_2(args, env, said):
    done = run(*args, **env)
    assert (done.returncode, done.stderr) == (2, f"personaplex-app: {said}\n")


@pytest.mark.slow
def test_cli_bad_adapters_file_is_one_line_and_exit_2(tmp_path, capsys):
    file = tmp_path / "adapters.yaml"
    file.write_text("adapters:\n  - name: personaplex-chat\n    enabled: maybe\n")
    said = "adapters.yaml, line 3, field adapters[0].enabled: it is 'maybe'; it must be true or false."
    ended = main(["serve", "--engine", "echo", "--adapters", str(file)])
    assert (ended, capsys.readouterr().err) == (2, f"personaplex-app: {said}\n")


@pytest.mark.slow
def test_cli_doctor_json_names_engine_and_weights(capsys):
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["engine"]["name"] == "classic"
    assert found["weights"]
    assert set(found["weights"].values()) == {"as expected"}
    assert found["packages"]["gradio"].startswith("6.")
    assert (found["gateway"]["adapters"], found["gateway"]["off"], found["metrics"]["path"]) == (
        len(load_personas()),
        0,
        "/metrics",
    )


def test_cli_doctor_text_says_why(tmp_path, monkeypatch, capsys):
    (tmp_path / "adapters.yaml").write_text("adapters: 3")
    monkeypatch.setenv("PERSONAPLEX_ENGINE", "classic")
    assert main(["doctor", "--adapters", str(tmp_path / "adapters.yaml"), "--log-format", "json"]) == 0
    told = capsys.readouterr().out
    assert "Engine     Small stand-in (classic): " in told
    assert "Gateway    the app will not start: adapters.yaml, line 1, field adapters: give a list." in told
    assert "Metrics    /metrics, open" in told
    assert "Log        json, level info" in told


@pytest.mark.process
def test_cli_serve_busy_port_takes_the_next_and_ends_cleanly(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with app_process(tmp_path, port=port) as app:
            log = app.log.read_text()
            assert f"Port {port} is in use; taking " in log
            assert not app.url.endswith(f":{port}")
            app.process.send_signal(signal.SIGTERM)
            assert app.process.wait(timeout=PATIENCE_S) == 0
