"""A stored talk: its record, what it was opened with, and checks of what is stored."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ..engine.contract import Mark, Sampling, SessionConfig, TurnLatency, Utterance
from ..errors import BadInput, NotFound

Status = Literal["live", "done", "interrupted"]

# the ends that the user or a limit brings about; after any other a talk counts as interrupted
COMPLETE: frozenset[str] = frozenset({"stopped", "time_limit", "idle"})
MAX_COMMENT_CHARS = 500
MAX_TEXT_CHARS = 4_000


@dataclass(frozen=True)
class TalkMeta:
    """What a talk was opened with."""

    engine: str
    voice: str
    prompt: str = ""
    persona: str | None = None
    sampling: Sampling = field(default_factory=Sampling)

    @classmethod
    def of(cls, engine: str, config: SessionConfig) -> TalkMeta:
        """Return what is stored of an engine's session."""
        return cls(
            engine,
            config.clone.name if config.clone else config.voice,
            config.prompt,
            config.persona,
            config.sampling,
        )


@dataclass(frozen=True)
class TalkRecord:
    """One talk as it was stored; lists leave what happened in it empty.

    `kept` says whether it outlives the visit; that and `has_audio` are filled in by the archive, since a
    TalkStore does not know them.
    """

    id: str
    meta: TalkMeta
    status: Status
    started_at_s: float
    duration_s: float
    ended_at_s: float | None = None
    kept: bool = False
    has_audio: bool = False
    end_reason: str | None = None
    stars: int | None = None
    comment: str = ""
    utterances: tuple[Utterance, ...] = ()
    marks: tuple[Mark, ...] = ()
    turn_latencies: tuple[TurnLatency, ...] = ()


class Transcript(Protocol):
    """What an export contains of a conversation, whether it was a talk or rendered."""

    @property
    def meta(self) -> TalkMeta: ...

    @property
    def duration_s(self) -> float: ...

    @property
    def utterances(self) -> tuple[Utterance, ...]: ...

    @property
    def marks(self) -> tuple[Mark, ...]: ...

    @property
    def turn_latencies(self) -> tuple[TurnLatency, ...]: ...


def new_talk_id() -> str:
    """Return a fresh id, which also names the talk's files."""
    return secrets.token_hex(8)


def checked_id(talk_id: str) -> str:
    """Return `talk_id` when it has the form of one.

    Raises: NotFound, as for an id that nobody has.
    """
    if not re.fullmatch(r"[0-9a-f]{16}", talk_id):
        raise no_such_talk()
    return talk_id


def no_such_talk() -> NotFound:
    """Return the one error for absent, deleted and other people's talks."""
    return NotFound(
        "There is no such talk among yours. It may have been deleted, or not kept; reload the list."
    )


def checked_rating(stars: object, comment: object) -> tuple[int, str]:
    """Return a rating that can be stored.

    Raises: BadInput when the stars are not 1 to 5 or the comment is too long.
    """
    if not isinstance(stars, int) or isinstance(stars, bool) or not 1 <= stars <= 5:
        raise BadInput("The rating must be a whole number of stars from 1 to 5.")
    if not isinstance(comment, str) or len(comment) > MAX_COMMENT_CHARS:
        raise BadInput(f"The comment must be text of at most {MAX_COMMENT_CHARS} characters; shorten it.")
    return stars, storable_text(comment)


def storable_text(text: str, limit: int = MAX_TEXT_CHARS) -> str:
    """Return `text` as it can be stored: valid UTF-8 without NUL, at most `limit` characters."""
    # lone surrogates cannot be written as UTF-8, and SQLite's tools end a text at NUL
    return text[:limit].encode("utf-8", "replace").decode("utf-8").replace("\0", "")
