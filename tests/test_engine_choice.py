"""Which engine `auto` takes, why, and what it says would unlock a better one."""

import os

import pytest
import torch
from huggingface_hub import constants

from personaplex_app import engine_choice as choosing
from personaplex_app.engine.personaplex import PersonaplexEngine
from personaplex_app.engine_choice import build, choose, fallback_engine, offered, replacement
from personaplex_app.errors import EngineUnavailable
from personaplex_app.model import frame_time
from personaplex_app.model.config import LM_FILE, read_lm_config, read_mimi_config
from personaplex_app.model.hub_repo import FILES, RELEASED_REVISION
from personaplex_app.model.random_weights import random_mimi
from personaplex_app.responder import found_endpoints
from personaplex_app.responder.local.model import LocalModel
from personaplex_app.settings import Settings

from .support import tiny

MEASURE = frame_time.measure_frame_ms


def of(**values: str):
    return choose(Settings.read({f"PERSONAPLEX_{key.upper()}": value for key, value in values.items()}))


@pytest.fixture(autouse=True)
def _own_measurements(monkeypatch, tmp_path):
    """Neither what another test measured nor how busy the machine is may decide."""
    monkeypatch.setattr(choosing, "measurements_folder", lambda settings: tmp_path / "voices")
    monkeypatch.setattr(frame_time, "measure_frame_ms", lambda *_: 1.0)


@pytest.fixture
def cuda(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)


def fill_cache(folder, monkeypatch, revision=RELEASED_REVISION):
    """A cache that holds the released repository, its weights a file without content."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    snapshot = folder / "models--nvidia--personaplex-7b-v1" / "snapshots" / revision
    snapshot.mkdir(parents=True)
    for name in FILES:
        (snapshot / name).write_text("{}")
    os.truncate(snapshot / LM_FILE, 10**9)
    return snapshot


def test_choose_auto_without_checkpoint_and_token_is_classic_and_names_the_way(cuda):
    choice = of()
    assert choice.name == "classic"
    assert (
        "accept the licence at https://huggingface.co/nvidia/personaplex-7b-v1, set HF_TOKEN"
        in choice.next_step
    )
    assert "PERSONAPLEX_CHECKPOINT" in choice.next_step


def test_choose_auto_with_a_token_and_a_gpu_downloads_the_released_checkpoint(cuda, monkeypatch):
    assert of(hf_token="hf_x").name == "personaplex"
    monkeypatch.setenv("HF_TOKEN", "hf_y")
    assert of().name == "personaplex"
    assert of(checkpoint="somebody/fine-tune@v1").name == "personaplex"


def test_choose_auto_with_a_token_and_no_gpu_stays_classic(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    choice = of(hf_token="hf_x")
    assert (choice.name, "needs a GPU" in choice.next_step) == ("classic", True)
    assert "hf_x" not in str(choice)


def test_choose_auto_with_the_checkpoint_in_the_cache_needs_no_token(cuda, monkeypatch, tmp_path):
    snapshot = fill_cache(tmp_path, monkeypatch)
    assert of().name == "personaplex"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert of().name == "personaplex"
    (snapshot / LM_FILE).unlink()
    assert "HF_HUB_OFFLINE forbids downloading nvidia/personaplex-7b-v1" in of().next_step


def test_choose_auto_with_a_large_cached_checkpoint_and_no_gpu_stays_classic(monkeypatch, tmp_path):
    fill_cache(tmp_path, monkeypatch)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "needs a GPU" in of().next_step
    assert of(device="cuda").name == "personaplex"


def test_choose_auto_on_a_cpu_takes_a_small_checkpoint_whose_frame_is_measured_fast(monkeypatch, tmp_path):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    where = {"checkpoint": str(tiny.GOLDEN)}
    monkeypatch.setattr(frame_time, "measure_frame_ms", lambda *_: 64.1)
    slow = of(**where)
    assert slow.name == "classic"
    assert "(a frame of 80 ms took this CPU 64 ms)" in slow.next_step
    monkeypatch.setattr(frame_time, "measure_frame_ms", lambda *_: 63.9)
    assert of(**where).name == "personaplex"
    # it was kept: nothing is measured again
    monkeypatch.setattr(frame_time, "measure_frame_ms", lambda *_: pytest.fail("measured again"))
    choice = of(**where)
    assert choice.why.endswith("this machine can run it: a frame of 80 ms took its CPU 64 ms.")


@pytest.mark.parametrize(("took_ms", "engine"), [(64.0, "personaplex"), (64.5, "classic"), (None, "classic")])
def test_choose_auto_on_a_cpu_takes_a_large_checkpoint_only_once_bench_has_measured_it_fast(
    monkeypatch, tmp_path, took_ms, engine
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(choosing, "SMALL_WEIGHTS_BYTES", 1000)
    monkeypatch.setattr(frame_time, "measure_frame_ms", lambda *_: pytest.fail("measured at the start"))
    where = {"checkpoint": str(tiny.GOLDEN), "dtype": "bfloat16", "quantize": "int4"}
    if took_ms:
        shapes = (read_lm_config(tiny.GOLDEN), read_mimi_config(tiny.GOLDEN), torch.bfloat16)
        frame_time.keep_frame_ms(tmp_path / "voices", *shapes, "int4", took_ms)
        # of another form nothing is known
        frame_time.keep_frame_ms(tmp_path / "voices", *shapes, "int8", 90.0 - took_ms)
    assert of(**where).name == engine


def test_frame_of_the_golden_checkpoints_shapes_is_measured_at_the_full_window():
    lm = read_lm_config(tiny.GOLDEN)
    codec = random_mimi(tiny.CPU, read_mimi_config(tiny.GOLDEN))
    assert MEASURE(lm, codec, torch.float32, "int8") > 0


def test_choose_auto_without_packages_and_token_names_both_steps(monkeypatch):
    monkeypatch.setattr(choosing, "find_spec", lambda name: None)
    assert "accept the licence" in of().next_step
    assert "requirements-personaplex.txt" in of().next_step


NOT_HERE = "PersonaPlex-7B is not running here: "


def test_stand_in_tells_a_visitor_that_and_why_personaplex_does_not_run(monkeypatch, tmp_path):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    small = f"This is a small stand-in. {NOT_HERE}"
    assert of().stand_in == (
        f"{small}it is given out only under a licence, and this app has no access to it."
    )
    assert of(hf_token="hf_x").stand_in == f"{small}it needs a GPU, and this machine has none."
    assert of(checkpoint=str(tmp_path)).stand_in == f"{small}its files are not here."
    assert of(engine="classic").stand_in == f"{small}the owner of this app chose this one."
    assert of(engine="echo").stand_in.startswith(f"This only says back what it hears. {NOT_HERE}")
    monkeypatch.setattr(choosing, "find_spec", lambda name: None)
    assert of(hf_token="hf_x").stand_in == f"{small}the packages that it needs are not installed."
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert of().stand_in == f"{small}it may not be downloaded here."


def test_stand_in_says_nothing_where_personaplex_or_an_unknown_server_speaks(cuda):
    assert of(hf_token="hf_x").stand_in == ""
    assert of(engine="remote").stand_in == ""


def test_stand_in_of_a_replacement_and_of_a_talk_without_a_lent_gpu_names_that(cuda):
    chosen = of(hf_token="hf_x")
    told = {
        "it has failed.": replacement(chosen, "The file model.safetensors is cut off."),
        "the server that should speak has failed.": replacement(of(engine="remote"), "It does not answer."),
        "no GPU was lent for this talk.": fallback_engine(chosen),
    }
    for why, choice in told.items():
        assert getattr(choice, "stand_in", "").endswith(f"{NOT_HERE}{why}")


@pytest.mark.slow
def test_choose_auto_with_a_small_checkpoint_is_personaplex_and_it_loads(tmp_path):
    settings = Settings.read(
        {
            "PERSONAPLEX_CHECKPOINT": str(tiny.GOLDEN),
            "PERSONAPLEX_DATA": str(tmp_path),
            "PERSONAPLEX_SLOTS": "3",
        }
    )
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


def test_build_gives_classic_the_local_model_and_loads_nothing():
    settings = Settings(engine="classic", responder="local")
    engine = build(choose(settings), settings)
    assert isinstance(engine._language_model, LocalModel)
    assert engine._language_model.problem == "it is not loaded yet"
    assert "Qwen2.5-0.5B-Instruct" in engine.identity
    engine.close()


@pytest.mark.parametrize(
    ("more", "is_offered"),
    [
        ({}, True),
        ({"find_llm": False}, False),
        ({"llm_url": "http://h"}, False),
        ({"responder": "rules"}, False),
        ({"engine": "echo"}, False),
    ],
)
def test_language_model_on_this_machine_is_offered_and_not_taken(monkeypatch, more, is_offered):
    found = found_endpoints.FoundEndpoint("Ollama", "http://127.0.0.1:11434/v1", "llama3.2")
    monkeypatch.setattr(found_endpoints, "find_endpoints", lambda: [found])
    settings = Settings(**{"engine": "classic", **more})
    choice = offered(choose(settings), settings)
    assert ("PERSONAPLEX_LLM_URL=http://127.0.0.1:11434/v1" in choice.next_step) == is_offered
    if is_offered:
        engine = build(choice, settings)
        assert engine._language_model is None
        engine.close()
