"""The KV cache: a ring buffer per session that holds exactly the keys which the reference lets a query see.

The reference keeps `context` slots and hides the oldest: after a block of positions ending at S, a query q
sees the keys at S − context + 2 … q. A ring of `context − 1` slots therefore *is* the attention window: every
key in it up to q is visible. One extra "scratch" slot takes the writes of rows that are inactive in a step,
so that leaving a row out costs no copy of its cache.
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
"""CUDA graphs are recorded for this many slots, twice as many, and so on: each graph costs time and memory.
"""


@dataclass
class KVCache:
    """Keys and values of all layers and rows.

    Shapes: `data` is [layers, 2, rows, window + 1, heads, head width]; the last slot, number `window`, is the
    scratch slot.
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
        # `context` slots: the window of context − 1 and the scratch slot
        return cls(torch.zeros(layers, 2, rows, context, heads, head_width, device=device, dtype=dtype))

    @property
    def window(self) -> int:
        """How many positions attention looks back on."""
        return self.data.shape[3] - 1

    def rows(self, start: int, stop: int) -> KVCache:
        """Return a view of some rows."""
        return KVCache(self.data[:, :, start:stop])

    def clear(self, row: int) -> None:
        """Zero a row. Needed after a NaN: attention multiplies masked values by 0, and 0 · NaN is NaN."""
        self.data[:, :, row] = 0

    def filled(self, positions: int) -> int:
        """Return how many slots are in use after `positions` positions."""
        return min(positions, self.window)

    def read_slots(self, positions: int) -> int:
        """Return how many slots a step must read to see all of `positions` positions, in multiples of
        `READ_BUCKET`.
        """
        return min(-(-max(positions, 1) // READ_BUCKET) * READ_BUCKET, self.window)

    def recorded_reads(self) -> list[int]:
        """Return the read sizes that CUDA graphs are recorded for, smallest first; the last one is the whole
        window.
        """
        reads = [RECORDED_READ << k for k in range(self.window.bit_length())]
        return [*(read for read in reads if read < self.window), self.window]


@dataclass(frozen=True)
class Span:
    """What attention needs to know of a block of new positions; computed once and shared by all layers.

    It holds the RoPE rotation, the slots that the new keys are written to, and the mask. A step writes its
    keys first and then reads `read` slots of the ring; a `prefill` reads `read` slots before it writes, and
    attends to its own new keys as well.

    Shapes: `cos`, `sin` [B, T, 1, head width / 2]; `rows` [B, 1] and `slots` [B, T'] with T' ≤ T are the
    places of the last T' positions in the ring; `mask` [B, 1, T, keys], true or 0 for visible keys, or None
    for plain causal attention among the new positions.
    """

    cos: Tensor
    sin: Tensor
    rows: Tensor
    slots: Tensor
    mask: Tensor | None
    read: int
    prefill: bool
    lengths: Tensor | None = None
    """How many slots each row sees with its last position, counted from slot 0, for kernels that take lengths
    instead of a mask: int32 [B]. None where a mask is used.
    """


def ring_positions(last: Tensor, slots: int, window: int) -> Tensor:
    """Return the position that each of the first `slots` slots holds once position `last` is written.

    A negative number stands for a slot that is still empty.

    Shapes: `last` int64 [B] → [B, slots].
    """
    slot = torch.arange(slots, device=last.device)
    # position p is written to slot p mod window: the newest one at or before `last` that falls on each slot
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
    # inactive rows write to the scratch slot
    slots = torch.remainder(new, window).masked_fill(~active[:, None], window)
    cos, sin = rotation(new, head_width, period)
    rows = torch.arange(len(position), device=position.device)[:, None]
    if own_kernels(new.view(-1, 1)):
        # an inactive row reads one slot rather than none, for the same reason as below
        lengths = (position + block).clamp(max=window).masked_fill(~active, 1).int()
        return Span(cos, sin, rows, slots, None, read, prefill=False, lengths=lengths)
    held = ring_positions(position + block - 1, read, window)
    visible = (held[:, None, :] >= 0) & (held[:, None, :] <= new[:, :, None])
    # an inactive row must see at least one key: a softmax over nothing is NaN
    visible = visible | ~active[:, None, None]
    # an additive mask, made once a step: PyTorch would convert a boolean one again in every layer
    mask = torch.zeros_like(visible, dtype=cache.data.dtype).masked_fill_(~visible, -torch.inf)
    return Span(cos, sin, rows, slots, mask[:, None], read, prefill=False)


def prefill_span(
    start: int, length: int, block: int, window: int, head_width: int, period: float, device: torch.device
) -> Span:
    """Return the span of one row's `length` positions from `start` on.

    Each position sees the same keys as if it had been computed in a step of its own.
    """
    new = torch.arange(start, start + length, device=device)
    cos, sin = rotation(new[None], head_width, period)
    # only the last `window` positions survive in the ring; writing the others too would make slots collide
    slots = torch.remainder(new[-window:], window)[None]
    row = torch.zeros(1, 1, dtype=torch.int64, device=device)
    if start == 0 and block == 1 and length <= window:
        return Span(cos, sin, row, slots, None, 0, prefill=True)
    read = min(start, window)
    held = ring_positions(torch.tensor([start - 1], device=device), read, window)[0]
    keys = torch.cat([held, new])
    # the reference moves its window block by block, so all positions of a block lose the same old keys
    block_end = start + torch.div(new - start, block, rounding_mode="floor") * block + block - 1
    oldest = block_end - window + 1
    mask = (keys[None] >= oldest[:, None]) & (keys[None] <= new[:, None])
    return Span(cos, sin, row, slots, mask[None, None], read, prefill=True)
