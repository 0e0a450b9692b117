"""Score a folder of conversations: each sample, then their means. A bad sample is skipped and reported."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ... import intervals
from ...errors import BadInput
from ...protocol_events import Word
from ...speech.sound import AGENT_GAP_S, USER_GAP_S, Sound, Span, merged
from ...speech.speech_finder import SpeechFinder, align_to_sound, to_tenths
from . import TASK_NAMES, checks, metrics
from .folders import (
    AGENT_AUDIO,
    AGENT_WORDS,
    USER_AUDIO,
    label,
    read_events,
    read_human,
    read_sound,
    read_words,
    sample_folders,
)
from .published import NONE_PUBLISHED, NOTE, SOURCE, published

Values = dict[str, Any]
# every task has all keys, None where it does not measure one
STRICT: Values = {
    "tor": None,
    "latency_s": None,
    "frequency_hz": None,
    "jsd": None,
    "stop_latency_s": [],
    "response_latency_s": [],
}


@dataclass(frozen=True)
class Problem:
    """A sentence on a fault of a sample; a skipped sample has no scores."""

    id: str | None
    message: str
    skipped: bool


@dataclass
class Scores:
    """All samples' scores, their means, and the problems that were found."""

    task: str
    per_sample: dict[str, Values] = field(default_factory=dict)
    aggregate: Values = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def as_json(self) -> Values:
        """Return what `evaluate score --json` prints."""
        rows = published(self.task)
        return {
            "task": self.task,
            "per_sample": self.per_sample,
            "aggregate": self.aggregate,
            "problems": [asdict(problem) for problem in self.problems],
            "published": (
                {"source": SOURCE, "note": NOTE, "systems": rows} if rows else {"note": NONE_PUBLISHED}
            ),
        }


class Sample:
    """One sample's files, read on demand and checked against each other; doubts are reported to `note`."""

    def __init__(self, folder: Path, finder: Callable[[], SpeechFinder], note: Callable[[str], None]) -> None:
        self._folder = folder
        self._finder = finder
        self._note = note

    def note_early_words(self, until_s: float) -> None:
        """Report words from before the moment that a reply is counted from.

        The published latency takes the first of them for the reply.
        """
        if self.words and self.words[0].start_s < until_s:
            self._note(
                f"{self._name(AGENT_WORDS)} has words from before the moment the reply is counted from, so"
                " the published latency is 0; read the corrected one."
            )

    def _name(self, file: str) -> str:
        return label(self._folder / file)

    @cached_property
    def words(self) -> list[Word]:
        """The agent's words. Raises: BadInput."""
        words = read_words(self._folder / AGENT_WORDS, self._note)
        if sound := self.optional_agent:
            checks.check_words(words, sound, self._name(AGENT_WORDS), self._name(AGENT_AUDIO), self._note)
        return words

    @cached_property
    def optional_words(self) -> list[Word] | None:
        """The agent's words, or None and a note."""
        return self._noted(lambda: self.words)

    @cached_property
    def user(self) -> Sound:
        """The user's sound. Raises: BadAudio."""
        return self._sound(USER_AUDIO)

    @cached_property
    def agent(self) -> Sound:
        """The agent's sound, checked against the user's where that exists. Raises: BadAudio."""
        sound = self._sound(AGENT_AUDIO)
        if user := self.optional_user:
            checks.check_pair(user, sound, self._name(USER_AUDIO), self._name(AGENT_AUDIO), self._note)
        return sound

    @cached_property
    def optional_agent(self) -> Sound | None:
        """The agent's sound, or None and a note."""
        return self._noted(lambda: self.agent)

    @cached_property
    def optional_user(self) -> Sound | None:
        """The user's sound, or None and a note."""
        return self._noted(lambda: self.user)

    def _sound(self, file: str) -> Sound:
        sound = read_sound(self._folder / file, self._note)
        checks.check_sound(sound, self._name(file), self._note)
        return sound

    def events(self, file: str, with_end: bool = True, spoken: bool = False) -> list[Span] | None:
        """Return the annotated spans, or None and a note."""
        events = self._noted(lambda: read_events(self._folder / file, with_end))
        if events and (user := self.optional_user):
            checks.check_events(events, user, self._name(file), self._name(USER_AUDIO), spoken, self._note)
        return events

    def _noted(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except BadInput as error:
            self._note(str(error))
            return None

    def speech(self, sound: Sound) -> list[Span]:
        """Return where a side speaks, to the sample."""
        return self._finder().segments(sound)


# -- tasks -----------------------------------------------------------------------------------------


def _pause_handling(sample: Sample) -> Values:
    pauses = sample.events("pause.json")
    return {
        "tor": metrics.take_over(sample.words),
        "corrected": {"tor": metrics.take_over_in_pause(sample.words, pauses) if pauses else None},
    }


def _smooth_turn_taking(sample: Sample) -> Values:
    events = sample.events("turn_taking.json", with_end=False)
    at_s = events[0][0] if events else None
    if at_s is not None:
        sample.note_early_words(at_s)
    return {
        "tor": metrics.take_over(sample.words),
        "latency_s": None if at_s is None else metrics.latency_s(sample.words, at_s),
        "corrected": (
            {"tor": None, "latency_s": None}
            if at_s is None
            else asdict(metrics.reply_to_turn(sample.words, at_s))
        ),
    }


def _user_interruption(sample: Sample) -> Values:
    events = sample.events("interrupt.json", spoken=True)
    values: Values = {
        "tor": metrics.take_over(sample.words),
        "latency_s": None,
        "reply_after_interruption_s": None,
        "stop_after_onset_s": None,
        "corrected": {"tor": None, "latency_s": None},
    }
    if events:
        onset_s, end_s = events[0]
        sample.note_early_words(end_s)
        values["latency_s"] = values["reply_after_interruption_s"] = metrics.latency_s(sample.words, end_s)
        values["corrected"] = asdict(metrics.reply_to_interruption(sample.words, end_s))
        if sound := sample.optional_agent:
            speech = merged(align_to_sound(sample.speech(sound), sound), AGENT_GAP_S)
            values["stop_after_onset_s"] = metrics.stop_after_onset_s(speech, onset_s)
    return values


def _backchannel(sample: Sample, human: list[float] | None) -> Values:
    """Score backchannels; `human` is empty for a sample without ground truth, None where there is none at
    all.
    """
    segments = sample.speech(sample.agent)
    duration_s = sample.agent.duration_s
    words = sample.optional_words or []
    judged = {
        "strict": metrics.backchannels(to_tenths(segments), words),
        "corrected": metrics.true_backchannels(segments, words),
    }
    values = {
        name: {
            "tor": found.tor,
            "frequency_hz": metrics.frequency_hz(found.spans, duration_s),
            "jsd": None if human == [] else metrics.divergence(found.spans, duration_s, human),
        }
        for name, found in judged.items()
    }
    return {**values["strict"], "corrected": values["corrected"]}


def _timing(sample: Sample) -> Values:
    """The published script counts in samples; the detector's padding is corrected."""
    user = sample.speech(sample.user)
    agent = sample.speech(sample.agent)
    at_the_user = align_to_sound(user, sample.user)
    at_the_agent = align_to_sound(agent, sample.agent)
    values: Values = {
        **_overlap_times(user, agent),
        "words_per_minute_before": None,
        "words_per_minute_after": None,
        "corrected": _overlap_times(at_the_user, at_the_agent),
    }
    words = sample.optional_words
    both = metrics.overlaps(merged(user, USER_GAP_S), merged(agent, AGENT_GAP_S))
    if words and both:
        over_s = both[0][1]
        values["words_per_minute_before"] = metrics.words_per_minute(
            [word for word in words if word.start_s < over_s]
        )
        values["words_per_minute_after"] = metrics.words_per_minute(
            [word for word in words if word.start_s >= over_s]
        )
    return values


def _overlap_times(user: list[Span], agent: list[Span]) -> Values:
    user = merged(user, USER_GAP_S)
    agent = merged(agent, AGENT_GAP_S)
    return {
        "stop_latency_s": metrics.stop_latencies_s(user, agent),
        "response_latency_s": metrics.response_latencies_s(user, agent),
    }


def score_sample(task: str, sample: Sample, human: list[float] | None = None) -> Values:
    """Return one sample's figures for a task of TASK_NAMES.

    Raises: BadInput when a file that the task requires cannot be used.
    """
    by_task = (
        _pause_handling,
        _smooth_turn_taking,
        _user_interruption,
        partial(_backchannel, human=human),
        _timing,
    )
    return _rounded({**STRICT, **dict(zip(TASK_NAMES, by_task, strict=True))[task](sample)})


# -- a folder of them ------------------------------------------------------------------------------


def score_folder(task: str, root: Path, human_file: Path | None = None) -> Scores:
    """Score every sample below `root` for a task of TASK_NAMES.

    Raises: BadInput when there is no sample, or none that can be scored.
    """
    human = None if human_file is None else read_human(human_file)
    folders = sample_folders(root)
    scores = Scores(task)
    finders: list[SpeechFinder] = []

    def finder() -> SpeechFinder:
        if not finders:
            finders.append(SpeechFinder())
        return finders[0]

    known: dict[str, str] = {}
    for folder in folders:
        name = folder.name

        # the default binds this turn's name: the loop goes on
        def note(message: str, name: str = name) -> None:
            scores.problems.append(Problem(name, message, False))

        sample = Sample(folder, finder, note)
        own = human.get(name, []) if isinstance(human, dict) else human
        if own == [] and task == "backchannel":
            note(f"{name} is not in the ground truth; its divergence is left out, add its distribution.")
        try:
            scores.per_sample[name] = score_sample(task, sample, own)
            _note_copies(name, sample, known, scores.problems)
        except BadInput as error:
            scores.problems.append(Problem(name, str(error), True))
    if not scores.per_sample:
        first = next(problem for problem in scores.problems if problem.skipped)
        raise BadInput(f"None of the {len(folders)} samples can be scored; the first: {first.message}")
    scores.aggregate = _aggregate(scores.per_sample)
    if human is None:
        _without_divergence(scores)
    return scores


def _note_copies(name: str, sample: Sample, known: dict[str, str], problems: list[Problem]) -> None:
    """Report ids that differ only in writing, and sounds that occur in two folders."""
    keys = [str(int(name)) if name.isdecimal() else name.casefold()]
    # only where a task has read it: asking the property would read the file
    if (sound := vars(sample).get("agent")) is not None and np.any(sound.samples):
        keys.append("sound " + hashlib.sha256(sound.samples.tobytes()).hexdigest())
    for key, what in zip(keys, ("id", f"sound in {AGENT_AUDIO}"), strict=False):
        if key in known:
            problems.append(
                Problem(
                    name,
                    f"{name} and {known[key]} have the same {what}; both are scored, remove the copy.",
                    False,
                )
            )
        known.setdefault(key, name)


def _without_divergence(scores: Scores) -> None:
    if scores.task == "backchannel":
        scores.aggregate["jsd"] = scores.aggregate["corrected"]["jsd"] = None
        scores.problems.append(
            Problem(None, "The divergence needs the human distribution; give its file with --gt.", False)
        )


def _aggregate(per_sample: dict[str, Values]) -> Values:
    samples = list(per_sample.values())
    found: Values = {"samples": len(samples), "events": {}, "intervals": {}}
    for key in samples[0]:
        if key != "corrected":
            groups = [_events(sample[key]) for sample in samples]
            found[key] = intervals.mean(groups)
            found["events"][key] = sum(map(len, groups))
            found["intervals"][key] = intervals.mean_interval(groups)
    if "corrected" in samples[0]:
        found["corrected"] = _aggregate({name: sample["corrected"] for name, sample in per_sample.items()})
    return _rounded(found)


def _events(value: float | list[float] | None) -> list[float]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    return round(float(value), 6) if isinstance(value, float) else value
