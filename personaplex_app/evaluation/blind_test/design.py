"""Design a blind listening test: the pairs that a listener hears, their order and their sides.

Both sides of a trial share the user's recording and all else but one thing, which is what is compared: the
voice, the persona, or one setting of the sampling. Two hidden checks among the trials show how far a
listener's votes can be trusted: a repeat with its sides swapped, and a pair of identical clips.
Nothing here reads or writes files.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, Literal, get_args

from ...errors import BadInput

MAX_TRIALS = 100
# trials between a repeat and its original, so that the listener does not recognise it at once
MIN_APART = 2
# a vote unlocks when this share of each side was played, or so many seconds of it: 8 s for a pair
UNLOCK_SHARE = 0.8
UNLOCK_MOST_S = 4.0
REASONS = ("naturalness", "voice", "timing", "content", "artefacts")
Check = Literal["repeat", "identical"]
By = Literal["voice", "persona", "audio_temperature", "text_temperature", "audio_topk", "text_topk"]
"""What differs between the sides."""
Pair = tuple[str, str]


@dataclass(frozen=True)
class Condition:
    """What both sides of a trial share. `input` and `prompt_hash` are the sha256 of the user's sound and
    of the role prompt; persona and prompt are empty where they are what differs. `question` is what the user
    says, empty for a private recording and where it is not known.
    """

    input: str
    title: str
    persona: str
    prompt_hash: str
    seed: int
    question: str = ""


@dataclass(frozen=True)
class TrialClip:
    """One answer: the key of its sound, where in it the answer begins, its length, and the gain that
    equalises its loudness. `voice` names which of the compared it is, whatever is compared.

    `audio_sha256` is the hash of the sound's 16-bit samples, so that a new rendering of the same request is a
    different clip; it is empty in old tests.
    """

    voice: str
    audio: str
    duration_s: float
    gain_db: float
    audio_sha256: str = ""
    start_s: float = 0.0


@dataclass(frozen=True)
class Design:
    """A test: everything that is compared in every condition. `clips[i]` are condition i's, in the order of
    `voices`, which are the names of what is compared: voices, personas or numbers, as `by` says.
    """

    engine: str
    voices: tuple[str, ...]
    conditions: tuple[Condition, ...]
    clips: tuple[tuple[TrialClip, ...], ...]
    by: By = "voice"

    def __post_init__(self) -> None:
        if len(set(self.voices)) < 2 or len(set(self.voices)) != len(self.voices):
            raise BadInput(
                "A blind test needs at least two different voices, or personas, or settings; choose another"
                " one too."
            )
        if not self.conditions or [len(row) for row in self.clips] != [len(self.voices)] * len(
            self.conditions
        ):
            raise BadInput(
                "A blind test needs at least one input, and every answer to it; render the missing"
                " ones first."
            )

    @cached_property
    def id(self) -> str:
        """The test's id, a hash: the same voices, inputs, roles and seeds give the same test."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()[:32]

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` takes. What older tests did not have is left out where it is not used, so
        that they keep their ids.
        """
        told = asdict(self)
        if self.by == "voice":
            del told["by"]
        for condition in told["conditions"]:
            if not condition["question"]:
                del condition["question"]
        for clip in (clip for row in told["clips"] for clip in row):
            if not clip["start_s"]:
                del clip["start_s"]
        return told

    @property
    def pairs(self) -> list[Pair]:
        return list(combinations(sorted(self.voices), 2))

    @property
    def most_trials(self) -> int:
        """How many trials there are, each of them different."""
        return min(MAX_TRIALS, self.all_trials)

    @property
    def all_trials(self) -> int:
        """How many different trials could be made: every pair in every condition."""
        return len(self.pairs) * len(self.conditions)

    def clip(self, condition: int, voice: str) -> TrialClip:
        """Return a voice's clip in a condition."""
        return self.clips[condition][self.voices.index(voice)]

    @classmethod
    def from_json(cls, data: Any) -> Design:
        """Return the design in its JSON. Raises: KeyError, TypeError, ValueError, BadInput for anything
        else.
        """
        if data.get("by", "voice") not in get_args(By):
            raise ValueError(f"by is {data['by']!r}")
        conditions = tuple(Condition(**each) for each in data["conditions"])
        clips = tuple(tuple(TrialClip(**each) for each in row) for row in data["clips"])
        return cls(data["engine"], tuple(data["voices"]), conditions, clips, data.get("by", "voice"))


@dataclass(frozen=True)
class Trial:
    """A pair of voices in one condition. A repeat has the number of the trial that it repeats."""

    condition: int
    left: str
    right: str
    check: Check | None = None
    of: int | None = None

    @classmethod
    def from_json(cls, data: Any) -> Trial:
        """Return what `asdict` was given. Raises: TypeError, ValueError."""
        trial = cls(**data)
        if trial.check not in (None, *get_args(Check)):
            raise ValueError(f"check is {trial.check!r}")
        return trial


def plan(
    design: Design,
    trials: int,
    seed: str,
    urgency: Mapping[Pair, tuple[float, float]] | None = None,
    before: tuple[Trial, ...] = (),
    endless: bool = False,
) -> tuple[Trial, ...]:
    """Return a listener's trials, including two hidden checks; equal arguments give equal plans.

    Every pair is used before one is used again, and conditions and sides are balanced. Where there is no room
    for all pairs, those with the lowest `urgency` are used. The trials follow those `before`, which a plan of
    their own gave: what was not heard there comes first. In an `endless` round they are as many as asked for,
    and begin anew where the design has fewer, so that checks stay rare.
    """
    heard = [((min(t.left, t.right), max(t.left, t.right)), t.condition) for t in before if t.check is None]
    # when everything was heard, it begins anew
    heard = heard[len(heard) // design.all_trials * design.all_trials :]
    chance = random.Random(seed)  # noqa: S311 - a plan is to be repeatable, not secret
    lean: Counter[str] = Counter()
    planned: list[Trial] = []
    while not planned or (endless and len(planned) < trials):
        room = min(trials - len(planned), design.most_trials, design.all_trials - len(heard))
        chosen = _chosen(design, max(1, room), urgency or {}, chance, heard)
        heard = [] if len(heard) + len(chosen) == design.all_trials else heard + chosen
        part = _with_sides(chosen, chance, lean)
        chance.shuffle(part)
        planned += part
    return _with_checks(design, planned, chance, len(before))


def _chosen(
    design: Design,
    count: int,
    urgency: Mapping[Pair, tuple[float, float]],
    chance: random.Random,
    heard: list[tuple[Pair, int]],
) -> list[tuple[Pair, int]]:
    """Return pairs with their conditions, each used as equally often as possible, none that was heard."""
    pairs = design.pairs
    conditions = list(range(len(design.conditions)))
    chance.shuffle(pairs)
    chance.shuffle(conditions)
    of_pair = Counter(pair for pair, _ in heard)
    of_voice = Counter(voice for pair, _ in heard for voice in pair)
    of_condition = Counter(condition for _, condition in heard)
    used = set(heard)
    for _ in range(count):
        pair = min(
            pairs, key=lambda p: (of_pair[p], urgency.get(p, (0.0, 0.0)), of_voice[p[0]] + of_voice[p[1]])
        )
        condition = min((c for c in conditions if (pair, c) not in used), key=lambda c: of_condition[c])
        used.add((pair, condition))
        of_pair[pair] += 1
        of_condition[condition] += 1
        of_voice.update(pair)
    # sorted, because the order of a set of texts differs between processes and a plan must not
    return sorted(used - set(heard))


def _with_sides(chosen: list[tuple[Pair, int]], chance: random.Random, lean: Counter[str]) -> list[Trial]:
    """Assign sides so that every voice is about as often left as right; `lean` counts how much more often."""
    chance.shuffle(chosen)
    trials = []
    for pair, condition in chosen:
        a, b = (
            pair
            if lean[pair[0]] < lean[pair[1]] or (lean[pair[0]] == lean[pair[1]] and chance.random() < 0.5)
            else pair[::-1]
        )
        lean[a] += 1
        lean[b] -= 1
        trials.append(Trial(condition, a, b))
    return trials


def _with_checks(design: Design, chosen: list[Trial], chance: random.Random, begin: int) -> tuple[Trial, ...]:
    """Insert the two checks: the repeat as far behind its original as possible, the identical pair not
    first. `begin` is the number that the first trial is to have.
    """
    # an original from the first half leaves room behind it for its repeat
    first = chance.randrange(max(1, len(chosen) // 2))
    repeat = Trial(chosen[first].condition, chosen[first].right, chosen[first].left, "repeat", first)
    later = chance.randint(min(len(chosen), first + 1 + MIN_APART), len(chosen))
    trials = [*chosen[:later], repeat, *chosen[later:]]
    voice = chance.choice(design.voices)
    identical = Trial(chance.randrange(len(design.conditions)), voice, voice, "identical")
    at = 1 if len(chosen) == 1 else chance.randint(1, len(trials))
    trials = [*trials[:at], identical, *trials[at:]]
    # inserting a trial shifts the numbers of those behind it, which a repeat refers to
    return tuple(
        Trial(t.condition, t.left, t.right, t.check, begin + first + (at <= first))
        if t.check == "repeat"
        else t
        for t in trials
    )
