"""Time and date by the clock of the machine that runs the app, and what is always so in a calendar."""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from ..lexicon import WEEK
from .contract import Reply, Talk, reply
from .spoken_numbers import with_digits
from .turn import Turn

_TIME = re.compile(
    r"^(?:what is the |what |the )?(?:current |exact |right )?time(?: is it| is)?(?: (?:here|there|over there"
    r"|where you are))?$"
    r"|^what time (?:do you have|is it(?: .{0,20})?)$|^(?:do you have|have you got) the time$"
    r"|^how late is it$"
    r"|^(?:what does|what is on) (?:the|your) clock(?: say)?$"
)
_TIME_IN = re.compile(r"^(?:what is the |what )?time(?: is it| is)? (?:now )?in (?P<city>[a-z][a-z ]+)$")
_DATE = re.compile(
    r"^(?:what is |what )?(?:the |our |current )*(?:date|today is date)(?: is it| is today| today)?$"
    r"|^what is today(?:'s date)?$"
    r"|^today's date$|^what(?: is the)? (?:day|date|weekday|day of the week)(?: of the week)? (?:is it"
    r"|is today|today|do we have|are we)$"
    r"|^what day(?: of the week)?$|^which day (?:is it|is today)$|^is (?:it|today) (?:an? )?(?P<day>\w+day)$"
)
_YEAR = re.compile(r"^(?:what|which) (?P<part>year|month|season) (?:is it|is this|are we in|do we have)$")
_OTHER_DAY = re.compile(
    r"^what(?: day| date)? (?:is|was|will) ?(?:be )?(?:day |it )?(?P<which>tomorrow|yesterday"
    r"|the day after tomorrow)(?: be)?$"
)
# "the date a week from today", "what day is it in ten days"
_LATER = re.compile(
    r"^(?:what|which) (?:is |will |was )?(?:be )?(?:the )?(?:day|date|weekday)\b.*?\b(?:in )?(?P<n>\d+|an?) "
    r"(?P<unit>day|week|fortnight)s?(?: (?P<side>ago|from(?: now| today| tomorrow)?|later|from then))?$"
)
_DAYS_IN = re.compile(
    r"\bhow many days (?:are |does |do |is |has )?(?:there )?(?:in |has |have )?(?P<what>an? leap year|a week"
    r"|a year|the year"
    r"|(?:the month of )?(?P<month>january|february|march|april|may|june|july|august|september|october"
    r"|november|december)"
    r"|a month|this month)(?: have| has)?\b|^how long is (?P<long>(?P<named>february|a leap year|a year))$"
)
_OTHER_COUNTS = (
    (re.compile(r"\bhow many months (?:are |does )?(?:there )?(?:in )?a year"), "A year has twelve months."),
    (
        re.compile(r"\bhow many weeks (?:are |does )?(?:there )?(?:in )?a year"),
        "A year has fifty-two weeks and a day or two.",
    ),
    (
        re.compile(r"\bhow many years (?:are |does )?(?:there )?(?:in )?a century"),
        "A century has one hundred years.",
    ),
    (re.compile(r"\bhow many years (?:are |does )?(?:there )?(?:in )?a decade"), "A decade has ten years."),
    (
        re.compile(r"\bhow many years (?:are |does )?(?:there )?(?:in )?a millennium"),
        "A millennium has one thousand years.",
    ),
    (
        re.compile(r"^(?:what are|name|say|list) (?:all )?the (?:days of the week|seven days|weekdays)"),
        "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.",
    ),
    (
        re.compile(r"^(?:what are|name|say|list) (?:all )?the (?:twelve )?months"),
        "January, February, March, April, May, June, July, August, September, October, November and"
        " December.",
    ),
)
_LEAP = re.compile(r"\bis (?P<year>\d{4}|this year|it|next year)(?: a)? leap year\b|\bis it a leap year\b")
_UNTIL = re.compile(
    r"\bhow (?:many days|long)(?: is it| are there| are left)? (?:until|till|to|before) (?P<what>christmas"
    r"|new year|halloween)"
)
_MOST_DAYS = 36_500
_FEASTS = {"christmas": (12, 25), "new year": (1, 1), "halloween": (10, 31)}
_AFTER = re.compile(r"^(?:what|which)(?: day| month)? (?:comes|is) (?P<side>after|before) (?P<name>\w+)$")
_MONTHS = tuple(name.lower() for name in calendar.month_name[1:])
_SEASONS = [
    "winter",
    "spring",
    "spring",
    "spring",
    "summer",
    "summer",
    "summer",
    "autumn",
    "autumn",
    "autumn",
    "winter",
    "winter",
]


def clock(turn: Turn, talk: Talk) -> Reply | None:
    """Answer what time or day it is, by the server's clock, with its time zone."""
    now = talk.clock()
    if found := turn.search(_TIME_IN):
        if not (zone := _zone_of(found["city"])):
            return None
        there = now.astimezone(zone)
        return reply(f"By the computer's clock, it is {_hour(there)} in {found['city'].title()} now.", True)
    if turn.search(_TIME):
        return reply(
            f"By the clock of the computer I run on, it is {_hour(now)}, {_zone(now)}. Yours may differ.",
            True,
        )
    if found := turn.search(_DATE):
        today = f"{now:%A}, {now:%B} {now.day}, {now.year}"
        asked = found["day"]
        lead = (
            ""
            if not asked or asked.lower() not in WEEK
            else "Yes. "
            if asked == f"{now:%A}".lower()
            else "No. "
        )
        return reply(f"{lead}By the calendar of the computer I run on, today is {today}, {_zone(now)}.", True)
    if found := turn.search(_YEAR):
        said = {
            "year": f"the year is {now.year}",
            "month": f"it is {now:%B}",
            "season": f"it is {_SEASONS[now.month % 12]} in the north of the Earth and the opposite in the"
            f" south",
        }
        return reply(f"By the calendar of the computer I run on, {said[found['part']]}.", True)
    if found := turn.search(_OTHER_DAY):
        days = {"tomorrow": 1, "yesterday": -1}.get(found["which"], 2)
        then = now + timedelta(days=days)
        verb = "was" if days < 0 else "is"
        which = found["which"].capitalize()
        return reply(f"{which} {verb} {then:%A}, {then:%B} {then.day}, by the computer's calendar.", True)
    if found := _LATER.match(with_digits(turn.ask)):
        count = 1 if found["n"].startswith("a") else int(found["n"])
        days = count * {"day": 1, "week": 7, "fortnight": 14}[found["unit"]]
        days += (found["side"] or "").endswith("tomorrow")
        # the calendar ends where nobody asks
        then = now + timedelta(
            days=max(-_MOST_DAYS, min(_MOST_DAYS, -days if found["side"] == "ago" else days))
        )
        verb = "was" if then < now else "will be"
        return reply(
            f"That {verb} {then:%A}, {then:%B} {then.day}, {then.year}, by the computer's calendar.", True
        )
    if found := turn.search(_UNTIL):
        return _until(found["what"], now)
    return None


def _zone_of(city: str) -> ZoneInfo | None:
    """Return the time zone that is named after a city, None for no such zone."""
    name = city.removeprefix("the city of ").replace(" ", "_")
    return next(
        (ZoneInfo(key) for key in sorted(available_timezones()) if key.split("/")[-1].lower() == name), None
    )


def _until(what: str, now: datetime) -> Reply | None:
    month, day = _FEASTS[what]
    feast = now.date().replace(month=month, day=day)
    if feast < now.date():
        feast = feast.replace(year=feast.year + 1)
    days = (feast - now.date()).days
    if not days:
        return reply("By the computer's calendar, that is today.")
    name = "New Year" if what == "new year" else what.capitalize()
    return reply(
        f"By the computer's calendar, it is {days} {'day' if days == 1 else 'days'} until {name}.", True
    )


def calendar_facts(turn: Turn, talk: Talk) -> Reply | None:
    """Answer how long months and years are, and what comes after which."""
    if found := turn.search(_DAYS_IN):
        return _days_in(found["named"] or found["month"] or found["what"], talk.clock())
    for pattern, answer in _OTHER_COUNTS:
        if turn.search(pattern):
            return reply(answer, True)
    if found := _LEAP.search(with_digits(turn.ask)):
        year = int(found["year"]) if (found["year"] or "").isdigit() else talk.clock().year
        year += found["year"] == "next year"
        return reply(
            f"{'Yes' if calendar.isleap(year) else 'No'}, {year} is"
            f" {'' if calendar.isleap(year) else 'not '}a leap year.",
            True,
        )
    if found := turn.search(_AFTER):
        for row in (WEEK, _MONTHS):
            if found["name"] in row:
                step = 1 if found["side"] == "after" else -1
                other = row[(row.index(found["name"]) + step) % len(row)]
                return reply(f"{other.capitalize()} comes {found['side']} {found['name'].capitalize()}.")
    return None


def _days_in(what: str, now: datetime) -> Reply | None:
    what = what.removeprefix("the month of ")
    if what in _MONTHS:
        month = _MONTHS.index(what) + 1
        days = calendar.monthrange(2023, month)[1]
        leap = ", or 29 in a leap year" if month == 2 else ""
        return reply(f"{what.capitalize()} has {days} days{leap}.", True)
    if what == "this month":
        return reply(f"This month has {calendar.monthrange(now.year, now.month)[1]} days.", True)
    answers = {
        "a week": "A week has seven days.",
        "a month": "A month has 28 to 31 days, most of them 30 or 31.",
    }
    leap = "leap" in what
    return reply(
        answers.get(
            what, "A leap year has 366 days." if leap else "A year has 365 days, and a leap year 366."
        ),
        True,
    )


def _zone(now: datetime) -> str:
    name = now.tzname() or "local time"
    return "Coordinated Universal Time" if name == "UTC" else f"time zone {name}"


def _hour(time: datetime) -> str:
    return f"{time:%I:%M %p}".removeprefix("0")
