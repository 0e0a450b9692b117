"""Read `dialogue.yaml`: rules that fire on what the user says, and lines with slots to answer with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SettingsError, shorten
from ..yaml_fields import load_yaml
from .memory import Memory
from .numbers import word_list
from .sentence_encoder import SentenceEncoder

DIALOGUE_FILE = Path(__file__).with_name("dialogue.yaml")

# how alike a role and the examples of a style must be, and what a cue of the style adds to that
_LIKE = 0.3
_CUE_WORTH = 0.12
_CUES_COUNTED = 8
# so much of a prompt describes the role; further on it lists what the role knows
_DESCRIBED_WORDS = 45
_INFORMATION = re.compile(r"(?i)\b(?:information|facts|details|notes)\s*:")
_NAMES = re.compile(
    r"(?i:,? ?(?:and )?(?:your name is|you are called|called|named)) [A-Z][\w'’-]*(?: [A-Z][\w'’-]*)*"
    r"|(?<=You are )[A-Z][\w.'’-]*(?: [A-Z][\w'’-]*)*,? "
)
_SLOT = re.compile(r"\{([^{}]+)\}")
_FIELDS = frozenset(
    word_list("""when lacks min_words max_words question named stage
    to recalls fits orders say else""")
)


@dataclass(frozen=True)
class RuleInput:
    """A user turn as the rules see it.

    `named`: the user has just given a new name. `fits` is the best fact's coverage of the turn, 0 to 1;
    `recalls` is the share of the last fact that the user repeated, 0 to 1.
    """

    text: str
    question: bool
    named: bool = False
    fits: float = 0.0
    recalls: float = 0.0

    @property
    def words(self) -> int:
        return len(self.text.split())


@dataclass(frozen=True)
class Rule:
    """One rule of the file: its conditions and its lines. None is a condition that is not set.

    `when` and `lacks` are patterns that the text must and must not contain; `stage` lists the stages of the
    talk in which the rule applies, and `to` is the stage that it leads to. `otherwise` are the lines for when
    no slot of `say` can be filled; `orders` adds the facts of the line to the user's order.
    """

    id: str
    say: tuple[str, ...]
    otherwise: tuple[str, ...] = ()
    when: re.Pattern[str] | None = None
    lacks: re.Pattern[str] | None = None
    min_words: int = 0
    max_words: int = 10_000
    question: bool | None = None
    named: bool | None = None
    stage: tuple[str, ...] = ()
    to: str = ""
    recalls: float = 0.0
    fits: float = 0.0
    orders: bool = False

    def fires(self, turn: RuleInput, stage: str) -> bool:
        """Return whether all conditions hold for a turn at this stage of the talk."""
        return (
            self.min_words <= turn.words <= self.max_words
            and (self.question is None or self.question == turn.question)
            and (self.named is None or self.named == turn.named)
            and (not self.stage or stage in self.stage)
            and turn.recalls >= self.recalls
            and turn.fits >= self.fits
            and (self.when is None or self.when.search(turn.text) is not None)
            and (self.lacks is None or self.lacks.search(turn.text) is None)
        )


@dataclass(frozen=True)
class Style:
    """How one kind of role talks.

    A prompt that contains `cues` has this style, or, with a sentence encoder, one that is `like` such a role.
    `lines` are its named phrases (greet, ask_on, unknown, …); `steps` are the questions that the role asks in
    order, each with a pattern of what makes it needless.
    """

    name: str
    cues: tuple[re.Pattern[str], ...]
    like: tuple[str, ...]
    facts: str
    hedge: bool
    topics: bool
    lines: Mapping[str, tuple[str, ...]]
    steps: tuple[tuple[str, re.Pattern[str] | None], ...]
    first: tuple[Rule, ...]
    last: tuple[Rule, ...]
    feedback: tuple[Rule, ...]


@dataclass(frozen=True)
class Dialogue:
    """The content of the file."""

    first: tuple[Rule, ...]
    general: tuple[Rule, ...]
    topics: tuple[Rule, ...]
    leads: Mapping[str, tuple[str, ...]]
    styles: tuple[Style, ...]

    @classmethod
    @cache  # nothing changes it, and making it takes longer than answering
    def load(cls, path: Path = DIALOGUE_FILE) -> Dialogue:
        """Load a dialogue file.

        Raises: SettingsError naming the rule that cannot be used.
        """
        raw = load_yaml(path)
        styles: dict[str, dict[str, Any]] = {}
        for name, own in raw["styles"].items():
            # a style inherits from an earlier one; its own first rules come before the inherited ones
            base = styles.get(own.get("base", ""), {})
            base = {key: value for key, value in base.items() if key != "like"}
            styles[name] = {**base, **own, "first": own.get("first", []) + base.get("first", [])}
        leads = {key: tuple(lines) for key, lines in raw["leads"].items()}
        return cls(
            _rules(raw["first"], "first"),
            _rules(raw["general"], "general"),
            _rules(raw["topics"], "topics"),
            leads,
            tuple(_style(name, entry) for name, entry in styles.items()),
        )

    def style_for(self, prompt: str, encoder: SentenceEncoder | None = None) -> Style:
        """Return the style of the roles that a prompt is most like, the last one of the file for none.

        Without an encoder it is the one with the most cues in the prompt.
        """
        if encoder and (alike := self._style_like(prompt, encoder)):
            return alike
        text = prompt.lower()
        # of two with as many cues the earlier one wins
        scored = [
            (sum(cue.search(text) is not None for cue in style.cues), -k, style)
            for k, style in enumerate(self.styles)
        ]
        best = max(scored, key=lambda s: s[:2])
        return best[2] if best[0] else self.styles[-1]

    def _style_like(self, prompt: str, encoder: SentenceEncoder) -> Style | None:
        """Return the style whose examples are closest to how a prompt begins, None for none that is close."""
        owners = [style for style in self.styles for _ in style.like]
        described = _described(prompt)
        if not described:
            return None
        alike = encoder.encode([each for style in self.styles for each in style.like])
        near = alike @ encoder.encode([described])[0]
        totals = {
            style.name: np.sort(near[[k for k, owner in enumerate(owners) if owner is style]])[-2:].mean()
            + _CUE_WORTH
            * sum(cue.search(described.lower()) is not None for cue in style.cues[:_CUES_COUNTED])
            for style in self.styles
            if style.like
        }
        best = max(totals, key=lambda name: totals[name])
        return next(s for s in self.styles if s.name == best) if totals[best] >= _LIKE else None


def _described(prompt: str) -> str:
    """Return what a prompt says first of the role, without names: they are like many things by chance."""
    begin = " ".join(_INFORMATION.split(prompt)[0].split()[:_DESCRIBED_WORDS])
    return _NAMES.sub("", begin).strip(" .,")


def _style(name: str, entry: dict[str, Any]) -> Style:
    lines = {
        key: tuple(value)
        for key, value in entry.items()
        if key in ("greet", "ask_on", "and_you", "more", "offer", "unknown", "closest")
    }
    return Style(
        name,
        tuple(re.compile(cue) for cue in entry["cues"]),
        tuple(entry.get("like", ())),
        entry.get("facts", "questions"),
        entry.get("hedge", True),
        entry.get("topics", False),
        lines,
        tuple(
            (s, None) if isinstance(s, str) else (s["ask"], re.compile(s["known"]))
            for s in entry.get("steps", ())
        ),
        _rules(entry.get("first", []), f"{name}.first"),
        _rules(entry.get("last", []), f"{name}.last"),
        _rules(entry.get("feedback", []), f"{name}.feedback"),
    )


def _rules(entries: list[dict[str, Any]], where: str) -> tuple[Rule, ...]:
    rules = []
    for number, entry in enumerate(entries, 1):
        if unknown := entry.keys() - _FIELDS:
            raise SettingsError(
                f"The dialogue file's rule {where} {number} has a field {shorten(min(unknown))} that does not"
                " exist."
            )
        try:
            values = {
                key: entry[key]
                for key in ("min_words", "max_words", "question", "named", "to", "recalls", "fits", "orders")
                if key in entry
            }
            patterns: dict[str, Any] = {
                key: re.compile(entry[key]) for key in ("when", "lacks") if key in entry
            }
        except re.error as error:
            raise SettingsError(
                f"The dialogue file's rule {where} {number} has a pattern that cannot be used: {error}."
            ) from error
        rules.append(
            Rule(
                f"{where}.{number}",
                tuple(entry["say"]),
                tuple(entry.get("else", ())),
                stage=tuple(entry.get("stage", ())),
                **patterns,
                **values,
            )
        )
    return tuple(rules)


def filled(template: str, slot: Callable[[str], str | None]) -> str | None:
    """Return a line with its {slots} filled, None when one of them cannot be filled."""
    parts = []
    # split by a pattern with a group: the odd parts are the slots' names
    for k, part in enumerate(_SLOT.split(template)):
        value = slot(part) if k % 2 else part
        if value is None or (k % 2 and not value):
            return None
        parts.append(value)
    # a slot may end in a full stop of its own, before the line's
    return re.sub(r"([.!?])\.", r"\1", re.sub(r"\s{2,}", " ", "".join(parts))).strip()


def take_turns(
    id_: str, lines: tuple[str, ...], memory: Memory, slot: Callable[[str], str | None]
) -> str | None:
    """Return the next of several lines whose slots can be filled, None when there is none.

    `memory.line_uses` counts under `id_` how far the lines are used, so that they take turns.
    """
    start = memory.line_uses[id_]
    for k in range(len(lines)):
        text = filled(lines[(start + k) % len(lines)], slot)
        if text is not None:
            # counted only for the line that was used: those skipped come again
            memory.line_uses[id_] = start + k + 1
            return text
    return None
