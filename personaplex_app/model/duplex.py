"""Whole frames for many rows: the user's sound in, the agent's sound and text out.

One codec, one model, one wait for the device.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import shorten
from ..units import FRAME_SAMPLES
from .checkpoint import Checkpoint
from .config import AGENT_CODEBOOKS
from .generation import Rows, RowSampling, Snapshot, advance
from .graphs import Record, Work
from .kernels import own_kernels
from .prompt import Prompt

RECORDED_TEXT_WIDEST = 32
RECORDED_AUDIO_WIDEST = 256
"""The usual top-k (25 and 250), and anything below is recorded; wider choices are computed without a record.
"""

TIMED_STEPS = 3


@dataclass(frozen=True)
class Spoken:
    """What one row said in one frame.

    Shapes: `pcm` float32 [1920], `codes` the frame's 8 codes. `finite` is False where the row's numbers
    broke: its sound means nothing.
    """

    pcm: np.ndarray
    text: int
    codes: tuple[int, ...]
    finite: bool


@dataclass(frozen=True)
class Shape:
    """What decides which kernels a step runs: how many rows, how much of their caches, how wide a choice of
    tokens.
    """

    batch: int
    read: int
    text_widest: int
    audio_widest: int


class Duplex:
    """Rows of conversations, each with its streams through the codec and its place in the language model.

    A step runs on the first 1, 2, 4, … rows that hold all the speaking ones, so that one talk among many
    places costs what one talk costs. It reads and writes the same buffers every time: what it does can be
    recorded once and replayed (`graphs`).
    """

    def __init__(self, checkpoint: Checkpoint, rows: int) -> None:
        self.checkpoint = checkpoint
        self.rows = Rows(checkpoint.lm, rows)
        self._encoder = checkpoint.mimi.empty_encoder_state(rows)
        self._decoder = checkpoint.mimi.empty_decoder_state(rows)
        device = checkpoint.lm.device
        self._heard = _Heard.on(device, rows)
        self._said = _Said.on(device, rows)
        # what the host fills and reads; the same ones where the model runs on the CPU
        pinned = device.type == "cuda"
        self._host_heard = _Heard.on(torch.device("cpu"), rows, pinned) if pinned else self._heard
        self._host_said = _Said.on(torch.device("cpu"), rows, pinned) if pinned else self._said
        self._recorded: dict[Shape, Work] = {}

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

    def batch_of(self, rows: int) -> int:
        """Return how many rows a step runs on so that the first `rows` are among them."""
        return min(1 << (rows - 1).bit_length(), self.count)

    @torch.inference_mode()
    def record(self, how: Record) -> str:
        """Record the steps of every usual shape; return "" or the reason why all steps stay as they are."""
        batches = sorted({self.batch_of(rows) for rows in range(1, self.count + 1)})
        widest = self._usual_widest()
        self._heard.active.zero_()  # nobody's state moves meanwhile
        try:
            for shape in (Shape(batch, read, *widest) for batch in batches for read in self._reads(batch)):
                self._recorded[shape] = how(lambda shape=shape: self._compute(shape))
        except RuntimeError as error:
            # ending a capture that failed raises again and only says that it failed; what was recorded stays
            return shorten(error.__context__ or error, 120)
        return ""

    def _reads(self, batch: int) -> list[int]:
        """Return the amounts of slots that steps of so many rows are recorded with."""
        cache = self.rows.state.cache
        # kernels that read each row's length need one record for all of them
        own = own_kernels(self.rows.state.position[:batch, None])
        return [cache.window] if own else cache.recorded_reads()

    def _usual_widest(self) -> tuple[int, int]:
        config = self.checkpoint.lm.config
        return min(RECORDED_TEXT_WIDEST, config.text_card), min(RECORDED_AUDIO_WIDEST, config.card)

    @torch.inference_mode()
    def longest_ms(self, rows: int) -> float:
        """Return what a step of the first `rows` takes where their caches are full; nobody's state moves."""
        self._heard.active.zero_()
        shape = Shape(self.batch_of(rows), self.rows.state.cache.window, *self._usual_widest())
        took_ms = []
        for _ in range(TIMED_STEPS):
            before_s = time.perf_counter()
            self._run(shape)
            self._said.tokens.tolist()  # waits for the device
            took_ms.append((time.perf_counter() - before_s) * 1000)
        return min(took_ms)

    @torch.inference_mode()
    def step(self, frames: dict[int, np.ndarray]) -> dict[int, Spoken]:
        """Advance the given rows by one frame each; all others stay as they are.

        Shapes: each frame is float32 [1920].
        """
        batch = self.batch_of(max(frames) + 1)
        heard = self._host_heard.view(batch)
        heard.pcm.zero_()
        heard.active.zero_()
        for row, frame in frames.items():
            heard.pcm[row] = torch.from_numpy(frame)
            heard.active[row] = True
        self._heard.view(batch).take(heard)
        self._run(Shape(batch, *self.rows.reach(frames)))
        self.rows.moved(frames)
        # the sound first: whoever has the tokens has both
        said = self._host_said.view(batch)
        said.take(self._said.view(batch))
        if self._host_said is not self._said:
            torch.cuda.current_stream(self._said.tokens.device).synchronize()
        tokens = said.tokens.tolist()
        sound = said.sound.numpy()
        for row in frames:
            if not tokens[row][-1]:
                self.rows.state.cache.clear(row)
        return {
            row: Spoken(sound[row].copy(), tokens[row][0], tuple(tokens[row][1:-1]), bool(tokens[row][-1]))
            for row in frames
        }

    def _run(self, shape: Shape) -> None:
        """Compute a step as recorded where a record covers its shape."""
        fits = (
            known
            for known in self._recorded
            if known.batch == shape.batch
            and known.read >= shape.read
            and known.text_widest >= shape.text_widest
            and known.audio_widest >= shape.audio_widest
        )
        known = min(fits, key=lambda known: known.read, default=None)
        if known:
            self._recorded[known]()
        else:
            self._compute(shape)

    def _compute(self, shape: Shape) -> None:
        """Compute a step from `_heard` to `_said`.

        Knows nothing but the shape and what lies on the device.
        """
        batch = shape.batch
        mimi = self.checkpoint.mimi
        heard = self._heard.view(batch)
        said = self._said.view(batch)
        codes = mimi.encode(heard.pcm, self._encoder.view(batch), heard.active)[:, :, 0]
        state = self.rows.state.view(batch)
        step = advance(
            self.checkpoint.lm, state, codes, heard.active, shape.read, shape.text_widest, shape.audio_widest
        )
        said.sound.copy_(mimi.decode(step.codes[:, :, None], self._decoder.view(batch), heard.active))
        said.tokens.copy_(torch.cat([step.text[:, None], step.codes, step.finite[:, None]], dim=1))


@dataclass(frozen=True)
class _Heard:
    """Shapes: `pcm` float32 [rows, 1920], `active` bool [rows]."""

    pcm: Tensor
    active: Tensor

    @classmethod
    def on(cls, device: torch.device, rows: int, pinned: bool = False) -> _Heard:
        place = {"device": device, "pin_memory": pinned}
        return cls(torch.zeros(rows, FRAME_SAMPLES, **place), torch.zeros(rows, dtype=torch.bool, **place))

    def view(self, rows: int) -> _Heard:
        return _Heard(self.pcm[:rows], self.active[:rows])

    def take(self, other: _Heard) -> None:
        self.pcm.copy_(other.pcm, non_blocking=True)
        self.active.copy_(other.active, non_blocking=True)


@dataclass(frozen=True)
class _Said:
    """Shapes: `tokens` int64 [rows, 10] are text, 8 codes, and whether the row's numbers were finite; `sound`
    float32 [rows, 1920].
    """

    tokens: Tensor
    sound: Tensor

    @classmethod
    def on(cls, device: torch.device, rows: int, pinned: bool = False) -> _Said:
        place = {"device": device, "pin_memory": pinned}
        tokens = torch.zeros(rows, 2 + AGENT_CODEBOOKS, dtype=torch.int64, **place)
        return cls(tokens, torch.zeros(rows, FRAME_SAMPLES, **place))

    def view(self, rows: int) -> _Said:
        return _Said(self.tokens[:rows], self.sound[:rows])

    def take(self, other: _Said) -> None:
        self.sound.copy_(other.sound, non_blocking=True)
        self.tokens.copy_(other.tokens, non_blocking=True)
