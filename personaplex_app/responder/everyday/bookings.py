"""Bookings: what is booked, for whom and when; asked for bit by bit, read back, changed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ...speech.figures.number_words import digits
from ..lexicon import WEEK
from ..memory import given_name
from ..numbers import word_list
from ..phrasing import lower_first
from .contract import Reply, Talk, reply
from .corrections import swap_in
from .opening_hours import OpeningHours
from .price_list import Item, amount, mentions
from .spoken_numbers import with_digits
from .state import Booking
from .turn import Turn

_WHATS = (
    "table|room|appointment|visit|viewing|slot|lesson|court|seat|seats|session|reservation|booking|test"
    " drive|consultation|check[- ]?up|haircut|place|pickup|pick[-"
    " ]?up|tour|class|cleaning|inspection|ticket|tickets"
)
# what only a booking can mean, also after "I need" or "can I have"
_SURE_WHATS = (
    "table|appointment|visit|viewing|reservation|booking|consultation|check[- ]?up|haircut|test drive|room"
)
_START = re.compile(
    r"\b(?:book|reserve|schedule|arrange|set up|make)\b(?: me| us)?(?: an?| the| my| another| \d+| some)?"
    rf" ?(?:\w+ ){{0,2}}?(?P<what>{_WHATS})\b"
    r"|\b(?:get|have|need|want|like|fix|order)\b(?: me| us)?(?: an?| the| my| another| some)?"
    rf" ?(?:\w+ ){{0,2}}?(?P<sure>{_SURE_WHATS})\b"
    r"|\b(?:i|we) (?:would like|want|need) to (?:book|reserve|make a reservation|make an appointment)\b"
    r"|\b(?:book|reserve) (?:it|that|this|one|me in|us in)\b|^(?:a |an )?(?P<bare>table|appointment"
    r"|reservation) (?:for|on|at|tomorrow|next)\b"
)
# who comes at a time that they name books, too
_COMING = re.compile(
    r"\b(?:(?:can|could|may) (?:i|we) (?:come|bring|drop|stop|pop|see)|(?:can|could|will|would) (?:you"
    r"|some(?:body|one)|any(?:body|one)|they|he|she|(?:a|the|your|one of your) \w+) (?:\w+ )?(?:come|visit"
    r"|stop by|drop by|send|be here|look at it)|send (?:some(?:body|one)|a \w+)|i (?:would like|want|need) to"
    r" (?:come|bring|drop)"
    r"|(?:do|have) you (?:have |got )?(?:anything|something|any (?:\w+ )?(?:slots?|times?|space|room)"
    r"|an? \w*slot|time|room|space)"
    r"(?: free| open| left| available)?"
    r"|^(?:does|would|will|could|is) .* (?:work|suit|possible|okay|fine|free|available|good)(?: for you)?$"
    r"|(?:squeeze|fit|pencil|slot) (?:me|us|him|her|it) in|put (?:me|us) down for|i will (?:come"
    r"|bring|drop|be there))\b"
)
_NO_BOOKINGS = re.compile(
    r"(?i)\b(?:walk-ins only|(?:no|without) (?:appointments?|bookings?|reservations?)(?! (?:needed"
    r"|necessary))"
    r"|(?:cannot|can't|do not|don't) (?:take|book|make) (?:any )?(?:appointments?|bookings?|reservations?))"
)
_OLD = re.compile(
    r"\b(?:cancel|move|change|reschedule|postpone|shift)\b.*\b(?:my|our|the) (?:appointment|booking"
    r"|reservation"
    r"|table|lesson|visit)\b"
)
# what somebody who only names a time may come for
_OWN_WHATS = ("table", "appointment", "visit", "lesson")
_BOOK = re.compile(r"(?i)\b(?:appointments?|bookings?|reservations?|lessons?|rental|salon|hairdresser)\b")
_PRICE = re.compile(r"\bhow much\b|\bcosts?\b|\bwhat (?:is|would be) the price\b|\bprice\b")
_FOR_PEOPLE = frozenset(
    ("table", "reservation", "room", "seats", "seat", "tour", "tickets", "ticket", "court")
)
_DAY = re.compile(
    rf"\b(?:(?:on |for |this |next |coming )*(?P<week>next )?(?P<day>{'|'.join(WEEK)})|(?P<near>today|tonight"
    rf"|tomorrow|the day after tomorrow)"
    r"|(?:on |the )*(?P<date>(?:january|february|march|april|may|june|july|august|september|october|november"
    r"|december) (?:the )?\d{1,2}(?:st|nd|rd|th)?|(?:the )?\d{1,2}(?:st|nd|rd|th)(?: of \w+)?))\b"
)
_TIME = re.compile(
    r"\b(?:(?:at|around|about|from|by|until|for|make it|to) )?(?P<clock>\d{1,2}(?::\d\d"
    r"| \d\d)?(?: ?(?:o'clock|a\.?m\.?|p\.?m\.?|in the (?:morning|afternoon|evening)|at night))"
    r"|\d{1,2}:\d\d)(?!\w)"
    r"|\b(?:at|around|about|make it|make that|to|it is|say) (?P<bare>\d{1,2}(?: \d\d)?)(?! (?:people|persons"
    r"|guests|of us|adults|dollars|or|street|road|\w+ (?:street|road)))\b"
    r"|\b(?P<word>noon|midday|half past \d{1,2}|quarter (?:past|to) \d{1,2}|(?:in the )?(?:morning|afternoon"
    r"|evening))\b"
)
_PEOPLE = re.compile(
    r"\b(?:for|of|we are|there (?:will be|are)|party of|make it|with) (?:a party of "
    r"|a group of )?(?P<n>\d{1,2})(?: people| persons| guests| of us| adults| and)?(?=$"
    r"|[ .,!?])(?! ?(?:o'clock|a\.?m|p\.?m|:|hours|days|nights|dollars|in the))"
    r"|\b(?P<n2>\d{1,2}) (?:people|persons|guests|of us|adults|seats|players)\b|\b(?:just"
    r"|only) (?:for )?(?P<me>me|myself)\b"
)
_CONTACT = re.compile(r"\b(?P<phone>\+?\d[\d -]{5,}\d)\b|(?P<mail>[\w.+-]+@[\w.-]+\w)")
_NAME_GIVEN = re.compile(
    r"\b(?i:name is|name's|under(?: the name(?: of)?)?|for|in the name of|it is|it's|i am|i'm|this is"
    r"|call me)\s+(?P<name>[A-Z][\w'-]+(?: [A-Z][\w'-]+)?)"
)
_ASKS = re.compile(
    r"^(?:how|what|when|where|who|why|which|is|are|do|does|did|can|could|will|would|may|have you)\b"
)
# what asks, and names another day or time by it
_MOVES = re.compile(
    r"\b(?:make it|change|book|instead|move|(?:can|could|would|may) (?:we|you|i|it|they) (?:do|say|have"
    r"|come|be"
    r"|take|get|go for)|(?:what|how) about|better|rather|possible)\b"
)
_CANCEL = re.compile(
    r"(?<!not )\b(?:cancel|forget|delete|drop)\b(?: \w+){0,3} (?:booking|reservation|appointment|it"
    r"|that|table|room|visit)\b"
    r"|^(?:forget it|never ?mind|cancel)$|\b(?:do not need (?:it|that|one)|changed my mind|on second"
    r" thoughts?)\b"
)
_READ = re.compile(
    r"\b(?:(?:repeat|read|tell|say|confirm|go over)\b.*\bwhat (?:you|we|i) (?:have|had|got|wrote|noted"
    r"|put|took|agreed)\b.*"
    r"|read (?:me )?back\b.*|what (?:did|have|do) (?:i|you|we) (?:book|booked|note|noted|got|have"
    r"|written)|when (?:is (?:my|the"
    r"|our) (?:\w+ )?(?:appointment|booking|reservation|table|visit|lesson)|is it|are (?:you|they) coming)"
    r"(?: now| again| then)*$|read (?:it"
    r"|that) back|(?:repeat|confirm) (?:my|the) (?:booking|reservation|appointment)|what is my (?:booking"
    r"|appointment|reservation)|my (?:booking|appointment|reservation) again)\b"
)
_YES = re.compile(
    r"^(?:yes|yeah|yep|sure|correct|right|exactly|that is (?:right|correct|fine|it|good)|perfect|okay|ok|fine"
    r"|please do|sounds good|great|good|book it|yes please|all good)\b"
)
_ASK = {
    "people": "For how many people?",
    "day": "Which day would suit you?",
    "time": "At what time?",
    "name": "May I have your name for it?",
    "contact": "And a phone number, in case something comes up?",
}
_BARE_CHANGE = re.compile(
    r"^(?:no |actually |sorry |oh |wait |hmm+ |better |let us |[, ])*(?:make (?:it|that)|change (?:it"
    r"|that) to"
    r"|rather)? ?(\d{1,2})(?: instead| rather| please| actually)*$"
)
_SMALL_NAME = re.compile(r"^[A-Za-z][\w'-]*(?: [A-Za-z][\w'-]*){0,2}$")
_NO_NAMES = frozenset(word_list("no why stop with without for at the a an and to in on my i it not"))
_NO_CONTACT = re.compile(r"\b(?:no|not|rather not|do not|skip|without|none)\b")
_CONTACT_REFUSED = re.compile(r"\b(?:not|without|no)\b.*\b(?:number|phone|mail|address|contact)\b")


class Bookings:
    """Takes bookings for a role whose notes speak of any."""

    def __init__(self, prompt: str, style: str, hours: OpeningHours, items: tuple[Item, ...]) -> None:
        self._offered = style == "service" and _NO_BOOKINGS.search(prompt) is None
        self._items = items
        # where nothing is said of a book, what has a price is ordered
        self._has_book = _BOOK.search(prompt) is not None
        self._hours = hours
        # the names under which what is booked appears in the notes
        self._things = tuple(word for word in _WHATS.split("|") if re.search(rf"(?i)\b{word}s?\b", prompt))

    def reply(self, turn: Turn, talk: Talk) -> Reply | None:
        """Answer a turn that books, gives what was asked for, changes or confirms."""
        booking = talk.state.booking
        if booking is None:
            return self._begun(turn, talk)
        if turn.search(_CANCEL):
            talk.note(booking=None)
            return reply(f"All right, the {booking.what} is cancelled. Is there anything else?")
        if turn.search(_READ):
            return reply(f"I have {read_booking(booking)}.", True)
        if _PRICE.search(turn.plain) and (named := mentions(self._items, booking.what)):
            item = self._items[named[0].item]
            return reply(
                f"The {item.name.lower()} is {amount(item.cents, item.currency)} {item.rest}".strip() + ".",
                True,
            )
        if swapped := _swapped(booking, turn):
            return self._next(swapped, talk)
        # "and if something happens on Sunday?" moves nothing
        hypothetical = turn.question and re.search(r"\bif\b", turn.plain)
        if hypothetical or (_ASKS.match(turn.ask) and not _MOVES.search(turn.plain)):
            return None
        missing = _missing(booking)
        if not missing and not booking.done and _YES.match(turn.bare) and turn.words <= 5:
            talk.note(booking=replace(booking, done=True))
            return reply(
                f"Good, that is noted: {read_booking(booking)}. I only take it down here, so nothing is sent"
                f" anywhere. Anything else?",
                True,
            )
        if either := self._either(booking, turn, talk):
            return either
        filled = self._filled(booking, turn)
        if filled == booking:
            return None
        return self._next(filled, talk)

    def _begun(self, turn: Turn, talk: Talk) -> Reply | None:
        if not self._offered:
            return None
        if contact := not turn.question and _CONTACT.search(_dialled(turn.plain)):
            said = digits(contact["phone"].strip()) if contact["phone"] else contact["mail"]
            return reply(f"Thank you, I've noted {said}. Anything else?", True)
        fits = self._has_book and turn.words <= 7 and turn.search(_COMING)
        if not fits and re.match(r"(?:do|does|how|what|when|why|is|are|have|did)\b", turn.ask):
            return None
        if re.search(r"\b(?:my|an?) (?:order|bin|missed)\b", turn.plain):
            return None
        if _OLD.search(turn.plain):
            return reply(
                "I can't look into the book from here, but I take it down. In what name is it, and"
                " for which day?"
            )
        found = turn.search(_START)
        empty = Booking("")
        timed = self._filled(empty, turn) != empty
        alone = (
            timed
            and turn.words <= 5
            and not turn.question
            and not talk.state.order.lines
            and self._is_time(turn)
        )
        coming = timed and (turn.search(_COMING) or (self._has_book and mentions(self._items, turn.text)))
        if not found and not alone and not coming:
            return None
        booking = Booking(self._thing(found, turn), name=talk.memory.user_name)
        return self._next(self._filled(booking, turn), talk)

    def _is_time(self, turn: Turn) -> bool:
        """Return whether a turn says a day or a time and hardly more."""
        text = with_digits(turn.plain)
        return bool(_DAY.search(text)) and len(_TIME.sub("", _DAY.sub("", text)).split()) <= 1

    def _thing(self, found: re.Match[str] | None, turn: Turn) -> str:
        """Return what is booked, by its name on the price list where it is there."""
        what = found and (found["what"] or found["sure"] or found["bare"])
        what = what or next((each for each in self._things if re.search(rf"\b{each}s?\b", turn.plain)), "")
        what = what or next((each for each in self._things if each in _OWN_WHATS), "booking")
        table = "table" if "table" in self._things else "booking"
        what = {"reservation": table, "ticket": "tickets", "seat": "seats"}.get(what, what)
        named = mentions(self._items, turn.text)
        item = lower_first(self._items[named[0].item].name) if named else ""
        if not item or item == what:
            return what
        return item if what in item.split() else f"{item} {what}"

    def _either(self, booking: Booking, turn: Turn, talk: Talk) -> Reply | None:
        """Ask whether a bare number changes the people or the time; take the answer to that."""
        text = with_digits(turn.plain).strip(" .!?")
        if booking.asked.startswith("either "):
            number = booking.asked.removeprefix("either ")
            if re.search(r"\b(?:people|persons|guests|of us|adults|seats)\b", text):
                return self._next(replace(booking, people=number), talk)
            if re.search(r"\b(?:time|o'clock|at|later|earlier|hour)\b", text):
                return self._next(replace(booking, time=number), talk)
        bare = _BARE_CHANGE.search(text)
        if bare and booking.people and booking.time and _has_people(booking):
            talk.note(booking=replace(booking, asked=f"either {bare[1]}"))
            return reply(f"Do you mean {bare[1]} people, or at {bare[1]} o'clock?", True)
        return None

    def _next(self, booking: Booking, talk: Talk) -> Reply | None:
        """Ask for what is missing, or read it all back."""
        if refused := self._hours.refusal(f"{booking.day} at {booking.time}".lower(), talk.clock()):
            # a time may be impossible on one day only
            which = "time" if booking.time and "outside" in refused else "day"
            cleared: dict[str, Any] = {which: "", "asked": which}
            talk.note(booking=replace(booking, **cleared))
            return reply(f"I'm afraid {refused} Which other {which} would suit you?", True)
        missing = _missing(booking)
        talk.note(booking=replace(booking, asked=missing, done=False))
        if missing:
            have = read_booking(booking)
            return reply(f"Gladly: {have}. {_ASK[missing]}", True)
        return reply(f"So that's {read_booking(booking)}. Is that right?", True)

    def _filled(self, booking: Booking, turn: Turn) -> Booking:
        """Return the booking with all that the turn says about it."""
        text = _dialled(turn.plain)
        contact = _CONTACT.search(text)
        if contact:
            booking = replace(booking, contact=(contact["phone"] or contact["mail"]).strip())
            text = text.replace(contact[0], " ")
        text = re.sub(r"\b1 (?:sec|second|moment|minute)\b", " ", text)
        # "eight, not seven": what is refused must not be read
        text = re.sub(r",? (?:and )?not (?:at |on |for )?(?:[\w: ]+$|\w+(?=,))", "", text)
        # of "Thursday is bad, Friday then" the other one is new
        days = [*_DAY.finditer(text)]
        if (
            day := next((d for d in reversed(days) if booking.day.lower() not in d[0]), days[0])
            if days
            else None
        ):
            said = day["near"] or day["date"] or f"{day['week'] or ''}{day['day'].capitalize()}"
            booking = replace(booking, day=said.removeprefix("the ") if "day" not in said else said)
            text = text.replace(day[0], " ", 1)
        people = _PEOPLE.search(text) if _has_people(booking) else None
        if people:
            booking = replace(booking, people=people["n"] or people["n2"] or "1")
            text = text.replace(people[0], " ", 1)
        if time := _time_in(text, booking):
            booking = replace(booking, time=time)
        elif (
            booking.asked == "people"
            and _has_people(booking)
            and not people
            and (n := re.search(r"\b\d{1,2}\b", text))
        ):
            booking = replace(booking, people=n[0])
        return self._named(booking, turn)

    def _named(self, booking: Booking, turn: Turn) -> Booking:
        given = given_name(turn.text)
        found = _NAME_GIVEN.search(turn.text)
        if (
            found
            and found["name"].lower() not in WEEK
            and found["name"].split()[0].lower() not in ("monday", "tomorrow", "two", "four")
        ):
            return replace(booking, name=found["name"])
        if given:
            return replace(booking, name=given)
        bare = turn.text.strip(" .!?,")
        if (
            booking.asked == "name"
            and _SMALL_NAME.match(bare)
            and not _YES.match(bare.lower())
            and bare.split()[0].lower() not in _NO_NAMES
        ):
            return replace(booking, name=bare.title())
        refused = _NO_CONTACT if booking.asked == "contact" else _CONTACT_REFUSED
        if not turn.question and not booking.contact and refused.search(turn.bare):
            return replace(booking, contact="none")
        return booking


def _dialled(text: str) -> str:
    """Return a text with its numbers in digits, a telephone number's as they are dialled: "five, oh one"."""
    text = re.sub(r"\boh?\b(?=[ ,]+\d)", "0", with_digits(text))
    return re.sub(r"(?<=\b\d) ?, ?(?=\d\b)", " ", text)


def _swapped(booking: Booking, turn: Turn) -> Booking | None:
    """Return the booking in which a turn puts one value in the place of another, None for none."""
    right, wrong = swap_in(turn) or ("", "")
    for name in ("day", "time", "people", "name", "contact") if wrong else ():
        value = getattr(booking, name)
        for old, new in ((wrong, right), (with_digits(wrong.lower()), with_digits(right.lower()))):
            if found := re.search(rf"(?i)\b{re.escape(old)}\b", value):
                swapped: dict[str, Any] = {name: f"{value[: found.start()]}{new}{value[found.end() :]}"}
                return replace(booking, **swapped)
    return None


def _time_in(text: str, booking: Booking) -> str:
    """Return the time of day that a text names, in the form in which it is said back; "" for none."""
    found = _TIME.search(text)
    said = (found["clock"] or found["bare"] or found["word"]) if found else ""
    if (
        not said
        and booking.asked == "time"
        and (lone := re.fullmatch(r"\D*?(\d{1,2}(?::\d\d| \d\d)?)\D*", text))
    ):
        said = lone[1]
    if (
        not said
        and booking.time
        and (
            lone := re.search(
                r"\b(?:make (?:it|that)|change (?:it|that|the time) to|rather|actually|do|say|have"
                r"|no) (?:at )?(\d{1,2})\b",
                text,
            )
        )
    ):
        said = lone[1]
    if said in ("morning", "afternoon", "evening"):
        said = f"in the {said}"
    return re.sub(r"(?<=\d) (?=\d\d\b)", ":", said.replace(".", "").replace(" o'clock", ""))


def _has_people(booking: Booking) -> bool:
    return not _FOR_PEOPLE.isdisjoint(booking.what.split())


def _missing(booking: Booking) -> str:
    """Return the first field that is not known, "" when nothing is missing."""
    needless = {"time"} if "room" in booking.what.split() else set()
    needless |= set() if _has_people(booking) else {"people"}
    fields = [key for key in _ASK if key not in needless]
    return next((key for key in fields if not getattr(booking, key)), "")


def read_booking(booking: Booking) -> str:
    """Return a booking in words, with what is known of it."""
    parts = [
        f"{'an' if booking.what[0] in 'aeiou' else 'a'} {booking.what}"
        if not booking.what.endswith("s")
        else booking.what
    ]
    if booking.people and _has_people(booking):
        parts.append(f"for {booking.people}" + (" people" if booking.people != "1" else " person"))
    if booking.day:
        parts.append(
            booking.day
            if booking.day in ("today", "tonight", "tomorrow", "the day after tomorrow")
            else f"on {booking.day}"
        )
    if booking.time:
        parts.append(booking.time if booking.time.startswith("in ") else f"at {booking.time}")
    if booking.name:
        parts.append(f"in the name of {booking.name}")
    if booking.contact and booking.contact != "none":
        parts.append(
            f"with the number {digits(booking.contact)}"
            if "@" not in booking.contact
            else f"with the address {booking.contact}"
        )
    return ", ".join([" ".join(parts[:4]), *parts[4:]]) if parts else ""
