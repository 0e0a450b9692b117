"""Which engine `auto` takes, why, and what it says would unlock a better one."""

import os

import pytest

from personaplex_app.engine import choose as choosing
from personaplex_app.engine.choose import build, choose
from personaplex_app.engine.personaplex import PersonaplexEngine
from personaplex_app.errors import EngineUnavailable
from personaplex_app.settings import Settings

from . import tiny

pytestmark = pytest.mark.unit


def of(**values: str):
    return choose(Settings.read({f"PERSONAPLEX_{key.upper()}": value for key, value in values.items()}))


def test_choose_auto_without_checkpoint_is_classic_and_names_the_way():
    choice = of()
    assert choice.name == "classic"
    assert "PERSONAPLEX_CHECKPOINT" in choice.next_step


def test_choose_auto_with_a_small_checkpoint_is_personaplex_and_it_loads(tmp_path):
    settings = Settings.read({"PERSONAPLEX_CHECKPOINT": str(tiny.GOLDEN), "PERSONAPLEX_DATA": str(tmp_path), "PERSONAPLEX_SLOTS": "3"})
    choice = choose(settings)
    assert (choice.name, choice.title, choice.next_step) == ("personaplex", "PersonaPlex", "")
    engine = build(choice, settings)
    assert isinstance(engine, PersonaplexEngine)
    engine.load(lambda state: None)
    assert engine.max_sessions == 3
    assert sorted(os.listdir(tmp_path / "voices"))[-1] == "voices.json"
    engine.close()


def test_choose_auto_with_an_empty_folder_says_what_is_missing(tmp_path):
    choice = of(checkpoint=str(tmp_path))
    assert choice.name == "classic"
    assert "There is no model.safetensors" in choice.next_step


def test_choose_auto_without_the_packages_says_how_to_install_them(monkeypatch):
    monkeypatch.setattr(choosing, "find_spec", lambda name: None)
    assert "requirements-personaplex.txt" in of(checkpoint=str(tiny.GOLDEN)).next_step


def test_choose_auto_large_checkpoint_without_gpu_stays_classic(monkeypatch):
    monkeypatch.setattr(choosing, "SMALL_WEIGHTS_BYTES", 1000)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    choice = of(checkpoint=str(tiny.GOLDEN))
    assert choice.name == "classic"
    assert "needs a GPU to be real-time" in choice.next_step
    assert of(checkpoint=str(tiny.GOLDEN), engine="personaplex").name == "personaplex"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert of(checkpoint=str(tiny.GOLDEN)).name == "personaplex"


def test_build_personaplex_without_torch_says_what_to_install(monkeypatch):
    settings = Settings.read({"PERSONAPLEX_ENGINE": "personaplex"})
    monkeypatch.setitem(__import__("sys").modules, "personaplex_app.engine.personaplex", None)
    with pytest.raises(EngineUnavailable, match=r"requirements-personaplex\.txt"):
        build(choose(settings), settings)
