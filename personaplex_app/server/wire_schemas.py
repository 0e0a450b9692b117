"""JSON Schemas of what goes over the wire, made from the typed events and orders themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..protocol import SAMPLING_LIMITS
from ..protocol_events import EVENTS, TurnLatency, Utterance
from ..protocol_fields import MOST_LEASE_S, MOST_RECEIVED, TEXT_LIMITS
from ..protocol_orders import ORDERS, Start

Schema = dict[str, Any]
_SCALARS: Mapping[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    NoneType: {"type": "null"},
    Any: {},
}
_WORD: Schema = {
    "type": "array",
    "description": "[text, start_s, end_s]",
    "minItems": 3,
    "maxItems": 3,
    "items": {"type": ["string", "number"]},
}
_OTHER_ON_THE_WIRE: Mapping[type, Schema] = {
    Utterance: {"words": {"type": "array", "items": _WORD}},
    TurnLatency: {"latency_ms": {"type": "integer"}},
}
"""The fields that `wire.event_fields` sends in another form than the event has them."""
_LIMITS: Mapping[str, Schema] = {
    **{name: {"maxLength": most} for name, most in TEXT_LIMITS.items()},
    **{name: {"minimum": least, "maximum": most} for name, (least, most, _) in SAMPLING_LIMITS.items()},
    "lease_s": {"minimum": 0, "maximum": MOST_LEASE_S},
    "received": {"minimum": 0, "maximum": MOST_RECEIVED},
}
"""Of what a client sends, by the name of the field."""


def events() -> dict[str, Schema]:
    """Return the schema of each event that is sent as a JSON object, by its `type`."""
    return {type_: _message(type_, cls, _OTHER_ON_THE_WIRE.get(cls, {})) for type_, cls in EVENTS.items()}


def orders() -> dict[str, Schema]:
    """Return the schema of each order that a client can send as a JSON object, by its `type`.

    A field that may be None in the typed order may be left out.
    """
    return {type_: _message(type_, cls, _given(cls), sent=False) for type_, cls in ORDERS.items()}


def query() -> dict[str, Schema]:
    """Return the schemas of the query of `/api/chat`, by the name of the field."""
    flag = {"enum": ["0", "1"]}
    start = {name: flag if each["type"] == "boolean" else each for name, each in _given(Start).items()}
    # clients of this family send -1 for a seed of the server's choosing
    start["seed"] = {**start["seed"], "minimum": -1}
    return {
        "codec": {"enum": ["opus", "pcm"], "default": "opus"},
        "sample_rate": {"enum": ["24000"]},
        "events": flag,
        "config": {"enum": ["message"]},
        **start,
    }


def _given(cls: type) -> dict[str, Schema]:
    """Return the schemas of an order's fields as a client gives them: without null, within their limits."""
    hints = get_type_hints(cls)
    found = {}
    for field in fields(cls):
        inner = [each for each in get_args(hints[field.name]) if each is not NoneType]
        annotation = inner[0] if len(inner) == 1 else hints[field.name]
        found[field.name] = {**_of(annotation), **_LIMITS.get(field.name, {})}
    return found


def _message(type_: str, cls: type, other: Mapping[str, Schema], sent: bool = True) -> Schema:
    own = {} if not sent else _fields(cls)
    given = {**own, **other}
    needed = [f.name for f in fields(cls) if f.default is MISSING]
    return {
        "type": "object",
        "properties": {"type": {"const": type_}, **given},
        # the server sends every field; a client need not
        "required": ["type", *(given if sent else needed)],
    }


def _fields(cls: type) -> dict[str, Schema]:
    return {name: _of(hint) for name, hint in get_type_hints(cls).items()}


def _of(annotation: Any) -> Schema:
    """Return the schema of a type that a typed event has."""
    if annotation in _SCALARS:
        return dict(_SCALARS[annotation])
    if is_dataclass(annotation) and isinstance(annotation, type):
        properties = _fields(annotation)
        return {"type": "object", "properties": properties, "required": list(properties)}
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _of(arguments[0])}
    if origin in (UnionType, Union):
        return {"anyOf": [_of(each) for each in arguments]}
    raise TypeError(f"{annotation} has no schema; add it to wire_schemas.py.")
