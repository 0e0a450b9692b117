# type: ignore
"""Triton kernels of attention: a few new positions of each row against its cache."""

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


def rotate_and_write(qkv: Tensor, cos: Tensor, sin: Tensor, slots: Tensor, cache: Tensor) -> Tensor:
    """Rotate queries and keys by RoPE, write keys and values into their slots, return the queries.

    Shapes: `qkv` [B, T, 3 · D], `cos` and `sin` float32 [B, T, 1, head width / 2], `slots` int64 [B, T],
    `cache` [2, B, slots, heads, head width] → [B, T, heads, head width] in the cache's type.
    """
    batch, length = slots.shape
    heads, width = cache.shape[3:]
    q = torch.empty(batch, length, heads, width, dtype=cache.dtype, device=cache.device)
    _rotate_and_write[(heads, batch * length)](
        qkv, cos, sin, slots, cache, q, heads, length, *_strides(cache), width // 2,
        num_warps=1
    )  # fmt: skip
    return q


def _strides(cache: Tensor) -> tuple[int, int, int]:
    """Return the distances between keys and values, rows, and slots of a cache."""
    return cache.stride(0), cache.stride(1), cache.stride(2)


@triton.jit
def _rotate_and_write(x_ptr, cos_ptr, sin_ptr, slot_ptr, c_ptr, q_ptr, H, T, stride_v, stride_b, stride_t,
                      PAIRS: tl.constexpr):  # fmt: skip
    h = tl.program_id(0)
    # the position among those of all rows
    i = tl.program_id(1)
    b = i // T
    p = tl.arange(0, PAIRS)
    width = 2 * PAIRS
    cos = tl.load(cos_ptr + i * PAIRS + p)
    sin = tl.load(sin_ptr + i * PAIRS + p)
    kind = c_ptr.dtype.element_ty
    # RoPE here is interleaved: neighbours are the real and the imaginary part of one pair
    at = x_ptr + (i * 3 * H + h) * width + 2 * p
    real = tl.load(at).to(tl.float32)
    imaginary = tl.load(at + 1).to(tl.float32)
    out = q_ptr + (i * H + h) * width + 2 * p
    tl.store(out, (real * cos - imaginary * sin).to(kind))
    tl.store(out + 1, (real * sin + imaginary * cos).to(kind))
    slot = tl.load(slot_ptr + i)
    place = c_ptr + b.to(tl.int64) * stride_b + slot * stride_t + h * width + 2 * p
    real = tl.load(at + H * width).to(tl.float32)
    imaginary = tl.load(at + H * width + 1).to(tl.float32)
    tl.store(place, (real * cos - imaginary * sin).to(kind))
    tl.store(place + 1, (real * sin + imaginary * cos).to(kind))
    tl.store(place + stride_v, tl.load(at + 2 * H * width).to(kind))
    tl.store(place + stride_v + 1, tl.load(at + 2 * H * width + 1).to(kind))


def attend(q: Tensor, cache: Tensor, lengths: Tensor, slots: Tensor) -> Tensor:
    """Return attention of the newest positions of each row over the first `lengths` slots of its ring.

    Which slots of a ring are seen needs no mask: they are always the first ones, less the slots of the
    positions after one's own in the same step.
    Shapes: `q` [B, T, heads, head width], `cache` [2, B, slots, heads, head width], `lengths` int32 [B], each
    1 or more, `slots` int64 [B, T] of the T positions → [B, T, heads · head width].
    """
    batch, length = slots.shape
    heads, width = cache.shape[3:]
    # a short ring is not worth many programs
    parts = min(SPLITS, triton.next_power_of_2(triton.cdiv(cache.shape[2], SLOTS_AT_ONCE)))
    mixed = torch.empty(batch * length, heads, parts, width, device=q.device)
    weights = torch.empty(batch * length, heads, parts, 2, device=q.device)
    y = torch.empty(batch, length, heads * width, dtype=q.dtype, device=q.device)
    _attend[(parts, heads, batch * length)](
        q, cache, lengths, slots, mixed, weights, heads, *_strides(cache), width**-0.5, length, parts,
        SLOTS_AT_ONCE, width, num_warps=4
    )  # fmt: skip
    _join[(batch * length * heads,)](mixed, weights, y, parts, width, num_warps=4)
    return y


@triton.jit
def _attend(q_ptr, c_ptr, length_ptr, slot_ptr, o_ptr, m_ptr, H, stride_v, stride_b, stride_t, scale,
            T: tl.constexpr, PARTS: tl.constexpr, BT: tl.constexpr, D: tl.constexpr):  # fmt: skip
    s = tl.program_id(0)
    h = tl.program_id(1)
    # the position among those of all rows
    i = tl.program_id(2)
    b = i // T
    n = tl.load(length_ptr + b)
    # whole blocks for each program, so that only the last one of a row needs its mask
    per = tl.cdiv(tl.cdiv(n, PARTS), BT) * BT
    end = tl.minimum(s * per + per, n)
    d = tl.arange(0, D)
    q = tl.load(q_ptr + (i * H + h) * D + d).to(tl.float32) * scale
    most = -float("inf")
    weight = 0.0
    mixed = tl.zeros((D,), dtype=tl.float32)
    # offsets in int64: the cache of a few rows has more than 2³¹ elements
    base = c_ptr + b.to(tl.int64) * stride_b + h * D + d[None, :]
    # softmax in one pass: where a higher score comes, what was summed so far is scaled down to it
    for t0 in range(s * per, end, BT):
        t = t0 + tl.arange(0, BT)
        inside = t < end
        for later in tl.static_range(1, T):
            # what was written in this step after this position is not to be seen by it
            slot = tl.load(slot_ptr + i + later, mask=i % T + later < T, other=-1)
            inside = inside & (t != slot)
        at = base + t[:, None].to(tl.int64) * stride_t
        keys = tl.load(at, mask=inside[:, None], other=0.0).to(tl.float32)
        values = tl.load(at + stride_v, mask=inside[:, None], other=0.0).to(tl.float32)
        scores = tl.where(inside, tl.sum(keys * q[None, :], axis=1), -float("inf"))
        higher = tl.maximum(most, tl.max(scores, axis=0))
        p = tl.exp(scores - higher)
        # a block may hold nothing but slots that are not seen
        p = tl.where(inside, p, 0.0)
        fade = tl.where(most == higher, 1.0, tl.exp(most - higher))
        mixed = mixed * fade + tl.sum(p[:, None] * values, axis=0)
        weight = weight * fade + tl.sum(p, axis=0)
        most = higher
    out = (i * H + h) * PARTS + s
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
    _attend_steps[(heads, batch)](
        qkv, state, y, heads, k, *_strides(state), width**-0.5, triton.next_power_of_2(steps), width,
        num_warps=1
    )  # fmt: skip
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
