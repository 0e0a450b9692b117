"""Decide a row's text token where a line is to be spoken or the floor is to be held.

The model's own token is drawn first and may be replaced before the depformer speaks it. Drawing it always
keeps seeds aligned, and where nothing is steered it stays, so that a row which is not steered, or not any
more, goes on as it would have.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from enum import IntEnum

import torch
from torch import Tensor

from .config import EPAD, PAD
from .tokenizer import TextTokenizer

NONE = -1
"""Stands for no token."""
BACKCHANNELS = (
    "mm",
    "Mm",
    "mhm",
    "hmm",
    "Hmm",
    "yeah",
    "Yeah",
    "yes",
    "Yes",
    "right",
    "Right",
    "okay",
    "Okay",
    "oh",
    "Oh",
)
"""Signs of listening that pass a held row, those of them that the vocabulary spells in one piece."""


class Gate(IntEnum):
    """What of the model's own words passes: all, small signs of listening, or the rest of a word begun."""

    FREE = 0
    HOLD = 1
    FINISH = 2


@dataclass(frozen=True)
class Steer:
    """What is decided about a row's next text token.

    `forced` is the token, whatever the model wants. Else PAD passes, and EPAD where `epad` is True; in place
    of any other token comes `following`, or where that is `NONE`, the token itself if `gate` lets it pass and
    PAD if not.
    """

    forced: int = NONE
    following: int = NONE
    epad: bool = True
    gate: Gate = Gate.FREE


FREE = Steer()
"""Nothing is steered."""
STEER_FIELDS = len(astuple(FREE))


def steered(wish: Tensor, steer: Tensor, gates: Tensor) -> Tensor:
    """Return each row's text token.

    It copies nothing from the host and its shapes depend on no value, as a CUDA graph asks.
    Shapes: `wish` int64 [B] is what the model drew; `steer` int64 [B, 4] has `Steer`'s fields; `gates` bool
    [gates, text card] is `gate_table`'s.
    """
    forced, following = steer[:, 0], steer[:, 1]
    passes = (wish == PAD) | ((wish == EPAD) & steer[:, 2].bool())
    own = torch.where(gates[steer[:, 3], wish], wish, PAD)
    text = torch.where(passes, wish, torch.where(following >= 0, following, own))
    return torch.where(forced >= 0, forced, text)


def gate_table(tokenizer: object, text_card: int) -> Tensor:
    """Return which tokens pass each gate. Where there is no vocabulary, all do.

    Shapes: bool [gates, text card].
    """
    table = torch.ones(len(Gate), text_card, dtype=torch.bool)
    if isinstance(tokenizer, TextTokenizer):
        table[Gate.HOLD] = False
        # of several pieces other words could be made
        whole = [tokens[0] for tokens in map(tokenizer.words, BACKCHANNELS) if len(tokens) == 1]
        table[Gate.HOLD, whole] = True
        table[Gate.FINISH] = False
        table[Gate.FINISH, tokenizer.continuations()] = True
    return table
