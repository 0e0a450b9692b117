"""Judge a user turn by its words: whether it is finished, a backchannel, a request to stop, or an echo.

Pure functions of text.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from enum import Enum


class Ending(Enum):
    """How finished a text looks, from a whole sentence to one that must go on."""

    DONE = "done"
    UNSURE = "unsure"
    LOOSE = "loose"
    OPEN = "open"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Silence after which a turn with such an ending counts as over. People pause up to a second in mid-thought.
PATIENCE_S = {Ending.DONE: 0.56, Ending.UNSURE: 0.76, Ending.LOOSE: 1.2, Ending.OPEN: 2.6}


@dataclass(frozen=True)
class TurnWords:
    """What tells in one language whether a turn is over.

    A sentence that stops at one of `never_last` goes on; at one of `seldom_last` it may stop, and often does
    not. `closed` end a short turn. `verbs` and words with `verb_endings` make a whole sentence.
    `backchannel` only shows that the user listens, `stop` asks the agent to. `announces` is a pattern of what
    announces a question and is none: "I have a question.". `before_last` joins the last item of a list.
    """

    never_last: frozenset[str]
    seldom_last: frozenset[str]
    closed: frozenset[str]
    verbs: frozenset[str]
    verb_endings: tuple[str, ...]
    backchannel: frozenset[str]
    stop: frozenset[str]
    announces: re.Pattern[str]
    before_last: re.Pattern[str]


_NEVER_LAST = _words("""
    a an the my your his its our their and or but because so if when while although unless until than as to of
    with from into um uh er erm hmm well like i'm i'd i'll i've you're we're they're he's she's it's let's
    every very really just maybe also i we they he she who whose which where would could should wants want
    need gonna wanna trying looking going
""")
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
_ANNOUNCES = re.compile(
    r"\b((another|a|one|one more|a quick) (question|thing|request)|ask (you )?something|tell you"
    r" something)\W*$"
)
ENGLISH_WORDS = TurnWords(
    _NEVER_LAST,
    _SELDOM_LAST,
    _CLOSED,
    _VERBS,
    ("ing", "ed"),
    _BACKCHANNEL,
    _STOP,
    _ANNOUNCES,
    re.compile(r"\b(and|or|please|thanks|thank)\b"),
)
_MAX_BACKCHANNEL_WORDS = 4
# the recogniser mishears an echo in part: so large a share of its words must be the agent's
_ECHO_SHARE = 0.7
_OWN_WORDS = 2
_INSISTED_TIMES = 3
_OWN_WORDS_AMONG = 4
_SIMILARITY = 0.6


def plain_words(text: str) -> list[str]:
    """Return the words of `text` in lower case, without punctuation."""
    return re.findall(r"[^\W_]+(?:['-][^\W_]+)*", text.lower().replace("’", "'"))


def ending(text: str, known: TurnWords = ENGLISH_WORDS) -> Ending:
    """Return how finished `text` looks.

    The recogniser writes full stops after unfinished sentences too, so the last words decide.
    """
    text = text.strip()
    words = plain_words(text)
    if not words:
        return Ending.UNSURE
    if text.endswith(("...", "…", ",", "-", "—")) or (
        words[-1] in known.never_last and not text.endswith("?")
    ):
        return Ending.OPEN
    if text.endswith("?") or (words[-1] in known.closed and len(words) <= 3):
        return Ending.DONE
    if (
        words[-1] in known.seldom_last
        or known.announces.search(text.lower())
        or words[-1].isdigit()
        or _is_rising_list(text, known)
    ):
        return Ending.LOOSE
    if text.endswith((".", "!")) and len(words) >= 3 and _has_verb(words, known):
        return Ending.DONE
    return Ending.UNSURE


def _has_verb(words: list[str], known: TurnWords) -> bool:
    return any(word in known.verbs or word.endswith(known.verb_endings) for word in words)


def _is_rising_list(text: str, known: TurnWords) -> bool:
    """Return whether the last sentence lists things and has no "and" before the last of them."""
    last = re.split(r"(?<=[.?!])\s+", text)[-1]
    items = last.split(",")
    return len(items) >= 3 and not known.before_last.search(items[-1].lower())


def is_backchannel(text: str, known: TurnWords = ENGLISH_WORDS) -> bool:
    """Return whether `text` only shows that the user listens, such as "uh-huh" or "I see"."""
    words = plain_words(text)
    return (
        0 < len(words) <= _MAX_BACKCHANNEL_WORDS
        and all(word in known.backchannel for word in words)
        and not all(w == "i" for w in words)  # "I" is in the list for "I see"
    )


def is_stop(text: str, known: TurnWords = ENGLISH_WORDS) -> bool:
    """Return whether a short `text` asks the agent to stop."""
    words = plain_words(text)
    return bool(words) and (words[0] in known.stop or words[-1] == "stop")


def insisted_on(text: str) -> str:
    """Return the question that makes up most of `text`, where it stands there three times or more."""
    sentences = re.split(r"(?<=[.?!])\s+", text)
    by_words = {" ".join(plain_words(sentence)): sentence for sentence in sentences}
    words, times = Counter(" ".join(plain_words(sentence)) for sentence in sentences).most_common(1)[0]
    asked = by_words[words].endswith("?") and times >= _INSISTED_TIMES and 2 * times >= len(sentences)
    return by_words[words] if asked else ""


def is_echo(text: str, played: str, loud_room: bool = False) -> bool:
    """Return whether `text` is an echo of the agent: most of its words are, in order, among those played.

    In a room known to be loud, similar words count as well, in any order.
    """
    words = plain_words(text)
    played_words = plain_words(played)
    if loud_room:
        words = _without_figures(words)
        similar = sum(_is_similar(word, played_words) for word in words)
        return not words or similar >= _ECHO_SHARE * len(words)
    # the last word may have been cut in two
    return _is_mostly_in(words, played_words) or (len(words) > 2 and _is_mostly_in(words[:-1], played_words))


def _is_mostly_in(words: list[str], played_words: list[str]) -> bool:
    # `autojunk` would ignore frequent words in a long text
    blocks = SequenceMatcher(None, words, played_words, autojunk=False).get_matching_blocks()
    return bool(words) and sum(block.size for block in blocks) >= _ECHO_SHARE * len(words)


def has_own_words(text: str, played: str) -> bool:
    """Return whether a text that still grows ends with the user's own words and not with an echo.

    The very last word may be cut in two and does not count.
    """
    played_words = plain_words(played)
    last = _without_figures(plain_words(text)[:-1])[-_OWN_WORDS_AMONG:]
    return sum(not _is_similar(word, played_words) for word in last) >= _OWN_WORDS


def _without_figures(words: list[str]) -> list[str]:
    """Return the words without figures, which the recogniser writes and the responder spells out."""
    return [word for word in words if not word.isdigit()]


def _is_similar(word: str, played_words: list[str]) -> bool:
    return bool(get_close_matches(word, played_words, n=1, cutoff=_SIMILARITY))
