"""How often another form of the same model chooses the same token: greedy, every position fed the reference's own past."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from .config import AGENT_CODEBOOKS, COLUMN_ROWS
from .lm import Lm


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
    return torch.stack([run.step(column, after[: 1 + AGENT_CODEBOOKS]) for column, after in pairwise(columns)])


def agreement(columns: Tensor, choices: Tensor) -> Agreement:
    """Compare the reference's columns (`greedy_columns`) with another model's choices (`greedy_choices`)."""
    equal = (columns[1:, : 1 + AGENT_CODEBOOKS] == choices).float()
    return Agreement(float(equal[:, 0].mean()), float(equal[:, 1].mean()), float(equal[:, 2:].mean()), equal.numel())


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
        """Return the choices after a column. Each codebook is chosen after `forced` ones, or after the choices themselves.

        Shapes: `column` int64 [17], `forced` int64 [9] or None → int64 [9] on the CPU.
        """
        lm, cache = self._lm, self._cache
        self._steps += 1
        span = lm.span(self._position, self._active, cache.window, cache.read_slots(self._steps))
        hidden, text_logits = lm.step(column[None].to(lm.device), cache, span)
        chosen = [text_logits.argmax(dim=-1)]
        given = None if forced is None else forced.to(lm.device)

        def choose(k: int, logits: Tensor) -> Tensor:
            chosen.append(logits.argmax(dim=-1))
            return chosen[-1] if given is None else given[k + 1 : k + 2]

        lm.codes(hidden, chosen[0] if given is None else given[:1], choose)
        self._position += 1
        return torch.cat(chosen[: 1 + AGENT_CODEBOOKS]).cpu()
