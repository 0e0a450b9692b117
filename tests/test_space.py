"""The Space that the command writes: whole, resolvable, uploaded, and started as a Space starts it."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import fields

import httpx
import huggingface_hub
import pytest
import yaml
from packaging.requirements import Requirement

from personaplex_app.__main__ import main
from personaplex_app.cli.space import MANIFEST, push_space, write_space
from personaplex_app.errors import BadInput, SpaceRefused
from personaplex_app.model.hub_repo import HubAccess
from personaplex_app.settings import Settings

from .support.app_process import ROOT, free_port
from .support.authorities import outside
from .support.commit_hub import commit_hub
from .support.patience import PATIENCE_S, until
from .support.pip_resolution import resolve

TOKEN, REPO = "hf_writer", "somebody/talk"


@pytest.fixture
def server():
    with commit_hub(TOKEN) as made:
        yield made
        huggingface_hub.close_session()


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    folder = tmp_path_factory.mktemp("space") / "made"
    write_space(folder)
    return folder


def metadata(folder):
    return yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])


def requirements(path):
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return {
        made.name.lower(): made
        for made in (Requirement(line) for line in lines if line and not line.startswith("-"))
    }


@pytest.mark.process
def test_space_has_all_that_runs_and_nothing_else(space):
    written = {str(path.relative_to(space)) for path in space.rglob("*") if path.is_file()}
    tracked = subprocess.run(
        ["git", "ls-files", "personaplex_app"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert written - {MANIFEST} == {"README.md", "requirements.txt", "app.py", "LICENSE"} | set(tracked)
    assert (space / "app.py").read_text() == (ROOT / "app.py").read_text()


def test_space_metadata_is_what_the_hub_takes_and_agrees_with_the_requirements(space):
    about = metadata(space)
    pinned = requirements(space / "requirements.txt")
    assert (about["sdk"], about["app_file"], about["license"]) == ("gradio", "app.py", "mit")
    assert str(next(iter(pinned["gradio"].specifier))) == f"=={about['sdk_version']}"
    assert about["python_version"] == "3.12.12"
    assert about["models"] == ["nvidia/personaplex-7b-v1"]
    assert {about["colorFrom"], about["colorTo"]} <= {
        "red",
        "yellow",
        "green",
        "blue",
        "indigo",
        "purple",
        "pink",
        "gray",
    }
    assert len(about["short_description"]) <= 60


def test_space_readme_names_settings_that_exist(space):
    named = re.findall(r"PERSONAPLEX_([A-Z_]+)", (space / "README.md").read_text())
    assert named
    assert {name.lower() for name in named} <= {f.name for f in fields(Settings)}


def test_space_requirements_pin_every_dependency_within_its_bounds(space):
    pinned = requirements(space / "requirements.txt")
    wanted = {}
    # Spanish is an owner's choice
    optional = {ROOT / "requirements-dev.txt", ROOT / "requirements-es.txt"}
    for path in set(ROOT.glob("requirements*.txt")) - optional:
        wanted |= requirements(path)
    assert set(pinned) == set(wanted) | {"spaces"}
    for name, requirement in pinned.items():
        (only,) = requirement.specifier
        assert only.operator == "=="
        assert name not in wanted or wanted[name].specifier.contains(only.version), name
    assert (
        str(pinned["torch"].specifier) == "==2.11.0"
    )  # the only one that ZeroGPU lists and that is within the bounds


@pytest.mark.process
def test_space_requirements_resolve_for_its_python_beside_what_the_image_installs(space, tmp_path):
    about = metadata(space)
    # the image installs its SDK in the same call, with these extras
    image = tmp_path / "image.txt"
    image.write_text(
        f"gradio[oauth,mcp]=={about['sdk_version']}\nuvicorn>=0.14.0\nwebsockets>=10.4\nspaces\n"
    )
    resolved = resolve([space / "requirements.txt", image], about["python_version"])
    assert resolved["torch"] == "2.11.0"
    assert "spaces" in resolved
    assert "nvidia-cublas" in resolved  # a GPU can be used


def test_write_space_into_a_folder_of_somebody_else_is_refused_and_touches_nothing(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(
        BadInput, match="is not empty and was not written by this command; give a new or an empty folder"
    ):
        write_space(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    with pytest.raises(BadInput, match="is a file; give a new or an empty folder"):
        write_space(tmp_path / "README.md")


def test_write_space_again_replaces_what_it_wrote_and_keeps_the_rest(tmp_path):
    write_space(tmp_path)
    (tmp_path / "README.md").write_text("changed")
    (tmp_path / "notes.txt").write_text("mine")
    gone = tmp_path / "personaplex_app" / "no_longer.py"
    gone.write_text("")
    with (tmp_path / MANIFEST).open("a") as manifest:
        manifest.write("personaplex_app/no_longer.py\n../outside.txt\n")
    outside = tmp_path.parent / "outside.txt"
    outside.write_text("not ours")
    write_space(tmp_path)
    assert metadata(tmp_path)["sdk"] == "gradio"
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not gone.exists()
    assert outside.exists()


def test_write_space_without_a_checkout_says_to_clone_it(tmp_path, monkeypatch):
    monkeypatch.setattr("personaplex_app.cli.space.PROJECT", tmp_path)
    monkeypatch.setattr("personaplex_app.cli.space.PACKAGE", tmp_path / "personaplex_app")
    with pytest.raises(BadInput, match="clone the project and run this command there"):
        write_space(tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_push_space_makes_a_private_one_and_uploads_only_what_was_written(server, tmp_path):
    write_space(tmp_path)
    (tmp_path / ".env").write_text("HF_TOKEN=hf_secret")
    access = HubAccess(TOKEN, endpoint=server.url)
    assert push_space(tmp_path, REPO, access) == f"{server.url}/spaces/{REPO}"
    assert server.private[REPO]
    assert (server.made[0]["type"], server.made[0]["sdk"]) == ("space", "gradio")
    names = (tmp_path / MANIFEST).read_text().splitlines()
    assert set(server.files[REPO]) == set(names)
    assert all(server.files[REPO][name] == (tmp_path / name).read_bytes() for name in names)


def test_push_space_again_removes_what_the_package_no_longer_has_and_leaves_the_rest(server, tmp_path):
    server.files[REPO], server.private[REPO] = {"personaplex_app/old.py": b"", "video.mp4": b"1"}, False
    write_space(tmp_path)
    push_space(tmp_path, REPO, HubAccess(TOKEN, endpoint=server.url))
    assert "personaplex_app/old.py" not in server.files[REPO]
    assert {"video.mp4", "personaplex_app/cli/space.py", "app.py"} <= set(server.files[REPO])
    assert not server.private[REPO]
    assert server.commits == 1


@pytest.mark.parametrize(
    ("token", "repo", "said"),
    [
        ("hf_expired", REPO, r"The Hub does not know the token \(401\)"),
        (
            TOKEN,
            "nvidia/talk",
            r"may not write to nvidia/talk \(403\). Take one with write permission for nvidia",
        ),
    ],
)
def test_push_space_that_the_hub_refuses_says_what_to_do(server, space, token, repo, said):
    with pytest.raises(SpaceRefused, match=said):
        push_space(space, repo, HubAccess(token, endpoint=server.url))
    assert server.commits == 0


def test_push_space_to_a_hub_in_trouble_or_out_of_reach_keeps_the_folder(server, space):
    server.down = 10
    with pytest.raises(SpaceRefused, match=r"with status 500\. Wait a few minutes"):
        push_space(space, REPO, HubAccess(TOKEN, endpoint=server.url))
    with pytest.raises(SpaceRefused, match=r"The Hub cannot be reached .*: check the network"):
        push_space(space, REPO, HubAccess(TOKEN, endpoint=f"http://127.0.0.1:{free_port()}"))
    assert (space / "app.py").exists()


def test_push_space_with_bad_metadata_says_what_the_hub_says(server, tmp_path):
    write_space(tmp_path)
    readme = (tmp_path / "README.md").read_text()
    (tmp_path / "README.md").write_text(
        re.sub("short_description: .*", "short_description: " + "long " * 20, readme)
    )
    with pytest.raises(SpaceRefused, match="short_description"):
        push_space(tmp_path, REPO, HubAccess(TOKEN, endpoint=server.url))


def test_space_command_without_a_token_or_with_a_wrong_name_fails_in_one_line(tmp_path, capsys):
    for repo, said in (
        ("talk", "'talk' cannot be a Space's name; give OWNER/NAME"),
        (REPO, "There is no token to upload with"),
    ):
        assert main(["space", str(tmp_path / "made"), "--push", repo]) == 1
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1


@pytest.mark.process
def test_space_started_as_the_hub_does_speaks_with_the_embedded_engine_and_tells_its_owner_what_to_do(
    space, tmp_path
):
    started(space, sys.executable, tmp_path)


@pytest.mark.soak  # it installs gigabytes
def test_space_installed_by_pip_alone_starts_as_the_hub_starts_it(space, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--requirement", space / "requirements.txt"],
        env=outside(),
        check=True,
    )
    subprocess.run([python, "-m", "pip", "check"], check=True)
    started(space, python, tmp_path)


def started(space, python, tmp_path):
    """Start a written Space as the Hub does, look at what it says, and stop it."""
    port = free_port()
    environ = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PERSONAPLEX_", "PYTHONPATH"))
        },
        **{
            "SYSTEM": "spaces",
            "SPACE_ID": REPO,
            "SPACE_HOST": "somebody-talk.hf.space",
            "SPACE_AUTHOR_NAME": "somebody",
        },
        **{
            "GRADIO_SERVER_NAME": "0.0.0.0",
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_NUM_PORTS": "1",
            "GRADIO_ALLOW_FLAGGING": "never",
        },
    }
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [python, "app.py"], cwd=space, env=environ, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(url), log.read_text)
        engine = httpx.get(url + "/voice/status", timeout=PATIENCE_S).json()["engine"]
        assert engine["name"] == "classic"
        assert (
            "the owner of this Space must accept the licence at"
            " https://huggingface.co/nvidia/personaplex-7b-v1" in engine["next_step"]
        )
        assert (
            "as the secret HF_TOKEN (Settings → Variables and secrets), and choose a GPU (Settings →"
            " Hardware)" in engine["next_step"]
        )
        # its own page, by whatever name the Hub's proxy calls the app; and a page of somebody else
        for origin, status in (("https://somebody-talk.hf.space", 200), ("https://elsewhere.example", 403)):
            answer = httpx.get(
                url,
                headers={"Host": "10.1.2.3:7860", "Origin": origin, "X-Forwarded-Proto": "https"},
                timeout=PATIENCE_S,
            )
            assert answer.status_code == status
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def answers(url):
    try:
        return httpx.get(url + "/health", timeout=PATIENCE_S).status_code == 200
    except httpx.TransportError:
        return False
