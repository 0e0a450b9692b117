"""What a role sells: items with their prices, read from its facts, and what of it a sentence names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rapidfuzz import fuzz

from ..facts import Brief, Fact
from .spoken_numbers import with_digits

_PRICE = re.compile(
    r"\b(?P<whole>\d+) (?P<currency>dollars?|euros?|pounds?)(?: (?P<part>\d\d)\b)?(?P<rest>[^.]*)"
)
_SEVERAL = re.compile(r"\b\d+ (?:dollars?|euros?|pounds?)\b")
_NO_ITEM = re.compile(r"(?i)\b(?:deposit|fee|fine|budget|you|i|we|delivery is|minimum|tax)\b")
# two words that are this similar are one, as the recogniser wrote it
_CLOSE = 78
_COUNT = re.compile(r"^\d{1,2}$")
_COUNT_WORDS = {"a": 1, "an": 1, "another": 1, "the": 1, "single": 1, "couple": 2, "both": 2, "some": 1}


_PLURALS = {"child": "children", "person": "people", "loaf": "loaves", "knife": "knives", "shelf": "shelves"}
_IRREGULAR = {many: one for one, many in _PLURALS.items()} | {"kid": "child", "kids": "child", "men": "man"}
# "Tickets are $18 for adults and $9 for children": one thing, at a price for each kind of buyer
_FOR_WHOM = re.compile(r"(?P<price>[$€£]\s?\d+(?:\.\d\d)?) for (?:an? )?(?P<whom>[a-z]+)")
_CURRENCIES = {"$": "dollar", "€": "euro", "£": "pound"}


@dataclass(frozen=True)
class Item:
    """One thing for sale, at `cents`; `rest` is what its price is for, such as "a month"."""

    name: str
    cents: int
    currency: str
    rest: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(map(singular, re.findall(r"[a-z0-9']+", with_digits(self.name.lower()))))


@dataclass(frozen=True)
class Mention:
    """An item that a sentence names: its place on the list, how many (None: not said), and where."""

    item: int
    count: int | None
    at: int


def read_prices(brief: Brief) -> tuple[Item, ...]:
    """Return what the facts name with one price each, in order, each name once."""
    items: dict[str, Item] = {}
    told: set[int] = set()
    # the parts of a list stand for it
    lists = {fact.whole for fact in brief.facts}
    for number, fact in enumerate(brief.facts):
        if of_whom := _for_whom(fact):
            items |= {each.name: each for each in of_whom}
            told.add(fact.line)
        if number in lists:
            continue
        text = with_digits(fact.text.lower())
        price = _PRICE.search(text)
        name = re.sub(r"(?i)^(?:the|an?|our|your) ", "", fact.subject).strip()
        if (
            not price
            or fact.line in told
            or len(_SEVERAL.findall(text)) != 1
            or not fact.noted
            or not name
            or _NO_ITEM.search(name)
        ):
            continue
        cents = int(price["whole"]) * 100 + int(price["part"] or 0)
        rest = price["rest"].strip(" ,") if re.match(r" (?:an?|per|for|each)\b", price["rest"]) else ""
        key = f"{name} {rest}".lower() if re.match(r"for \d", rest) else name.lower()
        items.setdefault(
            key, Item(name, cents, price["currency"].rstrip("s"), rest.split(",")[0].split(" and ")[0])
        )
    return tuple(items.values())


def _for_whom(fact: Fact) -> list[Item]:
    """Return what a note sells at a price for each kind of buyer, such as "adult ticket"."""
    found = list(_FOR_WHOM.finditer(fact.source))
    what = re.match(r"(?i)(?:the |our )?(\w+)\b", fact.source)
    if len(found) < 2 or not what or fact.whole is not None or not re.match(r"[A-Za-z]+s\b", what[1]):
        return []
    return [
        Item(
            f"{singular(each['whom'])} {singular(what[1].lower())}",
            round(float(each["price"][1:]) * 100),
            _CURRENCIES[each["price"][0]],
        )
        for each in found
    ]


def mentions(items: tuple[Item, ...], text: str) -> list[Mention]:
    """Return what a sentence names of the list, in its order, each item once.

    Of a name with several words a word that no other item has is enough: "the green one".
    """
    words = re.findall(r"[a-z0-9']+", with_digits(text.lower()))
    stems = [singular(word) for word in words]
    taken: set[int] = set()
    found: list[Mention] = []
    # all of what is named as it is written first, so that "red curry" is never a misheard "green curry"
    ways = (_exact_name, _near_name, _own_word)
    for find in ways:
        # "almond croissants" before "croissants"
        for k, item in sorted(enumerate(items), key=lambda each: -len(each[1].words)):
            if any(items[m.item].name == item.name for m in found):
                continue
            span = find(items, k, stems, taken)
            if span:
                taken |= set(span)
                found.append(
                    Mention(_variant(items, k, words), _count_before(words, span[0], taken), span[0])
                )
    return sorted(found, key=lambda each: each.at)


def amount(cents: int, currency: str) -> str:
    """Return an amount as it is said, such as "28 dollars 50"."""
    whole, part = divmod(cents, 100)
    plural = currency if whole == 1 else currency + "s"
    return f"{whole} {plural}" + (f" {part:02d}" if part else "")


def singular(word: str) -> str:
    """Return a word without the ending of its plural."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if re.search(r"(?:ss|sh|ch|x|o)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def plural(name: str) -> str:
    """Return the plural of a name, by its last word."""
    head, of, rest = name.partition(" of ")
    if of:
        return f"{plural(head)} of {rest}"
    for one, many in _PLURALS.items():
        if re.search(rf"\b{one}$", name):
            return name.removesuffix(one) + many
    if name.endswith("s"):
        return name
    if re.search(r"[^aeiou]y$", name):
        return name[:-1] + "ies"
    return name + ("es" if re.search(r"(?:sh|ch|x|ss)$", name) else "s")


def _spans(width: int, stems: list[str], taken: set[int]) -> Iterator[range]:
    for at in range(len(stems) - width + 1):
        span = range(at, at + width)
        if not taken & set(span):
            yield span


def _exact_name(items: tuple[Item, ...], k: int, stems: list[str], taken: set[int]) -> range | None:
    wanted = items[k].words
    spans = _spans(len(wanted), stems, taken)
    return next((span for span in spans if tuple(stems[span.start : span.stop]) == wanted), None)


def _near_name(items: tuple[Item, ...], k: int, stems: list[str], taken: set[int]) -> range | None:
    """Return where a name of several words stands as the recogniser may have written it."""
    wanted = items[k].words
    for span in _spans(len(wanted), stems, taken) if len(wanted) > 1 else ():
        given = stems[span.start : span.stop]
        pairs = list(zip(given, wanted, strict=True))
        # every word must be near, and one of them exact
        near = fuzz.ratio(" ".join(given), " ".join(wanted)) >= _CLOSE and all(
            fuzz.ratio(a, b) >= 50 for a, b in pairs
        )
        if near and any(a == b for a, b in pairs):
            return span
    return None


def _own_word(items: tuple[Item, ...], k: int, stems: list[str], taken: set[int]) -> range | None:
    others = {word for item in items if item.name != items[k].name for word in item.words}
    for at, stem in enumerate(stems):
        if at in taken or len(stem) < 3 or stem in others:
            continue
        if stem in items[k].words:
            return range(at, at + 1)
    return None


def _variant(items: tuple[Item, ...], k: int, words: list[str]) -> int:
    """Return which of several prices of one thing is meant: "for eight hours"."""
    same = [n for n, item in enumerate(items) if item.name == items[k].name]
    return next((n for n in same if (figure := re.search(r"\d+", items[n].rest)) and figure[0] in words), k)


def _count_before(words: list[str], at: int, taken: set[int]) -> int | None:
    for k in range(at - 1, max(-1, at - 4), -1):
        if k in taken:
            return None
        if _COUNT.match(words[k]):
            return int(words[k])
        if words[k] in _COUNT_WORDS:
            # "a couple of", "the two": the word before tells
            before = words[k - 1] if k else ""
            if words[k] in ("the", "a") and _COUNT.match(before):
                return int(before)
            return _COUNT_WORDS[words[k]] if words[k] != "the" else None
    return None
