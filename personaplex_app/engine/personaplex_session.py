"""One talk with the PersonaPlex engine."""

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
    """One talk in one slot."""

    def __init__(
        self, slot: Row, checkpoint: Checkpoint, seed: int, window_frames: int, left: Callable[[], None]
    ) -> None:
        """`window_frames` is how many frames fit beside the prompt into what the model looks back on; `left`
        is called at the end.
        """
        self._slot: Row | None = slot
        self._tokenizer = checkpoint.tokenizer
        self._captions = Captions()
        self._mute = InterruptionMute()
        self._seed = seed
        self._frames_until_fading = max(window_frames, 0)
        self._context_frames = checkpoint.lm.config.context
        self._left = left

    def step(self, user: np.ndarray) -> Step:
        """Advance by one frame.

        Shapes: `user` and the result's `agent` are float32 [1920].
        Raises: EngineError when this talk cannot go on; others are not touched.
        """
        if self._slot is None:
            raise EngineError("The talk has been closed.")
        if user.shape != (FRAME_SAMPLES,):
            raise EngineError(f"A frame has {FRAME_SAMPLES} samples; this one has the shape {user.shape}.")
        spoken = self._slot.step(user.astype(np.float32, copy=False))
        agent, text = self._mute.heard(np.clip(spoken.pcm, -1.0, 1.0), self._tokenizer.spoken(spoken.text))
        return Step(agent, text, (*self._captions.step(text), *self._fading()))

    def _fading(self) -> tuple[Event, ...]:
        """Say once, with the first frame that pushes another out of the window, that memory has an end."""
        self._frames_until_fading -= 1
        if self._frames_until_fading != -1:
            return ()
        told = f"{self._context_frames:,} frames, the last {duration(frames_to_s(self._context_frames))}"
        return (
            Notice(
                "context_fades",
                f"The model looks back on {told}: early context, its role too, fades from now on.",
            ),
        )

    def resample(self, sampling: Sampling) -> None:
        """Change temperatures and top-k from the next frame on; the seed stays."""
        if self._slot:
            self._slot.resample(row_sampling(sampling, self._seed))

    def interrupt(self) -> None:
        """Let nothing more be heard until the model pauses: it hears the user and decides itself when to
        stop.
        """
        self._mute.begin()

    def close(self) -> None:
        """Give the slot back. May be called twice."""
        slot = self._slot
        self._slot = None
        if slot:
            slot.release()
            self._left()


def row_sampling(sampling: Sampling, seed: int) -> RowSampling:
    """Return a session's sampling in the model's words."""
    return RowSampling(
        audio_temperature=sampling.audio_temperature,
        text_temperature=sampling.text_temperature,
        audio_topk=sampling.audio_topk,
        text_topk=sampling.text_topk,
        seed=(seed + 2**63) % 2**64 - 2**63,
    )


def duration(seconds: float) -> str:
    """Return a length of time in words: "4 minutes", "12 seconds"."""
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:.0f} seconds"
