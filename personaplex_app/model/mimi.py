"""The streaming Mimi codec: encode frames of 1920 samples to 8 codes and back, for many rows at once.

SEANet convolutions, a transformer on each side that runs two positions a frame, and a split residual vector
quantiser.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .cache import KVCache, Span, prefill_span, step_span
from .config import AGENT_CODEBOOKS, MimiConfig
from .conv import (
    Elu,
    Memory,
    Residual,
    StreamConv,
    StreamConvTranspose,
    StreamSequence,
    assign_keys,
    empty_memory,
    lay_out_weights,
)
from .transformer import CodecLayer, Transformer

BLOCK = 2
"""Transformer positions in one frame."""
# as in the reference (moshi `quantization/core_vq.py`), for codebook entries that training never used
USAGE_FLOOR = 1e-5


@dataclass
class MimiState:
    """The state of one direction, encoder or decoder, with a row per session.

    Shapes: `position` int64 [rows] counts transformer positions; `memory` and `cache` hold a row per session.
    """

    position: Tensor
    memory: Memory
    cache: KVCache

    def view(self, rows: int) -> MimiState:
        """Return a view of the first rows."""
        return self.slice(0, rows)

    def slice(self, start: int, stop: int) -> MimiState:
        """Return a view of some rows."""
        memory = {key: tensor[start:stop] for key, tensor in self.memory.items()}
        return MimiState(self.position[start:stop], memory, self.cache.rows(start, stop))

    def reset(self, row: int) -> None:
        """Reset one row to the start of a stream."""
        self.position[row] = 0
        self.cache.clear(row)
        for tensor in self.memory.values():
            tensor[row] = 0


class Mimi(nn.Module):
    """The whole codec. Module names are the released file's keys.

    Always float32: the codec is small and its codes must be exact.
    """

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config)
        self.decoder = _decoder(config)
        self.encoder_transformer = CodecTransformer(config)
        self.decoder_transformer = CodecTransformer(config)
        self.downsample = Downsample(config.width)
        self.upsample = Upsample(config.width)
        self.quantizer = SplitQuantizer(config)
        assign_keys(self)

    @property
    def device(self) -> torch.device:
        return self.quantizer.rvq_first.input_proj.weight.device

    def empty_encoder_state(self, rows: int) -> MimiState:
        """Return the encoder's state for `rows` streams at their start."""
        return self._state([self.encoder, self.downsample], rows)

    def empty_decoder_state(self, rows: int) -> MimiState:
        """Return the decoder's state for `rows` streams at their start."""
        return self._state([self.upsample, self.decoder], rows)

    def _state(self, parts: list[nn.Module], rows: int) -> MimiState:
        c = self.config
        dtype = self.quantizer.rvq_first.input_proj.weight.dtype
        memory: Memory = {}
        for part in parts:
            memory |= empty_memory(part, rows, self.device, dtype)
        cache = KVCache.empty(c.layers, rows, c.context, c.heads, c.width // c.heads, self.device, dtype)
        return MimiState(torch.zeros(rows, dtype=torch.int64, device=self.device), memory, cache)

    def encode(self, pcm: Tensor, state: MimiState, active: Tensor) -> Tensor:
        """Encode one frame of every row, or many frames of a single row.

        Shapes: `pcm` float32 [B, frames · 1920], `active` bool [B] → int64 [B, 8, frames].
        """
        # asked before the transformer advances the position
        first = state.position == 0
        x = self.encoder(pcm[:, None], state.memory, first, active)
        x = self._transform(self.encoder_transformer, x, state, active)
        x = self.downsample.conv(x, state.memory, first, active)
        return self.quantizer.encode(x)

    def decode(self, codes: Tensor, state: MimiState, active: Tensor) -> Tensor:
        """Decode one frame of every row, or many frames of a single row.

        Shapes: `codes` int64 [B, 8, frames], `active` bool [B] → float32 [B, frames · 1920].
        """
        first = state.position == 0
        x = self.upsample.convtr(self.quantizer.decode(codes), state.memory, first, active)
        x = self._transform(self.decoder_transformer, x, state, active)
        return self.decoder(x, state.memory, first, active)[:, 0]

    def _transform(self, side: CodecTransformer, x: Tensor, state: MimiState, active: Tensor) -> Tensor:
        # before the position advances, from which it is made
        span = self._span(x.shape[-1], state, active)
        y = side.transformer(x.transpose(1, 2), state.cache, span).transpose(1, 2)
        state.position.add_(active * x.shape[-1])
        return y

    def _span(self, length: int, state: MimiState, active: Tensor) -> Span:
        c = self.config
        window = state.cache.window
        head_width = c.width // c.heads
        if length == BLOCK:
            # all of the window is read: at 250 slots it is not worth several shapes
            return step_span(state.position, active, BLOCK, state.cache, window, c.rope_period)
        if len(state.position) != 1:
            raise ValueError("several frames at once can be coded for a single row only")
        return prefill_span(
            int(state.position[0]), length, BLOCK, window, head_width, c.rope_period, self.device
        )


class CodecTransformer(nn.Module):
    """The transformer of one direction; the extra level is in the released file's keys."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.transformer = Transformer(
            [CodecLayer(config.width, config.heads, config.hidden) for _ in range(config.layers)]
        )


class Downsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = StreamConv(width, width, 2 * BLOCK, BLOCK, bias=False, repeat_first=True)


class Upsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.convtr = StreamConvTranspose(width, width, BLOCK, groups=width, bias=False)


class SplitQuantizer(nn.Module):
    """Residual vector quantisation with the first, semantic codebook on its own."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.rvq_first = ResidualQuantizer(config, 1)
        self.rvq_rest = ResidualQuantizer(config, config.codebooks - 1)

    def encode(self, x: Tensor) -> Tensor:
        return torch.cat([self.rvq_first.encode(x, 1), self.rvq_rest.encode(x, AGENT_CODEBOOKS - 1)], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        return self.rvq_first.decode(codes[:, :1]) + self.rvq_rest.decode(codes[:, 1:])


class ResidualQuantizer(nn.Module):
    def __init__(self, config: MimiConfig, codebooks: int) -> None:
        super().__init__()
        self.input_proj = nn.Conv1d(config.width, config.codebook_width, 1, bias=False)
        self.output_proj = nn.Conv1d(config.codebook_width, config.width, 1, bias=False)
        self.vq = Codebooks(codebooks, config.card, config.codebook_width)

    def encode(self, x: Tensor, codebooks: int) -> Tensor:
        """Shapes: `x` [B, D, T] → int64 [B, codebooks, T]."""
        batch, _, length = x.shape
        rest = self.input_proj(x).transpose(1, 2).reshape(batch * length, -1)
        found = []
        # not strict: as many codebooks as were asked for
        for vectors, half_norms in zip(self.vq.vectors[:codebooks], self.vq.half_norms, strict=False):
            # |x − e|² without |x|², which is the same for every e
            code = torch.addmm(half_norms[None], rest, vectors.T, alpha=-1).argmin(dim=-1)
            rest = rest - vectors[code]
            found.append(code.view(batch, length))
        return torch.stack(found, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Shapes: `codes` int64 [B, codebooks, T] → [B, D, T]."""
        total = self.vq.vectors[0][codes[:, 0]]
        for k in range(1, codes.shape[1]):
            total = total + self.vq.vectors[k][codes[:, k]]
        return self.output_proj(total.transpose(1, 2))


class Codebooks(nn.Module):
    """The codebooks' vectors, which `compute_vectors` divides once from the sums and counts that the file
    holds.

    Shapes: `vectors` [codebooks, card, D]; `half_norms` [codebooks, card], half their squared lengths.
    """

    def __init__(self, codebooks: int, card: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_Layer(card, width) for _ in range(codebooks)])
        self.register_buffer("vectors", torch.zeros(codebooks, card, width), persistent=False)
        self.register_buffer("half_norms", torch.zeros(codebooks, card), persistent=False)
        self.vectors: Tensor
        self.half_norms: Tensor

    def compute_vectors(self) -> None:
        """Compute the vectors from the loaded sums and counts of their running means."""
        state = [dict(layer.named_buffers()) for layer in self.layers]
        usage = [s["_codebook.cluster_usage"].clamp(min=USAGE_FLOOR)[:, None] for s in state]
        self.vectors = torch.stack(
            [s["_codebook.embedding_sum"] / u for s, u in zip(state, usage, strict=True)]
        )
        self.half_norms = self.vectors.square().sum(dim=-1) / 2


class _Layer(nn.Module):
    def __init__(self, card: int, width: int) -> None:
        super().__init__()
        self._codebook = nn.Module()
        self._codebook.register_buffer("_initialized", torch.ones(1))
        self._codebook.register_buffer("cluster_usage", torch.ones(card))
        self._codebook.register_buffer("embedding_sum", torch.zeros(card, width))


def finish_loading(mimi: Mimi) -> None:
    """Prepare a codec whose weights were just loaded: compute its codebooks and lay out its weights."""
    lay_out_weights(mimi)
    mimi.quantizer.rvq_first.vq.compute_vectors()
    mimi.quantizer.rvq_rest.vq.compute_vectors()


def _residuals(config: MimiConfig, channels: int) -> list[nn.Module]:
    dilations = [config.dilation_base**j for j in range(config.residual_layers)]
    return [Residual(channels, config.residual_kernel, dilation, config.compress) for dilation in dilations]


def _encoder(config: MimiConfig) -> StreamSequence:
    channels = config.filters
    modules: list[nn.Module] = [StreamConv(1, channels, config.kernel)]
    for ratio in reversed(config.ratios):
        modules += [
            *_residuals(config, channels),
            Elu(),
            StreamConv(channels, 2 * channels, 2 * ratio, ratio),
        ]
        channels *= 2
    return StreamSequence([*modules, Elu(), StreamConv(channels, config.width, config.last_kernel)])


def _decoder(config: MimiConfig) -> StreamSequence:
    channels = config.filters * 2 ** len(config.ratios)
    modules: list[nn.Module] = [StreamConv(config.width, channels, config.kernel)]
    for ratio in config.ratios:
        modules += [
            Elu(),
            StreamConvTranspose(channels, channels // 2, ratio),
            *_residuals(config, channels // 2),
        ]
        channels //= 2
    return StreamSequence([*modules, Elu(), StreamConv(channels, 1, config.last_kernel)])
