"""How often another form of the same model chooses the same token: greedy, every position fed the reference's
own past.

What was measured of a checkpoint is kept in a file, under the fingerprint of its weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from ..atomic import write_atomically
from ..errors import StorageError, shorten
from .checkpoint import fingerprint
from .config import AGENT_CODEBOOKS, COLUMN_ROWS
from .lm import Lm

KEPT_FILE = "agreement.json"


@dataclass(frozen=True)
class Agreement:
    """Shares of equal tokens, 0 to 1."""

    text: float
    semantic: float
    acoustic: float
    tokens: int

    @property
    def all(self) -> float:
        return (self.text + self.semantic + self.acoustic * (AGENT_CODEBOOKS - 1)) / (AGENT_CODEBOOKS + 1)


def greedy_columns(lm: Lm, user_codes: Tensor) -> Tensor:
    """Return what the model says to a user, as the columns that a later run is fed.

    Shapes: `user_codes` int64 [8, T] → int64 [T + 1, 17].
    """
    config = lm.config
    column = torch.full((COLUMN_ROWS,), config.audio_start)
    column[0] = config.text_start
    columns = [column]
    run = _Run(lm)
    for t in range(user_codes.shape[1]):
        columns.append(torch.cat([run.step(columns[-1], None), user_codes[:, t].cpu()]))
    return torch.stack(columns)


def greedy_choices(lm: Lm, columns: Tensor) -> Tensor:
    """Return what the model would choose after every column, fed the columns whatever it chooses.

    Shapes: `columns` int64 [T + 1, 17] → int64 [T, 9], text and the agent's codebooks.
    """
    run = _Run(lm)
    return torch.stack(
        [run.step(column, after[: 1 + AGENT_CODEBOOKS]) for column, after in pairwise(columns)]
    )


def agreement(columns: Tensor, choices: Tensor) -> Agreement:
    """Compare the reference's columns (`greedy_columns`) with another model's choices (`greedy_choices`)."""
    equal = (columns[1:, : 1 + AGENT_CODEBOOKS] == choices).float()
    return Agreement(
        float(equal[:, 0].mean()), float(equal[:, 1].mean()), float(equal[:, 2:].mean()), equal.numel()
    )


def known_agreements(store: Path, weights: Path) -> dict[str, float]:
    """Return the share of equal tokens that was measured of each quantised form of these weights, 0 to 1;
    empty where nothing was.
    """
    try:
        found = _kept(store)[fingerprint(weights).hex()]
        return {str(form): float(share) for form, share in found.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def keep_agreements(store: Path, weights: Path, measured: Mapping[str, float]) -> Path:
    """Remember what was measured of these weights and return the file.

    Raises: StorageError.
    """
    path = store / KEPT_FILE
    try:
        kept = _kept(store)
    except (OSError, ValueError):
        kept = {}
    key = fingerprint(weights).hex()
    kept[key] = known_agreements(store, weights) | {form: round(share, 4) for form, share in measured.items()}
    try:
        store.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(kept, indent=1).encode())
    except OSError as error:
        raise StorageError(
            f"What was measured cannot be kept in {shorten(path)}: {error.strerror}. Give another folder with"
            " --data."
        ) from error
    return path


def _kept(store: Path) -> dict[str, dict[str, float]]:
    kept = json.loads((store / KEPT_FILE).read_text("utf-8"))
    if not isinstance(kept, dict):
        raise ValueError
    return kept


class _Run:
    """One row of one model from its first position on."""

    def __init__(self, lm: Lm) -> None:
        self._lm = lm
        self._cache = lm.empty_cache(1)
        self._position = torch.zeros(1, dtype=torch.int64, device=lm.device)
        self._active = torch.ones(1, dtype=torch.bool, device=lm.device)
        self._steps = 0

    @torch.inference_mode()
    def step(self, column: Tensor, forced: Tensor | None) -> Tensor:
        """Return the choices after a column. Each codebook is chosen after `forced` ones, or after the
        choices themselves.

        Shapes: `column` int64 [17], `forced` int64 [9] or None → int64 [9] on the CPU.
        """
        lm = self._lm
        cache = self._cache
        self._steps += 1
        span = lm.span(self._position, self._active, cache, cache.read_slots(self._steps))
        hidden, text_logits = lm.step(column[None].to(lm.device), cache, span)
        chosen = [text_logits.argmax(dim=-1)]
        given = None if forced is None else forced.to(lm.device)

        def choose(k: int, logits: Tensor) -> Tensor:
            chosen.append(logits.argmax(dim=-1))
            return chosen[-1] if given is None else given[k + 1 : k + 2]

        lm.codes(hidden, chosen[0] if given is None else given[:1], choose)
        self._position += 1
        return torch.cat(chosen[: 1 + AGENT_CODEBOOKS]).cpu()
