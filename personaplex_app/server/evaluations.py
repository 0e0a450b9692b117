"""Evaluations run from the page: one at a time, in slots that no talk needs. The same run started again
continues in the same folder.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from ..engine.contract import EngineState
from ..errors import BadInput, NotFound
from ..evaluation.conversation import agent_side_of
from ..evaluation.conversation_folder import Conversation
from ..evaluation.machine import memory_use
from ..evaluation.report import FILES, write_report
from ..evaluation.run import Evaluator, RunPlan, begin, note_run, session_config
from ..rendering import render
from ..sessions.admission import Admission
from .app_state import AppState
from .askers import NO_ASKER, Asker
from .leasing import usable_engine_here
from .render_job import RenderJob

MAX_CONVERSATIONS = 60
RUNS_KEPT = 4
MOST_WAITING = 8
LONGEST_S = 3_600.0
"""Who has waited so long for an evaluation is overtaken by nobody."""
TELL_EVERY_S = 0.3


@dataclass(frozen=True)
class EvaluationStatus:
    """How far an evaluation is; `report` is its id once there is one to read."""

    text: str
    done: int = 0
    total: int = 0
    left_s: float | None = None
    report: str = ""


class Evaluations:
    """The evaluations of one app.

    The scenarios are the program's own and hold nothing private, so that everybody who starts the same run
    shares its results.
    """

    def __init__(self, app_state: AppState) -> None:
        self._app_state = app_state
        self._folder = app_state.settings.data / "evaluations"
        self._benches: dict[bool, Evaluator] = {}
        # one at a time; nobody's second one goes before another's first
        self._line = Admission(1, LONGEST_S, most_waiting=MOST_WAITING)

    def file(self, run_id: str, name: str) -> Path:
        """Return a file of a report.

        Raises: NotFound.
        """
        path = self._folder / run_id / name
        if not re.fullmatch("[0-9a-f]{32}", run_id) or name not in FILES or not path.is_file():
            raise NotFound(
                f"There is no such report here any more; the last {RUNS_KEPT} are kept. Run it again."
            )
        return path

    async def run(
        self, plan: RunPlan, dnsmos: bool, asker: Asker = NO_ASKER
    ) -> AsyncGenerator[EvaluationStatus, None]:
        """Hold, measure and report, telling how far it is. Closing it stops it, and so does that nobody waits
        for it; what is done stays and is not done again.

        Raises: BadInput, UnknownVoice, CapacityError, EngineError, StorageError.
        """
        if len(plan.conversations) > MAX_CONVERSATIONS:
            raise BadInput(
                f"That makes {len(plan.conversations)} conversations; the page holds up to"
                f" {MAX_CONVERSATIONS}. Choose fewer, or use evaluate run."
            )
        if self._line.used:
            yield EvaluationStatus("Another evaluation is running; yours begins when it has ended.")
        async with (
            self._line.slot(lambda place: asker.check(), caller=asker.caller),
            aclosing(self._run(plan, dnsmos, asker)) as steps,
        ):
            async for told in steps:
                asker.check()
                yield told

    async def _run(self, plan: RunPlan, dnsmos: bool, asker: Asker) -> AsyncGenerator[EvaluationStatus, None]:
        states: list[EngineState] = []
        engine = await self._app_state.supervisor.ready(states.append)
        plan = plan.checked(engine)
        # kept, since its networks take seconds to load
        if dnsmos not in self._benches:
            self._benches[dnsmos] = await anyio.to_thread.run_sync(Evaluator, dnsmos)
        evaluator = self._benches[dnsmos]
        chosen = [engine.identity, [s.sha256 for s in plan.scenarios], plan.voices, plan.seeds, dnsmos]
        run_id = hashlib.sha256(json.dumps(chosen).encode()).hexdigest()[:32]
        out = self._folder / run_id
        before = memory_use()
        missing = await anyio.to_thread.run_sync(begin, out, plan, engine, evaluator)
        await anyio.to_thread.run_sync(self._delete_old_runs)
        total = len(plan.conversations)
        kept = len(plan.conversations) - len(missing)
        began_s = time.monotonic()
        # in small groups: a rendering waits in the temporary cache, which is bounded, until it is measured
        at_once = 2 * max(1, self._app_state.admission.total)
        for first in range(0, len(missing), at_once):
            async with aclosing(
                self._hold(plan, evaluator, out, missing[first : first + at_once], asker)
            ) as steps:
                async for fresh in steps:
                    over = first + fresh
                    left_s = (time.monotonic() - began_s) / over * (len(missing) - over) if over else None
                    yield EvaluationStatus("The scenarios are being held…", kept + over, total, left_s)
        yield EvaluationStatus("Writing the report…", total, total)
        if missing:
            await anyio.to_thread.run_sync(note_run, out, before, self._app_state.admission.total, [])
        await anyio.to_thread.run_sync(write_report, out, "the Evaluate tab")
        yield EvaluationStatus("", total, total, report=run_id)

    async def _hold(
        self, plan: RunPlan, evaluator: Evaluator, out: Path, conversations: list[Conversation], asker: Asker
    ) -> AsyncGenerator[int, None]:
        """Render some conversations at the same time, then measure and keep them; yield how many are done."""
        by_name = {scenario.name: scenario for scenario in plan.scenarios}
        say = [
            partial(evaluator.say, by_name[conversation.scenario], conversation.seed)
            for conversation in conversations
        ]
        spoken = [await anyio.to_thread.run_sync(each) for each in say]
        configs = [
            session_config(plan, conversation, each.scenario)
            for conversation, each in zip(conversations, spoken, strict=True)
        ]
        requests = [
            render.request(each.samples, config) for each, config in zip(spoken, configs, strict=True)
        ]
        async with usable_engine_here(self._app_state, self._app_state.supervisor.engine, requests) as device:
            job = RenderJob(self._app_state, requests, device, asker.caller)
            try:
                while not job.over:
                    asker.check()
                    yield job.progress.done // 2
                    await job.changed(TELL_EVERY_S)
            finally:
                job.cancel()
        if job.fault or job.batch.errors:
            raise job.fault or next(iter(job.batch.errors.values()))
        for index, (conversation, user) in enumerate(zip(conversations, spoken, strict=True)):
            rendering = await anyio.to_thread.run_sync(job.cache.get, job.batch.keys[index])
            if rendering is None:
                raise NotFound(
                    "A conversation was rendered but is gone already: there is no room for it. Try again."
                )
            await anyio.to_thread.run_sync(evaluator.keep, out, conversation, user, agent_side_of(rendering))
            yield index + 1

    def _delete_old_runs(self) -> None:
        """Delete the oldest runs beyond those that are kept."""
        runs = sorted(
            (path for path in self._folder.iterdir() if path.is_dir()),
            key=lambda path: path.stat().st_mtime,
            reverse=True,
        )
        for path in runs[RUNS_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)
