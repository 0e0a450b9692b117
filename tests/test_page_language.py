"""The page's strings: each language whole, nothing outside the files, and which language a visitor reads."""

import json
import re
from dataclasses import replace

import pytest

from personaplex_app.classic.language import ENGLISH_TALK
from personaplex_app.engine_choice import TITLES, Choice, fallback_engine, replacement
from personaplex_app.personas import load_personas
from personaplex_app.server import end_reasons
from personaplex_app.sessions.admission import DRAINING
from personaplex_app.ui.page_language import (
    PAGE_LANGUAGES,
    filled,
    page_language,
    strings,
    strings_element,
)
from personaplex_app.ui.static import STATIC
from personaplex_app.voices import EMBEDDED, FAMILIES, NAMES, SPANISH, released_voice

pytestmark = pytest.mark.unit

OTHERS = [language for language in PAGE_LANGUAGES if language != "en"]
# what the Talk tab is made of, and what it shares with others
FOLDERS = ("talk", "clone", "sessions", "shared", "share", "audio")
MODULES = [path for folder in FOLDERS for path in sorted((STATIC / folder).glob("*.js"))]
PARTS = [path for folder in FOLDERS for path in sorted((STATIC / folder).glob("*.html"))]
PLACE = re.compile(r"\[\[(\w+)\]\]")


def texts(language):
    """Return all strings of a language by part and key."""
    return {(part, key): text for part, keyed in strings(language).items() for key, text in keyed.items()}


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_the_keys_and_placeholders_of_english(language):
    english, here = texts("en"), texts(language)
    assert list(here) == list(english)
    for key, text in here.items():
        assert text.strip()
        assert sorted(re.findall(r"\{(\w+)\}", text)) == sorted(re.findall(r"\{(\w+)\}", english[key])), key
        # it goes into HTML within JSON as it is, but for what HTML escapes
        assert not re.search(r"[\\\n\t]|\[\[|\]\]", text), key


def test_strings_are_used_and_those_that_are_used_exist():
    page = strings("en")["page"]
    code = "\n".join(path.read_text() for path in (*MODULES, *PARTS, *STATIC.parent.glob("*.py")))
    named = {*PLACE.findall(code), *re.findall(r'\bt\(\s*"([\w.-]+)"', code)}
    for pair in re.findall(r'\bt\([^()"`]*\? "(\w+)" : "(\w+)"', code):
        named |= {*pair}
    assert len(named) > 150
    assert named - page.keys() == set()
    # keys that are made: of the name of a state, a kind or a field, or by `count` and `hostText`
    made = (*re.findall(r"\bt\(`(\w+_)\$\{", code), "count_", "tab_")
    quoted = {*named, *re.findall(r'"([\w.-]+)"', code), "language", "scripts_missing"}
    quoted |= {"seed", "soundStopped", "loudspeakerSilent"} | {
        name for name in page if f"{name}_hint" in page
    }
    unused = [
        key
        for key in page
        if not key.startswith(made) and not {key, re.sub("_(one|other|local|server|hint)$", "", key)} & quoted
    ]
    assert unused == []


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.name)
def test_html_of_the_talk_has_no_word_outside_the_files(path):
    text = PLACE.sub("", re.sub(r"<!--.*?-->", "", path.read_text(), flags=re.S))
    told = re.findall(r'(?:aria-label|title|placeholder|alt)="([^"]*)"', text)
    words = re.findall(r"[^\W\d_]{2,}", " ".join([*told, re.sub(r"<[^>]*>", " ", text)]))
    assert set(words) <= {"PersonaPlex", "Esc"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_of_the_talk_have_no_sentence_outside_the_files(path):
    code = re.sub(r"^\s*(?://|\*|/\*).*$|new Error\(.*$", "", path.read_text(), flags=re.M)
    literals = re.findall(r'"([^"\n]*)"|`([^`]*)`', code)
    shown = [one or other for one, other in literals]
    assert [
        text for text in shown if re.search(r"^[A-Z][a-z]+[ .…]|[a-z]{2,} [a-z]{2,} [a-z]{2,}[ .]", text)
    ] == []


def test_sentences_of_the_server_that_a_visitor_reads_are_in_the_files():
    choices = [Choice(name, "", absent="it speaks English only") for name in ("classic", "echo")]
    made = [replacement(Choice("personaplex", ""), "x"), replacement(Choice("remote", ""), "x")]
    made += [fallback_engine(Choice("personaplex", ""), leased) for leased in (True, False)]
    said = [choice.stand_in for choice in (*choices, *filter(None, made))]
    said += [choice.absent for choice in filter(None, made)]
    ends = {name: end for name, end in vars(end_reasons).items() if isinstance(end, end_reasons.EndReason)}
    assert len(ends) > 8
    # a page always sends its start message, and stops no talk that it has not started
    said += [end.text for name, end in ends.items() if name not in ("NO_START", "NOTHING_TO_STOP")]
    lines = ENGLISH_TALK.lines
    said += [lines.heard_another.format("Dutch"), lines.not_understood, lines.too_loud_here, lines.loud_room]
    said += [lines.not_speakable, DRAINING, *(title for title in TITLES.values() if title != "PersonaPlex")]
    voices = (*EMBEDDED, *SPANISH, *map(released_voice, NAMES))
    said += [voice.description for voice in voices] + [family.title for family in FAMILIES]
    said += [voice.title for voice in (*EMBEDDED, released_voice(NAMES[0]))]
    said += [persona.family for persona in load_personas(None, True)]
    for persona in load_personas():
        said += [persona.title, persona.purpose]
    patterns = [
        re.compile("(.+)".join(map(re.escape, re.split(r"\{\w+\}", text))), re.S)
        for text in strings("en")["server"].values()
    ]
    assert [text for text in said if not any(pattern.fullmatch(text) for pattern in patterns)] == []


@pytest.mark.parametrize(
    ("query", "accept", "first", "expected"),
    [
        ("", "", "", "en"),
        ("", "es-MX,es;q=0.9,en;q=0.8", "", "es"),
        ("", "fr,nl;q=0.5,es;q=0.7", "", "es"),
        ("", "nl;q=0, de, en;q=0.1", "", "en"),
        ("", "*;q=x, nl", "", "nl"),
        ("language=nl", "es", "", "nl"),
        ("language=es-AR", "en", "", "es"),
        ("language=tlh", "es", "", "es"),
        ("language=%5B%5Bx", "en", "", "en"),
        ("persona=hotel-sierra", "nl", "", "es"),
        ("persona=assistant", "nl", "", "nl"),
        ("", "nl", "es", "es"),  # a Spanish app: its first role speaks Spanish
        ("language=en", "nl", "es", "en"),
    ],
)
def test_language_is_the_links_else_the_roles_else_the_browsers(query, accept, first, expected):
    personas = load_personas(None, True)
    personas = (replace(personas[0], language=first), *personas[1:])
    scope = {"query_string": query.encode(), "headers": [(b"accept-language", accept.encode())]}
    assert page_language(scope, personas) == expected


def test_strings_in_the_page_cannot_end_their_element_and_say_english_only_once():
    for language in PAGE_LANGUAGES:
        text = strings_element(language)
        told = json.loads(re.fullmatch("<script [^>]*>(.*)</script>", text, re.S)[1])
        assert told["page"] == strings(language)["page"]
        assert len(told["server"]) == (0 if language == "en" else len(strings("en")["server"]))
    assert filled('{"a": "<b>[[silence]]</b>[[no_such_key]]"}', "es") == (
        '{"a": "<b>Hacer callar</b>[[no_such_key]]"}'
    )
