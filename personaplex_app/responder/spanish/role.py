"""Read a role that is written in Spanish: who the agent is, and the sentences that it may say."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from ..role_text import plain_role

_NAME = r"(?P<name>[A-ZÁÉÍÓÚÑ][\w'’-]*(?: [A-ZÁÉÍÓÚÑ][\w'’-]*){0,2})"
_NAMES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?i:te llamas|tu nombre es|se llama usted|me llamo|llamad[oa])\s+{_NAME}",
        rf"(?m)^(?i:eres|soy)\s+{_NAME}(?=[,.]| y\b)",
    )
)
_COMPANY = re.compile(
    r"(?i:\b(?:trabajas|trabajo|trabaja|atiendes|contestas|recepcionista|asistente|agente)\b[^.]*?"
    r" (?:en|para|de|del)) (?P<company>(?:(?:la|el|los|las) )?(?:[a-zñáéíóú]+ )?"
    r"[A-ZÁÉÍÓÚÑ][\w'’-]*(?: (?:de |del |la |y )*[A-ZÁÉÍÓÚÑ][\w'’-]*)*)"
)
# what the agent is told about its manner is no information for the user
_BEHAVIOUR = re.compile(
    r"(?i)^(?:eres|te llamas|tu nombre|trabajas|atiendes|contestas|hablas|hablar[aá]s|ayudas|respondes"
    r"|preguntas?|haces|haz|das|da|usas|usa|no (?:digas|des|uses|hables|inventes)|s[eé]|act[uú]as?|te gusta"
    r"|tratas|escuchas|animas|explicas|siempre|nunca|cuando (?:el|la|un|alguien))\b"
)
_HEADING = re.compile(r"(?i)^(?:informaci[oó]n|datos|notas|detalles|contexto)\s*:\s*")
# a full stop between figures, after an initial or in "a. m." ends no sentence
_SENTENCE = re.compile(r"(?<=[.!?…])(?<!\b\w\.)\s+(?=[¿¡«\"A-ZÁÉÍÓÚÑ\d])|\n\s*\n|\n(?=\s*[-*•¿¡A-ZÁÉÍÓÚÑ\d])")
_MAX_FACTS = 200


@dataclass(frozen=True)
class SpanishRole:
    """What a prompt says. `name` and `company` are "" where it names none; `facts` are whole sentences."""

    name: str
    company: str
    facts: tuple[str, ...]
    text: str


def read_role(prompt: str) -> SpanishRole:
    """Return the content of a Spanish role prompt."""
    text = plain_role(prompt)
    named = next((match for pattern in _NAMES if (match := pattern.search(text))), None)
    company = _COMPANY.search(text)
    facts: list[str] = []
    for part in split_sentences(text):
        informs = _HEADING.match(part)
        fact = " ".join(_HEADING.sub("", part).split()).strip(" -*•")
        if fact and (informs or not _BEHAVIOUR.match(fact)):
            facts.append(fact if fact[-1] in ".!?…" else f"{fact}.")
    return SpanishRole(
        named["name"] if named else "", company["company"] if company else "", tuple(facts[:_MAX_FACTS]), text
    )


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a Spanish text."""
    return [part.strip() for part in _SENTENCE.split(text) if part.strip()]


def plain(text: str) -> str:
    """Return the words of a text in lower case, without accents and marks; ñ stays ñ."""
    kept = text.lower().replace("ñ", "\0")
    kept = "".join(c for c in unicodedata.normalize("NFKD", kept) if not unicodedata.combining(c))
    return " ".join(re.findall(r"[a-z\d\0ñ:]+(?:[-.,][a-z\d\0]+)*", kept)).replace("\0", "ñ")
