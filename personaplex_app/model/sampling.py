"""Sample tokens: every row has its own temperature, top-k and random numbers.

The random numbers are a hash of (seed, position, codebook, token). There is no generator to store, to copy
into a snapshot or to advance in order; they are the same on every device, and do not depend on which other
rows share the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

MIX = (-0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15)
"""SplitMix64's constants as signed 64-bit integers: PyTorch's unsigned ones lack most operations."""


def _shift(x: Tensor, bits: int) -> Tensor:
    """Shift right filling with zeros, which int64 does not do by itself."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _hash(x: Tensor) -> Tensor:
    # int64 multiplication wraps around, as SplitMix64 needs
    x = x + MIX[0]
    x = (x ^ _shift(x, 30)) * MIX[1]
    x = (x ^ _shift(x, 27)) * MIX[2]
    return x ^ _shift(x, 31)


def frame_key(seed: Tensor, position: Tensor) -> Tensor:
    """Return the hash that all random numbers of one frame are derived from.

    Shapes: `seed`, `position` int64 [B] → int64 [B].
    """
    return _hash(_hash(seed) ^ position)


def gumbel(key: Tensor, stream: Tensor, token: Tensor) -> Tensor:
    """Return the Gumbel noise of each token of some streams (0 is text, k + 1 is codebook k).

    Shapes: `key` int64 [B, 1] (see `frame_key`), `stream` int64 [1, S], `token` int64 [B or 1, S or 1, n] →
    float32 [B, S, n].
    """
    # hashed in two steps, so that codebooks do not share their noise
    row = _hash(key + stream)
    # the top 24 bits fill float32's mantissa; the half keeps the result off 0 and 1, whose logarithms diverge
    uniform = (_shift(_hash(row[..., None] ^ token), 40).float() + 0.5) * 2.0**-24
    return -torch.log(-torch.log(uniform))


def sample(
    logits: Tensor, temperature: Tensor, topk: Tensor, widest: int, noise: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return a token per row: the most likely one at temperature 0, else a sample of the `topk` most likely.

    Shapes: `logits` float32 [B, card]; `temperature` float32 [B]; `topk` int64 [B], each from 1 to `widest` →
    int64 [B]. `noise` returns the Gumbel noise float32 [B, n] of tokens int64 [B, n].
    """
    greedy = logits.argmax(dim=-1)
    if not widest:
        return greedy
    best, token = logits.topk(widest, dim=-1)
    # `topk` differs by row, `widest` is common: each row masks what lies below its own k-th best logit
    least = best.gather(1, (topk - 1)[:, None])
    # greedy rows are divided by the floor, and what comes of them is not used
    scaled = best / temperature.clamp(min=1e-6)[:, None] + noise(token)
    # Gumbel-max: the argmax of logits plus Gumbel noise is a sample of their softmax
    choice = scaled.masked_fill(best < least, -torch.inf).argmax(dim=-1, keepdim=True)
    return torch.where(temperature > 0, token.gather(1, choice)[:, 0], greedy)
