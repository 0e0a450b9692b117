"""Orders: lines with counts, changes, a total from the role's own prices, wishes and an address."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..phrasing import lower_first, second_person
from .contract import Reply, Talk, listed, reply
from .price_list import Item, Mention, amount, mentions, plural
from .spoken_numbers import with_digits
from .state import Order, OrderLine
from .statements import is_diet, reflected
from .turn import Turn

MAX_COUNT = 50
MAX_LINES = 20
# a wish for advice that is longer names what it is about, which must be this like a thing for sale
_ADVICE_WORDS = 5
_ALIKE = 0.3
_NO_ORDERS = re.compile(r"(?i)\b(?:cannot|can't|do not|don't|never) take (?:any )?orders\b")
_ORDERING = re.compile(
    r"\b(?:i (?:would like|will have|will take|will get|want|need|take|order)|we (?:would like|will have"
    r"|will take|want|need)|can (?:i|we) (?:get|have|order|add|rent|take)"
    r"|could (?:i|we) (?:get|have|order|add|rent)|may i have|let me (?:get|have|take)|give me|get me|order"
    r"|add|throw in|plus|put (?:me )?(?:in|on|down)|i am going to have|i (?:would )?fancy|i am having"
    r"|for me|we take|make it|rent|bring me|send me)\b"
    r"|^(?:and |also |plus |then |with |another |an? |just |only |\d)"
)
_REMOVE = re.compile(
    r"\b(?:remove|cancel|scratch|drop|forget|delete|skip|no more|without (?:the|that|it|them)|leave out"
    r"|leave off|take (?:off|out"
    r"|away)|take (?:\w+ ){1,4}off|do not want|not want|no longer want)\b"
)
_ONLY = re.compile(r"\b(?:just|only)\b")
_CHANGE = re.compile(
    r"\b(?:make (?:it|that|this|them)|change (?:it|that|this|them) to|i (?:mean|meant|said)|actually|rather"
    r"|instead|sorry)\b"
)
_CHANGES = re.compile(f"{_REMOVE.pattern}|{_ONLY.pattern}|{_CHANGE.pattern}")
_NOT_ORDERED = re.compile(r"\bhow (?:much|long|many)\b|\ballergic\b")
_EACH = re.compile(r"\b(?:make|i mean|i meant) ?(?:that|it|them)? (?P<counts>\d+(?:,? (?:and )?\d+)+)$")
# what is wanted of a thing that is ordered
_WISH = re.compile(
    r"\b(?P<wish>(?:allerg\w+|no (?!wait|thank|sorry|more)|without|with|extra|not too|not so|(?<!one"
    r" )(?:less|more)(?! \d)|hold the|leave out the|gluten[- ]free"
    r"|well done|on the side|written on|cut into|wrapped)\b.*)$"
)
_MORE = re.compile(
    r"^(?:and |the same |make that )*(?:another|one more|again|one more of (?:those|them))(?: one)?$"
)
_ADVICE = re.compile(
    r"\b(?:recommend|suggest|what is (?:good|nice|popular|your favou?rite|the best)|what should i"
    r" (?:get|have|take|try"
    r"|order)|best sellers?)\b"
)
# one turn that does several things: "cancel the rolls and give me the salad", "a cola, no wait, make it two"
_PARTS = re.compile(
    r"(?:,? \b(?:and|but|then)\b|[,.;])[, ]+"
    r"(?=(?:actually |rather |please |just |then )*(?:give|get|add|bring|put|make|take|cancel|remove"
    r"|scratch|forget"
    r"|i (?:will|would|want|need)|i'll|i'd)\b)"
)
_TAKEN_BACK = re.compile(
    r"[, .]*\b(?:no,? wait|wait,? no|no,? sorry|oh wait|no,? actually|no,? (?=make))\b[, .]*(?=\w)"
)
_SHALL_I = "Shall I put one down for you?"
# yes to what was suggested
_TAKEN = re.compile(
    r"^(?:yes|yeah|sure|okay|ok|please|sounds (?:good|great)|perfect|great|good|i will (?:take|have|try)"
    r"|let us (?:do|take))\b(?! (?:but|a |an |two|three))(?:.*\b(?P<which>first|second|other|latter)\b)?"
)
_SEVERAL = re.compile(
    r"^(?:i will (?:take|have)|give me|we will take|make it) (\d{1,2})(?: of (?:them|those|these))?$"
)
_COUNT_ONLY = re.compile(
    r"\b(?:make (?:that|it|this) (?:just |only )?|just |only |i (?:mean|meant|said) (?:just |only )?"
    r"|actually )(?P<count>\d+)(?: of (?:them|those|that|it))?$|^(?P<bare>\d+),? not \d+$"
    r"|^(?:(?:no|oh|sorry|wait|hmm+|actually|just|only)[ ,]+)+(?P<lone>\d+)$"
)
_THAT = re.compile(r"\b(?:it|that|that one|this|the last one|them)\b")
_ALL = re.compile(
    r"\b(?:everything|anything|the whole thing|the (?:whole )?order|my (?:whole )?order|all of it|it all)\b"
)
_TOTAL = re.compile(
    r"\b(?:what is|what is the|what does|how much is|how much does|how much are|how much do|what do|what will"
    r"|how much will|give me|tell me|and)\b.*\b(?:total|i owe|we owe|altogether|all together|in all|sum"
    r"|the bill|(?:that|it|this|everything|all of (?:it|that|them)|my order|the order"
    r"|the whole thing) (?:come to|cost|make|be|altogether|together|all|add up to)(?: me)?)\b|^(?:the "
    r"|my )?total$"
    r"|^(?:how much is (?:that|it|everything)|what do i owe you|what does (?:that|it) come to)(?: now"
    r"| in total)?$"
)
_IN_ALL = re.compile(r"\b(?:total|altogether|all together|in all|sum|bill)\b")
_READ_BACK = re.compile(
    r"\b(?:what (?:did|have) (?:i|we) order(?:ed)?|what is (?:in |on )?my order|my order so far|(?:repeat"
    r"|read|confirm) (?:back )?(?:my|the) order|read (?:it|that) back|what do (?:i|you) have so far"
    r"|what have i got so far|can you confirm)\b"
)
_DONE = re.compile(
    r"^(?:that is (?:all|it|everything)|that (?:will|would) be (?:all|it)|nothing else|i am (?:done|good)"
    r"|nothing more|that is all (?:for me|thanks|i want|i need)|i think that is (?:it|all))(?: thank you"
    r"| thanks)*$"
)
_NO = re.compile(
    r"^(?:no|nope|nah)(?: thanks| thank you| that is (?:all|it)| that will be all| nothing (?:else|more)"
    r"| i am (?:good|done|fine))*$"
)
_ADDRESS = re.compile(
    r"\b(?:my address is|the address is|address(?: is)?:?|(?:deliver|bring|send|ship) (?:it|that|them|this"
    r"|everything)? ?to|i live (?:at|on|in)|it is (?:going )?to|to) (?P<to>\d+[a-z]? [a-z][\w' ]+"
    r"|[\w' ]*\b(?:street|road|avenue|lane|drive|square|court|place|boulevard|way)\b[\w' ]*)"
    r"|^(?P<bare>(?:(?:flat|apartment|unit|room|number|house) \w+,? )?\d+[a-z]?,? [\w' ]*\b(?:street"
    r"|road|avenue|lane|drive|square|court|place|boulevard|way|st|rd"
    r"|ave)\b[\w' ]*)$"
)
_PICKUP = re.compile(
    r"\b(?:pick (?:it|them|that|everything) up|collect (?:it|them|that)|pick[- ]?up|take ?away|to go"
    r"|come (?:and|to) (?:get|fetch|collect) (?:it|them)|(?:eat|have it) here)\b"
)
_QUESTION = re.compile(r"^(?:how|what|when|where|who|why|which|is|are|does|do|did|was|were|has|have you)\b")


class Orders:
    """Takes orders of what the role's notes price. Without at least two prices there are none."""

    def __init__(self, items: tuple[Item, ...], find_act: Callable[[str], str] | None = None) -> None:
        """`find_act` returns what a turn does with an order by its meaning, "" for nothing."""
        self._items = items
        self._find_act = find_act

    def read(self, order: Order) -> str:
        """Return what is ordered and what it comes to."""
        return f"{self._read(order, lower=True)}, {self._total(order)} in all"

    def reply(self, turn: Turn, talk: Talk) -> Reply | None:
        """Answer a turn that orders, changes, asks for the total, or ends the order."""
        if not self._items:
            return None
        text = turn.text.lower().replace("’", "'")
        back = _TAKEN_BACK.search(text)
        # what begins with "no, wait" takes back what was said before
        if back and len(text[: back.start()].split()) > 2:
            text = f"{text[: back.start()]}, make it {text[back.end() :]}"
        parts = _PARTS.split(text)
        if len(parts) == 1 or not all(map(str.strip, parts)):
            return self._single(turn, talk)
        said = [self._single(Turn(part, turn.question, turn.fits), talk) for part in parts]
        return next((each for each in reversed(said) if each), None)

    def _single(self, turn: Turn, talk: Talk) -> Reply | None:
        """Answer a turn that does one thing."""
        order = talk.state.order
        text = with_digits(turn.ask)
        if order.lines and (answer := self._about_order(turn, text, order, talk)):
            return answer
        if order.offered and (several := _SEVERAL.match(text)):
            offered = Mention(order.offered[0], int(several[1]), 0)
            return self._added([offered], replace(order, offered=()), turn, talk)
        # a mere "okay" takes only what was suggested just before, not what was spoken of
        suggested = any(each.text == _SHALL_I for each in talk.memory.last_reply)
        said_yes = not turn.question and turn.words <= 8 and (suggested or "will" in turn.plain)
        if order.offered and said_yes and (taken := _TAKEN.match(turn.plain)):
            second = taken["which"] not in (None, "first")
            chosen = order.offered[-1 if second else 0]
            return self._added([Mention(chosen, 1, 0)], replace(order, offered=()), turn, talk)
        if order.pending is not None and (chosen := self._chosen(text, order)) is not None:
            return self._added([Mention(chosen, 1, 0)], replace(order, pending=None), turn, talk)
        named = mentions(self._items, turn.text)
        if turn.search(_ADVICE):
            return self._advised(turn, named, talk)
        if len(named) == 1 and not order.lines:
            # spoken of, though not yet ordered: "I'll take five"
            talk.note(order=replace(order, offered=(named[0].item,)))
        # "could you do the red one without meat?" asks the notes
        if turn.question and _WISH.search(turn.plain):
            return None
        if not named or _QUESTION.match(turn.ask) or _NOT_ORDERED.search(turn.plain):
            return None
        if order.lines and _CHANGES.search(turn.plain) and (done := self._changed(turn, named, order, talk)):
            return done
        short = turn.words <= 8 and (order.open or "please" in turn.plain)
        if not (short or _ORDERING.search(turn.plain) or _ORDERING.search(text)):
            return None
        return self._asks_which(named, turn, order, talk) or self._added(named, order, turn, talk)

    def _about_order(self, turn: Turn, text: str, order: Order, talk: Talk) -> Reply | None:
        """Answer what concerns the order as a whole or the thing spoken of last."""
        named = mentions(self._items, turn.text)
        if named and _TOTAL.search(text) and _IN_ALL.search(text):
            # "the total with delivery"
            for mention in named:
                if all(line.item != mention.item for line in order.lines):
                    order = self._with(order, mention.item, 1)
            return self._tell_total(order, talk)
        act = self._act(turn, text, order) if not named else ""
        if act:
            return _ACTS[act](self, order, talk)
        if found := _ADDRESS.search(text):
            address = (found["to"] or found["bare"]).strip().title()
            talk.note(order=replace(order, address=address))
            return reply(
                f"Thank you. I've noted {address} for {self._read(order, lower=True)}. Anything else?",
                True,
            )
        return (
            self._by_count(text, with_digits(turn.plain.strip(" .!")), order, talk)
            or self._taken_off(turn, order, talk)
            or self._wished(turn, named, order, talk)
        )

    def _act(self, turn: Turn, text: str, order: Order) -> str:
        """Return what a turn does with the order as a whole, "" for nothing."""
        if _TOTAL.search(text):
            return "total"
        if turn.search(_READ_BACK):
            return "read_back"
        if order.open and (turn.search(_DONE) or _NO.match(turn.bare)):
            return "done"
        if _PICKUP.search(turn.plain) and not turn.question:
            return "pickup"
        if turn.search(_MORE) and order.last is not None:
            return "more"
        act = self._find_act(turn.text) if self._find_act and turn.words > 1 else ""
        return act if order.open or act not in ("done", "cancel") else ""

    def _tell_total(self, order: Order, _: Talk) -> Reply | None:
        several = sum(line.count for line in order.lines) > 1
        return reply(f"{self._read(order)} {'come' if several else 'comes'} to {self._total(order)}.", True)

    def _read_back(self, order: Order, _: Talk) -> Reply | None:
        wishes = f" Noted with it: {listed(list(order.notes))}." if order.notes else ""
        return reply(
            f"So far I have {self.read(order)}.{wishes} Anything else?",
            True,
        )

    def _done(self, order: Order, talk: Talk) -> Reply | None:
        talk.note(order=replace(order, open=False))
        wishes = f" Noted with it: {listed(list(order.notes))}." if order.notes else ""
        where = f" It goes to {order.address}." if order.address else ""
        ask = "" if order.address else " Where shall it go, or do you pick it up?"
        return reply(
            f"So that's {self.read(order)}.{where}{wishes}{ask}",
            True,
        )

    def _picked_up(self, order: Order, talk: Talk) -> Reply | None:
        talk.note(order=replace(order, address="the counter, to be picked up", open=False))
        return reply(
            f"Then I've noted that you pick up {self._read(order, lower=True)}, {self._total(order)}"
            f" in all. Thank"
            " you for your order.",
            True,
        )

    def _one_more(self, order: Order, talk: Talk) -> Reply | None:
        assert order.last is not None
        count = next((line.count for line in order.lines if line.item == order.last), 0)
        return self._kept(self._with(order, order.last, count + 1), talk)

    def _cancelled(self, order: Order, talk: Talk) -> Reply | None:
        talk.note(order=Order(notes=order.notes))
        return reply("All right, I've cancelled the whole order. What would you like instead?")

    def _wished(self, turn: Turn, named: list[Mention], order: Order, talk: Talk) -> Reply | None:
        """Note what is wanted of a thing that is ordered, such as "no onions on one of them"."""
        found = _WISH.search(turn.plain)
        ordered = {line.item for line in order.lines}
        if not found or turn.question or turn.words < 3 or any(each.item not in ordered for each in named):
            return None
        # a diet is answered by the notes too
        if is_diet(turn):
            talk.note(order=replace(order, notes=(*order.notes, reflected(turn) or turn.ask)[-MAX_LINES:]))
            return None
        wish = second_person(re.sub(r"[ .!?,]*(?:please|thanks)?[ .!?,]*$", "", found["wish"]))
        talk.note(order=replace(order, notes=(*order.notes, wish)[-MAX_LINES:]))
        return reply(f"Noted: {wish}. Anything else?")

    def _advised(self, turn: Turn, named: list[Mention], talk: Talk) -> Reply | None:
        """Name two things of the list, since no note says which is the best."""
        likeness = talk.likeness(turn.text, [item.name for item in self._items])
        # "can you recommend a book?" is not about what is for sale
        if not named and turn.words > _ADVICE_WORDS and likeness.max() < _ALIKE:
            return None
        among = [each.item for each in named] or [int(k) for k in np.argsort(-likeness, kind="stable")]
        start = talk.memory.line_uses["everyday.advised"]
        talk.memory.line_uses["everyday.advised"] += 1
        best = [among[(start + k) % len(among)] for k in range(min(2, len(among)))]
        talk.note(order=replace(talk.state.order, offered=tuple(best)))
        chosen = [self._items[k] for k in best]
        priced = [f"the {lower_first(i.name)} at {amount(i.cents, i.currency)}" for i in chosen]
        return reply(f"You could try {listed(priced, 'or')}. {_SHALL_I}", True)

    def _by_count(self, text: str, plain: str, order: Order, talk: Talk) -> Reply | None:
        """Take "make that one and one" or "only two": new counts for what was said last."""
        if each := _EACH.search(text):
            counts = [int(n) for n in re.findall(r"\d+", each["counts"])]
            if len(counts) == len(order.lines):
                lines = tuple(replace(line, count=n) for line, n in zip(order.lines, counts, strict=True))
                return self._kept(replace(order, lines=lines), talk)
        if order.last is not None and (one := _COUNT_ONLY.search(text) or _COUNT_ONLY.search(plain)):
            count = int(one["count"] or one["bare"] or one["lone"])
            return self._kept(self._with(order, order.last, count), talk)
        return None

    def _taken_off(self, turn: Turn, order: Order, talk: Talk) -> Reply | None:
        """Take off what "it" is, or everything."""
        if not _REMOVE.search(turn.plain) or mentions(self._items, turn.text):
            return None
        if _ALL.search(turn.plain):
            return self._cancelled(order, talk)
        if _THAT.search(turn.plain) and order.last is not None:
            return self._kept(self._with(order, order.last, 0), talk)
        return None

    def _changed(self, turn: Turn, named: list[Mention], order: Order, talk: Talk) -> Reply | None:
        """Take something named off, set its count, or put it in another's place."""
        plain = turn.plain
        if _REMOVE.search(plain) and not re.search(r"\binstead\b", plain):
            ordered = {line.item for line in order.lines}
            if not any(mention.item in ordered for mention in named):
                return None
            for mention in named:
                order = self._with(order, mention.item, 0)
            return self._kept(order, talk)
        if (
            _ONLY.search(plain)
            and len(named) == 1
            and not re.search(r"\b(?:make|one|\d+)\b (?!one)", with_digits(plain))
        ):
            return self._kept(
                replace(order, lines=(OrderLine(named[0].item, named[0].count or 1),), last=named[0].item),
                talk,
            )
        swap = re.search(r"\b(?:instead|not|change|swap|replace)\b", plain)
        ordered = {line.item for line in order.lines}
        if swap and len(named) == 2:
            # "the red curry instead of the green", "change the green to a red"
            out = next((m for m in named if m.item in ordered), named[-1])
            new = next(m for m in named if m is not out)
            count = new.count or next((line.count for line in order.lines if line.item == out.item), 1)
            lines = tuple(
                OrderLine(new.item, count) if line.item == out.item else line for line in order.lines
            )
            return self._kept(replace(order, lines=lines, last=new.item), talk)
        if "instead" in plain and order.last is not None and named[0].item not in ordered:
            order = self._with(order, order.last, 0)
        for mention in named:
            order = self._with(order, mention.item, mention.count or 1)
        return self._kept(order, talk)

    def _added(self, named: list[Mention], order: Order, turn: Turn, talk: Talk) -> Reply | None:
        before = {line.item: line.count for line in order.lines}
        for mention in named:
            # named again without a number: it is the one that was just ordered
            again = mention.count is None and mention.item == order.last
            count = before[mention.item] if again else before.get(mention.item, 0) + (mention.count or 1)
            order = self._with(order, mention.item, count)
        noted = ""
        if (wish := _WISH.search(turn.plain)) and not is_diet(turn):
            wanted = second_person(wish["wish"].strip(" .!?").removesuffix(" please"))
            order = replace(order, notes=(*order.notes, wanted)[-MAX_LINES:])
            noted = f" Noted with it: {wanted}."
        talk.note(order=replace(order, open=True))
        prices = " ".join(self._priced(mention) for mention in named)
        return reply(f"Certainly. {prices}{noted} Anything else?", True)

    def _asks_which(self, named: list[Mention], turn: Turn, order: Order, talk: Talk) -> Reply | None:
        """Ask which of a thing's prices is meant, where the turn does not tell."""
        for mention in named:
            item = self._items[mention.item]
            same = [each for each in self._items if each.name == item.name]
            if len(same) > 1 and not any(
                re.search(rf"\b{n}\b", with_digits(turn.plain))
                for each in same
                for n in re.findall(r"\d+", each.rest)
            ):
                choices = listed([f"{amount(each.cents, each.currency)} {each.rest}" for each in same], "or")
                talk.note(order=replace(order, pending=mention.item))
                return reply(f"Gladly. The {item.name} is {choices}. Which shall it be?", True)
        return None

    def _chosen(self, text: str, order: Order) -> int | None:
        """Return which price of the pending item a turn chooses."""
        assert order.pending is not None
        name = self._items[order.pending].name
        same = [k for k, each in enumerate(self._items) if each.name == name]
        numbers = re.findall(r"\b\d+\b", text)
        by_number = next(
            (k for k in same if set(re.findall(r"\d+", self._items[k].rest)) & set(numbers)), None
        )
        if by_number is not None:
            return by_number
        if re.search(r"\b(?:first|short(?:er|est)?|cheap(?:er|est)?|small(?:er|est)?|less)\b", text):
            return same[0]
        return (
            same[-1]
            if re.search(r"\b(?:second|last|long(?:er|est)?|other|big(?:ger|gest)?|more)\b", text)
            else None
        )

    def _kept(self, order: Order, talk: Talk) -> Reply | None:
        talk.note(order=replace(order, open=True))
        if not order.lines:
            return reply("All right, that's off. Your order is empty now. What would you like?")
        return reply(
            f"All right: that makes {self.read(order)}. Anything else?",
            True,
        )

    def _with(self, order: Order, item: int, count: int) -> Order:
        """Return the order with so many of an item, at its place or at the end."""
        count = min(count, MAX_COUNT)
        lines = [replace(line, count=count) if line.item == item else line for line in order.lines]
        if not any(line.item == item for line in lines):
            lines.append(OrderLine(item, count))
        kept = tuple(line for line in lines if line.count > 0)[:MAX_LINES]
        return replace(order, lines=kept, last=item if count else (kept[-1].item if kept else None))

    def _priced(self, mention: Mention) -> str:
        item = self._items[mention.item]
        count = mention.count or 1
        price = amount(item.cents, item.currency)
        if count == 1:
            rest = f" {item.rest}" if item.rest else ""
            name = _named(item, 1)
            return f"T{name[1:]} {'are' if name.endswith('s') else 'is'} {price}{rest}."
        return f"{_named(item, count)} at {price} each are {amount(item.cents * count, item.currency)}."

    def _read(self, order: Order, lower: bool = False) -> str:
        text = listed([_named(self._items[line.item], line.count) for line in order.lines])
        return text if lower else text[:1].upper() + text[1:]

    def _total(self, order: Order) -> str:
        cents = sum(self._items[line.item].cents * line.count for line in order.lines)
        return amount(cents, self._items[order.lines[0].item].currency)


def make_orders(
    brief_prompt: str, items: tuple[Item, ...], style: str, find_act: Callable[[str], str] | None = None
) -> Orders:
    """Return what takes a role's orders: nothing, where it takes none."""
    takes = style == "service" and len(items) > 1 and not _NO_ORDERS.search(brief_prompt)
    return Orders(items if takes else (), find_act)


def _named(item: Item, count: int) -> str:
    # "the green curry", "two green curries"
    name = lower_first(item.name)
    return f"the {name}" if count == 1 else f"{count} {plural(name)}"


_ACTS: dict[str, Callable[[Orders, Order, Talk], Reply | None]] = {
    "total": Orders._tell_total,
    "read_back": Orders._read_back,
    "done": Orders._done,
    "pickup": Orders._picked_up,
    "more": Orders._one_more,
    "cancel": Orders._cancelled,
}
