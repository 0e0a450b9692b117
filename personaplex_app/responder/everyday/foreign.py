"""Other languages: a turn in one, the wish to speak one, and a few words of some."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz, process

from ...languages import language_of_turn
from ...yaml_fields import load_yaml
from .contract import Reply, Talk, reply
from .turn import Turn

PHRASES_FILE = Path(__file__).with_name("phrasebook.yaml")
# how alike a phrase and a known one must be, 0 to 100
_CLOSE = 84
_NAMES = (
    "spanish french german italian portuguese dutch swedish japanese chinese mandarin "
    "cantonese korean russian ukrainian polish turkish arabic"
    " hindi urdu greek latin danish norwegian finnish czech hungarian romanian hebrew persian "
    "farsi vietnamese thai indonesian swahili"
    " bengali punjabi tamil catalan welsh irish croatian serbian bulgarian esperanto english"
)
_LANGUAGE = rf"(?P<language>{'|'.join(_NAMES.split())})"
_OTHER = (
    r"(?:another language|other languages?|a foreign language|foreign languages?|my (?:own "
    r")?language|languages?)"
)
_SAID = (
    re.compile(
        rf"\bhow (?:do|would|can|should|does|to)? ?(?:you|i|we|one)? ?(?:say|write|ask|call"
        rf"|greet)(?: for)? (?P<what>.+?) in {_LANGUAGE}$"
    ),
    re.compile(rf"\b(?:translate|put|say|tell me|repeat) (?P<what>.+?) (?:in|into|to) {_LANGUAGE}$"),
    re.compile(
        rf"\b(?:what is|what s|and) (?:the )?{_LANGUAGE} (?:word |name |translation |expression "
        rf")?(?:for|of) (?P<what>.+)$"
    ),
    re.compile(rf"\bwhat (?:is|does|would be) (?P<what>.+?) (?:mean )?in {_LANGUAGE}$"),
    re.compile(rf"^(?:and )?(?P<what>[\w' ]{{2,30}}?) in {_LANGUAGE}$"),
)
# without a language it is the one that the role teaches
_SAID_HERE = re.compile(
    r"^how (?:do|would|can|should) (?:you|i|we) say (?P<what>.+?)$|^what is the word for (?P<word>.+)$"
)
_MEANS = re.compile(
    r"^what (?:does|is|do) (?P<what>.+?)(?: mean)(?: in english)?$|^what is (?P<is>.+?) in "
    r"english$|\b(?:meaning|translation) of (?P<of>.+)$"
)
_SPEAK = re.compile(
    rf"\b(?:speak|talk|know|understand|switch|change|answer|chat|continue|converse"
    r"|do you do|(?:do|have) (?:this|it)"
    rf"|someone|somebody|anyone|anybody|rather|only|prefer)\b.*\b(?:{_LANGUAGE}|{_OTHER})\b"
    rf"|^(?:in |please )?{_LANGUAGE.replace('language', 'alone')}$|^(?:tell|say|read"
    rf"|explain)(?: me| it| that| us)? (?:it )?in {_LANGUAGE.replace('language', 'told')}$"
    r"|\b(?:what|which|how many) languages? (?:do|can|are|could) you\b|\btranslat(?:e|or|ion)\b"
)
_TEACH = re.compile(rf"\b(?:teach|learn|practi[sc]e|lesson)\b.*\b{_LANGUAGE}\b")
_POOR = re.compile(
    r"\b(?:my english is (?:not|bad|poor|weak)|i (?:do not|cannot) (?:speak|understand) "
    r"(?:good |much |very good )?english|english is not my|not (?:so )?good (?:at|in) "
    r"english)\b"
)
_NO_PHRASE = frozenset(
    ("that", "it", "this", "something", "anything", "a story", "a word", "me", "everything")
)
_TALKING = re.compile(r"\b(?:talk|speak|we|tell|it|this|that|someone|anyone|continue)\b(?! is)")
_LINES = (
    "That sounds like {language}. I'm sorry, I understand and speak English only. Is English all right?",
    "I can't follow {language}, I'm afraid. In English I can help you.",
    "{language} again, if I'm not mistaken. Sorry, it has to be English with me.",
)
_ONLY_ENGLISH = (
    "I understand and speak English only here, so {language} is beyond me, but for a few words. {ask_on}",
    (
        "English is all I have in this talk, I'm afraid, no {language}. Short English sentences "
        "are fine. {ask_on}"
    ),
    "No {language} from me, sorry: English only. If it helps, I can speak more slowly.",
)
_ENGLISH_ALONE = (
    "I understand and speak English only here. {ask_on}",
    (
        "English is all I have in this talk, I'm afraid, no {language}. Short English sentences "
        "are fine. {ask_on}"
    ),
    "It has to be English with me, sorry. If it helps, I can speak more slowly.",
)
_NO_TRANSLATION = (
    "I can't translate that: of {language} I know only a few words, such as {word} for {phrase}.",
    (
        "That I can't say in {language}. I speak English only, with a few words beside it, such "
        "as {word} for {phrase}."
    ),
)


def foreign(turn: Turn, talk: Talk) -> Reply | None:
    """Say what can be done for who speaks, or asks for, another language."""
    teaches = talk.role.style == "language"
    form = _plain(turn.ask)
    taught = _taught(talk) if teaches else ""
    if said := _translated(form, taught, talk):
        return reply(said)
    language = "" if teaches else language_of_turn(turn.text)
    if language:
        return reply(talk.line("foreign", _LINES, language=language))
    if teaches and not re.search(r"\b(?:speak|teach|learn)\b", form):
        return None
    return _asked_for(form, taught, talk)


def _asked_for(form: str, taught: str, talk: Talk) -> Reply | None:
    """Answer the wish to speak, or to learn, a language."""
    if _POOR.search(form):
        return reply(
            talk.line(
                "poor_english",
                ("Don't worry, I understand you well. Say slower, and I speak more slowly. {ask_on}",),
            )
        )
    if found := _TEACH.search(form):
        language = found["language"].capitalize()
        if language == taught:
            return None
        if taught:
            return reply(
                f"I teach {taught} only, so {language} is for somebody else. Shall we go on with {taught}?"
            )
        known = _some(language)
        return reply(
            f"I'm no {language} teacher here. {known}"
            if known
            else f"I can't teach {language}: I know English only."
        )
    if (found := _SPEAK.search(form)) and not re.search(r"\b(?:programming|body|sign) languages?\b", form):
        language = next((name for name in (found["language"], found["alone"], found["told"]) if name), "")
        if language == "english":
            return reply(talk.line("english", ("Yes, I speak English, and English only. {ask_on}",)))
        if language.capitalize() == taught and taught:
            return None
        lines = _ONLY_ENGLISH if language.capitalize() in _book()["languages"] else _ENGLISH_ALONE
        return reply(talk.line("english_only", lines, language=language.capitalize() or "other languages"))
    return None


def _translated(form: str, taught: str, talk: Talk) -> str:
    """Return how something is said in another language, or what a word of one means.

    "" where neither is asked.
    """
    book = _book()
    found = next((m for pattern in _SAID if (m := pattern.search(form))), None)
    if (
        found
        and found["language"] != "english"
        and found["what"] not in _NO_PHRASE
        and not _TALKING.search(found["what"])
    ):
        return _said(found["what"], found["language"].capitalize(), talk)
    if taught in book["languages"] and (found := _SAID_HERE.match(form)):
        phrase = _phrase(found["what"] or found["word"])
        own = any(
            f'"{_plain(word)}"' in _plain(fact.source)
            for fact in talk.role.brief.facts
            for word in (phrase,)
            if word
        )
        return _said(phrase, taught, talk) if phrase and not own else ""
    if found := _MEANS.search(form):
        word = re.sub(
            rf"^(?:the )?(?:{'|'.join(book['languages']).lower()})(?: word)? ",
            "",
            found["what"] or found["is"] or found["of"],
        )
        return _meaning(word) if not taught else ""
    return ""


def _said(what: str, language: str, talk: Talk) -> str:
    book = _book()
    phrase = _phrase(what)
    if language not in book["languages"]:
        return f"I can't say that in {language}: I speak English only here."
    place = book["languages"].index(language)
    if phrase:
        known = re.sub(r"^i\b", "I", phrase)
        return f"In {language}, {known} is {book['phrases'][phrase][place]}. I only know a few words of it."
    return talk.line(
        "no_translation",
        _NO_TRANSLATION,
        language=language,
        word=book["phrases"]["hello"][place],
        phrase="hello",
    )


def _meaning(word: str) -> str:
    book = _book()
    for phrase, said in book["phrases"].items():
        for language, each in zip(book["languages"], said, strict=True):
            # a word that is English too means what it means in English
            if _plain(each) == _plain(word) and _plain(each) not in book["phrases"]:
                return f"{each[:1].upper()}{each[1:]} is {language} and means {phrase}."
    return ""


def _some(language: str) -> str:
    book = _book()
    if language not in book["languages"]:
        return ""
    place = book["languages"].index(language)
    some = [f"{phrase} is {book['phrases'][phrase][place]}" for phrase in ("hello", "thank you", "goodbye")]
    return f"But a few words I know: {', '.join(some)}."


def _phrase(what: str) -> str:
    """Return the phrase of the book that is meant, "" for none."""
    book = _book()
    known = {_plain(each): each for each in book["phrases"]} | {_plain(k): v for k, v in book["also"].items()}
    what = re.sub(r"^(?:the |a |an |to )(?!bill|check)", "", _plain(what).strip(" ,"))
    best = process.extractOne(what, list(known), scorer=fuzz.ratio, score_cutoff=_CLOSE)  # pyrefly: ignore[no-matching-overload]
    return known[best[0]] if best else ""


def _taught(talk: Talk) -> str:
    """Return the language that a role teaches."""
    named = re.search(rf"(?i)\b{_LANGUAGE}\b", talk.role.brief.prompt.replace("English", ""))
    return named["language"].capitalize() if named else ""


def _plain(text: str) -> str:
    """Return a text in lower case, without accents and marks, as the recogniser writes it."""
    letters = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    return " ".join(
        re.sub(r"[^a-z0-9' ]", " ", "".join(c for c in letters if not unicodedata.combining(c))).split()
    )


@cache
def _book() -> dict[str, Any]:
    return load_yaml(PHRASES_FILE)
