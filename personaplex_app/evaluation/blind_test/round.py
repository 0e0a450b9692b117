"""One listener's round of a blind test, event-sourced: its state is rebuilt from the logged events alone.

A reload of the page or a restart of the program therefore resumes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeGuard, get_args

from ...errors import BadInput, BadVote, shorten
from .design import REASONS, UNLOCK_MOST_S, UNLOCK_SHARE, Design, Trial
from .ranking import Choice

SCHEMA = 1
MAX_COMMENT_CHARS = 500
MAX_REPLAYS = 10_000
MAX_HEARD_S = 86_400.0
MAX_PAIRS = 500
"""How far an endless round goes, which bounds what one listener can add to a log."""
# tolerance when playing times that a browser reports are checked against the server's clock
CLOCK_SLACK_S = 2.0
SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")
Event = dict[str, Any]
Phase = Literal["voting", "done", "revealed"]


@dataclass(frozen=True)
class Ballot:
    """A listener's vote: the choice, and how long and how often each side was played.

    The latter are None where the client does not measure them.
    """

    token: str
    choice: Choice
    heard_s: Mapping[str, float] | None
    plays: Mapping[str, int] | None
    reasons: tuple[str, ...] = ()
    comment: str = ""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Ballot:
        """Return a ballot from a client's JSON. Raises: BadInput, BadVote."""
        choice = data.get("choice")
        reasons = data.get("reasons", [])
        comment = data.get("comment", "")
        if not _is_choice(choice):
            raise BadVote(
                f"The choice is {shorten(choice)}; it must be one of {', '.join(get_args(Choice))}."
            )
        if not isinstance(reasons, list) or any(reason not in REASONS for reason in reasons):
            raise BadVote(f"The reasons are {shorten(reasons)}; they must be a list of {', '.join(REASONS)}.")
        if not isinstance(comment, str) or len(comment) > MAX_COMMENT_CHARS:
            raise BadVote(f"The comment must be text of at most {MAX_COMMENT_CHARS} characters; shorten it.")
        heard_s: dict[str, float] = {side: _amount(data, "heard_s", side, MAX_HEARD_S) for side in SIDES}
        plays: dict[str, int] = {side: int(_amount(data, "plays", side, MAX_REPLAYS)) for side in SIDES}
        return cls(
            str(data.get("token", "")), choice, heard_s, plays, tuple(dict.fromkeys(reasons)), comment.strip()
        )


def _is_choice(value: object) -> TypeGuard[Choice]:
    return value in get_args(Choice)


def _amount(data: Mapping[str, Any], name: str, side: str, most: float) -> float:
    both = data.get(name)
    value = both.get(side) if isinstance(both, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise BadVote(f"{name} of the {side} side is {shorten(value)}; it must be a number from 0 up.")
    return value


@dataclass
class Round:
    """A listener's trials and the votes so far. Only `apply` changes it."""

    design: Design
    id: str
    listener: str
    trials: tuple[Trial, ...]
    # more trials follow for as long as the listener likes
    endless: bool = False
    votes: dict[int, Event] = field(default_factory=dict)
    revealed: bool = False
    _order: list[int] = field(default_factory=list)
    _attempts: dict[int, int] = field(default_factory=dict)
    _shown_at_s: dict[int, float] = field(default_factory=dict)
    # the sounds that were fetched, as (trial, side)
    _fetched: set[tuple[int, str]] = field(default_factory=set)

    @classmethod
    def of(cls, design: Design, begin: Event) -> Round:
        """Return a round at its first trial, from its 'begin' event.

        Raises: KeyError, TypeError, ValueError for any other event.
        """
        return cls(
            design,
            str(begin["session"]),
            str(begin["listener"]),
            _trials(design, begin),
            begin.get("endless") is True,
        )

    @property
    def wants_more(self) -> bool:
        """Return whether more trials are to be planned for it."""
        return self.endless and self.at is None and not self.revealed and len(self.trials) < MAX_PAIRS

    @property
    def at(self) -> int | None:
        """The number of the current trial; None when all have a vote."""
        return next((n for n in range(len(self.trials)) if n not in self.votes), None)

    @property
    def phase(self) -> Phase:
        return "revealed" if self.revealed else "done" if self.at is None else "voting"

    @property
    def can_undo(self) -> bool:
        return bool(self._order) and not self.revealed

    def token(self, number: int) -> str:
        """Return a token for the current presentation of a trial.

        It changes after an undo, so that an old vote cannot be replayed.
        """
        key = f"{self.id}:{number}:{self._attempts.get(number, 0)}"
        return hashlib.sha256(key.encode()).hexdigest()[:24]

    def number_of(self, token: str) -> int | None:
        """Return the number of the trial that a token was issued for, None for an unknown token."""
        # tokens of later trials have not been given out
        last = len(self.trials) - 1 if self.at is None else self.at
        return next((n for n in range(last + 1) if self.token(n) == token), None)

    def is_shown(self, number: int) -> bool:
        return number in self._shown_at_s

    def needed_s(self, number: int) -> dict[str, float]:
        """Return how long each side must be played before a vote, in seconds."""
        trial = self.trials[number]
        lengths_s = {
            side: self.design.clip(trial.condition, voice).duration_s
            for side, voice in self.sides(number).items()
        }
        return {side: min(UNLOCK_SHARE * length_s, UNLOCK_MOST_S) for side, length_s in lengths_s.items()}

    def sides(self, number: int) -> dict[str, str]:
        """Return the voice on each side."""
        return {"left": self.trials[number].left, "right": self.trials[number].right}

    # events to be logged: none of these methods changes the round

    def shown(self, now_s: float) -> Event | None:
        """Return the event that the current trial was shown; None when it was logged before or no trial is
        left.
        """
        number = self.at
        if number is None or self.is_shown(number):
            return None
        return self._event("shown", now_s, trial=number, attempt=self._attempts.get(number, 0))

    def fetched(self, side: str, now_s: float) -> Event | None:
        """Return the event that the sound of one side of the current trial was fetched; None when it was
        logged before or no trial is left.
        """
        number = self.at
        if number is None or (number, side) in self._fetched:
            return None
        return self._event("fetched", now_s, trial=number, side=side)

    def vote(self, ballot: Ballot, now_s: float, must_fetch: bool = False) -> Event:
        """Return the event of a vote; with `must_fetch` it needs the sounds to have been fetched.

        Raises: BadVote when it does not count.
        """
        number = self.number_of(ballot.token)
        if number is not None and number in self.votes:
            raise BadVote("That pair already has your vote, which counts once. Undo it to vote anew.")
        if number is None or number != self.at or not self.is_shown(number):
            raise BadVote(
                "That pair is not the one shown to you now, so the vote was not counted. Reload the page to"
                " see the one that is."
            )
        if must_fetch and any((number, side) not in self._fetched for side in SIDES):
            raise BadVote("Listen to both sides first: the sound of one was not fetched.")
        waited_s = now_s - self._shown_at_s[number]
        for side, needed_s in self.needed_s(number).items():
            if ballot.heard_s and ballot.heard_s[side] < needed_s:
                name = "A" if side == "left" else "B"
                raise BadVote(
                    f"Listen to both sides first: {name} was heard for {ballot.heard_s[side]:.1f} s of the"
                    f" {needed_s:.1f} s needed."
                )
        # a client's own figures may be made up: they cannot exceed what passed on the server's clock
        if sum(self.needed_s(number).values()) > waited_s + CLOCK_SLACK_S:
            raise BadVote(
                f"Both sides cannot have been heard in the {max(0.0, waited_s):.1f} s since they were shown."
                " Listen to them first."
            )
        trial = self.trials[number]
        condition = self.design.conditions[trial.condition]
        clips = {side: self.design.clip(trial.condition, voice) for side, voice in self.sides(number).items()}
        return self._event(
            "vote",
            now_s,
            trial=number,
            attempt=self._attempts.get(number, 0),
            check=trial.check,
            input=condition.input,
            persona=condition.persona,
            prompt_hash=condition.prompt_hash,
            seed=condition.seed,
            left=trial.left,
            right=trial.right,
            audio={side: clip.audio for side, clip in clips.items()},
            audio_sha256={side: clip.audio_sha256 for side, clip in clips.items()},
            gain_db={side: clip.gain_db for side, clip in clips.items()},
            heard_s=ballot.heard_s and {side: round(seconds, 2) for side, seconds in ballot.heard_s.items()},
            plays=ballot.plays and dict(ballot.plays),
            time_to_vote_s=round(waited_s, 2),
            choice=ballot.choice,
            reasons=list(ballot.reasons),
            comment=ballot.comment,
        )

    def undo(self, now_s: float) -> Event:
        """Return the event that undoes the last vote.

        Raises: BadInput when there is none, or the voices have been revealed.
        """
        if self.revealed:
            raise BadInput(
                "The voices have been named, so your votes stand. Begin another round to vote again."
            )
        if not self._order:
            raise BadInput("There is no vote of yours to undo.")
        return self._event("undo", now_s, trial=self._order[-1])

    def reveal(self, now_s: float) -> Event:
        """Return the event that reveals the voices' names.

        Raises: BadInput while a trial has no vote; in an endless round, while none has.
        """
        if self.endless and not self.votes:
            raise BadInput("You have not voted yet; vote on a pair first, then stop whenever you like.")
        left = len(self.trials) - len(self.votes)
        if left and not self.endless:
            raise BadInput(
                f"The voices are named when every pair has your vote; {left} of {len(self.trials)} are still"
                " to be heard."
            )
        return self._event("reveal", now_s)

    def more(self, trials: tuple[Trial, ...], now_s: float) -> Event:
        """Return the event that an endless round goes on with more trials."""
        return self._event("more", now_s, trials=[asdict(trial) for trial in trials])

    def _event(self, kind: str, now_s: float, **more: Any) -> Event:
        whose = {"session": self.id, "listener": self.listener, "test": self.design.id}
        return {"schema": SCHEMA, "kind": kind, "at_s": round(now_s, 3), **whose, **more}

    def apply(self, event: Event) -> None:
        """Update the round by a logged event.

        Raises: KeyError, TypeError, ValueError for an event that does not fit.
        """
        kind = event["kind"]
        if kind == "reveal":
            self.revealed = True
            return
        if kind == "more":
            self.trials += _trials(self.design, event)
            return
        number = event["trial"]
        if not isinstance(number, int) or not 0 <= number < len(self.trials):
            raise ValueError(f"there is no trial {number!r}")
        if kind == "shown":
            self._shown_at_s[number] = float(event["at_s"])
        elif kind == "fetched":
            self._fetched.add((number, str(event["side"])))
        elif kind == "vote":
            trial = self.trials[number]
            if (event["left"], event["right"], event["check"]) != (trial.left, trial.right, trial.check):
                raise ValueError("the vote is for another pair")
            if number in self.votes or not _is_choice(event["choice"]):
                raise ValueError("the vote does not count")
            self.votes[number] = event
            self._order.append(number)
        elif kind == "undo":
            del self.votes[number]
            self._order.remove(number)
            self._attempts[number] = self._attempts.get(number, 0) + 1
            self._shown_at_s.pop(number, None)
        else:
            raise ValueError(f"there is no event {kind!r}")


def _trials(design: Design, event: Event) -> tuple[Trial, ...]:
    """Return the trials in an event.

    Raises: KeyError, TypeError, ValueError when they are not of this test.
    """
    trials = tuple(Trial.from_json(each) for each in event["trials"])
    if not trials or any(
        not 0 <= t.condition < len(design.conditions) or {t.left, t.right} - set(design.voices)
        for t in trials
    ):
        raise ValueError("the plan is not one of this test")
    return trials


def preferred(vote: Event) -> str | None:
    """Return the voice that a vote prefers; None for a tie or when both were bad."""
    return vote[vote["choice"]] if vote["choice"] in SIDES else None


def passed_checks(mine: Round) -> dict[str, bool]:
    """Return for each kind of hidden check that has a vote whether the listener passed all of it.

    A repeat must show the same preference again, an identical pair none.
    """
    passed: dict[str, bool] = {}
    for number, vote in mine.votes.items():
        trial = mine.trials[number]
        if trial.check == "identical":
            passed["identical"] = preferred(vote) is None and passed.get("identical", True)
        elif trial.check == "repeat" and trial.of in mine.votes:
            same = preferred(vote) == preferred(mine.votes[trial.of])
            passed["repeat"] = same and passed.get("repeat", True)
    return passed
