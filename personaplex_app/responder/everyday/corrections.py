"""Corrections and changes of mind: what was noted is changed, and said back as it is now."""

from __future__ import annotations

import re

from ..lexicon import WEEK
from ..memory import given_name
from ..numbers import figures, word_list
from ..phrasing import lower_first, second_person
from .contract import Reply, Talk, reply
from .turn import Turn

# "eleven, not ten", but not "I do not like it"
_NO_VERB = "".join(
    rf"(?<!\b{verb})" for verb in word_list("do does is am are has have was did will would should could")
)
_SWAP = re.compile(
    r"^(?:i (?:mean|meant|said|say) |make (?:it|that) |it is |that is |at |on |for )?(?:at |on |for )?"
    rf"(?P<right>[\w:' -]{{1,40}}?)(?:,| and|{_NO_VERB}) not (?:at |on |for )?"
    r"(?P<wrong>[\w:'-]+(?: [\w:'-]+){0,2})$"
)
_SWAP_BACK = re.compile(
    r"^not (?:at |on |for )?(?P<wrong>[\w:' -]{1,40}?)(?:,| but| rather)+ (?:i (?:mean|meant|said) "
    r"|it is |at "
    r"|on |for )?(?P<right>[\w:' -]{1,40}?)(?:,? with (?:an? )?\w+)?$"
)
# "I said the kitchen, it's the bathroom"; "eleven instead of ten"
_SAID = re.compile(
    r"^i said (?P<wrong>[\w:' -]{1,40}?),?(?: but)? (?:it is|it was|that is|i meant|i mean|it should be) "
    r"(?P<right>[\w:' -]{1,40})$"
)
_INSTEAD = re.compile(
    r"^(?:(?:can|could) (?:we|you|i) (?:do|say|make it|have|get) |make (?:it|that) |rather |i (?:would )?"
    r"(?:rather have|rather|prefer|want|like) |let us (?:say|do|make it) )?(?:at |on |for )?"
    r"(?P<right>[\w:' -]{1,40}?) (?:instead of|rather than) (?:at |on |for )?"
    r"(?P<wrong>[\w:'-]+(?: [\w:'-]+){0,2})$"
)
# how a speaker takes back what they said just before, in one breath, and how one begins anew
_REPAIR = re.compile(
    r"(?i)(?:[.,;:!?…]+|\s+[-–—]|(?=\s+(?:no wait|wait no|i mean|i meant|or rather)\b))\s*"
    r"(?P<mark>(?:(?:oh|uh|um+|er+|ah|hmm+|no|nope|sorry|wait|hang on|hold on|i mean|i meant|i'm sorry|pardon"
    r"|excuse me|actually|or rather|rather|correction|scratch that|my mistake)\b[,. …-]*)+)"
    r"(?:(?:make|say)(?: it| that)? )?(?P<value>[^,.!?;]{1,60})[.!?]*(?P<rest>(?:[\s,].*)?)$"
)
_CLOCK_TIME = (
    r"(?:half past|quarter (?:past|to)) \w+|\w+ o'clock|\d{1,2}:\d\d|\w+(?: \w+)? ?(?:a\.?m|p\.?m)\b"
)
_REPAIR_WORDS = 6
# how a turn begins that takes something back
_MARKED = re.compile(
    r"^(?:(?:oh|no|nope|wait|sorry|hang on|hold on|oops|whoops|um+|uh|hmm+|well|ah|my mistake|you know what"
    r"|(?P<sure>actually|correction|scratch that|i mean|i meant|i said|not that|let me correct that"
    r"|i misspoke|rather|that is wrong|that is not right|i got that wrong))(?:[,. ]+|$))+"
)
_VALUE = re.compile(
    r"^(?:(?:it (?:is|was)|that (?:is|was)|make (?:it|that)|i (?:mean|meant|said)|i have|we have|at"
    r"|on|for)\s+)*"
)
_LETTER = re.compile(r"^(?:it is |spelled |spelt |that is )?with (an?) ([a-z])(?: \w+)?$")
_CHANGED_MIND = re.compile(
    r"\b(?:(?:i have |i )?changed my mind|on second thoughts?|(?:i have )?thought better of it"
    r"|i do not want (?:that|it|to) any ?more|i decided against it)\b"
)
_MONTHS = frozenset(
    word_list("january february march april may june july august september october november december")
)
# statements that a correction may still be about
_RECENT = 5
# as many words of the notes a correction may hold and still be about what the user told
_NOTE_FITS = 0.42
_MAX_WORDS = 9
# similarity from which two words name the same sort of thing
_SAME_SORT = 0.45


def repaired(text: str) -> str:
    """Return what somebody means who corrects themselves in one breath.

    "It's on Monday. No, sorry, Tuesday." is "It's on Tuesday."; another text is returned as is.
    """
    found = _REPAIR.search(text)
    # "not Paul, I mean Peter" says itself what is wrong
    if not found or text[:4].lower() == "not " or len(found["value"].split()) > _REPAIR_WORDS:
        return text
    before, value = text[: found.start()], found["value"].strip(" ,")
    for alike in (_same_time, _same_sort, _same_beginning):
        if changed := alike(before, value):
            end = "" if found["rest"] or text[-1] not in ".!?" else text[-1]
            return f"{changed}{end}{found['rest']}"
    return text


def _same_time(before: str, value: str) -> str:
    old, new = (re.findall(rf"(?i){_CLOCK_TIME}", each) for each in (before, value))
    return before.replace(old[-1], (new or [value])[0]) if old and (new or len(value.split()) == 1) else ""


def _same_sort(before: str, value: str) -> str:
    """Put the value's weekday, month, number or name in the place of the last of its sort."""
    for is_kind in (_is_day, _is_month, _is_number, _is_name):
        # of "he's eight" the number counts, and of "two adults and a child" none
        new = [word for word in re.findall(r"[\w'-]+", value) if is_kind(word)]
        old = [
            word
            for word in re.findall(r"[\w'-]+", before)[1 if is_kind is _is_name else 0 :]
            if is_kind(word)
        ]
        if len(new) == 1 and old and new[0].lower() != old[-1].lower():
            at = before.rindex(old[-1])
            return f"{before[:at]}{new[0]}{before[at + len(old[-1]) :]}"
    return ""


def _same_beginning(before: str, value: str) -> str:
    """Put the value in the place of the last words that begin as it does, such as "in the" or "for my"."""
    first, *more = value.split()
    places = [m.start() for m in re.finditer(rf"(?i)\b{re.escape(first)}\b", before)]
    return (
        f"{before[: places[-1]]}{value}"
        if places and more and len(before[places[-1] :].split()) <= len(more) + 2
        else ""
    )


def takes_back(turn: Turn) -> bool:
    """Return whether a turn begins as one that takes something back."""
    return _MARKED.match(turn.plain) is not None


def swap_in(turn: Turn) -> tuple[str, str] | None:
    """Return what a turn puts in the place of what, as it was said: "eleven, not ten"; None for none."""
    marked = _MARKED.match(turn.plain)
    forms = (turn.plain[marked.end() :].strip(" .!?") if marked else "", *turn.forms)
    patterns = (_INSTEAD,) if turn.question else (_SAID, _INSTEAD, _SWAP, _SWAP_BACK)
    found = next((m for p in patterns for form in forms if (m := p.match(form))), None)
    return (_as_said(found["right"], turn), _as_said(found["wrong"], turn)) if found else None


def correct(turn: Turn, talk: Talk) -> Reply | None:
    """Change what was told, such as "eleven, not ten" or "wait, it was level four"."""
    if swap := swap_in(turn):
        return _swapped(*swap, turn, talk)
    if turn.question:
        return None
    marked = _MARKED.match(turn.plain)
    if talk.memory.user_name and (letter := _LETTER.match(turn.bare)):
        return reply(f"With {letter[1]} {letter[2].upper()}, thank you, I've noted that.")
    if marked and turn.words <= _MAX_WORDS:
        if name := given_name(turn.text):
            return reply(f"Sorry, {name} it is. I've corrected that.")
        value = _VALUE.sub("", turn.plain[marked.end() :].split(",")[0].strip(" .!"))
        if value and (changed := _changed(value, turn, talk)):
            return changed
        told = turn.fits < _NOTE_FITS and not _asked_before(talk)
        if value and marked["sure"] and told and not _CHANGED_MIND.search(turn.plain):
            return reply(f"Understood: {second_person(_as_said(value, turn))}. Sorry for taking it wrong.")
    if _CHANGED_MIND.search(turn.plain):
        return reply(talk.line("changed_mind", ("Of course. What would you like instead?",)))
    return None


def _swapped(right: str, wrong: str, turn: Turn, talk: Talk) -> Reply | None:
    if talk.memory.user_name and talk.memory.user_name.lower() == wrong.lower():
        talk.memory.user_name = right.title()
        return reply(f"Sorry, {right.title()} it is. I've corrected that.")
    for number in _latest(turn, talk):
        changed, count = re.subn(rf"(?i)\b{re.escape(wrong)}\b", right, talk.memory.statements[number])
        if count:
            return _noted(number, changed, talk)
    # "not much, just watching TV" takes nothing back
    before = " ".join([*talk.memory.user_texts[:-1], *talk.memory.replies]).lower()
    heard = re.search(rf"\b{re.escape(wrong.lower())}\b", before) or _MARKED.match(turn.plain)
    return reply(f"Understood: {second_person(f'{right}, not {wrong}')}.") if heard else None


def _changed(value: str, turn: Turn, talk: Talk) -> Reply | None:
    """Put a weekday, month, number or name in the place of one of its kind in the latest statement."""
    words = re.findall(r"[\w'-]+", _as_said(value, turn))
    for number in _latest(turn, talk):
        statement = talk.memory.statements[number]
        for is_kind in (_is_day, _is_month, _is_number, _is_name):
            new = next((word for word in words if is_kind(word)), "")
            old = next((word for word in re.findall(r"[\w'-]+", statement)[1:] if is_kind(word)), "")
            if new and old and new.lower() != old.lower():
                return _noted(number, re.sub(rf"\b{re.escape(old)}\b", new, statement, count=1), talk)
        if len(words) <= 2 and (old := _alike(" ".join(words), statement, talk)):
            return _noted(number, statement.replace(old, " ".join(words), 1), talk)
        break
    return None


def _alike(value: str, statement: str, talk: Talk) -> str:
    """Return the word of a statement that is of the same sort as a value, by its meaning; "" for none."""
    words = [word for word in re.findall(r"[\w'-]+", statement) if len(word) > 2]
    if not words or value.lower() in ("yes", "please", "thanks", "okay", "nothing"):
        return ""
    likeness = talk.likeness(value, words)
    return words[int(likeness.argmax())] if likeness.max() >= _SAME_SORT else ""


def _asked_before(talk: Talk) -> bool:
    """Return whether the turn before asked something, which the correction asks anew."""
    memory = talk.memory
    return bool(memory.questions) and memory.questions[-1].lower() in memory.user_texts[-2:-1]


def _noted(number: int, changed: str, talk: Talk) -> Reply | None:
    statements = talk.memory.statements
    talk.memory.statements = [*statements[:number], changed, *statements[number + 1 :]]
    return reply(f"All right, I've changed that: {lower_first(changed)}.")


def _latest(turn: Turn, talk: Talk) -> range:
    """Return the places of the latest statements, the last first, without those of this very turn."""
    now = second_person(turn.text).lower()
    count = len(talk.memory.statements)
    while count and talk.memory.statements[count - 1].lower() in now:
        count -= 1
    return range(count - 1, max(-1, count - 1 - _RECENT), -1)


def _as_said(value: str, turn: Turn) -> str:
    """Return a part of the turn's normal form with the capitals that it was heard with."""
    found = re.search(rf"(?i)\b{re.escape(value)}\b", turn.text)
    return found[0] if found else value


def _is_day(word: str) -> bool:
    return word.lower() in WEEK or word.lower() in ("today", "tomorrow", "tonight")


def _is_month(word: str) -> bool:
    return word.lower() in _MONTHS


def _is_number(word: str) -> bool:
    return bool(figures(word))


def _is_name(word: str) -> bool:
    return (
        word[:1].isupper() and word not in ("I", "I'm", "I've") and not _is_day(word) and not _is_month(word)
    )
