"""A talk as one HTML file that plays its sound, draws its lane and shows its words without a server."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, BinaryIO

from starlette.types import Scope

from ..personas import Persona
from ..voices import EMBEDDED, SPANISH
from .page_language import filled, page_language, strings, strings_element, told
from .scripts import joined
from .static import read_static

_CHUNK_BYTES = 3 << 14  # base64 of a multiple of three needs no padding
_SOUND = (b'<audio controls preload="auto" src="data:audio/flac;base64,', b'"></audio>')
_PLACE = re.compile("<!-- (head|title|scripts) -->")
# what its script and the modules that draw the lane say
_STRINGS = "page_|lane_|count_|mark_|of_time|play_from|no_words|agent"
_SHOWN = ("started_at", "duration_s")


def talk_page(
    personas: Sequence[Persona],
    scope: Scope,
    described: dict[str, Any],
    lane: dict[str, Any],
    flac: BinaryIO | None,
) -> tuple[int, Iterator[bytes]]:
    """Return how many bytes the file has, and the bytes.

    It is in the language of the page that asks for it, as the request's `scope` has it. `described` and
    `lane` are as `sessions.export` makes them; the role prompt is left out, since who shares a talk may not
    mean to share that. The file's policy lets nothing be asked for and no script run but its own.
    """
    language = page_language(scope, personas)
    script = joined("share/talk-page.js")
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"script-src 'sha256-{own}'; style-src 'unsafe-inline'; media-src data:"
    style = read_static("share/talk-page.css") + read_static("shared/lane.css")
    role = described["persona"]
    titles = {each.name: told(each.title, language) for each in personas}
    # one whose persona is no longer here is called by the name that it had
    who = titles.get(role) or (role or described["engine"]).replace("-", " ")
    title = escape(strings(language)["page"]["page_title"].format(who=who))
    voices = {each.name: told(each.title, language) for each in (*EMBEDDED, *SPANISH)}
    voice = voices.get(described["voice"], described["voice"])
    shown = {name: described[name] for name in _SHOWN} | {"voice": voice, "lane": lane}
    # as JSON in which no tag can begin or end
    talk = json.dumps(shown).replace("<", "\\u003c")
    placed = {
        "head": f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; {allowed}">'
        f"<title>{title}</title><style>{style}</style>",
        "title": title,
        "scripts": strings_element(language, _STRINGS)
        + f'<script type="application/json" id="talk">{talk}</script>'
        f'<script type="module">{script}</script>',
    }
    # in one pass: what somebody said may look like a place to fill
    whole = [
        _PLACE.sub(lambda place: placed[place[1]], part).encode()
        for part in filled(read_static("share/talk-page.html"), language).split("<!-- sound -->")
    ]
    if flac is None:
        return sum(map(len, whole)), iter(whole)
    size = flac.seek(0, os.SEEK_END)
    flac.seek(0)
    return sum(map(len, (*whole, *_SOUND))) + 4 * -(-size // 3), _with_sound(flac, *whole)


def _with_sound(flac: BinaryIO, before: bytes, after: bytes) -> Iterator[bytes]:
    opening, closing = _SOUND
    with flac:
        yield before + opening
        while block := flac.read(_CHUNK_BYTES):
            yield base64.b64encode(block)
        yield closing + after
