"""Whole frames for many rows: the user's sound in, the agent's sound and text out. One codec, one model, one wait for the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..units import FRAME_SAMPLES
from .checkpoint import Checkpoint
from .generation import Rows, RowSampling, Snapshot
from .prompt import Prompt


@dataclass(frozen=True)
class Spoken:
    """What one row said in one frame.

    Shapes: `pcm` float32 [1920], `codes` the frame's 8 codes. `finite` is False where the row's numbers broke: its sound means nothing.
    """

    pcm: np.ndarray
    text: int
    codes: tuple[int, ...]
    finite: bool


class Duplex:
    """Rows of conversations, each with its streams through the codec and its place in the language model.

    A step runs on the first 1, 2, 4, … rows that hold all the speaking ones, so that one talk among many places costs what one talk costs.
    """

    def __init__(self, checkpoint: Checkpoint, rows: int) -> None:
        self.checkpoint = checkpoint
        self.rows = Rows(checkpoint.lm, rows)
        self._encoder = checkpoint.mimi.empty_encoder_state(rows)
        self._decoder = checkpoint.mimi.empty_decoder_state(rows)

    @property
    def count(self) -> int:
        return self.rows.count

    def prefill(self, row: int, prompt: Prompt, chunk: int) -> Iterator[int]:
        """Take a row through its prompt phase, yielding after every `chunk` positions."""
        yield from self.rows.prefill_chunks(row, prompt, chunk)
        self._reset_streams(row)

    def snapshot(self, row: int) -> Snapshot:
        """Copy out a row that has just been prefilled."""
        return self.rows.snapshot(row)

    def restore(self, row: int, snapshot: Snapshot) -> None:
        """Put a row where the snapshot was taken."""
        self.rows.restore(row, snapshot)
        self._reset_streams(row)

    def set_sampling(self, row: int, sampling: RowSampling) -> None:
        """Choose how a row samples from its next frame on."""
        self.rows.set_sampling(row, sampling)

    @torch.inference_mode()
    def _reset_streams(self, row: int) -> None:
        self._encoder.reset(row)
        self._decoder.reset(row)

    @torch.inference_mode()
    def step(self, frames: dict[int, np.ndarray]) -> dict[int, Spoken]:
        """Advance the given rows by one frame each; all others stay as they are.

        Shapes: each frame is float32 [1920].
        """
        batch = min(1 << max(frames).bit_length(), self.count)
        pcm = torch.zeros(batch, FRAME_SAMPLES)
        active = torch.zeros(batch, dtype=torch.bool)
        for row, frame in frames.items():
            pcm[row], active[row] = torch.from_numpy(frame), True
        device = self.checkpoint.lm.device
        pcm, active = pcm.to(device, non_blocking=True), active.to(device, non_blocking=True)
        mimi = self.checkpoint.mimi
        codes = mimi.encode(pcm, self._encoder.view(batch), active)[:, :, 0]
        step = self.rows.step(codes, active, sorted(frames))
        sound = mimi.decode(step.codes[:, :, None], self._decoder.view(batch), active)
        tokens = torch.cat([step.text[:, None], step.codes, step.finite[:, None]], dim=1).tolist()
        heard = sound.cpu().numpy()
        for row in frames:
            if not tokens[row][-1]:
                self.rows.state.cache.clear(row)
        return {row: Spoken(heard[row].copy(), tokens[row][0], tuple(tokens[row][1:-1]), bool(tokens[row][-1])) for row in frames}
