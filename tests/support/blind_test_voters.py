"""Blind tests to vote in, and listeners whose clock the test sets."""

from __future__ import annotations

import hashlib
from pathlib import Path

from personaplex_app.evaluation.blind_test.design import Condition, Design, TrialClip
from personaplex_app.evaluation.blind_test.round import SIDES, Ballot, Round
from personaplex_app.evaluation.blind_test.store import BlindTest, BlindTests


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def design(voices: int = 3, conditions: int = 2, duration_s: float = 4.0) -> Design:
    names = tuple(f"voice{k}" for k in range(voices))
    shared = tuple(
        Condition(sha(f"in{c}"), f"Input {c}", "wise-teacher", sha("prompt"), c) for c in range(conditions)
    )
    rows = tuple(
        tuple(TrialClip(v, sha(f"{v}-{c}"), duration_s, -1.5, sha(f"sound of {v}-{c}")) for v in names)
        for c in range(conditions)
    )
    return Design("classic", names, shared, rows)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def made(folder: Path, clock: Clock, **kwargs) -> BlindTest:
    return BlindTests(folder, clock=clock).make(design(**kwargs))


def heard(listener_round: Round, choice: str = "left", **more) -> Ballot:
    """Return a ballot of a listener who heard both sides to the end."""
    number = listener_round.at
    assert number is not None
    return Ballot.parse(
        {
            "token": listener_round.token(number),
            "choice": choice,
            "heard_s": dict.fromkeys(SIDES, 4.0),
            "plays": dict.fromkeys(SIDES, 1),
            **more,
        }
    )


def vote(test: BlindTest, clock: Clock, owner: str, choice: str = "left", **more) -> Round:
    mine = test.mine(owner)
    assert mine is not None
    clock.now_s += 10.0
    return test.vote(owner, heard(mine, choice, **more))
