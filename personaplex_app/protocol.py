"""The moshi wire protocol, without I/O: bytes in, messages out, or a `ProtocolError`.

A message is one kind byte and a payload. Every client knows kinds 0 to 2; the others are sent only to clients
that ask for them with `events=1`. Audio is Ogg-Opus unless `codec=pcm` asks for little-endian int16. Kind 4
carries one JSON object whose `type` says which event or order it is.
Source: the public behaviour of moshi servers and clients.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Literal, get_args

from .errors import BadInput, MessageTooBig, ProtocolError, WrongFrame, shorten
from .json_input import read_json
from .protocol_fields import (
    MOST_LEASE_S,
    MOST_RECEIVED,
    number_or_none,
    take_flag,
    take_language,
    take_number,
    take_text,
    take_word,
)
from .protocol_orders import (
    BadOrder,
    Hold,
    Interrupt,
    Moment,
    More,
    Order,
    Ping,
    Playback,
    Resume,
    SamplingChange,
    Say,
    Start,
    Stop,
    Typed,
    UnknownOrder,
    Unsay,
)

# 1.4 s of PCM: clients that send in real time never come near it
MAX_MESSAGE_BYTES = 64 * 1024
_LENGTH = struct.Struct("<I")


class Kind(IntEnum):
    """The first byte of a message."""

    HANDSHAKE = 0
    AUDIO = 1
    TEXT = 2
    CONTROL = 3
    METADATA = 4
    ERROR = 5
    PING = 6


class Control(IntEnum):
    """The second byte of a control message."""

    START = 0
    END_TURN = 1
    PAUSE = 2
    RESTART = 3


@dataclass(frozen=True)
class Message:
    """One message of the wire protocol: its kind byte and its payload."""

    kind: Kind
    payload: bytes = b""

    def encode(self) -> bytes:
        """Return the message as it goes over the wire."""
        return bytes([self.kind]) + self.payload

    def json(self) -> dict[str, Any]:
        """Return the JSON object of a metadata message.

        Raises: ProtocolError when it is not one JSON object with a string `type`.
        """
        try:
            value = read_json(self.payload)
        except ValueError as error:
            raise ProtocolError(
                f"A metadata message must be JSON; this one begins {shorten(self.payload[:24])}: {error}."
            ) from None
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise ProtocolError(
                'A metadata message must be a JSON object with a "type", such as {"type": "stop"}.'
            )
        return value


def decode(data: bytes | bytearray | str) -> Message:
    """Decode the message in one WebSocket frame.

    Raises: ProtocolError for text, nothing, too much, or an unknown kind.
    """
    if isinstance(data, str):
        raise WrongFrame(
            "This socket takes binary messages whose first byte is the kind; a text message came."
        )
    if not data:
        raise ProtocolError("An empty message came; the first byte of every message is its kind.")
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageTooBig(
            f"A message of {len(data)} bytes came; the limit is {MAX_MESSAGE_BYTES}. Send audio in smaller"
            " pieces."
        )
    try:
        kind = Kind(data[0])
    except ValueError:
        raise ProtocolError(f"Message kind {data[0]} is unknown; kinds are 0 to {max(Kind)}.") from None
    return Message(kind, bytes(data[1:]))


def metadata(type_: str, **fields: Any) -> Message:
    """Return a kind 4 message."""
    return Message(
        # a text that a client sent may hold lone surrogates, which UTF-8 cannot encode
        Kind.METADATA,
        json.dumps({"type": type_, **fields}, ensure_ascii=False).encode(errors="replace"),
    )


def pack(messages: list[bytes]) -> bytes:
    """Pack encoded messages into one HTTP body, each after its length (uint32, little-endian)."""
    return b"".join(_LENGTH.pack(len(m)) + m for m in messages)


def unpack(body: bytes) -> Iterator[bytes]:
    """Yield the messages of a packed body.

    Raises: ProtocolError when a length does not fit.
    """
    at = 0
    while at < len(body):
        if len(body) - at < _LENGTH.size:
            raise ProtocolError(
                "A packed body ends inside a length; each message needs 4 bytes of length before it."
            )
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        if length > len(body) - at:
            raise ProtocolError(f"A packed message claims {length} bytes where {len(body) - at} are left.")
        yield body[at : at + length]
        at += length


@dataclass(frozen=True)
class ChatRequest:
    """A client's request for a talk, from the query or, with `config=message`, from its `start` message."""

    voice: str = ""
    # None: not given, so that the persona's prompt is used; "": given as empty, for a talk without a role
    prompt: str | None = None
    persona: str = ""
    codec: Literal["opus", "pcm"] = "opus"
    events: bool = False
    config_follows: bool = False
    owner: str = ""
    keep: bool = False
    # whether the client means to come back to the talk after a broken connection
    resumable: bool = False
    # "": the server's own
    engine: str = ""
    # "": the role's own
    language: str = ""
    # how long the talk's device is lent, where it must be; 0: the usual
    lease_s: int = 0
    sampling: Mapping[str, Any] = field(default_factory=dict)

    def configured(self, start: Start) -> ChatRequest:
        """Return this request with the fields of a `start` message."""
        changes = {
            "voice": start.voice_prompt,
            "prompt": start.text_prompt,
            "persona": start.persona,
            "owner": start.owner,
            "engine": start.engine,
            "language": start.language,
            "lease_s": start.lease_s,
        }
        return replace(
            self,
            config_follows=False,
            keep=start.keep or self.keep,
            resumable=start.resumable or self.resumable,
            sampling={**self.sampling, **_given_fields(start, SAMPLING_LIMITS)},
            **{name: value for name, value in changes.items() if value is not None},
        )


# name: (smallest, largest, whole numbers only)
SAMPLING_LIMITS = {
    "audio_temperature": (0.0, 2.0, False),
    "text_temperature": (0.0, 2.0, False),
    "audio_topk": (1, 2048, True),
    "text_topk": (1, 32_000, True),
    "seed": (0, 2**31 - 1, True),
}


def parse_query(query: Mapping[str, str]) -> ChatRequest:
    """Parse the query of `/api/chat`.

    Raises: BadInput naming the field, its value and what it may be. Unknown fields are ignored, as every
    server of this family does.
    """
    rate = query.get("sample_rate", "24000")
    if rate != "24000":
        raise BadInput(
            f"Sample rate {shorten(rate)} is not served; audio is 24000 Hz mono. Resample before sending."
        )
    codec = query.get("codec", "opus")
    if codec not in ("opus", "pcm"):
        raise BadInput(f"Codec {shorten(codec)} is unknown; use opus (the default) or pcm.")
    base = ChatRequest(
        codec=codec,
        events=take_flag(query.get("events"), "events"),
        config_follows=query.get("config") == "message",
    )
    asked = dict(query)
    # clients of this family send fields they leave blank, and -1 for a seed of the server's choosing
    if not asked.get("text_prompt", "").strip():
        asked.pop("text_prompt", None)
    if asked.get("seed") == "-1":
        del asked["seed"]
    return replace(base.configured(parse_start(asked)), config_follows=base.config_follows)


def parse_start(fields: Mapping[str, Any]) -> Start:
    """Parse the fields of a talk that a query and a `start` message share.

    Raises: BadInput naming the field, its value and what it may be.
    """
    voice = take_text(fields, "voice_prompt")
    lease_s = fields.get("lease_s")
    return Start(
        # the reference's clients name a voice by its file
        voice_prompt=voice and voice.removesuffix(".pt"),
        text_prompt=take_text(fields, "text_prompt"),
        persona=take_text(fields, "persona"),
        engine=take_text(fields, "engine"),
        language=take_language(fields.get("language")),
        lease_s=int(take_number("lease_s", lease_s, 0, MOST_LEASE_S, True)) if lease_s else None,
        owner=take_text(fields, "owner"),
        keep=take_flag(fields.get("keep"), "keep"),
        resumable=take_flag(fields.get("resumable"), "resumable"),
        **_sampling(fields),
    )


def parse_order(fields: Mapping[str, Any]) -> Order:
    """Return the order in a client's metadata message.

    One that cannot be carried out is a `BadOrder` or an `UnknownOrder`; the talk decides what follows.
    """
    match fields["type"]:
        case str() as type_ if type_ in _PARSERS:
            try:
                return _PARSERS[type_](fields)
            except BadInput as error:
                return BadOrder(type_, str(error))
        case "interrupt":
            return Interrupt()
        case "playback":
            underruns = fields.get("underruns")
            return Playback(
                underruns if isinstance(underruns, int) else None,
                number_or_none(fields.get("buffer_ms")),
                number_or_none(fields.get("trimmed_ms")),
            )
        case "ping":
            return Ping(fields.get("sent"))
        case "stop":
            return Stop()
        case unknown:
            return UnknownOrder(unknown)


def _resume(fields: Mapping[str, Any]) -> Resume:
    token = take_text(fields, "token")
    if not token:
        raise BadInput("A resume message needs the token that the talk's last resumable event had.")
    received = fields.get("received")
    return Resume(
        token,
        owner=take_text(fields, "owner"),
        received=None if received is None else int(take_number("received", received, 0, MOST_RECEIVED, True)),
    )


def _sampling_change(fields: Mapping[str, Any]) -> SamplingChange:
    if "seed" in fields:
        raise BadInput("The seed is chosen when a talk begins and stays; start a new talk with another one.")
    changes = _sampling(fields)
    if not changes:
        names = ", ".join(name for name in SAMPLING_LIMITS if name != "seed")
        raise BadInput(f"A sampling message changes at least one of {names}.")
    return SamplingChange(**changes)


def _typed(fields: Mapping[str, Any]) -> Typed:
    # lines and columns of a paste are spaces, what cannot be seen is nothing
    written = take_text(fields, "text") or ""
    text = " ".join("".join(c for c in written if c.isprintable() or c.isspace()).split())
    if not any(c.isalnum() for c in text):
        raise BadInput("A typed line needs at least a word.")
    return Typed(text)


def _line(fields: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name and the text of a line to be said. Raises: BadInput."""
    name = take_text(fields, "id")
    if not name:
        raise BadInput("A line needs an id, by which it is told how it fares.")
    return name, take_text(fields, "text", "line") or ""


def _say(fields: Mapping[str, Any]) -> Say:
    return Say(
        *_line(fields),
        last=take_flag(fields.get("last", True), "last"),
        when=take_word(fields, "when", get_args(Moment)),
        then=take_word(fields, "then", ("free", "hold")),
        interruptible=take_flag(fields.get("interruptible", True), "interruptible"),
    )


_PARSERS = {
    "start": parse_start,
    "resume": _resume,
    "sampling": _sampling_change,
    "typed": _typed,
    "say": _say,
    "more": lambda fields: More(*_line(fields), take_flag(fields.get("last", True), "last")),
    "unsay": lambda fields: Unsay(take_text(fields, "id") or ""),
    "hold": lambda fields: Hold(take_flag(fields.get("on", True), "on")),
}


def _given_fields(order: Start | SamplingChange, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an order that are among `names` and were given."""
    return {name: value for name, value in vars(order).items() if name in names and value is not None}


def _sampling(fields: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name in SAMPLING_LIMITS if (value := fields.get(name)) not in (None, "")}
    return {name: take_number(name, value, *SAMPLING_LIMITS[name]) for name, value in given.items()}
