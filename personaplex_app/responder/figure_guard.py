"""Keep figures from being said that nobody told: a wrong price or date does more harm than no answer."""

from __future__ import annotations

import re

from .lexicon import Lexicon
from .numbers import figures, is_figure_word, word_list
from .role_text import plain_role
from .sentences import split_sentences

NO_FIGURE = "I'm sorry, I don't have that figure in my notes."
# they tell what kind of figure it is, not of what
_KINDS_OF_FIGURE = frozenset(word_list("cost price charge fee rate pay total number figure amount time hour"))

_PRICE = re.compile(r"(?i)[$€£¥%]|\b(?:dollars?|euros?|pounds?|pence|cents?|costs?|prices?|charges?|fees?)\b")


def states_only(sentence: str, known: frozenset[int]) -> bool:
    """Return whether all figures of a sentence are among the known ones."""
    return figures(sentence) <= known


def _told(text: str) -> frozenset[int]:
    # "error 404" is said "four oh four", and "404" as an amount
    return figures(text) | {int(digits) for digits in re.findall(r"(?<![\d.,])\d{1,15}(?![.,]?\d)", text)}


class ToldFigures:
    """The figures of one talk: the role's, each with the words it was told with, and the user's own.

    A price of the role may only be said of what it was told of: a loaf's is not a bagel's. Other figures,
    such as the hour at which "we close", are told in many words.
    """

    def __init__(self, role: str) -> None:
        self._lexicon = lexicon = Lexicon.load()
        self._kinds = frozenset(
            lexicon.meaning.get(stem, stem) for stem in map(lexicon.stem, _KINDS_OF_FIGURE)
        )
        self._users: frozenset[int] = frozenset()
        self._facts = [
            (numbers, self._subjects(sentence))
            for sentence in split_sentences(plain_role(role))
            if (numbers := _told(sentence))
        ]

    def hear(self, user_text: str) -> None:
        """Take note of the figures that the user has said, which may be said again of anything."""
        self._users |= _told(user_text)

    def allow(self, sentence: str, *talked_of: str) -> bool:
        """Return whether a sentence may be said. One that names nothing, as "It's four dollars", is about
        the first of `talked_of` that does.
        """
        subjects = next(filter(None, map(self._subjects, (sentence, *talked_of))), frozenset())
        of_anything = not _PRICE.search(sentence)
        return all(
            any(
                number in numbers and (of_anything or not told_of or told_of & subjects)
                for numbers, told_of in self._facts
            )
            for number in figures(sentence) - self._users
        )

    def _subjects(self, text: str) -> frozenset[str]:
        lexicon = self._lexicon
        words = " ".join(word for word in lexicon.words(text) if not is_figure_word(word))
        stems = (lexicon.meaning.get(stem, stem) for stem in lexicon.content(words))
        return frozenset(stems) - self._kinds
