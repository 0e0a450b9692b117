"""`evaluate run` as a program, stopped from the keyboard."""

import signal
import subprocess
import sys

import pytest

from personaplex_app.evaluation.conversation_folder import read_results

from .support.app_process import ROOT

pytestmark = pytest.mark.process

SEEDS = 100  # more conversations than can be held before the signal arrives


def test_run_ctrl_c_says_that_it_goes_on_and_does(tmp_path):
    command = [sys.executable, "-m", "personaplex_app", "evaluate", "run", "--engine", "echo", "--no-dnsmos"]
    command += ["--scenarios", "turn-short", "--seeds", str(SEEDS), "--out", str(tmp_path / "out")]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    lines = []
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        for line in process.stderr or ():
            lines.append(line)
            if line.startswith("2 of"):
                process.send_signal(signal.SIGINT)
    assert process.returncode == 1
    assert "Stopped. Finished conversations are kept; the same command continues." in lines[-1]
    assert 2 <= len(read_results(tmp_path / "out")) < SEEDS
