"""When a role is open, read from its facts, and asked about in any words: "are you shut on Sunday?"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..facts import Brief
from ..lexicon import WEEK, days_in
from ..memory import Sentence
from ..numbers import word_list
from .contract import Reply, Talk, reply
from .spoken_numbers import with_digits
from .turn import Turn

_DAY = r"(?:mon|tues?|wednes|wed|thurs?|fri|satur|sat|sun)(?:days?)?\.?"
_DAYS = rf"(?:{_DAY}(?: ?(?:to|through|until|till|-|–|and|,|&) ?{_DAY})*)"
_AT = r"(?:\d{1,2}(?:[:.]\d\d)? ?(?:[ap]\.?m\.?\b)?|noon|midday|midnight)"
# what a sentence on opening hours is made of
_PARTS = re.compile(
    rf"\b(?P<shut>closed|shut|no \w+) (?:on |every )*(?P<off>{_DAYS})"
    rf"|\bexcept (?:on )?(?P<but>{_DAYS})"
    rf"|\b(?P<from>{_AT}) ?(?:to|until|till|-|–|and|through) ?(?P<to>{_AT})(?!\d| ?(?:days"
    rf"|weeks|years|months|hours|minutes))"
    rf"|\b(?P<edge>opens?|closes?)\b(?: daily| every day| at| on {_DAYS})* (?P<at>{_AT})"
    rf"|\b(?:(?:on )?(?P<late>{_DAY}) (?:at|until|till) (?P<until>{_AT}))"
    rf"|\b(?P<days>{_DAYS}|weekdays|weekends?|daily|every day|seven days a week)\b",
)
_OPENING = re.compile(
    rf"(?i)\b(?:open(?:s|ing)?|hours|closed|closes|possible|we work)\b|^(?:{_DAYS}|weekdays|daily"
    rf"|every day)\b"
)
# tells on which days somebody may come, though perhaps not at what times
_COMING = re.compile(r"(?i)\b(?:open(?:s|ed)?|visits?|appointments?|possible|closed|work)\b")
# a wish to come, or to have something done, at some time: only that can be outside the hours
_WISH = re.compile(
    r"\b(?:(?:can|could|may|shall|would|will|should) (?:i|we|you|he|she|they|it|(?:some|any)(?:body|one)"
    r"|my \w+)"
    r"|(?:i|we) (?:would|will|want|need|am|are|plan|think|shall|have to)|let us|put (?:me|us)|how about"
    r"|what about"
    r"|is it (?:possible|okay|all right)|possible to|be okay)\b"
)
_DOING = re.compile(
    r"\b(?:come|coming|bring|bringing|brought|pick(?:ed)? (?:it|them|that|up)|drop|stop by|swing|visit"
    r"|train|swim|be there"
    r"|get there|arrive|call|ring|see you|see|book|have|get|eat|lunch|dinner|deliver(?:ed)?"
    r"|collect(?:ed)?|fetch|check|stay"
    r"|start|do|work|okay|fine|possible|appointment|table|visiting|make it)\b"
)
_PAST = re.compile(r"\b(?:was|were|did|came|had|yesterday|last|ago|how much|price|cost)\b")
_ASKED = re.compile(
    r"\b(?:open|opens|opening|close|closes|closed|closing|shut|hours"
    r"|(?:can|could|may|should) (?:i|we) (?:just |still )?(?:come|stop|drop|swing|pop|visit|be "
    r"there|turn up|show up)"
    r"|(?:anyone|anybody|somebody|someone|you) (?:be )?(?:there|in)\b(?! (?:a|the) ))"
)
_ASKS = re.compile(
    r"^(?:are|is|do|does|will|can|could|may|when|how (?:early|late|long)|what|which|until|till"
    r"|from|so you|you)\b"
)
_CLOSED = re.compile(r"\b(?:closed|shut|not open)\b")
_EDGES = (
    ("last", re.compile(r"\b(?:how (?:late|long)|until|till|clos(?:e|es|ing)|shut|latest|last)\b")),
    (
        "first",
        re.compile(
            r"\b(?:how early|earliest|(?:when|what time|what hour).* opens?|from when|opening time)\b"
        ),
    ),
)
_WHICH_DAYS = re.compile(
    r"\b(?:when|which|what|any|ever)\b.*\b(?:closed|shut|days? off)\b|\b(?:rest|closing) days?\b"
)
_PARTS_OF_DAY = {
    "morning": 9.5,
    "noon": 12.0,
    "lunch": 12.5,
    "afternoon": 15.0,
    "evening": 19.0,
    "night": 21.0,
}
_WISHED_TIME = re.compile(
    r"\b(?:(?:at|around|about|by|to|past) (?P<h>\d{1,2})(?:[: ](?P<m>\d\d))?"
    r"|(?P<clock>\d{1,2})(?:[: ]\d\d)?(?= ?(?:[ap]\.?m\b|o'clock)))"
    r"\b ?(?P<half>[ap]\.?m\b)?(?! (?:people|persons|dollars|euros|pounds|street|road|percent))"
)
# from when to when a part of the day lasts at most
_LASTS = {
    "morning": (5.0, 12.0),
    "noon": (11.5, 13.5),
    "midday": (11.5, 13.5),
    "lunch": (11.0, 15.0),
    "afternoon": (12.0, 18.0),
    "evening": (18.0, 23.0),
    "tonight": (18.0, 24.0),
    "midnight": (24.0, 24.1),
    "night": (21.0, 24.0),
}
_TIME = re.compile(
    r"\b(?:at|around|by|after|before|for|past) (?P<h>\d{1,2})(?:[: ](?P<m>\d\d))?\b ?(?P<half>[ap]\.?m)?"
)
# a question on the hours of something else is not one on these
_OTHER = re.compile(r"\b(?:the|your|a|an) (?P<what>[a-z]+)\b")
# "and on Monday?" after an answer on opening hours
_AND_ON = re.compile(
    rf"^(?:and |what about |how about |or |but )*(?:on |at |in the )?(?:{_DAYS}|weekends?"
    rf"|tomorrow|today)(?: (?:morning|afternoon|evening))?$"
)
_BREAK = re.compile(r"\bfor (?:lunch|dinner|a break|the holidays|christmas|easter|holidays?)\b")
_OURS = frozenset(
    word_list("""
    shop store place office practice clinic surgery museum restaurant salon studio gym  library workshop
    hotel  desk day days morning evening afternoon weekend week hours time times opening next bank
    pharmacy garage
    """)
)
Span = tuple[float, float]


@dataclass(frozen=True)
class Hours:
    """The hours of each day of the week, 0 for Monday; a day without any is closed. `fact` tells them."""

    of_day: Mapping[int, Span]
    fact: int
    subject: frozenset[str] = field(default=frozenset())


def read_hours(brief: Brief) -> tuple[Hours, ...]:
    """Return the opening hours that the facts tell, () for none. Facts on one after another are one table."""
    found: list[Hours] = []
    for number, fact in enumerate(brief.facts):
        if fact.whole is not None or not fact.noted or not _OPENING.search(fact.source):
            continue
        days = _table(fact.source.lower())
        words = frozenset(re.findall(r"[a-z]+", fact.source.lower().split("open")[0])) - {
            "the",
            "is",
            "are",
            "we",
        }
        if days:
            found.append(Hours(days, number, words))
    return tuple(found)


def _table(text: str) -> dict[int, Span]:
    """Return the hours by day of one sentence."""
    table: dict[int, Span] = {}
    shut: set[int] = set()
    days: set[int] = set()
    waiting: Span | None = None
    opens: float | None = None
    fresh = True
    # "9 to 5 on weekdays and 10 to 1 on Saturdays": each range before its days
    parts = [part for part in _PARTS.finditer(text) if part["days"] or part["from"]]
    before = bool(parts) and parts[0]["from"] is not None
    for part in _PARTS.finditer(text):
        if part["off"] or part["but"]:
            shut |= _named(part["off"] or part["but"])
        elif part["days"]:
            days = _named(part["days"]) | (days if fresh and not before else set())
            fresh = True
            if waiting:
                table |= dict.fromkeys(days, waiting)
        elif part["from"]:
            span = _ordered(_hour(part["from"]), _hour(part["to"]), part["to"])
            if before:
                waiting = span
            else:
                table |= dict.fromkeys(days, span)
            fresh = False
        elif part["edge"] and part["edge"].startswith("open"):
            opens = _hour(part["at"])
        elif part["edge"] and opens is not None:
            table = dict.fromkeys(days or range(7), _ordered(opens, _hour(part["at"]), part["at"]))
        elif part["late"] and table:
            table |= {
                day: (table[day][0], _hour(part["until"])) for day in _named(part["late"]) & table.keys()
            }
    if waiting and not table:
        table = dict.fromkeys(range(7), waiting)
    return {day: span for day, span in table.items() if day not in shut}


def _named(text: str) -> set[int]:
    if text in ("daily", "every day", "seven days a week"):
        return set(range(7))
    if text.startswith("week"):
        return {5, 6} if text.startswith("weekend") else set(range(5))
    marks = re.findall(rf"{_DAY}|to|through|until|till|-|–", text)
    found: set[int] = set()
    last, ranged = -1, False
    for mark in marks:
        number = next((k for k, day in enumerate(WEEK) if day.startswith(mark[:3]) and len(mark) > 2), None)
        if number is None:
            ranged = True
            continue
        found |= (
            {(last + k) % 7 for k in range((number - last) % 7 + 1)} if ranged and last >= 0 else {number}
        )
        last, ranged = number, False
    return found


def _hour(text: str) -> float:
    if text in ("noon", "midday", "midnight"):
        return 24.0 if text == "midnight" else 12.0
    hour, _, minute = re.sub(r"[^\d:.]", "", text).strip(".").replace(".", ":").partition(":")
    value = int(hour) + (int(minute) if minute else 0) / 60
    if re.search(r"p\.?m", text) and value < 12:
        return value + 12
    return value - 12 if re.search(r"a\.?m", text) and value >= 12 else value


def _ordered(begin: float, end: float, mark: str) -> Span:
    return begin, end + 12 if end <= begin and end <= 12 and not re.search(r"m\b", mark) else end


class OpeningHours:
    """Answers questions on a role's opening hours."""

    def __init__(self, brief: Brief) -> None:
        self._facts = brief.facts
        self._tables = read_hours(brief)
        self._coming = tuple(f for f in brief.facts if _COMING.search(f.text) and days_in(f.text))

    def refusal(self, text: str, now: datetime) -> str:
        """Return that a day or time in a text is outside the hours, with the note on them; "" for none."""
        form = with_digits(text.lower())
        days = _days(form, now)
        if days and (fact := next((f.text for f in self._coming if not days & days_in(f.text)), "")):
            return f"on {_listed(sorted(days))} that is not possible. {fact}"
        spans = _wished(form)
        if not spans or len(self._tables) != 1:
            return ""
        (hours,) = self._tables
        of_days = [hours.of_day[day] for day in days or range(7) if day in hours.of_day]
        if any(a < end and begin < b for a, b in of_days for begin, end in spans):
            return ""
        return f"that is outside our hours. {self._facts[hours.fact].text}"

    def refuse(self, turn: Turn, talk: Talk) -> Reply | None:
        """Answer a wish for a day or a time outside the hours, None for any other turn."""
        wishes = _WISH.search(turn.plain) and _DOING.search(turn.plain) and not _PAST.search(turn.plain)
        refused = self.refusal(turn.plain, talk.clock()) if wishes else ""
        return reply(f"I'm afraid {refused}", True) if refused else None

    def answer(self, turn: Turn, talk: Talk) -> Reply | None:
        """Answer a question on days and times of opening, None for any other."""
        form = with_digits(turn.ask)
        if re.search(r"\b(?:right )?now\W*$", turn.plain):
            form += " now"
        if self._tables and _AND_ON.search(form) and _of_hours(talk):
            form = f"are you open {form}"
        if not self._tables or turn.words > 16 or not _ASKED.search(form) or _BREAK.search(form):
            return None
        if not (turn.question or _ASKS.search(form)):
            return None
        hours = self._meant(form)
        return self._said(form, hours, talk) if hours else None

    def _meant(self, form: str) -> Hours | None:
        named = (
            {found["what"] for found in _OTHER.finditer(form)}
            - _OURS
            - {day.removesuffix("s") for day in WEEK}
        )
        if not named:
            return self._tables[0] if len(self._tables) == 1 or re.search(r"\byou\b|\bi\b", form) else None
        return next((hours for hours in self._tables if named & hours.subject), None)

    def _said(self, form: str, hours: Hours, talk: Talk) -> Reply | None:
        now = talk.clock()
        if re.search(r"\b(?:now|at the moment|right now|currently)\b", form):
            return self._at(hours, now.weekday(), now.hour + now.minute / 60, form, talk, "right now")
        days = _days(form, now)
        time = _time(form)
        if days and time is not None:
            return self._at(hours, min(days), time, form, talk)
        edge = next((name for name, pattern in _EDGES if pattern.search(form)), "")
        asked_closed = _CLOSED.search(form) is not None
        if days and (re.match(r"(?:are|is|do|does|will|can|could|may|so you|you)\b", form)):
            return self._on(hours, days, asked_closed, talk)
        if not days and _WHICH_DAYS.search(form):
            return self._closed_days(hours)
        if edge and not asked_closed:
            return self._edge(hours, days, edge)
        if time is not None:
            spans = [day for day in hours.of_day if _within(hours.of_day[day], time)]
            yes = len(spans) == len(hours.of_day)
            lead = "Yes" if yes else "No" if not spans else f"On {_listed(spans)}, yes"
            return self._with_fact(f"{lead}.", hours, talk)
        return None

    def _at(self, hours: Hours, day: int, time: float, form: str, talk: Talk, when: str = "") -> Reply | None:
        span = hours.of_day.get(day)
        is_open = span is not None and _within(span, time)
        verdict = "Yes" if is_open != bool(_CLOSED.search(form)) else "No"
        if span is None:
            said = f"{verdict}, on {WEEK[day].capitalize()}s we're closed."
        else:
            begins = f"{_clock(span[0])} to {_clock(span[1])}"
            state = "open" if is_open else "closed"
            said = (
                f"{verdict}, {f'we are {state} {when}: ' if when else ''}on {WEEK[day].capitalize()}s "
                f"we're open from {begins}."
            )
        if when:
            said += " That is by the clock of the computer I run on."
        return reply(said, True)

    def _on(self, hours: Hours, days: set[int], asked_closed: bool, talk: Talk) -> Reply | None:
        closed = sorted(days - hours.of_day.keys())
        opened = sorted(days & hours.of_day.keys())
        verdict = "Yes" if bool(closed if asked_closed else opened) else "No"
        parts = [f"on {_listed(opened)} we're open from {_range(hours, opened[0])}"] if opened else []
        parts += [f"on {_listed(closed)} we're closed"] if closed else []
        said = f"{verdict}, {' and '.join(parts)}."
        return reply(said, True) if opened else self._with_fact(said, hours, talk)

    def _closed_days(self, hours: Hours) -> Reply | None:
        closed = [day for day in range(7) if day not in hours.of_day]
        return reply(f"We're closed on {_listed(closed)}." if closed else "We're open every day of the week.")

    def _edge(self, hours: Hours, days: set[int], edge: str) -> Reply | None:
        """Say when it opens first or closes last, of each group of days with the same hour."""
        place = 0 if edge == "first" else 1
        if days - hours.of_day.keys():
            return reply(f"On {_listed(sorted(days - hours.of_day.keys()))} we're closed.")
        groups: dict[float, list[int]] = {}
        for day in sorted(days or hours.of_day):
            groups.setdefault(hours.of_day[day][place], []).append(day)
        verb = "We open at" if place == 0 else "We're open until"
        if len(groups) == 1 and not days:
            return reply(f"{verb} {_clock(next(iter(groups)))}.", True)
        return reply(
            f"{verb} {', '.join(f'{_clock(hour)} on {_listed(each)}' for hour, each in groups.items())}.",
            True,
        )

    def _with_fact(self, said: str, hours: Hours, talk: Talk) -> Reply | None:
        made = reply(said, True)
        fact = Sentence(talk.role.brief.facts[hours.fact].text, (hours.fact,))
        return made and Reply((*made.sentences, fact), made.computed)


def _of_hours(talk: Talk) -> bool:
    """Return whether the last reply told opening hours."""
    return any(re.search(r"\b(?:open|closed)\b", each.text) for each in talk.memory.last_reply)


def _days(form: str, now: datetime) -> set[int]:
    """Return the days of the week that a text names, also as "tomorrow"."""
    relative = {"today": 0, "tonight": 0, "tomorrow": 1}
    days = {k for k, day in enumerate(WEEK) if day in form}
    days |= {(now.weekday() + more) % 7 for word, more in relative.items() if re.search(rf"\b{word}\b", form)}
    return days | ({5, 6} if re.search(r"\bweekends?\b", form) else set())


def _wished(form: str) -> list[Span]:
    """Return what a text may mean by its time of day: "at six" is in the morning or the evening."""
    part = next((span for word, span in _LASTS.items() if re.search(rf"\b{word}\b", form)), None)
    found = _WISHED_TIME.search(form)
    if not found:
        return [part] if part else []
    hour = int(found["h"] or found["clock"]) % 24 + int(found["m"] or 0) / 60
    half = found["half"] or next(iter(re.findall(r"\d ?([ap])\.?m\b", form)), "")
    late = half.startswith("p") or (part is not None and part[0] >= 12)
    sure = bool(half or part) or hour >= 12
    hours = {hour % 12 + 12 * (late or hour >= 12)} if sure else {hour, hour + 12}
    return [(each, each + 0.01) for each in hours]


def _time(form: str) -> float | None:
    part = next((hour for word, hour in _PARTS_OF_DAY.items() if re.search(rf"\b{word}\b", form)), None)
    if not (found := _TIME.search(form)):
        return part
    hour = int(found["h"]) % 24 + int(found["m"] or 0) / 60
    afternoon = (found["half"] or "").startswith("p") or (part or 0) >= 15
    # without a word for it, whoever says six means the evening
    guessed = not found["half"] and part is None and hour < 7
    return hour + 12 if hour < 12 and (afternoon or guessed) else hour


def _within(span: Span, time: float) -> bool:
    return span[0] <= time < span[1]


def _range(hours: Hours, day: int) -> str:
    return " to ".join(_clock(hour) for hour in hours.of_day[day])


def _clock(hour: float) -> str:
    whole, minute = int(hour), round(hour % 1 * 60)
    if hour in (12, 24):
        return "noon" if hour == 12 else "midnight"
    return f"{(whole - 1) % 12 + 1}{f':{minute:02d}' if minute else ''} {'AM' if whole < 12 else 'PM'}"


def _listed(days: list[int]) -> str:
    """Return "Monday to Friday and Sunday" for the days' numbers."""
    if len(days) == 7:
        return "every day"
    groups: list[list[int]] = []
    for day in days:
        if groups and day == groups[-1][-1] + 1:
            groups[-1].append(day)
        else:
            groups.append([day])
    names = [f"{WEEK[day].capitalize()}s" for day in range(7)]
    said = [
        f"{names[g[0]][:-1]} to {names[g[-1]][:-1]}" if len(g) > 2 else " and ".join(names[d] for d in g)
        for g in groups
    ]
    return " and ".join(said)
