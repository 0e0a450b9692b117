"""A session of the PersonaPlex engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import EngineError
from ..model.checkpoint import Checkpoint
from ..model.generation import RowSampling
from ..units import FRAME_SAMPLES, frames_to_s
from .batch_scheduler import Row
from .captions import Captions
from .contract import Event, Notice, Sampling, Step
from .interruption_mute import InterruptionMute


class PersonaplexSession:
    """One talk in one row of the batch."""

    def __init__(
        self, row: Row, checkpoint: Checkpoint, seed: int, window_frames: int, on_close: Callable[[], None]
    ) -> None:
        """Take over a prefilled row; `on_close` is called when the session is closed.

        `window_frames` is how many frames fit into the attention window in addition to the prompt.
        """
        self._row: Row | None = row
        self._tokenizer = checkpoint.tokenizer
        self._captions = Captions()
        self._mute = InterruptionMute()
        self._seed = seed
        self._frames_until_notice = max(window_frames, 0)
        self._context_frames = checkpoint.lm.config.context
        self._on_close = on_close

    def step(self, user: np.ndarray) -> Step:
        """Advance by one frame.

        Shapes: `user` and the result's `agent` are float32 [1920].
        Raises: EngineError when this talk cannot go on; other talks are not affected.
        """
        if self._row is None:
            raise EngineError("The talk has been closed.")
        if user.shape != (FRAME_SAMPLES,):
            raise EngineError(f"A frame has {FRAME_SAMPLES} samples; this one has the shape {user.shape}.")

        output = self._row.step(user.astype(np.float32, copy=False))
        agent, text = self._mute.apply(np.clip(output.pcm, -1.0, 1.0), self._tokenizer.spoken(output.text))
        captions = self._captions.step(text)
        return Step(agent, self._captions.text, (*captions, *self._context_notice()))

    def _context_notice(self) -> tuple[Event, ...]:
        """Return a notice, once, with the first frame that pushes another one out of the attention window."""
        # counts on below -1, so that the notice comes once
        self._frames_until_notice -= 1
        if self._frames_until_notice != -1:
            return ()
        window = f"{self._context_frames:,} frames, the last {duration(frames_to_s(self._context_frames))}"
        return (
            Notice(
                "context_fades",
                f"The model looks back on {window}: early context, its role too, fades from now on.",
            ),
        )

    def resample(self, sampling: Sampling) -> None:
        """Change temperatures and top-k from the next frame on; the seed stays."""
        if self._row:
            self._row.resample(row_sampling(sampling, self._seed))

    def interrupt(self) -> None:
        """Mute the agent until it pauses: the model hears the user and decides itself when to stop."""
        self._mute.begin()

    def close(self) -> None:
        """Free the row. May be called twice."""
        row = self._row
        self._row = None
        if row:
            row.release()
            self._on_close()


def row_sampling(sampling: Sampling, seed: int) -> RowSampling:
    """Return a session's sampling as the model's `RowSampling`."""
    return RowSampling(
        audio_temperature=sampling.audio_temperature,
        text_temperature=sampling.text_temperature,
        audio_topk=sampling.audio_topk,
        text_topk=sampling.text_topk,
        # any integer becomes a signed 64-bit one, which a tensor can hold
        seed=(seed + 2**63) % 2**64 - 2**63,
    )


def duration(seconds: float) -> str:
    """Return a length of time in words: "4 minutes", "12 seconds"."""
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:.0f} seconds"
