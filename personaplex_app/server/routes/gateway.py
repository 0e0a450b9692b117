"""`/ws/voice/{adapter}`: the same talks for clients of the ORBIT gateway, whose messages
`gateway.wire.GatewayWire` translates.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from ...errors import BadInput, CapacityError, NotAllowed, PersonaplexError, ProtocolError
from ...gateway.adapters import Adapter
from ...gateway.wire import GatewayWire, session_id_of
from ...protocol import ChatRequest, Kind, Message
from ...units import SAMPLE_RATE_HZ
from ..app_state import AppState
from ..auth import has_key
from ..channel import WebSocketChannel
from ..end_reasons import EntryPolicy
from ..http import address_of
from ..talk import Talk
from .chat import refuse

TRANSPORT = "gateway"
WAIT_S = 60.0
"""How long a client waits for `connected`, of which its protocol tells it nothing."""
MESSAGES_PER_S = 200
BAD_MESSAGES = 20


def gateway_routes(app_state: AppState) -> list[BaseRoute]:
    """Return the gateway's route."""
    keys = (app_state.settings.gateway_key, app_state.settings.api_key)
    talking: defaultdict[str, int] = defaultdict(int)

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        name = socket.path_params["adapter"]
        session_id = session_id_of(socket.query_params.get("session_id", ""))
        channel = WebSocketChannel(socket, app_state.metrics.traffic(TRANSPORT))
        try:
            app_state.rate.admit(address_of(socket))
            adapter = app_state.adapters.find(name)
            if adapter.needs_key and not has_key(socket, *keys):
                raise NotAllowed(
                    f"The adapter {adapter.name} asks for an API key; give it as api_key= in the address."
                )
            wire = GatewayWire(adapter.name, session_id, adapter.chunk_ms * SAMPLE_RATE_HZ // 1000)
            with _place(talking, adapter, app_state.adapters.limits.sessions):
                told = GatewayChannel(channel, wire, app_state.metrics.errors)
                await Talk(told, _request(adapter), app_state, _policy(adapter)).run()
        except PersonaplexError as error:
            await refuse(
                GatewayChannel(channel, GatewayWire(name, session_id), app_state.metrics.errors),
                error,
                app_state,
            )

    return [WebSocketRoute("/ws/voice/{adapter}", talk)]


@contextmanager
def _place(talking: dict[str, int], adapter: Adapter, most: int) -> Iterator[None]:
    """Count a client, waiting or talking. Raises: CapacityError when there are enough."""
    if sum(talking.values()) >= most or talking[adapter.name] >= adapter.max_sessions:
        raise CapacityError(
            f"{min(most, adapter.max_sessions)} sessions are open, which is the most; try again in a few"
            " minutes."
        )
    talking[adapter.name] += 1
    try:
        yield
    finally:
        talking[adapter.name] -= 1


def _request(adapter: Adapter) -> ChatRequest:
    return ChatRequest(codec="float", events=True, sampling=adapter.sampling)


def _policy(adapter: Adapter) -> EntryPolicy:
    # a client may be silent until it is idle; one that is gone does not answer the WebSocket's pings
    return EntryPolicy(adapter.talk_s, adapter.idle_s, WAIT_S, math.inf, adapter.persona, TRANSPORT)


class GatewayChannel:
    """Our messages to the talk's side, the gateway's to the client's.

    What a client says wrongly it is told, and the talk goes on.
    """

    def __init__(self, channel: WebSocketChannel, wire: GatewayWire, errors: Counter) -> None:
        self._channel = channel
        self._wire = wire
        self._errors = errors
        self._read: deque[bytes] = deque()
        self._all = TokenBucket(MESSAGES_PER_S, 2 * MESSAGES_PER_S)
        self._bad = TokenBucket(1, BAD_MESSAGES)

    async def receive(self) -> bytes | str:
        """Return the next message that can be used. Raises: Disconnected, ProtocolError for a flood."""
        while not self._read:
            data = await self._channel.receive()
            if not self._all.take():
                raise ProtocolError(
                    f"More than {MESSAGES_PER_S} messages a second came; send audio in larger pieces."
                )
            try:
                self._read.extend(message.encode() for message in self._wire.read(data))
            except BadInput as error:
                if not self._bad.take():
                    raise ProtocolError(
                        f"Too many messages came that cannot be used. The last: {error}"
                    ) from None
                self._errors.labels(error.code).inc()
                await self.send(Message(Kind.ERROR, str(error).encode()).encode())
        return self._read.popleft()

    async def send(self, data: bytes) -> None:
        """Send what the client is to read of one of our messages. Raises: Disconnected."""
        for text in self._wire.write(Message(Kind(data[0]), data[1:])):
            await self._channel.send_text(text)

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye; never raises."""
        await self._channel.close(code, reason)


class TokenBucket:
    """So many of something a second, and `most` at once."""

    def __init__(self, per_s: float, most: float) -> None:
        self._per_s = per_s
        self._left = self._most = most
        self._at_s = time.monotonic()

    def take(self) -> bool:
        """Count one; False when there were too many."""
        now_s = time.monotonic()
        self._left = min(self._most, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
