"""A session of the PersonaPlex engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..audio import level_db
from ..errors import EngineError
from ..model.checkpoint import Checkpoint
from ..model.generation import RowSampling
from ..model.tokenizer import CONTROL
from ..units import FRAME_SAMPLES, frames_to_s
from .batch_scheduler import Row
from .captions import Captions
from .contract import Event, Notice, Sampling, Step
from .interruption_mute import InterruptionMute
from .line_steering import LineSteering, Spelled, spelled
from .saying_contract import Line

SOUND_DB = -45.0
"""Frames above this level count as sound when a line waits until nobody speaks."""
Verbalise = Callable[[str], str]
"""Writes figures, dates and signs of a text as the words that are spoken."""


class PersonaplexSession:
    """One talk in one row of the batch."""

    def __init__(
        self,
        row: Row,
        checkpoint: Checkpoint,
        seed: int,
        window_frames: int,
        on_close: Callable[[], None],
        verbalise: Verbalise,
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
        self._verbalise = verbalise
        self._lines = LineSteering(self._spell)
        self._frames = 0
        self._agent_sounds = False
        # a token is heard one frame after it was decided
        self._heard_line = ""

    def step(self, user: np.ndarray) -> Step:
        """Advance by one frame.

        Shapes: `user` and the result's `agent` are float32 [1920].
        Raises: EngineError when this talk cannot go on; other talks are not affected.
        """
        if self._row is None:
            raise EngineError("The talk has been closed.")
        if user.shape != (FRAME_SAMPLES,):
            raise EngineError(f"A frame has {FRAME_SAMPLES} samples; this one has the shape {user.shape}.")

        steer = self._lines.next_steer(level_db(user) > SOUND_DB, self._agent_sounds)
        output = self._row.step(user.astype(np.float32, copy=False), steer)
        self._frames += 1
        said = self._lines.take(output.decided, frames_to_s(self._frames))
        agent, text = self._mute.apply(np.clip(output.pcm, -1.0, 1.0), self._tokenizer.spoken(output.text))
        self._agent_sounds = level_db(agent) > SOUND_DB
        captions = self._captions.step(text, self._heard_line)
        self._heard_line = self._lines.speaking
        return Step(agent, self._captions.text, (*captions, *said, *self._context_notice()))

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
        """Mute the agent until it pauses: the model hears the user and decides itself when to stop.

        The line that it is saying is cut.
        """
        if line_id := self._lines.speaking:
            self._lines.unsay(line_id)
        self._mute.begin()

    def say(self, line: Line) -> None:
        """Take a line. Raises: BadInput for what the model has no letters for, CapacityError."""
        self._lines.say(line)

    def more(self, line_id: str, text: str, last: bool) -> None:
        """Go on with a line. Raises: BadInput."""
        self._lines.more(line_id, text, last)

    def unsay(self, line_id: str) -> None:
        """Take a line back, "" for all."""
        self._lines.unsay(line_id)

    def hold(self, on: bool) -> None:
        """Keep the model from words of its own, but for small signs of listening, or let it."""
        self._lines.hold(on)

    def _spell(self, text: str) -> list[Spelled]:
        return spelled(self._verbalise(text), self._tokenizer.words, CONTROL)

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
