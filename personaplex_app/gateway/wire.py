"""The ORBIT gateway's JSON voice protocol, without I/O: clients' messages to orders, events to messages.

Every message is one JSON object in a text frame. A client sends `audio_chunk`, `interrupt`, `ping` and `end`;
it gets `connected`, `audio_chunk`, `transcription`, `interrupted`, `pong` and `error`. A partial
transcription is replaced by the next one of its role.
Source: the public behaviour of the gateway's clients.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from typing import Any

import numpy as np

from ..audio import checked, float32_to_samples
from ..errors import ProtocolError, shorten
from ..json_input import read_json
from ..protocol_events import (
    AgentText,
    Audio,
    Ended,
    Failure,
    Interrupted,
    Notice,
    Pong,
    Ready,
    ToClient,
    Utterance,
)
from ..protocol_orders import FromClient, Interrupt, Ping, Stop
from ..units import FRAME_SAMPLES, SAMPLE_RATE_HZ

FORMAT = "pcm"
MAX_SAMPLES = 2 * SAMPLE_RATE_HZ
"""The most in one message: two seconds, the furthest that a client may be ahead of real time."""
# float32 samples in base64, which takes 4 bytes for 3, and some room for the JSON around them
MAX_MESSAGE_BYTES = MAX_SAMPLES * 4 * 4 // 3 + 1024
# half a second: a long chunk must not be answered all at once
_PIECE_SAMPLES = 6 * FRAME_SAMPLES
EVENTS = frozenset({Ready, Utterance, Interrupted, Pong, Notice, Ended})
"""The events that are sent to the gateway's clients."""
_ORDERS = {"interrupt": Interrupt(), "ping": Ping(), "end": Stop()}
# end reasons that are nobody's fault; the client gets the sentence as an error message before the close
_EXPLAINED_ENDS = ("time_limit", "idle", "draining")


def session_id_of(asked: str) -> str:
    """Return the session id that a client requested if it is well-formed, else a new one."""
    return asked if re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", asked) else secrets.token_hex(16)


class GatewayWire:
    """Both directions of one connection.

    `adapter` and `session_id` are sent to the client; the agent's sound is sent in chunks of `chunk_samples`.
    """

    def __init__(self, adapter: str, session_id: str, chunk_samples: int = FRAME_SAMPLES) -> None:
        self._adapter = adapter
        self._session_id = session_id
        self._chunk_bytes = 4 * chunk_samples
        self._unsent = b""
        self._chunks = 0
        self._captions = False

    def read(self, data: bytes | str) -> list[FromClient]:
        """Return the orders in a client's message; audio is checked float32.

        Raises: ProtocolError, BadAudio. The talk can go on after either.
        """
        if not isinstance(data, str):
            raise ProtocolError(
                "This socket takes text messages, one JSON object each; a binary message came."
            )
        try:
            message = read_json(data)
        except ValueError as error:
            raise ProtocolError(
                f"A message must be one JSON object; this one begins {shorten(data[:24])}: {error}."
            ) from None
        type_ = message.get("type") if isinstance(message, dict) else None
        if type_ == "audio_chunk":
            return _audio(message)
        if isinstance(type_, str) and type_ in _ORDERS:
            return [_ORDERS[type_]]
        raise ProtocolError(
            f"Message type {shorten(type_)} is unknown; send audio_chunk, {', '.join(_ORDERS)}."
        )

    def write(self, event: ToClient) -> list[str]:
        """Return the messages for an event; most events have none."""
        match event:
            case Audio(payload):
                return self._audio_chunks(payload)
            case AgentText(text) if not self._captions:
                # an engine without captions gives pieces of text that are final
                return [_json("transcription", text=text, partial=False, role="assistant")]
            case Failure(text, retry_after_s) if retry_after_s is not None:
                return [_json("error", message=text, retry_after_s=retry_after_s)]
            case Failure(text) | Notice(text=text):
                return [_json("error", message=text)]
            case Ready():
                return [self._connected(event)]
            case Utterance():
                role = "user" if event.speaker == "user" else "assistant"
                return [_json("transcription", text=event.text, partial=not event.final, role=role)]
            case Interrupted():
                # an incomplete chunk belongs to the speech that was cut
                self._unsent = b""
                return [_json("interrupted", reason="user_request")]
            case Pong():
                return [_json("pong")]
            case Ended() if event.reason in _EXPLAINED_ENDS:
                return [_json("error", message=event.text)]
            case _:
                return []

    def _connected(self, ready: Ready) -> str:
        self._captions = ready.capabilities.agent_captions
        # every engine steps while the user speaks, and every session can be interrupted: the contract says so
        can = {
            "full_duplex": True,
            "interruption": True,
            "backchannels": ready.capabilities.backchannels,
        }
        sound = {"audio_format": FORMAT, "sample_rate": SAMPLE_RATE_HZ}
        whose = {"adapter": self._adapter, "session_id": self._session_id}
        return _json("connected", **whose, mode="full_duplex", **sound, capabilities=can)

    def _audio_chunks(self, samples: bytes) -> list[str]:
        self._unsent += samples
        chunks = []
        while len(self._unsent) >= self._chunk_bytes:
            data = base64.b64encode(self._unsent[: self._chunk_bytes]).decode()
            self._unsent = self._unsent[self._chunk_bytes :]
            chunks.append(
                _json(
                    "audio_chunk",
                    data=data,
                    format=FORMAT,
                    sample_rate=SAMPLE_RATE_HZ,
                    chunk_index=self._chunks,
                )
            )
            self._chunks += 1
        return chunks


def _audio(message: dict[str, Any]) -> list[FromClient]:
    """Return a chunk's checked samples in pieces of a few frames: a talk answers a piece at a time."""
    data = message.get("data")
    format_ = message.get("format", FORMAT)
    rate = message.get("sample_rate", SAMPLE_RATE_HZ)
    if format_ != FORMAT or rate != SAMPLE_RATE_HZ:
        raise ProtocolError(
            f"Audio is float32 {FORMAT!r} at {SAMPLE_RATE_HZ} Hz; {shorten(format_)} at {shorten(rate)} came."
        )
    if not isinstance(data, str):
        raise ProtocolError(f"The data of an audio_chunk must be base64 text; {shorten(data)} came.")
    try:
        samples = checked(float32_to_samples(base64.b64decode(data, validate=True)))
    except ValueError:
        raise ProtocolError(
            f"The data of an audio_chunk must be base64; this begins {shorten(data[:24])}."
        ) from None
    if len(samples) > MAX_SAMPLES:
        raise ProtocolError(
            f"An audio_chunk of {len(samples)} samples came; the limit is {MAX_SAMPLES}. Send smaller ones."
        )
    pieces = np.split(samples, range(_PIECE_SAMPLES, len(samples), _PIECE_SAMPLES)) if len(samples) else []
    return [Audio(piece.astype("<f4", copy=False).tobytes()) for piece in pieces]


def _json(type_: str, **fields: Any) -> str:
    return json.dumps({"type": type_, **fields}, ensure_ascii=False)
