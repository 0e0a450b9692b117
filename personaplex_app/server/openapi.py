"""The OpenAPI document of the HTTP routes: which there are, from the app itself; what they take and give,
from operations.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from starlette.routing import BaseRoute, Route

from .. import __version__
from ..principal import MAX_OWNER_KEY_CHARS, MIN_OWNER_KEY_CHARS
from . import wire_schemas

OPERATIONS = Path(__file__).with_name("operations.yaml")
SECURITY_SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "login": {"type": "http", "scheme": "basic"},
}
_ERROR = {
    "type": "object",
    "required": ["error", "message"],
    "properties": {
        "error": {"type": "string", "description": "A stable word."},
        "message": {"type": "string", "description": "A sentence: what happened, and what to do next."},
        "retry_after_s": {"type": "integer", "description": "When trying again can succeed."},
    },
}


@cache
def _operations() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(OPERATIONS.read_text("utf-8"))


def listed(routes: Iterable[BaseRoute]) -> list[tuple[str, str]]:
    """Return method and path of each HTTP operation among some routes."""
    return [
        (method, route.path)
        for route in routes
        if isinstance(route, Route)
        for method in sorted((route.methods or {"GET"}) - {"HEAD"})
    ]


def openapi(routes: Iterable[BaseRoute], root_path: str = "", locked: bool = False) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of some routes.

    `locked`: every request needs the login or the key. Raises: KeyError for a route that operations.yaml
    does not describe.
    """
    paths: dict[str, dict[str, Any]] = {}
    for method, path in listed(routes):
        paths.setdefault(path, {})[method.lower()] = _operation(method, path)
    schemes = [{name: []} for name in SECURITY_SCHEMES]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "personaplex-app",
            "version": __version__,
            "description": "The HTTP routes of the app. What is spoken over its WebSockets is in the AsyncAPI"
            " document beside this one.",
        },
        "servers": [{"url": root_path or "/"}],
        "security": schemes if locked else [{}],
        "paths": paths,
        "components": {
            "securitySchemes": SECURITY_SCHEMES,
            "schemas": {"Error": _ERROR},
            "responses": {
                "Error": {
                    "description": "A stable word and a sentence.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
            },
        },
    }


def _operation(method: str, path: str) -> dict[str, Any]:
    told = _operations()[f"{method} {path}"]
    content = {kind: {"schema": schema} for kind, schema in told.get("answer", {}).items()}
    answer = {"description": "As asked." if content else "Done.", **({"content": content} if content else {})}
    operation: dict[str, Any] = {
        "summary": told["summary"],
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"),
        "tags": [_tag(path)],
        "parameters": [*_path_parameters(path, told), *_query_parameters(told), *_owner(told)],
        "responses": {
            str(told.get("status", 200)): answer,
            "default": {"$ref": "#/components/responses/Error"},
        },
    }
    if body := told.get("body"):
        operation["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": schema} for kind, schema in body.items()},
        }
    return operation


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[1] if parts[0] == "api" else parts[0]


def _path_parameters(path: str, told: dict[str, Any]) -> list[dict[str, Any]]:
    values = told.get("path", {})
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", **({"enum": values[name]} if name in values else {})},
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _query_parameters(told: dict[str, Any]) -> list[dict[str, Any]]:
    given = told.get("query", {})
    if told.get("chat"):
        given = {**given, **{name: {"schema": schema} for name, schema in wire_schemas.query().items()}}
    return [{"name": name, "in": "query", **each} for name, each in given.items()]


def _owner(told: dict[str, Any]) -> list[dict[str, Any]]:
    if not told.get("owner"):
        return []
    length = {"minLength": MIN_OWNER_KEY_CHARS, "maxLength": MAX_OWNER_KEY_CHARS}
    return [
        {
            "name": "X-Owner-Key",
            "in": "header",
            "required": True,
            "description": "Random characters of the client's own: what is made with them belongs to who has"
            " them.",
            "schema": {"type": "string", **length},
        }
    ]
