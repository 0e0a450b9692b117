"""Triton prototypes of what the engine may run one day, measured against what it runs now.

Weight-only matrix-vector products (one launch each, sums in float32, no tensor cores: a row does not depend
on its batch), and decode attention that reads a length per row on the device instead of a mask.
"""

from __future__ import annotations

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor


@triton.jit
def _gemv(x_ptr, w_ptr, s_ptr, y_ptr, N, K, SCALED: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    m = tl.program_id(1)
    total = tl.zeros((BN, BK), dtype=tl.float32)
    for k0 in range(0, K, BK):
        k = k0 + tl.arange(0, BK)
        x = tl.load(x_ptr + m * K + k, mask=k < K, other=0.0).to(tl.float32)
        w = tl.load(
            w_ptr + n[:, None].to(tl.int64) * K + k[None, :],
            mask=(n < N)[:, None] & (k < K)[None, :],
            other=0,
        )
        total += w.to(tl.float32) * x[None, :]
    y = tl.sum(total, axis=1)
    if SCALED:
        y = y * tl.load(s_ptr + n, mask=n < N, other=0.0)
    tl.store(y_ptr + m * N + n, y.to(y_ptr.dtype.element_ty), mask=n < N)


@triton.jit
def _gemv_int4(x_ptr, w_ptr, s_ptr, y_ptr, N, K, BN: tl.constexpr, BK: tl.constexpr):
    # a byte holds input j in its high four bits and input K / 2 + j in its low ones; a scale per 64 inputs
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    m = tl.program_id(1)
    half = K // 2
    total = tl.zeros((BN, BK), dtype=tl.float32)
    for k0 in range(0, half, BK):
        k = k0 + tl.arange(0, BK)
        inside = (n < N)[:, None] & (k < half)[None, :]
        both = tl.load(w_ptr + n[:, None].to(tl.int64) * half + k[None, :], mask=inside, other=0)
        high, low = (both >> 4).to(tl.float32), ((both << 4) >> 4).to(tl.float32)
        scales = s_ptr + n[:, None] * (K // 64) + (k // 64)[None, :]
        high_scale = tl.load(scales, mask=inside, other=0.0).to(tl.float32)
        low_scale = tl.load(scales + half // 64, mask=inside, other=0.0).to(tl.float32)
        x_high = tl.load(x_ptr + m * K + k, mask=k < half, other=0.0).to(tl.float32)
        x_low = tl.load(x_ptr + m * K + half + k, mask=k < half, other=0.0).to(tl.float32)
        total += high * high_scale * x_high[None, :] + low * low_scale * x_low[None, :]
    tl.store(y_ptr + m * N + n, tl.sum(total, axis=1).to(y_ptr.dtype.element_ty), mask=n < N)


@triton.jit
def _attend(
    q_ptr,
    k_ptr,
    v_ptr,
    length_ptr,
    o_ptr,
    m_ptr,
    H,
    stride_b,
    stride_t,
    scale,
    SPLITS: tl.constexpr,
    BT: tl.constexpr,
    D: tl.constexpr,
):
    s, h, b = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    n = tl.load(length_ptr + b)
    per = tl.cdiv(tl.cdiv(n, SPLITS), BT) * BT
    end = tl.minimum(s * per + per, n)
    d = tl.arange(0, D)
    q = tl.load(q_ptr + (b * H + h) * D + d).to(tl.float32) * scale
    most = -float("inf")
    weight = 0.0
    mixed = tl.zeros((D,), dtype=tl.float32)
    for t0 in range(s * per, end, BT):
        t = t0 + tl.arange(0, BT)
        inside = t < end
        at = b.to(tl.int64) * stride_b + t[:, None].to(tl.int64) * stride_t + h * D + d[None, :]
        k = tl.load(k_ptr + at, mask=inside[:, None], other=0.0).to(tl.float32)
        scores = tl.where(inside, tl.sum(k * q[None, :], axis=1), -float("inf"))
        higher = tl.maximum(most, tl.max(scores, axis=0))
        p = tl.exp(scores - higher)
        fade = tl.exp(most - higher)
        v = tl.load(v_ptr + at, mask=inside[:, None], other=0.0).to(tl.float32)
        mixed = mixed * fade + tl.sum(p[:, None] * v, axis=0)
        weight = weight * fade + tl.sum(p, axis=0)
        most = higher
    out = (b * H + h) * SPLITS + s
    tl.store(o_ptr + out * D + d, mixed)
    tl.store(m_ptr + out * 2, most)
    tl.store(m_ptr + out * 2 + 1, weight)


@triton.jit
def _join(o_ptr, m_ptr, y_ptr, SPLITS: tl.constexpr, D: tl.constexpr):
    row = tl.program_id(0)
    s = tl.arange(0, SPLITS)
    d = tl.arange(0, D)
    most = tl.load(m_ptr + (row * SPLITS + s) * 2)
    weight = tl.load(m_ptr + (row * SPLITS + s) * 2 + 1)
    fade = tl.exp(most - tl.max(most, axis=0))
    mixed = tl.load(o_ptr + (row * SPLITS + s)[:, None] * D + d[None, :])
    y = tl.sum(mixed * fade[:, None], axis=0) / tl.sum(weight * fade, axis=0)
    tl.store(y_ptr + row * D + d, y.to(y_ptr.dtype.element_ty))


def gemv(x: Tensor, weight: Tensor, scale: Tensor | None, block: tuple[int, int, int]) -> Tensor:
    """Return `x` times a weight of bfloat16, or of int8 with a scale per output.

    Shapes: `x` [M, K], `weight` [N, K], `scale` float32 [N] → [M, N].
    `block` is outputs and inputs at a time, and warps.
    """
    n, k = weight.shape
    outputs, inputs, warps = block
    y = torch.empty(len(x), n, dtype=x.dtype, device=x.device)
    grid = (triton.cdiv(n, outputs), len(x))
    _gemv[grid](
        x,
        weight,
        weight if scale is None else scale,
        y,
        n,
        k,
        scale is not None,
        outputs,
        inputs,
        num_warps=warps,
    )
    return y


def gemv_int4(x: Tensor, codes: Tensor, scale: Tensor, block: tuple[int, int, int]) -> Tensor:
    """Return `x` times an `Int4Weight`'s numbers.

    Shapes: `x` [M, K] with K whole pairs of groups, `codes` int8 [N, K / 2], `scale` [N, K / 64] → [M, N].
    """
    n, k = len(codes), 2 * codes.shape[1]
    outputs, inputs, warps = block
    y = torch.empty(len(x), n, dtype=x.dtype, device=x.device)
    _gemv_int4[(triton.cdiv(n, outputs), len(x))](x, codes, scale, y, n, k, outputs, inputs, num_warps=warps)
    return y


def attend_lengths(
    q: Tensor, keys: Tensor, values: Tensor, lengths: Tensor, splits: int, block: int, warps: int
) -> Tensor:
    """Return attention of one position a row over each row's first `lengths` slots.

    Shapes: `q` [B, heads, head width], `keys` and `values` [B, slots, heads, head width] with
    equal strides, `lengths` int32 [B].
    """
    batch, heads, width = q.shape
    mixed = torch.empty(batch, heads, splits, width, device=q.device)
    most = torch.empty(batch, heads, splits, 2, device=q.device)
    y = torch.empty_like(q)
    strides = keys.stride(0), keys.stride(1)
    _attend[(splits, heads, batch)](
        q,
        keys,
        values,
        lengths,
        mixed,
        most,
        heads,
        *strides,
        width**-0.5,
        splits,
        block,
        width,
        num_warps=warps,
    )
    _join[(batch * heads,)](mixed, most, y, splits, width, num_warps=4)
    return y
