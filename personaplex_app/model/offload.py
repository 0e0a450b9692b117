"""Offload layers that do not fit on the device: keep them in host memory and copy them over in every pass.

While one layer computes, the next one is being copied.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

BUFFERS = 2
"""Device buffers for offloaded layers: one layer computes while the next one is copied."""


def spread_layers(layers: int, offloaded: int) -> frozenset[int]:
    """Return which layers to offload, evenly spread so that copies overlap with the layers between them."""
    return frozenset(k * layers // offloaded for k in range(offloaded)) if offloaded else frozenset()


def to_host(stored: Tensor | nn.Module, device: torch.device) -> Tensor | nn.Module:
    """Move a weight to host memory, pinned where a GPU will copy it from there."""
    if isinstance(stored, nn.Module):
        # `_apply` reaches the buffers of a quantised weight, which `to` would not pin
        return stored._apply(lambda tensor: _host(tensor, device))
    return _host(stored, device)


def _host(tensor: Tensor, device: torch.device) -> Tensor:
    held = tensor.cpu()
    return held.pin_memory() if device.type == "cuda" else held


class LayerStream:
    """Yields a stack's layers in order, each ready on the device.

    Copies wrap around: the end of a pass already fetches the first layers of the next pass.
    """

    def __init__(self, layers: Sequence[nn.Module], offloaded: frozenset[int], device: torch.device) -> None:
        self._layers = list(layers)
        self._offloaded = sorted(offloaded)
        self._buffers = [_Buffer(layers[self._offloaded[0]], device) for _ in range(BUFFERS)]
        self._next_buffer = 0

    @property
    def bytes(self) -> int:
        """How many bytes are copied in one pass."""
        return sum(t.numel() * t.element_size() for k in self._offloaded for t in _tensors(self._layers[k]))

    def __iter__(self) -> Iterator[nn.Module]:
        for k, layer in enumerate(self._layers):
            if k not in self._offloaded:
                yield layer
                continue
            buffer = self._buffers[self._next_buffer % BUFFERS]
            self._next_buffer += 1
            if buffer.layer_index != k:  # the first pass, or the one after an interrupted pass
                buffer.fetch(k, layer)
            yield buffer.ready()
            # resumed when the next layer is asked for: this one's work is queued by then, and the copy
            # waits for it on the device
            after = self._offloaded[(self._offloaded.index(k) + BUFFERS) % len(self._offloaded)]
            buffer.fetch(after, self._layers[after])


class _Buffer:
    """Device memory for one layer, filled on a CUDA stream of its own."""

    def __init__(self, like: nn.Module, device: torch.device) -> None:
        self.layer_index = -1
        # any layer will do as the template: all have the same shapes
        self._layer = copy.deepcopy(like).to(device)
        self._copy_stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def fetch(self, k: int, source: nn.Module) -> None:
        """Begin to copy layer `k`, once the device has finished with the buffer's previous layer."""
        self.layer_index = k
        if self._copy_stream is None:
            self._copy(source)
            return
        self._copy_stream.wait_stream(torch.cuda.current_stream(self._copy_stream.device))
        with torch.cuda.stream(self._copy_stream):
            self._copy(source)

    def ready(self) -> nn.Module:
        """Return the layer; work queued from now on waits for its copy."""
        if self._copy_stream:
            torch.cuda.current_stream(self._copy_stream.device).wait_stream(self._copy_stream)
        return self._layer

    def _copy(self, source: nn.Module) -> None:
        for target, tensor in zip(_tensors(self._layer), _tensors(source), strict=True):
            target.copy_(tensor, non_blocking=True)


def _tensors(layer: nn.Module) -> list[Tensor]:
    return [*layer.parameters(), *layer.buffers()]
