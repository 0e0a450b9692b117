"""What users tell without asking: reflected and led on within the role, never brushed off."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...yaml_fields import load_yaml
from ..phrasing import lower_first, second_person
from ..sentences import split_sentences
from .contract import Reply, Talk, reply
from .turn import Turn

TOPICS_FILE = Path(__file__).with_name("topics.yaml")
# roles that serve somebody; in the others a statement is an answer, a part played, or small talk
SERVING_STYLES = frozenset(("service", "briefing", "assistant"))
# roles in which what is told is an answer to the part that is played
_PLAYED_STYLES = frozenset(("angry", "demo", "mission", "interview", "sales"))
# roles to which an answer is told as often as something of one's own
_ASKING_STYLES = frozenset(("language", "lesson"))
# facts that a statement must fit so well before they are told in answer to it
_FITS = 0.3
# similarity from which a note is about what somebody says that they need
_NEAR_NEED = 0.25
# similarity from which what was told answers a question
_RECALLED = 0.5
_FITS_WELL = 0.55
_PROBLEM = re.compile(
    r"\b(?:(?:was|were|has|have|is|are|had|did) not (?:yet |been |be |even |really )?\w+ed\b"
    r"|(?:does|do|did|will) not \w+(?: properly| right| well| at all| any ?more)\b|no longer (?:works?"
    r"|\w+s)\b"
    r"|(?:has|have|had|did|does|do|was|were|is|are|will|would|cannot|could) not (?:yet |been |be |even "
    r"|really )?(?:arrived?|come|came|shown? up|work(?:ing|ed)?|turn(?:ed)? on|start(?:ed)?|open(?:ed)?"
    r"|close[ds]?|fit"
    r"|delivered|picked up|collected|received|get|got|gotten|respond(?:ed)?|answered|charg(?:e|ing)"
    r"|drain(?:ing)?|heat(?:ing)?|cool(?:ing)?|refunded|paid|fixed|repaired|find|log ?in|here|there)"
    r"|never (?:arrived|came|got|received|showed up|worked|called)|(?:is|are|was|were|been|came|arrived|got"
    r"|gets|getting|runs?|too) (?:\w+ )?(?:late|broken|damaged|missing|wrong|lost|faulty|cracked|scratched"
    r"|stuck|stolen|dirty|cold|overdue|defective|leaking|dead|jammed|torn|dented|smashed|incomplete|gone"
    r"|loose)"
    r"|wrong (?:item|order|one|size|colou?r|address|thing|dish|amount)|overcharged|charged (?:me )?twice"
    r"|leaks?\b|broke(?: down)?\b|stopped \w+ing|keeps? \w+ing|makes? (?:a )?(?:strange|funny|loud"
    r"|weird) (?:noise|sound)"
    r"|problem with|trouble with|issue with|something wrong with|missed my|want to complain|have a complaint"
    r"|not happy with|unhappy with|disappointed (?:with|by|in)|waiting for (?:my|the|an?|over|more)"
    r"|lost my)\b"
)
_NEED = re.compile(
    r"\b(?:i|we|my \w+)(?: am| are| is| would|) (?:just |really |currently |also "
    r"|still )?(?:look(?:ing)? (?:to|for|at|into)|like to|want(?:s)? (?:to|an?|some)|need(?:s)? (?:to|an?"
    r"|some|help)?|hop(?:e|ing) to|trying to|plan(?:ning)? to|think(?:ing)? (?:of|about)"
    r"|interested in|after an?|would love to|calling (?:about|because|to|for)|here (?:to|for|about))\b"
)
_DIET = re.compile(
    r"\b(?:allerg\w+|intoleran\w+|vegan|vegetarian|gluten[- ]free|lactose|celiac|coeliac|diabetic|pregnant"
    r"|halal|kosher|do(?:es)? not eat|cannot eat)\b"
)
_DIET_FACTS = re.compile(
    r"(?i)\b(?:contains?|peanuts?|nuts?|allerg\w*|vegan|vegetarian|gluten|dairy|milk|eggs?|spicy|without"
    r"|free of|made)\b"
)
_SELF = re.compile(
    r"^(?:well |yes |no |so |and |but |hi |hello |okay |actually |[, ])*(?:i|my|we|our|it|he|she|they|there"
    r"|the|this|that)\b"
)
_LEADS = re.compile(
    r"(?i)^(?:(?:well|yes|no|so|and|but|hi|hello|hey|actually|okay|ok|oh|ugh|sorry|thanks|please|honestly"
    r"|guess what|you know(?: what)?|to be honest|today|anyway|by the way|i just wanted to say)"
    r"[,.! ]+)+"
)
# a wish that nothing else knows
_ORDERED = re.compile(
    r"^(?:(?:can|could|will|would) you )?(?:please )?(?:give|tell|take|make|say|play|show|turn|brew"
    r"|teach|do|read|help|write"
    r"|find|bring|put|ask|explain|draw|cook|fix|send|open|close|pretend|imagine|act|describe|name|count|guess|buy|fetch"
    r"|drive|hold|kiss|fly|heal|check|look) (?!you\b|it is\b)\w+"
)
_CANNOT = {
    "serving": ("I can't do that from here, I'm afraid. {offer}", "That is beyond me on this line. {ask_on}"),
    "other": (
        "I'd gladly do that, but all I have is my voice. Tell me more, and we'll see what words can do.",
        "That is more than a voice can do. What would you like about it?",
    ),
}
_WHEN = re.compile(r"\b(?:since|yesterday|today|last|for (?:an?|two|three|some|many)|ago|this morning)\b")
_SINCE = ("Since when is it so?", "Is there anything else that you noticed?")
_ASK_ON = (
    "How did that come about?",
    "What was that like for you?",
    "Tell me a little more about it.",
    "What made you think of it just now?",
)
_NOT_TOLD = re.compile(
    r"^(?:i (?:do not|did not) (?:know|understand|care|think so)|i (?:see|know|guess|think so|mean)|that is"
    r"|it is (?:okay|fine|good))\b"
)
_REFERENCE = re.compile(
    r"\b(?:order|reference|model|serial|customer|booking|account|ticket|invoice|case|tracking|member\w*"
    r"|policy) (?:number|code|id|no)\b.*?\d|\bit is (?:number )?(?:[a-z]-?)?\d[\d -]{2,}"
)


def take_up(turn: Turn, talk: Talk) -> Reply | None:
    """Take up a problem, a wish or a diet that the user tells to a role that serves them."""
    if talk.role.style not in SERVING_STYLES - {"assistant"} or turn.words < 3:
        return None
    if turn.search(_REFERENCE) and not turn.question:
        return reply(
            talk.line(
                "reference",
                (
                    "Thank you, I've noted that: {said}. Is there anything else I should know?",
                    "Noted: {said}. What would you like me to do?",
                ),
                said=reflected(turn),
            )
        )
    if turn.question:
        return None
    if is_diet(turn):
        return _diet(turn, talk)
    if _PROBLEM.search(turn.plain):
        return apologise(turn, talk)
    if _NEED.search(turn.plain):
        return _need(turn, talk)
    return None


@dataclass(frozen=True)
class Topic:
    """Something that people tell about, with example sentences and lines that take it up."""

    name: str
    examples: tuple[str, ...]
    say: tuple[str, ...]


@cache
def load_topics(path: Path = TOPICS_FILE) -> tuple[Topic, ...]:
    """Load the topics."""
    entries = load_yaml(path)
    return tuple(Topic(each["name"], tuple(each["examples"]), tuple(each["say"])) for each in entries)


def is_wish(turn: Turn) -> bool:
    """Return whether a turn asks for something to be done."""
    return _ORDERED.match(turn.ask) is not None


def reflect(turn: Turn, talk: Talk, find_topic: Callable[[str], str] | None) -> Reply | None:
    """Say back any other statement and ask on, after the role's notes had nothing to say about it.

    `find_topic` returns the name of the topic that a text is about, "" for none.
    """
    style = talk.role.style
    if is_wish(turn) and style not in _PLAYED_STYLES | _ASKING_STYLES:
        return reply(talk.line("cannot", _CANNOT["serving" if style in SERVING_STYLES else "other"]))
    if turn.question or turn.words < 4 or style in _PLAYED_STYLES or _NOT_TOLD.match(turn.ask):
        return None
    if talk.memory.stage != "new" and style in SERVING_STYLES:
        return None
    about_self = _SELF.match(turn.plain)
    said = reflected(turn) if about_self else ""
    if style in SERVING_STYLES:
        return _served(said, turn, talk)
    topic = find_topic(turn.text) if find_topic else ""
    if (not topic and not said) or find_topic is None:
        return None
    if style in _ASKING_STYLES and not re.search(r"\b(?:i|my|we|our)\b", turn.plain):
        return None
    lines = next((each.say for each in load_topics() if each.name == topic), _ASK_ON)
    if style == "story":
        lines = ("Shall I make a story of that?", "That has the makings of a story. Who is its hero?")
    follow = talk.line(f"topic.{topic or style}", lines)
    lead = talk.line("told_back", ("{Said}?", "So {said}.") if said else (), said=said, Said=_capital(said))
    return reply(f"{lead} {follow}".strip())


def _served(said: str, turn: Turn, talk: Talk) -> Reply | None:
    if not said or (talk.role.style == "assistant" and re.search(r"\bi cannot decide\b", turn.plain)):
        return None
    if talk.role.style == "assistant":
        lines = (
            "I see: {said}. What would you like to happen?",
            "So {said}. What is the first thing to sort out?",
            "Noted: {said}. What would help you with that?",
        )
    else:
        lines = (
            "I see: {said}. What would help you with that?",
            "I've noted that {said}. What would you like me to do?",
            "So {said}. What can I do about it?",
        )
    return reply(talk.line("reflect", lines, said=said))


def recall(turn: Turn, talk: Talk) -> Reply | None:
    """Answer a question about the user by what they told, found by its meaning."""
    told = talk.memory.statements
    if not told or not turn.question or not re.search(r"\b(?:i|my|me|we|our)\b", turn.plain):
        return None
    likeness = talk.likeness(second_person(turn.text), told)
    best = int(likeness.argmax())
    return reply(f"You told me that {lower_first(told[best])}.") if likeness[best] >= _RECALLED else None


def reflected(turn: Turn, most: int = 16) -> str:
    """Return the user's last statement in the second person, "" for none of at most so many words."""
    told = [s for s in split_sentences(turn.text) if not s.endswith("?") and len(s.split()) > 2] or [
        turn.text
    ]
    text = _LEADS.sub("", told[-1].strip())
    said = lower_first(second_person(text))
    return said if 2 <= len(said.split()) <= most else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _facts(turn: Turn, talk: Talk, least: float, most: int) -> str:
    index = talk.role.index
    found = index.search(index.query(turn.text), most)
    return " ".join(talk.role.brief.facts[m.index].text for m in found if m.coverage >= least)


def apologise(turn: Turn, talk: Talk) -> Reply | None:
    """Say sorry for a problem that the user tells, with what the notes say of it, and ask on."""
    said = reflected(turn)
    lead = f"I'm sorry that {said}." if said else "I'm sorry to hear that."
    # "you haven't got it" reads on after "that"; a fragment does not
    lead = (
        lead
        if re.match(r"I'm sorry that (?:you|your|the|my|it|there|this|a|an|one)\b", lead)
        else "I'm sorry to hear that."
    )
    ask = talk.slot("asks_for") or ""
    known = _facts(turn, talk, _FITS_WELL, 1)
    ours = re.search(r"\b(?:I|my|me)\b", said)
    lead = "I'm very sorry about that." if ours else lead
    more = (
        "" if known else "What can I do to put it right?" if ours else _SINCE[bool(_WHEN.search(turn.plain))]
    )
    return reply(" ".join(part for part in (lead, known, ask or more) if part))


def _need(turn: Turn, talk: Talk) -> Reply | None:
    known = _facts(turn, talk, _FITS, 2)
    likeness = None if known else talk.role.index.likeness(turn.text, talk.role.index.query(""))
    if likeness is not None and likeness.max() >= _NEAR_NEED:
        known = talk.role.brief.facts[int(likeness.argmax())].text
    said = reflected(turn)
    lead = f"Gladly: {said}." if said.startswith(("you", "your")) else "Gladly."
    if known:
        return reply(f"{lead} {known} What else would you like to know?")
    if talk.role.brief.asks_for and re.search(r"\bhelp\b", turn.plain):
        return reply(talk.line("need.help", ("{lead} {asks_for}",), lead=lead))
    return reply(
        talk.line(
            "need",
            (
                "{lead} {next_fact} What would you like to know about it?",
                "{lead} I can tell you about {topics}. Which of those helps you?",
                "{lead} {asks_for}",
                "{lead} Tell me a little more.",
            ),
            lead=lead,
        )
    )


def is_diet(turn: Turn) -> bool:
    """Return whether a turn tells what somebody may not eat."""
    return not turn.question and _DIET.search(turn.plain) is not None


def _diet(turn: Turn, talk: Talk) -> Reply | None:
    facts = [
        f.text
        for f in talk.role.brief.facts
        if f.noted and f.whole is None and _DIET_FACTS.search(f.text) and "dollar" not in f.text
    ]
    # those that name what the user may not eat, where there are any
    named = [stem for stem in talk.role.index.stems_of(turn.text) if stem not in ("allerg", "eat", "son")]
    facts = [text for text in facts if any(stem in text.lower() for stem in named)] or facts
    said = reflected(turn)
    lead = (
        f"Thank you for telling me: {said}, and I'll keep it in mind." if said else "I'll keep that in mind."
    )
    if not facts:
        return reply(f"{lead} My notes say nothing about it, so please check before you rely on it.")
    return reply(
        f"{lead} What my notes say is this. {' '.join(facts[:3])} About anything else I can't be sure."
    )
