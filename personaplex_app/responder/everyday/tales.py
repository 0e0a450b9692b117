"""A storyteller's stories: told in parts, with the listener's hero, and changed as the listener wishes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from ...yaml_fields import load_yaml
from ..memory import Sentence
from ..numbers import figures
from ..phrasing import lower_first
from .contract import Reply, Talk, reply
from .state import Tale
from .turn import Turn

TALES_FILE = Path(__file__).with_name("tales.yaml")
# lines told at once, the first time and then
_FIRST_LINES = 3
_LINES = 2
# styles of roles in which a story may be asked for
_OPEN_STYLES = frozenset(("assistant", "casual", "plain", "teacher"))
_HERO = re.compile(
    r"\babout (?P<what>(?:a|an|the|my|your) (?:[\w'-]+ ){0,3}?[\w'-]+?)"
    r"(?: (?:called|named|whose name is) (?P<name>[\w'-]+))?(?=[.,!?]|$|"
    r" (?:who|that|and|in|on|with|from|for|please)\b)"
    r"|\babout (?P<only>[A-Z][\w'-]+)|\b(?:called|named) (?P<late>[\w'-]+)|^(?P<bare>(?:a|an|the|my)"
    r" (?:[\w'-]+ ?){1,3})[.!]?$"
)
_COUNTS = re.compile(r"(?:count|spell)\b")
_ABOUT = re.compile(
    r"\bwhat (?:was |is )?(?:the|that|this|your)(?: first| last)? (?:story|tale) (?:was |is )?about\b"
    r"|\bsum (?:up|it up|(?:the|that) (?:story|tale) up)|\bin (?:one|a) sentence\b"
)
_ASKED = re.compile(r"\b(?:story|stories|tale|fairy ?tale|bedtime story)\b")
_TELL = re.compile(
    r"\b(?:tell|read|make up|invent|start|begin|want|hear|have|give|know|need|like|another|new"
    r"|different|other)\b|^(?:a |an |the )?(?:story|tale)|\babout\b"
)
_WHICH = re.compile(
    r"\b(?:what|which)(?: kind of| sort of)? (?:stories|tales)\b|\bwhat (?:can|do) you tell\b"
)
_ANOTHER = re.compile(
    r"\b(?:another|a different|a new|a second|one more|the same|same)(?: one| story| tale)?\b"
    r"|\b(?:heard|know|told)\b.*\b(?:already|before|that one|this one)\b|^(?:again|something "
    r"else|next one)$"
)
_YES = re.compile(
    r"^(?:yes|yeah|yep|sure|please|okay|ok|go ahead|of course|gladly|i would|absolutely|let us "
    r"hear it|start|begin|tell me)(?: please| do| go on)*$"
)
_ON = re.compile(
    r"^(?:(?:yes|okay|ok|please|and) )*(?:go on|continue|keep going|carry on|and then|then "
    r"what|what then|what happens|what happened|more|next|and"
    r"|tell me more|what happens? (?:next|then)|what (?:happened|did \w+ do) (?:next|then)|and "
    r"then what(?: happened)?|what next|i am listening|wow|cool|nice|oh|oh no|really)"
    r"(?: please| now| next| then)*$"
)
_END = re.compile(
    r"\b(?:how does it end|the end(?:ing)?\b(?! well)|finish (?:it|the story)|end (?:it|the "
    r"story)|shorter|too long|cut it short|skip to)"
)
_NAMED = re.compile(
    r"\b(?:call|name|rename) (?:him|her|it|them|the (?:hero|girl|boy|main character)) (?P<name>[\w'-]+)"
    r"|\b(?:his|her|its|the hero is|hero's|hero s) name (?:is|should be|shall be|must be|will "
    r"be) (?P<own>[\w'-]+)"
    r"|\bmake (?:the hero|him|her|it|the main character) (?P<what>(?:a|an) [\w' -]+?)(?: "
    r"(?:called|named) (?P<called>[\w'-]+))?$"
    r"|\bthe hero (?:is|should be|shall be|must be) (?P<be>(?:a|an) [\w' -]+?|[\w'-]+)(?: "
    r"(?:called|named) (?P<calls>[\w'-]+))?$"
)
_ADDED = re.compile(
    r"^(?:and |also |please |now |then )*(?:add|put in|put|bring in|include|there (?:should"
    r"|must|could|is|are)(?: also)?(?: be)?"
    r"|with|can there be|could there be|i want|how about|what about|and|also|maybe|let there "
    r"be|make there be)"
    r" (?P<what>(?:a|an|some|the|my|two|three) [\w' -]+?)(?: in(?:to)? (?:it|the story))?(?: "
    r"too| as well| also)?$"
)
_DOES = re.compile(
    r"^(?:and |then |i think |maybe |no |yes )*(?:he|she|it|they|the \w+|{hero}) (?:should"
    r"|must|could|can|has to|have to|will|needs to|shall|would)"
    r" (?P<do>[\w' ,-]+)$|^(?:and |then |please )*(?:let|make|have) (?:him|her|it|them|the \w+"
    r"|{hero}) (?P<let>[\w' ,-]+)$"
)
_WHO = re.compile(
    r"\b(?:who is|what is|what s|whats|who are) (?:the )?(?:(?:his|her|its|hero's|hero) name"
    r"|hero|main character|name of the (?:hero|girl|boy|fox|\w+)|(?:his|her|its) name"
    r"|called)\b|\bwhat is (?:he|she|it) called\b|\bwho is (?:it|he|she|this|the story) "
    r"(?:about)?$|\bhas (?:he|she|it) (?:got )?a name\b"
)
_VILLAIN = re.compile(r"\b(?:bad guy|villain|enemy|evil|monster|bad one)\b")
_TRUE = re.compile(
    r"\b(?:is (?:it|that|this|the story)|did (?:it|that|this)) (?:a )?(?:true|real|really happen|happen)"
)
_DISLIKED = re.compile(
    r"\b(?:do not like|did not like|boring|stupid|hate|not good|change (?:it|that|the story)|bad story)\b"
)
_QUESTION = ("What do you think {short} should do?", "Shall I go on?", "What do you think happens next?")
_OVER = "The end."


@dataclass(frozen=True)
class Story:
    """A story told line by line; `hero` is how its hero is introduced, and how they are called then."""

    title: str
    when: re.Pattern[str]
    hero: tuple[str, str]
    lines: tuple[str, ...]


class Tales:
    """Tells stories, for a role that is a storyteller, or for others when asked for one."""

    def __init__(self, prompt: str, style: str) -> None:
        self._stories, self._moods = _load()
        self._own = style == "story"
        self._able = self._own or style in _OPEN_STYLES
        self._gentle = (
            re.search(r"(?i)\b(?:never|not|no) (?:too )?(?:scary|frightening|violence|violent)\b", prompt)
            is not None
        )

    def reply(self, turn: Turn, talk: Talk) -> Reply | None:
        """Begin, continue or change a story, None for a turn that is about something else."""
        # "count to five in a spooky voice" wants no spooky story
        if not self._able or turn.words > 24 or _COUNTS.match(turn.do):
            return None
        tale = talk.state.tale
        if tale and (changed := self._on(turn, tale, talk)):
            return changed
        if self._own and turn.search(_WHICH):
            return reply(
                f"I know of {', '.join(s.title for s in self._stories[:-1])}, and more. Which shall it be?"
            )
        hero = self._own and (not turn.question or turn.words <= 4) and _HERO.search(turn.text.strip())
        asks = turn.search(_ASKED) and turn.search(_TELL)
        agrees = (self._own and (turn.search(_YES) or turn.search(_ANOTHER))) or (
            _offered(talk) and turn.search(_YES)
        )
        if asks or hero or agrees:
            return self._begin(turn, talk)
        return None

    def _on(self, turn: Turn, tale: Tale, talk: Talk) -> Reply | None:
        """Answer a turn that goes with the story that is being told."""
        if turn.search(_ANOTHER) or (turn.search(_ASKED) and turn.search(_TELL) and _HERO.search(turn.text)):
            return self._begin(turn, talk)
        over = tale.lines >= len(self._stories[tale.story].lines)
        if answer := self._asked(turn, tale):
            return reply(answer if over or not self._own else f"{answer} Shall I go on?")
        if over and turn.search(_ON):
            return reply("That was the end. Shall I tell you another story?")
        if over and not self._own:
            return None
        if over:
            # a wish that comes late goes into the next story
            wish = self._changed(turn, replace(tale, asked=False), talk)
            return self._begin(turn, talk, wish, (talk.state.tale or tale).hero) if wish else None
        if turn.search(_END):
            return self._continued(tale, talk, rest=True)
        if lead := self._changed(turn, tale, talk):
            return self._continued(talk.state.tale or tale, talk, lead)
        if turn.search(_DISLIKED):
            talk.note(tale=replace(tale, asked=True))
            return reply("Then let us change it. What should happen instead?")
        if turn.search(_ON) or (turn.search(_YES) and not talk.memory.unplayed):
            return None if talk.memory.unplayed else self._continued(tale, talk)
        return None

    def _asked(self, turn: Turn, tale: Tale) -> str:
        """Return the answer to a question about the story, "" for none."""
        long, short = tale.hero
        if turn.search(_WHO):
            return f"The hero is {long}." if long != short else f"The hero is {short}."
        if turn.search(_ABOUT):
            return f"It was the story of {self._stories[tale.story].title}, with {long} as its hero."
        if turn.search(_TRUE):
            return "As true as a story can be: nobody has seen it, and everybody could."
        if turn.search(_VILLAIN) and turn.question:
            return "There is no villain in this one so far, only what is hard to do."
        if (
            turn.question
            and self._own
            and turn.words > 2
            and re.search(rf"\b(?:he|she|it|they|him|her|the story|{re.escape(short.lower())})\b", turn.plain)
        ):
            return (
                ""
                if turn.search(_ON) or turn.search(_END) or turn.search(re.compile(r"\byou\b|^can |^could "))
                else "The story doesn't say, and I don't know. You may decide it."
            )
        return ""

    def _changed(self, turn: Turn, tale: Tale, talk: Talk) -> str:
        """Return how the story takes up a wish, "" for no wish; a new hero is noted."""
        mood = next((name for name, (when, _) in self._moods.items() if turn.search(when)), "")
        if mood == "scarier" and (self._gentle or turn.search(self._moods["gentler"][0])):
            mood = "gentler"
        if mood:
            return talk.line(
                f"mood.{mood}", self._moods[mood][1], short=tale.hero[1], Short=_capital(tale.hero[1])
            )
        if found := turn.search(_NAMED):
            what = found["what"] or found["be"] or ""
            name = (
                found["name"]
                or found["own"]
                or found["called"]
                or found["calls"]
                or ("" if what.startswith(("a ", "an ")) else what)
            )
            hero = _named(what if what.startswith(("a ", "an ")) else "", name)
            talk.note(tale=replace(tale, hero=hero))
            return f"Gladly: from now on the hero is {hero[0]}."
        does = re.compile(_DOES.pattern.replace("{hero}", re.escape(tale.hero[1].lower())))
        if found := turn.search(does):
            return (
                f"So {tale.hero[1]} made up {_possessive(tale)} mind to "
                f"{(found['do'] or found['let']).strip()}, and before long it was so."
            )
        if found := turn.search(_ADDED):
            what = found["what"]
            return (
                f"Just then {what} came along. {_capital(tale.hero[1])} was surprised, but soon they were "
                f"friends, and they went on together."
            )
        if (
            tale.asked
            and not turn.question
            and turn.words > 1
            and not turn.search(_ON)
            and not turn.search(_YES)
            and not turn.search(_DISLIKED)
        ):
            return f"And so it was, just as you say: {lower_first(turn.text.strip(' .!'))}."
        return ""

    def _begin(
        self, turn: Turn, talk: Talk, wish: str = "", wished: tuple[str, str] | None = None
    ) -> Reply | None:
        """Begin a story that was not told yet, about the hero that the turn names or that was `wished`."""
        before = talk.state.tale
        told = before.told if before else ()
        fresh = [k for k in range(len(self._stories)) if k not in told] or [*range(len(self._stories))]
        hero = wished or _hero(turn.text)
        fitting = [k for k in fresh if self._stories[k].when.pattern != "."]
        place = next((k for k in fitting if self._stories[k].when.search(turn.plain)), None)
        if place is None:
            place = next((k for k in fresh if hero is None or self._stories[k].when.pattern == "."), fresh[0])
        story = self._stories[place]
        # "a story about the sea" names the story's place and not its hero
        if (
            hero
            and hero[0] == hero[1]
            and hero[0].startswith("the ")
            and story.when.pattern != "."
            and story.when.search(hero[0])
        ):
            hero = None
        tale = Tale(place, hero or story.hero, told=(*told, place)[-len(self._stories) :])
        lead = (
            "I'm sorry. Here is another one."
            if before and re.search(r"\bsame|already|before\b", turn.plain)
            else ""
        )
        if wish:
            first = self._continued(tale, talk, "Then listen to this one.")
            return Reply(
                (*first.sentences[:-1], *(reply(wish) or first).sentences, first.sentences[-1]),
                first.computed,
            )
        return self._continued(tale, talk, lead)

    def _continued(self, tale: Tale, talk: Talk, lead: str = "", rest: bool = False) -> Reply:
        """Return the next lines of the story, after `lead`, and ask the listener on."""
        story = self._stories[tale.story]
        end = len(story.lines) if rest else tale.lines + (_LINES if tale.lines else _FIRST_LINES)
        lines = story.lines[max(tale.lines, end - _LINES) if rest else tale.lines : end]
        if len(story.lines) - end == 1:
            lines, end = (*lines, story.lines[end]), end + 1
        long, short = tale.hero
        said = [line.format(hero=long, short=short, Short=_capital(short)) for line in lines]
        talk.note(tale=replace(tale, lines=min(end, len(story.lines)), asked=end < len(story.lines)))
        if end < len(story.lines):
            said.append(talk.line("tale.on", _QUESTION, short=short))
        # the story's own sentences must not be split anew
        begin = [*(reply(lead) or Reply(())).sentences] if lead else []
        known = frozenset().union(*(figures(line) for line in said))
        return Reply((*begin, *(Sentence(_capital(line)) for line in said)), known)


def _offered(talk: Talk) -> bool:
    last = talk.memory.last_reply
    return bool(last) and re.search(r"\b(?:story|tale)\b[^?]*\?$", last[-1].text) is not None


def _hero(text: str) -> tuple[str, str] | None:
    """Return how to introduce and then call the hero that the user asked for, None for no hero."""
    match = _HERO.search(text.strip())
    if not match:
        return None
    name = match["name"] or match["late"] or match["only"]
    what = re.sub(r"^(my|your) ", "a ", (match["what"] or match["bare"] or "").strip())
    if re.fullmatch(r"(?:a|an|the|my)? ?(?:story|tale|another one)", what) or (
        name and name.lower() in ("a", "an", "the")
    ):
        return None
    return _named(what, name or "")


def _named(what: str, name: str) -> tuple[str, str]:
    name = _capital(name)
    if name:
        return (f"{what} called {name}" if what else name), name
    return what, re.sub(r"^an? ", "the ", what)


def _possessive(tale: Tale) -> str:
    if re.search(r"\b(?:girl|woman|queen|princess|witch|mother|sister)\b", tale.hero[0]) or tale.hero[1] in (
        "Mira",
        "Hazel",
        "Noor",
    ):
        return "her"
    return (
        "his"
        if re.search(r"\b(?:boy|man|king|prince|wizard|father|brother|knight)\b", tale.hero[0])
        else "their"
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


@cache
def _load() -> tuple[tuple[Story, ...], dict[str, tuple[re.Pattern[str], tuple[str, ...]]]]:
    raw = load_yaml(TALES_FILE)
    stories = tuple(
        Story(s["title"], re.compile(s["when"]), tuple(s["hero"]), tuple(s["lines"])) for s in raw["stories"]
    )
    # what fits every wish comes last
    stories = tuple(sorted(stories, key=lambda story: story.when.pattern == "."))
    return stories, {
        name: (re.compile(each["when"]), tuple(each["say"])) for name, each in raw["moods"].items()
    }
