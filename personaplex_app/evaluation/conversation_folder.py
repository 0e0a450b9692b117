"""One measured conversation on disk: a folder in the layout of Full-Duplex-Bench's samples, plus `unit.json`.

A folder is complete or does not exist.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ..atomic import write_atomically
from ..audio import float_to_pcm16
from ..errors import BadInput, StorageError
from ..protocol_events import Word
from ..speech.sound import Span
from ..units import SAMPLE_RATE_HZ
from .fdb.folders import AGENT_AUDIO, AGENT_WORDS, USER_AUDIO, read_json
from .judge import Judgement
from .measures import AgentSide, Values
from .scenarios import SpokenScenario

SCHEMA = 1
# the names of the first version, so that its folders can be continued
CONVERSATIONS = "units"
ABOUT = "unit.json"
_ANNOTATION = {"pause": "pause.json", "turn": "turn_taking.json", "interruption": "interrupt.json"}


@dataclass(frozen=True)
class Conversation:
    """A conversation to hold: its scenario, the agent's voice, and the seed of the take."""

    scenario: str
    voice: str
    seed: int

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"{self.scenario}--{_folder_name(self.voice)}--{self.seed}"


@dataclass(frozen=True)
class Result:
    """The content of `unit.json`. Times are seconds on the audio timeline."""

    scenario: str
    kind: str
    title: str
    voice: str
    seed: int
    persona: str
    user_voice: str
    duration_s: float
    script_sha256: str
    user_sha256: str
    agent_sha256: str
    prompt_sha256: str
    happened: list[dict[str, Any]]
    user_words: list[dict[str, Any]]
    agent_words: list[dict[str, Any]]
    agent_speech: list[Span]
    values: Values
    step_ms: list[float]
    ready_s: list[float] = field(default_factory=list)
    judgement: dict[str, Any] | None = None
    schema: int = SCHEMA

    @property
    def conversation(self) -> Conversation:
        return Conversation(self.scenario, self.voice, self.seed)

    @property
    def agent_text(self) -> str:
        return " ".join(word["text"] for word in self.agent_words)


def result_of(
    conversation: Conversation,
    spoken: SpokenScenario,
    agent: AgentSide,
    prompt: str,
    speech: list[Span],
    values: Values,
    judgement: Judgement | None,
) -> Result:
    """Return the record of a conversation that was held and measured."""
    scenario = spoken.scenario
    return Result(
        scenario=scenario.name,
        kind=scenario.kind,
        title=scenario.title,
        voice=conversation.voice,
        seed=conversation.seed,
        persona=scenario.persona,
        user_voice=spoken.user_voice,
        duration_s=round(spoken.duration_s, 6),
        script_sha256=scenario.sha256,
        user_sha256=spoken.sha256,
        agent_sha256=hashlib.sha256(float_to_pcm16(agent.samples)).hexdigest(),
        prompt_sha256=hashlib.sha256(prompt.encode()).hexdigest(),
        happened=[asdict(each) for each in spoken.happened],
        user_words=_words(spoken.words),
        agent_words=_words(agent.words),
        agent_speech=[(round(start_s, 4), round(end_s, 4)) for start_s, end_s in speech],
        values=values,
        step_ms=list(agent.step_ms),
        ready_s=list(agent.ready_s),
        judgement=asdict(judgement) if judgement else None,
    )


def write_conversation(
    root: Path, spoken: SpokenScenario, agent: AgentSide, result: Result, voice: np.ndarray | None
) -> None:
    """Write a conversation's folder under a temporary name and rename it, so that it is never seen half
    written.

    Raises: StorageError.
    """
    folder = root / CONVERSATIONS / result.conversation.name
    part = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, samples in ((USER_AUDIO, spoken.samples), (AGENT_AUDIO, agent.samples)):
            # a file object: libsndfile refuses names that are not UTF-8
            with (part / name).open("wb") as file:
                soundfile.write(file, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
        chunks = [
            {"text": word["text"], "timestamp": [word["start_s"], word["end_s"]]}
            for word in result.agent_words
        ]
        write_json(part / AGENT_WORDS, {"text": result.agent_text, "chunks": chunks})
        for what, name in _ANNOTATION.items():
            if events := [each for each in spoken.happened if each.what == what]:
                times = [
                    [each.end_s, None] if what == "turn" else [each.start_s, each.end_s] for each in events
                ]
                write_json(
                    part / name,
                    [{"text": each.text, "timestamp": at} for each, at in zip(events, times, strict=True)],
                )
        if voice is not None:
            np.save(part / "voice.npy", voice)
        write_json(part / ABOUT, asdict(result))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
    except (OSError, soundfile.LibsndfileError) as error:
        shutil.rmtree(part, ignore_errors=True)
        why = getattr(error, "strerror", None) or "the disk refused it"
        raise StorageError(
            f"The conversation {result.conversation.name} cannot be kept ({why}); make room and run again."
        ) from None


def read_results(root: Path) -> list[Result]:
    """Return the records of all complete conversations below a folder, by name; unreadable ones are
    skipped.
    """
    found = []
    for path in sorted((root / CONVERSATIONS).glob(f"*/{ABOUT}")):
        if path.parent.suffix == ".part":
            continue
        try:
            data = read_json(path)
            result = Result(**data)  # a TypeError where fields are missing or unknown
            if result.schema == SCHEMA:
                found.append(result)
        except (TypeError, BadInput):
            continue
    return found


def read_voice(root: Path, result: Result) -> np.ndarray | None:
    """Return a conversation's voice embedding, float32 [256]; None where it was not measured."""
    try:
        # without pickles, which could run code
        return np.load(root / CONVERSATIONS / result.conversation.name / "voice.npy", allow_pickle=False)
    except (OSError, ValueError):
        return None


def read_sides(root: Path, result: Result) -> tuple[np.ndarray, np.ndarray]:
    """Return the sound of the user and of the agent, float32 [N] each, both cut to the shorter one's length.

    Raises: StorageError.
    """
    folder = root / CONVERSATIONS / result.conversation.name
    try:
        sides = []
        for name in (USER_AUDIO, AGENT_AUDIO):
            with (folder / name).open("rb") as file:
                sides.append(soundfile.read(file, dtype="float32")[0])
    except (OSError, soundfile.LibsndfileError):
        raise StorageError(
            f"The sound of {result.conversation.name} cannot be read; delete its folder and run again."
        ) from None
    count = min(map(len, sides))
    return sides[0][:count], sides[1][:count]


def write_json(path: Path, data: Any) -> None:
    """Write JSON atomically: a reader sees the old file or the new one."""
    # JSON has no NaN, and other readers refuse Python's
    write_atomically(path, json.dumps(data, ensure_ascii=False, allow_nan=False).encode())


def _words(words: tuple[Word, ...]) -> list[dict[str, Any]]:
    return [
        {"text": word.text, "start_s": round(word.start_s, 4), "end_s": round(word.end_s, 4)}
        for word in words
    ]


def _folder_name(text: str) -> str:
    """Return a voice's name as a folder's name: those of cloned voices contain a colon."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in text)
