# type: ignore
"""A Triton kernel that samples one token a row, with any temperature, top-k and seed (see `sampling`)."""

# types are not checked here: the body of a kernel is Triton's language, not Python's

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..sampling import MIX

_MIX_0 = tl.constexpr(MIX[0])
_MIX_1 = tl.constexpr(MIX[1])
_MIX_2 = tl.constexpr(MIX[2])


def sample(
    logits: Tensor, temperature: Tensor, topk: Tensor, key: Tensor, stream: int, forced: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return a token per row and whether its logits are finite.

    It is the most likely one at temperature 0, else a sample of the `topk` most likely and all that equal the
    last of them; or `forced` where that is not negative.

    Shapes: `logits` [B, card]; `temperature` float32 [B], `topk` int64 [B] and `forced` int64 [B] may be
    columns of larger tensors; `key` int64 [B] (see `frame_key`) → int64 [B], bool [B].
    """
    batch, card = logits.shape
    token = torch.empty(batch, dtype=torch.int64, device=logits.device)
    finite = torch.empty(batch, dtype=torch.bool, device=logits.device)
    block = triton.next_power_of_2(card)
    _sample[(batch,)](
        logits, temperature, topk, key, forced if forced is not None else key, token, finite, card, stream,
        temperature.stride(0), topk.stride(0), forced.stride(0) if forced is not None else 0,
        forced is not None, block,
        num_warps=max(1, min(32, block // 256))
    )  # fmt: skip
    return token, finite


@triton.jit
def _hash(x):
    # SplitMix64; the multiplication wraps around, and shifts fill with zeros
    x = x + tl.cast(_MIX_0, tl.int64).to(tl.uint64, bitcast=True)
    x = (x ^ (x >> 30)) * tl.cast(_MIX_1, tl.int64).to(tl.uint64, bitcast=True)
    x = (x ^ (x >> 27)) * tl.cast(_MIX_2, tl.int64).to(tl.uint64, bitcast=True)
    return x ^ (x >> 31)


@triton.jit
def _sample(
    x_ptr, temperature_ptr, topk_ptr, key_ptr, forced_ptr, token_ptr, finite_ptr, CARD, stream, stride_t,
    stride_k, stride_f, FORCED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    t = tl.arange(0, BLOCK)
    inside = t < CARD
    x = tl.load(x_ptr + row * CARD + t, mask=inside, other=-float("inf")).to(tl.float32)
    temperature = tl.load(temperature_ptr + row * stride_t)
    k = tl.load(topk_ptr + row * stride_k).to(tl.int32)
    # the order of floats is that of these integers: the bits of negative ones turn, but for the sign
    bits = x.to(tl.int32, bitcast=True)
    order = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    # the k-th largest is the largest number that at least k of them reach; its bits are found from the top
    least = tl.full((), -(2**31), tl.int64)
    for b in range(32):
        higher = least + (1 << (31 - b))
        count = tl.sum((order >= higher.to(tl.int32)).to(tl.int32), axis=0)
        least = tl.where(count >= k, higher, least)
    # greedy rows have no limit and no noise
    least = tl.where(temperature > 0, least, -(2**31)).to(tl.int32)
    seed = tl.load(key_ptr + row).to(tl.uint64, bitcast=True)
    noise = _hash(_hash(seed + tl.cast(stream, tl.uint64)) ^ t.to(tl.uint64))
    # the top 24 bits fill float32's mantissa; the half keeps the result off 0 and 1, whose logarithms diverge
    uniform = ((noise >> 40).to(tl.float32) + 0.5) * 5.9604644775390625e-08
    gumbel = -tl.log(-tl.log(uniform))
    # Gumbel-max: the argmax of logits plus Gumbel noise is a sample of their softmax
    score = tl.where(temperature > 0, x / tl.maximum(temperature, 1e-6) + gumbel, x)
    score = tl.where(inside & (order >= least), score, -float("inf"))
    token = tl.argmax(score, axis=0).to(tl.int64)
    if FORCED:
        forced = tl.load(forced_ptr + row * stride_f)
        token = tl.where(forced >= 0, forced, token)
    tl.store(token_ptr + row, token)
    finite = tl.where(inside, (x == x) & (tl.abs(x) != float("inf")), True)
    tl.store(finite_ptr + row, tl.min(finite.to(tl.int32), axis=0) > 0)
