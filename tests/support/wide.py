"""A checkpoint of random weights in widths that a CPU's fused products take; the golden one is too narrow.

It is made from a seed when a test needs it. `TOKENS` are the `moshi` package's greedy choices after each of
`columns()`; `test_model_oracle` compares them with the package.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from personaplex_app.model.config import DELAYS, LM_FILE, LmConfig, gated_width
from personaplex_app.model.lm import Lm

TOKENS = Path(__file__).parents[1] / "data" / "wide_tokens.json"
FRAMES = 24
SCALE = 4.5
SMALL_FF = 576
CONFIG = LmConfig(
    width=256,
    heads=4,
    layers=2,
    hidden=gated_width(256, SCALE * 256),
    context=64,
    text_card=256,
    card=128,
    depformer_width=128,
    depformer_heads=2,
    depformer_layers=1,
    depformer_hidden=gated_width(128, SMALL_FF),
    depformer_steps=8,
)


def random_weights(build: Callable[[], torch.nn.Module], seed: int) -> dict[str, torch.Tensor]:
    """Weights of a size that keeps numbers lively through all layers."""
    with torch.device("meta"):
        model = build()
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, empty in model.state_dict().items():
        tensor = torch.randn(empty.shape, generator=generator)
        if key.endswith((".alpha", "norm1.weight", "norm2.weight", ".scale", "cluster_usage")):
            tensor = 0.5 + torch.rand(empty.shape, generator=generator)
        elif empty.dim() > 1 and "emb" not in key:
            tensor /= empty[0].numel() ** 0.5
        state[key] = tensor
    return state


def names(config: LmConfig, scale: float, small_ff: int) -> dict:
    """Return a configuration as a checkpoint's file and the `moshi` package spell it."""
    return {
        "dim": config.width,
        "num_heads": config.heads,
        "num_layers": config.layers,
        "hidden_scale": scale,
        "context": config.context,
        "max_period": 10_000,
        "text_card": config.text_card,
        "existing_text_padding_id": 3,
        "card": config.card,
        "n_q": 16,
        "dep_q": config.depformer_steps,
        "depformer_dim": config.depformer_width,
        "depformer_num_heads": config.depformer_heads,
        "depformer_num_layers": config.depformer_layers,
        "depformer_dim_feedforward": small_ff,
        "delays": list(DELAYS),
        "gating": "silu",
        "norm": "rms_norm_f32",
        "positional_embedding": "rope",
        "depformer_pos_emb": "none",
        "depformer_multi_linear": True,
        "depformer_weights_per_step": True,
    }


def write(folder: Path) -> dict:
    """Write the checkpoint's language model and return its configuration as the file spells it."""
    spelled = names(CONFIG, SCALE, SMALL_FF)
    save_file(random_weights(lambda: Lm(CONFIG), seed=64), folder / LM_FILE)
    (folder / "config.json").write_text(json.dumps(spelled))
    return spelled


def columns() -> torch.Tensor:
    """Return what the model is fed, one column a frame. Shapes: int64 [FRAMES + 1, 17]."""
    generator = torch.Generator().manual_seed(1)
    found = torch.randint(CONFIG.card, (FRAMES + 1, 17), generator=generator)
    found[:, 0] = torch.randint(CONFIG.text_card, (FRAMES + 1,), generator=generator)
    return found
