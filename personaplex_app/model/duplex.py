"""Step many conversations by one frame: the user's sound in, the agent's sound and text out.

A step runs codec, language model and codec on the device and waits for it once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..errors import shorten
from ..units import FRAME_SAMPLES
from .checkpoint import Checkpoint
from .config import AGENT_CODEBOOKS
from .generation import Rows, RowSampling, Snapshot, advance
from .graphs import Recorder, Work
from .kernels import own_kernels
from .prompt import Prompt
from .steering import FREE, STEER_FIELDS, Steer, gate_table

RECORDED_TEXT_WIDEST = 32
RECORDED_AUDIO_WIDEST = 256
"""CUDA graphs cover top-k up to these values, which includes the defaults (25 and 250); a larger top-k is
computed without a graph.
"""

TIMED_STEPS = 3


@dataclass(frozen=True)
class FrameOutput:
    """The agent's output of one row in one frame.

    `text` is a token of the text vocabulary, and `decided` the one of the next frame. `finite` is False where
    the row's logits were NaN or infinite: its sound is then meaningless.
    Shapes: `pcm` float32 [1920], `codes` the frame's 8 codes.
    """

    pcm: np.ndarray
    text: int
    codes: tuple[int, ...]
    decided: int
    finite: bool


@dataclass(frozen=True)
class Shape:
    """The sizes that decide which kernels a step launches.

    `batch` rows are stepped, `read` slots of their KV caches are read, and the widest top-k of text and of
    audio are `text_widest` and `audio_widest`.
    """

    batch: int
    read: int
    text_widest: int
    audio_widest: int


class Duplex:
    """A batch of conversations, one a row, each with its codec streams and its row of the KV cache.

    A step runs on the first 1, 2, 4, … rows that include all active ones, so that one talk costs the same
    however many rows there are. It reads and writes the same buffers every time, so that it can be recorded
    once as a CUDA graph and replayed (`graphs`).
    """

    def __init__(self, checkpoint: Checkpoint, rows: int) -> None:
        self.checkpoint = checkpoint
        self.rows = Rows(checkpoint.lm, rows)
        lm = checkpoint.lm
        self._gates = gate_table(checkpoint.tokenizer, lm.config.text_card).to(lm.device)
        self._encoder = checkpoint.mimi.empty_encoder_state(rows)
        self._decoder = checkpoint.mimi.empty_decoder_state(rows)
        device = checkpoint.lm.device
        self._inputs = _InputBuffers.allocate(device, rows)
        self._outputs = _OutputBuffers.allocate(device, rows)
        # pinned host buffers make the copies to and from a GPU asynchronous; on a CPU there is nothing to
        # copy
        pinned = device.type == "cuda"
        self._host_inputs = (
            _InputBuffers.allocate(torch.device("cpu"), rows, pinned) if pinned else self._inputs
        )
        self._host_outputs = (
            _OutputBuffers.allocate(torch.device("cpu"), rows, pinned) if pinned else self._outputs
        )
        # empty until `record`, and where a device has no CUDA graphs
        self._recorded: dict[Shape, Work] = {}

    @property
    def count(self) -> int:
        return self.rows.count

    def prefill(self, row: int, prompt: Prompt, chunk: int) -> Iterator[int]:
        """Take a row through its prompt phase, yielding after every `chunk` positions."""
        yield from self.rows.prefill_chunks(row, prompt, chunk)
        self._reset_streams(row)

    def snapshot(self, row: int) -> Snapshot:
        """Return a copy of a row's state, to be taken right after its prefill."""
        return self.rows.snapshot(row)

    def restore(self, row: int, snapshot: Snapshot) -> None:
        """Set a row to a snapshot's state, with fresh codec streams."""
        self.rows.restore(row, snapshot)
        self._reset_streams(row)

    def set_sampling(self, row: int, sampling: RowSampling) -> None:
        """Set how a row samples from its next frame on."""
        self.rows.set_sampling(row, sampling)

    @torch.inference_mode()
    def _reset_streams(self, row: int) -> None:
        self._encoder.reset(row)
        self._decoder.reset(row)

    def batch_of(self, rows: int) -> int:
        """Return the batch size of a step on the first `rows` rows: a power of two, or all rows."""
        return min(1 << (rows - 1).bit_length(), self.count)

    @torch.inference_mode()
    def record(self, recorder: Recorder) -> str:
        """Record the steps of every usual shape; return "", or why a recording failed.

        Shapes without a recording are launched kernel by kernel.
        """
        batches = sorted({self.batch_of(rows) for rows in range(1, self.count + 1)})
        # with no active row, the runs that warm up and record change nobody's state
        self._inputs.active.zero_()
        shapes = [
            Shape(batch, read, *self._usual_widest(batch)) for batch in batches for read in self._reads(batch)
        ]
        try:
            for shape in shapes:
                self._recorded[shape] = recorder(partial(self._compute, shape))
        except RuntimeError as error:
            # the error of ending a failed capture only says that it failed; the cause is its context. What
            # was recorded before stays in use.
            return shorten(error.__context__ or error, 120)
        return ""

    def _reads(self, batch: int) -> list[int]:
        """Return how many cache slots the recorded steps of `batch` rows read."""
        cache = self.rows.state.cache
        # our own kernels stop at each row's length, so that one recording serves all lengths
        return [cache.window] if self._has_own_kernels(batch) else cache.recorded_reads()

    def _usual_widest(self, batch: int) -> tuple[int, int]:
        """Return the widest top-k of text and of audio that the recorded steps of `batch` rows allow."""
        config = self.checkpoint.lm.config
        # our own kernel takes any top-k
        if self._has_own_kernels(batch):
            return config.text_card, config.card
        return min(RECORDED_TEXT_WIDEST, config.text_card), min(RECORDED_AUDIO_WIDEST, config.card)

    def _has_own_kernels(self, batch: int) -> bool:
        return own_kernels(self.rows.state.position[:batch, None]) is not None

    @torch.inference_mode()
    def longest_ms(self, rows: int) -> float:
        """Return how long a step of the first `rows` rows takes with full caches; no row is advanced.

        Units: milliseconds, the shortest of `TIMED_STEPS` runs.
        """
        self._inputs.active.zero_()
        batch = self.batch_of(rows)
        shape = Shape(batch, self.rows.state.cache.window, *self._usual_widest(batch))
        took_ms = []
        for _ in range(TIMED_STEPS):
            before_s = time.perf_counter()
            self._run(shape)
            self._outputs.tokens.tolist()  # waits for the device
            took_ms.append((time.perf_counter() - before_s) * 1000)
        return min(took_ms)

    @torch.inference_mode()
    def step(
        self, frames: dict[int, np.ndarray], steers: Mapping[int, Steer] | None = None
    ) -> dict[int, FrameOutput]:
        """Advance the given rows by one frame each; all others keep their state.

        `steers` has what is decided about the text of some of them; the others are free.

        Shapes: each frame is float32 [1920].
        """
        # the lowest rows are taken first, so that the highest active one decides the batch
        batch = self.batch_of(max(frames) + 1)
        inputs = self._host_inputs.view(batch)
        inputs.pcm.zero_()
        inputs.active.zero_()
        for row, frame in frames.items():
            inputs.pcm[row] = torch.from_numpy(frame)
            inputs.active[row] = True
            inputs.steer[row] = torch.tensor(astuple((steers or {}).get(row, FREE)))
        self._inputs.view(batch).copy_from(inputs)
        # before the positions advance: the shape is that of the step to come
        self._run(Shape(batch, *self.rows.step_shape(frames)))
        self.rows.advance_positions(frames)
        # `copy_from` queues the sound before the tokens, so that reading the tokens means that both are there
        outputs = self._host_outputs.view(batch)
        outputs.copy_from(self._outputs.view(batch))
        if self._host_outputs is not self._outputs:
            torch.cuda.current_stream(self._outputs.tokens.device).synchronize()
        tokens = outputs.tokens.tolist()
        sound = outputs.sound.numpy()
        for row in frames:
            if not tokens[row][-1]:
                # the NaN would stay in the cache and spoil the row's next talk
                self.rows.state.cache.clear(row)
        outcome = {}
        for row in frames:
            text, *codes = tokens[row][:-2]
            decided, finite = tokens[row][-2:]
            # copied: the next step overwrites the host's buffer
            outcome[row] = FrameOutput(sound[row].copy(), text, tuple(codes), decided, bool(finite))
        return outcome

    def _run(self, shape: Shape) -> None:
        """Compute a step, with the smallest recording that covers its shape where there is one."""
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
        """Compute a step from `_inputs` to `_outputs`.

        It depends on nothing but the shape and tensors on the device, as a CUDA graph must.
        """
        batch = shape.batch
        mimi = self.checkpoint.mimi
        inputs = self._inputs.view(batch)
        outputs = self._outputs.view(batch)
        codes = mimi.encode(inputs.pcm, self._encoder.view(batch), inputs.active)[:, :, 0]
        state = self.rows.state.view(batch)
        widest = shape.text_widest, shape.audio_widest
        steering = inputs.steer, self._gates
        step = advance(self.checkpoint.lm, state, codes, inputs.active, shape.read, *widest, steering)
        outputs.sound.copy_(mimi.decode(step.codes[:, :, None], self._decoder.view(batch), inputs.active))
        numbers = (step.text[:, None], step.codes, step.decided[:, None], step.finite[:, None])
        outputs.tokens.copy_(torch.cat(numbers, dim=1))


@dataclass(frozen=True)
class _InputBuffers:
    """The user's frames, which rows take part, and what is decided about their text.

    Shapes: `pcm` float32 [rows, 1920], `active` bool [rows], `steer` int64 [rows, 4].
    """

    pcm: Tensor
    active: Tensor
    steer: Tensor

    @classmethod
    def allocate(cls, device: torch.device, rows: int, pinned: bool = False) -> _InputBuffers:
        where = {"device": device, "pin_memory": pinned}
        pcm = torch.zeros(rows, FRAME_SAMPLES, **where)
        steer = torch.zeros(rows, STEER_FIELDS, dtype=torch.int64, **where)
        return cls(pcm, torch.zeros(rows, dtype=torch.bool, **where), steer)

    def view(self, rows: int) -> _InputBuffers:
        return _InputBuffers(self.pcm[:rows], self.active[:rows], self.steer[:rows])

    def copy_from(self, other: _InputBuffers) -> None:
        self.pcm.copy_(other.pcm, non_blocking=True)
        self.active.copy_(other.active, non_blocking=True)
        self.steer.copy_(other.steer, non_blocking=True)


@dataclass(frozen=True)
class _OutputBuffers:
    """The agent's frames, as they leave the device.

    Shapes: `tokens` int64 [rows, 11] are the text token, 8 codes, the text token decided for the next frame,
    and 1 where the row's logits were finite; `sound` float32 [rows, 1920].
    """

    tokens: Tensor
    sound: Tensor

    @classmethod
    def allocate(cls, device: torch.device, rows: int, pinned: bool = False) -> _OutputBuffers:
        where = {"device": device, "pin_memory": pinned}
        tokens = torch.zeros(rows, 3 + AGENT_CODEBOOKS, dtype=torch.int64, **where)
        return cls(tokens, torch.zeros(rows, FRAME_SAMPLES, **where))

    def view(self, rows: int) -> _OutputBuffers:
        return _OutputBuffers(self.tokens[:rows], self.sound[:rows])

    def copy_from(self, other: _OutputBuffers) -> None:
        self.sound.copy_(other.sound, non_blocking=True)
        self.tokens.copy_(other.tokens, non_blocking=True)
