"""Talking about the talk itself: rephrase, shorten, sum up, do again, correct what was noted."""

from __future__ import annotations

import re

from ..numbers import word_list
from ..phrasing import lower_first, second_person
from .contract import Reply, Talk, listed, reply
from .turn import Turn

_REPHRASE = re.compile(
    r"\b(?:rephrase|reword|paraphrase|in other words|put (?:it|that) (?:differently|another way"
    r"|in simpler words|more simply)"
    r"|say (?:it|that) (?:differently|another way|in other words|in simpler words|more simply)|explain (?:it"
    r"|that|this) (?:differently|again|more simply|in simple words)"
    r"|what do you mean|what does that mean|what is that supposed to mean|i (?:do not|did not) (?:understand"
    r"|get (?:it|that|you)|follow)|simpler(?: please)?$|make it simpler|i am confused|too complicated)\b"
)
_SHORTER = re.compile(
    r"^(?:make (?:it|that)|keep (?:it|that)|say (?:it|that)|be|a (?:bit|little)|give me (?:it )?"
    r"|put it)? ?(?:a (?:bit|little) )?(?:shorter|short|briefer|brief|more briefly|in short|the short version"
    r"|in (?:a|one) (?:few words|word|sentence))(?: version)?$"
    r"|^(?:long story short|cut it short|get to the point|too long|that (?:is|was) too (?:long|much)(?: text"
    r"| information)?|in a nutshell|you talk too much|less words|fewer words)$"
)
_SUMMARY = re.compile(
    r"\b(?:sum (?:it |that |this |everything )?up|summari[sz]e|summary|recap|(?:go|run) (?:over"
    r"|through) (?:it|everything|that) again)\b"
    r"|\bwhat (?:have|did) we (?:talk|talked|discuss|discussed|say|said|agree|agreed|cover|covered)\b"
    r"|\bwhat (?:do|did) you (?:know|remember|note|noted|write down|have) (?:about me|so far|down|of me"
    r"|of what i said)\b"
    r"|\bwhat (?:is|was) (?:on )?my (?:plan|list|notes|schedule|day)(?: now| so far| again| look like)?$"
    r"|^(?:read|say) (?:me )?(?:my|the) (?:plan|list|notes)(?: back)?|\bwhat have i told you\b|\bread (?:it"
    r"|that|everything) back\b"
)
_AGAIN = re.compile(
    r"^(?:again|once again|once more|one more(?: time)?|another(?: one)?|do (?:it|that) again|(?:roll|flip"
    r"|toss|throw|draw|pick) (?:it )?again|more|something else|a different one|tell me another(?: one)?"
    r"|(?:do you )?have another(?: one)?|next(?: one)?)$"
)
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
    r"^not (?:at |on |for )?(?P<wrong>[\w:' -]{1,40}?)(?:,| but| rather)+ (?:i (?:mean|meant|said) |at |on "
    r"|for )?(?P<right>[\w:' -]{1,40})$"
)
# statements about the talk itself, which are nothing to sum up
_ABOUT_US = re.compile(r"(?i)\b(?:I|me|you (?:don't|do not) (?:know|understand)|you mean|you love)\b")
_WHY = re.compile(r"^(?:why|why(?: is that| so| not| do you ask(?: that)?)|how come|for what reason)$")
_TWO = re.compile(
    r"\b(?:decide|choose|choosing|deciding|torn|choice|pick|hesitating) between (?P<one>[\w' ]{2,40}?) (?:and"
    r"|or) (?P<two>[\w' ]{2,40})$"
    r"|^should i (?P<do>[\w' ]{2,40}?),? or (?:should i )?(?P<other>[\w' ]{2,40})$"
)
# roles in which "why?" is said to the part that is played
_PLAYED = frozenset(("angry", "demo", "mission", "service", "briefing", "lesson"))
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


def control(turn: Turn, talk: Talk) -> Reply | None:
    """Rephrase, shorten or sum up."""
    if turn.words <= 10 and turn.search(_REPHRASE):
        return _rephrased(talk)
    if turn.search(_SHORTER):
        said = _statements_of(talk)
        return (
            reply(f"In short: {lower_first(_shortened(said[0]))}")
            if said
            else reply("Gladly. What shall I answer?")
        )
    if turn.search(_WHY):
        return _why(talk)
    if found := turn.search(_TWO):
        return _weighed(found, talk)
    if turn.words <= 14 and turn.search(_SUMMARY):
        return _summary(talk)
    return None


def _why(talk: Talk) -> Reply | None:
    """Say why the last question was asked; a fact has no reason but what the notes say."""
    last = [each.text for each in talk.memory.last_reply]
    if talk.role.style in _PLAYED or not last or not last[-1].endswith("?"):
        return None
    return reply(talk.line("why", ("I ask so that I understand what matters to you. {last}",), last=last[-1]))


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
    last = [each.text for each in talk.memory.last_reply]
    lead = re.compile(r"^(?:I'm not sure my notes|This may not be|As I said,|In other words|In short)")
    return [text for text in last if not text.endswith("?") and not lead.match(text)] or last


def _rephrased(talk: Talk) -> Reply | None:
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


def _summary(talk: Talk) -> Reply | None:
    memory = talk.memory
    parts = []
    if memory.user_name:
        parts.append(f"Your name is {memory.user_name}.")
    # the latest few, without those that only say what was asked for
    told = [each for each in dict.fromkeys(memory.statements) if not _ABOUT_US.search(each)][-5:]
    if told:
        parts.append(f"You told me that {listed([lower_first(each) for each in told])}.")
    questions = [
        re.sub(r"(?i)^(?:and|so|but|ok|okay|well),? ", "", q).rstrip(" ?.!") for q in memory.questions[-3:]
    ]
    if questions and not told:
        parts.append(f"You asked me: {listed([lower_first(q) for q in questions])}.")
    return reply(
        f"So far: {' '.join(parts)}" if parts else "We have only just begun: there is nothing to sum up yet."
    )


def repeats(turn: Turn, talk: Talk) -> str:
    """Return the request that "another one" asks for once more, "" for none."""
    return talk.state.repeatable if turn.search(_AGAIN) else ""


def correct(turn: Turn, talk: Talk) -> Reply | None:
    """Change a statement that was noted: "eleven, not ten"."""
    found = next((m for p in (_SWAP, _SWAP_BACK) for f in turn.forms if (m := p.match(f))), None)
    if not found or turn.question:
        return None
    statements = talk.memory.statements
    for k in range(len(statements) - 1, -1, -1):
        changed, count = re.subn(rf"(?i)\b{re.escape(found['wrong'])}\b", found["right"], statements[k])
        if count:
            talk.memory.statements = [*statements[:k], changed, *statements[k + 1 :]]
            return reply(f"All right, I've changed that: {lower_first(changed)}.")
    said = second_person(f"{found['right']}, not {found['wrong']}")
    return reply(f"Understood: {said}.")
