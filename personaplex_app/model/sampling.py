"""Choosing tokens: every row has its own temperature, top-k and random stream.

The random numbers are a hash of (seed, position, codebook, token): no generator to keep, to copy into a
snapshot or to step in order, the same on every device, and no row's draw depends on which other rows share
its batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_MIX = (-0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15)
"""SplitMix64's constants as signed numbers."""


def _shift(x: Tensor, bits: int) -> Tensor:
    """Shift right filling with zeros, which int64 does not do by itself."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _hash(x: Tensor) -> Tensor:
    x = x + _MIX[0]
    x = (x ^ _shift(x, 30)) * _MIX[1]
    x = (x ^ _shift(x, 27)) * _MIX[2]
    return x ^ _shift(x, 31)


def frame_key(seed: Tensor, position: Tensor) -> Tensor:
    """Return what all random numbers of one frame are made from.

    Shapes: `seed`, `position` int64 [B] → int64 [B].
    """
    return _hash(_hash(seed) ^ position)


def gumbel(key: Tensor, stream: Tensor, token: Tensor) -> Tensor:
    """Return Gumbel noise that belongs to each token of some streams (0 is text, k + 1 is codebook k).

    Shapes: `key` int64 [B, 1] (see `frame_key`), `stream` int64 [1, S], `token` int64 [B or 1, S or 1, n] →
    float32 [B, S, n].
    """
    row = _hash(key + stream)
    uniform = (_shift(_hash(row[..., None] ^ token), 40).float() + 0.5) * 2.0**-24
    return -torch.log(-torch.log(uniform))


def sample(
    logits: Tensor, temperature: Tensor, topk: Tensor, widest: int, noise: Callable[[Tensor], Tensor]
) -> Tensor:
    """Choose a token per row: the most likely one where the temperature is 0, else one of the `topk` most
    likely.

    Shapes: `logits` float32 [B, card]; `temperature` float32 [B]; `topk` int64 [B], each from 1 to `widest` →
    int64 [B]. `noise` returns the Gumbel noise float32 [B, n] of tokens int64 [B, n].
    """
    greedy = logits.argmax(dim=-1)
    if not widest:
        return greedy
    best, token = logits.topk(widest, dim=-1)
    least = best.gather(1, (topk - 1)[:, None])
    scaled = best / temperature.clamp(min=1e-6)[:, None] + noise(token)
    place = scaled.masked_fill(best < least, -torch.inf).argmax(dim=-1, keepdim=True)
    return torch.where(temperature > 0, token.gather(1, place)[:, 0], greedy)
