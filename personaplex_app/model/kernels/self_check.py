"""Compares the kernels with PyTorch's operations on the device that is to run them, at small sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import torch
from torch import Tensor
from torch.nn import functional as F

TOLERANCE = 1e-2
"""Rounding stays far below it, a wrong result far above."""
HEADS, WIDTH, SLOTS = 2, 64, 80
Comparison = tuple[str, Tensor, Tensor]
"""The name of a computation, what a kernel returns, and what PyTorch does."""


def check(kernels: ModuleType, device: torch.device) -> None:
    """Raises: ArithmeticError where a kernel and PyTorch differ, and whatever Triton raises."""
    with torch.inference_mode():
        for name, found, wanted in _comparisons(kernels, device):
            error = float((found.double() - wanted.double()).norm() / wanted.double().norm())
            # not so for a NaN either
            if not error < TOLERANCE:
                raise ArithmeticError(f"{name} is wrong by {error:.1e} of its size")


def _comparisons(kernels: ModuleType, device: torch.device) -> Iterator[Comparison]:
    generator = torch.Generator().manual_seed(0)

    def some(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device)

    x, weight, residual = some(2, 128), some(40, 128), some(2, 40)
    scale, gain = some(40).abs(), some(40)
    yield "a product", kernels.product(x, weight, None, residual, gain), x @ weight.t() * gain + residual
    codes = (weight * 40).clamp(-127, 127).to(torch.int8)
    yield "an int8 product", kernels.product(x, codes, scale, None), x @ codes.float().t() * scale
    both = codes[:, :64].contiguous()
    high, low = both >> 4, (both << 4) >> 4
    grouped = some(40, 2)
    unpacked = torch.cat([high * grouped[:, :1], low * grouped[:, 1:]], dim=1)
    yield "an int4 product", kernels.product_int4(x, both, grouped), x @ unpacked.t()
    alpha = some(128)
    yield "a norm", kernels.rms_norm(x, alpha, 1e-8), F.rms_norm(x, (128,), alpha, 1e-8)
    yield "a gate", kernels.silu_times(x), F.silu(x[:, :64]) * x[:, 64:]
    yield from _attention(kernels, some, device)
    yield from _sampling(kernels, some, device)


def _attention(
    kernels: ModuleType, some: Callable[..., Tensor], device: torch.device
) -> Iterator[Comparison]:
    qkv, cache = some(1, 2, 3 * HEADS * WIDTH), some(2, 1, SLOTS, HEADS, WIDTH)
    angle, slots = some(1, 2, 1, WIDTH // 2), torch.tensor([[69, 70]], device=device)
    parts = qkv.view(1, 2, 3, HEADS, WIDTH)
    turned = torch.view_as_complex(parts[:, :, :2].unflatten(-1, (-1, 2)).contiguous())
    turned = torch.view_as_real(turned * torch.polar(torch.ones_like(angle), angle)[:, :, None]).flatten(-2)
    expected = cache.clone()
    expected[0, :, 69:71], expected[1, :, 69:71] = turned[:, :, 1], parts[:, :, 2]
    q = kernels.rotate_and_write(qkv, angle.cos(), angle.sin(), slots, cache)
    yield "a rotation", q, turned[:, :, 0]
    yield "a cache", cache, expected
    mask = torch.ones(2, 71, dtype=torch.bool, device=device)
    # the first of two new positions does not see the second
    mask[0, 70] = False
    keys, values = (expected[i, :, :71].transpose(1, 2) for i in range(2))
    wanted = F.scaled_dot_product_attention(q.transpose(1, 2), keys, values, mask).transpose(1, 2).flatten(2)
    lengths = torch.full((1,), 71, dtype=torch.int32, device=device)
    yield "attention", kernels.attend(q, cache, lengths, slots), wanted
    now, state = some(1, 3 * HEADS * WIDTH), some(2, 1, 8, HEADS, WIDTH)
    query, key, value = now.view(1, 3, HEADS, 1, WIDTH).unbind(1)
    keys = torch.cat([state[0, :, :3].transpose(1, 2), key], dim=2)
    values = torch.cat([state[1, :, :3].transpose(1, 2), value], dim=2)
    wanted = F.scaled_dot_product_attention(query, keys, values).flatten(1)
    yield "attention over steps", kernels.attend_steps(now, state, 3), wanted


def _sampling(kernels: ModuleType, some: Callable[..., Tensor], device: torch.device) -> Iterator[Comparison]:
    logits, temperature = some(2, 300), torch.tensor([0.0, 0.8], device=device)
    # top-k 1 is greedy at any temperature
    topk, key = torch.tensor([300, 1], device=device), torch.tensor([5, 6], device=device)
    token, finite = kernels.sample(logits, temperature, topk, key, 1)
    yield "sampling", token == logits.argmax(dim=-1), torch.ones_like(finite)
    yield "the check of logits", finite, torch.ones_like(finite)
    many = torch.full((8,), 0.8, device=device), torch.full((8,), 20, device=device)
    token, _ = kernels.sample(logits[:1].expand(8, -1).contiguous(), *many, torch.arange(8, device=device), 0)
    likely = logits[0].topk(20).indices
    yield "sampling of the likely", torch.isin(token, likely), torch.ones_like(token)
