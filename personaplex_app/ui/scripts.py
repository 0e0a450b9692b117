"""The page's JavaScript in few files: modules of `static/`, each joined with what it imports.

A browser that is far away would otherwise ask for dozens of small files, most of them only after others have
come. The modules import and export in so few ways that joining them is a matter of text, without a tool that
would have to be installed. A change of a module is served after a restart.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping
from functools import cache

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..errors import NotFound
from ..server.http import errors_as_json
from .static import read_static

TABS = ("talk", "respond", "compare", "sessions")
# they run on threads of their own, each from a file of its own
THREADS = ("audio/capture-worker", "audio/capture-worklet", "audio/playback-worklet", "talk/transport-worker")
PAGE = "page.js"
FOREVER = "private, max-age=31536000, immutable"
_IMPORT = re.compile(r'^import (?:\* as (\w+)|\{([^}]*)\}) from "([\w./-]+)";\n', re.M)
_EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) (\w+))", re.M)
_LEFT = re.compile(r"^(?:import|export)\b.*", re.M)


def joined(*modules: str) -> str:
    """Return one script of modules of `static/`, such as "talk/talk.js"; of several it exports each by its
    file's name.

    Raises: ValueError naming the module that imports or exports in another way, or in a circle.
    """
    parts: dict[str, str] = {}
    for module in modules:
        _join(module, parts, ())
    exports = ", ".join(f"{_id(module)} as {posixpath.basename(module)[:-3]}" for module in modules)
    return "\n".join([*parts.values(), f"export {{ {exports} }};\n" if len(modules) > 1 else ""])


def _join(module: str, parts: dict[str, str], importers: tuple[str, ...]) -> None:
    """Put a module into `parts`, after those that it imports."""
    if module in importers:
        raise ValueError(f"{module} imports itself by way of {importers[-1]}.")
    if module in parts:
        return

    def taken(found: re.Match[str]) -> str:
        other = posixpath.normpath(posixpath.join(posixpath.dirname(module), found[3]))
        _join(other, parts, (*importers, module))
        names = found[1] or f"{{{found[2].replace(' as ', ': ')}}}"
        return f"const {names} = {_id(other)};\n"

    text = _IMPORT.sub(taken, read_static(module))
    exports = ", ".join(found[1] for found in _EXPORT.finditer(text))
    text = _EXPORT.sub("", text)
    if left := _LEFT.search(text):
        raise ValueError(f"{module} cannot be joined with others: {left[0]}")
    parts[module] = f"const {_id(module)} = (() => {{\n{text}return {{ {exports} }};\n}})();"


def _id(module: str) -> str:
    return "$" + re.sub(r"\W", "_", module.removesuffix(".js"))


@cache
def scripts() -> Mapping[str, str]:
    """Return every file of the page's JavaScript, by its name."""
    threads = {f"{posixpath.basename(name)}.js": joined(f"{name}.js") for name in THREADS}
    return {PAGE: joined(*(f"{tab}/{tab}.js" for tab in TABS)), **threads}


@cache
def folder() -> str:
    """Return the address of these files below the app's own: another after every change of them."""
    told = hashlib.sha256("".join(scripts().values()).encode()).hexdigest()[:16]
    return f"scripts/{told}"


def mount_script(tab: str) -> str:
    """Return the JavaScript with which the `gr.HTML` of a tab mounts itself."""
    return (
        "const root = new URL(window.gradio_config?.root || '.',"
        f" window.location.href).pathname.replace(/[/]$/, '');import(root + '/{folder()}/{PAGE}')"
        f".then((page) => page.{tab}.mount(element, props, watch, trigger));"
    )


def script_routes() -> list[BaseRoute]:
    """Return the route of the files. A page that was open while the app was renewed gets the new ones."""

    async def script(request: Request) -> Response:
        name, asked = request.path_params["name"], request.path_params["version"]
        if name not in scripts():
            raise NotFound("There is no such script here; reload the page.")
        kept = FOREVER if folder().endswith(asked) else "no-store"
        return Response(scripts()[name], media_type="text/javascript", headers={"Cache-Control": kept})

    packed = [Middleware(GZipMiddleware)]
    return [Route("/scripts/{version}/{name}", errors_as_json(script), middleware=packed)]
