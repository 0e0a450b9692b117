"""A short talk with the running app, without a microphone: the user is spoken by the embedded synthesiser."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import numpy as np
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from ..errors import EngineError
from ..evaluation.pictures import lane
from ..protocol import Kind
from ..speech.synthesiser import TIMBRES, Synthesiser
from ..units import FRAME_SAMPLES, SAMPLE_RATE_HZ

PERSONA = "waste-collection"
QUESTION = "How much is the compost bin?"
GREETING_S = 5.0
ANSWER_S = 7.0
PATIENCE_S = 120.0
AUDIBLE = 0.01


@dataclass
class CheckTalk:
    """What both sides said. Shapes: `user` and `agent` are float32 [N] at 24 kHz."""

    user: np.ndarray
    agent: np.ndarray
    engine: str
    title: str = "A check of the app"
    happened: list[dict[str, Any]] = field(default_factory=list)
    user_words: list[dict[str, Any]] = field(default_factory=list)
    agent_words: list[dict[str, Any]] = field(default_factory=list)

    @property
    def duration_s(self) -> float:
        return len(self.user) / SAMPLE_RATE_HZ

    def drawn(self) -> str:
        """Return both sides on one time axis, as SVG."""
        return lane(self, self.user, self.agent)

    def verdict(self) -> str:
        """Return in a sentence whether the agent was heard, and what it said."""
        asked = int(GREETING_S * SAMPLE_RATE_HZ)
        if not np.any(np.abs(self.agent[asked:]) > AUDIBLE):
            return f"{self.engine} was not heard after the question; look at the app's log."
        said = " ".join(word["text"] for word in self.agent_words)
        return f"{self.engine} was heard. {f'It said: {said}' if said else ''}".strip()


def hold_talk(url: str) -> CheckTalk:
    """Hold a talk of about 14 s in real time with the app at `url`, and return it.

    Raises: EngineError when there is no talk.
    """
    silence = np.zeros(int(GREETING_S * SAMPLE_RATE_HZ), np.float32)
    spoken = Synthesiser().speak(QUESTION, TIMBRES[0]).samples
    user = np.concatenate([silence, spoken, np.zeros(int(ANSWER_S * SAMPLE_RATE_HZ), np.float32)])
    user = user[: len(user) // FRAME_SAMPLES * FRAME_SAMPLES]
    query = urlencode({"codec": "pcm", "events": "1", "persona": PERSONA})
    try:
        with connect(f"{url.replace('http', 'ws', 1)}/api/chat?{query}", open_timeout=PATIENCE_S) as socket:
            return _talk(socket, user)
    except (OSError, WebSocketException) as error:
        raise EngineError(f"The app at {url} holds no talk ({error}); is it running?") from None


def _talk(socket: ClientConnection, user: np.ndarray) -> CheckTalk:
    talk = CheckTalk(user, np.zeros(0, np.float32), "The agent")
    heard: list[np.ndarray] = []
    problem = ""

    def take(message: str | bytes) -> int:
        nonlocal problem
        assert isinstance(message, bytes)
        kind, payload = message[0], message[1:]
        if kind == Kind.AUDIO:
            heard.append(np.frombuffer(payload, "<i2").astype(np.float32) / 32768)
        elif kind == Kind.ERROR:
            problem = payload.decode()
        elif kind == Kind.METADATA:
            _note(talk, json.loads(payload))
        return kind

    until_s = time.monotonic() + PATIENCE_S
    while take(socket.recv(timeout=max(0.0, until_s - time.monotonic()))) != Kind.HANDSHAKE:
        if problem:
            raise EngineError(problem)
    pcm = (np.clip(user, -1, 1) * 32767).astype("<i2")
    began_s = time.monotonic()
    for at in range(0, len(pcm), FRAME_SAMPLES):
        socket.send(bytes([Kind.AUDIO]) + pcm[at : at + FRAME_SAMPLES].tobytes())
        # as it would be recorded: what has come is taken until the next frame is due
        due_s = began_s + (at + FRAME_SAMPLES) / SAMPLE_RATE_HZ
        while (left_s := due_s - time.monotonic()) > 0:
            try:
                take(socket.recv(timeout=left_s))
            except TimeoutError:
                break
    agent = np.concatenate([*heard, np.zeros(len(user), np.float32)])[: len(user)]
    talk.agent = agent
    return talk


def _note(talk: CheckTalk, event: dict[str, Any]) -> None:
    if event["type"] == "ready":
        talk.engine = event["engine_title"]
    elif event["type"] == "utterance" and event["final"]:
        words = [{"text": text, "start_s": start_s} for text, start_s, _ in event["words"]]
        words = words or [{"text": event["text"], "start_s": event["start_s"]}]
        (talk.user_words if event["speaker"] == "user" else talk.agent_words).extend(words)
