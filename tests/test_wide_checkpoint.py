"""Every form of the weights on a CPU beside the reference, in widths that the fused products take."""

import json

import pytest
import torch

from personaplex_app.model import int4_packing, prepacked
from personaplex_app.model.agreement import greedy_choices
from personaplex_app.model.generation import GREEDY, Rows
from personaplex_app.model.loading import load_lm
from personaplex_app.model.prepacked import PackedWeight, packed_or_plain
from personaplex_app.model.quantize import _cpu_int8_works, linear

from .support import tiny, wide


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("wide")
    wide.write(made)
    return made


def agreeing(lm) -> float:
    """Return the share of the reference's tokens that a model chooses too."""
    return float((greedy_choices(lm, wide.columns()) == torch.tensor(wanted())).float().mean())


def wanted():
    return json.loads(wide.TOKENS.read_text())


@pytest.fixture
def packed(monkeypatch):
    """Pack all weights, whatever the time says, where the product exists."""
    monkeypatch.setattr(prepacked, "LEAST_BYTES", 0)
    monkeypatch.setattr(prepacked, "_gain", lambda dtype: 2.0)
    prepacked.packing_is_faster.cache_clear()
    yield
    prepacked.packing_is_faster.cache_clear()


def kinds(lm) -> set[type]:
    return {type(module) for module in lm.modules()}


def test_unquantised_wide_checkpoint_gives_the_references_tokens(folder):
    assert agreeing(load_lm(folder, tiny.CPU, torch.float32)) == 1.0


def test_packed_float32_weights_give_the_references_tokens(folder, packed):
    lm = load_lm(folder, tiny.CPU, torch.float32)
    assert (PackedWeight in kinds(lm)) == prepacked.packing_is_faster(torch.float32)
    assert agreeing(lm) == 1.0


def test_packed_golden_checkpoint_gives_the_reference_tokens(packed):
    lm = load_lm(tiny.GOLDEN, tiny.CPU, torch.float32)
    assert (PackedWeight in kinds(lm)) == prepacked.packing_is_faster(torch.float32)
    about, arrays = tiny.case("voice_and_text")
    rows = Rows(lm, 1)
    rows.set_sampling(0, GREEDY)
    rows.prefill(0, tiny.prompt(about["voice"].removesuffix(".pt"), about["text_prompt"]))
    codes = tiny.user_codes()
    for t in range(20):
        assert tiny.frame(rows.step(codes[None, :, t], tiny.ONE, [0]), 0) == arrays["rows"][t, :9].tolist()


def test_bfloat16_weights_plain_and_packed_mostly_choose_the_references_tokens(folder, packed):
    packed_lm = load_lm(folder, tiny.CPU, torch.bfloat16)
    assert (PackedWeight in kinds(packed_lm)) == prepacked.packing_is_faster(torch.bfloat16)
    assert agreeing(packed_lm) > BFLOAT16


BFLOAT16, INT8, INT4 = 0.93, 0.92, 0.85


@pytest.mark.parametrize(("quantize", "least"), [("int8", INT8), ("int4", INT4)])
def test_quantised_wide_checkpoint_takes_the_fused_products_and_agrees(folder, monkeypatch, quantize, least):
    taken = {"int8": 0, "int4": 0}
    int8, int4 = torch._weight_int8pack_mm, int4_packing._product_cpu

    def counted(form, product):
        def call(*args):
            taken[form] += 1
            return product(*args)

        return call

    works = {"int8": _cpu_int8_works(tiny.CPU), "int4": int4_packing.packing(tiny.CPU, 256, 256) is not None}
    monkeypatch.setattr(torch, "_weight_int8pack_mm", counted("int8", int8))
    monkeypatch.setattr(int4_packing, "_product_cpu", counted("int4", int4))
    int4_packing._packing.cache_clear()
    try:
        lm = load_lm(folder, tiny.CPU, torch.bfloat16, quantize=quantize)
        taken.update(int8=0, int4=0)
        share = agreeing(lm)
    finally:
        int4_packing._packing.cache_clear()
    assert share > least
    assert (taken["int8"] > 0) == works["int8"]
    assert (taken["int4"] > 0) == (works["int4"] and quantize == "int4")


@pytest.mark.parametrize("rows", [slice(None), slice(64, 128), slice(32, 192), slice(100, None)])
def test_packed_parts_and_rows_between_them_are_the_plain_products(packed, rows):
    if not prepacked.packing_is_faster(torch.float32):
        pytest.skip("oneDNN's product does not exist here")
    weight = torch.randn(256, 132, generator=torch.Generator().manual_seed(0))
    x = torch.randn(2, 3, 132, generator=torch.Generator().manual_seed(1))
    small = packed_or_plain("depformer.layers.0.self_attn.in_proj_weight", weight, 4)
    assert isinstance(small, PackedWeight)
    assert sum(part.numel() for part in small.buffers()) == weight.numel()
    assert torch.allclose(linear(x, small, rows), linear(x, weight, rows), atol=1e-5)


@pytest.mark.parametrize("fault", ["wrong", "absent", "slow"])
def test_packing_is_not_taken_where_it_is_wrong_absent_or_slow(monkeypatch, packed, fault):
    if fault == "wrong":
        right = prepacked._product
        monkeypatch.setattr(prepacked, "_product", lambda x, weight: right(x, weight) * 1.1)
    elif fault == "absent":

        def refuse(weight):
            raise RuntimeError("bf16 path needs the cpu support avx512bw")

        monkeypatch.setattr(prepacked, "_packed", refuse)
    else:
        monkeypatch.setattr(prepacked, "_gain", lambda dtype: 1.0)
    weight = torch.ones(64, 64)
    assert packed_or_plain("text_linear.weight", weight, 8) is weight


def test_packing_leaves_embeddings_norms_and_small_weights(monkeypatch):
    monkeypatch.setattr(prepacked, "packing_is_faster", lambda dtype: pytest.fail("asked for nothing"))
    for key, weight in (
        ("emb.3.weight", torch.ones(2048, 256)),
        ("out_norm.alpha", torch.ones(1, 1, 8)),
        ("text_linear.weight", torch.ones(8, 8)),
    ):
        assert packed_or_plain(key, weight, 8) is weight
