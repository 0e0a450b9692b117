"""PyTorch's fused products of bfloat16 rows with int4 weights: how the weights lie, and where they work.

Each kind of device has its own layout, and its own product that reads half a byte a weight. Both take codes 0
to 15 with a scale and a zero point for each group of inputs; a weight is (code − 8) · scale + zero point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from .kernels.self_check import TOLERANCE

GROUP = 64
"""Inputs that share a scale."""
CUDA_TILES = 8
"""Inner tiles, of 16 inputs each, in CUDA's layout."""
CPU_BLOCK = 64
"""Outputs in a block of the CPU's layout, with the widest instructions."""


@dataclass(frozen=True)
class Packing:
    """A layout and its product.

    Shapes: `pack` takes int32 codes [N, K] and returns them packed; the first dimension of that, times
    `outputs`, is N. `product` takes rows bfloat16 [B, K], packed codes and scales bfloat16 [K / 64, N, 2] and
    returns bfloat16 [B, N]. Where products of more than `most_rows` are faster unpacked, `unpack` returns
    uint8 codes [N, K].
    """

    outputs: int
    pack: Callable[[Tensor], Tensor]
    product: Callable[[Tensor, Tensor, Tensor], Tensor]
    unpack: Callable[[Tensor], Tensor] | None = None
    most_rows: int = 0


def packable(rows: int, columns: int) -> bool:
    """Return whether a weight has a shape that the products take."""
    return columns % (2 * GROUP) == 0 and rows % CPU_BLOCK == 0


def packing(device: torch.device, rows: int, columns: int) -> Packing | None:
    """Return the packing for a weight [rows, columns]; None where the device or the shape has none."""
    return _packing(device) if packable(rows, columns) else None


@cache
def _packing(device: torch.device) -> Packing | None:
    if device.type == "cpu":
        found = Packing(1, _pack_cpu, _product_cpu, _unpack_cpu, most_rows=6)
    elif device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        found = Packing(8, _pack_cuda, _product_cuda)
    else:
        return None
    # the product may be missing, and the layout another one: it depends on the processor's instructions
    try:
        return found if _is_right(found, device) else None
    except (RuntimeError, AttributeError):
        return None


def _is_right(packing: Packing, device: torch.device) -> bool:
    rows, columns = 2 * CPU_BLOCK, 2 * GROUP
    codes = (torch.arange(rows * columns, device=device) * 7 % 16).view(rows, columns).int()
    scale = torch.linspace(0.5, 1, rows, device=device).to(torch.bfloat16)
    both = torch.stack([scale, torch.zeros_like(scale)], dim=-1).expand(2, rows, 2).contiguous()
    x = torch.sin(torch.arange(3.0 * columns, device=device)).view(3, columns).to(torch.bfloat16)
    packed = packing.pack(codes)
    wanted = x.double() @ ((codes - 8) * scale[:, None].double()).t()
    wrong = (packing.product(x, packed, both).double() - wanted).norm() / wanted.norm()
    unpacks = packing.unpack is None or torch.equal(packing.unpack(packed), codes.to(torch.uint8))
    return bool(wrong < TOLERANCE) and unpacks


def _pack_cuda(codes: Tensor) -> Tensor:
    # neighbours share a byte, the first in its high bits
    bytes_ = (codes[:, ::2] << 4 | codes[:, 1::2]).to(torch.uint8)
    return torch.ops.aten._convert_weight_to_int4pack(bytes_, CUDA_TILES)


def _product_cuda(x: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
    return torch.ops.aten._weight_int4pack_mm(x, codes, GROUP, scale)


def _pack_cpu(codes: Tensor) -> Tensor:
    return torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)


def _product_cpu(x: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
    return torch.ops.aten._weight_int4pack_mm_for_cpu(x, codes, GROUP, scale)


def _unpack_cpu(packed: Tensor) -> Tensor:
    width, places = _cpu_layout()
    return _nibbles(packed, width)[..., places].transpose(1, 2).reshape(len(packed), -1)


def _nibbles(packed: Tensor, width: int) -> Tensor:
    """Return the codes of each block and input in the order in which they lie.

    Shapes: uint8 [N, K / 2] → [N / `width`, K, `width`].
    """
    rows, half = packed.shape
    blocks = packed.view(rows // width, 2 * half, width // 2)
    return torch.cat([blocks & 15, blocks >> 4], dim=-1)


@cache
def _cpu_layout() -> tuple[int, Tensor]:
    """Return how many outputs lie in a block, and where in it: that depends on the processor's instructions.

    Raises: RuntimeError where the layout is another one.
    """
    output = torch.arange(CPU_BLOCK, dtype=torch.int32)[:, None].expand(-1, CPU_BLOCK)
    # four bits tell 16 outputs apart, two packed weights all 64
    high, low = (_pack_cpu(digit.contiguous()) for digit in (output // 16, output % 16))
    for width in (CPU_BLOCK, CPU_BLOCK // 2):
        lying = _nibbles(high, width).int() * 16 + _nibbles(low, width)
        places = lying[0, 0].argsort()
        if torch.equal(lying[0][:, places], output[:width, 0].expand(CPU_BLOCK, -1)):
            return width, places
    raise RuntimeError("packed int4 weights lie in an unknown order")
