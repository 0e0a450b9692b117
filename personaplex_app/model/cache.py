"""The KV cache: a ring per session that holds exactly what the reference lets a query see.

The reference keeps `context` slots and hides the oldest: after a block of positions ending at S, a query q
sees the keys at S − context + 2 … q. A ring of `context − 1` slots therefore *is* the window: what it holds
is visible, up to q. One more slot takes the writes of rows that do not take part in a step, so that masking a
row costs no copy of its cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .kernels import own_kernels

READ_BUCKET = 64
"""Attention reads whole multiples of this many slots, so that few different shapes occur."""
RECORDED_READ = 512
"""Recorded steps read this many slots, twice as many, and so on: every record takes time and memory."""


@dataclass
class KVCache:
    """Keys and values of all layers and rows.

    Shapes: `data` is [layers, 2, rows, window + 1, heads, head width]; slot `window` is scratch.
    """

    data: Tensor

    @classmethod
    def empty(
        cls,
        layers: int,
        rows: int,
        context: int,
        heads: int,
        head_width: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> KVCache:
        """Return a cache of zeros."""
        return cls(torch.zeros(layers, 2, rows, context, heads, head_width, device=device, dtype=dtype))

    @property
    def window(self) -> int:
        return self.data.shape[3] - 1

    def rows(self, start: int, stop: int) -> KVCache:
        """Return a view of some rows."""
        return KVCache(self.data[:, :, start:stop])

    def clear(self, row: int) -> None:
        """Forget a row. Needed where its numbers broke: a masked NaN is still a NaN."""
        self.data[:, :, row] = 0

    def filled(self, positions: int) -> int:
        """Return how many slots hold something after `positions` positions."""
        return min(positions, self.window)

    def read_slots(self, positions: int) -> int:
        """Return how many slots a step must read so that all of `positions` positions are seen."""
        return min(-(-max(positions, 1) // READ_BUCKET) * READ_BUCKET, self.window)

    def recorded_reads(self) -> list[int]:
        """Return the few amounts of slots that steps are recorded with, the last one all."""
        reads = [RECORDED_READ << k for k in range(self.window.bit_length())]
        return [*(read for read in reads if read < self.window), self.window]


@dataclass(frozen=True)
class Span:
    """Where a block of new positions lies: what to rotate by, where to write, what to see. Computed once for
    all layers.

    Shapes: `cos`, `sin` [B, T, 1, head width / 2]; `rows` [B, 1] and `slots` [B, T'] with T' ≤ T say where
    the last positions stay in the ring; `mask` [B, 1, T, keys], true or 0 for what is seen, or None for plain
    causal attention among the new positions.
    `read` slots of the ring are looked at; `prefill` looks at them before the new keys are written, and at
    the new keys beside them.
    """

    cos: Tensor
    sin: Tensor
    rows: Tensor
    slots: Tensor
    mask: Tensor | None
    read: int
    prefill: bool
    lengths: Tensor | None = None
    """Where kernels need no mask: how many slots each row sees, the first ones. int32 [B]."""


def ring_positions(last: Tensor, slots: int, window: int) -> Tensor:
    """Return the position that each of the first `slots` slots holds once `last` is written, negative for
    none.

    Shapes: `last` int64 [B] → [B, slots].
    """
    slot = torch.arange(slots, device=last.device)
    return last[:, None] - torch.remainder(last[:, None] - slot, window)


def rotation(positions: Tensor, head_width: int, period: float) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of RoPE's angles.

    Shapes: `positions` int64 [B, T] → two float32 [B, T, 1, head width / 2].
    """
    pair = torch.arange(head_width // 2, device=positions.device, dtype=torch.float32)
    frequency = torch.exp(pair * (-math.log(period) * 2 / head_width))
    angle = positions.float()[:, :, None, None] * frequency
    return torch.cos(angle), torch.sin(angle)


def step_span(position: Tensor, active: Tensor, block: int, cache: KVCache, read: int, period: float) -> Span:
    """Return the span of one step of `block` positions per row of `cache`, of which `read` slots are seen.

    Shapes: `position` int64 [B] is where each row's block begins, `active` bool [B] says which rows take
    part.
    """
    window, head_width = cache.window, cache.data.shape[-1]
    steps = torch.arange(block, device=position.device)
    new = position[:, None] + steps
    slots = torch.remainder(new, window).masked_fill(~active[:, None], window)
    cos, sin = rotation(new, head_width, period)
    rows = torch.arange(len(position), device=position.device)[:, None]
    if block == 1 and own_kernels(rows):
        lengths = (position + 1).clamp(max=window).masked_fill(~active, 1).int()
        return Span(cos, sin, rows, slots, None, read, prefill=False, lengths=lengths)
    held = ring_positions(position + block - 1, read, window)
    visible = (held[:, None, :] >= 0) & (held[:, None, :] <= new[:, :, None])
    # an idle row must see something, or its softmax is not a number
    visible = visible | ~active[:, None, None]
    # as numbers to add, once a step: given as true and false, every layer would convert it
    mask = torch.zeros_like(visible, dtype=cache.data.dtype).masked_fill_(~visible, -torch.inf)
    return Span(cos, sin, rows, slots, mask[:, None], read, prefill=False)


def prefill_span(
    start: int, length: int, block: int, window: int, head_width: int, period: float, device: torch.device
) -> Span:
    """Return the span of one row's `length` positions from `start` on, each seeing what it would see step by
    step.
    """
    new = torch.arange(start, start + length, device=device)
    cos, sin = rotation(new[None], head_width, period)
    slots = torch.remainder(new[-window:], window)[None]
    row = torch.zeros(1, 1, dtype=torch.int64, device=device)
    if start == 0 and block == 1 and length <= window:
        return Span(cos, sin, row, slots, None, 0, prefill=True)
    read = min(start, window)
    held = ring_positions(torch.tensor([start - 1], device=device), read, window)[0]
    keys = torch.cat([held, new])
    block_end = start + torch.div(new - start, block, rounding_mode="floor") * block + block - 1
    oldest = block_end - window + 1
    mask = (keys[None] >= oldest[:, None]) & (keys[None] <= new[:, None])
    return Span(cos, sin, row, slots, mask[None, None], read, prefill=True)
