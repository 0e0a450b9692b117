# type: ignore
"""Triton kernels of the products of a few rows with a weight."""

# types are not checked here: the body of a kernel is Triton's language, not Python's

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor


def product(
    x: Tensor, weight: Tensor, scale: Tensor | None, residual: Tensor | None, gain: Tensor | None = None
) -> Tensor:
    """Return `x` times a weight, times a scale per output, plus a residual, summed in float32.

    Shapes: `x` [..., K] of up to 4 rows, `weight` [N, K] of floats or int8, `scale` float32 [N] of int8
    weights, `residual` [..., N], `gain` [N] → [..., N] in the type of `x`. The product is rounded to that
    type before it is multiplied by `gain` and added to `residual`, as PyTorch would.
    """
    n, k = weight.shape
    flat = x.reshape(-1, k)
    rows = len(flat)
    # `tl.arange` takes powers of two only
    padded = triton.next_power_of_2(rows)
    # measured to be the fastest on an H100: outputs per program, and inputs per iteration of its loop
    outputs, inputs = (2, 512) if weight.dtype == torch.int8 else (1, 1024)
    y = torch.empty(*x.shape[:-1], n, dtype=x.dtype, device=x.device)
    _product[(triton.cdiv(n, outputs),)](
        flat,
        weight,
        # Triton needs a pointer for every argument; one that is not used is never read
        scale if scale is not None else weight,
        gain if gain is not None else weight,
        residual if residual is not None else flat,
        y,
        rows,
        n,
        k,
        weight.stride(0),
        scale is not None,
        gain is not None,
        residual is not None,
        padded,
        outputs,
        inputs,
        # whether the loop's last iteration is whole, so that no load needs a mask over the inputs
        k % inputs == 0,
        num_warps=2,
    )
    return y


@triton.jit
def _product(
    x_ptr, w_ptr, s_ptr, g_ptr, r_ptr, y_ptr, M, N, K, w_stride,
    SCALED: tl.constexpr, GAINED: tl.constexpr, ADDED: tl.constexpr, ROWS: tl.constexpr, BN: tl.constexpr,
    BK: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    m = tl.arange(0, ROWS)
    inside = n < N
    total = tl.zeros((ROWS, BN, BK), dtype=tl.float32)
    for k0 in range(0, K, BK):
        k = k0 + tl.arange(0, BK)
        x_mask = (m < M)[:, None]
        w_mask = inside[:, None]
        if not EVEN:
            x_mask = x_mask & (k < K)[None, :]
            w_mask = w_mask & (k < K)[None, :]
        x = tl.load(x_ptr + m[:, None] * K + k[None, :], mask=x_mask, other=0.0).to(tl.float32)
        w = tl.load(w_ptr + n[:, None].to(tl.int64) * w_stride + k[None, :], mask=w_mask, other=0)
        if SCALED:
            # int8 is exact in float16, and converting to float32 through float16 is faster
            w = w.to(tl.float16)
        total += w.to(tl.float32)[None, :, :] * x[:, None, :]
    # one reduction at the end instead of one in each turn of the loop
    y = tl.sum(total, axis=2)
    if SCALED:
        y = y * tl.load(s_ptr + n, mask=inside, other=0.0)[None, :]
    at = m[:, None] * N + n[None, :]
    mask = (m < M)[:, None] & inside[None, :]
    # PyTorch rounds the product before it goes on: so that both give the same numbers
    if GAINED:
        y = y.to(y_ptr.dtype.element_ty).to(tl.float32)
        y = y * tl.load(g_ptr + n, mask=inside, other=0.0).to(tl.float32)[None, :]
    if ADDED:
        y = y.to(y_ptr.dtype.element_ty).to(tl.float32)
        y = y + tl.load(r_ptr + at, mask=mask, other=0.0).to(tl.float32)
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=mask)


def product_int4(x: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
    """Return `x` times the weights of an `Int4Weight` that is not packed, summed in float32.

    Shapes: `x` [..., K] of up to 4 rows, `codes` int8 [N, K' / 2], `scale` [N, K' / 64] with K' the inputs up
    to whole pairs of groups → [..., N] in the type of `x`.
    """
    n, half = codes.shape
    flat = x.reshape(-1, x.shape[-1])
    rows = len(flat)
    outputs, groups = 4, 8
    y = torch.empty(*x.shape[:-1], n, dtype=x.dtype, device=x.device)
    _product_int4[(triton.cdiv(n, outputs),)](
        flat,
        codes,
        scale,
        y,
        rows,
        n,
        flat.shape[-1],
        half,
        triton.next_power_of_2(rows),
        outputs,
        groups,
        num_warps=4,
    )
    return y


@triton.jit
def _product_int4(
    x_ptr, w_ptr, s_ptr, y_ptr, M, N, K, HALF, ROWS: tl.constexpr, BN: tl.constexpr, GROUPS: tl.constexpr,
):  # fmt: skip
    # a byte holds input j in its high four bits and input K' / 2 + j in its low ones
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    m = tl.arange(0, ROWS)
    j = tl.arange(0, 64)
    all_groups = HALF // 64
    total = tl.zeros((ROWS, BN, GROUPS, 64), dtype=tl.float32)
    for g0 in range(0, all_groups, GROUPS):
        g = g0 + tl.arange(0, GROUPS)
        inside = g < all_groups
        w_mask = (n < N)[:, None, None] & inside[None, :, None]
        at = n[:, None, None].to(tl.int64) * HALF + (g * 64)[None, :, None] + j[None, None, :]
        both = tl.load(w_ptr + at, mask=w_mask, other=0)
        s_mask = (n < N)[:, None] & inside[None, :]
        scales = s_ptr + n[:, None] * (2 * all_groups) + g[None, :]
        high_scale = tl.load(scales, mask=s_mask, other=0.0).to(tl.float32)
        low_scale = tl.load(scales + all_groups, mask=s_mask, other=0.0).to(tl.float32)
        k = (g * 64)[:, None] + j[None, :]
        x_at = x_ptr + m[:, None, None] * K + k[None, :, :]
        x_mask = (m < M)[:, None, None] & inside[None, :, None]
        x_high = tl.load(x_at, mask=x_mask & (k < K)[None, :, :], other=0.0).to(tl.float32)
        x_low = tl.load(x_at + HALF, mask=x_mask & (HALF + k < K)[None, :, :], other=0.0).to(tl.float32)
        # arithmetic shifts extend the sign of the four bits
        high = (both >> 4).to(tl.float32) * high_scale[:, :, None]
        low = ((both << 4) >> 4).to(tl.float32) * low_scale[:, :, None]
        total += high[None] * x_high[:, None] + low[None] * x_low[:, None]
    y = tl.sum(tl.sum(total, axis=3), axis=2)
    at = m[:, None] * N + n[None, :]
    mask = (m < M)[:, None] & (n < N)[None, :]
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=mask)
