"""The blind tests that are made of comparisons, and what their listeners hear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from huggingface_hub import get_token

from ..errors import BadInput
from ..evaluation.answer_clip import answer_window, question
from ..evaluation.blind_test.design import Design, TrialClip
from ..evaluation.blind_test.store import BlindTest, BlindTests
from ..evaluation.blind_test.votes_upload import VoteUpload
from ..evaluation.comparison import Matched, trial_clip
from ..rendering.transcription import Transcriber
from ..settings import Settings
from ..speech.sound import Span
from .comparison_answers import ComparisonAnswers
from .comparison_runs import ComparisonRun


class BlindComparisons:
    """The blind tests of one app, whose clips are a comparison's answers."""

    def __init__(
        self, folder: Path, settings: Settings, answers: ComparisonAnswers, find_speech: Transcriber
    ) -> None:
        self._answers = answers
        self._find_speech = find_speech
        self._upload = (
            VoteUpload(folder, settings.votes_dataset, settings.hf_token or get_token())
            if settings.votes_dataset
            else None
        )
        self.tests = BlindTests(folder, self._upload.changed if self._upload else lambda path: None)
        if self._upload:
            self._upload.start()

    def close(self) -> None:
        """Upload the last votes where they are uploaded."""
        if self._upload:
            self._upload.close()

    def make(self, run: ComparisonRun, engine: str) -> BlindTest:
        """Return the blind test over the answers of a run, which an engine gave.

        Raises: BadInput while some are missing, NotFound, StorageError.
        """
        ready = [row for row in range(len(run.conditions)) if all(cell["ready"] for cell in run.cells()[row])]
        if run.status == "preparing" or not ready:
            raise BadInput(
                "A blind test needs every voice's answer to at least one input; wait until they are rendered."
            )
        design = Design(
            engine,
            run.asked.names,
            tuple(run.conditions[row] for row in ready),
            tuple(self._clips(run, row) for row in ready),
            run.asked.by,
        )
        return self.tests.make(design, run.caller.required_owner)

    def _clips(self, run: ComparisonRun, row: int) -> tuple[TrialClip, ...]:
        """Return the answers of a condition as clips, each from its first sound to its last."""
        turns: list[Span] | None = None
        clips: list[TrialClip] = []
        for column, name in enumerate(run.asked.names):
            rendering = self._answers.get(run.key(row, column))
            # the user's side is the same in all of them
            turns = self._find_speech.user_turns(rendering.user) if turns is None else turns
            speech = self._find_speech.agent_speech(rendering.agent)
            clips.append(trial_clip(name, rendering, answer_window(turns, speech, rendering.duration_s)))
        return tuple(clips)

    def question(self, test: BlindTest, condition: int) -> tuple[str, np.ndarray]:
        """Return what the user says in a condition, as text, empty if unknown, and as sound.

        Shapes: float32 [N] at 24 kHz.
        Raises: NotFound.
        """
        rendering = self._answers.get(test.design.clips[condition][0].audio)
        heard = [each.text.strip() for each in rendering.utterances if each.speaker == "user"]
        spans = self._find_speech.user_turns(rendering.user)
        return test.design.conditions[condition].question or " ".join(heard), question(rendering.user, spans)

    def audible(self, test: BlindTest, condition: int, voice: str) -> Matched:
        """Return a clip of a test. Raises: NotFound."""
        # a listener needs the test's other clips later: none of them may be dropped from the cache
        for clip in (clip for row in test.design.clips for clip in row):
            self._answers.touch(clip.audio)
        clip = test.design.clip(condition, voice)
        return Matched.of(self._answers.get(clip.audio)).within(
            (clip.start_s, clip.start_s + clip.duration_s)
        )
