"""The blind test in a notebook, for one listener, with the same rounds, log and rules as the Compare tab."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from html import escape
from pathlib import Path

from ..errors import BadInput, shorten
from ..evaluation.blind_test.design import Condition, Design, TrialClip
from ..evaluation.blind_test.ranking import MIN_VOTES, Choice, Standing
from ..evaluation.blind_test.round import Ballot, Round, passed_checks
from ..evaluation.blind_test.store import BlindTests
from ..evaluation.conversation_folder import Result, read_results, read_sides
from ..evaluation.loudness import amplified, gain_db
from ..evaluation.pictures import lane
from ..evaluation.report import mp3

VOTES = "votes"
TRIALS = 12
OWNER = "this notebook"
CHOICES: dict[str, Choice] = {"A": "left", "B": "right", "tie": "tie", "both bad": "both_bad"}
UNDO = "undo"
REVEAL = "reveal"
NOT_HEARD = "Nothing was counted: this pair is shown only now. Hear both sides, then choose."
ALL_VOTED = (
    f"Every pair has its vote. CHOICE {UNDO} takes the last one back; {REVEAL} names the voices, and your"
    " votes stand."
)
LOOK = (
    "<style>.lane .user{stroke:#0a7a83;stroke-width:2}.lane .agent{stroke:#c2481f;stroke-width:2}.lane"
    " .axis{stroke:#999}.lane text{font:12px sans-serif}.lane .user-words{fill:#08636b}.lane"
    " .agent-words{fill:#9d3715}.lane .band{fill:rgba(202,158,38,.26)}.lane"
    " .cut{stroke:#0a7a83;stroke-width:2}.lane{background:#fdfcf9}</style>"
)


def _score(standing: Standing) -> str:
    """Return a score with its margin, in no more digits than it has, or nothing."""
    return "{} ± {}, ".format(*standing.rounded) if standing.rounded else ""


def player(source: str) -> str:
    """Return an HTML audio player for a sound's address."""
    return f"<audio controls preload='none' src='{source}'></audio>"


class NotebookBlindTest:
    """A blind test of a study's conversations for one listener.

    A notebook cannot measure how long a clip was played, so the time since a pair was shown counts instead.
    """

    def __init__(
        self, folder: Path, engine: str, voices: tuple[str, ...], clock: Callable[[], float] = time.time
    ) -> None:
        """Create the test from the study's conversations, or resume it.

        Raises: BadInput when fewer than two voices can be compared, StorageError.
        """
        results = read_results(folder)
        found = {(r.scenario, r.seed, r.voice): r for r in results}
        shared = [
            key
            for key in dict.fromkeys((s, seed) for s, seed, _ in found)
            if all((*key, voice) in found for voice in voices)
        ]
        rows = [[found[(*key, voice)] for voice in voices] for key in shared]
        conditions = tuple(
            Condition(r.user_sha256, r.title, r.persona, r.prompt_sha256, r.seed) for r, *_ in rows
        )
        self._folder = folder
        self._results = {result.conversation.name: result for result in results}
        clips = tuple(tuple(self._clip(result) for result in row) for row in rows)
        self._test = BlindTests(folder / VOTES, clock=clock).make(Design(engine, voices, conditions, clips))
        # a pair is shown again whenever a choice does not count, and its sounds take a second to encode
        self._side = lru_cache(maxsize=4)(self._drawn_side)

    def _clip(self, result: Result) -> TrialClip:
        return TrialClip(
            result.voice,
            result.conversation.name,
            result.duration_s,
            gain_db(read_sides(self._folder, result)[1]),
            result.agent_sha256,
        )

    def take(self, choice: str) -> str:
        """Record a vote, undo one or reveal the voices, and return the next pair as HTML.

        Raises: BadInput for an unknown choice, StorageError.
        """
        if choice not in ("", *CHOICES, UNDO, REVEAL):
            raise BadInput(
                f"CHOICE is {shorten(choice)}; it must be one of {', '.join((*CHOICES, UNDO, REVEAL))}, or"
                " empty."
            )
        note = self._counted(choice) if choice else ""
        mine = self._test.mine(OWNER) or (self._test.begin(OWNER, TRIALS) and self._test.mine(OWNER))
        assert mine
        return (f"<p><b>{escape(note)}</b></p>" if note else "") + self._shown(mine)

    def _counted(self, choice: str) -> str:
        """Carry out a choice; return "", or the reason why it does not count."""
        mine = next(iter(self._test.rounds()), None)
        try:
            if choice == UNDO:
                self._test.undo(OWNER)
            elif choice == REVEAL:
                self._test.reveal(OWNER)
            elif mine and mine.at is None:
                return ALL_VOTED
            elif not mine or mine.at is None or not mine.is_shown(mine.at):
                return NOT_HEARD
            else:
                self._test.vote(OWNER, Ballot(mine.token(mine.at), CHOICES[choice], None, None))
        except BadInput as error:
            return str(error)
        return ""

    def _shown(self, mine: Round) -> str:
        number = mine.at
        if mine.revealed:
            pairs = "; ".join(
                f"{n}: A {trial.left}, B {trial.right}" for n, trial in enumerate(mine.trials, 1)
            )
            checks = ", ".join(
                f"the {name} pair {'passed' if passed else 'not passed'}"
                for name, passed in passed_checks(mine).items()
            )
            return f"<p>The pairs were {escape(pairs)}. Hidden checks: {escape(checks)}.</p>"
        if number is None:
            return f"<p>{ALL_VOTED}</p>"
        condition = mine.trials[number].condition
        sides = "".join(
            f"<p><b>{name}</b> {self._side(mine.design.clip(condition, voice))}</p>"
            for name, voice in zip("AB", mine.sides(number).values(), strict=True)
        )
        needed_s = sum(mine.needed_s(number).values())
        head = (
            f"Pair {number + 1} of {len(mine.trials)}: {mine.design.conditions[condition].title}. A vote"
            f" counts after {needed_s:.0f} s."
        )
        return f"<p>{escape(head)}</p>{LOOK}{sides}"

    def _drawn_side(self, clip: TrialClip) -> str:
        result = self._results[clip.audio]
        user, agent = read_sides(self._folder, result)
        # without the words, which could give the voice away
        drawn = lane(replace(result, user_words=[], agent_words=[]), user, agent)
        sound = mp3(amplified(user, gain_db(user)), amplified(agent, clip.gain_db))
        return f"<div style='overflow-x:auto'>{drawn}</div>{player(sound)}"

    def ranking(self) -> str:
        """Return the ranking as text."""
        ranking = self._test.ranking()
        lines = [f"{each.rank}. {each.voice}: {_score(each)}{each.votes} votes" for each in ranking.standings]
        early = f"Preliminary: fewer than {MIN_VOTES} votes a voice, and one listener gives no interval."
        return "\n".join([*lines, *([early] if ranking.preliminary else [])])
