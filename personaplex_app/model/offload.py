"""Layers that do not fit on the device: kept in host memory and copied over, one ahead of the other, for
every pass.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

BUFFERS = 2
"""Layers that are on the device in passing: one computes, the next one arrives."""


def spread(layers: int, away: int) -> frozenset[int]:
    """Return which layers are kept away, evenly spread so that copies run while the layers between them
    compute.
    """
    return frozenset(k * layers // away for k in range(away)) if away else frozenset()


def to_host(stored: Tensor | nn.Module, device: torch.device) -> Tensor | nn.Module:
    """Move a weight to host memory, pinned where a GPU will fetch it from there."""
    if isinstance(stored, nn.Module):
        return stored._apply(lambda tensor: _host(tensor, device))
    return _host(stored, device)


def _host(tensor: Tensor, device: torch.device) -> Tensor:
    held = tensor.cpu()
    return held.pin_memory() if device.type == "cuda" else held


class LayerStream:
    """A stack's layers in order, each where it can compute.

    The copies go round: the end of a pass fetches the next one's beginning.
    """

    def __init__(self, layers: Sequence[nn.Module], away: frozenset[int], device: torch.device) -> None:
        self._layers = list(layers)
        self._away = sorted(away)
        self._buffers = [_Buffer(layers[self._away[0]], device) for _ in range(BUFFERS)]
        self._turn = 0

    @property
    def bytes(self) -> int:
        """How many bytes one pass brings over."""
        return sum(t.numel() * t.element_size() for k in self._away for t in _tensors(self._layers[k]))

    def __iter__(self) -> Iterator[nn.Module]:
        for k, layer in enumerate(self._layers):
            if k not in self._away:
                yield layer
                continue
            buffer = self._buffers[self._turn % BUFFERS]
            self._turn += 1
            if buffer.holds != k:  # the first pass, or the one after a pass that broke off
                buffer.fetch(k, layer)
            yield buffer.ready()
            after = self._away[(self._away.index(k) + BUFFERS) % len(self._away)]
            buffer.fetch(after, self._layers[after])


class _Buffer:
    """Room for one layer on the device."""

    def __init__(self, like: nn.Module, device: torch.device) -> None:
        self.holds = -1
        self._layer = copy.deepcopy(like).to(device)
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None

    def fetch(self, k: int, source: nn.Module) -> None:
        """Begin to copy a layer, once all that was asked of the one before it is done."""
        self.holds = k
        if self._side is None:
            self._copy(source)
            return
        self._side.wait_stream(torch.cuda.current_stream(self._side.device))
        with torch.cuda.stream(self._side):
            self._copy(source)

    def ready(self) -> nn.Module:
        """Return the layer for work that is queued from now on."""
        if self._side:
            torch.cuda.current_stream(self._side.device).wait_stream(self._side)
        return self._layer

    def _copy(self, source: nn.Module) -> None:
        for here, there in zip(_tensors(self._layer), _tensors(source), strict=True):
            here.copy_(there, non_blocking=True)


def _tensors(layer: nn.Module) -> list[Tensor]:
    return [*layer.parameters(), *layer.buffers()]
