"""The memory plan against known figures of the released model, and against what loading really takes."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from benchmarks import full_size
from personaplex_app.cli import doctor
from personaplex_app.engine import personaplex
from personaplex_app.engine.personaplex import PersonaplexEngine, PersonaplexSettings
from personaplex_app.errors import EngineError
from personaplex_app.model import frame_time
from personaplex_app.model.config import LmConfig, MimiConfig
from personaplex_app.model.duplex import Duplex
from personaplex_app.model.loading import load_lm
from personaplex_app.model.plan import plan_memory, read_sizes, sizes_of
from personaplex_app.model.quantize import Int8Weight
from personaplex_app.settings import Settings

from .support import tiny

GIB = 2**30


@pytest.fixture(scope="module")
def sizes():
    return sizes_of(LmConfig(), MimiConfig())


def option(plan, quantize):
    return next(o for o in plan.options if o.quantize == quantize)


def test_plan_of_the_released_model_has_the_known_figures(sizes):
    plan = plan_memory(sizes, 139 * GIB, 2)
    assert plan.file_bytes == 16_742_817_792
    assert plan.kv_frame_bytes == 524_288
    assert plan.slot_bytes - sizes.codec_slot_bytes == 3000 * 524_288
    # what a frame reads: temporal stack 13.15 GB, text head 0.26, depformer 1.33 for 8 steps
    assert option(plan, "none").frame_bytes == pytest.approx(14.74e9, rel=0.002)
    assert option(plan, "int8").frame_bytes == pytest.approx(14.74e9 / 2, rel=0.002)
    # 4.8 TB/s and 320 GB/s: the known floors of an H200 and of a T4 with int8
    assert option(plan, "none").frame_bytes / 4.8e9 == pytest.approx(3.1, abs=0.05)
    assert option(plan, "int8").frame_bytes / 0.32e9 == pytest.approx(23, abs=0.5)
    # all but the unused half of the depformer
    assert option(plan, "none").weights_bytes == pytest.approx(16.74e9 - 1.36e9, rel=0.002)


@pytest.mark.parametrize(
    ("gib", "form", "talks"),
    [
        (139, "none", 64),
        (48, "none", 20),
        (24, "none", 4),
        (16, "int8", 4),
        (15, "int8", 3),
        (12, "int8", 1),
        (8, "int4", 1),
    ],
)
def test_plan_takes_the_most_exact_form_that_fits(sizes, gib, form, talks):
    plan = plan_memory(sizes, gib * GIB, 2, talks=64)
    assert plan.chosen.quantize == form
    assert min(plan.chosen.slots, 64) == talks
    assert plan.chosen.needed_bytes <= plan.usable_bytes < gib * GIB
    held = plan.chosen.weights_bytes + plan.codec_bytes + plan.snapshot_bytes + plan.reserve_bytes
    assert (
        held + plan.chosen.slots * plan.slot_bytes
        <= plan.usable_bytes
        < held + (plan.chosen.slots + 1) * plan.slot_bytes
    )


def test_plan_int8_with_one_talk_takes_at_most_11_5_gb_on_a_16_gb_card(sizes):
    assert option(plan_memory(sizes, 16 * GIB, 2), "int8").needed_bytes < 11.5e9


def test_plan_that_does_not_fit_says_what_to_do(sizes):
    too_small = plan_memory(sizes, 4 * GIB, 2)
    assert too_small.chosen is None
    assert too_small.why.startswith("int4 with one talk needs 7.9 GB and 4.2 GB are usable")
    stubborn = plan_memory(sizes, 16 * GIB, 2, "none")
    assert stubborn.chosen is None
    assert "--quantize auto" in stubborn.why
    assert plan_memory(sizes, 139 * GIB, 2, "int8").chosen.quantize == "int8"


def test_doctor_on_a_t4_plans_float16_with_int8_weights(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(major=7, minor=5))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(14.6 * GIB), 15 * GIB))
    plan = doctor.examine(Settings())["memory_plan"]
    assert "float16: this GPU has no bfloat16" in plan["device"]
    assert (plan["element_bytes"], plan["chosen"]["quantize"], plan["chosen"]["offloaded_layers"]) == (
        2,
        "int8",
        0,
    )
    assert plan["chosen"]["slots"] == 3
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(major=8, minor=0))
    assert "bfloat16: as released" in doctor.examine(Settings())["memory_plan"]["device"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("quantize", ["none", "int8", "int4"])
def test_plan_bytes_are_those_of_the_loaded_model(quantize, dtype):
    sizes = read_sizes(tiny.GOLDEN)
    lm = load_lm(tiny.GOLDEN, tiny.CPU, dtype, quantize=quantize)
    held = sum(t.numel() * t.element_size() for t in (*lm.parameters(), *lm.buffers()))
    assert sizes.weights_bytes(quantize, dtype.itemsize) == held


def test_plan_slot_and_codec_bytes_are_those_of_a_loaded_talk():
    sizes, checkpoint = read_sizes(tiny.GOLDEN), tiny.checkpoint()
    mimi = checkpoint.mimi
    assert sizes.codec_bytes == sum(
        t.numel() * t.element_size() for t in (*mimi.parameters(), *mimi.buffers())
    )
    one, two = (Duplex(checkpoint, rows) for rows in (1, 2))

    def held(duplex):
        states = (duplex._encoder, duplex._decoder)
        tensors = [
            duplex.rows.state.cache.data,
            *(t for s in states for t in (s.position, s.cache.data, *s.memory.values())),
        ]
        return sum(t.numel() * t.element_size() for t in tensors)

    assert held(two) - held(one) == sizes.slot_bytes(4)


def engine_with(monkeypatch, tmp_path, memory, **settings):
    monkeypatch.setattr(personaplex, "memory_bytes", lambda device: memory)
    return PersonaplexEngine(PersonaplexSettings(str(tiny.GOLDEN), tmp_path, "cpu", "float32", 8, **settings))


def memory_for(quantize, slots):
    """The least memory in which the golden checkpoint fits in a form with so many talks."""
    sizes = read_sizes(tiny.GOLDEN)
    memory = 700_000_000
    while option(plan_memory(sizes, memory, 4), quantize).slots < slots:
        memory += 20_000
    return memory


@pytest.mark.slow
def test_engine_seats_what_the_plan_allows_in_the_form_it_chose(monkeypatch, tmp_path):
    engine = engine_with(monkeypatch, tmp_path, memory_for("int8", 3))
    engine.load(lambda state: None)
    try:
        assert engine.plan.chosen.quantize == "int8"
        assert isinstance(engine._checkpoint.lm.text_linear.weight, Int8Weight)
        assert engine.max_sessions == 3
    finally:
        engine.close()


def test_engine_asked_for_int8_loads_int8(monkeypatch, tmp_path):
    said = []
    engine = engine_with(monkeypatch, tmp_path, 4 * GIB, quantize="int8")
    engine.load(said.append)
    try:
        assert "int8: asked for" in said[0].detail
        assert engine._checkpoint.lm.text_linear.weight.codes.dtype == torch.int8
        assert engine.max_sessions == 8
    finally:
        engine.close()


def test_engine_without_room_refuses_before_loading(monkeypatch, tmp_path):
    engine = engine_with(monkeypatch, tmp_path, 400_000_000)
    monkeypatch.setattr(personaplex, "load_checkpoint", lambda *args: pytest.fail("nothing may be loaded"))
    with pytest.raises(EngineError, match="The memory of cpu is too small: int4 with one talk needs"):
        engine.load(lambda state: None)


def test_doctor_prints_the_plan_of_a_named_gpu_and_of_this_machine(monkeypatch, tmp_path):
    text = doctor.report(Settings(), as_json=False, gpu_gib=16)
    assert (
        "a GPU with 16 GiB free, as asked; float16 where it has no bfloat16, as a T4. PersonaPlex's file has"
        " 16.74 GB" in text
    )
    assert "int8: weights 8.01 GB, 11.16 GB with one talk, moves 7.38 GB a frame: 4 talks fit" in text
    assert "takes int8: unquantised with one talk needs 18.5 GB and 16.7 GB are usable" in text
    assert "late in a talk" not in text
    monkeypatch.setattr(frame_time, "memory_bandwidth", lambda: 80e9)
    settings = Settings(device="cpu", dtype="bfloat16", data=tmp_path)
    found = (LmConfig(), MimiConfig(), torch.bfloat16)
    frame_time.keep_frame_ms(tmp_path / "voices", *found, "int8", 151.2)
    plan = json.loads(doctor.report(settings, as_json=True))["memory_plan"]
    assert {o["quantize"] for o in plan["options"]} == {"none", "int8", "int4"}
    assert plan["memory_bytes"] > GIB
    assert plan["bandwidth_gb_per_s"] == 80.0
    # weights, codec and 3000 positions of float32 keys and values, at 80 GB/s
    floors = {"none": 228, "int8": 136, "int4": 100}
    said = [f"late in a talk a frame of 80 ms takes at least {floors[form]} ms here" for form in floors]
    none, int8, int4 = (o["frame"] for o in plan["options"])
    assert none["said"] == f"{said[0]}, by estimate {none['estimate_ms']:.0f} ms: not in real time"
    assert int8["said"] == f"{said[1]}, measured 151 ms: not in real time"
    assert int4["estimate_ms"] == pytest.approx(int4["floor_ms"] * frame_time.FACTORS["int4"], rel=1e-3)
    text = doctor.report(settings, as_json=False)
    assert f"int8: {int8['said']}" in text
    assert "cores read 80.0 GB/s, measured just now" in text


def test_memory_bandwidth_is_measured_once(monkeypatch):
    monkeypatch.setattr(frame_time, "READ_S", 0.02)
    frame_time.memory_bandwidth.cache_clear()
    first = frame_time.memory_bandwidth()
    assert 1e8 < first < 1e13
    assert frame_time.memory_bandwidth() == first
    frame_time.memory_bandwidth.cache_clear()


def test_full_size_script_loads_what_the_plan_says(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["full_size", "--size", "tiny", "--steps", "1", "--quantize", "int8"])
    full_size.main()
    found = json.loads(capsys.readouterr().out)
    assert found["weights_bytes"] == found["planned_weights_bytes"] < found["file_bytes"]
    assert len(found["step_s"]) == 1


def test_doctor_plans_the_given_checkpoint_and_says_what_is_wrong_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(frame_time, "memory_bandwidth", lambda: 80e9)
    settings = replace(Settings(), checkpoint=str(tiny.GOLDEN), engine="classic", data=tmp_path)
    assert doctor.examine(settings, 8)["memory_plan"]["file_bytes"] == read_sizes(tiny.GOLDEN).file_bytes
    (tmp_path / "config.json").write_text("{")
    assert "Memory     not planned: config.json cannot be read" in doctor.report(
        replace(settings, checkpoint=str(tmp_path)), False
    )
