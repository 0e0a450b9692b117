"""The language of the page: one file of strings for each in `static/strings/`, and which one a visitor reads.

A string's place in the page's HTML is its key in brackets, `[[start]]`; the page's modules get all strings of
the language as JSON. What the server says stands in the files too, under "server": the English sentence with
its changing parts in braces, and what the page shows in its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import Scope

from ..personas import Persona
from .static import read_static

ENGLISH = "en"
PAGE_LANGUAGES = (ENGLISH, "es", "nl")
_PLACE = re.compile(r"\[\[(\w+)\]\]")
_ACCEPTED = re.compile(r"([\w-]+)(?:\s*;\s*q=([\d.]+))?")


@cache
def strings(language: str) -> dict[str, dict[str, str]]:
    """Return the strings of one of `PAGE_LANGUAGES`: "page" and "server", texts by key."""
    return json.loads(read_static(f"strings/{language}.json"))


def page_language(scope: Scope, personas: Sequence[Persona]) -> str:
    """Return the language for who asks for the page: that of the link (`?language=`), else of the persona
    that the link or else the app names first, where it speaks another than English, else the browser's.
    """
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    asked = query.get("language", [""])[0]
    named = query.get("persona", [""])[0]
    role = next((each for each in personas if each.name == named), personas[0])
    accepted = _ACCEPTED.findall(Headers(scope=scope).get("accept-language", ""))
    browser = sorted(accepted, key=lambda each: -_weight(each[1]))
    wished = (asked, role.language, *(name for name, weight in browser if _weight(weight) > 0))
    known = (each.lower().split("-")[0] for each in wished)
    return next((each for each in known if each in PAGE_LANGUAGES), ENGLISH)


def _weight(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 0.0


def told(text: str, language: str) -> str:
    """Return what the server says in a language of the page, as it is where that has no such string."""
    english = strings(ENGLISH)["server"]
    return next((strings(language)["server"][key] for key in english if english[key] == text), text)


def filled(html: str, language: str) -> str:
    """Return HTML, or JSON whose texts are HTML, with the language's strings in their places."""
    page = strings(language)["page"]
    # nothing in an escaped string of one line means anything to JSON
    return _PLACE.sub(lambda place: escape(page[place[1]]) if place[1] in page else place[0], html)


@cache
def strings_element(language: str, only: str = "") -> str:
    """Return the element that the page's modules read their strings from; with a pattern `only` of the page's
    own strings alone, those whose keys match it.
    """
    here, english = strings(language), strings(ENGLISH)
    # what the server says is English already
    server = [[english["server"][key], text] for key, text in here["server"].items()]
    page = {key: text for key, text in here["page"].items() if re.match(only, key)}
    told: dict[str, Any] = {"page": page, "server": server if language != ENGLISH and not only else []}
    # as JSON in which no tag can begin or end
    text = json.dumps(told, ensure_ascii=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="strings">{text}</script>'
