"""The engine's own kernels beside PyTorch's operations: on a GPU, or in Triton's interpreter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

pytest.importorskip("triton", reason="Triton is not installed: the engine's own kernels were not run")

pytestmark = pytest.mark.process
ROOT = Path(__file__).parent.parent
CASES = ["product", "int8_product", "int4_product", "norm", "gate", "rotation", "attention", "steps"]


@pytest.fixture(scope="module")
def errors() -> dict[str, list[float]]:
    """All cases, in a process of its own: Triton decides when it is imported whether it interprets."""
    env = {**os.environ, **({} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"})}
    command = [sys.executable, "-m", "tests.test_kernels"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", CASES)
def test_kernel_computes_what_pytorch_computes(errors, case):
    assert len(errors[case]) > 0
    assert max(errors[case]) < 1e-6


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.double() - wanted.double()).norm() / wanted.double().norm())


def run() -> dict[str, list[float]]:
    """Relative errors of each kernel over several shapes."""
    from personaplex_app.model.kernels import decode

    torch.manual_seed(0)
    torch.set_default_device("cuda" if torch.cuda.is_available() else "cpu")
    return {name: list(globals()[f"check_{name}"](decode)) for name in CASES}


def check_product(kernels):
    for rows, outputs, inputs in ((1, 40, 96), (3, 24, 1100), (4, 5, 64)):
        x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
        residual = torch.randn(rows, outputs)
        yield error(kernels.product(x, weight, None, residual), x @ weight.T + residual)
        yield error(kernels.product(x, weight[1:4], None, None), x @ weight[1:4].T)


def check_int8_product(kernels):
    for rows, outputs, inputs in ((1, 40, 96), (3, 24, 1100)):
        x, scale = torch.randn(rows, inputs), torch.rand(outputs)
        codes = torch.randint(-127, 128, (outputs, inputs), dtype=torch.int8)
        yield error(kernels.product(x, codes, scale, None), x @ codes.float().T * scale)


def check_int4_product(kernels):
    from personaplex_app.model.quantize import Int4Weight

    for rows, outputs, inputs in ((1, 6, 96), (3, 5, 1100), (4, 4, 256)):
        x, weight = torch.randn(rows, inputs), Int4Weight(torch.randn(outputs, inputs))
        residual = torch.randn(rows, outputs)
        wanted = weight.matmul(torch.eye(inputs), slice(None)).T
        yield error(kernels.product_int4(x, weight.codes, weight.scale, residual), x @ wanted.T + residual)
        part = kernels.product_int4(x, weight.codes[1:3], weight.scale[1:3], None)
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

    batch, heads, width = 2, 3, 16
    slots = torch.tensor([[3], [39]])
    qkv, cache = torch.randn(batch, 1, 3 * heads * width), torch.randn(2, batch, 40, heads, width)
    cos, sin = torch.rand(batch, 1, 1, width // 2), torch.rand(batch, 1, 1, width // 2)
    wanted = cache.clone()
    q, k, v = qkv.view(batch, 1, 3, heads, width).unbind(2)
    rows = torch.arange(batch)[:, None]
    wanted[0][rows, slots] = rotate(k, cos, sin)
    wanted[1][rows, slots] = v
    yield error(kernels.rotate_and_write(qkv, cos, sin, slots, cache), rotate(q, cos, sin)[:, 0])
    yield error(cache, wanted)


def check_attention(kernels):
    heads, width = 2, 16
    lengths = torch.tensor([1, 7, 63, 64, 65, 200], dtype=torch.int32)
    # a batch's cache is a part of a larger one, and what lies beyond the lengths is not to be seen
    whole = torch.randn(2, 9, 200, heads, width)
    cache, q = whole[:, : len(lengths)], torch.randn(len(lengths), heads, width)
    for row, length in enumerate(lengths.tolist()):
        cache[:, row, length:] = torch.nan
    found = kernels.attend(q, cache, lengths)
    for row, length in enumerate(lengths.tolist()):
        keys, values = (cache[i, row, :length].transpose(0, 1) for i in range(2))
        wanted = F.scaled_dot_product_attention(q[row][:, None], keys, values)
        yield error(found[row, 0], wanted[:, 0].flatten())


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


if __name__ == "__main__":
    print(json.dumps(run()))
