"""Weights in 8 and 4 bits: how close, how large, and never dependent on who shares the batch."""

from copy import deepcopy

import pytest
import torch
from torch.nn import functional as F

from personaplex_app.errors import EngineError
from personaplex_app.model import int4_packing, loading
from personaplex_app.model import quantize as module
from personaplex_app.model.agreement import agreement, greedy_choices, greedy_columns
from personaplex_app.model.checkpoint import CheckpointFiles, load_checkpoint
from personaplex_app.model.config import LmConfig, gated_width
from personaplex_app.model.generation import GREEDY, Rows
from personaplex_app.model.lm import Lm
from personaplex_app.model.loading import load_lm, quantize_in_place
from personaplex_app.model.quantize import (
    Int4Weight,
    Int8Weight,
    integer_product_works,
    linear,
    quantized,
    scheme_of,
    stored_bytes,
)

from .support import tiny

ROWS = slice(64, 192)


def weight(rows=256, columns=320, seed=0):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * 0.05


def inputs(*shape):
    x = torch.randn(*shape, 320, generator=torch.Generator().manual_seed(1))
    x[..., 7] *= 200  # language models have channels like this
    return x


def error(a, b):
    return float((a.float() - b.float()).norm() / b.float().norm())


@pytest.mark.parametrize(("scheme", "limit"), [("int8", 0.01), ("int4", 0.15)])
@pytest.mark.parametrize("integer", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_quantized_product_is_close_in_every_type_and_for_some_rows(scheme, limit, integer, dtype):
    w, x = weight().to(dtype), inputs(2, 3)
    stream = torch.float32 if dtype == torch.float16 else dtype
    small = quantized(w, scheme, integer)
    for rows in (slice(None), ROWS):
        y = linear(x.to(stream), small, rows)
        assert y.dtype == stream
        assert error(y, F.linear(x, w.float()[rows])) < limit


def test_int8_product_of_integers_adds_no_rounding_of_its_own():
    """What the two int8 rows lose of the activations is far below what the weights lost."""
    w, x = weight(), inputs(4)
    small = Int8Weight(w, integer=True)
    exact = F.linear(x, small.codes.float() * small.scale[:, None])
    assert error(linear(x, small), exact) < 2e-4
    assert error(linear(x, small), exact) < 0.05 * error(exact, F.linear(x, w))


def test_int8_row_is_bit_for_bit_the_same_in_any_batch():
    small, x = Int8Weight(weight(), integer=True), inputs(5)
    together = linear(x, small)
    for k in range(5):
        assert torch.equal(linear(x[k : k + 1], small)[0], together[k])


@pytest.mark.parametrize("scheme", ["int8", "int4"])
def test_few_rows_on_a_cpu_take_the_fused_product_and_many_the_unpacked_one(scheme):
    """In shapes that the products take both ways agree, and a row does not depend on the others."""
    w = weight(256, 384).bfloat16()
    x = torch.randn(7, 384, generator=torch.Generator().manual_seed(1)).bfloat16()
    small = quantized(w, scheme, integer=True)
    whole = linear(torch.eye(384).bfloat16(), small).T
    for rows in (slice(None), ROWS):
        many, few = linear(x, small, rows), linear(x[:3], small, rows)
        assert error(few, F.linear(x[:3].float(), whole.float()[rows])) < 0.01
        assert error(few, many[:3]) < 0.01
        assert torch.equal(linear(x[1:2], small, rows)[0], few[1])
    held = sum(b.numel() * b.element_size() for b in small.buffers())
    assert held == stored_bytes((256, 384), scheme, 2) < w.numel() * (1.1 if scheme == "int8" else 0.6)


def test_int4_packing_is_not_taken_when_its_product_is_wrong(monkeypatch):
    int4_packing._packing.cache_clear()
    wrong = int4_packing._product_cpu
    monkeypatch.setattr(int4_packing, "_product_cpu", lambda x, codes, scale: wrong(x, codes, scale) * 1.1)
    try:
        assert int4_packing.packing(tiny.CPU, 256, 384) is None
        w, x = weight(256, 384).bfloat16(), torch.randn(2, 384).bfloat16()
        assert error(linear(x, Int4Weight(w)), F.linear(x, w)) < 0.15
    finally:
        int4_packing._packing.cache_clear()


def test_quantized_zero_and_odd_shapes_are_kept():
    for scheme in ("int8", "int4"):
        w = weight(13, 77)
        w[4] = 0
        small, x = quantized(w, scheme, integer=True), torch.ones(1, 77)
        assert linear(x, small)[0, 4] == 0
        assert error(linear(x, small), F.linear(x, w)) < 0.3
        assert not linear(torch.full((1, 77), torch.nan), small).isfinite().any()
        assert sum(b.numel() * b.element_size() for b in small.buffers()) == stored_bytes((13, 77), scheme, 4)


def test_int8_numbers_that_break_do_not_turn_into_numbers():
    broken = inputs(2)
    broken[1, 3] = torch.inf
    y = linear(broken, Int8Weight(weight(), integer=True))
    assert y[0].isfinite().all()
    assert not y[1].isfinite().any()


def test_int4_group_of_one_large_number_keeps_it():
    w = torch.zeros(8, 128)
    w[:, 5] = 3.0
    assert torch.equal(linear(torch.eye(128), Int4Weight(w)).T, w)


def test_integer_works_here_and_is_not_believed_when_wrong(monkeypatch):
    assert integer_product_works(tiny.CPU)
    monkeypatch.setattr(torch, "_int_mm", lambda a, b: torch.zeros(len(a), b.shape[1], dtype=torch.int32))
    assert not integer_product_works(tiny.CPU)


def test_scheme_spares_embeddings_norms_and_the_small_parts():
    assert scheme_of("transformer.layers.3.gating.linear_in.weight", (8, 8), "int4") == "int4"
    assert scheme_of("depformer.layers.0.self_attn.in_proj_weight", (8, 8), "int4") == "int8"
    assert scheme_of("text_linear.weight", (8, 8), "int4") == "int8"
    for key, shape in (
        ("emb.3.weight", (8, 8)),
        ("depformer_text_emb.weight", (8, 8)),
        ("out_norm.alpha", (1, 1, 8)),
    ):
        assert scheme_of(key, shape, "int8") == "none"


@pytest.mark.slow
def test_load_int8_and_int4_speak_and_mostly_agree_with_float():
    columns = greedy_columns(tiny.checkpoint().lm, tiny.user_codes()[:, :30])
    shares = {"none": agreement(columns, greedy_choices(tiny.checkpoint().lm, columns))}
    for quantize in ("int8", "int4"):
        checkpoint = load_checkpoint(CheckpointFiles.of(tiny.GOLDEN), tiny.CPU, torch.float32, None, quantize)
        kinds = {type(m) for m in checkpoint.lm.modules()}
        assert {Int8Weight, *([Int4Weight] if quantize == "int4" else [])} <= kinds
        shares[quantize] = agreement(columns, greedy_choices(checkpoint.lm, columns))
    assert shares["none"].all == 1.0
    assert shares["int8"].all > 0.9
    assert 0.2 < shares["int4"].all < shares["int8"].all


def mid_lm():
    """Wide enough for quantisation to be what it is in a large model."""
    sizes = {
        "depformer_width": 128,
        "depformer_heads": 2,
        "depformer_layers": 2,
        "depformer_hidden": gated_width(128, 528),
    }
    config = LmConfig(
        512, 8, 3, gated_width(512, 2112), 40, text_card=1000, card=512, depformer_steps=8, **sizes
    )
    torch.manual_seed(0)
    lm = Lm(config).eval().requires_grad_(False)
    for name, tensor in lm.named_parameters():
        if tensor.dim() == 2 or name.endswith("in_proj_weight"):
            tensor.normal_(std=tensor.shape[1] ** -0.5)
    return lm


@pytest.mark.slow
def test_quantized_mid_size_random_weights_agree_as_far_as_their_bits_reach():
    lm = mid_lm()
    user = torch.randint(512, (8, 20), generator=torch.Generator().manual_seed(2))
    columns = greedy_columns(lm, user)
    int8 = agreement(columns, greedy_choices(quantize_in_place(deepcopy(lm), "int8"), columns))
    int4 = agreement(columns, greedy_choices(quantize_in_place(lm, "int4"), columns))
    assert int8.tokens == 20 * 9
    assert int8.all > 0.9
    assert 0.3 < int4.all <= int8.all


@pytest.mark.parametrize("quantize", ["none", "int8", "int4"])
def test_float16_weights_survive_a_stream_beyond_their_range(quantize):
    """Embeddings at float16's limit add up to twenty times it, and the gates multiply large numbers."""
    lm, half = (Lm(tiny.checkpoint().lm.config).requires_grad_(False) for _ in range(2))
    state = {key: tensor.clone() for key, tensor in tiny.checkpoint().lm.state_dict().items()}
    for key, tensor in state.items():
        if "emb" in key.split(".")[0] and not key.startswith("depformer"):
            tensor *= 60_000 / tensor.abs().max()
        if "norm2" in key:
            tensor *= 300
    lm.load_state_dict(state)
    half.load_state_dict(state)
    half = quantize_in_place(half.to(torch.float16), quantize)
    columns = greedy_columns(lm, tiny.user_codes()[:, :20])
    stream = half.embed(columns)
    assert stream.abs().max() > 65_504
    rows = Rows(half, 1)
    rows.set_sampling(0, GREEDY)
    rows.prefill(0, tiny.prompt("NATF0", ""))
    assert rows.step(tiny.user_codes()[None, :, 0], tiny.ONE, [0]).finite.all()
    shares = agreement(columns, greedy_choices(half, columns))
    assert shares.all > {"none": 0.9, "int8": 0.8, "int4": 0.1}[quantize]


def test_load_quantized_places_every_tensor_in_its_small_form_as_it_is_read(monkeypatch):
    alive = []

    def placed(model, key, tensor):
        alive.append((key, type(tensor)))
        original(model, key, tensor)

    original = loading._set_tensor
    monkeypatch.setattr(loading, "_set_tensor", placed)
    lm = load_lm(tiny.GOLDEN, tiny.CPU, torch.bfloat16, quantize="int8")
    assert dict(alive)["transformer.layers.0.self_attn.in_proj_weight"] is Int8Weight
    plain = {key.rpartition(".")[0] for key, kind in alive if kind is Int8Weight}
    assert not any(p.dim() == 2 and name.rpartition(".")[0] in plain for name, p in lm.named_parameters())


def test_load_quantized_without_room_says_what_to_take(monkeypatch):
    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loading, "quantized", full)
    with pytest.raises(EngineError, match=r"no room .* Use --quantize int4, or a device"):
        load_lm(tiny.GOLDEN, tiny.CPU, torch.float32, quantize="int8")


@pytest.mark.parametrize("rows", [slice(None), ROWS])
def test_linear_plain_product_is_the_librarys_with_and_without_onednn(rows, monkeypatch):
    w, x = weight(), inputs(2, 3)
    monkeypatch.setattr(module, "ONEDNN_LEAST", 0)
    for quick in (module._onednn_linear(), None):
        monkeypatch.setattr(module, "_onednn_linear", lambda quick=quick: quick)
        assert torch.allclose(linear(x, w, rows), F.linear(x, w[rows]), atol=1e-4)
