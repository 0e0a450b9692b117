"""Answer recordings offline, like the reference's `moshi.offline`, with the model loaded once for all of
them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ..audio import decode
from ..errors import BadAudio, StorageError, shorten
from ..units import FRAME_SAMPLES, SAMPLE_RATE_HZ
from .contract import Engine, EngineState, Sampling, SessionConfig

MAX_RECORDING_S = 3_600.0
PAD_ENTRY = "PAD"
Frame = tuple[np.ndarray, str]
"""One frame of an answer: float32 [1920], and its entry in the text file."""
Answer = Callable[[Iterable[np.ndarray]], Iterator[Frame]]


@dataclass(frozen=True)
class OfflineTask:
    """A recording, and the files that its answer is written to."""

    input_wav: Path
    output_wav: Path
    output_text: Path


@dataclass(frozen=True)
class Role:
    """The agent's role: `voice` is a voice's name, a wav file to clone, or empty for none."""

    voice: str
    text_prompt: str
    sampling: Sampling
    voice_folder: Path | None = None


def answer_all(
    jobs: Iterable[OfflineTask],
    answer: Answer,
    hears_speech: Callable[[np.ndarray], bool] = lambda samples: True,
) -> None:
    """Answer each recording and write the answer's sound and text; what may surprise is printed to stderr.

    Raises: BadAudio for a recording that cannot be read, StorageError for an answer that cannot be written.
    """
    for job in jobs:
        samples = read_wav(job.input_wav)
        if not hears_speech(samples):
            _tell(f"{shorten(job.input_wav.name)}: no speech was heard in your recording.")
        frames = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
        with _progress(job.input_wav.name, len(frames)) as advance:
            # whole frames go in; the answer is cut to the length of the recording
            answered = [advance(frame) for frame in answer(frames)]
        sound = np.clip(np.concatenate([pcm for pcm, _ in answered])[: len(samples)], -1.0, 1.0)
        try:
            # a file object: libsndfile refuses names that are not UTF-8
            with job.output_wav.open("wb") as file:
                soundfile.write(file, sound, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
            job.output_text.write_text(
                json.dumps([text for _, text in answered], ensure_ascii=False), "utf-8"
            )
        except (OSError, soundfile.LibsndfileError) as error:
            raise StorageError(
                f"The answer cannot be written to {shorten(job.output_wav)}; choose a folder that can be"
                " written."
            ) from error


def engine_answer(engine: Engine, role: Role) -> Answer:
    """Return a function that answers in a role with any engine; an unknown voice means the engine's first."""
    names = [voice.name for voice in engine.voices]
    voice = role.voice if role.voice in names else names[0]

    def answer(frames: Iterable[np.ndarray]) -> Iterator[Frame]:
        session = engine.open(SessionConfig(voice, role.text_prompt, sampling=role.sampling, realtime=False))
        try:
            for frame in frames:
                step = session.step(frame)
                yield step.agent, step.text or PAD_ENTRY
        finally:
            session.close()

    return answer


def read_wav(path: Path) -> np.ndarray:
    """Return a recording at 24 kHz, float32 [N]; what was done to it is printed to stderr.

    Raises: BadAudio when it cannot be read, is empty or longer than `MAX_RECORDING_S`.
    """
    try:
        # a file object: libsndfile refuses names that are not UTF-8
        with path.open("rb") as file:
            return decode(file, MAX_RECORDING_S, _tell, shorten(path.name))
    except OSError as error:
        raise BadAudio(
            f"{shorten(path.name)} cannot be read ({error.strerror}); give a recording that exists."
        ) from error


def _tell(text: str) -> None:
    print(f"personaplex-app: {text}", file=sys.stderr)


@contextmanager
def state_line() -> Iterator[Callable[[EngineState], None]]:
    """Print an engine's start-up to stderr: a line that is updated in a terminal, else a line for each
    tenth.
    """
    shown: tuple[str, int] | None = None

    def report(state: EngineState) -> None:
        nonlocal shown
        step = state.stage, int((state.progress or 0.0) * (1000 if sys.stderr.isatty() else 10))
        if step != shown:
            text = f"{state.stage}: {state.detail}"
            print(
                f"\r{text:<78}" if sys.stderr.isatty() else text,
                end="" if sys.stderr.isatty() else "\n",
                file=sys.stderr,
                flush=True,
            )
        shown = step

    try:
        yield report
    finally:
        if shown and sys.stderr.isatty():
            print(file=sys.stderr)


@contextmanager
def _progress(name: str, frames: int) -> Iterator[Callable[[Frame], Frame]]:
    """Print the progress of an answer to stderr, in a terminal only."""
    done = 0

    def advance(frame: Frame) -> Frame:
        nonlocal done
        done += 1
        if sys.stderr.isatty():
            print(f"\r{name}: {done} of {frames} frames", end="", file=sys.stderr, flush=True)
        return frame

    yield advance
    if done and sys.stderr.isatty():
        print(file=sys.stderr)
