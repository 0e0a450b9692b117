"""Turn events into the wire's messages, and a client's messages into orders. Nothing else does.

No I/O: the channels send and receive bytes, and the talk's codec codes the sound.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from ..protocol import Control, Kind, Message, metadata, parse_order
from ..protocol_events import EVENTS, AgentText, Audio, Begun, Failure, ToClient, TurnLatency, Utterance
from ..protocol_orders import ControlStart, FromClient, KeepAlive

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
"""To how many digits numbers are rounded, by the name of their field; others are sent as they are."""
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
    values = {field.name: _field(field.name, getattr(event, field.name)) for field in fields(event)}
    match event:
        case Utterance():
            values["words"] = [[w.text, round(w.start_s, 3), round(w.end_s, 3)] for w in event.words]
        case TurnLatency():
            values["latency_ms"] = event.latency_ms
    return values


def _field(name: str, value: Any) -> Any:
    if is_dataclass(value):
        return event_fields(value)
    return round(value, _DIGITS[name]) if name in _DIGITS else value


def order_of(message: Message) -> FromClient:
    """Return the order in a client's message.

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
            # end of turn, pause, restart, pings, and kinds that only a server sends: all they say is that the
            # client is there
            return KeepAlive()
