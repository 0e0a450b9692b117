"""The program and its engine bring a checkpoint from the Hub: progress, no second download, an end in the
middle.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import soundfile

from personaplex_app.engine.personaplex import PersonaplexEngine, PersonaplexSettings
from personaplex_app.engine_choice import Choice
from personaplex_app.model.config import LM_FILE
from personaplex_app.server.engine_supervisor import EngineSupervisor

from .support import tiny
from .support.app_process import ROOT, app_process
from .support.hub_server import Hub
from .support.patience import PATIENCE_S, until
from .support.tiny_hub import COMMIT, GOOD, NAME, REPO, parts


def env_of(server: Hub, home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PERSONAPLEX_", "HF_"))}
    return {**kept, "OMP_NUM_THREADS": "1", "HF_ENDPOINT": server.url, "HF_HOME": str(home), **more}


def offline(server: Hub, folder: Path, **more: str) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "personaplex_app",
        "offline",
        "--hf-repo",
        f"{NAME}@main",
        "--greedy",
        "--device",
        "cpu",
    ]
    command += ["--voice-prompt", "NATF0.pt", "--text-prompt", "", "--input-wav", str(folder / "in.wav")]
    command += ["--output-wav", str(folder / "out.wav"), "--output-text", str(folder / "out.json")]
    env = env_of(server, folder / "home", PERSONAPLEX_DATA=str(folder / "data"), **more)
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE_S)


@pytest.mark.process
def test_offline_command_downloads_shows_progress_and_then_needs_no_hub(server, tmp_path):
    server.gated = True
    samples, rate_hz = soundfile.read(tiny.GOLDEN / "user.wav")
    soundfile.write(tmp_path / "in.wav", samples[: 5 * 1920], rate_hz)
    first = offline(server, tmp_path, PERSONAPLEX_HF_TOKEN=GOOD)
    assert first.returncode == 0, first.stderr
    assert "downloading: model.safetensors, " in first.stderr
    assert GOOD not in first.stderr + first.stdout
    said = json.loads((tmp_path / "out.json").read_text())
    (tmp_path / "out.json").unlink()
    server.seen.clear()
    second = offline(server, tmp_path, HF_HUB_OFFLINE="1")
    assert (second.returncode, server.seen) == (0, []), second.stderr
    assert json.loads((tmp_path / "out.json").read_text()) == said


@pytest.mark.process
def test_serve_tells_the_page_how_far_the_download_is_and_then_talks(server, tmp_path):
    more = server.fault(LM_FILE).more = threading.Semaphore(0)
    env = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": GOOD}
    with app_process(
        tmp_path, engine="personaplex", env=env, checkpoint=f"{NAME}@{COMMIT}", device="cpu"
    ) as app:
        seen = []
        while (state := app.get("/voice/status").json()["engine"])["stage"] != "ready":
            assert state["stage"] != "failed", state
            if (now := (state["stage"], state["progress"], state["detail"])) not in seen:
                seen.append(now)
                more.release(10)
            time.sleep(0.02)
        shares = [share for stage, share, detail in seen if stage == "downloading" and LM_FILE in detail]
        assert len(set(shares)) > 3
        assert shares == sorted(shares)
        log = app.log.read_text()
        assert 3 <= log.count("engine personaplex: downloading") <= 25
        assert GOOD not in log
        assert "X-Signature" not in log


def test_host_closed_in_the_middle_of_a_download_ends_it(server, access, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    server.fault(LM_FILE).pause_s = 0.2
    engine = PersonaplexEngine(
        PersonaplexSettings(str(REPO), tmp_path / "voices", "cpu", "float32", 1, access)
    )
    supervisor = EngineSupervisor(engine, Choice("personaplex", "asked for"))
    supervisor.start()
    until(lambda: LM_FILE in supervisor.state.detail)
    supervisor.close()
    assert "its loading was aborted" in caplog.text
    assert [part.stat().st_size < len(server.files[LM_FILE]) for part in parts(access)] == [True]


def test_host_shows_why_a_download_failed(server, access, tmp_path):
    server.gated = True
    engine = PersonaplexEngine(
        PersonaplexSettings(str(REPO), tmp_path / "voices", "cpu", "float32", 1, access)
    )
    supervisor = EngineSupervisor(engine, Choice("personaplex", "asked for"))
    supervisor.start()
    until(lambda: supervisor.state.stage == "failed")
    assert "Accept the licence at" in supervisor.state.detail
    supervisor.close()
