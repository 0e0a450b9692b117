"""`/ws/voice/{adapter}`: the same talks for clients of the ORBIT gateway, whose messages
`gateway.wire.GatewayWire` translates.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from ...codec import Float32
from ...errors import BadInput, CapacityError, CloseCode, NotAllowed, PersonaplexError, ProtocolError
from ...gateway.adapters import Adapter
from ...gateway.wire import EVENTS, GatewayWire, session_id_of
from ...principal import NOBODY
from ...protocol import ChatRequest
from ...protocol_events import Failure, ToClient
from ...protocol_orders import FromClient
from ...sessions.shares import Shares
from ...units import SAMPLE_RATE_HZ
from ..allowance import Allowance, TokenBucket
from ..app_state import AppState
from ..channel import Frames
from ..entry_point import EntryPoint, EntryPolicy
from ..http import principal_of
from ..talk import Talk
from .chat import refuse

NAME = "gateway"
WAIT_S = 60.0
"""How long a client waits for `connected`, of which its protocol tells it nothing."""
BAD_MESSAGES = 20


def gateway_routes(app_state: AppState) -> list[BaseRoute]:
    """Return the gateway's route."""
    talking: defaultdict[str, int] = defaultdict(int)
    shares = Shares(app_state.adapters.limits.sessions, "sessions")

    async def arrive(socket: WebSocket) -> None:
        async with app_state.arrivals.turn() as answered:
            await socket.accept()
            await talk(socket, Frames(socket, app_state.metrics.traffic(NAME), answered))

    async def talk(socket: WebSocket, frames: Frames) -> None:
        name = socket.path_params["adapter"]
        session_id = session_id_of(socket.query_params.get("session_id", ""))
        try:
            caller = principal_of(socket)
            app_state.rate.admit(caller)
            adapter = app_state.adapters.find(name)
            if adapter.needs_key and "gateway" not in caller.scopes:
                raise NotAllowed(
                    f"The adapter {adapter.name} asks for an API key; give it as api_key= in the address."
                )
            wire = GatewayWire(adapter.name, session_id, adapter.chunk_ms * SAMPLE_RATE_HZ // 1000)
            # who has the gateway's key is the operator's own program, which all its users call from
            sharer = NOBODY if "gateway" in caller.scopes else caller
            with shares.place(sharer), _place(talking, adapter):
                channel = GatewayChannel(frames, wire, app_state.metrics.errors)
                request = ChatRequest(events=True, sampling=adapter.sampling)
                await Talk(channel, request, app_state, _entry(adapter), caller).run()
        except PersonaplexError as error:
            channel = GatewayChannel(frames, GatewayWire(name, session_id), app_state.metrics.errors)
            await refuse(channel, error, app_state)

    return [WebSocketRoute("/ws/voice/{adapter}", arrive)]


@contextmanager
def _place(talking: dict[str, int], adapter: Adapter) -> Iterator[None]:
    """Count an adapter's client, waiting or talking. Raises: CapacityError when there are enough."""
    if talking[adapter.name] >= adapter.max_sessions:
        raise CapacityError(
            f"{adapter.max_sessions} sessions of {adapter.name} are open, which is the most; try again in a"
            " few minutes."
        )
    talking[adapter.name] += 1
    try:
        yield
    finally:
        talking[adapter.name] -= 1


def _entry(adapter: Adapter) -> EntryPoint:
    # no limit on silence besides the idle limit: a client that is gone is noticed by the WebSocket's pings
    policy = EntryPolicy(adapter.talk_s, adapter.idle_s, WAIT_S, math.inf, adapter.persona)
    return EntryPoint(NAME, Float32, policy, EVENTS)


class GatewayChannel:
    """Translates between the talk's events and orders and the gateway's messages.

    A message that cannot be used is answered with an error, and the talk goes on.
    """

    def __init__(self, frames: Frames, wire: GatewayWire, errors: Counter) -> None:
        self._frames = frames
        self._wire = wire
        self._errors = errors
        self._read: deque[FromClient] = deque()
        self._allowance = Allowance()
        self._bad = TokenBucket(1, BAD_MESSAGES)

    async def receive(self) -> FromClient:
        """Return the next order that can be used. Raises: Disconnected, ProtocolError for a flood."""
        while not self._read:
            data = await self._frames.receive()
            self._allowance.take(data)
            try:
                self._read.extend(self._wire.read(data))
            except BadInput as error:
                if not self._bad.take():
                    raise ProtocolError(
                        f"Too many messages came that cannot be used. The last: {error}"
                    ) from None
                self._errors.labels(error.code).inc()
                await self.send(Failure(str(error)))
        return self._read.popleft()

    async def send(self, event: ToClient) -> None:
        """Send the gateway's messages for an event. Raises: Disconnected."""
        for text in self._wire.write(event):
            await self._frames.send(text)

    async def close(self, code: CloseCode, reason: str) -> None:
        """Close the connection with a code and a reason; never raises."""
        await self._frames.close(code, reason)
