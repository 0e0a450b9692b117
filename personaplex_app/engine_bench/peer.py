"""Measure the `moshi` package, run the way the reference server runs it.

That is with sixteen depformer steps, a codec that encodes and decodes every frame twice, and a prompt phase
that is replayed step by step.
"""

from __future__ import annotations

import os
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..model.config import DELAYS, LmConfig
from ..model.random_weights import random_prompt
from .ours import BATCH, EARLY, LATE, median_ms

PACKAGE_FOLDER = Path(sys.prefix) / "oracle"
"""Where `make test` installs the package, apart from the environment whose versions it would pin."""
REFERENCE_STEPS = 16


def find() -> bool:
    """Make the package importable if it is installed; return whether it is."""
    if PACKAGE_FOLDER.is_dir() and str(PACKAGE_FOLDER) not in sys.path:
        sys.path.append(str(PACKAGE_FOLDER))
    # as the reference does on a CPU
    os.environ.setdefault("NO_TORCH_COMPILE", "1")
    try:
        import moshi  # noqa: F401
    except ImportError:
        return False
    return True


class Peer:
    """The `moshi` package's model with random weights of one size, for `sessions` rows."""

    def __init__(self, config: LmConfig, device: torch.device, dtype: torch.dtype, sessions: int = 1) -> None:
        from moshi.models.lm import LMGen, LMModel

        torch.manual_seed(0)
        self._config = config
        self._device = device
        self._sessions = sessions
        self._lm: Any = LMModel(device=device, dtype=dtype, **_arguments(config)).eval().requires_grad_(False)
        self._generator: Any = LMGen(self._lm)
        self._lm.streaming_forever(sessions)
        self._pcm = 0.1 * torch.randn(sessions, 1, 1920, device=device)
        self._column = torch.zeros(sessions, 17, 1, dtype=torch.int64, device=device)

    @cached_property
    def _mimis(self) -> list[Any]:
        # only a whole frame needs them
        from moshi.models.loaders import get_mimi

        mimis: list[Any] = [get_mimi(None, device=str(self._device)).requires_grad_(False) for _ in range(2)]
        for mimi in mimis:
            for module in mimi.modules():
                if hasattr(module, "embedding_sum"):
                    module.embedding_sum.normal_()
                    module._initialized.fill_(1)
            mimi.streaming_forever(self._sessions)
        return mimis

    @torch.no_grad()
    def step(self) -> torch.Tensor:
        """Run the language model and all sixteen depformer steps, and copy the tokens to the host."""
        from moshi.utils.sampling import sample_token

        generator = self._generator
        hidden, logits = self._lm.forward_text(self._column)
        text = sample_token(logits.float(), True, generator.temp_text, generator.top_k_text)[:, 0, 0]
        before = text
        chosen = []
        with self._lm.depformer.streaming(self._sessions):
            for k in range(REFERENCE_STEPS):
                audio = self._lm.forward_depformer(k, before[:, None, None], hidden)
                before = sample_token(audio.float(), True, generator.temp, generator.top_k)[:, 0, 0]
                chosen.append(before)
        tokens = torch.stack(chosen, dim=1)
        tokens.tolist()  # waits for the device, as the reference server does in every step
        return tokens

    @torch.no_grad()
    def frame(self) -> None:
        """Run a whole frame: both codecs encode, the model steps, both codecs decode."""
        for mimi in self._mimis:
            mimi.encode(self._pcm)
        # keep the codes within the codec's codebooks, whatever random weights choose
        codes = self.step()[:, :8, None] % 2048
        for mimi in self._mimis:
            mimi.decode(codes).cpu()

    def prompt_phase_ms(self, positions: int) -> float:
        """Return how long replaying the prompt phase takes, in one run."""
        self._place(0)
        count = random_prompt(self._config, positions).positions

        def replay() -> None:
            for _ in range(count):
                self.step()

        self.step()
        return median_ms(replay, 1, self._device) if self._device.type == "cuda" else _once_ms(replay)

    def frame_ms(self, repeats: int) -> float:
        """Return how long a whole frame takes."""
        self._place(EARLY)
        return median_ms(self.frame, repeats, self._device)

    def lm_step_ms(self, repeats: int, position: int = EARLY) -> float:
        """Return how long one step of language model and depformer takes."""
        self._place(position)
        return median_ms(self.step, repeats, self._device)

    def _place(self, position: int) -> None:
        # the package has no call to set a position: write it into every counter of its streaming state
        for module in self._lm.transformer.modules():
            state = getattr(module, "_streaming_state", None)
            cache = getattr(state, "kv_cache", None)
            for holder, name in ((state, "offset"), (state, "offsets"), (cache, "end_offset")):
                value = getattr(holder, name, None)
                if isinstance(value, torch.Tensor):
                    value.fill_(position)


def measure(
    config: LmConfig, device: torch.device, dtype: torch.dtype, positions: int, repeats: int
) -> dict[str, float]:
    """Return the package's measurements under the same names as ours."""
    peer = Peer(config, device, dtype)
    figures = {
        "prompt_phase_ms": peer.prompt_phase_ms(positions),
        "frame_ms": peer.frame_ms(repeats),
        "lm_step_ms": peer.lm_step_ms(repeats),
        f"lm_step_at_{LATE}_ms": peer.lm_step_ms(repeats, LATE),
    }
    del peer
    figures[f"lm_step_{BATCH}_sessions_ms"] = Peer(config, device, dtype, BATCH).lm_step_ms(repeats)
    return figures


def _once_ms(action: Any) -> float:
    import time

    before_s = time.perf_counter()
    action()
    return round((time.perf_counter() - before_s) * 1000, 3)


def _arguments(config: LmConfig) -> dict[str, Any]:
    def nominal(hidden: int) -> int:
        # the package uses two thirds of the nominal width
        return hidden * 3 // 2

    return {
        "dim": config.width,
        "text_card": config.text_card,
        "existing_text_padding_id": 3,
        "n_q": 16,
        "dep_q": REFERENCE_STEPS,
        "card": config.card,
        "num_heads": config.heads,
        "num_layers": config.layers,
        "hidden_scale": nominal(config.hidden) / config.width,
        "causal": True,
        "context": config.context,
        "max_period": config.rope_period,
        "gating": "silu",
        "norm": "rms_norm_f32",
        "positional_embedding": "rope",
        "depformer_dim": config.depformer_width,
        "depformer_dim_feedforward": nominal(config.depformer_hidden),
        "depformer_num_heads": config.depformer_heads,
        "depformer_num_layers": config.depformer_layers,
        "depformer_multi_linear": True,
        "depformer_context": REFERENCE_STEPS,
        "depformer_pos_emb": "none",
        "depformer_weights_per_step": True,
        "delays": list(DELAYS),
    }
