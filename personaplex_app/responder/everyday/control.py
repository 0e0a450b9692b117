"""Talking about the talk itself: repeat, rephrase, shorten, sum up, say why, do again."""

from __future__ import annotations

import re

from ..lexicon import WEEK
from ..memory import Sentence
from ..phrasing import lower_first, second_person
from .contract import Reply, Skill, Talk, listed, reply
from .statements import apologise
from .turn import Turn

_AGAIN = re.compile(
    r"^(?:again|once again|once more|one more(?: time)?|another(?: one)?|do (?:it|that) again|(?:roll|flip"
    r"|toss|throw|draw|pick) (?:it )?again|more|something else|a different one|tell me another(?: one)?"
    r"|(?:(?:do you )?have|(?:have you )?got|know) another(?: one)?|next(?: one)?)$"
)
_AGAIN_SOON = re.compile(
    r"\b(?:see you|meet again|be back|come (?:back|by|again)|drop by|return|speak|talk|until"
    r"|till)\b(?: to you| again)?"
    rf" (?P<when>(?:on |next |this )?(?:{'|'.join(WEEK)})(?: then)?|tomorrow|tonight|soon|then|later|next"
    rf" (?:week|time|month)"
    r"|at the weekend|in a (?:bit|while))\b"
)
_NIGHT = re.compile(
    r"\b(?:good ?night|night night|sleep well|(?:go(?:ing)? to|off to|to) (?:bed|sleep)|get some sleep)\b"
)
_WISH = re.compile(
    r"\bwish me (?:a )?(?P<wish>[\w ]+?)$"
    r"|\bsay (?P<what>hi|hello|happy birthday|good night) to my (?P<whom>[\w ]+?)$"
)
# statements about the talk itself, which are nothing to sum up
_ABOUT_US = re.compile(r"(?i)\b(?:I|me|you (?:don't|do not) (?:know|understand)|you mean)\b")
_TWO = re.compile(
    r"\b(?:decide|choose|choosing|deciding|torn|choice|pick|hesitating) between (?P<one>[\w' ]{2,40}?) (?:and"
    r"|or) (?P<two>[\w' ]{2,40})$"
    r"|^should i (?P<do>[\w' ]{2,40}?),? or (?:should i )?(?P<other>[\w' ]{2,40})$"
)
# a plainer word for a word of the notes
_PLAINER = (
    (r"\bcosts\b", "comes to"),
    (r"\bis open\b", "can be visited"),
    (r"\bmust be\b", "has to be"),
    (r"\bmust\b", "have to"),
    (r"\bcannot\b|\bcan't\b", "am not able to"),
    (r"\bare not allowed\b", "are forbidden"),
    (r"\bis optional\b", "is up to you"),
    (r"\btakes\b", "needs"),
    (r"\barrives\b", "comes"),
    (r"\bare free\b", "cost nothing"),
    (r"\bis free\b", "costs nothing"),
    (r"\bcontains\b", "has in it"),
    (r"\bunless\b", "except when"),
    (r"\btherefore\b", "for that reason"),
    (r"\bwithin\b", "in no more than"),
    (r"\bevery other\b", "every second"),
    (r"\bup to\b", "at most"),
)


# a word that no sentence ends with, or a comma
_BROKEN_OFF = re.compile(
    r"(?i)(?:\b(?:the|an?|my|your|our|their|and|or|but|because|if|whether|than|um+|uh|er|until|every"
    r"|i mean)[,.… -]*|,|\.\.\.|…)$"
)
_LEAST_BEGUN = 4
# similarity from which something that was told is what the user asks back
_TOLD_ALIKE = 0.25
_TEACHING = frozenset(("language", "lesson", "tutor", "teacher"))


def unfinished(turn: Turn, talk: Talk) -> Reply | None:
    """Let the user go on who broke off in the middle of a sentence."""
    if turn.words < _LEAST_BEGUN or not _BROKEN_OFF.search(turn.text):
        return None
    return reply(
        talk.line("unfinished", ("Yes? Go on, I'm listening.", "Take your time. How does it go on?"))
    )


def weigh(turn: Turn, talk: Talk) -> Reply | None:
    """Weigh two things that the user names in one sentence."""
    found = turn.search(_TWO)
    return _weighed(found, talk) if found else None


def _repeat(_: Turn, talk: Talk) -> Reply | None:
    last = _told(talk)
    if not last:
        return reply("I haven't said anything yet. How can I help?")
    return Reply(tuple(last))


def _told(talk: Talk) -> list[Sentence]:
    """Return the last reply without what the character put before it."""
    last = talk.memory.last_reply
    return last[1:] if len(last) > 1 and last[0].opener else last


def _shorter(_: Turn, talk: Talk) -> Reply | None:
    said = _statements_of(talk)
    if not said:
        return reply("Gladly. What shall I answer?")
    return reply(f"In short: {lower_first(_shortened(said[0]))}")


def _longer(_: Turn, talk: Talk) -> Reply | None:
    lines = ("Gladly. {next_fact}", "That's all I know about it. What in particular would you like to know?")
    return reply(talk.line("longer", lines))


def _asked(_: Turn, talk: Talk) -> Reply | None:
    lines = ("You asked me: {asked_before}.", "Your last question was: {asked_before}.")
    nothing = ("You haven't asked me anything yet. What would you like to know?",)
    return reply(talk.line("asked", lines) or talk.line("asked.nothing", nothing))


def _asked_back(turn: Turn, talk: Talk) -> Reply | None:
    """Say back what the user asked about the thing that they name."""
    asked = talk.memory.questions
    if not asked:
        return _asked(turn, talk)
    best = int(talk.likeness(turn.text, asked).argmax())
    return reply(f"You asked me: {_question(asked[best])}.")


def _told_back(turn: Turn, talk: Talk) -> Reply | None:
    """Say back what the user told of the thing that they name, or what they told last."""
    told = talk.memory.statements
    if not told:
        return _asked(turn, talk)
    likeness = talk.likeness(second_person(turn.text), told)
    best = int(likeness.argmax()) if likeness.max() >= _TOLD_ALIKE else -1
    return reply(f"You told me that {lower_first(told[best])}.")


def _asked_first(_: Turn, talk: Talk) -> Reply | None:
    questions = talk.memory.questions
    if not questions:
        return reply("You haven't asked me anything yet. What would you like to know?")
    return reply(f"The first thing you asked me was: {_question(questions[0])}.")


def _said(_: Turn, talk: Talk) -> Reply | None:
    said = " ".join(each.text for each in _told(talk))
    return reply(f"I said: {said}" if said else "I haven't said anything yet. How can I help?")


def _duration(_: Turn, talk: Talk) -> Reply | None:
    minutes = round((talk.clock() - talk.role.began).total_seconds() / 60)
    if not minutes:
        return reply("Less than a minute so far, so we have only just begun.")
    return reply(f"About {minutes} {'minute' if minutes == 1 else 'minutes'} so far.", True)


def _understood(_: Turn, talk: Talk) -> Reply | None:
    if not talk.memory.statements:
        return reply("I think so. Tell me if I get something wrong.")
    return reply(f"I think so: {lower_first(talk.memory.statements[-1])}. Did I get that right?")


def _how_many(_: Turn, talk: Talk) -> Reply | None:
    count = len(talk.memory.questions)
    return reply(f"{count or 'None'} so far, as far as I noted them.".capitalize(), True)


def _told_name(_: Turn, talk: Talk) -> Reply | None:
    name = talk.memory.user_name
    return reply(f"Yes, you are {name}." if name else "Not yet, as far as I remember. What is your name?")


def _note_it(_: Turn, talk: Talk) -> Reply | None:
    if not talk.memory.statements:
        return reply("Gladly, for as long as we talk. What shall I note?")
    return reply(f"Noted, for as long as we talk: {lower_first(talk.memory.statements[-1])}.")


def _wish(turn: Turn, talk: Talk) -> Reply | None:
    """Say what the user wants to be wished, or greet whom they name."""
    found = turn.search(_WISH)
    if not found:
        return None
    if found["whom"]:
        return reply(f"{found['what'].capitalize()} to your {found['whom']}, with all my heart!")
    return reply(
        f"{found['wish'].capitalize()} to you{talk.memory.user_name and ', '}{talk.memory.user_name}!"
    )


def _story(_: Turn, talk: Talk) -> Reply | None:
    return reply(talk.slot("story") or "")


def _why(turn: Turn, talk: Talk) -> Reply | None:
    """Say why the last reply was said."""
    last = [each.text for each in _told(talk)]
    if not last:
        return None
    if last[-1].endswith("?") and not re.search(r"\b(?:know|say|said|sure|tell|telling)\b", turn.bare):
        lines = ("I ask so that I understand what matters to you. {last}",)
        return reply(talk.line("why", lines, last=last[-1]))
    facts = any(each.facts for each in talk.memory.last_reply)
    if facts and talk.memory.questions:
        question = _question(talk.memory.questions[-1])
        return reply(f"Because you asked me: {question}. What I said is what my notes say about it.")
    if facts:
        return reply("Because that is what my notes say, and it seemed to be about what you said.")
    return reply("Because it seemed to fit what you said. If it didn't, tell me what you meant.")


def _weighed(found: re.Match[str], talk: Talk) -> Reply | None:
    """Weigh two things that the user names in one sentence."""
    if talk.role.style not in ("assistant", "casual", "plain", "teacher"):
        return None
    one, two = found["one"] or found["do"], found["two"] or found["other"]
    if re.match(r"(?:two|2|them|these|those)\b", one):
        return None
    talk.memory.stage = "choosing"
    lines = (
        "{one} or {two}: which of them would you miss more if it were gone?",
        "What speaks for {low}, and what for {two}?",
    )
    cap = second_person(one)
    return reply(talk.line("weighed", lines, one=cap[:1].upper() + cap[1:], low=cap, two=second_person(two)))


def _statements_of(talk: Talk) -> list[str]:
    """Return the sentences of the last reply that say something: no questions, no leads."""
    last = [each.text for each in _told(talk)]
    lead = re.compile(r"^(?:I'm not sure my notes|This may not be|As I said,|In other words|In short)")
    return [text for text in last if not text.endswith("?") and not lead.match(text)] or last


def _rephrased(_: Turn, talk: Talk) -> Reply | None:
    said = _statements_of(talk)[:3]
    if not said:
        return reply("I haven't said anything yet. How can I help?")
    text = " ".join(said)
    for pattern, plainer in _PLAINER:
        text = re.sub(pattern, plainer, text)
    return reply(f"Let me put it differently: {lower_first(text)} Which part shall I explain?")


def _shortened(text: str) -> str:
    return (
        re.split(r"(?<=\w{3}),? (?:and|because|which|so that|but) (?=\w+ )|;|: ", text)[0].rstrip(".,;:")
        + "."
    )


def _summary(_: Turn, talk: Talk) -> Reply | None:
    memory = talk.memory
    parts = []
    if memory.user_name:
        parts.append(f"Your name is {memory.user_name}.")
    parts += [f"I have {each}." for each in talk.taken_down()]
    # the latest few, without those that only say what was asked for
    told = [each for each in dict.fromkeys(memory.statements) if not _ABOUT_US.search(each)][-5:]
    if told:
        parts.append(f"You told me that {listed([lower_first(each) for each in told])}.")
    # a lesson is what the teacher said
    if talk.role.style in _TEACHING and memory.told_facts:
        facts = [talk.role.brief.facts[k].text for k in sorted(memory.told_facts)[-3:]]
        parts.append(f"We had this: {' '.join(facts)}")
    elif memory.questions and len(told) < 2:
        parts.append(f"You asked me: {listed([_question(each) for each in memory.questions[-3:]])}.")
    return reply(
        f"So far: {' '.join(parts)}" if parts else "We have only just begun: there is nothing to sum up yet.",
        computed=True,
    )


def _question(text: str) -> str:
    return lower_first(re.sub(r"(?i)^(?:and|so|but|ok|okay|well),? ", "", text).rstrip(" ?.!"))


def repeats(turn: Turn, talk: Talk) -> str:
    """Return the request that "another one" asks for once more, "" for none."""
    return talk.state.repeatable if turn.search(_AGAIN) else ""


def _goodbye(turn: Turn, talk: Talk) -> Reply | None:
    """Part from the user by their name, with their own "see you on Friday" or "good night"."""
    # in a lesson it may be the phrase that is practised
    last = " ".join(each.text for each in talk.memory.last_reply).lower()
    if talk.role.style == "language" and turn.bare in last:
        return None
    name = talk.memory.user_name and f", {talk.memory.user_name}"
    if found := turn.search(_AGAIN_SOON):
        when = re.sub("|".join(WEEK), lambda day: day[0].capitalize(), found["when"])
        return reply(f"See you {when}{name}. Goodbye, and take care.")
    if turn.search(_NIGHT):
        return reply(f"Good night{name}, and sleep well.")
    lines = (
        "Goodbye{name}. It was nice talking with you.",
        "Take care{name}. Goodbye.",
        "Bye{name}, all the best.",
    )
    return reply(talk.line("goodbye", tuple(line.replace("{name}", name) for line in lines)))


# what an intent may do in place of saying a line
ABOUT_THE_TALK: dict[str, Skill] = {
    "repeat": _repeat,
    "rephrase": _rephrased,
    "shorter": _shorter,
    "longer": _longer,
    "asked": _asked,
    "asked_first": _asked_first,
    "told_back": _told_back,
    "asked_back": _asked_back,
    "said": _said,
    "how_many": _how_many,
    "told_name": _told_name,
    "why_said": _why,
    "duration": _duration,
    "summary": _summary,
    "understood": _understood,
    "note_it": _note_it,
    "wish": _wish,
    "story": _story,
    "goodbye": _goodbye,
    "problem": apologise,
}
