"""The readers of what comes from outside, each as a function of bytes that raises documented errors only.

A fuzzer and generated cases enter here.
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np

from personaplex_app.codec import Opus
from personaplex_app.gateway.wire import GatewayWire
from personaplex_app.protocol import ChatRequest, decode, pack, parse_query, unpack
from personaplex_app.protocol_events import Pong
from personaplex_app.protocol_orders import Ping, Start
from personaplex_app.server.wire import message_of, order_of
from personaplex_app.units import FRAME_SAMPLES

GOLDEN = Path(__file__).parents[1] / "golden"
PIECE_BYTES = 500


def read_wire(data: bytes) -> None:
    """Read a binary message of the chat route, and do what its order asks of a request."""
    order = order_of(decode(data))
    if isinstance(order, Start):
        ChatRequest().configured(order)
    elif isinstance(order, Ping):
        message_of(Pong(order.sent)).encode()


def read_gateway(data: bytes) -> None:
    """Read a message of the gateway: text, or bytes where it is no text."""
    try:
        GatewayWire("assistant", "session").read(data.decode())
    except UnicodeDecodeError:
        GatewayWire("assistant", "session").read(data)


def read_query(data: bytes) -> None:
    """Read the query of the chat route."""
    parse_query(dict(parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True)))


def read_packed(data: bytes) -> None:
    """Read the body of a message over HTTP."""
    for message in unpack(data):
        read_wire(message)


def read_opus(data: bytes) -> None:
    """Read an Ogg-Opus stream in pieces."""
    codec = Opus()
    for at in range(0, len(data), PIECE_BYTES):
        codec.decode(data[at : at + PIECE_BYTES])


def read_voices(data: bytes) -> None:
    """Read, by the first byte, an archive of voices, what is packed in one, or one voice in either form."""
    # only this reader needs torch
    from personaplex_app.model.voice_files import from_safetensors, parse_pt
    from personaplex_app.voices import read_archive

    form, content = data[:1], data[1:]
    if form == b"p":
        parse_pt("NATF0", content, _lm_config())
    elif form == b"s":
        from_safetensors("mine", content, _lm_config())
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(gzip.compress(content, 1) if form == b"t" else content)
            file.flush()
            read_archive(Path(file.name))


@cache
def _lm_config():
    from . import tiny

    return tiny.checkpoint().lm.config


PROTOCOL: dict[str, Callable[[bytes], None]] = {
    "wire": read_wire,
    "gateway": read_gateway,
    "query": read_query,
    "packed": read_packed,
}


def read_messages(data: bytes) -> None:
    """Read, by the first byte, a message of one of the protocol's readers."""
    readers = list(PROTOCOL.values())
    readers[(data[0] if data else 0) % len(readers)](data[1:])


FUZZED = {"messages": read_messages, "opus": read_opus, "voices": read_voices}


def seeds(reader: str) -> list[bytes]:
    """Return inputs that a reader takes, for a fuzzer to begin with."""
    if reader == "messages":
        start = b'{"type": "start", "voice_prompt": "NATF0.pt", "text_prompt": "You are Ada.", "seed": 7}'
        messages = [b"\x04" + start, b'\x04{"type": "sampling", "audio_topk": 250}', b"\x01" + bytes(64)]
        messages += [
            b'\x04{"type": "ping", "sent": 1}',
            b'\x04{"type": "resume", "token": "abc"}',
            b'\x04{"type": "say", "id": "a", "text": "Hello.", "last": false}',
            b'\x04{"type": "more", "id": "a", "text": "Goodbye.", "last": true}',
            b'\x04{"type": "unsay", "id": "a"}',
            b'\x04{"type": "hold", "on": true}',
            b"\x03\x00",
        ]
        chunk = b'{"type": "audio_chunk", "data": "AAAAAA==", "format": "pcm", "sample_rate": 24000}'
        query = b"codec=pcm&events=1&voice_prompt=NATF0&seed=3&keep=1&owner=0123456789abcdef"
        return [
            *(b"\0" + message for message in messages),
            b"\1" + chunk,
            b"\2" + query,
            b"\3" + pack(messages),
        ]
    if reader == "opus":
        writer = Opus()
        noise = np.random.default_rng(0).normal(0, 0.1, (12, FRAME_SAMPLES)).astype(np.float32)
        pages = [writer.encode(frame) for frame in noise]
        return [b"".join(pages), b"".join(pages[:4])]
    from personaplex_app.voices import read_archive

    packed = (GOLDEN / "voices.tgz").read_bytes()
    voice = read_archive(GOLDEN / "voices.tgz")["NATF0"]
    from personaplex_app.model.voice_files import parse_pt, to_safetensors

    exported = to_safetensors(parse_pt("NATF0", voice, _lm_config()))
    return [b"g" + packed, b"t" + gzip.decompress(packed)[:8192], b"p" + voice, b"s" + exported]
