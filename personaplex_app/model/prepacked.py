"""Plain weights in oneDNN's own order, which some processors read faster than rows.

Whether they do is measured once per process and number type; where the product does not exist (bfloat16 needs
AVX-512 or better), is wrong or is not faster, weights stay as they are.
"""

from __future__ import annotations

import time
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .kernels.self_check import TOLERANCE

LEAST_BYTES = 2**20
"""Smaller weights stay in the processor's cache, where their order does not matter."""
CHECK_SHAPE = (1024, 4096)
CHECK_BYTES = 64 * 2**20
"""Timing reads so many bytes of different weights: more than a processor's cache holds."""
CHECK_ROUNDS = 5
LEAST_GAIN = 1.05
"""Packing changes how sums are rounded; it must be so many times as fast to be taken."""


class PackedWeight(nn.Module):
    """A weight [N, K] in oneDNN's order, in parts of `part_rows` outputs that can be multiplied alone.

    The parts are buffers of opaque tensors: they count as memory, and can be neither viewed nor copied into.
    """

    def __init__(self, weight: Tensor, part_rows: int) -> None:
        super().__init__()
        self.rows = weight.shape[0]
        self._part_rows = part_rows
        for k, part in enumerate(weight.split(part_rows)):
            self.register_buffer(f"part_{k}", _packed(part), persistent=False)

    def matmul(self, x: Tensor, rows: slice) -> Tensor:
        """Return the product of `x` with some rows (see `quantize.linear`).

        Rows that are no whole parts are cut out of the product of those that hold them.
        """
        start, stop, _ = rows.indices(self.rows)
        first = start // self._part_rows
        last = -(-stop // self._part_rows)
        parts = [_product(x, self.get_buffer(f"part_{k}")) for k in range(first, last)]
        y = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        before = first * self._part_rows
        return y if y.shape[-1] == stop - start else y[..., start - before : stop - before]


def packed_or_plain(key: str, weight: Tensor, depformer_steps: int) -> Tensor | PackedWeight:
    """Return a weight of the language model in the order that this machine multiplies faster.

    `key` is its name in the checkpoint. Embeddings, which are looked up, stay as they are.
    """
    if weight.dim() != 2 or "emb" in key.split(".")[0] or weight.nbytes < LEAST_BYTES:
        return weight
    if weight.device.type != "cpu" or not packing_is_faster(weight.dtype):
        return weight
    # the attention of the depformer multiplies by the rows of one step at a time
    of_all_steps = key.startswith("depformer.") and ".self_attn." in key
    return PackedWeight(weight, len(weight) // depformer_steps if of_all_steps else len(weight))


@cache
def packing_is_faster(dtype: torch.dtype) -> bool:
    """Return whether products with packed weights exist here, are right and beat those with plain ones."""
    if dtype not in (torch.bfloat16, torch.float32) or not torch.backends.mkldnn.is_available():
        return False
    try:
        with torch.inference_mode():
            return _is_right(dtype) and _gain(dtype) >= LEAST_GAIN
    except (RuntimeError, AttributeError):
        return False


def _packed(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)


def _product(x: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise.default(x, weight, None, "none", [], "")


def _is_right(dtype: torch.dtype) -> bool:
    """Compare products with PyTorch's in float64, for few and many rows and for odd widths too."""
    for rows, columns in ((192, 128), (88, 132), (77, 33)):
        weight = torch.sin(torch.arange(rows * columns) * 0.7).view(rows, columns).to(dtype)
        packed = _packed(weight)
        for batch in (1, 3, 40):
            x = torch.cos(torch.arange(batch * columns) * 0.3).view(batch, columns).to(dtype)
            wanted = x.double() @ weight.double().t()
            if not (_product(x, packed).double() - wanted).norm() < TOLERANCE * wanted.norm():
                return False
    return True


def _gain(dtype: torch.dtype) -> float:
    """Return how many times as fast one row is multiplied by packed weights as by plain ones."""
    weight = torch.sin(torch.arange(CHECK_SHAPE[0] * CHECK_SHAPE[1])).view(CHECK_SHAPE).to(dtype)
    copies = -(-CHECK_BYTES // weight.nbytes)
    plain = [weight.clone() for _ in range(copies)]
    packed = [_packed(weight) for _ in range(copies)]
    x = torch.cos(torch.arange(CHECK_SHAPE[1])).view(1, -1).to(dtype)
    # oneDNN multiplies by plain float32 weights too (`quantize.linear`)
    plain_product = _product if dtype == torch.float32 else F.linear
    best_s = [float("inf"), float("inf")]
    for _ in range(CHECK_ROUNDS + 1):
        # in turns, so that what else the machine does falls on both
        for way, (product, weights) in enumerate(((plain_product, plain), (_product, packed))):
            begun_s = time.perf_counter()
            for each in weights:
                product(x, each)
            best_s[way] = min(best_s[way], time.perf_counter() - begun_s)
    return best_s[0] / best_s[1]
