# type: ignore
"""Triton kernels for one position of a few rows. Importing this needs Triton (see `own_kernels`)."""

# types are not checked here: the body of a kernel is Triton's language, not Python's

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

# a program for each head alone would leave most of a GPU idle while few talks run
SPLITS = 16
"""Programs that share one row's and head's cache."""
SLOTS_AT_ONCE = 64


def product(x: Tensor, weight: Tensor, scale: Tensor | None, residual: Tensor | None) -> Tensor:
    """Return `x` times a weight, times a scale per output, plus a residual, summed in float32.

    Shapes: `x` [..., K] of up to 4 rows, `weight` [N, K] of floats or int8, `scale` float32 [N],
    `residual` [..., N] → [..., N] in the type of `x`.
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
        residual if residual is not None else flat,
        y,
        rows,
        n,
        k,
        weight.stride(0),
        scale is not None,
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
    x_ptr, w_ptr, s_ptr, r_ptr, y_ptr, M, N, K, w_stride,
    SCALED: tl.constexpr, ADDED: tl.constexpr, ROWS: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    EVEN: tl.constexpr,
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
    if ADDED:
        # PyTorch rounds the product before it adds the residual: so that both give the same numbers
        y = y.to(y_ptr.dtype.element_ty).to(tl.float32) + tl.load(r_ptr + at, mask=mask, other=0.0).to(
            tl.float32
        )
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=mask)


def product_int4(x: Tensor, codes: Tensor, scale: Tensor, residual: Tensor | None) -> Tensor:
    """Return `x` times the weights of an `Int4Weight`, plus a residual, summed in float32.

    Shapes: `x` [..., K] of up to 4 rows, `codes` int8 [N, K' / 2], `scale` [N, K' / 64] with K' the inputs up
    to whole pairs of groups, `residual` [..., N] → [..., N] in the type of `x`.
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
        residual if residual is not None else flat,
        y,
        rows,
        n,
        flat.shape[-1],
        half,
        residual is not None,
        triton.next_power_of_2(rows),
        outputs,
        groups,
        num_warps=4,
    )
    return y


@triton.jit
def _product_int4(
    x_ptr, w_ptr, s_ptr, r_ptr, y_ptr, M, N, K, HALF,
    ADDED: tl.constexpr, ROWS: tl.constexpr, BN: tl.constexpr, GROUPS: tl.constexpr,
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
    if ADDED:
        y = y.to(y_ptr.dtype.element_ty).to(tl.float32)
        y += tl.load(r_ptr + at, mask=mask, other=0.0).to(tl.float32)
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=mask)


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


def rotate_and_write(qkv: Tensor, cos: Tensor, sin: Tensor, slots: Tensor, cache: Tensor) -> Tensor:
    """Rotate queries and keys by RoPE, write keys and values into their slots, return the queries.

    Shapes: `qkv` [B, 1, 3 · D], `cos` and `sin` float32 [B, 1, 1, head width / 2], `slots` int64 [B, 1],
    `cache` [2, B, slots, heads, head width] → [B, heads, head width] in the cache's type.
    """
    batch = qkv.shape[0]
    heads, width = cache.shape[3:]
    q = torch.empty(batch, heads, width, dtype=cache.dtype, device=cache.device)
    strides = cache.stride(0), cache.stride(1), cache.stride(2)
    _rotate_and_write[(heads, batch)](
        qkv, cos, sin, slots, cache, q, heads, *strides, width // 2, num_warps=1
    )
    return q


@triton.jit
def _rotate_and_write(x_ptr, cos_ptr, sin_ptr, slot_ptr, c_ptr, q_ptr, H, stride_v, stride_b, stride_t,
                      PAIRS: tl.constexpr):  # fmt: skip
    h = tl.program_id(0)
    b = tl.program_id(1)
    p = tl.arange(0, PAIRS)
    width = 2 * PAIRS
    cos = tl.load(cos_ptr + b * PAIRS + p)
    sin = tl.load(sin_ptr + b * PAIRS + p)
    kind = c_ptr.dtype.element_ty
    # RoPE here is interleaved: neighbours are the real and the imaginary part of one pair
    at = x_ptr + (b * 3 * H + h) * width + 2 * p
    real = tl.load(at).to(tl.float32)
    imaginary = tl.load(at + 1).to(tl.float32)
    out = q_ptr + (b * H + h) * width + 2 * p
    tl.store(out, (real * cos - imaginary * sin).to(kind))
    tl.store(out + 1, (real * sin + imaginary * cos).to(kind))
    slot = tl.load(slot_ptr + b)
    place = c_ptr + b.to(tl.int64) * stride_b + slot * stride_t + h * width + 2 * p
    real = tl.load(at + H * width).to(tl.float32)
    imaginary = tl.load(at + H * width + 1).to(tl.float32)
    tl.store(place, (real * cos - imaginary * sin).to(kind))
    tl.store(place + 1, (real * sin + imaginary * cos).to(kind))
    tl.store(place + stride_v, tl.load(at + 2 * H * width).to(kind))
    tl.store(place + stride_v + 1, tl.load(at + 2 * H * width + 1).to(kind))


def attend(q: Tensor, cache: Tensor, lengths: Tensor) -> Tensor:
    """Return attention of one position a row over the first `lengths` slots of its ring.

    Which slots of a ring are seen needs no mask: they are always the first ones.
    Shapes: `q` [B, heads, head width], `cache` [2, B, slots, heads, head width], `lengths` int32 [B], each
    1 or more → [B, 1, heads · head width].
    """
    batch, heads, width = q.shape
    mixed = torch.empty(batch, heads, SPLITS, width, device=q.device)
    weights = torch.empty(batch, heads, SPLITS, 2, device=q.device)
    y = torch.empty(batch, 1, heads * width, dtype=q.dtype, device=q.device)
    strides = cache.stride(0), cache.stride(1), cache.stride(2)
    _attend[(SPLITS, heads, batch)](
        q,
        cache,
        lengths,
        mixed,
        weights,
        heads,
        *strides,
        width**-0.5,
        SPLITS,
        SLOTS_AT_ONCE,
        width,
        num_warps=4,
    )
    _join[(batch * heads,)](mixed, weights, y, SPLITS, width, num_warps=4)
    return y


@triton.jit
def _attend(q_ptr, c_ptr, length_ptr, o_ptr, m_ptr, H, stride_v, stride_b, stride_t, scale,
            PARTS: tl.constexpr, BT: tl.constexpr, D: tl.constexpr):  # fmt: skip
    s = tl.program_id(0)
    h = tl.program_id(1)
    b = tl.program_id(2)
    n = tl.load(length_ptr + b)
    # whole blocks for each program, so that only the last one of a row needs its mask
    per = tl.cdiv(tl.cdiv(n, PARTS), BT) * BT
    end = tl.minimum(s * per + per, n)
    d = tl.arange(0, D)
    q = tl.load(q_ptr + (b * H + h) * D + d).to(tl.float32) * scale
    most = -float("inf")
    weight = 0.0
    mixed = tl.zeros((D,), dtype=tl.float32)
    # offsets in int64: the cache of a few rows has more than 2³¹ elements
    base = c_ptr + b.to(tl.int64) * stride_b + h * D + d[None, :]
    # softmax in one pass: where a higher score comes, what was summed so far is scaled down to it
    for t0 in range(s * per, end, BT):
        t = t0 + tl.arange(0, BT)
        inside = t < end
        at = base + t[:, None].to(tl.int64) * stride_t
        keys = tl.load(at, mask=inside[:, None], other=0.0).to(tl.float32)
        values = tl.load(at + stride_v, mask=inside[:, None], other=0.0).to(tl.float32)
        scores = tl.where(inside, tl.sum(keys * q[None, :], axis=1), -float("inf"))
        higher = tl.maximum(most, tl.max(scores, axis=0))
        p = tl.exp(scores - higher)
        fade = tl.exp(most - higher)
        mixed = mixed * fade + tl.sum(p[:, None] * values, axis=0)
        weight = weight * fade + tl.sum(p, axis=0)
        most = higher
    out = (b * H + h) * PARTS + s
    tl.store(o_ptr + out * D + d, mixed)
    tl.store(m_ptr + out * 2, most)
    tl.store(m_ptr + out * 2 + 1, weight)


@triton.jit
def _join(o_ptr, m_ptr, y_ptr, PARTS: tl.constexpr, D: tl.constexpr):
    row = tl.program_id(0)
    s = tl.arange(0, PARTS)
    d = tl.arange(0, D)
    most = tl.load(m_ptr + (row * PARTS + s) * 2)
    weight = tl.load(m_ptr + (row * PARTS + s) * 2 + 1)
    # a program without slots stored −inf and weighs nothing here
    fade = tl.exp(most - tl.max(most, axis=0))
    mixed = tl.load(o_ptr + (row * PARTS + s)[:, None] * D + d[None, :])
    y = tl.sum(mixed * fade[:, None], axis=0) / tl.sum(weight * fade, axis=0)
    tl.store(y_ptr + row * D + d, y.to(y_ptr.dtype.element_ty))


def attend_steps(qkv: Tensor, state: Tensor, k: int) -> Tensor:
    """Write step `k`'s keys and values into the depformer's state and attend to all steps so far.

    Shapes: `qkv` [B, 3 · D], `state` [2, B, steps, heads, head width] → [B, D].
    """
    batch, steps = state.shape[1:3]
    heads, width = state.shape[3:]
    y = torch.empty(batch, heads * width, dtype=qkv.dtype, device=qkv.device)
    strides = state.stride(0), state.stride(1), state.stride(2)
    padded = triton.next_power_of_2(steps)
    _attend_steps[(heads, batch)](qkv, state, y, heads, k, *strides, width**-0.5, padded, width, num_warps=1)
    return y


@triton.jit
def _attend_steps(x_ptr, c_ptr, y_ptr, H, step, stride_v, stride_b, stride_t, scale,
                  STEPS: tl.constexpr, D: tl.constexpr):  # fmt: skip
    h = tl.program_id(0)
    b = tl.program_id(1)
    d = tl.arange(0, D)
    t = tl.arange(0, STEPS)
    at = x_ptr + (b * 3 * H + h) * D + d
    q = tl.load(at).to(tl.float32) * scale
    key = tl.load(at + H * D)
    value = tl.load(at + 2 * H * D)
    place = c_ptr + b * stride_b + h * D
    tl.store(place + step * stride_t + d, key.to(c_ptr.dtype.element_ty))
    tl.store(place + stride_v + step * stride_t + d, value.to(c_ptr.dtype.element_ty))
    earlier = place + t[:, None] * stride_t + d[None, :]
    seen = (t < step)[:, None]
    now = (t == step)[:, None]
    # this step's key and value from registers: its stores above need not be visible to these loads yet
    keys = tl.where(now, key.to(tl.float32)[None, :], tl.load(earlier, mask=seen, other=0.0).to(tl.float32))
    values = tl.load(earlier + stride_v, mask=seen, other=0.0).to(tl.float32)
    values = tl.where(now, value.to(tl.float32)[None, :], values)
    scores = tl.where(t <= step, tl.sum(keys * q[None, :], axis=1), -float("inf"))
    p = tl.exp(scores - tl.max(scores, axis=0))
    y = tl.sum(p[:, None] * values, axis=0) / tl.sum(p, axis=0)
    tl.store(y_ptr + (b * H + h) * D + d, y.to(y_ptr.dtype.element_ty))
