"""Questions that a role's prices answer after some computing: totals, the cheaper one, what is enough."""

from __future__ import annotations

import re
from collections.abc import Callable

from .contract import Reply, Talk, listed, reply
from .price_list import Item, Mention, amount, mentions, singular
from .spoken_numbers import with_digits
from .turn import Turn

_TOTAL = re.compile(
    r"\b(?:how much|what (?:do|does|will|would|is|are|comes?)\b.*\b(?:costs?|pay|come to|price"
    r"|total|charge|owe)"
    r"|what (?:is|will|would) (?:that|it|the total)|price of|cost of|what (?:comes|makes)"
    r"|together|altogether|in total"
    r"|what (?:would|will|do|does) .* (?:cost|pay|be|make)|what is that)\b"
)
_COMPARED: tuple[tuple[re.Pattern[str], Callable[..., Item], str], ...] = (
    (
        re.compile(
            r"\b(?:cheap(?:er|est)|costs? (?:the )?(?:less|least)|least expensive|lowest price|best value)\b"
        ),
        min,
        "cheap",
    ),
    (
        re.compile(
            r"\b(?:most expensive|more expensive|dear(?:er|est)|pric(?:i)?er|priciest|costs? (?:the "
            r")?(?:more|most)|costliest|highest price)\b"
        ),
        max,
        "expensive",
    ),
)
_DIFFERENCE = re.compile(r"\b(?:difference|how much (?:more|less|cheaper|extra))\b")
_ENOUGH = re.compile(r"\b(?:enough|afford|will (?:\d+) (?:do|cover)|covers?|get (?:it|that) for)\b")
_GIVEN = re.compile(r"(?:[$€£] ?)?\b(?P<sum>\d+)(?: ?(?:dollars?|euros?|pounds?|bucks|[$€£]))?")
_UNIT = re.compile(r"\b(?:an?|per|each|for one) (?P<unit>\w+)")
_POINTING = re.compile(r"\b(?:that|it|this|altogether|in total|together|all of (?:it|that))\b")
_JOINED = re.compile(r"\b(?:and|plus|with|together|both|altogether|in total)\b|[,&]")
_HALF = re.compile(r"\b(?:half|discount|percent|free|reduced|off)\b")
# who pays what depends on their age, which only the facts tell
_AGED = re.compile(
    r"\b(?:\d+ years? old|(?:he|she|it|child|son|daughter|baby) is \d+"
    r"|my (?:son|daughter|child|baby|grand\w+))\b"
)


class PriceQuestions:
    """Computes with the prices of one role."""

    def __init__(self, items: tuple[Item, ...]) -> None:
        self._items = items

    def answer(self, turn: Turn, talk: Talk) -> Reply | None:
        """Answer a question that needs some computing with prices, None for any other."""
        form = _normal(turn.ask)
        if not self._items or turn.words > 24 or _AGED.search(form):
            return None
        if compared := self._compared(form):
            return compared
        if not (_TOTAL.search(form) or _ENOUGH.search(form)):
            return None
        named = self._named(form)
        earlier = [_normal(text) for text in talk.memory.user_texts[-3:-1]]
        if not named and _POINTING.search(form):
            asked = next((text for text in reversed(earlier) if self._named(text)), "")
            form = f"{asked} {form}"
            named = self._named(asked)
        if not named:
            return None
        return self._enough(form, named) if _ENOUGH.search(form) else self._total(form, named)

    def _named(self, text: str) -> list[Mention]:
        return mentions(self._items, text)

    def _compared(self, form: str) -> Reply | None:
        how = next(((best, word) for pattern, best, word in _COMPARED if pattern.search(form)), None)
        items = [self._items[m.item] for m in self._named(form)]
        if len(items) < 2:
            items = self._of_kind(form)
        if len(items) < 2 or len({item.currency for item in items}) > 1:
            return None
        if len(items) == 2 and _DIFFERENCE.search(form):
            low, high = sorted(items, key=lambda item: item.cents)
            more = amount(high.cents - low.cents, high.currency)
            return reply(
                (
                    f"{_the(high)} {_is(high)} {more} more than {_the(low, True)}: {_priced(low)}, and "
                    f"{_priced(high)}."
                ),
                True,
            )
        if not how:
            return None
        chosen = how[0](items, key=lambda item: item.cents)
        same = [item for item in items if item.cents == chosen.cents]
        if len(items) == 2:
            word = f"{how[1]}er" if how[1] == "cheap" else f"more {how[1]}"
            other = next(item for item in items if item is not chosen)
            return reply(
                (
                    f"{_the(chosen)} {_is(chosen)} {word}, at "
                    f"{amount(chosen.cents, chosen.currency)}{_rest(chosen)}; {_priced(other)}."
                ),
                True,
            )
        word = f"{how[1]}est" if how[1] == "cheap" else f"most {how[1]}"
        names = listed([_the(item, True) for item in same])
        verb = "are" if len(same) > 1 or _is(chosen) == "are" else "is"
        return reply(
            f"The {word} {verb} {names}, at {amount(chosen.cents, chosen.currency)}{_rest(chosen)}.", True
        )

    def _of_kind(self, form: str) -> list[Item]:
        """Return the items whose names have a word of the question, such as "bike", or all."""
        words = {singular(word) for word in re.findall(r"[a-z]+", form)}
        kin = [item for item in self._items if words & set(item.words)]
        return kin if len(kin) > 1 else list(self._items)

    def _total(self, form: str, named: list[Mention]) -> Reply | None:
        counts = [(self._items[m.item], self._count(form, m)) for m in named]
        # "whitening my teeth" names two things and means one
        joined = len(counts) == 1 or _JOINED.search(form)
        several = (len(counts) > 1 and joined) or any(count > 1 for _, count in counts)
        currency = counts[0][0].currency
        if (
            not joined
            or not several
            or _HALF.search(form)
            or any(item.currency != currency for item, _ in counts)
        ):
            return None
        cents = sum(item.cents * count for item, count in counts)
        parts = [
            f"{count} times {amount(item.cents, currency)} for {_the(item, True)}"
            if count > 1
            else f"{amount(item.cents, currency)} for {_the(item, True)}"
            for item, count in counts
        ]
        return reply(f"That comes to {amount(cents, currency)}: {listed(parts)}.", True)

    def _count(self, form: str, mention: Mention) -> int:
        """Return how many of an item are asked for: of itself, or of the unit that its price is for."""
        item = self._items[mention.item]
        unit = _UNIT.search(item.rest) or re.match(r"(?P<unit>\w+)", item.rest)
        of_unit = unit and re.search(rf"\b(\d+) {singular(unit['unit'])}s?\b", form)
        if unit and unit["unit"] == "person":
            of_unit = re.search(
                (
                    r"\b(?:for|of) (\d+)(?: people| persons| of us| adults)?\b(?! \w)|\b(?:(\d+) (?:people"
                    r"|persons|of us))"
                ),
                form,
            )
        if of_unit:
            return int(next(group for group in of_unit.groups() if group))
        paired = re.search(
            (
                rf"\b(\d+) (?:pairs?|sets?|glass\w*|cups?|bottles?|pieces?|portions?|of the|of your) (?:of "
                rf")?(?:the )?(?:\w+ ){{0,2}}{re.escape(item.words[-1])}"
            ),
            form,
        )
        return int(paired[1]) if paired else mention.count or self._lone_count(form)

    def _lone_count(self, form: str) -> int:
        """Return "for two" at the end of a question."""
        found = re.search(r"\bfor (\d+)(?: people| persons| of us| kids| children| adults)?$|^(\d+)\b", form)
        return int(next(group for group in found.groups() if group)) if found else 1

    def _enough(self, form: str, named: list[Mention]) -> Reply | None:
        given = _GIVEN.search(form)
        if not given:
            return None
        cents = sum(self._items[m.item].cents for m in named)
        item = self._items[named[0].item]
        left = int(given["sum"]) * 100 - cents
        what = listed([_the(self._items[m.item], True) for m in named])
        come = "come to" if len(named) > 1 else f"{_is(item)}"
        if left < 0:
            return reply(f"No, {what} {come} {amount(cents, item.currency)}{_rest(item)}.", True)
        rest = f", and {amount(left, item.currency)} are left" if left else ", exactly"
        return reply(f"Yes, {what} {come} {amount(cents, item.currency)}{_rest(item)}{rest}.", True)


def _normal(text: str) -> str:
    return with_digits(re.sub(r"\belectric (?=\w)", "e-", text))


def _the(item: Item, within: bool = False) -> str:
    """Return an item with its article, `within` a sentence or at its beginning; a place's name has none."""
    if item.name[:1].isupper() and item.name.lower() == singular(item.name.lower()) and " " not in item.name:
        return item.name
    return f"{'the' if within else 'The'} {item.name[:1].lower()}{item.name[1:]}"


def _is(item: Item) -> str:
    return "are" if re.search(r"[^su]s$", item.name) else "is"


def _rest(item: Item) -> str:
    return f" {item.rest}" if item.rest else ""


def _priced(item: Item) -> str:
    return f"{_the(item, True)} {_is(item)} {amount(item.cents, item.currency)}{_rest(item)}"
