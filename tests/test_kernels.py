"""The engine's own kernels beside PyTorch's operations: on a GPU, or in Triton's interpreter."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

pytest.importorskip("triton", reason="Triton is not installed: the engine's own kernels were not run")

pytestmark = pytest.mark.process
ROOT = Path(__file__).parent.parent
CASES = [
    "product",
    "int8_product",
    "int4_product",
    "norm",
    "gate",
    "rotation",
    "attention",
    "steps",
    "sample",
]


@pytest.fixture(scope="module")
def errors() -> dict[str, Any]:
    """All cases, in a process of its own: Triton decides when it is imported whether it interprets."""
    env = {**os.environ, **({} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"})}
    command = [sys.executable, "-m", "tests.test_kernels"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", CASES)
def test_kernel_computes_what_pytorch_computes(errors, case):
    assert len(errors[case]) > 0
    assert max(errors[case]) < 3e-6


SPOILED = {
    "product": "a product",
    "sample": "sampling",
}


@pytest.mark.parametrize("kernel", ["right", *SPOILED])
def test_self_check_finds_a_kernel_that_computes_wrongly(errors, kernel):
    assert errors["self_check"][kernel] == (f"{SPOILED[kernel]} is wrong" if kernel in SPOILED else "")


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.double() - wanted.double()).norm() / wanted.double().norm())


def run() -> dict[str, Any]:
    """Relative errors of each kernel over several shapes."""
    from personaplex_app.model.kernels import decode

    torch.manual_seed(0)
    torch.set_default_device("cuda" if torch.cuda.is_available() else "cpu")
    found = {name: list(globals()[f"check_{name}"](decode)) for name in CASES}
    return found | {"self_check": {name: self_check(decode, name) for name in ("right", *SPOILED)}}


def self_check(kernels, spoiled: str) -> str:
    """What the check at load says of the kernels with one that adds a little to what it returns."""
    from personaplex_app.model.kernels.self_check import check

    def wrong(*args):
        found = getattr(kernels, spoiled)(*args)
        return (found[0] + 1, found[1]) if spoiled == "sample" else found + 1

    own = {name: getattr(kernels, name) for name in kernels.__all__}
    try:
        check(SimpleNamespace(**own | ({spoiled: wrong} if spoiled in own else {})), torch.empty(0).device)
    except ArithmeticError as error:
        return " ".join(str(error).split(" by ")[:1])
    return ""


def check_product(kernels):
    for rows, outputs, inputs in ((1, 40, 96), (3, 24, 1100), (4, 5, 64)):
        x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
        residual = torch.randn(rows, outputs)
        yield error(kernels.product(x, weight, None, residual), x @ weight.T + residual)
        yield error(kernels.product(x, weight[1:4], None, None), x @ weight[1:4].T)
        gain = torch.rand(outputs)
        yield error(kernels.product(x, weight, None, residual, gain), x @ weight.T * gain + residual)


def check_int8_product(kernels):
    for rows, outputs, inputs in ((1, 40, 96), (3, 24, 1100)):
        x, scale = torch.randn(rows, inputs), torch.rand(outputs)
        codes = torch.randint(-127, 128, (outputs, inputs), dtype=torch.int8)
        yield error(kernels.product(x, codes, scale, None), x @ codes.float().T * scale)


def check_int4_product(kernels):
    from personaplex_app.model.quantize import Int4Weight

    for rows, outputs, inputs in ((1, 6, 96), (3, 5, 1100), (4, 4, 256)):
        x, weight = torch.randn(rows, inputs), Int4Weight(torch.randn(outputs, inputs))
        wanted = weight.matmul(torch.eye(inputs), slice(None)).T
        yield error(kernels.product_int4(x, weight.codes, weight.scale), x @ wanted.T)
        part = kernels.product_int4(x, weight.codes[1:3], weight.scale[1:3])
        yield error(part, x @ wanted[1:3].T)


def check_norm(kernels):
    for width in (96, 128):
        x, alpha = torch.randn(2, 1, width), torch.rand(width)
        yield error(kernels.rms_norm(x, alpha, 1e-8), F.rms_norm(x, (width,), alpha, 1e-8))


def check_gate(kernels):
    x = torch.randn(2, 1, 600)
    gate, up = x.chunk(2, dim=-1)
    yield error(kernels.silu_times(x), F.silu(gate) * up)


def check_rotation(kernels):
    from personaplex_app.model.transformer import rotate

    batch, length = 2, 2
    heads, width = 3, 16
    slots = torch.tensor([[3, 4], [39, 0]])
    qkv, cache = torch.randn(batch, length, 3 * heads * width), torch.randn(2, batch, 40, heads, width)
    cos, sin = torch.rand(batch, length, 1, width // 2), torch.rand(batch, length, 1, width // 2)
    wanted = cache.clone()
    q, k, v = qkv.view(batch, length, 3, heads, width).unbind(2)
    rows = torch.arange(batch)[:, None]
    wanted[0][rows, slots] = rotate(k, cos, sin)
    wanted[1][rows, slots] = v
    yield error(kernels.rotate_and_write(qkv, cos, sin, slots, cache), rotate(q, cos, sin))
    yield error(cache, wanted)


def check_attention(kernels):
    from personaplex_app.model.cache import KVCache, step_span
    from personaplex_app.model.transformer import attend

    heads, width, window = 2, 16, 200
    # at the ends of a kernel's blocks of 64 positions and of the window, which begins again at its start
    for block, positions in (
        (1, [0, 6, 62, 63, 64, 126, 198, 199, 200, 3001]),
        (2, [0, 62, 63, 126, 198, 3001]),
    ):
        position = torch.tensor(positions)
        # a batch's cache is a part of a larger one, and what lies beyond the lengths is not to be seen
        whole = torch.randn(2, 12, window + 1, heads, width)
        cache, q = whole[:, : len(position)], torch.randn(len(position), block, heads, width)
        active = torch.ones(len(position), dtype=torch.bool)
        span = step_span(position, active, block, KVCache(cache[None]), window, 10000.0)
        assert span.mask is not None
        wanted = attend(q, cache[0, :, :window], cache[1, :, :window], span.mask)
        lengths = (position + block).clamp(max=window).int()
        for row, length in enumerate(lengths.tolist()):
            cache[:, row, length:] = torch.nan
        yield error(kernels.attend(q, cache, lengths, span.slots), wanted)


def check_steps(kernels):
    batch, heads, width = 2, 3, 16
    steps = 8
    state = torch.full((2, batch, steps, heads, width), torch.nan)
    wanted = state.clone()
    for k in range(steps):
        qkv = torch.randn(batch, 3 * heads * width)
        q, key, value = qkv.view(batch, 3, heads, width).unbind(1)
        wanted[0, :, k], wanted[1, :, k] = key, value
        keys, values = (wanted[i, :, : k + 1].transpose(1, 2) for i in range(2))
        mixed = F.scaled_dot_product_attention(q[:, :, None], keys, values)[:, :, 0].flatten(1)
        yield error(kernels.attend_steps(qkv, state, k), mixed)
    yield error(state, wanted)


def check_sample(kernels):
    from personaplex_app.model.sampling import frame_key, gumbel, sample

    for card, card_dtype in ((32, torch.float32), (300, torch.bfloat16), (600, torch.float32)):
        rows = 8
        logits = torch.randn(rows, card).to(card_dtype)
        temperature = torch.tensor([0.0, 0.7, 0.8, 1.3, 0.0, 0.9, 1.0, 0.8])
        topk = torch.tensor([1, 1, 5, 25, card, card, 250, 2]).clamp(max=card)
        key = frame_key(torch.arange(rows), torch.arange(100, 100 + rows))
        for stream in (0, 3) if card == 300 else (3,):
            # the widest list there is: ties with the k-th best are all in it
            wanted = sample(
                logits.float(),
                temperature,
                topk,
                card,
                lambda token, key=key, stream=stream: gumbel(
                    key[:, None], torch.tensor([[stream]]), token[:, None]
                )[:, 0],
            )
            token, finite = kernels.sample(logits, temperature, topk, key, stream)
            yield float((token != wanted).sum())
            yield float((~finite).sum())
    forced = torch.tensor([[-1, 7], [3, -1]])
    token, _ = kernels.sample(logits[:2], temperature[:2], topk[:2], key[:2], 3, forced[:, 0])
    yield float((token != torch.where(forced[:, 0] >= 0, forced[:, 0], wanted[:2])).sum())
    logits[1, 5], logits[2, 7] = torch.nan, torch.inf
    _, finite = kernels.sample(logits, temperature, topk, key, 0)
    yield float((finite != torch.tensor([k not in (1, 2) for k in range(rows)])).sum())


if __name__ == "__main__":
    print(json.dumps(run()))
