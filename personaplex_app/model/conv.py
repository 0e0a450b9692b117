"""Causal streaming convolutions: the samples they keep between frames are state that the caller passes in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .quantize import linear

Memory = dict[str, Tensor]
"""The samples that each convolution keeps between frames, by module name. Shapes: [rows, channels, samples].
"""

PRODUCT_SAMPLES = 512
"""Convolutions of up to this many output samples are computed as one matrix product."""


def update_memory(memory: Tensor, new: Tensor, active: Tensor) -> None:
    """Replace the kept samples of the active rows, in place."""
    memory.copy_(torch.where(active[:, None, None], new, memory))


class Streaming(nn.Module):
    """A module that keeps samples between frames; `assign_keys` gives it its key in the memory."""

    key = ""

    def shape(self) -> tuple[int, int]:
        """Return how many channels and samples are kept between frames; none by default."""
        return 0, 0


class _Conv(nn.Module):
    """Adds the nesting level that the released file's keys have (`conv.conv.weight`)."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.conv = conv


class _ConvTranspose(nn.Module):
    def __init__(self, convtr: nn.ConvTranspose1d) -> None:
        super().__init__()
        self.convtr = convtr


class StreamConv(Streaming):
    """Convolution whose left padding is the end of the previous frame.

    A stream's first frame is padded with zeros, or with its first sample where `repeat_first` is set.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = True,
        repeat_first: bool = False,
    ) -> None:
        super().__init__()
        self.conv = _Conv(nn.Conv1d(channels, out, kernel, stride, dilation=dilation, bias=bias))
        self.left_samples = (kernel - 1) * dilation + 1 - stride
        self.repeat_first = repeat_first

    def shape(self) -> tuple[int, int]:
        return self.conv.conv.in_channels, self.left_samples

    def forward(self, x: Tensor, memory: Memory, first: Tensor, active: Tensor) -> Tensor:
        if self.left_samples:
            held = memory[self.key]
            left = torch.where(first[:, None, None], x[..., :1], held) if self.repeat_first else held
            x = torch.cat([left, x], dim=-1)
            # after `cat` has copied the old samples, since this overwrites them
            update_memory(held, x[..., -self.left_samples :], active)
        inner = self.conv.conv
        kernel = inner.kernel_size[0]
        stride = inner.stride[0]
        if inner.dilation[0] > 1 or x.shape[-1] > PRODUCT_SAMPLES * stride:
            return inner(x)
        # few outputs from many channels: one matrix product is several times faster on a CPU than PyTorch's
        # convolution
        windows = x.unfold(-1, kernel, stride).transpose(1, 2).flatten(2)
        y = linear(windows, inner.weight.flatten(1)).transpose(1, 2)
        return y if inner.bias is None else y + inner.bias[:, None]


class StreamConvTranspose(Streaming):
    """Transposed convolution with a kernel of two strides.

    Each input also contributes to the outputs of the next one. What the last input of a frame contributes to
    the next frame is kept and added there (overlap-add).
    """

    def __init__(self, channels: int, out: int, stride: int, groups: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.convtr = _ConvTranspose(
            nn.ConvTranspose1d(channels, out, 2 * stride, stride, groups=groups, bias=bias)
        )
        self.overhang_samples = stride

    def shape(self) -> tuple[int, int]:
        return self.convtr.convtr.out_channels, self.overhang_samples

    def forward(self, x: Tensor, memory: Memory, first: Tensor, active: Tensor) -> Tensor:
        inner = self.convtr.convtr
        stride = inner.stride[0]
        parts = self._parts(x)
        # the first half of the kernel falls on an input's own samples, the second half on the next input's
        own = parts[..., :stride]
        later = parts[..., stride:]
        later = torch.cat([memory[self.key][:, :, None, :], later], dim=2)
        y = (own + later[:, :, :-1]).flatten(2)
        update_memory(memory[self.key], later[:, :, -1], active)
        return y if inner.bias is None else y + inner.bias[:, None]

    def _parts(self, x: Tensor) -> Tensor:
        """Return what every input adds to the output.

        One matrix product, which is many times faster on a CPU than PyTorch's transposed convolution.

        Shapes: `x` [B, C, T] → [B, out, T, kernel].
        """
        inner = self.convtr.convtr
        if inner.groups == inner.in_channels:
            return x[..., None] * inner.weight[:, 0][:, None]
        channels, out, kernel = inner.weight.shape
        mixed = linear(x.transpose(1, 2), inner.weight.permute(1, 2, 0).reshape(out * kernel, channels))
        return mixed.unflatten(-1, (out, kernel)).transpose(1, 2)


class Elu(nn.Module):
    def forward(self, x: Tensor, memory: Memory, first: Tensor, active: Tensor) -> Tensor:
        return nn.functional.elu(x)


class StreamSequence(nn.Module):
    """Runs modules one after the other, all with the same memory."""

    def __init__(self, modules: list[nn.Module]) -> None:
        super().__init__()
        self.model = nn.ModuleList(modules)

    def forward(self, x: Tensor, memory: Memory, first: Tensor, active: Tensor) -> Tensor:
        for module in self.model:
            x = module(x, memory, first, active)
        return x


class Residual(nn.Module):
    """SEANet's residual block."""

    def __init__(self, channels: int, kernel: int, dilation: int, compress: int) -> None:
        super().__init__()
        hidden = channels // compress
        self.block = nn.ModuleList(
            [
                Elu(),
                StreamConv(channels, hidden, kernel, dilation=dilation),
                Elu(),
                StreamConv(hidden, channels, 1),
            ]
        )

    def forward(self, x: Tensor, memory: Memory, first: Tensor, active: Tensor) -> Tensor:
        y = x
        for module in self.block:
            y = module(y, memory, first, active)
        return x + y


def lay_out_weights(root: nn.Module) -> None:
    """Store the transposed convolutions' weights in the order in which their matrix product reads them.

    Only the strides change, not the shape: the state dict's keys and shapes stay those of the released file.
    """
    for module in root.modules():
        if isinstance(module, nn.ConvTranspose1d) and module.groups == 1:
            module.weight.data = module.weight.data.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def assign_keys(root: nn.Module) -> None:
    """Give every streaming module its key in the memory: its name within `root`."""
    for name, module in root.named_modules():
        if isinstance(module, Streaming):
            module.key = name


def empty_memory(root: nn.Module, rows: int, device: torch.device, dtype: torch.dtype) -> Memory:
    """Return the memory of streams that have not begun."""
    streaming = [m for m in root.modules() if isinstance(m, Streaming)]
    return {
        m.key: torch.zeros(rows, *m.shape(), device=device, dtype=dtype) for m in streaming if m.shape()[1]
    }
