# type: ignore
"""Triton kernels of a layer's norm and gate."""

# types are not checked here: the body of a kernel is Triton's language, not Python's

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor


def rms_norm(x: Tensor, alpha: Tensor, eps: float) -> Tensor:
    """Return `x` over its root mean square, times `alpha`, computed in float32.

    Shapes: `x` [..., D], `alpha` [D] → as `x`.
    """
    width = x.shape[-1]
    flat = x.reshape(-1, width)
    y = torch.empty_like(flat)
    block = triton.next_power_of_2(width)
    _rms_norm[(len(flat),)](flat, alpha, y, width, eps, block, num_warps=min(16, max(1, block // 256)))
    return y.view(x.shape)


@triton.jit
def _rms_norm(x_ptr, a_ptr, y_ptr, D, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    d = tl.arange(0, BLOCK)
    inside = d < D
    x = tl.load(x_ptr + row * D + d, mask=inside, other=0.0).to(tl.float32)
    a = tl.load(a_ptr + d, mask=inside, other=0.0).to(tl.float32)
    y = x * tl.rsqrt(tl.sum(x * x, axis=0) / D + eps) * a
    tl.store(y_ptr + row * D + d, y.to(y_ptr.dtype.element_ty), mask=inside)


def silu_times(x: Tensor) -> Tensor:
    """Return SiLU of the first half of `x` times its second half.

    Shapes: `x` [..., 2 · H] → [..., H].
    """
    hidden = x.shape[-1] // 2
    y = torch.empty(*x.shape[:-1], hidden, dtype=x.dtype, device=x.device)
    rows = y.numel() // hidden
    _silu_times[(triton.cdiv(hidden, 1024), rows)](x, y, hidden, 1024, num_warps=4)
    return y


@triton.jit
def _silu_times(x_ptr, y_ptr, H, BLOCK: tl.constexpr):
    row = tl.program_id(1)
    d = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = d < H
    gate = tl.load(x_ptr + row * 2 * H + d, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(x_ptr + row * 2 * H + H + d, mask=inside, other=0.0).to(tl.float32)
    # in float32 up to here: float16 or bfloat16 would round the gate before the product
    y = gate / (1.0 + tl.exp(-gate)) * up
    tl.store(y_ptr + row * H + d, y.to(y_ptr.dtype.element_ty), mask=inside)
