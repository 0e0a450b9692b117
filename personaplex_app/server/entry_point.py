"""The ways into a talk: what each speaks, grants and wants to be told."""

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
    """What one way in grants its talks, within the app's limits.

    A caller waits at most `wait_s` to begin and may send nothing for `silent_s`. A `persona` stands for one
    that is not in the catalogue. `may_lease` tells whether the talk may take a device that is lent to
    visitors of the page: only who comes from there can hold one.
    """

    talk_s: float = math.inf
    idle_s: float = math.inf
    wait_s: float = math.inf
    silent_s: float = SILENT_CLIENT_S
    persona: Persona | None = None
    may_lease: bool = False


@dataclass(frozen=True)
class EntryPoint:
    """One way into a talk.

    `name` stands in the log and the metrics. `codec` makes what a talk's sound is coded with. Of what a
    client can be told as JSON objects it is told `events`, which are types of `protocol_events.EVENTS`.
    """

    name: str
    codec: Callable[[], Codec]
    policy: EntryPolicy = EntryPolicy()
    events: frozenset[type] = EVERYTHING


def page_entry(
    name: str, request: ChatRequest, policy: EntryPolicy = EntryPolicy(may_lease=True)
) -> EntryPoint:
    """Return the entry point of the page and of the moshi family's clients, over whichever transport `name`
    says.
    """
    events = EVERYTHING if request.events else frozenset()
    return EntryPoint(name, partial(make_codec, request.codec), policy, events)
