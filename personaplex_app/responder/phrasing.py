"""Reword sentences: a prompt's "you" becomes the agent's "I", a user's "my" becomes "your".

Pure functions of text.
"""

from __future__ import annotations

import re

from ..speech.spoken_form import speakable
from .numbers import word_list

# "Parking not available"
_FRAGMENT = re.compile(
    r"(?i)^(?P<subject>[^,:]+?)\s(?P<rest>(?:not"
    r" )?(?:available|included|required|free|located|closed|optional|possible|sold|allowed)\b.*)$"
)
_VERB = re.compile(
    r"(?i)\b(?:is|are|was|were|am|be|been|has|have|had|do|does|did|can|cannot|can't|could|will"
    r"|would|must|may|might|should|isn't|aren't|don't|doesn't|won't"
    r"|costs?|takes?|opens?|closes?|starts?|ends?|runs?|needs?|arrives?|includes?|contains?"
    r"|comes?|goes|go|lasts?|remains?|accepts?|offers?|sells?|serves?"
    r"|works?|lives?|likes?|loves?|means?|expands?|floats?|got|get|gets|want|wants|bought"
    r"|moved|grew|bake|miss|called|help|teach|give|care|tell|pause|answer"
    r"|own|use|plan|speak|rent|collects?|delivers?|provides?|flies|weighs?|requires?|charge"
    r"|charges|survive|stays?|reopens?|leaves?|departs?|pays?|sees?"
    r"|talk|end|cuts?|fix|fixes|repairs?|sells?|rents?|i'm|we're|it's|there's)\b"
)
_BEFORE_SUBJECT = frozenset(
    word_list("""and but if when that because what how so where while which than or as whether until
    before after since""")
)
_ADVERBS = frozenset(
    word_list("""today now then usually sometimes often currently
    once here always""")
)
# "we rent city bikes" names city bikes
OFFERED = (
    r"(?:we|you|i) (?:also |only )?(?:rent|sell|offer|have|do|repair|cut|serve|charge|make|fix)(?: out)?"
)
# what stands in quotation marks, or is said of everybody, is spoken as it is
_QUOTED = re.compile(
    r"(\"[^\"]*\"|“[^”]*”|(?i:\bthank you\b|\bhow are you\b|\b(?:if|unless|once|until|while|before"
    r"|when) you (?!are\b)\w+"
    r"|\band you (?:wait|get|pay|need|have to|must)\b))"
)
_TO_PERSON = {
    "i": "you", "me": "you", "my": "your", "mine": "yours", "myself": "yourself",
    "i'm": "you're", "i've": "you've", "i'd": "you'd", "i'll": "you'll",
    "am": "are", "was": "were", "we": "you", "our": "your", "us": "you", "we're": "you're", "we've": "you've",
    "you": "I", "your": "my", "yours": "mine", "you're": "I'm",
}  # fmt: skip
# after "you", which becomes "I"
_AFTER_YOU = {"are": "am", "were": "was"}
_BEFORE_OBJECT = frozenset(
    word_list("""thank thanks love loved like liked see saw leave left tell told ask asked call called
    give gave bring brought help helped hear heard know need miss missed trust believe for to with about
    from of on at by show showed send sent wish hate meet met hugging hug""")
)


def sentence(text: str) -> str:
    """Return `text` as one sentence to speak: figures in words, a capital first, a full stop last."""
    text = speakable(text).strip(" ,;")
    if text and text[-1] not in ".!?":
        text += "."
    return text[:1].upper() + text[1:]


def first_person(text: str, serving: bool = True) -> str:
    """Return a prompt's sentence in the agent's first person; fragments become sentences, quotations stay.

    `serving`: the agent works for a company, so that "the customer" is the user and becomes "you".
    """
    if serving and re.match(
        r"(?i)(?:please"
        r" )?(?:pay|bring|park|call|return|leave|take|show|present|scan|press|send|wait|check|use) ",
        text,
    ):
        return text
    text = _completed(text)
    text = re.sub(r"(?i)^(?:do not|don't|never) (?=[a-z])", "I can't ", text)
    text = re.sub(r"(?i)^offer ", "I can offer ", text)
    text = re.sub(
        r"(?i)^(sell|serve|repair|rent|deliver|teach) (?=\w)", lambda m: f"We {m[1].lower()} ", text
    )
    if serving:
        text = re.sub(
            r"(?i)\b(?:the|a) (?:customer|caller|guest|user) (is|has|needs|wants)\b",
            lambda m: "the customer " + _plural(m[1].lower()),
            text,
        )
    # "we lend you a car": whoever speaks of "we" speaks to the user
    if re.search(r"(?i)^(?!you)(?:.*\b)?(?:we|us)\b", text):
        return text
    parts = _QUOTED.split(text)
    # split by a pattern with a group: the odd parts are quotations and stay
    parts[::2] = [
        re.sub(r"(?i)\b(you are|you're|you were|you have|yourself|yours|your|you)\b", _swap, part)
        for part in parts[::2]
    ]
    text = "".join(parts)
    return (
        re.sub(r"(?i)\b(?:the|a) (?:customer|caller|guest)\b(?! \w+s\b)|^customers\b", "you", text)
        if serving
        else text
    )


def has_verb(text: str) -> bool:
    """Return whether `text` contains a verb, and so is more than a label."""
    return bool(_VERB.search(text))


def before_verb(text: str) -> str:
    """Return the words before the verb, the subject; "" for none, or more than eight words."""
    verb = _VERB.search(text)
    subject = text[: verb.start()].strip(" ,") if verb else ""
    return subject if len(subject.split()) <= 8 else ""


def lower_first(text: str) -> str:
    """Return `text` with its first letter lowered, unless it is "I" or looks like a name."""
    first, *more = re.findall(r"[\w'-]+", text)[:2] or [""]
    article = first.lower() in ("the", "a", "an", "our", "your", "my", "this", "these")
    name = (
        first in ("I", "I'm", "I've", "I'll")
        or first[1:] != first[1:].lower()
        or (not article and more and more[0][:1].isupper())
    )
    return text if name else text[:1].lower() + text[1:]


def second_person(text: str) -> str:
    """Return a user's statement in the second person: "I like my cat" becomes "you like your cat"."""
    words = re.split(r"(\W+(?<!'))", text.strip(" .!?,"))
    turned = []
    before = ""
    for word in words:
        plain = word.lower().replace("’", "'")
        other = _TO_PERSON.get(plain)
        # "I was" becomes "you were", but "my week was" stays
        if plain in ("was", "am") and before not in ("i", ""):
            other = None
        # "you are" becomes "I am", and "thank you" "thank me"
        if before == "you" and plain in _AFTER_YOU:
            other = _AFTER_YOU[plain]
        if plain == "you" and {before, before.removesuffix("ing")} & _BEFORE_OBJECT:
            other = "me"
        turned.append(other or word)
        before = plain if plain.strip(" ,.") else before
    return "".join(turned)


def _plural(verb: str) -> str:
    return {"is": "are", "has": "have", "needs": "need", "wants": "want"}[verb]


def _swap(match: re.Match[str]) -> str:
    word = match[0].lower()
    if word in ("you are", "you're"):
        return "I'm"
    if word in ("you have", "you were"):
        return {"you have": "I have", "you were": "I was"}[word]
    if word in ("your", "yours", "yourself"):
        return {"your": "my", "yours": "mine", "yourself": "myself"}[word]
    before = re.findall(r"[\w']+|[,;:]", match.string[: match.start()])
    subject = not before or before[-1] in ",;:" or before[-1].lower() in _BEFORE_SUBJECT | _ADVERBS
    return "I" if subject else "me"


def _completed(text: str) -> str:
    """Give a fragment its verb: "Open Monday" becomes "We're open …", "No refunds" "There are no refunds"."""
    head = text.split(" ")[0].lower()
    if head in ("open", "closed"):
        return f"We're {head}{text[len(head) :]}"
    if head == "no" and not _VERB.search(text):
        return f"There are no{text[2:]}" if re.match(r"(?i)no (?:\w+ ){0,2}?\w+s\b", text) else text
    if _VERB.search(text):
        return text
    if fragment := _FRAGMENT.match(text):
        be = "are" if re.search(r"[^su]s$", fragment["subject"]) else "is"
        return f"{fragment['subject']} {be} {fragment['rest']}"
    if re.search(r"(?<!\S)[$€£]\s?\d", text) and (
        price := re.match(
            rf"(?!{OFFERED})(?P<item>[^$€£]+?)\s+(?:at |for |- )?(?P<value>[$€£].*)$", text, re.I
        )
    ):
        return f"{price['item']} is {price['value']}"
    return text
