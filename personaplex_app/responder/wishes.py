"""What a role prompt asks for in so many words: how to greet and end, what never to say, how short to be."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from .memory import Sentence
from .sentences import split_sentences

_USERS = (
    r"(?:me|us|them|people|every(?:one|body)|whoever calls"
    r"|(?:the )?(?:users?|callers?|customers?|guests?|visitors?|students?|listeners?|patients?"
    r"|clients?|players?))"
)
_GREETING = re.compile(
    r"(?i)\b(?:greet|welcome|begin|start|open|answer)\b[^.\"“]{0,50}?\b(?:with|saying)\s*"
    r"[\"“](?P<line>[^\"”]+)[\"”]"
)
# "greet everybody with Namaste"
_GREETING_WORD = re.compile(
    rf"\b(?i:greet|welcome) {_USERS} with (?:an? )?(?P<word>[A-Z][\w'-]+(?: [A-Z][\w'-]+)?)"
)
_CLOSING = re.compile(
    r"(?i)\b(?:end|finish|close)\b[^.\"“]{0,50}?\b(?:with|saying)\s*[\"“](?P<line>[^\"”]+)[\"”]"
)
_OFTEN = re.compile(
    r"(?i)\b(?:say|shout|use|add|exclaim)\s*[\"“](?P<line>[^\"”]+)[\"”][^.]{0,20}?"
    r"\b(?:a lot|often|sometimes|all the time|now and then|whenever|constantly)"
)
_ADDRESS = re.compile(
    rf"(?i)\b(?:call|address) {_USERS} (?:as )?[\"“']?(?P<name>[a-z][\w -]{{1,20}}?)[\"”']?(?=[.,;]| and\b|$)"
)
_NAME_FIRST = re.compile(
    r"(?i)\b(?:always |first |begin by |start by )+(?:ask(?:ing)?|find(?:ing)? out) (?:\w+ "
    r")?(?:for )?(?:the|their|his|her|my|a)"
    r" (?:\w+'s )?name|\bask (?:\w+ )?(?:for )?(?:the|their|my|a) (?:\w+'s )?name (?:first"
    r"|before|at the (?:start|beginning))"
)
_TABOO = re.compile(
    r"(?i)\b(?:never|do not|don't|refuse to|must not|may not|not allowed to|avoid)"
    r" (?:ever )?(?:talk(?:ing)?(?: about)?|speak(?:ing)?(?: about| of)?|discuss(?:ing)?"
    r"|mention(?:ing)?|answer(?:ing)? questions (?:about|on)|give|giving)"
    r" (?P<what>[^.;]+?)(?=[.;]|$| with | to (?:the )?(?:users?|customers?|callers?|children))"
)
# what is only not yet to be given is no subject to keep silent about
_CONDITION = re.compile(r"(?i)\b(?:before|until|unless|without)\b")
_BANNED = re.compile(
    r"(?i)\b(?:never|do not|don't) (?:say|use(?: the words?)?) [\"“']?(?P<what>[\w' "
    r"]{2,30}?)[\"”']?(?=[.,;]|$)"
)
_NO_APOLOGY = re.compile(
    r"(?i)\b(?:never|do not|don't) (?:ever )?(?:apologi[sz]e|say (?:you're |that you are )?[\"“']?sorry)"
)
_SORRY = re.compile(
    r"(?i), i'm sorry(?=[.!?])|\b(?:i'm|i am) (?:so |very |really )?sorry(?: about that| to "
    r"hear that| for that)?(?:, but)?[,.]?\s*|,? sorry\b|\bsorry(?: about that)?[,.]\s*|,? i'm "
    r"afraid\b"
)
_SHORT = re.compile(
    r"(?i)\b(?:(?:in|with|at most|no more than|maximum|max|never more than) (?P<one>one|a "
    r"single|two|three|1|2|3)(?: short| brief)? sentences?"
    r"|(?P<brief>one-sentence|single-sentence|(?:be|are|keep (?:it|answers|replies)) (?:very "
    r"|extremely )?(?:brief|blunt and short|short and blunt)|few words))"
)
_ASKS_BACK = re.compile(
    r"(?i)\b(?:always |often )?(?:end|finish|close) (?:\w+ ){0,3}with a question"
    r"|\balways ask (?:\w+ )?a question (?:back|in return|at the end)"
)
_COUNTS = {"one": 1, "a single": 1, "1": 1, "two": 2, "2": 2, "three": 3, "3": 3}
# a sentence that only leads to the next one counts with it
_LEADS = re.compile(r"(?i)\b(?:this|that)\W*$|^.{0,12}$")


@dataclass(frozen=True)
class Wishes:
    """What a prompt asks for; a field that is empty or 0 is not asked for.

    `greeting` is the whole greeting and `hail` its first word; `often` a catchphrase; `closing` ends each
    reply; `address` is how the user is called; `taboos` are subjects not to talk about; `banned` are words
    never said; `sentences` is the most that a reply may have.
    """

    greeting: str = ""
    hail: str = ""
    often: str = ""
    closing: str = ""
    address: str = ""
    name_first: bool = False
    taboos: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()
    sentences: int = 0
    asks_back: bool = False
    unapologetic: bool = False

    def greeted(self, sentences: list[Sentence]) -> list[Sentence]:
        """Return a greeting as it is wished for."""
        if self.hail and self.hail.lower() not in sentences[0].text.lower():
            sentences = [Sentence(f"{self.hail}!"), *sentences]
        if self.name_first and not any("name, please" in each.text for each in sentences):
            stated = [each for each in sentences if not each.text.endswith("?")]
            sentences = [*stated, Sentence("May I have your name, please?")]
        return sentences

    def kept(self, sentences: list[Sentence]) -> list[Sentence]:
        """Return a reply without what is never to be said, as short as it is wished for."""
        kept = [replace(each, text=self._without_banned(each.text)) for each in sentences]
        kept = [each for each in kept if re.search(r"\w", each.text)] or sentences
        if self.sentences:
            end, counted = 0, 0
            while end < len(kept) and counted < self.sentences:
                counted += not _LEADS.search(kept[end].text)
                end += 1
            kept = kept[:end]
        if self.asks_back and not kept[-1].text.endswith("?"):
            kept = [*kept, Sentence("What do you think?")]
        return kept

    def _without_banned(self, text: str) -> str:
        if not self.banned and not self.unapologetic:
            return text
        for word in self.banned:
            text = re.sub(rf"(?i)\b{re.escape(word)}\b[,!]?\s*", "", text)
        text = _SORRY.sub("", text) if self.unapologetic else text
        mark = text.rstrip()[-1:]
        text = re.sub(r"\s+([.,!?])", r"\1", text).strip(" ,")
        text += mark if text and mark in ".!?" and text[-1] not in ".!?" else ""
        return text[:1].upper() + text[1:]


def read_wishes(prompt: str) -> Wishes:
    """Return what a role prompt asks for in so many words."""
    hail = _GREETING_WORD.search(prompt)
    short = _SHORT.search(prompt)
    taboos = [
        part
        for each in _TABOO.finditer(prompt)
        if not _CONDITION.search(each["what"])
        for part in _parts(each["what"])
    ]
    return Wishes(
        greeting=_line(_GREETING, prompt),
        hail=hail["word"] if hail else "",
        often=_ended(_line(_OFTEN, prompt)),
        closing=_ended(_line(_CLOSING, prompt)),
        address=_line(_ADDRESS, prompt, "name"),
        name_first=_NAME_FIRST.search(prompt) is not None,
        taboos=tuple(taboos),
        banned=tuple(each["what"] for each in _BANNED.finditer(prompt) if each["what"].lower() != "sorry"),
        sentences=_COUNTS.get((short["one"] or "one").lower(), 1) if short else 0,
        asks_back=_ASKS_BACK.search(prompt) is not None,
        unapologetic=_NO_APOLOGY.search(prompt) is not None,
    )


def _line(pattern: re.Pattern[str], prompt: str, group: str = "line") -> str:
    found = pattern.search(prompt)
    return found[group] if found else ""


def _parts(text: str) -> list[str]:
    """Return the subjects of "politics, religion or money"."""
    parts = re.split(r",\s*(?:or |and )?|\s+(?:or|and)\s+", text)
    return [
        re.sub(r"(?i)^(?:about|any|anything about|the) ", "", part.strip(" \"'“”"))
        for part in parts
        if part.strip()
    ]


def _ended(line: str) -> str:
    line = " ".join(split_sentences(line)).strip(" ,") if line else ""
    line = line[:1].upper() + line[1:]
    return line if not line or line[-1:] in (".", "!", "?") else f"{line}."
