"""What a turn's words tell about the turn: is it finished, a backchannel, a call to stop, an echo.

Pure functions of text.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher, get_close_matches
from enum import Enum


class Ending(Enum):
    """How finished a text looks."""

    DONE = "done"
    UNSURE = "unsure"
    LOOSE = "loose"
    OPEN = "open"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Silence after which a turn with such an ending is taken as over. People pause up to a second in mid-thought.
PATIENCE_S = {Ending.DONE: 0.56, Ending.UNSURE: 0.76, Ending.LOOSE: 1.2, Ending.OPEN: 2.6}

# A sentence that stops at one of these goes on.
_NEVER_LAST = _words("""
    a an the my your his its our their and or but because so if when while although unless until than as to of
    with from into um uh er erm hmm well like i'm i'd i'll i've you're we're they're he's she's it's let's
    every very really just maybe also i we they he she who whose which where would could should wants want
    need gonna wanna trying looking going
""")
# A sentence may stop at one of these, and often does not.
_SELDOM_LAST = _words("""
    for in on at by about over under after before between without through is are was were am be been do does
    did have has had can will may might must that this some any another more one two three four five six seven
    eight nine zero think guess
""")
_CLOSED = _words("""
    yes yeah yep no nope okay ok sure hello hi hey bye goodbye thanks please stop wait correct exactly
    absolutely definitely great perfect right fine good
""")
_VERBS = _words("""
    is are was were am be do does did have has had can could will would should may might must want need like
    love know think tell give get go make take see say ask work live cost costs call help show explain open
    close start stop come find feel mean try use pay buy order book rent play sing talk speak hear let keep
    put leave i'm i'd i'll i've it's that's what's who's where's how's there's you're we're they're he's she's
    let's don't doesn't didn't can't won't isn't aren't wasn't
""")
_BACKCHANNEL = _words("""
    mm mhm hm hmm mmm mm-hm mm-hmm mmhmm mhmm uh-huh uhhuh uh huh yeah yes yep yup right okay ok sure really
    wow oh ah aha great nice good cool i see true exactly indeed
""")
_STOP = _words("""
    stop wait no nope sorry pardon quiet enough what hey hold hang listen actually excuse shush cancel pause
""")
# "I have a question." is not the question.
_ANNOUNCES = re.compile(
    r"\b((another|a|one|one more|a quick) (question|thing|request)|ask (you )?something|tell you"
    r" something)\W*$"
)
_MAX_BACKCHANNEL_WORDS = 4
_ECHO_SHARE = 0.7
_FRESH_WORDS = 2
_FRESH_LOOK_WORDS = 4
_ALIKE = 0.6


def plain_words(text: str) -> list[str]:
    """Return the words of `text` in lower case, without punctuation."""
    return re.findall(r"[a-z0-9]+(?:['-][a-z0-9]+)*", text.lower().replace("’", "'"))


def ending(text: str) -> Ending:
    """Return how finished `text` looks; a recogniser's full stop alone proves nothing."""
    text = text.strip()
    words = plain_words(text)
    if not words:
        return Ending.UNSURE
    if text.endswith(("...", "…", ",", "-", "—")) or (words[-1] in _NEVER_LAST and not text.endswith("?")):
        return Ending.OPEN
    if text.endswith("?") or (words[-1] in _CLOSED and len(words) <= 3):
        return Ending.DONE
    if (
        words[-1] in _SELDOM_LAST
        or _ANNOUNCES.search(text.lower())
        or words[-1].isdigit()
        or _is_rising_list(text)
    ):
        return Ending.LOOSE
    if text.endswith((".", "!")) and len(words) >= 3 and _has_verb(words):
        return Ending.DONE
    return Ending.UNSURE


def _has_verb(words: list[str]) -> bool:
    return any(word in _VERBS or word.endswith(("ing", "ed")) for word in words)


def _is_rising_list(text: str) -> bool:
    """Return whether the last sentence lists things and has no "and" before the last of them."""
    last = re.split(r"(?<=[.?!])\s+", text)[-1]
    items = last.split(",")
    return len(items) >= 3 and not re.search(r"\b(and|or|please|thanks|thank)\b", items[-1].lower())


def is_backchannel(text: str) -> bool:
    """Return whether `text` only says "go on, I am listening"."""
    words = plain_words(text)
    return (
        0 < len(words) <= _MAX_BACKCHANNEL_WORDS
        and all(word in _BACKCHANNEL for word in words)
        and not all(w == "i" for w in words)
    )


def is_stop(text: str) -> bool:
    """Return whether a short `text` asks the agent to stop."""
    words = plain_words(text)
    return bool(words) and (words[0] in _STOP or words[-1] == "stop")


def is_echo(text: str, played: str, loud_room: bool = False) -> bool:
    """Return whether `text` is the agent's own voice come back: most of its words, in order, are among those
    just played.

    In a room known to be loud, words that only sound alike count as well, in any order.
    """
    heard = plain_words(text)
    said = plain_words(played)
    if loud_room:
        letters = _without_figures(heard)
        return not letters or sum(_sounds_like(word, said) for word in letters) >= _ECHO_SHARE * len(letters)
    return _shares(heard, said) or (
        len(heard) > 2 and _shares(heard[:-1], said)
    )  # the last word may have been cut in two


def _shares(heard: list[str], said: list[str]) -> bool:
    shared = sum(
        block.size for block in SequenceMatcher(None, heard, said, autojunk=False).get_matching_blocks()
    )
    return bool(heard) and shared >= _ECHO_SHARE * len(heard)


def is_fresh(text: str, played: str) -> bool:
    """Return whether the last words of a text that still grows are the user's own, not the agent's come back.
    The very last may be cut in two, and proves nothing."""
    said = plain_words(played)
    last = _without_figures(plain_words(text)[:-1])[-_FRESH_LOOK_WORDS:]
    return sum(not _sounds_like(word, said) for word in last) >= _FRESH_WORDS


def _without_figures(words: list[str]) -> list[str]:
    """Figures prove nothing: they are written differently from how they are said."""
    return [word for word in words if not word.isdigit()]


def _sounds_like(word: str, said: list[str]) -> bool:
    return bool(get_close_matches(word, said, n=1, cutoff=_ALIKE))
