"""The AsyncAPI document of the WebSockets, from the typed events and orders."""

from __future__ import annotations

import inspect
from typing import Any

from .. import __version__
from ..gateway import wire as gateway
from ..protocol import MAX_MESSAGE_BYTES, Kind
from ..protocol_events import EVENTS
from ..protocol_orders import ORDERS
from ..units import SAMPLE_RATE_HZ
from . import wire_schemas

CHAT = "/api/chat"
GATEWAY = "/ws/voice/{adapter}"
_SECURITY_SCHEMES = {
    "key": {"type": "httpApiKey", "in": "header", "name": "X-API-Key"},
    "keyInQuery": {"type": "httpApiKey", "in": "query", "name": "api_key"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "login": {"type": "http", "scheme": "basic"},
}
_BINARY = {
    Kind.HANDSHAKE: "The talk begins: time zero is the next sample.",
    Kind.AUDIO: f"Mono sound at {SAMPLE_RATE_HZ} Hz: Ogg-Opus, or int16 little-endian with codec=pcm.",
    Kind.TEXT: "The agent's next piece of text, UTF-8.",
    Kind.CONTROL: "One byte: 0 start, 1 end of turn, 2 pause, 3 restart. A full-duplex talk needs none.",
    Kind.ERROR: "A sentence, UTF-8; the close follows.",
    Kind.PING: "A sign of life of the HTTP fallback.",
}
_SENT_BINARY = (Kind.HANDSHAKE, Kind.AUDIO, Kind.TEXT, Kind.ERROR)
_TAKEN_BINARY = (Kind.AUDIO, Kind.CONTROL)
_TEXT: wire_schemas.Schema = {"type": "string"}
_SOUND: wire_schemas.Schema = {
    "data": {"type": "string", "contentEncoding": "base64", "description": "float32, little-endian"},
    "format": {"const": gateway.FORMAT},
    "sample_rate": {"const": SAMPLE_RATE_HZ},
}
GATEWAY_SENDS: dict[str, wire_schemas.Schema] = {
    "connected": {
        "adapter": _TEXT,
        "session_id": _TEXT,
        "mode": _TEXT,
        "audio_format": {"const": gateway.FORMAT},
        "sample_rate": {"const": SAMPLE_RATE_HZ},
        "capabilities": {"type": "object", "additionalProperties": {"type": "boolean"}},
    },
    "audio_chunk": {**_SOUND, "chunk_index": {"type": "integer"}},
    "transcription": {
        "text": _TEXT,
        "partial": {"type": "boolean"},
        "role": {"enum": ["user", "assistant"]},
    },
    "interrupted": {"reason": _TEXT},
    "pong": {},
    "error": {"message": _TEXT, "retry_after_s": {"type": "integer"}},
}
"""The properties of each message that the gateway's clients get."""
GATEWAY_TAKES: dict[str, wire_schemas.Schema] = {
    "audio_chunk": _SOUND,
    "interrupt": {},
    "ping": {},
    "end": {},
}
_OPTIONAL = ("retry_after_s",)


def asyncapi(host: str, secure: bool = False, root_path: str = "", locked: bool = False) -> dict[str, Any]:
    """Return the AsyncAPI 3 document of an app that is reached at `host`.

    `locked`: every connection needs the login or the key.
    """
    security = [{"$ref": f"#/components/securitySchemes/{name}"} for name in _SECURITY_SCHEMES]
    server = {
        "host": host,
        "protocol": "wss" if secure else "ws",
        **({"pathname": root_path} if root_path else {}),
        **({"security": security} if locked else {}),
    }
    sides = {
        "chat": (
            {**_binary(_SENT_BINARY), **_json("event", EVENTS, wire_schemas.events())},
            {**_binary(_TAKEN_BINARY), **_json("order", ORDERS, wire_schemas.orders())},
        ),
        "gateway": (_gateway("sent", GATEWAY_SENDS), _gateway("taken", GATEWAY_TAKES)),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "personaplex-app",
            "version": __version__,
            "description": "The WebSockets of the app. Of /api/chat every message is binary: a first byte"
            f" that is the kind ({', '.join(f'{kind.value} {kind.name.lower()}' for kind in Kind)}),"
            f" then the payload described here; together at most {MAX_MESSAGE_BYTES} bytes.",
        },
        "defaultContentType": "application/json",
        "servers": {"app": server},
        "channels": {
            "chat": {
                "address": CHAT,
                "description": "A talk. JSON events come to clients that ask with events=1.",
                "messages": _references("chat", sides["chat"]),
                "bindings": {
                    "ws": {
                        "method": "GET",
                        "query": {"type": "object", "properties": wire_schemas.query()},
                        "bindingVersion": "0.1.0",
                    }
                },
            },
            "gateway": {
                "address": GATEWAY,
                "description": "For the ORBIT gateway's clients: text frames of one JSON object.",
                "parameters": {"adapter": {"description": "One that /voice/status lists."}},
                "messages": _references("gateway", sides["gateway"]),
            },
        },
        "operations": {
            f"{action}{channel.title()}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{channel}"},
                "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
            }
            for channel, both in sides.items()
            for action, messages in zip(("send", "receive"), both, strict=True)
        },
        "components": {
            "securitySchemes": _SECURITY_SCHEMES,
            "messages": {
                f"{channel}_{name}": message
                for channel, both in sides.items()
                for messages in both
                for name, message in messages.items()
            },
        },
    }


def _references(channel: str, sides: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{channel}_{name}"} for side in sides for name in side}


def _binary(kinds: tuple[Kind, ...]) -> dict[str, Any]:
    return {
        kind.name.lower(): {
            "name": kind.name.lower(),
            "summary": _BINARY[kind],
            "contentType": "application/octet-stream",
            "payload": {"type": "string"},
            "x-kind": kind.value,
        }
        for kind in kinds
    }


def _json(side: str, classes: dict[str, type], schemas: dict[str, wire_schemas.Schema]) -> dict[str, Any]:
    return {
        f"{side}_{type_}": {
            "name": type_,
            "summary": (inspect.getdoc(classes[type_]) or "").replace("`", "").split("\n\n")[0],
            "description": inspect.getdoc(classes[type_]),
            "payload": schema,
            "x-kind": Kind.METADATA.value,
        }
        for type_, schema in schemas.items()
    }


def _gateway(side: str, messages: dict[str, wire_schemas.Schema]) -> dict[str, Any]:
    return {
        f"{side}_{type_}": {
            "name": type_,
            "payload": {
                "type": "object",
                "properties": {"type": {"const": type_}, **properties},
                # a client may leave the form of its sound out
                "required": [
                    "type",
                    *(
                        name
                        for name in properties
                        if name not in _OPTIONAL and (side == "sent" or name == "data")
                    ),
                ],
            },
        }
        for type_, properties in messages.items()
    }
