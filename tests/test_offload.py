"""Layers kept in host memory: the same tokens, and a plan that says what it costs."""

import pytest
import torch

from personaplex_app.cli import doctor
from personaplex_app.cli.main import _parser
from personaplex_app.model.config import LmConfig, MimiConfig
from personaplex_app.model.generation import Rows, RowSampling
from personaplex_app.model.loading import load_lm
from personaplex_app.model.offload import spread_layers
from personaplex_app.model.plan import plan_memory, read_sizes, sizes_of
from personaplex_app.settings import Settings

from .support import tiny

pytestmark = pytest.mark.unit
GIB = 2**30


def said(rows: Rows, frames: int) -> list[list[int]]:
    rows.set_sampling(0, RowSampling(seed=3))
    rows.prefill(0, tiny.prompt("NATF0", "You enjoy having a good conversation."))
    return [tiny.frame(rows.step(tiny.user_codes()[None, :, t], tiny.ONE, [0]), 0) for t in range(frames)]


@pytest.mark.parametrize(("quantize", "away"), [("none", 1), ("none", 2), ("none", 3), ("int8", 2)])
def test_lm_with_layers_away_says_the_same(quantize, away):
    here, apart = (
        Rows(load_lm(tiny.GOLDEN, tiny.CPU, torch.float32, quantize=quantize, offloaded=n), 1)
        for n in (0, away)
    )
    assert said(apart, 10) == said(here, 10)
    stream = apart.lm.transformer.stream
    assert len({id(layer) for layer in stream} - {id(layer) for layer in apart.lm.transformer.layers}) == min(
        away, 2
    )
    assert stream.bytes == away * read_sizes(tiny.GOLDEN).layer_bytes(quantize, 4)


def test_layer_stream_broken_off_goes_on_in_order():
    rows = Rows(load_lm(tiny.GOLDEN, tiny.CPU, torch.float32, offloaded=3), 1)
    whole = Rows(tiny.checkpoint().lm, 1)
    for taken in (1, 2, 3):
        layers = iter(rows.lm.transformer.stream)
        for _ in range(taken):
            next(layers)
        layers.close()
        assert said(rows, 3) == said(whole, 3)


def test_spread_takes_so_many_and_leaves_room_between():
    for away in range(1, 33):
        assert len(spread_layers(32, away)) == away
    assert sorted(spread_layers(32, 4)) == [0, 8, 16, 24]


@pytest.fixture(scope="module")
def sizes():
    return sizes_of(LmConfig(), MimiConfig())


@pytest.mark.parametrize("gib", [16, 12, 8])
def test_plan_offload_keeps_the_exact_form_and_says_how_slow_that_is(sizes, gib):
    plan = plan_memory(sizes, gib * GIB, 2, offload=True)
    form = plan.chosen
    assert form.quantize == "none"
    assert form.slots >= 1
    # one layer fewer away would not fit
    layer = form.offloaded_bytes // form.offloaded_layers
    assert plan.usable_bytes - layer < form.needed_bytes <= plan.usable_bytes
    assert form.needed_bytes == form.weights_bytes - (form.offloaded_layers - 2) * layer + (
        plan.codec_bytes + plan.snapshot_bytes + plan.reserve_bytes + plan.slot_bytes
    )
    assert f"{form.offloaded_layers} of 32 layers stay in host memory" in plan.why
    assert f"{form.offloaded_bytes / 12e9 / 0.08:.1f} times real time" in plan.why


def test_plan_offload_keeps_nothing_away_where_all_fits_and_gives_up_below_its_least(sizes):
    assert plan_memory(sizes, 24 * GIB, 2, offload=True).chosen.offloaded_layers == 0
    assert plan_memory(sizes, 3 * GIB, 2, offload=True).chosen is None


def test_doctor_and_every_command_know_cpu_offload():
    text = doctor.report(Settings(cpu_offload=True), as_json=False, gpu_gib=12)
    assert "layers in host memory" in text
    assert "takes unquantised" in text
    for command in (
        ["serve"],
        ["doctor"],
        ["offline", "--input-wav", "a", "--output-wav", "b", "--output-text", "c"],
    ):
        args = _parser().parse_args([*command, "--cpu-offload"])
        assert Settings.read({}, vars(args)).cpu_offload
