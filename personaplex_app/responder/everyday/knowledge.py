"""General knowledge from data: capitals, animals, elements, inventions and the like."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz, process

from ...yaml_fields import load_yaml
from .contract import Reply, Talk, reply
from .turn import Turn

KNOWLEDGE_FILE = Path(__file__).with_name("knowledge.yaml")
# a name that the recogniser spelt almost right
_CLOSE = 82
_COUNTRY_QUESTIONS = (
    (
        re.compile(
            r"\b(?:capital(?: city)?(?: of| in| for)?|capital city) (?P<of>[\w' -]+)$"
            r"|^(?P<own>[\w' -]+?)(?:'s| is|s)? capital$"
        ),
        0,
        "The capital of {name} is {value}.",
    ),
    (
        re.compile(
            r"\b(?:which|what) continent (?:is|does) (?P<of>[\w' -]+?)(?: in| on| belong to"
            r"| located in)?$|^(?:is|where is) (?P<own>[\w' -]+) in the world$"
        ),
        1,
        "{name} is in {value}.",
    ),
    (
        re.compile(
            r"\b(?:currency|money)(?: (?:of|in|for|used in|do they (?:use|have) in|is used in"
            r"|does))? (?P<of>[\w' -]+?)(?: have| use)?$"
        ),
        2,
        "The currency of {name} is the {value}.",
    ),
    (
        re.compile(
            r"\blanguages?(?: (?:of|in|do they speak in|is spoken in|are spoken in|do people speak in"
            r"|does|spoken in))? (?P<of>[\w' -]+?)(?: speak| have)?$"
            r"|\bdo (?:they|people) speak in (?P<own>[\w' -]+)$"
        ),
        3,
        "In {name} people speak {value}.",
    ),
)
_CAPITAL_OF = re.compile(
    r"\b(?P<city>[\w' .-]+?) is the capital of (?:what|which)"
    r"|\bwhat(?: country)? is (?P<city2>[\w' .-]+?) the capital of"
)
_SPOKEN_IN = re.compile(r"\b(?:where|countries|country)\b.*\b(?:speaks?|spoken)\b")
_MAX_COUNTRIES = 6
_IN_COUNTRY = re.compile(r"^is (?P<city>[\w' .-]+?) (?:in|(?:the )?capital of) (?P<country>[\w' -]+)$")
_WHERE = re.compile(r"^where is (?P<of>[\w' -]+?)(?: located| in the world| on the map)?$")
_ANIMAL_QUESTIONS = (
    (
        re.compile(
            r"\b(?:sound|noise) (?:does|do|is made by) (?:an? |the )?(?P<of>\w+?)s? ?(?:make|makes"
            r"|making)?$"
            r"|^(?:what|how) (?:does|do) (?:an? |the )?(?P<own>\w+?)s? (?:say|sound"
            r"|go)(?: like)?$"
        ),
        0,
        "A {name} {value}.",
    ),
    (
        re.compile(
            r"\b(?:baby|young) (?P<of>\w+?)s?(?: called)?$|\b(?:baby|young|child) of (?:an? "
            r"|the )?(?P<own>\w+?)s?(?: called)?$"
        ),
        1,
        "A young {name} is called a {value}.",
    ),
    (
        re.compile(
            r"^(?:is|are) (?:an? |the )?(?P<of>\w+?)s? (?:an? )?(?P<kind>mammal|bird|fish|reptile|insect"
            r"|amphibian)s?$"
        ),
        2,
        "A {name} is a {value}.",
    ),
    (
        re.compile(
            r"\bhow many (?:legs|feet) (?:does|do|has|have) (?:an? |the )?(?P<of>\w+?)s? ?(?:have"
            r"|got)?$"
        ),
        3,
        "A {name} has {value} legs.",
    ),
    (
        re.compile(r"\bwhat (?:does|do) (?:an? |the )?(?P<of>\w+?)s? (?:eat|feed on|live on)$"),
        4,
        "A {name} eats {value}.",
    ),
)
_SYMBOL = re.compile(
    r"\b(?:(?:chemical )?(?:symbol|sign|formula) (?:for|of)|what is) (?P<of>[a-z]+)(?: in chemistry)?$"
)
_NUMBER = re.compile(r"\batomic number (?:of|for) (?P<of>[a-z]+)$")
_NAMED_BY = re.compile(r"\b(?:which|what) element (?:has the symbol|is) (?P<of>[a-z]{1,2})$")
_MIX = re.compile(
    r"\b(?P<one>red|blue|yellow|green|white|black) (?:and|with|plus|to|mixed with) (?P<two>red|blue|yellow"
    r"|green|white|black)\b"
)
_INVENTED = re.compile(
    r"^(?:who|when|where|what year).* (?:invent|discover|wrote|write|written|painted?|composed?|made|built"
    r"|build|created?|author)\w*(?: of| by| the| a| an| first| was| is| did)* ?(?P<of>[\w' -]*)"
)
_PLANET = re.compile(
    r"\b(?:tell me )?(?:something |what (?:do you know"
    r"|is special) )?about (?:the )?(?:planet )?(?P<of>mercury|venus|earth|mars|jupiter|saturn|uranus"
    r"|neptune)$"
    r"|^what is (?:the planet )?(?P<own>venus|mars|jupiter|saturn|uranus|neptune)$"
)
_NTH = re.compile(r"\b(?P<nth>first|second|third|fourth|fifth|sixth|seventh|eighth|last) planet\b")
_OPPOSITE = re.compile(r"\bopposite of (?P<of>[a-z]+)$|^what is the contrary of (?P<own>[a-z]+)$")
_FUN = re.compile(
    r"\b(?:fun|interesting|random|cool|strange|surprising) (?:fact|thing)s?\b"
    r"|^(?:tell me )?something (?:interesting|surprising|i do not know)$"
)


class Knowledge:
    """What the file knows."""

    def __init__(self, path: Path = KNOWLEDGE_FILE) -> None:
        self._data: dict[str, Any] = load_yaml(path)
        self._answers = tuple(
            (tuple(re.compile(_groups(each)) for each in entry["ask"]), entry["say"])
            for entry in self._data["answers"]
        )

    @cached_property
    def capitals(self) -> dict[str, str]:
        """Countries and their capitals."""
        return {name: values[0] for name, values in self._data["countries"].items()}

    @cached_property
    def names(self) -> frozenset[str]:
        """The words, in lower case, that name a country, an animal, a planet or an element."""
        kinds = ("countries", "animals", "planets", "elements", "colours")
        named = [name for kind in kinds for name in self._data[kind]] + [*self.capitals.values()]
        words = {word for name in named for word in re.findall(r"[a-z]+", name.lower())}
        return frozenset(
            words - {"the", "and", "city", "new", "of", "united", "south", "north", "lead", "duck", "turtle"}
        )

    @property
    def riddles(self) -> list[list[str]]:
        return self._data["riddles"]

    @cached_property
    def _countries(self) -> dict[str, str]:
        plain = {name.lower().removeprefix("the "): name for name in self._data["countries"]}
        others = {k: plain[v.removeprefix("the ")] for k, v in self._data["other_names"].items()}
        return plain | others

    def answer(self, turn: Turn, talk: Talk) -> Reply | None:
        """Answer a question of general knowledge, None when the file does not know."""
        for form in turn.forms[:2]:
            form = re.sub(r"[,.?!]", "", form)
            text = (
                self._of_countries(form)
                or self._of_animals(form)
                or self._of_elements(form)
                or self._of_colours(form)
                or self._of_inventions(form)
                or self._of_planets(form)
                or self._of_words(form)
                or next((say for asks, say in self._answers if any(p.search(form) for p in asks)), "")
            )
            if text:
                return reply(text, computed=True)
        return self._fun_fact(turn, talk)

    def _fun_fact(self, turn: Turn, talk: Talk) -> Reply | None:
        if not turn.search(_FUN) or turn.words > 12:
            return None
        talk.note(repeatable="tell me a fun fact")
        return reply(talk.line("fun", tuple(self._data["fun_facts"])), computed=True)

    def _of_countries(self, form: str) -> str:
        for pattern, column, line in _COUNTRY_QUESTIONS:
            found = pattern.search(form)
            name = found and _known(found["of"] or _group(found, "own"), self._countries)
            if name:
                said = name if line.find("{name}") else name[:1].upper() + name[1:]
                return line.format(name=said, value=self._data["countries"][name][column])
        if _SPOKEN_IN.search(form) and (text := self._speaking(form)):
            return text
        if found := _CAPITAL_OF.search(form):
            city = _known(found["city"] or found["city2"], {v.lower(): k for k, v in self.capitals.items()})
            return f"{self.capitals[city]} is the capital of {city}." if city else ""
        if found := _IN_COUNTRY.search(form):
            of = _known(found["city"], {v.lower(): k for k, v in self.capitals.items()})
            asked = _known(found["country"], self._countries)
            if of and asked:
                return f"{'Yes' if of == asked else 'No'}, {self.capitals[of]} is the capital of {of}."
        if found := _WHERE.search(form):
            if name := _known(found["of"], self._countries):
                return f"{name[:1].upper()}{name[1:]} is in {self._data['countries'][name][1]}."
            if city := _known(found["of"], {v.lower(): k for k, v in self.capitals.items()}):
                return f"{self.capitals[city]} is the capital of {city}."
        return ""

    def _speaking(self, form: str) -> str:
        """Return some of the countries in which a language of the question is spoken, "" for none."""
        for word in re.findall(r"[a-z]+", form):
            names = [n for n, each in self._data["countries"].items() if word.capitalize() in each[3].split()]
            # "apart from Spain"
            others = [name for name in names if name.lower() not in form]
            if names:
                more = " and others" if len(others) > _MAX_COUNTRIES else ""
                return f"{word.capitalize()} is spoken in {', '.join(others[:_MAX_COUNTRIES])}{more}."
        return ""

    def _of_animals(self, form: str) -> str:
        animals: dict[str, list[str]] = self._data["animals"]
        for pattern, column, line in _ANIMAL_QUESTIONS:
            found = pattern.search(form)
            said = (found and (found["of"] or _group(found, "own"))) or ""
            name = next(
                (n for n in (said, said + "s", said.removesuffix("e"), said[:-3] + "f") if n in animals), ""
            )
            if said in ("mice", "geese"):
                name = {"mice": "mouse", "geese": "goose"}[said]
            if found and name:
                value = animals[name][column]
                answer = _with_articles(line.format(name=name, value=value))
                if column == 2:
                    return f"{'Yes' if value == found['kind'] else 'No'}, {answer[:1].lower()}{answer[1:]}"
                return answer
        return ""

    def _of_elements(self, form: str) -> str:
        elements: dict[str, list[Any]] = self._data["elements"]
        spelling = {"aluminum": "aluminium", "sulphur": "sulfur"}
        if found := _NAMED_BY.search(form):
            name = next((n for n, (sign, _) in elements.items() if sign.lower() == found["of"]), "")
            return f"{name.capitalize()} has the symbol {' '.join(found['of'].upper())}." if name else ""
        for pattern in (_SYMBOL, _NUMBER):
            found = pattern.search(form)
            name = found and spelling.get(found["of"], found["of"])
            if found and name in elements and not found[0].startswith("what is"):
                sign, number = elements[name]
                if pattern is _NUMBER:
                    return f"The atomic number of {name} is {number}."
                return f"The symbol of {name} is {' '.join(sign.upper())}."
        return ""

    def _of_colours(self, form: str) -> str:
        found = _MIX.search(form)
        if not found or not re.search(r"\b(?:mix|make|makes|get|colou?r|give|gives|become)", form):
            return ""
        pair = sorted((found["one"], found["two"]))
        mixes = {tuple(sorted(k.split(" and "))): v for k, v in self._data["colours"].items()}
        made = mixes.get((pair[0], pair[1]))
        return f"{found['one'].capitalize()} and {found['two']} make {made}." if made else ""

    def _of_inventions(self, form: str) -> str:
        found = _INVENTED.search(form)
        if not found:
            return ""
        names: dict[str, str] = self._data["inventions"]
        plane = re.sub(r"\b(?:aeroplane|plane)\b", "airplane", re.sub(r"\b(?:automobile)\b", "car", form))
        return next((said for name, said in names.items() if re.search(rf"\b{name.rstrip('s')}", plane)), "")

    def _of_planets(self, form: str) -> str:
        planets: dict[str, list[str]] = self._data["planets"]
        if found := _NTH.search(form):
            nth = "eighth" if found["nth"] == "last" else found["nth"]
            name = next(name for name, (place, _) in planets.items() if place == nth)
            return f"{name} is the {nth} planet from the Sun."
        if found := _PLANET.search(form):
            name = (found["of"] or found["own"]).capitalize()
            place, known = planets[name]
            return f"{name} is the {place} planet from the Sun, {known}."
        return ""

    def _of_words(self, form: str) -> str:
        found = _OPPOSITE.search(form)
        word = (found["of"] or found["own"]) if found else ""
        both = {**{b: a for a, b in self._data["opposites"].items()}, **self._data["opposites"]}
        return f"The opposite of {word} is {both[word]}." if word in both else ""


def _group(found: re.Match[str], name: str) -> str:
    return (found.groupdict().get(name) or "") if found else ""


def _known(said: str | None, names: dict[str, str]) -> str:
    """Return the value of a name that is said, also when it is spelt almost right; "" for none."""
    said = re.sub(r"^(?:the|a|of|in) ", "", (said or "").strip())
    if said in names:
        return names[said]
    best = (
        process.extractOne(said, list(names), scorer=fuzz.ratio, score_cutoff=_CLOSE)  # pyrefly: ignore[no-matching-overload]
        if len(said) > 3
        else None
    )
    return names[best[0]] if best else ""


def _with_articles(text: str) -> str:
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def _groups(pattern: str) -> str:
    """Return a pattern in which the words may stand a few words apart."""
    return pattern if ".*" in pattern or "^" in pattern else pattern.replace(" ", r"\b(?: \w+){0,2} \b")
