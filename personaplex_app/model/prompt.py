"""Build the prompt phase as one list of columns: voice, silence, role prompt, silence.

All of its tokens are given, so that it needs no sampling and can be prefilled in large chunks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .config import (
    AGENT_CODEBOOKS,
    AGENT_SILENCE,
    CACHE_COLUMNS,
    COLUMN_ROWS,
    DELAYS,
    PAD,
    USER_TONE,
    LmConfig,
)

SILENCE_FRAMES = 6
"""Half a second in whole frames: int(0.5 · 12.5)."""
USER_ROWS = slice(1 + AGENT_CODEBOOKS, COLUMN_ROWS)
DELAYED = torch.tensor(DELAYS, dtype=torch.bool)


@dataclass(frozen=True)
class VoicePrompt:
    """A voice as its file stores it: the embeddings of its frames and the columns around their end.

    Shapes: `embeddings` [T, D]; `columns` int64 [17, 4], a ring: column T mod 4 is the next input.
    """

    embeddings: Tensor
    columns: Tensor


@dataclass(frozen=True)
class Prompt:
    """The inputs of the prompt phase, and the state in which it leaves the conversation.

    Shapes: `embeddings` [T, D] come first (None without a stored voice), then `columns` int64 [n, 17];
    `last` int64 [17] is the input of the first live step, `delayed` int64 [17] the delayed rows of the column
    after it.
    """

    embeddings: Tensor | None
    columns: Tensor
    last: Tensor
    delayed: Tensor

    @property
    def positions(self) -> int:
        """How many positions the prefill takes."""
        return (0 if self.embeddings is None else len(self.embeddings)) + len(self.columns)


def with_system_tags(text: str) -> str:
    """Return a role prompt between the tags the model was trained with."""
    text = text.strip()
    return text if text.startswith("<system>") and text.endswith("<system>") else f"<system> {text} <system>"


def build_prompt(
    config: LmConfig,
    text_tokens: list[int],
    voice: VoicePrompt | None = None,
    voice_codes: Tensor | None = None,
) -> Prompt:
    """Return the prompt phase of a stored voice, of a voice's codes, or of neither.

    Shapes: `voice_codes` int64 [8, T].
    """
    frames = _frames(text_tokens, voice_codes)
    columns = _delay(frames)
    if voice is None:
        # the start tokens take the first frame's column; of it only delayed rows would remain, in the second
        # column, and those are start tokens too
        start = torch.full((COLUMN_ROWS,), config.audio_start)
        start[0] = config.text_start
        columns[0] = start
        columns[1] = torch.where(DELAYED, start, columns[1])
        return Prompt(None, columns[:-2], columns[-2], columns[-1])
    length = len(voice.embeddings)
    before = voice.columns[:, length % CACHE_COLUMNS]
    after = voice.columns[:, (length + 1) % CACHE_COLUMNS]
    # the lagging rows still belong to the voice's last frame
    columns[0] = torch.where(DELAYED, after, columns[0])
    columns = torch.cat([before[None], columns])
    return Prompt(voice.embeddings, columns[:-2], columns[-2], columns[-1])


def _frames(text_tokens: list[int], voice_codes: Tensor | None) -> Tensor:
    """Return the undelayed tokens of every frame.

    Shapes: int64 [frames, 17].
    """
    voice_frames = 0 if voice_codes is None else voice_codes.shape[1]
    text = [PAD] * (voice_frames + SILENCE_FRAMES) + text_tokens + [PAD] * SILENCE_FRAMES
    frames = torch.tensor([[token, *AGENT_SILENCE, *USER_TONE] for token in text])
    if voice_codes is not None:
        frames[:voice_frames, 1 : 1 + AGENT_CODEBOOKS] = voice_codes.T.cpu()
    return frames


def _delay(frames: Tensor) -> Tensor:
    """Return the columns of the frames after the delay pattern, one more than there are frames.

    The delayed rows of the first column are not known yet; the caller sets them.
    """
    padded = torch.cat([frames, frames[-1:]])
    shifted = torch.cat([frames[:1], frames])
    return torch.where(DELAYED, shifted, padded)
