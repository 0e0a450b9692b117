"""Parse a role prompt into who the agent is and the facts it knows, worded in the first person."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from .numbers import figures, word_list
from .phrasing import OFFERED, before_verb, first_person, has_verb, lower_first, sentence
from .sentences import split_sentences

MAX_FACTS = 200
# "You work here, and you like tea" is two facts
_OWN_CLAUSES = re.compile(r",? and (?=you (?!back\b|and\b)\w+)|, (?=you (?!and\b)\w+)")
# sentences about what the agent does in the talk, which are no information for the user
_BEHAVIOUR = re.compile(
    r"(?i)\byou (?:always |often |then )?(?:ask|answer|keep|explain|tell|give|pause|run|play"
    r" short|help|teach|praise|calm|speak"
    r"|care|correct|talk|greet|call (?:people|every|users|callers|guests|customers|them)"
    r"|address|end (?:every|each)|like it when|like hearing|like to hear"
    r"|are (?:(?:very|a bit|quite|always|often) )?(?:tense|upset|friendly|patient|curious"
    r"|polite|cheerful|chatty|kind|warm|calm"
    r"|funny|blunt|strict|stern|grumpy|rude|sarcastic|enthusiastic|gentle|shy|proud|short"
    r"|brief|helpful|witty))\b"
)
# "Information: …"
_HEADING = re.compile(r"^(?:information|info|details|facts|notes|context|background)\s*:\s*", re.I)
_INNER_STOP = "\u2024"
_NAME = (
    rf"((?:(?:Dr|Mr|Mrs|Ms|Prof|Captain|Professor){_INNER_STOP}? )?[A-Z][\w'’-]*(?: [A-Z][\w'’-]*){{0,3}})"
)
_BEING = r"(?:You are|You're|I am|I'm|Act as|Play|Pretend to be|Be)"
_NAMES = tuple(
    re.compile(p)
    for p in (
        # "Your name is Ida", "You are called Ida"
        rf"(?i:your name is|you are called|you're called|you are named|they call you|my name is)\s+{_NAME}",
        # "You are Ida, …"
        rf"(?m)^{_BEING} {_NAME}(?=[,.]| and\b| from\b| at\b| of\b| the\b|$)",
        # "The Stem is a flower shop and you are Lotte"
        rf"(?m)(?: and|,) (?:you are|you're) {_NAME}(?=[,.]|$)",
        # "You are a loving grandmother called Nana Rose"
        rf"(?m)^{_BEING} (?:an?|the|my) [^.;]*? (?:called|named) {_NAME}",
        # "Librarian named Theo at Oakfield Library"
        rf"(?m)^[A-Z][a-z -]+ (?:called|named) {_NAME}",
        # "You are the famous detective Sherlock Holmes."
        rf"(?m)^{_BEING} (?:an?|the|my) (?:(?!(?:at|in|of|for|from|on|to|who|with|the)\b)[a-z-]+ )+{_NAME}"
        r"(?=[,.]| and\b| from\b|$)",
    )
)
_COMPANIES = tuple(
    re.compile(p)
    for p in (
        # "You are Pavel at Heel and Sole, a shoe repair shop", "an agent called Luis at Blue Door Travel"
        rf"(?m)^(?:{_BEING} |[^.]*\b(?:called|named) ){_NAME} (?:at|from) (?P<company>(?:the "
        rf")?[A-Z][^,.;:]*?)"
        r"(?:, (?:which is )?(?:an?|the) (?P<kind>[^.;:,]+?))?(?= on [A-Z]| in [A-Z]| at [A-Z\d]|[,.;:]|$)",
        (
            r"(?i:\banswers? (?:the phone|questions|calls) (?:at|for)(?: guests of)?) "
            r"(?P<company>(?:the )?[A-Z][^,.;:]*)(?P<kind>)"
        ),
        # "You work for Swift Parcel, which is a courier"
        r"(?i:\bwork(?:s|ing)? (?:for|at)) (?P<company>[^,.;:]+?)"
        r"(?:,? (?:which|who|that) is (?:an?|the) (?P<kind>[^.;:]+?))?(?= and your name|[,.;:]|$)",
        r"(?i:\b(?:help"
        r" ?desk|desk|receptionist|agent|assistant|support|host|concierge|clerk|representative|manager|"
        r"employee|front"
        r" desk))"
        r" (?i:of|at|for)"
        r" (?P<company>(?:the )?[A-Z][^,.;:]*?)(?:, (?:which is )?(?:an?|the) (?P<kind>[^.;:]+?))?(?= and"
        r" your name|[,.;:]|$)",
    )
)
# "You are a patient teacher."
_ROLE = re.compile(
    r"(?i)\byou are (?P<role>(?:an?|the) [^.;:]+?)(?=,? and your name|[.;:]|,? (?:who|that) |$)"
)
# a name that begins with one of these is said whole
_TITLES = frozenset(
    word_list("""Dr. Mr. Mrs. Ms. Prof. Miss Sir Lady Lord Old Captain Professor Doctor Nurse Sister Brother
    Father Mother Uncle Aunt Auntie Nana Granny Grandma Grandpa King Queen Prince Princess Chef Coach Sergeant
    Colonel Major General Inspector Detective Officer Commander Judge Count Sheriff""")
)
_AGE = re.compile(r"(?i)\b(\d+)[- ]years?[- ]old\b")
# "a shoe repair shop on Mill Street 12"
_ADDRESS = re.compile(
    r"\b(?:on|at|in) (?P<place>(?:\d+[a-z]? )?(?:[A-Z][\w'’-]+ )+(?:Street|St|Road|Rd|Avenue"
    r"|Ave|Lane|Square|Drive|Way|Boulevard"
    r"|Alley|Place)\b(?: \d+)?)"
)
_NO_TOPIC = ("", "you", "there", "we", "i", "it", "they")
_MONEY = r"[$€£]\s?\d[\d.,]*\d|[$€£]\s?\d"
# "pad thai ($13), …"
_IN_BRACKETS = re.compile(r"(?:^|[,:;]|\band\b)\s*(?P<item>[^,:;()]+?)\s*\((?P<value>[^()]*\d[^()]*)\)")
# "starters $7"
_PRICE_LAST = re.compile(
    rf"^(?P<item>[^$€£]+?)\s*(?:\b(?:at|for|is|costs?|are|pays?)\b|:|-)?\s*(?P<value>(?:{_MONEY})\b.*)$"
)
# "$150 for the Mini", "tickets are $9 for adults"
_PRICE_FIRST = re.compile(
    rf"^(?:(?P<of>[A-Za-z][\w' -]*?) (?:is|are|costs?) )?(?P<value>(?:{_MONEY}))\s+(?:for|per)\s+"
    r"(?P<item>(?!person\b|day\b|hour\b|night\b|month\b|week\b|year\b|item\b)[A-Za-z].*)$"
)
# "Crete, seven nights, $690 per person"
_PRICE_OF_NAME = re.compile(
    rf"^(?:.*: )?(?P<item>[A-Z][\w' -]*?),(?P<more>(?:[^,$€£]*,)*) (?P<value>(?:{_MONEY})\b.*)$"
)
# amounts that are written in words; a weight in pounds is none
_WRITTEN_MONEY = (
    (re.compile(r"(?<![\d.,$€£])(\d+(?:[.,]\d+)*) ?(?:euros?|EUR)\b"), r"€\1"),
    (re.compile(r"(?<![\d.,$€£])(\d+(?:[.,]\d+)*) ?(?:dollars?|bucks|USD)\b"), r"$\1"),
    (re.compile(r"(?<![\d.,$€£])(\d+(?:[.,]\d+)*) ?(?:pounds sterling|pounds?|GBP)\b(?! of\b)"), r"£\1"),
)
_LISTED_PRICE = re.compile(
    r"^((?:(?:(?!(?:at|to|until|till|from|by|than|before|after|in|on|about|within|takes?|up|open|line|floor|room)\b)"
    r"[A-Za-z][\w'’-]* ){1,4})?)(\d+(?:\.\d\d?)?)(?=$| (?:for|an?|per|and|each|extra|more)\b)"
)
_WEIGHT = re.compile(r"(?i)\b(?:weigh|weight|heavy|lift|lighter|heavier)")


@dataclass(frozen=True)
class Identity:
    """Who the agent is; a field that is not in the prompt is empty. `kind` is the kind of company."""

    name: str = ""
    company: str = ""
    kind: str = ""
    role: str = ""

    @property
    def first(self) -> str:
        return self.name if self.name.split(" ")[0] in _TITLES else self.name.split(" ")[0]


@dataclass(frozen=True)
class Fact:
    """One thing that the agent knows.

    `text` is ready to be spoken, `source` is the prompt's wording, and `subject` is what the fact is about. A
    fact that is a part of another, such as one price of a list, has that one's index in `whole` and the
    list's heading in `context`. `noted` facts are information; the others say how the agent behaves. `line`
    is the number of the prompt's sentence. `names_role`: the agent's own name is in it.
    """

    text: str
    source: str
    subject: str = ""
    whole: int | None = None
    noted: bool = True
    line: int = 0
    context: str = ""
    names_role: bool = False


@dataclass(frozen=True)
class Brief:
    """The content of a role prompt.

    `asks_for` is what the agent is to ask users for, such as their name; `has_notes`: it gives information
    under a heading, and not only in the description of the agent.
    """

    prompt: str
    identity: Identity
    facts: tuple[Fact, ...]
    asks_for: str = ""
    figures: frozenset[int] = field(default=frozenset(), repr=False)
    has_notes: bool = False


def read_brief(prompt: str) -> Brief:
    """Parse a role prompt. Any text can be parsed; an unusual one yields few facts."""
    facts: list[Fact] = []
    asks_for = about = ""
    identity = _identity(prompt)
    # where a heading announces the information, what comes before it says how to behave
    has_notes = re.search(r"(?i)\binformation\s*:", prompt) is not None
    noted = not has_notes
    for line, raw in _sentences(prompt):
        if _HEADING.match(raw):
            noted = True
            raw = _HEADING.sub("", raw)
        wanted = re.match(
            r"(?i)(?:always |please )?(?:ask (?:\w+ )?for|verify|confirm|get) (?:the |their |a )?"
            r"(?P<what>[^.,;]+?)(?= when | if | before |[.,;]|$)",
            raw,
        )
        if wanted:
            asks_for = asks_for or wanted["what"]
            continue
        if len(facts) < MAX_FACTS and not _is_direction(raw):
            raw = _with_signs(raw)
            # a pronoun at the beginning is replaced by the subject of the sentence before it
            raw = re.sub(
                r"^(?:they|it)\b(?= (?:is|are|can|has|have|costs?|takes?|must|will)\b)",
                lambda m, known=about: known or m[0],
                raw,
                flags=re.I,
            )
            if place := _ADDRESS.search(raw) if not noted or _is_introduction(raw, identity) else None:
                facts.append(Fact(sentence(f"We are at {place['place']}"), raw, "address", None, True, line))
            if (age := _AGE.search(raw)) and _is_introduction(raw, identity):
                facts.append(Fact(sentence(f"I'm {age[1]} years old"), raw, "age", None, True, line))
            told = noted and not _BEHAVIOUR.search(raw) and not _is_introduction(raw, identity)
            facts += _facts(raw, line, len(facts), told, bool(identity.company))
            about = before_verb(raw) if before_verb(raw).lower() not in _NO_TOPIC else ""
    facts = [
        replace(f, names_role=bool(identity.name) and identity.name in f.source and f.subject != "address")
        for f in facts
    ]
    spoken = " ".join(f.text for f in facts)
    return Brief(prompt, identity, tuple(facts), asks_for, figures(prompt) | figures(spoken), has_notes)


def _sentences(prompt: str) -> list[tuple[int, str]]:
    """Return the prompt's sentences, split at semicolons too, each with the number of its sentence."""
    prompt = re.sub(r"(?i)\s*\b(information|details|facts|notes)\s*:\s*", r"\n\1: ", prompt)
    parts = (
        (n, part)
        for n, text in enumerate(split_sentences(prompt))
        for part in re.split(r";\s+", text.strip())
    )
    clauses = (
        (n, clause)
        for n, part in parts
        for clause in (_OWN_CLAUSES.split(part) if part.startswith("You ") else [part])
    )
    return [
        (n, re.sub(r"^[-*•]\s+", "", clause).rstrip(" .;,"))
        for n, clause in clauses
        if re.search(r"\w", clause)
    ]


def _is_direction(text: str) -> bool:
    """Return whether a sentence says how to behave, or only who the agent is; it is not a fact to state."""
    return bool(
        re.match(
            r"(?i)(the user is|the student is|be |always |keep |speak |talk |act |stay |respond |answer "
            r"|use |avoid |greet |remember |make sure|if asked|say |shout |end (?:every|each|your)"
            r"|(?:begin|start) (?:every|each|your)|(?:never|do not|don't) (?:talk|speak|say|give|tell"
            r"|mention|discuss|use|break"
            r"|ask|apologi|admit|reveal|be)|describe |tell (?:\w+ )?(?:bedtime )?stories|call (?:me"
            r"|the user|people|every)|address )",
            text,
        )
        or re.match(
            r"(?i)you enjoy having a good conversation|(have|hold) an? [\w ]*(talk|conversation|chat)\b", text
        )
        or re.match(r"(?i)(you (work|are|teach)\b.*)?your name is [^,;]+$", text)
    )


def _is_introduction(text: str, identity: Identity) -> bool:
    """Return whether a sentence says who the agent is, which is no information on anything else."""
    named = [part for part in (identity.name, identity.role) if part]
    return re.match(_BEING, text) is not None and any(part in text for part in named)


def _identity(prompt: str) -> Identity:
    """Return the agent's name, company, kind of company and role, as far as the prompt has them."""
    # a full stop within a sentence, as in "Dr. Lee", must not end a name
    prompt = "\n".join(each[:-1].replace(".", _INNER_STOP) + each[-1:] for each in split_sentences(prompt))
    name = next((m[1] for m in (p.search(prompt) for p in _NAMES) if m), "")
    # a possessive names somebody else, and the agent's own name follows
    if name.endswith(("'s", "’s")):
        after = re.search(re.escape(name) + r"[^.]*?, " + _NAME, prompt)
        name = after[1] if after else ""
    match = next((m for m in (p.search(prompt) for p in _COMPANIES) if m), None)
    company, kind = (match["company"].strip(), (match["kind"] or "").strip()) if match else ("", "")
    company = re.split(r" and (?:your|you)\b", company)[0]
    role = next((m["role"] for m in _ROLE.finditer(prompt)), "")
    role = re.split(r" and your\b", role)[0].strip()
    return Identity(*(part.strip().replace(_INNER_STOP, ".") for part in (name, company, kind, role)))


def _facts(raw: str, line: int, index: int, noted: bool, serving: bool) -> list[Fact]:
    """Return one sentence as a fact, followed by its parts when it is a list of prices."""
    label, colon, value = raw.partition(": ")
    headed = bool(colon) and len(label.split()) <= 5
    label = label if headed and not has_verb(label) else ""
    items = _items(value if headed else raw, label)
    whole = Fact(_spoken(raw, label, value, serving), raw, label or before_verb(raw), None, noted, line)
    # in English a plural ends in s, but hardly ever in ss or us
    one = label and not re.search(r"[^su]s$", label) and label.lower() not in value.lower()
    named = [
        (
            (text.replace(item, f"{item} {label.lower()}", 1), item)
            if one and item in text and item != label
            else (text, item)
        )
        for text, item in items
    ]
    return [whole, *(Fact(sentence(text), raw, item, index, noted, line, label) for text, item in named)]


def _spoken(raw: str, label: str, value: str, serving: bool) -> str:
    if not label:
        return sentence(first_person(raw, serving))
    starts_with_day = re.match(r"(?i)(mon|tues|wednes|thurs|fri|satur|sun)days?\b", value)
    many = re.search(r"[^su]s$", label) is not None
    listed = many and ("," in value or " and " in value)
    article = "our" if listed else "" if label.lower().startswith(("the ", "our ", "your ")) else "the"
    be = "are" if many else "is"
    return sentence(
        first_person(
            f"{article} {lower_first(label)} {be} {'on ' if starts_with_day else ''}{value}".strip(), serving
        )
    )


def _with_signs(text: str) -> str:
    """Return a sentence with its amounts of money as "€40", however they are written."""
    for pattern, signed in _WRITTEN_MONEY if not _WEIGHT.search(text) else ():
        text = pattern.sub(signed, text)
    # "lasagna $14, soup 7": each price of a list is in the first one's currency
    first, *others = re.split(r"(, (?:and )?)", text)
    signs = re.findall(r"[$€£]", first)
    if len(signs) != 1:
        return text
    return first + "".join(_LISTED_PRICE.sub(rf"\g<1>{signs[0]}\g<2>", part) for part in others)


def _items(text: str, label: str) -> list[tuple[str, str]]:
    """Return (text, subject) of the parts of a price list, [] for other text.

    Lists look like "pad thai ($13), …", "$150 for the Mini, …" or "starters $7, mains $15".
    """
    found: list[tuple[str, str]] = []
    for match in _IN_BRACKETS.finditer(text):
        item = _bare(match["item"])
        values = [v.strip() for v in re.split(r",\s|;\s", match["value"])]
        be = _be(item)
        found += (
            [(f"{_the(item)} {be} {value}", item) for value in values]
            if re.search(_MONEY, match["value"])
            else []
        )
    parts = [p.strip() for p in re.split(r",\s(?:and\s)?|\sand\s(?=[^,]*[$€£])", text)]
    if found or len(parts) < 2:
        return found
    named = _PRICE_OF_NAME.match(text)
    if len(re.findall(_MONEY, text)) == 1 and named and not has_verb(named["item"]):
        more = f",{named['more']}" if named["more"] else ""
        return [(f"{named['item']}{more} is {named['value']}", named["item"])]
    found_of = next(
        (lower_first(m["of"]) for part in parts if (m := _PRICE_FIRST.match(part)) and m["of"]), None
    )
    for part in parts:
        if first := _PRICE_FIRST.match(part):
            of = lower_first(first["of"] or "")
            label = label or of
            be = "are" if label.endswith("s") else "is"
            found.append(
                (
                    f"the {lower_first(label)} {be} {first['value']} for {first['item']}" if label else part,
                    f"{label} for {first['item']}" if of or label == found_of else f"{label} {first['item']}",
                )
            )
        elif (last := _PRICE_LAST.match(part)) and (len(_bare(last["item"]).split()) <= 5):
            item = _bare(last["item"])
            verb = "pay" if re.search(r"(?i)\bpays? [$€£]", text) else _be(item)
            the = lower_first(item) if verb == "pay" else _the(item)
            found.append((f"{the} {verb} {last['value']}", item))
    return found if len(found) >= 2 else []


def _bare(item: str) -> str:
    item = re.sub(r"^(?:and|or)\s+", "", item.strip())
    return re.sub(rf"(?i)^(?:and|or|the|an?|our|{OFFERED})\s+", "", item)


def _be(item: str) -> str:
    """Return "are" for "two bikes" and "is" for "a cone with three scoops"."""
    return "are" if re.search(r"[^su]s$", re.split(r" (?:with|of|for|in) ", item)[0]) else "is"


def _the(item: str) -> str:
    return f"the {lower_first(item)}"
