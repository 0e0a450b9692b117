"""What the app takes its host for, and how its sentences for a token and a GPU follow from that."""

import os
import re
from pathlib import Path

import pytest
from huggingface_hub import constants

from personaplex_app.cli import doctor
from personaplex_app.engine import zero_gpu  # noqa: F401 (imported where the environment says ZeroGPU, it would look for its API)
from personaplex_app.engine_choice import choose
from personaplex_app.errors import SettingsError
from personaplex_app.platform_detection import detect
from personaplex_app.settings import Settings

HOSTS = {
    "zerogpu": {"SPACES_ZERO_GPU": "true", "SPACE_ID": "somebody/talk"},
    "space": {"SPACE_ID": "somebody/talk"},
    "colab": {"COLAB_RELEASE_TAG": "release-colab"},
}


@pytest.mark.parametrize("name", HOSTS)
def test_detect_tells_a_host_by_its_environment_even_in_a_container(name, tmp_path):
    (tmp_path / ".dockerenv").touch()
    host = detect(HOSTS[name], tmp_path)
    assert host.name == name
    assert host.found_by in HOSTS[name]
    assert host.mind
    assert ("somebody/talk" in host.title) == (name != "colab")


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv"])
def test_detect_tells_a_container_by_its_marks_and_a_machine_by_none(mark, tmp_path):
    assert detect({}, tmp_path).name == "machine"
    (tmp_path / mark).parent.mkdir(exist_ok=True)
    (tmp_path / mark).touch()
    assert (detect({}, tmp_path).name, detect({}, tmp_path).found_by) == ("container", f"/{mark}")


@pytest.mark.parametrize(
    ("name", "token", "gpu"),
    [
        (
            "space",
            "the owner of this Space must accept the licence at .*, add a token .* as the secret HF_TOKEN",
            "Settings → Hardware",
        ),
        (
            "zerogpu",
            "the owner of this Space must accept the licence at .*, add a token .* as the secret HF_TOKEN",
            "Settings → Hardware",
        ),
        ("colab", "into Colab's secrets as HF_TOKEN", "Runtime → Change runtime type"),
    ],
)
def test_choose_on_a_host_names_its_own_way_to_a_token_and_a_gpu(name, token, gpu, monkeypatch, tmp_path):
    for key, value in HOSTS[name].items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    without = choose(Settings())
    assert without.name == "classic"
    assert re.search(token, without.next_step)
    assert gpu in choose(Settings(hf_token="hf_x")).next_step
    # ZeroGPU brings its GPU with it
    assert ("choose a GPU" in without.next_step) == (name == "space")


@pytest.mark.parametrize(
    ("name", "flags", "said"),
    [
        ("space", {}, "It listens on 127.0.0.1, which nobody outside reaches; set PERSONAPLEX_HOST=0.0.0.0."),
        ("space", {"GRADIO_SERVER_NAME": "0.0.0.0"}, ""),
        ("colab", {}, "It is started without --share: the page opens, talks do not begin."),
        ("colab", {"PERSONAPLEX_SHARE": "1"}, ""),
    ],
)
def test_doctor_says_where_it_runs_and_what_follows(name, flags, said, monkeypatch):
    for key, value in HOSTS[name].items():
        monkeypatch.setenv(key, value)
    host = detect(HOSTS[name], Path("/nowhere"))
    settings = Settings.read(flags)
    text = doctor.report(settings, as_json=False)
    assert f"Host       {host.title}, by {host.found_by}\n" in text
    assert doctor.examine(settings)["host"]["mind"] == [*host.mind, *([said] if said else [])]
    assert all(f"           {sentence}\n" in text for sentence in host.mind)


@pytest.mark.slow
def test_doctor_names_where_the_token_and_the_checkpoint_come_from_and_shows_neither_token(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert "Token      for the Hub: none\n" in doctor.report(Settings(), as_json=False)
    monkeypatch.setenv("HF_TOKEN", "hf_environment")
    assert doctor.examine(Settings.read(os.environ))["token"] == "HF_TOKEN"
    monkeypatch.setenv("PERSONAPLEX_HF_TOKEN", "hf_ours")
    monkeypatch.setenv("PERSONAPLEX_CHECKPOINT", str(tmp_path))
    text = doctor.report(Settings.read(os.environ), as_json=False)
    assert "Token      for the Hub: from PERSONAPLEX_HF_TOKEN\n" in text
    assert f"Checkpoint the folder {tmp_path}, not verified" in text
    assert "hf_" not in text
    assert re.fullmatch(
        "nvidia/personaplex-7b-v1@[0-9a-f]{40}, not in the cache", doctor.examine(Settings())["checkpoint"]
    )


def test_settings_take_gradios_address_where_ours_is_not_given():
    environ = {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "7999"}
    read = Settings.read(environ)
    assert (read.host, read.port) == ("0.0.0.0", 7999)
    assert Settings.read({**environ, "PERSONAPLEX_PORT": "8000"}).port == 8000
    assert Settings.read(environ, {"port": "8001"}).port == 8001
    with pytest.raises(SettingsError, match="GRADIO_SERVER_PORT is 'x'; it must be a whole number"):
        Settings.read({"GRADIO_SERVER_PORT": "x"})
