"""Generate for a batch of conversations: prefill, the delay pattern, one step of all rows, snapshots."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .cache import KVCache
from .config import AGENT_CODEBOOKS, COLUMN_ROWS, DELAYS
from .kernels import own_kernels
from .lm import Lm
from .prompt import USER_ROWS, Prompt
from .sampling import frame_key, gumbel, sample
from .steering import steered

FREE = -1
"""Marks a token of the next column that is not known yet and will be sampled."""
DELAYED_USER_ROWS = slice(USER_ROWS.start + 1, COLUMN_ROWS)
"""The user's acoustic codebooks, which lag by one step; the semantic one does not."""
PREFILL_CHUNK = 512


@dataclass(frozen=True)
class RowSampling:
    """How one row samples its tokens. Temperature 0 is greedy; top-k 0 means no limit."""

    audio_temperature: float = 0.8
    text_temperature: float = 0.7
    audio_topk: int = 250
    text_topk: int = 25
    seed: int = 0


GREEDY = RowSampling(audio_temperature=0.0, text_temperature=0.0)


@dataclass
class LmState:
    """The language model's state of all rows, on its device.

    Shapes: `position` int64 [rows] is how many positions were computed; `column` int64 [rows, 17] is the
    input of the next step; `delayed` int64 [rows, 17] holds the tokens of the column after it that are
    already known, −1 where they are to be sampled; `temperature` float32 [rows, 2], `topk` int64 [rows, 2]
    (text, audio); `seed` int64 [rows].
    """

    cache: KVCache
    position: Tensor
    column: Tensor
    delayed: Tensor
    temperature: Tensor
    topk: Tensor
    seed: Tensor

    def view(self, rows: int) -> LmState:
        """Return a view of the first rows."""
        rest = {f.name: getattr(self, f.name)[:rows] for f in fields(self) if f.name != "cache"}
        return LmState(self.cache.rows(0, rows), **rest)


@dataclass(frozen=True)
class Snapshot:
    """The state of a row after its prompt phase, from which another row can begin.

    Shapes: `data` is [layers, 2, filled slots, heads, head width].
    """

    data: Tensor
    position: int
    last: Tensor
    delayed: Tensor

    @property
    def bytes(self) -> int:
        return self.data.numel() * self.data.element_size()


@dataclass(frozen=True)
class LmStep:
    """The result of one step of all rows.

    Shapes: `text` int64 [B]; `codes` int64 [B, 8] are one frame for the codec; `decided` int64 [B] is the
    text of the next frame; `finite` bool [B] is False where a logit was NaN or infinite; `text_logits`
    float32 [B, text card], `audio_logits` float32 [B, card] for each codebook.
    """

    text: Tensor
    codes: Tensor
    decided: Tensor
    finite: Tensor
    text_logits: Tensor
    audio_logits: list[Tensor]


class Rows:
    """A batch of rows of one language model.

    Positions and top-k are also kept on the host, so that the shapes of a step are known without waiting for
    the device.
    """

    def __init__(self, lm: Lm, rows: int) -> None:
        self.lm = lm
        self.count = rows
        self.positions = [0] * rows
        self.sampling: list[RowSampling] = [GREEDY] * rows
        device = lm.device
        self.state = LmState(
            cache=lm.empty_cache(rows),
            position=torch.zeros(rows, dtype=torch.int64, device=device),
            column=torch.zeros(rows, COLUMN_ROWS, dtype=torch.int64, device=device),
            delayed=torch.full((rows, COLUMN_ROWS), FREE, device=device),
            temperature=torch.zeros(rows, 2, device=device),
            topk=torch.ones(rows, 2, dtype=torch.int64, device=device),
            seed=torch.zeros(rows, dtype=torch.int64, device=device),
        )
        self._delayed_rows = torch.tensor(DELAYS, dtype=torch.bool, device=device)

    def set_sampling(self, row: int, sampling: RowSampling) -> None:
        """Set how a row samples from its next step on."""
        config = self.lm.config
        state = self.state
        text = sampling.text_topk or config.text_card
        audio = sampling.audio_topk or config.card
        self.sampling[row] = sampling
        state.temperature[row] = torch.tensor([sampling.text_temperature, sampling.audio_temperature])
        state.topk[row] = torch.tensor([min(text, config.text_card), min(audio, config.card)])
        state.seed[row] = sampling.seed

    @torch.inference_mode()
    def prefill(self, row: int, prompt: Prompt) -> None:
        """Take a row through its whole prompt phase."""
        for _ in self.prefill_chunks(row, prompt, PREFILL_CHUNK):
            pass

    @torch.inference_mode()
    def prefill_chunks(self, row: int, prompt: Prompt, chunk: int) -> Iterator[int]:
        """Take a row through its prompt phase, yielding after every `chunk` positions.

        Other rows may be stepped between two chunks.
        """
        lm = self.lm
        cache = self.state.cache.rows(row, row + 1)
        inputs = lm.embed(prompt.columns.to(lm.device))
        if prompt.embeddings is not None:
            inputs = torch.cat([prompt.embeddings.to(lm.device, lm.stream_dtype), inputs])
        for start in range(0, len(inputs), chunk):
            lm.prefill(inputs[None, start : start + chunk], cache, start)
            yield min(start + chunk, len(inputs))
        self._begin(row, len(inputs), prompt.last, prompt.delayed)

    def _begin(self, row: int, position: int, last: Tensor, delayed: Tensor) -> None:
        state = self.state
        self.positions[row] = position
        state.position[row] = position
        state.column[row] = last.to(state.column.device)
        state.delayed[row] = torch.where(self._delayed_rows, delayed.to(state.column.device), FREE)

    @torch.inference_mode()
    def snapshot(self, row: int) -> Snapshot:
        """Return a copy of a row's state."""
        state = self.state
        filled = state.cache.filled(self.positions[row])
        return Snapshot(
            data=state.cache.data[:, :, row, :filled].clone(),
            position=self.positions[row],
            last=state.column[row].clone(),
            delayed=state.delayed[row].clone(),
        )

    @torch.inference_mode()
    def restore(self, row: int, snapshot: Snapshot) -> None:
        """Set a row to a snapshot's state; its sampling stays as it was."""
        # what the slots after these hold does not matter: a slot is seen only once its position was written
        self.state.cache.data[:, :, row, : snapshot.data.shape[2]] = snapshot.data
        self._begin(row, snapshot.position, snapshot.last, snapshot.delayed)

    @torch.inference_mode()
    def step(self, user_codes: Tensor, active: Tensor, active_rows: Collection[int]) -> LmStep:
        """Advance the active rows by one frame; the others keep their state.

        Shapes: `user_codes` int64 [B, 8], `active` bool [B] for the first B rows; `active_rows` says the same
        on the host.
        """
        step = advance(
            self.lm, self.state.view(user_codes.shape[0]), user_codes, active, *self.step_shape(active_rows)
        )
        self.advance_positions(active_rows)
        return step

    def step_shape(self, active_rows: Collection[int]) -> tuple[int, int, int]:
        """Return the sizes of the next step of these rows (see `advance`).

        They are the cache slots to read, and the widest top-k of text and of audio, 0 where all are greedy.
        """
        positions = max((self.positions[row] + 1 for row in active_rows), default=1)
        return self.state.cache.read_slots(positions), *self._widest(active_rows)

    def advance_positions(self, active_rows: Collection[int]) -> None:
        """Count one step of these rows in the positions that the host keeps."""
        for row in active_rows:
            self.positions[row] += 1

    def _widest(self, active_rows: Collection[int]) -> tuple[int, int]:
        config = self.lm.config
        text = [
            min(s.text_topk or config.text_card, config.text_card)
            for r in active_rows
            if (s := self.sampling[r]).text_temperature > 0
        ]
        audio = [
            min(s.audio_topk or config.card, config.card)
            for r in active_rows
            if (s := self.sampling[r]).audio_temperature > 0
        ]
        return max(text, default=0), max(audio, default=0)


def advance(
    lm: Lm,
    state: LmState,
    user_codes: Tensor,
    active: Tensor,
    read: int,
    text_widest: int,
    audio_widest: int,
    steering: tuple[Tensor, Tensor] | None = None,
) -> LmStep:
    """Run one position of every row and update the state of the active ones.

    It never waits for the device and copies nothing from the host, so that it can be part of a CUDA graph.
    `read` cache slots are read; `text_widest` and `audio_widest` are the largest top-k among the rows.
    `steering` is what `steered` takes beside the drawn token.
    """
    span = lm.span(state.position, active, state.cache, read)
    hidden, text_logits = lm.step(state.column, state.cache, span)
    draw = _OwnSampler(lm, state) if own_kernels(hidden) else _Sampler(lm, state, text_widest, audio_widest)
    text = draw.text(text_logits)
    if steering:
        text = steered(text, *steering)
    audio_logits: list[Tensor] = []

    def choose(k: int, logits: Tensor) -> Tensor:
        audio_logits.append(logits)
        return draw.audio(k, logits)

    agent = lm.codes(hidden, text, choose)[:, :AGENT_CODEBOOKS]
    known = state.delayed[:, USER_ROWS]
    # the user's codes of this frame, but for rows whose lagging code is known already
    new_column = torch.cat([text[:, None], agent, torch.where(known >= 0, known, user_codes)], dim=1)
    # the acoustic codebooks lag by one step: a frame is complete with the text and semantic code of the
    # previous column and the acoustic codes of this one
    out_codes = torch.cat([state.column[:, 1:2], agent[:, 1:]], dim=1)
    # cloned, since the column is overwritten below
    out_text = state.column[:, 0].clone()
    delayed = torch.full_like(new_column, FREE)
    # the user's acoustic codes of this frame belong to the column after the next input
    delayed[:, DELAYED_USER_ROWS] = user_codes[:, 1:]
    # in place: a CUDA graph reads and writes the same buffers in every frame
    state.column.copy_(torch.where(active[:, None], new_column, state.column))
    state.delayed.copy_(torch.where(active[:, None], delayed, state.delayed))
    state.position.add_(active)
    return LmStep(out_text, out_codes, text, draw.finite(), text_logits, audio_logits)


class _Sampler:
    """Samples the tokens of one step with PyTorch's operations."""

    def __init__(self, lm: Lm, state: LmState, text_widest: int, audio_widest: int) -> None:
        self._state = state
        self._logits: list[Tensor] = []
        self._text_widest = text_widest
        self._audio_widest = audio_widest
        # `sample` looks the k-th best logit up in a list of `widest`: greedy rows must point into it too
        self._topk = torch.stack(
            [
                state.topk[:, 0].clamp(max=max(text_widest, 1)),
                state.topk[:, 1].clamp(max=max(audio_widest, 1)),
            ],
            dim=1,
        )
        self._key = frame_key(state.seed, state.position)[:, None]
        self._streams = torch.arange(1 + lm.config.depformer_steps, device=self._key.device)[None]
        # the noise of all codebooks and tokens at once: a few large operations instead of a few for each
        # codebook
        self._audio_noise = (
            gumbel(self._key, self._streams[:, 1:], torch.arange(lm.config.card, device=self._key.device))
            if audio_widest
            else None
        )

    def text(self, logits: Tensor) -> Tensor:
        """Return the text token of each row."""
        self._logits.append(logits)
        return sample(
            logits,
            self._state.temperature[:, 0],
            self._topk[:, 0],
            self._text_widest,
            lambda token: gumbel(self._key, self._streams[:, :1], token[:, None])[:, 0],
        )

    def audio(self, k: int, logits: Tensor) -> Tensor:
        """Return each row's code of codebook `k`; after the prompt phase the lagging ones are given."""

        def noise(token: Tensor) -> Tensor:
            assert self._audio_noise is not None
            return self._audio_noise[:, k].gather(1, token)

        self._logits.append(logits)
        temperature = self._state.temperature[:, 1]
        chosen = sample(logits, temperature, self._topk[:, 1], self._audio_widest, noise)
        forced = self._state.delayed[:, 1 + k]
        return torch.where(forced >= 0, forced, chosen)

    def finite(self) -> Tensor:
        """Return which rows' logits were all finite."""
        # a sum is finite only where all of its logits are: one small check instead of one for each codebook
        return torch.isfinite(torch.stack([each.sum(dim=-1) for each in self._logits])).all(dim=0)


class _OwnSampler:
    """Samples the tokens of one step with the engine's own kernel, which takes any top-k."""

    def __init__(self, lm: Lm, state: LmState) -> None:
        self._state = state
        self._key = frame_key(state.seed, state.position)
        self._finite: list[Tensor] = []

    def text(self, logits: Tensor) -> Tensor:
        """Return the text token of each row."""
        return self._sample(0, logits, None)

    def audio(self, k: int, logits: Tensor) -> Tensor:
        """Return each row's code of codebook `k`; after the prompt phase the lagging ones are given."""
        return self._sample(1 + k, logits, self._state.delayed[:, 1 + k])

    def _sample(self, stream: int, logits: Tensor, forced: Tensor | None) -> Tensor:
        own = own_kernels(logits)
        assert own
        kind = min(stream, 1)
        token, finite = own.sample(
            logits, self._state.temperature[:, kind], self._state.topk[:, kind], self._key, stream, forced
        )
        self._finite.append(finite)
        return token

    def finite(self) -> Tensor:
        """Return which rows' logits were all finite."""
        return torch.stack(self._finite).all(dim=0)
