"""Measure how often a quantised form of a model chooses the same token as the unquantised weights.

Decoding is greedy, and every position is conditioned on the reference's own history (teacher forcing), so
that one difference does not cause the next. Results are stored in a file, keyed by the fingerprint of the
weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from .checkpoint import fingerprint
from .config import AGENT_CODEBOOKS, COLUMN_ROWS
from .lm import Lm
from .measurements import keep_measurement, read_measurements

AGREEMENT_FILE = "agreement.json"


@dataclass(frozen=True)
class Agreement:
    """Shares of tokens that are equal to the reference's, from 0 to 1. `tokens` counts what was compared."""

    text: float
    semantic: float
    acoustic: float
    tokens: int

    @property
    def all(self) -> float:
        """The share over all codebooks of a column, text included."""
        # `acoustic` is already the mean of codebooks 1 to 7, so it weighs seven times
        return (self.text + self.semantic + self.acoustic * (AGENT_CODEBOOKS - 1)) / (AGENT_CODEBOOKS + 1)


def greedy_columns(lm: Lm, user_codes: Tensor) -> Tensor:
    """Return the columns of a greedy conversation with a user; `greedy_choices` feeds them to another model.

    Shapes: `user_codes` int64 [8, T] → int64 [T + 1, 17].
    """
    config = lm.config
    column = torch.full((COLUMN_ROWS,), config.audio_start)
    column[0] = config.text_start
    columns = [column]
    run = _SingleRow(lm)
    for t in range(user_codes.shape[1]):
        columns.append(torch.cat([run.step(columns[-1], None), user_codes[:, t].cpu()]))
    return torch.stack(columns)


def greedy_choices(lm: Lm, columns: Tensor) -> Tensor:
    """Return the model's greedy choice after every column; the next input is the given column, not the
    choice.

    Shapes: `columns` int64 [T + 1, 17] → int64 [T, 9], text and the agent's codebooks.
    """
    run = _SingleRow(lm)
    return torch.stack(
        [run.step(column, after[: 1 + AGENT_CODEBOOKS]) for column, after in pairwise(columns)]
    )


def agreement(columns: Tensor, choices: Tensor) -> Agreement:
    """Compare the reference's columns (`greedy_columns`) with another model's choices (`greedy_choices`)."""
    equal = (columns[1:, : 1 + AGENT_CODEBOOKS] == choices).float()
    return Agreement(
        float(equal[:, 0].mean()), float(equal[:, 1].mean()), float(equal[:, 2:].mean()), equal.numel()
    )


def load_agreements(store: Path, weights: Path) -> dict[str, float]:
    """Return the stored share of equal tokens, 0 to 1, by quantised form of these weights.

    Empty where nothing was measured.
    """
    try:
        found = read_measurements(store / AGREEMENT_FILE)[fingerprint(weights).hex()]
        return {str(form): float(share) for form, share in found.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def save_agreements(store: Path, weights: Path, measured: Mapping[str, float]) -> Path:
    """Store the shares measured for these weights and return the file.

    Raises: StorageError.
    """
    path = store / AGREEMENT_FILE
    found = load_agreements(store, weights) | {form: round(share, 4) for form, share in measured.items()}
    keep_measurement(path, fingerprint(weights).hex(), found)
    return path


class _SingleRow:
    """A batch of one row that is stepped greedily from position 0 on."""

    def __init__(self, lm: Lm) -> None:
        self._lm = lm
        self._cache = lm.empty_cache(1)
        self._position = torch.zeros(1, dtype=torch.int64, device=lm.device)
        self._active = torch.ones(1, dtype=torch.bool, device=lm.device)
        self._steps = 0

    @torch.inference_mode()
    def step(self, column: Tensor, forced: Tensor | None) -> Tensor:
        """Return the greedy choices after a column.

        With `forced`, each codebook is conditioned on those tokens of the same column instead of on the
        model's own choices.

        Shapes: `column` int64 [17], `forced` int64 [9] or None → int64 [9] on the CPU.
        """
        lm = self._lm
        cache = self._cache
        # counted on the host too, so that the slots to read are known without waiting for the device
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
