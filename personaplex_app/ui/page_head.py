"""What stands first in the page's head: scripts that cannot wait for the page's modules, and what a link to
the page shows where people paste it.
"""

from __future__ import annotations

import re
from html import escape

from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse
from starlette.routing import Route
from starlette.types import Scope

from .page_language import filled, strings, strings_element
from .scripts import PAGE, folder
from .static import STATIC, read_static

PREVIEW = STATIC / "shared" / "preview.png"
PREVIEW_SIZE = (1200, 630)
_SCRIPTS = (
    "shared/refused.js",
    "shared/early-press.js",
    "shared/loading-frames.js",
    "compare/linked-test.js",
)
# the page's template shows its maker's name and picture
_LINK_PREVIEW = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>\s*')


def preview_route() -> Route:
    """Return the route of the picture that a link to the page shows."""

    async def preview(request: Request) -> FileResponse:
        return FileResponse(PREVIEW, headers={"Cache-Control": "public, max-age=86400"})

    return Route(f"/{PREVIEW.name}", preview)


def with_head(page: bytes, scope: Scope, language: str) -> bytes:
    """Return the page's HTML with this head, in a language and for the address that it was asked by; its
    configuration in the language.
    """
    page = filled(page.decode(), language).encode()
    if b"<head>" not in page:
        return page
    page = page.replace(b'lang="en"', f'lang="{language}"'.encode(), 1)
    told = strings(language)["page"]
    head = strings_element(language)
    head += "".join(f"<script>{read_static(name)}</script>" for name in _SCRIPTS)
    # asked for beside Gradio's own scripts, which come long before they ask for it
    head += f'<link rel="modulepreload" href="./{folder()}/{PAGE}">'
    # pictures of links are found by whole addresses only
    address = str(HTTPConnection(scope).base_url)
    width, height = PREVIEW_SIZE
    shown = {
        "og:type": "website",
        "og:url": address,
        "og:title": told["title"],
        "og:description": told["description"],
        "og:image": f"{address}{PREVIEW.name}",
        "og:image:width": str(width),
        "og:image:height": str(height),
    }
    head += f'<meta name="description" content="{escape(told["description"])}">'
    head += '<meta name="twitter:card" content="summary_large_image">'
    head += "".join(f'<meta property="{name}" content="{escape(value)}">' for name, value in shown.items())
    return _LINK_PREVIEW.sub(b"", page).replace(b"<head>", f"<head>{head}".encode(), 1)
