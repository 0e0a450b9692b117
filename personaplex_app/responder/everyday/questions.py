"""Questions of general knowledge, answered by the known question that means the same."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ...yaml_fields import load_yaml
from ..lexicon import Lexicon, kind_of
from ..numbers import word_list
from ..sentence_encoder import SentenceEncoder
from .contract import Reply, Talk, reply
from .price_list import singular
from .turn import Turn

QUESTIONS_FILE = Path(__file__).with_name("questions.yaml")
# similarity from which two questions are the same, and from which they are if they also ask for the same
# kind of thing and share a word
SAME = 0.8
LIKELY_SAME = 0.62
# without an encoder, so much of both questions' words must be the same
_SAME_WORDS = 0.75
# so much of their words must be the same where one asks for a number and the other for a reason
_SAME_SUBJECT = 0.6
# what makes two questions differ, however alike they are otherwise
_TELLING = frozenset(
    word_list("""
    large small long short tall deep hot cold fast slow heavy light old young near far first  second
    third last most least more  north south east west start end begin win lose mean difference
    europe africa asia  america australia man woman sun moon  star day night week month year hundred
    thousand million two three four five six seven  eight nine ten
    """)
)
_LIKE = {
    "biggest": "large",
    "largest": "large",
    "big": "large",
    "huge": "large",
    "smallest": "small",
    "tiniest": "small",
    "tallest": "tall",
    "highest": "tall",
    "high": "tall",
    "longest": "long",
    "shortest": "short",
    "deepest": "deep",
    "hottest": "hot",
    "coldest": "cold",
    "fastest": "fast",
    "quickest": "fast",
    "slowest": "slow",
    "heaviest": "heavy",
    "oldest": "old",
    "youngest": "young",
    "nearest": "near",
    "closest": "near",
    "began": "start",
    "begin": "start",
    "begun": "start",
    "started": "start",
    "ended": "end",
    "over": "end",
    "finish": "end",
    "finished": "end",
    "bike": "bicycle",
    "plane": "airplane",
    "airplane": "airplane",
    "aeroplane": "airplane",
    "gum": "gum",
    "color": "colour",
    "vapour": "vapor",
}
_ASKING = re.compile(
    r"^(?:and |so |but )?(?:wh\w+|how|is|are|do|does|did|can|which|name|explain|define|tell|in "
    r"what|at what)\b"
)
# about the two who talk, or what they spoke of, and not about the world
_PERSONAL = re.compile(r"\b(?:you|your|yours|my|mine|me|this|that|these|those|it|he|she|they)\b")


class Questions:
    """The questions of the file, found by meaning, or by their words where there is no encoder."""

    def __init__(self, names: frozenset[str], encoder: SentenceEncoder | None) -> None:
        """`names` are words, in lower case, of which a question and the known one must have the same."""
        self._encoder = encoder
        self._lexicon = Lexicon.load()
        self._names = _TELLING | {singular(name) for name in names}
        self._known = [(ask, entry["say"]) for entry in _load() for ask in entry["ask"]]
        self._words = [self._content(ask) for ask, _ in self._known]
        self._told = [self._telling(ask) for ask, _ in self._known]
        self._vectors = encoder.encode([ask for ask, _ in self._known]) if encoder else None

    def answer(self, turn: Turn, talk: Talk) -> Reply | None:
        """Answer a question that the file knows, None for any other."""
        form = re.sub(r"^what (?:causes|makes)\b", "why is there", re.sub(r"[,.?!]", "", turn.ask))
        if not 2 <= turn.words <= 18 or not _ASKING.match(form) or _PERSONAL.search(form):
            return None
        found = self._nearest(form)
        return reply(self._known[found][1], computed=True) if found is not None else None

    def _nearest(self, form: str) -> int | None:
        told, words = self._telling(form), self._content(form)
        able = [k for k, each in enumerate(self._told) if each == told]
        if not able or not words:
            return None
        shared = np.array([len(words & self._words[k]) / len(words | self._words[k]) for k in able])
        if self._encoder is None or self._vectors is None:
            best = int(shared.argmax())
            return able[best] if shared[best] >= _SAME_WORDS else None
        alike = self._vectors[able] @ self._encoder.encode([form])[0]
        best = int(alike.argmax())
        same_kind = kind_of(form) == kind_of(self._known[able[best]][0])
        likely = alike[best] >= LIKELY_SAME and shared[best] > (0 if same_kind else _SAME_SUBJECT)
        return able[best] if alike[best] >= SAME or likely else None

    def _content(self, text: str) -> frozenset[str]:
        return frozenset(self._lexicon.meaning.get(stem, stem) for stem in self._lexicon.content(text))

    def _telling(self, text: str) -> frozenset[str]:
        words = {_LIKE.get(word, singular(word)) for word in re.findall(r"[a-z']+", text.lower())}
        return frozenset(words & self._names)


@cache
def _load() -> tuple[dict[str, Any], ...]:
    return tuple(load_yaml(QUESTIONS_FILE))
