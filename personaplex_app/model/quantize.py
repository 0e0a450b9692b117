"""Quantise weights to 8 or 4 bits while they are loaded, and multiply by them.

Neither `torch.compile` nor further packages are needed.

int8 is symmetric with a scale per output channel. Activations are split into two int8 rows, the second one
for what the first rounds off, about 15 bits in all. One integer product multiplies both by the weights; it
reads one byte a weight and sums exactly in int32. A row's result therefore does not depend on its batch, and
nothing can overflow. On a CPU bfloat16 rows take PyTorch's product with int8 weights instead: it is faster.

int4 is symmetric with a scale per group of 64 inputs. It takes PyTorch's fused products where they work
(`int4_packing`) or the engine's own kernel; else it is unpacked before every product, a slab of rows at a
time, which saves memory and costs time: about eight bytes a weight are then moved.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .int4_packing import CPU_BLOCK, GROUP, Packing, packable, packing
from .kernels import own_kernels
from .kernels.self_check import TOLERANCE
from .prepacked import PackedWeight

QUANTIZATIONS = ("none", "int8", "int4")
INT8_FEW_ROWS = 6
"""A CPU multiplies up to so many rows with kernels that read the weights once for each; more rows are faster
as one large product.
"""
SLAB_WEIGHTS = 1 << 24
"""Quantising and unpacking hold float copies of at most this many weights at a time."""
INTEGER_ROWS = 32
"""Rows are padded to a multiple of this: CUDA's integer product needs more than 16 of them, and K and N in
multiples of 8.
"""
FLOAT16_TARGET = 16.0
"""Activations are scaled to this largest value before a product with float16 weights, so that neither they
nor their sums leave float16's range.
"""
ONEDNN_LEAST = 1 << 20
"""oneDNN's product takes 30 µs to begin, in which MKL has read a weight of so many elements."""
TINY = 1e-30
"""Smallest scale: a row of zeros must not be divided by zero."""
OWN_PLAIN_ROWS = 2
OWN_QUANTIZED_ROWS = 4
"""Up to so many rows our own kernels are faster than PyTorch's products, measured on an H100."""


def scheme_of(key: str, shape: tuple[int, ...], quantize: str) -> str:
    """Return how a tensor of the language model is stored: "none", "int8" or "int4".

    Embeddings and norms are never quantised. Under int4 the depformer and the output heads stay at int8: they
    are a tenth of the weights, and choose the tokens.
    """
    if quantize == "none" or len(shape) != 2 or "emb" in key.split(".")[0]:
        return "none"
    return quantize if key.startswith("transformer.") else "int8"


def stored_bytes(shape: tuple[int, ...], scheme: str, element_bytes: int) -> int:
    """Return the size of a tensor under a scheme, at most."""
    if scheme == "none":
        return torch.Size(shape).numel() * element_bytes
    rows, columns = shape
    if scheme == "int8":
        return rows * (columns + 4)
    padded = columns + -columns % (2 * GROUP)
    # a packed weight has a zero point beside each scale
    return rows * (padded // 2 + padded // GROUP * (4 if packable(rows, columns) else 2))


def quantized(tensor: Tensor, scheme: str, integer: bool) -> Int8Weight | Int4Weight:
    """Return a weight [N, K] in its quantised form.

    `integer` says whether the device's integer product may be used (see `integer_product_works`).
    """
    return Int8Weight(tensor, integer) if scheme == "int8" else Int4Weight(tensor)


def integer_product_works(device: torch.device) -> bool:
    """Return whether the device's integer product exists and is correct: some drivers and cards lack it."""
    left = (torch.arange(INTEGER_ROWS * 64, device=device) % 251 - 125).to(torch.int8).view(INTEGER_ROWS, 64)
    right = (torch.arange(48 * 64, device=device) % 241 - 120).to(torch.int8).view(48, 64)
    try:
        found = torch._int_mm(left, right.t())
    except RuntimeError:
        return False
    return torch.equal(found.double(), left.double() @ right.double().t())


@cache
def _cpu_int8_works(device: torch.device) -> bool:
    """Return whether PyTorch's product of bfloat16 rows with int8 weights exists here and is correct."""
    if device.type != "cpu":
        return False
    codes = (torch.arange(64 * 48) % 251 - 125).to(torch.int8).view(64, 48)
    x = torch.sin(torch.arange(96.0)).view(2, 48).to(torch.bfloat16)
    scale = torch.ones(64, dtype=torch.bfloat16)
    try:
        found = torch._weight_int8pack_mm(x, codes, scale)
    except RuntimeError:
        return False
    wanted = x.double() @ codes.double().t()
    return bool((found.double() - wanted).norm() < TOLERANCE * wanted.norm())


class Linear(nn.Linear):
    """A linear layer without bias whose weight may be packed or quantised."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__(width, out, bias=False)

    def reset_parameters(self) -> None:
        """Leave the weight as it is allocated: it comes from a file, and numbers drawn before take time."""

    def forward(self, input: Tensor, residual: Tensor | None = None, gain: Tensor | None = None) -> Tensor:
        return linear(input, self.weight, residual=residual, gain=gain)


def linear(
    x: Tensor,
    weight: Tensor | Int8Weight | Int4Weight | PackedWeight,
    rows: slice = slice(None),
    residual: Tensor | None = None,
    gain: Tensor | None = None,
) -> Tensor:
    """Return the product of `x` with some rows of a weight, plain, packed or quantised.

    It is multiplied by `gain` and added to `residual` where they are given.

    Shapes: `x` [..., K], `weight` [N, K], `gain` [rows] → [..., rows] in the type of `x`.
    """
    if isinstance(weight, (Int4Weight, PackedWeight)):
        return _finished(weight.matmul(x, rows), residual, gain)
    plain = isinstance(weight, Tensor)
    if (own := own_kernels(x)) and _few(x, OWN_PLAIN_ROWS if plain else OWN_QUANTIZED_ROWS):
        codes, scale = (weight[rows], None) if plain else (weight.codes[rows], weight.scale[rows])
        return own.product(x, codes, scale, residual, gain)
    y = _product(x, weight[rows]) if plain else weight.matmul(x, rows)
    return _finished(y, residual, gain)


def _few(x: Tensor, rows: int) -> bool:
    return x.numel() <= rows * x.shape[-1]


def _finished(y: Tensor, residual: Tensor | None, gain: Tensor | None) -> Tensor:
    y = y if gain is None else gain * y
    return y if residual is None else residual + y


def _product(x: Tensor, weight: Tensor) -> Tensor:
    if x.dtype == weight.dtype:
        # on a CPU PyTorch gives float32 to MKL, which for a few rows of activations reads the weights at less
        # than half of the memory's bandwidth; oneDNN is faster
        large = x.dtype == torch.float32 and x.device.type == "cpu" and weight.numel() >= ONEDNN_LEAST
        onednn = _onednn_linear() if large else None
        return onednn(x, weight, None, "none", [], "") if onednn else F.linear(x, weight)
    # float16 weights and a float32 residual stream
    scale = x.abs().amax(dim=-1, keepdim=True).clamp(min=TINY) / FLOAT16_TARGET
    return F.linear((x / scale).to(weight.dtype), weight).to(x.dtype) * scale


@cache
def _onednn_linear() -> Callable[..., Tensor] | None:
    """Return oneDNN's linear operator, None where this build of PyTorch lacks it."""
    found = (
        getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None
    )
    return found.default if found else None


def _slabs(rows: int, columns: int) -> range:
    """Return where the slabs of a weight [rows, columns] begin: whole blocks of packed outputs each."""
    return range(0, rows, max(SLAB_WEIGHTS // columns // CPU_BLOCK, 1) * CPU_BLOCK)


class Int8Weight(nn.Module):
    """A weight in int8 with a scale per output channel.

    Shapes: `codes` int8 [N, K], `scale` float32 [N].
    """

    codes: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, integer: bool) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.register_buffer("codes", torch.empty(rows, columns, dtype=torch.int8, device=weight.device))
        self.register_buffer("scale", torch.empty(rows, dtype=torch.float32, device=weight.device))
        self._integer = integer and rows % 8 == 0 and columns % 8 == 0
        self._dtype = weight.dtype
        slabs = _slabs(rows, columns)
        for start in slabs:
            part = weight[start : start + slabs.step].float()
            scale = part.abs().amax(dim=1).clamp(min=TINY) / 127
            if weight.dtype == torch.bfloat16 and _cpu_int8_works(weight.device):
                # the product takes scales in bfloat16: the codes are made for what it will multiply by
                scale = scale.to(torch.bfloat16).float()
            self.scale[start : start + slabs.step] = scale
            self.codes[start : start + slabs.step] = (
                (part / scale[:, None]).round().clamp(-127, 127).to(torch.int8)
            )

    def matmul(self, x: Tensor, rows: slice) -> Tensor:
        """Return the product of `x` with some rows (see `linear`)."""
        codes = self.codes[rows]
        scale = self.scale[rows]
        if (
            _cpu_int8_works(x.device)
            and _few(x, INT8_FEW_ROWS)
            and x.dtype == torch.bfloat16
            and not x.shape[-1] % 16
        ):
            y = torch._weight_int8pack_mm(x.reshape(-1, x.shape[-1]), codes, scale.to(x.dtype))
            return y.view(*x.shape[:-1], -1)
        if not self._integer or len(codes) % 8:
            return _product(x, codes.to(self._dtype) * scale[:, None].to(self._dtype))
        y = _integer_product(x.reshape(-1, x.shape[-1]).float(), codes) * scale
        return y.to(x.dtype).view(*x.shape[:-1], -1)


def _integer_product(x: Tensor, codes: Tensor) -> Tensor:
    """Multiply activations by int8 codes in integers; the weight's scale is left to the caller.

    Shapes: `x` float32 [B, K], `codes` int8 [N, K] → float32 [B, N].
    """
    batch = len(x)
    # x ≈ high · high_scale + low · low_scale: `low` holds what rounding to `high` lost
    high_scale = x.abs().amax(dim=1, keepdim=True).clamp(min=TINY) / 127
    high = (x / high_scale).round()
    low_scale = high_scale / 254
    low = ((x - high * high_scale) / low_scale).round().clamp(-127, 127)
    padding_rows = -2 * batch % INTEGER_ROWS if x.is_cuda else 0
    stacked = F.pad(torch.cat([high, low]), (0, 0, 0, padding_rows)).to(torch.int8)
    if not x.is_cuda and len(stacked) <= INT8_FEW_ROWS:
        # a CPU multiplies one row at the speed of its memory, and two rows several times slower
        rows = [torch._int_mm(row[None], codes.t()) for row in stacked]
        sums = torch.cat(rows).float()
        return sums[:batch] * high_scale + sums[batch:] * low_scale
    sums = torch._int_mm(stacked, codes.t())[: 2 * batch].float()
    # int8 cannot hold a NaN or an infinity, but `high_scale` does, and passes it on to the result
    return sums[:batch] * high_scale + sums[batch:] * low_scale


class Int4Weight(nn.Module):
    """A weight in int4 with a scale per group of 64 inputs, two weights a byte.

    The first half of the inputs lies in the high four bits, the second half in the low ones, both signed.
    Shapes: `codes` int8 [N, K' / 2], `scale` [N, K' / 64] with K' the inputs up to whole pairs of groups.

    Where PyTorch has a fused product for the device and the shape (`packing`), `codes` lie as that wants
    them, and `scale` is [K / 64, N, 2] with a zero point, 0, beside each.
    """

    codes: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.rows, self.columns = weight.shape
        self._dtype = weight.dtype
        # float16's range is too small for what a bfloat16 product returns
        self._packing = None if weight.dtype == torch.float16 else packing(weight.device, *weight.shape)
        padded = self.columns + -self.columns % (2 * GROUP)
        # bfloat16 has float32's range; float16 holds neither very small nor very large scales
        scale = torch.empty(self.rows, padded // GROUP, dtype=torch.bfloat16, device=weight.device)
        parts = []
        slabs = _slabs(self.rows, padded)
        for start in slabs:
            slab = slice(start, start + slabs.step)
            part = F.pad(weight[slab].float(), (0, padded - self.columns)).unflatten(1, (-1, GROUP))
            # the value furthest from zero becomes −8, whatever its sign, so that all sixteen codes are used
            furthest = part.gather(2, part.abs().argmax(dim=2, keepdim=True))
            size = (furthest / -8).to(torch.bfloat16)
            # a group of zeros has the scale 0
            divisor = torch.where(size == 0, 1.0, size.float())
            scale[slab] = size[..., 0]
            codes = (part / divisor).round().clamp(-8, 7).flatten(1).to(torch.int8)
            if self._packing:
                parts.append(self._packing.pack(codes.int() + 8))
            else:
                high, low = codes.chunk(2, dim=1)
                parts.append((high << 4) | (low & 15))
        self.register_buffer("codes", torch.cat(parts))
        zeros = torch.zeros_like(scale.t())
        self.register_buffer("scale", torch.stack([scale.t(), zeros], dim=-1) if self._packing else scale)

    def matmul(self, x: Tensor, rows: slice) -> Tensor:
        """Return the product of `x` with some rows (see `linear`)."""
        if self._packing:
            return self._packed_product(self._packing, x, rows)
        codes = self.codes[rows]
        scale = self.scale[rows]
        if (own := own_kernels(x)) and _few(x, OWN_QUANTIZED_ROWS):
            return own.product_int4(x, codes, scale)
        high, low = F.pad(x, (0, 2 * codes.shape[1] - self.columns)).chunk(2, dim=-1)
        slabs = _slabs(len(codes), self.columns)
        parts = []
        for s in slabs:
            part = codes[s : s + slabs.step]
            scales = scale[s : s + slabs.step].to(self._dtype).chunk(2, dim=1)
            # arithmetic shifts extend the sign of the four bits
            high_weight = _scaled(part >> 4, scales[0])
            low_weight = _scaled((part << 4) >> 4, scales[1])
            parts.append(_product(high, high_weight) + _product(low, low_weight))
        return torch.cat(parts, dim=-1)

    def _packed_product(self, packing: Packing, x: Tensor, rows: slice) -> Tensor:
        start, stop, _ = rows.indices(self.rows)
        # whole blocks of outputs: the parts of a weight that are taken alone are a third or two of it
        codes = self.codes[start // packing.outputs : stop // packing.outputs]
        scale = self.scale[:, start:stop].contiguous()
        flat = x.reshape(-1, self.columns)
        if packing.unpack is None or len(flat) <= packing.most_rows:
            y = packing.product(flat.to(torch.bfloat16), codes, scale).to(x.dtype)
        else:
            slabs = _slabs(stop - start, self.columns)
            parts = []
            for s in slabs:
                part = packing.unpack(codes[s : s + slabs.step]).to(self._dtype) - 8
                parts.append(
                    _product(flat, _scaled(part, scale[:, s : s + slabs.step, 0].t().to(self._dtype)))
                )
            y = torch.cat(parts, dim=-1)
        return y.view(*x.shape[:-1], -1)


def _scaled(codes: Tensor, scale: Tensor) -> Tensor:
    return (codes.unflatten(1, (-1, GROUP)) * scale[..., None]).flatten(1)
