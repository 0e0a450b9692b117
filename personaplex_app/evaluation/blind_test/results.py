"""Export the results of a blind test: the ranking as JSON, and the votes as CSV and JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from .design import REASONS
from .ranking import BOARD_VOTES, MIN_VOTES, Standing
from .round import SIDES, Round, passed_checks, preferred
from .store import BlindTest

COLUMNS = (
    *(
        "at_s",
        "test",
        "session",
        "listener",
        "trial",
        "check",
        "input",
        "persona",
        "prompt_hash",
        "seed",
        "left",
        "right",
        "choice",
    ),
    *(
        "preferred",
        "reasons",
        "comment",
        "time_to_vote_s",
        "heard_left_s",
        "heard_right_s",
        "plays_left",
        "plays_right",
    ),
    *(
        "gain_left_db",
        "gain_right_db",
        "audio_left",
        "audio_right",
        "audio_left_sha256",
        "audio_right_sha256",
        "undone",
    ),
)


def results(test: BlindTest) -> dict[str, Any]:
    """Return the ranking with the numbers of votes and listeners, side bias, and results of the hidden
    checks.
    """
    ranking = test.ranking()
    rounds = test.rounds()
    votes = [vote for each in rounds for vote in each.votes.values() if vote["check"] is None]
    enough = _given(rounds) >= BOARD_VOTES
    checks = [passed_checks(each) for each in rounds]
    return {
        "test": test.design.id,
        "engine": test.design.engine,
        "by": test.design.by,
        "conditions": [asdict(condition) for condition in test.design.conditions],
        "standings": [
            {
                **asdict(standing),
                "preliminary": standing.preliminary,
                "rounded": _rounded(standing) if enough else None,
            }
            for standing in ranking.standings
        ],
        "board_votes": BOARD_VOTES,
        "wins": ranking.wins,
        "side_bias": asdict(ranking.side_bias),
        "listeners": ranking.listeners,
        "votes": ranking.votes,
        "preliminary": ranking.preliminary,
        "min_votes": MIN_VOTES,
        "reasons": _reasons(test.design.voices, votes),
        "checks": {
            name: {
                "asked": sum(name in each for each in checks),
                "passed": sum(each.get(name, False) for each in checks),
            }
            for name in ("repeat", "identical")
        },
    }


def board(test: BlindTest) -> dict[str, Any]:
    """Return the ranking so far without any names, for listeners who are still to vote blind."""
    ranking = test.ranking()
    given = _given(test.rounds())
    standings = [
        {
            "rank": each.rank,
            "rounded": _rounded(each),
            "votes": each.votes,
            "preliminary": each.preliminary,
        }
        for each in ranking.standings
    ]
    return {
        "votes": given,
        "listeners": ranking.listeners,
        "board_votes": BOARD_VOTES,
        "standings": standings if given >= BOARD_VOTES else [],
    }


def _given(rounds: Iterable[Round]) -> int:
    """Return how many votes were given, hidden checks among them: a listener counts their own alike."""
    return sum(len(each.votes) for each in rounds)


def _rounded(standing: Standing) -> dict[str, int] | None:
    """Return a score and its margin as they may be shown; None where they say nothing."""
    found = standing.rounded
    return found and {"score": found[0], "margin": found[1]}


def _reasons(voices: tuple[str, ...], votes: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return how often each reason was given for preferring a voice."""
    named: dict[str, Counter[str]] = {voice: Counter() for voice in voices}
    for vote in votes:
        voice = preferred(vote)
        if voice is not None:
            named[voice].update(vote["reasons"])
    return {voice: {reason: count[reason] for reason in REASONS} for voice, count in named.items()}


def to_jsonl(test: BlindTest) -> str:
    """Return all events, undone votes included, as JSON lines. A plan tells a listener who is who: only those
    of rounds that are over are there.
    """
    over = {each.id for each in test.rounds() if each.phase == "revealed"}
    events = (
        {name: value for name, value in event.items() if name != "trials" or event["session"] in over}
        for event in test.events()
    )
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)


def to_csv(test: BlindTest) -> str:
    """Return the votes as CSV, one a row; undone ones are marked."""
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    table.writeheader()
    # by identity, since the events are the very objects that the rounds hold
    standing = {id(vote) for each in test.rounds() for vote in each.votes.values()}
    for event in test.events():
        if event["kind"] == "vote":
            table.writerow(
                {
                    name: _safe(value)
                    for name, value in {**_row(event), "undone": int(id(event) not in standing)}.items()
                }
            )
    return out.getvalue()


def _row(vote: dict[str, Any]) -> dict[str, Any]:
    row = {name: vote[name] for name in COLUMNS if name in vote}
    row |= {
        "preferred": preferred(vote) or "",
        "check": vote["check"] or "",
        "reasons": " ".join(vote["reasons"]),
    }
    for side in SIDES:
        row |= {
            f"heard_{side}_s": (vote["heard_s"] or {}).get(side, ""),
            f"plays_{side}": (vote["plays"] or {}).get(side, ""),
        }
        row |= {f"gain_{side}_db": vote["gain_db"][side], f"audio_{side}": vote["audio"][side]}
        row[f"audio_{side}_sha256"] = vote.get("audio_sha256", {}).get(side, "")
    return row


def _safe(value: Any) -> Any:
    # spreadsheets run cells that begin like this as formulas, and comments are untrusted text
    return (
        f"'{value}"
        if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
        else value
    )
