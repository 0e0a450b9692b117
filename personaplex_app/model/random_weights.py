"""Make models of any size with random weights, to measure speed and memory without the released weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn

from .cache import KVCache
from .config import AGENT_CODEBOOKS, CACHE_COLUMNS, COLUMN_ROWS, LmConfig, MimiConfig, gated_width
from .lm import Lm
from .mimi import Mimi, finish_loading
from .prompt import Prompt, VoicePrompt, build_prompt
from .tokenizer import TextTokenizer

Model = TypeVar("Model", bound=nn.Module)
SIZES = {
    "tiny": LmConfig(
        48,
        3,
        3,
        132,
        depformer_width=32,
        depformer_heads=2,
        depformer_layers=2,
        depformer_hidden=88,
        text_card=512,
    ),
    "mid": LmConfig(
        *(1024, 16, 8, gated_width(1024, 4.125 * 1024)),
        depformer_width=512,
        depformer_heads=8,
        depformer_layers=6,
        depformer_hidden=gated_width(512, 4.125 * 512),
    ),
    "7b": LmConfig(),
}
VOICE_FRAMES = 51


def random_lm(config: LmConfig, device: torch.device, dtype: torch.dtype) -> Lm:
    """Return a language model without the unused depformer steps, like one that was loaded."""
    return _filled(lambda: Lm(config.trimmed()), device, dtype)


def random_mimi(device: torch.device, config: MimiConfig | None = None) -> Mimi:
    """Return a codec with only the codebooks that are used, by default of the released size."""
    mimi = _filled(
        lambda: Mimi(replace(config or MimiConfig(), codebooks=AGENT_CODEBOOKS)), device, torch.float32
    )
    finish_loading(mimi)
    return mimi


def random_prompt(config: LmConfig, positions: int) -> Prompt:
    """Return a prompt phase of `positions` positions with a random voice and role."""
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(VOICE_FRAMES, config.width, generator=generator) * 0.1
    columns = torch.randint(
        min(config.card, config.text_card), (COLUMN_ROWS, CACHE_COLUMNS), generator=generator
    )
    tokens = torch.randint(config.text_card, (positions - VOICE_FRAMES - 12,), generator=generator).tolist()
    return build_prompt(config, tokens, VoicePrompt(embeddings, columns))


def fill_cache(cache: KVCache) -> None:
    """Fill a cache with random keys and values, as after a long talk."""
    cache.data.normal_(std=0.5)


def _filled(build: Callable[[], Model], device: torch.device, dtype: torch.dtype) -> Model:
    """Build a model with random weights, one tensor at a time, so that a 7B model needs no second copy."""
    with torch.device("meta"):
        model = build()
    torch.manual_seed(0)
    model = model.to(dtype).to_empty(device=device)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        with torch.no_grad():
            if name.endswith((".alpha", ".scale", "usage", "norm1.weight", "norm2.weight", "_initialized")):
                tensor.fill_(1.0)
            else:
                # scaled so that activations keep their size: denormal numbers would be many times slower
                tensor.normal_(std=max(tensor[0].numel(), 1) ** -0.5 if tensor.dim() > 1 else 0.02)
    return model.eval().requires_grad_(False)


class NoTokenizer(TextTokenizer):
    """Stands in for a tokenizer: random weights produce no words."""

    def __init__(self) -> None:
        pass

    def words(self, text: str) -> list[int]:
        """Return none."""
        return []

    def continuations(self) -> list[int]:
        """Return none."""
        return []
