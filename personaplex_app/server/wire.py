"""The one place that turns what a client is told into the wire's messages, and its messages into orders.

No I/O: bytes belong to the channels, the form of the sound to the talk's codec.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from ..protocol import Control, Kind, Message, metadata, parse_order
from ..protocol_events import (
    EVENTS,
    AgentText,
    Audio,
    Begun,
    ControlStart,
    Failure,
    FromClient,
    KeepAlive,
    ToClient,
    TurnLatency,
    Utterance,
)

_TYPES = {cls: type_ for type_, cls in EVENTS.items()}
_DIGITS = {
    "start_s": 3,
    "end_s": 3,
    "at_s": 2,
    "upto_s": 2,
    "duration_s": 2,
    "left_s": 1,
    "limit_s": 1,
    "p50": 2,
    "p95": 2,
    "p99": 2,
}
"""How finely numbers are told, by the name of their field; others as they are."""
_START = bytes([Control.START])


def message_of(event: ToClient) -> Message:
    """Return an event as a message of the moshi family."""
    match event:
        case Audio(payload):
            return Message(Kind.AUDIO, payload)
        case AgentText(text):
            return Message(Kind.TEXT, text.encode())
        case Begun():
            return Message(Kind.HANDSHAKE)
        case Failure(text):
            return Message(Kind.ERROR, text.encode())
        case _:
            return metadata(_TYPES[type(event)], **event_fields(event))


def event_fields(event: Any) -> dict[str, Any]:
    """Return the fields of an event's JSON object: the event's own, rounded, with few exceptions."""
    told = {field.name: _told(field.name, getattr(event, field.name)) for field in fields(event)}
    match event:
        case Utterance():
            told["words"] = [[w.text, round(w.start_s, 3), round(w.end_s, 3)] for w in event.words]
        case TurnLatency():
            told["latency_ms"] = event.latency_ms
    return told


def _told(name: str, value: Any) -> Any:
    if is_dataclass(value):
        return event_fields(value)
    return round(value, _DIGITS[name]) if name in _DIGITS else value


def order_of(message: Message) -> FromClient:
    """Return what a client's message brings.

    Raises: ProtocolError for a metadata message that is no JSON object with a `type`.
    """
    match message.kind:
        case Kind.AUDIO:
            return Audio(message.payload)
        case Kind.METADATA:
            return parse_order(message.json())
        case Kind.CONTROL if message.payload[:1] == _START:
            return ControlStart()
        case _:
            # end of turn, pause, restart, pings, and echoes of what only a server says
            return KeepAlive()
