"""The language model: a temporal transformer over columns of tokens, and a depformer over one column's
codebooks.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .cache import KVCache, Span, prefill_span, step_span
from .compute import cache_dtype
from .config import COLUMN_ROWS, LmConfig
from .kernels import own_kernels
from .quantize import Linear, linear
from .transformer import Gating, LmLayer, RmsNorm, Transformer, attend


class Lm(nn.Module):
    """The whole language model. Module names are the released file's keys."""

    def __init__(self, config: LmConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        small = config.depformer_width
        steps = config.depformer_steps
        self.emb = nn.ModuleList([_embedding(config.card + 1, width) for _ in range(COLUMN_ROWS - 1)])
        self.text_emb = _embedding(config.text_card + 1, width)
        self.transformer = Transformer(
            [LmLayer(width, config.heads, config.hidden) for _ in range(config.layers)]
        )
        self.out_norm = RmsNorm(width)
        self.text_linear = Linear(width, config.text_card)
        self.depformer_in = nn.ModuleList([Linear(width, small) for _ in range(steps)])
        self.depformer_text_emb = _embedding(config.text_card + 1, small)
        self.depformer_emb = nn.ModuleList([_embedding(config.card + 1, small) for _ in range(steps - 1)])
        self.depformer = Depformer(config)
        self.linears = nn.ModuleList([Linear(small, config.card) for _ in range(steps)])

    @property
    def device(self) -> torch.device:
        return self.out_norm.alpha.device

    @property
    def dtype(self) -> torch.dtype:
        return self.text_emb.weight.dtype

    @property
    def stream_dtype(self) -> torch.dtype:
        """The number type of the residual stream.

        float32 for float16 weights: the stream of a deep model exceeds float16's range.
        """
        return torch.float32 if self.dtype == torch.float16 else self.dtype

    def empty_cache(self, rows: int) -> KVCache:
        """Return a KV cache for `rows` sessions."""
        c = self.config
        kind = cache_dtype(self.device, self.dtype)
        return KVCache.empty(c.layers, rows, c.context, c.heads, c.head_width, self.device, kind)

    def embed(self, columns: Tensor) -> Tensor:
        """Return the sum of a column's embeddings.

        Shapes: `columns` int64 [..., 17] → [..., D].
        """
        # in the reference's order, audio before text: another order of a sum rounds differently in bfloat16
        total = self.emb[0](columns[..., 1]).to(self.stream_dtype)
        for k in range(1, COLUMN_ROWS - 1):
            total = total + self.emb[k](columns[..., k + 1])
        return total + self.text_emb(columns[..., 0])

    def prefill(self, embeddings: Tensor, cache: KVCache, start: int) -> None:
        """Fill one row's cache with positions from `start` on.

        Shapes: `embeddings` [1, T, D]; `cache` has one row.
        """
        c = self.config
        span = prefill_span(
            start, embeddings.shape[1], 1, cache.window, c.head_width, c.rope_period, self.device
        )
        self.transformer.prefill(embeddings, cache, span)

    def span(self, position: Tensor, active: Tensor, cache: KVCache, read: int) -> Span:
        """Return the span of one step (see `cache.step_span`)."""
        return step_span(position, active, 1, cache, read, self.config.rope_period)

    def step(self, columns: Tensor, cache: KVCache, span: Span) -> tuple[Tensor, Tensor]:
        """Advance every row by one position.

        Shapes: `columns` int64 [B, 17] → hidden [B, D], text logits float32 [B, text card].
        """
        hidden = self.out_norm(self.transformer(self.embed(columns)[:, None], cache, span))[:, 0]
        return hidden, self.text_linear(hidden).float()

    def codes(self, hidden: Tensor, text: Tensor, choose: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Run the depformer: one step per codebook, each seeing the codes before it.

        `choose(k, logits)` returns codebook k's codes [B] for float32 logits [B, card].
        Shapes: `hidden` [B, D], `text` int64 [B] → int64 [B, steps].
        """
        config = self.config
        batch = hidden.shape[0]
        steps = config.depformer_steps
        # not cleared: step k reads only what steps 0 to k wrote
        state = hidden.new_empty(
            config.depformer_layers,
            2,
            batch,
            steps,
            config.depformer_heads,
            config.depformer_width // config.depformer_heads,
        )
        # each step sees the token before it: first the text, then codebook after codebook
        before = self.depformer_text_emb(text)
        chosen = []
        for k in range(steps):
            x = self.depformer(self.depformer_in[k](hidden, before), k, state)
            chosen.append(choose(k, self.linears[k](x).float()))
            if k + 1 < steps:
                before = self.depformer_emb[k](chosen[k])
        return torch.stack(chosen, dim=1)


class Depformer(nn.Module):
    """A small transformer with its own weights for every step, without positional embedding.

    Its KV cache lasts one frame.
    """

    def __init__(self, config: LmConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList([DepformerLayer(config) for _ in range(config.depformer_layers)])

    def forward(self, x: Tensor, k: int, state: Tensor) -> Tensor:
        """Run step `k`.

        Shapes: `x` [B, D]; `state` [layers, 2, B, steps, heads, head width].
        """
        for layer, data in zip(self.layers, state, strict=True):
            x = layer(x, k, data)
        return x


class DepformerLayer(nn.Module):
    def __init__(self, config: LmConfig) -> None:
        super().__init__()
        width = config.depformer_width
        steps = config.depformer_steps
        self.self_attn = StepAttention(width, config.depformer_heads, steps)
        self.gating = nn.ModuleList([Gating(width, config.depformer_hidden) for _ in range(steps)])
        self.norm1 = RmsNorm(width)
        self.norm2 = RmsNorm(width)

    def forward(self, x: Tensor, k: int, state: Tensor) -> Tensor:
        x = self.self_attn(self.norm1(x), k, state, x)
        return self.gating[k](self.norm2(x), x)


class StepAttention(nn.Module):
    """Attention over the steps of one frame; the weights of all steps are stacked in one matrix."""

    def __init__(self, width: int, heads: int, steps: int) -> None:
        super().__init__()
        self.heads = heads
        self.width = width
        self.in_proj_weight = nn.Parameter(torch.empty(steps * 3 * width, width))
        self.out_proj = Linear(width, steps * width)

    def forward(self, x: Tensor, k: int, state: Tensor, residual: Tensor) -> Tensor:
        width = self.width
        projected = linear(x, self.in_proj_weight, slice(3 * width * k, 3 * width * (k + 1)))
        out_rows = slice(width * k, width * (k + 1))
        if own := own_kernels(x):
            return linear(own.attend_steps(projected, state, k), self.out_proj.weight, out_rows, residual)
        parts = projected.view(x.shape[0], 3, self.heads, -1)
        state[:, :, k] = parts[:, 1:].transpose(0, 1)
        mixed = attend(parts[:, :1], state[0, :, : k + 1], state[1, :, : k + 1], None)[:, 0]
        return linear(mixed, self.out_proj.weight, out_rows, residual)


def _embedding(entries: int, width: int) -> nn.Embedding:
    # without the usual random values, which the checkpoint's replace: on the meta device PyTorch imports its
    # compiler to make them, in 2 s and 145 MB
    return nn.Embedding(entries, width, _weight=torch.empty(entries, width))
