"""The entry points of talks: the codec, the limits and the events of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..codec import Codec, make_codec
from ..personas import Persona
from ..protocol import ChatRequest
from ..protocol_events import EVENTS
from .end_reasons import SILENT_CLIENT_S

EVERYTHING = frozenset(EVENTS.values())


@dataclass(frozen=True)
class EntryPolicy:
    """The limits of an entry point's talks, within the app's limits.

    A caller waits at most `wait_s` to begin and may send nothing for `silent_s`. A `persona` is used in place
    of the requested one; it need not be in the catalogue. `may_lease` says whether the talk may take a device
    that is lent to visitors of the page: only the page can hold such a lease.
    """

    talk_s: float = math.inf
    idle_s: float = math.inf
    wait_s: float = math.inf
    silent_s: float = SILENT_CLIENT_S
    persona: Persona | None = None
    may_lease: bool = False


@dataclass(frozen=True)
class EntryPoint:
    """A way to hold a talk: the page's WebSocket, the HTTP fallback, the gateway.

    `name` is used in the log and the metrics. `codec` makes the codec of a talk's sound. Of the events that
    are JSON objects (`protocol_events.EVENTS`), the clients get the types in `events`.
    """

    name: str
    codec: Callable[[], Codec]
    policy: EntryPolicy = EntryPolicy()
    events: frozenset[type] = EVERYTHING


def page_entry(
    name: str, request: ChatRequest, policy: EntryPolicy = EntryPolicy(may_lease=True)
) -> EntryPoint:
    """Return the entry point of the page and of other moshi clients, over the transport that `name` says."""
    events = EVERYTHING if request.events else frozenset()
    return EntryPoint(name, partial(make_codec, request.codec), policy, events)
