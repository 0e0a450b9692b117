"""The container: its files linted and checked against their schema, its steps run in a clean folder, and what
they make started.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from personaplex_app.server.talk import GOODBYE_S
from personaplex_app.settings import Settings
from personaplex_app.speech.weights import SENTENCES

from .support.app_process import ROOT, free_port
from .support.dockerfile import build, commands
from .support.patience import PATIENCE_S, until

pytestmark = pytest.mark.process

BIN = Path(sys.executable).parent
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    (folder / "root").mkdir()
    return build(ROOT / "Dockerfile", ROOT, folder / "root", commands(folder / "bin"))


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_dockerfile_has_nothing_to_lint():
    done = subprocess.run(
        [BIN / "hadolint", "--no-color", "Dockerfile"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_file_fits_the_published_schema():
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_compose_has_a_profile_for_a_cpu_and_one_for_a_gpu(image):
    services = COMPOSE["services"]
    assert {name: service["profiles"] for name, service in services.items()} == {
        "cpu": ["cpu"],
        "gpu": ["gpu"],
    }
    (device,) = services["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert "deploy" not in services["cpu"]
    for service in services.values():
        mounted = {volume.partition(":")[2]: volume.partition(":")[0] for volume in service["volumes"]}
        assert set(mounted) == set(image.volumes)
        assert set(mounted.values()) <= set(COMPOSE["volumes"])
        (port,) = service["ports"]
        assert port.startswith("127.0.0.1:")  # nothing is open to the network unasked
        assert port.endswith(f":{image.env['PERSONAPLEX_PORT']}")
        # else the engine kills it while it lets talks end
        assert int(service["stop_grace_period"].removesuffix("s")) > Settings().drain_s + GOODBYE_S + 10


def test_image_runs_as_nobody_special_and_installs_what_was_pinned(image):
    assert image.base.startswith("python:3.12-slim")
    user, group = map(int, image.user.split(":"))
    assert min(user, group) > 0
    pip = Path(image.path.split(os.pathsep)[0], "pip.log").read_text()
    assert pip.splitlines() == [
        "install --no-cache-dir --requirement requirements.txt",
        f"install --no-cache-dir {SENTENCES.distribution}",
    ]
    assert (image.workdir / "requirements.txt").read_bytes() == (
        ROOT / "deploy" / "requirements.txt"
    ).read_bytes()
    for path in (*image.volumes, image.env["HOME"]):
        assert image.inside(path).stat().st_mode & 0o777 == 0o777
    assert {image.env["HF_HOME"], image.env["PERSONAPLEX_DATA"]} == set(image.volumes)
    assert not (image.workdir / "tests").exists()


def test_image_started_is_healthy_and_ends_on_sigterm_having_written_to_its_volumes_alone(image, tmp_path):
    before = files(image.workdir)
    key, login = {"PERSONAPLEX_API_KEY": "a-key"}, {"PERSONAPLEX_AUTH": "me:secret"}
    given = {"PERSONAPLEX_PORT": str(free_port()), "PERSONAPLEX_ENGINE": "echo", "OMP_NUM_THREADS": "1"}

    def healthy(**secret):
        done = subprocess.run(
            image.health,
            cwd=image.workdir,
            env=image.environ(**given, **secret),
            capture_output=True,
            text=True,
        )
        assert not done.stderr
        return done.returncode == 0

    assert not healthy(**key)
    log = tmp_path / "log"
    with log.open("wb") as out:
        # as an engine does: no shell between, so that its signal reaches the app
        command, env = [*image.entrypoint, *image.command], image.environ(**given, **key, **login)
        process = subprocess.Popen(command, cwd=image.workdir, env=env, stdout=out, stderr=subprocess.STDOUT)
    try:
        until(lambda: healthy(**key), log.read_text)
        until(lambda: healthy(**login), log.read_text)
        assert not healthy()
        process.send_signal(signal.Signals[image.stop_signal])
        assert process.wait(timeout=PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
    assert files(image.workdir) == before
    assert any(image.inside("/data").iterdir())
