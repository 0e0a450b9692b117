"""The transformer of both the language model and the codec: pre-norm, RoPE, a ring KV cache passed in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .cache import KVCache, Span
from .kernels import own_kernels
from .offload import LayerStream
from .quantize import Linear, linear

# as in the reference
RMS_EPS = 1e-8


class RmsNorm(nn.Module):
    """Root-mean-square norm computed in float32, whatever the input's dtype."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        if own := own_kernels(x):
            return own.rms_norm(x, self.alpha.view(-1), RMS_EPS)
        if x.dtype == self.alpha.dtype:
            return F.rms_norm(x, x.shape[-1:], self.alpha.view(-1), RMS_EPS)
        # float16 weights with a float32 stream: the norm is taken in float32 and handed on in the stream's
        # type
        return F.rms_norm(x.float(), x.shape[-1:], self.alpha.view(-1).float(), RMS_EPS).to(x.dtype)


class LayerScale(nn.Module):
    """Holds the gains of a layer's outputs, under the released file's key."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))


class Gating(nn.Module):
    """SiLU-gated feed-forward layer: the first half of `linear_in` is the gate."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear_in = Linear(width, 2 * hidden)
        self.linear_out = Linear(hidden, width)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        both = self.linear_in(x)
        if own := own_kernels(x):
            return self.linear_out(own.silu_times(both), residual)
        gate, up = both.chunk(2, dim=-1)
        return self.linear_out(F.silu(gate) * up, residual)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply interleaved RoPE.

    Shapes: `x` [B, T, heads, head width].
    """
    real, imaginary = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=-1)
    return turned.flatten(-2).to(x.dtype)


class Attention(nn.Module):
    """Self-attention against a ring cache."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.out_proj = Linear(width, width)

    def forward(
        self, x: Tensor, cache: Tensor, span: Span, residual: Tensor, gain: Tensor | None = None
    ) -> Tensor:
        """Write the block's keys and values to the cache and attend; the result, times `gain`, is added to
        `residual`.

        Shapes: `x`, `residual` [B, T, D]; `cache` [2, B, window + 1, heads, head width]; `gain` [D].
        """
        batch, length, _ = x.shape
        if (own := own_kernels(x)) and span.lengths is not None:
            projected = linear(x, self.in_proj_weight)
            q = own.rotate_and_write(projected, span.cos, span.sin, span.slots, cache)
            mixed = own.attend(q, cache, span.lengths, span.slots)
            return self.out_proj(mixed.to(x.dtype), residual, gain)
        qkv = linear(x, self.in_proj_weight).view(batch, length, 3, self.heads, -1)
        # one rotation for queries and keys: half the kernel launches
        turned = rotate(qkv[:, :, :2].flatten(2, 3), span.cos, span.sin).to(cache.dtype)
        q, k = turned.unflatten(2, (2, self.heads)).unbind(2)
        v = qkv[:, :, 2].to(cache.dtype)
        if span.prefill:
            keys, values = (torch.cat([cache[i, :, : span.read], new], dim=1) for i, new in enumerate((k, v)))
            mixed = attend(q, keys, values, span.mask, causal=span.mask is None)
            # after attending: the new keys may overwrite old ones that the first positions still see
            write(cache, k, v, span)
        else:
            write(cache, k, v, span)
            mixed = attend(q, cache[0, :, : span.read], cache[1, :, : span.read], span.mask)
        return self.out_proj(mixed.to(x.dtype), residual, gain)

    def write_only(self, x: Tensor, cache: Tensor, span: Span) -> None:
        """Write keys and values to the cache without computing the block's output."""
        batch, length, width = x.shape
        k, v = (
            linear(x, self.in_proj_weight, slice(width, None))
            .view(batch, length, 2, self.heads, -1)
            .unbind(2)
        )
        write(cache, rotate(k, span.cos, span.sin).to(cache.dtype), v.to(cache.dtype), span)


def attend(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
    """Return scaled dot-product attention with the heads joined.

    Shapes: `q` [B, T, heads, head width], `keys` and `values` [B, S, heads, head width] → [B, T, heads · head
    width].
    """
    mixed = F.scaled_dot_product_attention(
        q.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), mask, is_causal=causal
    )
    return mixed.transpose(1, 2).flatten(2)


def write(cache: Tensor, k: Tensor, v: Tensor, span: Span) -> None:
    """Write the last positions' keys and values to their slots.

    Shapes: `k`, `v` [B, T, heads, head width].
    """
    kept = span.slots.shape[1]
    cache[0].index_put_((span.rows, span.slots), k[:, -kept:])
    cache[1].index_put_((span.rows, span.slots), v[:, -kept:])


class LmLayer(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.gating = Gating(width, hidden)
        self.norm1 = RmsNorm(width)
        self.norm2 = RmsNorm(width)

    def forward(self, x: Tensor, cache: Tensor, span: Span) -> Tensor:
        x = self.self_attn(self.norm1(x), cache, span, x)
        return self.gating(self.norm2(x), x)

    def write_only(self, x: Tensor, cache: Tensor, span: Span) -> None:
        self.self_attn.write_only(self.norm1(x), cache, span)


class CodecLayer(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.norm1 = nn.LayerNorm(width, eps=1e-5)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.linear1 = Linear(width, hidden)
        self.linear2 = Linear(hidden, width)
        self.layer_scale_1 = LayerScale(width)
        self.layer_scale_2 = LayerScale(width)

    def forward(self, x: Tensor, cache: Tensor, span: Span) -> Tensor:
        x = self.self_attn(self.norm1(x), cache, span, x, self.layer_scale_1.scale)
        return self.linear2(F.gelu(self.linear1(self.norm2(x))), x, self.layer_scale_2.scale)


class Transformer(nn.Module):
    """A stack of layers over one cache."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.stream: LayerStream | None = None
        """Set where some layers are offloaded to host memory: yields all layers, each when it is on the
        device.
        """

    def forward(self, x: Tensor, cache: KVCache, span: Span) -> Tensor:
        for layer, data in zip(self.stream or self.layers, cache.data, strict=True):
            x = layer(x, data, span)
        return x

    def prefill(self, x: Tensor, cache: KVCache, span: Span) -> None:
        """Fill the cache without computing an output, which saves most of the last layer."""
        for k, (layer, data) in enumerate(zip(self.stream or self.layers, cache.data, strict=True), 1):
            if k < len(self.layers):
                x = layer(x, data, span)
            elif isinstance(layer, LmLayer):
                layer.write_only(x, data, span)
