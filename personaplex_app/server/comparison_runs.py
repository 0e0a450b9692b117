"""Comparisons being rendered: one for each owner, resumed by the same request, stopped when nobody asks."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import anyio

from .. import audio
from ..errors import BadInput, NotFound, PersonaplexError
from ..evaluation.blind_test.design import Condition
from ..personas import Persona, find
from ..principal import Principal
from ..protocol import ChatRequest
from ..rendering.batch import BatchProgress, RenderBatch
from ..rendering.render import MOST_MORE_S, RenderRequest, request
from ..sessions.shares import Shares
from ..voices import CLONE_PREFIX
from .app_state import AppState
from .comparison_answers import ComparisonAnswers
from .comparison_inputs import ComparisonInput, ComparisonInputs
from .comparison_request import ComparisonRequest
from .engine_supervisor import EngineSupervisor
from .leasing import render_length_s, usable_engine
from .threads import in_thread

log = logging.getLogger(__name__)

MAX_RUNS = 64
MAX_ACTIVE = 8
MAX_CELLS = 200
MAX_TOTAL_S = 3_600.0
GRACE_S = 90.0
"""How long a run goes on that nobody asks for: a hidden page asks once a minute."""

Status = Literal["preparing", "rendering", "done", "cancelled", "failed"]


@dataclass
class ComparisonRun:
    """One comparison being rendered.

    Its cells are conditions (rows) by what is compared (columns). Its caller may use their own cloned
    voices in it.
    """

    id: str
    caller: Principal
    asked: ComparisonRequest
    status: Status = "preparing"
    problem: str = ""
    # the token with which the page is to take a device; "" for none
    lease: str = ""
    conditions: list[Condition] = field(default_factory=list)
    private: bool = False
    batch: RenderBatch | None = None
    scope: anyio.CancelScope | None = None
    # when its owner last asked how far it is
    asked_s: float = field(default_factory=time.monotonic)
    # how it ended; the sound that was to be answered is let go then
    ended: BatchProgress | None = None

    @property
    def active(self) -> bool:
        return self.status in ("preparing", "rendering")

    def as_json(self) -> dict[str, Any]:
        """Return how far it is."""
        progress = self.ended or (self.batch.progress if self.batch else None)
        return {
            "id": self.id,
            "status": self.status,
            "problem": self.problem,
            "lease": self.lease,
            "voices": list(self.asked.voices),
            "by": self.asked.by,
            "names": list(self.asked.names),
            "conditions": [{"title": c.title, "persona": c.persona, "seed": c.seed} for c in self.conditions],
            "progress": progress and {**vars(progress), "share": progress.share},
            "cells": self.cells(),
        }

    def cells(self) -> list[list[dict[str, Any]]]:
        """Return for each condition and voice whether its answer is there, or why not."""
        width = len(self.asked.names)
        return [
            [self._cell(row * width + column) for column in range(width)]
            for row in range(len(self.conditions))
        ]

    def _cell(self, index: int) -> dict[str, Any]:
        if self.batch is None:
            return {"ready": False}
        error = self.batch.errors.get(index)
        return {"ready": self.batch.is_ready(index), **({"error": str(error)} if error else {})}

    def key(self, row: int, column: int) -> str:
        """Return the key of an answer that is rendered. Raises: NotFound."""
        width = len(self.asked.names)
        if self.batch is None or not (0 <= row < len(self.conditions) and 0 <= column < width):
            raise NotFound("There is no such answer in this comparison.")
        index = row * width + column
        if not self.batch.is_ready(index):
            raise NotFound("That answer is not rendered yet; wait, or resume the comparison.")
        return self.batch.keys[index]


class ComparisonRuns:
    """The runs of one app. Their heavy work, in a thread, takes turns by `heavy`."""

    def __init__(
        self,
        app_state: AppState,
        inputs: ComparisonInputs,
        answers: ComparisonAnswers,
        heavy: anyio.CapacityLimiter,
    ) -> None:
        self._app_state = app_state
        self._inputs = inputs
        self._answers = answers
        self._heavy = heavy
        self._runs: OrderedDict[str, ComparisonRun] = OrderedDict()
        self._shares = Shares(MAX_ACTIVE, "comparisons")

    async def start(self, caller: Principal, asked: ComparisonRequest) -> ComparisonRun:
        """Begin to render, or go on where the same request was left.

        Raises: BadInput, UnknownPersona; CapacityError when too many comparisons are being rendered.
        """
        owner = caller.required_owner
        for kind, name in asked.inputs:
            self._inputs.check(kind, name)
        self._check_difference(asked)
        if asked.persona:
            find(asked.persona, self._app_state.personas)
        # by content, so that the same request goes on with the same run
        id_ = hashlib.sha256(json.dumps([owner, vars(asked)], sort_keys=True).encode()).hexdigest()[:32]
        run = self._runs.get(id_)
        if run and run.active:
            run.asked_s = time.monotonic()
            return run
        if len(asked.names) * len(asked.inputs) * len(asked.seeds) > MAX_CELLS:
            raise BadInput(
                f"That makes more than {MAX_CELLS} answers; choose fewer of what differs, inputs or seeds."
            )
        # one run for each owner: a new choice replaces the earlier one
        for other in self._runs.values():
            if other.caller.owner == owner:
                self.cancel(other)
        self._shares.take(caller)
        if len(self._runs) >= MAX_RUNS:
            # there is one, since fewer can be active than are remembered
            del self._runs[next(each.id for each in self._runs.values() if not each.active)]
        run = self._runs[id_] = ComparisonRun(id_, caller, asked)
        self._app_state.start_soon(self._render_in_place, run)
        return run

    def _check_difference(self, asked: ComparisonRequest) -> None:
        """Check that the engine can differ in what is to be compared. Raises: BadInput, UnknownPersona."""
        supervisor = self._app_state.supervisor_of(ChatRequest(engine=asked.engine))
        able = supervisor.engine.capabilities
        if asked.by == "persona":
            if not able.role_prompt:
                raise BadInput(f"{supervisor.choice.title} plays no roles; compare its voices.")
            for name in asked.names:
                find(name, self._app_state.personas)
        if asked.samples and not able.sampling:
            raise BadInput(f"{supervisor.choice.title} does not sample; compare its voices or personas.")

    def get(self, caller: Principal, id_: str) -> ComparisonRun:
        """Return one's own run. Raises: NotFound."""
        run = self._runs.get(id_)
        if run is None or run.caller.owner != caller.required_owner:
            raise NotFound(
                "That comparison is no longer here; begin it again, and what was rendered is taken from the"
                " cache."
            )
        run.asked_s = time.monotonic()
        return run

    def cancel(self, run: ComparisonRun) -> None:
        """Stop a run; what was rendered stays."""
        if run.scope and run.active:
            run.scope.cancel()

    async def _render_in_place(self, run: ComparisonRun) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._stop_unasked, run)
                await self._render(run)
                tasks.cancel_scope.cancel()
        finally:
            self._shares.give_back(run.caller)

    async def _stop_unasked(self, run: ComparisonRun) -> None:
        """Stop a run that nobody has asked for lately; what was rendered stays."""
        while True:
            left_s = run.asked_s + GRACE_S - time.monotonic()
            if left_s <= 0:
                return self.cancel(run)
            await anyio.sleep(left_s)

    async def _render(self, run: ComparisonRun) -> None:
        with anyio.CancelScope() as run.scope:
            try:
                engine = await self.supervisor(run).ready(lambda state: None)
                requests = await in_thread(self._heavy, self._prepare, run)
                cache = self._answers.cache(run.private)
                seconds = await in_thread(self._heavy, render_length_s, requests, engine, cache)
                async with usable_engine(
                    self._app_state, engine, seconds, partial(setattr, run, "lease")
                ) as device:
                    run.batch = RenderBatch(
                        requests,
                        device.engine,
                        device.admission,
                        cache,
                        device.workers,
                        transcriber=self._app_state.transcriber,
                        caller=run.caller,
                    )
                    run.status = "rendering"
                    await run.batch.run()
                if seconds and run.batch.errors:
                    # the lease ended before all was rendered: started again, the run goes on
                    raise next(iter(run.batch.errors.values()))
                run.status = "done"
            except PersonaplexError as error:
                run.status = "failed"
                run.problem = str(error)
            except Exception:
                log.exception("a comparison failed")
                run.status = "failed"
                run.problem = "It failed because of a fault of the app; the log has the details."
            finally:
                run.lease = ""
                if run.batch:
                    run.ended = run.batch.progress
                    run.batch.requests = ()
        if run.scope.cancelled_caught:
            run.status = "cancelled"

    def supervisor(self, run: ComparisonRun) -> EngineSupervisor:
        """Return the keeper of the engine that answers in a run."""
        return self._app_state.supervisor_of(ChatRequest(engine=run.asked.engine))

    def _prepare(self, run: ComparisonRun) -> list[RenderRequest]:
        """Return a request for each cell. Raises: BadInput and its kin."""
        run.conditions.clear()
        # a voice that was cloned is somebody's own, as a recording is
        run.private = any(voice.startswith(CLONE_PREFIX) for voice in run.asked.voices)
        requests: list[RenderRequest] = []
        for kind, name in run.asked.inputs:
            spoken = self._inputs.get(kind, name)
            run.private |= spoken.private
            wished = run.asked.persona or spoken.persona or self._app_state.personas[0].name
            persona = find(wished, self._app_state.personas)
            run.conditions += _conditions(run.asked, spoken, persona)
            made = list(self._requests(run, spoken, persona))
            # all answers share one copy of the sound
            requests += [replace(each, user=made[0].user) for each in made]
        total_s = sum(each.duration_s for each in requests)
        if total_s > MAX_TOTAL_S:
            raise BadInput(
                f"That makes {total_s / 60:.0f} minutes of answers; the limit is {MAX_TOTAL_S / 60:.0f}."
                " Choose fewer or shorter inputs."
            )
        return requests

    def _requests(
        self, run: ComparisonRun, spoken: ComparisonInput, persona: Persona
    ) -> Iterator[RenderRequest]:
        """Yield the requests of one input: for each seed, one for each that is compared."""
        # our scenarios begin with the time for a greeting, a recording with what the user says
        greets, room_s = (False, run.asked.room_s) if spoken.private else (True, 0.0)
        # who leaves no time for an answer wants what is said at the same time, and a scenario has its own
        more_s = MOST_MORE_S if room_s or not spoken.private else 0.0
        for seed in run.asked.seeds:
            for _, value in run.asked.variants:
                wanted = run.asked.chat_request(value, persona.name, seed)
                config = self._app_state.session_config(wanted, caller=run.caller)
                yield request(spoken.samples, replace(config, greets=greets), seed, room_s, more_s)


def _conditions(asked: ComparisonRequest, spoken: ComparisonInput, persona: Persona) -> list[Condition]:
    """Return what is the same for all answers to an input, for each seed."""
    sound = hashlib.sha256(audio.float_to_pcm16(spoken.samples)).hexdigest()
    role = (persona.name, hashlib.sha256(persona.prompt.encode()).hexdigest())
    told = ("", "") if asked.by == "persona" else role
    return [Condition(sound, spoken.title, *told, seed, spoken.question) for seed in asked.seeds]
