"""Comparisons of voices: the runs that are rendered, their progress, and the blind tests made of them."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeVar

import anyio
import anyio.to_thread
import numpy as np
from huggingface_hub import get_token

from .. import audio
from ..errors import BadInput, NotFound, PersonaplexError, shorten
from ..evaluation.answer_clip import answer_window, question
from ..evaluation.blind_test.design import Condition, Design, TrialClip
from ..evaluation.blind_test.store import BlindTest, BlindTests
from ..evaluation.blind_test.votes_upload import VoteUpload
from ..evaluation.comparison import Matched, measures, trial_clip
from ..evaluation.scenarios import Scenario, load_scenarios, speak
from ..personas import find
from ..principal import Principal, Sharers
from ..protocol import ChatRequest
from ..rendering.batch import BatchProgress, RenderBatch
from ..rendering.cache import RenderCache
from ..rendering.render import Rendering, RenderRequest, request
from ..sessions.shares import Shares, least_missed
from ..settings import Settings
from ..speech.sound import Span
from ..speech.speech_finder import NO_SPEECH
from ..speech.synthesiser import Synthesiser
from ..units import SAMPLE_RATE_HZ
from ..voices import CLONE_PREFIX
from .app_state import AppState
from .comparison_request import ComparisonRequest
from .engine_supervisor import EngineSupervisor
from .leasing import render_length_s, usable_engine
from .threads import in_thread

log = logging.getLogger(__name__)

MAX_RECORDING_S = 120.0
MAX_RECORDINGS = 8
MAX_RUNS = 64
MAX_ACTIVE = 8
MAX_CELLS = 200
MAX_TOTAL_S = 3_600.0
MOST_MORE_S = 15.0  # so long an answer may go on after its time: a slow voice is not cut
CACHE_BYTES = 2 << 30
SPOKEN_KEPT = 8
GRACE_S = 90.0
"""How long a run goes on that nobody asks for: a hidden page asks once a minute."""

T = TypeVar("T")
Status = Literal["preparing", "rendering", "done", "cancelled", "failed"]


@dataclass(frozen=True)
class ComparisonInput:
    """What the user says. A recording is private, and stored nowhere that outlives the process."""

    id: str
    title: str
    persona: str
    samples: np.ndarray
    private: bool
    sharers: Sharers = ()
    question: str = ""
    notes: tuple[str, ...] = ()


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


class Comparisons:
    """Everything behind the Compare tab of one app."""

    def __init__(self, app_state: AppState) -> None:
        settings: Settings = app_state.settings
        self.app_state = app_state
        self.scenarios = {scenario.name: scenario for scenario in load_scenarios()}
        folder = settings.data / "comparisons"
        self._kept_cache = RenderCache(folder / "renderings", CACHE_BYTES)
        self._upload = (
            VoteUpload(folder / "tests", settings.votes_dataset, settings.hf_token or get_token())
            if settings.votes_dataset
            else None
        )
        self.tests = BlindTests(folder / "tests", self._upload.changed if self._upload else lambda path: None)
        if self._upload:
            self._upload.start()
        self._recordings: OrderedDict[str, ComparisonInput] = OrderedDict()
        self._recording = threading.Lock()
        self._spoken: OrderedDict[str, ComparisonInput] = OrderedDict()
        self._runs: OrderedDict[str, ComparisonRun] = OrderedDict()
        self._shares = Shares(MAX_ACTIVE, "comparisons")
        self._synthesiser: Synthesiser | None = None
        # the synthesiser takes one call at a time
        self._speaking = threading.Lock()
        # one at a time: live talks need the cores more
        self._heavy = anyio.CapacityLimiter(1)
        self._light = anyio.CapacityLimiter(2)

    def close(self) -> None:
        """Upload the last votes where they are uploaded."""
        if self._upload:
            self._upload.close()

    async def heavy(self, work: Callable[..., T], *args: Any) -> T:
        """Run work that takes long in a thread, one at a time."""
        return await in_thread(self._heavy, work, *args)

    async def light(self, work: Callable[..., T], *args: Any) -> T:
        """Run work that somebody who listens waits for in a thread, apart from what takes long."""
        return await in_thread(self._light, work, *args)

    # inputs

    def add_recording(self, caller: Principal, data: bytes, title: str) -> ComparisonInput:
        """Return a recording as an input, for the caller's owner. Raises: BadInput, BadAudio."""
        owner = caller.required_owner
        notes: list[str] = []
        samples = audio.decode(data, MAX_RECORDING_S, notes.append, "Your recording")
        if not self.app_state.transcriber.hears_speech(samples):
            notes.append(NO_SPEECH)
        # with the owner in it, so that an id cannot be guessed from the sound
        id_ = hashlib.sha256(owner.encode() + audio.float_to_pcm16(samples)).hexdigest()[:32]
        title = title[:60] or "Recording"
        made = ComparisonInput(id_, title, "", samples, True, caller.sharers, notes=tuple(notes))
        with self._recording:
            self._recordings[id_] = made
            self._recordings.move_to_end(id_)
            while len(self._recordings) > MAX_RECORDINGS:
                del self._recordings[
                    least_missed(list(self._recordings.values()), lambda each: each.sharers).id
                ]
        return made

    def _input(self, kind: str, name: str) -> ComparisonInput:
        self._check_input(kind, name)
        if kind == "recording":
            return self._recordings[name]
        with self._speaking:
            if name not in self._spoken:
                self._spoken[name] = self._say(self.scenarios[name])
                while len(self._spoken) > SPOKEN_KEPT:
                    self._spoken.popitem(last=False)
            return self._spoken[name]

    def _check_input(self, kind: str, name: str) -> None:
        if kind == "recording" and name not in self._recordings:
            raise BadInput(
                "That recording is no longer here: recordings are kept nowhere but in memory. Record or"
                " upload it again."
            )
        if kind == "scenario" and name not in self.scenarios:
            raise BadInput(f"There is no scenario {shorten(name)}; choose one of the list.")

    def _say(self, scenario: Scenario) -> ComparisonInput:
        self._synthesiser = self._synthesiser or Synthesiser()
        spoken = speak(scenario, 0, self._synthesiser)
        said = " ".join(
            event.text for event in spoken.happened if event.what in ("turn", "interruption") and event.text
        )
        return ComparisonInput(
            spoken.sha256, scenario.title, scenario.persona, spoken.samples, False, question=said
        )

    # rendering

    async def start(self, caller: Principal, asked: ComparisonRequest) -> ComparisonRun:
        """Begin to render, or go on where the same request was left.

        Raises: BadInput, UnknownPersona; CapacityError when too many comparisons are being rendered.
        """
        owner = caller.required_owner
        for kind, name in asked.inputs:
            self._check_input(kind, name)
        self._check_difference(asked)
        if asked.persona:
            find(asked.persona, self.app_state.personas)
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
        self.app_state.start_soon(self._render_in_place, run)
        return run

    def _check_difference(self, asked: ComparisonRequest) -> None:
        """Check that the engine can differ in what is to be compared. Raises: BadInput, UnknownPersona."""
        supervisor = self.app_state.supervisor_of(ChatRequest(engine=asked.engine))
        able = supervisor.engine.capabilities
        if asked.by == "persona":
            if not able.role_prompt:
                raise BadInput(f"{supervisor.choice.title} plays no roles; compare its voices.")
            for name in asked.names:
                find(name, self.app_state.personas)
        if asked.samples and not able.sampling:
            raise BadInput(f"{supervisor.choice.title} does not sample; compare its voices or personas.")

    def run(self, caller: Principal, id_: str) -> ComparisonRun:
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
                engine = await self._supervisor(run).ready(lambda state: None)
                requests = await self.heavy(self._prepare, run)
                app_state = self.app_state
                cache = self.app_state.renderings if run.private else self._kept_cache
                seconds = await self.heavy(render_length_s, requests, engine, cache)
                async with usable_engine(
                    app_state, engine, seconds, partial(setattr, run, "lease")
                ) as device:
                    run.batch = RenderBatch(
                        requests,
                        device.engine,
                        device.admission,
                        cache,
                        device.workers,
                        transcriber=app_state.transcriber,
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

    def _supervisor(self, run: ComparisonRun) -> EngineSupervisor:
        return self.app_state.supervisor_of(ChatRequest(engine=run.asked.engine))

    def _prepare(self, run: ComparisonRun) -> list[RenderRequest]:
        """Return a request for each cell. Raises: BadInput and its kin."""
        run.conditions.clear()
        # a voice that was cloned is somebody's own, as a recording is
        run.private = any(voice.startswith(CLONE_PREFIX) for voice in run.asked.voices)
        requests: list[RenderRequest] = []
        for kind, name in run.asked.inputs:
            spoken = self._input(kind, name)
            run.private |= spoken.private
            first: RenderRequest | None = None
            asked = run.asked
            persona = find(
                asked.persona or spoken.persona or self.app_state.personas[0].name, self.app_state.personas
            )
            sound = hashlib.sha256(audio.float_to_pcm16(spoken.samples)).hexdigest()
            role = (persona.name, hashlib.sha256(persona.prompt.encode()).hexdigest())
            for seed in asked.seeds:
                run.conditions.append(
                    Condition(
                        sound,
                        spoken.title,
                        *(("", "") if asked.by == "persona" else role),
                        seed,
                        spoken.question,
                    )
                )
                for name in asked.names:
                    sampling: dict[str, Any] = {"seed": seed}
                    if asked.samples:
                        sampling[asked.by] = asked.values[asked.names.index(name)]
                    wanted = ChatRequest(
                        voice=name if asked.by == "voice" else asked.voices[0],
                        persona=name if asked.by == "persona" else persona.name,
                        engine=asked.engine,
                        sampling=sampling,
                    )
                    config = self.app_state.session_config(wanted, caller=run.caller)
                    # our scenarios begin with the time for a greeting, a recording with what the user says
                    config = replace(config, greets=not spoken.private)
                    room_s = run.asked.room_s if spoken.private else 0.0
                    made = request(spoken.samples, config, seed, room_s, MOST_MORE_S)
                    first = first or made
                    # all voices share one copy of the sound
                    requests.append(replace(made, user=first.user))
        total_s = sum(each.duration_s for each in requests)
        if total_s > MAX_TOTAL_S:
            raise BadInput(
                f"That makes {total_s / 60:.0f} minutes of answers; the limit is {MAX_TOTAL_S / 60:.0f}."
                " Choose fewer or shorter inputs."
            )
        return requests

    # results

    def rendering(self, key: str) -> Rendering:
        """Return a rendering by its key. Raises: NotFound."""
        found = self._kept_cache.get(key) or self.app_state.renderings.get(key)
        if found is None:
            raise NotFound(
                "That answer is no longer in the cache; render the comparison again, which brings back the"
                " same."
            )
        return found

    def cell(self, run: ComparisonRun, condition: int, voice: int) -> Matched:
        """Return one answer. Raises: NotFound."""
        return Matched.of(self._rendered(run, condition, voice))

    def _rendered(self, run: ComparisonRun, condition: int, voice: int) -> Rendering:
        width = len(run.asked.names)
        if run.batch is None or not (0 <= condition < len(run.conditions) and 0 <= voice < width):
            raise NotFound("There is no such answer in this comparison.")
        index = condition * width + voice
        if not run.batch.is_ready(index):
            raise NotFound("That answer is not rendered yet; wait, or resume the comparison.")
        return self.rendering(run.batch.keys[index])

    def describe(self, matched: Matched) -> dict[str, Any]:
        """Return an answer's lane and measures."""
        measured = measures(matched.rendering)
        return {
            **measured,
            "gain_db": matched.agent_gain_db,
            "lane": matched.lane(),
            "duration_s": round(matched.rendering.duration_s, 2),
        }

    def make_test(self, run: ComparisonRun) -> BlindTest:
        """Return the blind test over a run's answers.

        Raises: BadInput while some are missing, NotFound, StorageError.
        """
        ready = [row for row in range(len(run.conditions)) if all(cell["ready"] for cell in run.cells()[row])]
        if run.status == "preparing" or not ready:
            raise BadInput(
                "A blind test needs every voice's answer to at least one input; wait until they are rendered."
            )
        design = Design(
            self._supervisor(run).engine.name,
            run.asked.names,
            tuple(run.conditions[row] for row in ready),
            tuple(self._clips(run, row) for row in ready),
            run.asked.by,
        )
        return self.tests.make(design, run.caller.required_owner)

    def _clips(self, run: ComparisonRun, row: int) -> tuple[TrialClip, ...]:
        """Return the answers of a condition as clips, each from its first sound to its last."""
        find_speech = self.app_state.transcriber
        turns: list[Span] | None = None
        clips: list[TrialClip] = []
        for column, name in enumerate(run.asked.names):
            rendering = self._rendered(run, row, column)
            # the user's side is the same in all of them
            turns = find_speech.user_turns(rendering.user) if turns is None else turns
            speech = find_speech.agent_speech(rendering.agent)
            clips.append(trial_clip(name, rendering, answer_window(turns, speech, rendering.duration_s)))
        return tuple(clips)

    def question(self, test: BlindTest, condition: int) -> tuple[str, np.ndarray]:
        """Return what the user says in a condition, as text, empty if unknown, and as sound.

        Shapes: float32 [N] at 24 kHz.
        Raises: NotFound.
        """
        rendering = self.rendering(test.design.clips[condition][0].audio)
        heard = [each.text.strip() for each in rendering.utterances if each.speaker == "user"]
        spans = self.app_state.transcriber.user_turns(rendering.user)
        return test.design.conditions[condition].question or " ".join(heard), question(rendering.user, spans)

    def audible(self, test: BlindTest, condition: int, voice: str) -> Matched:
        """Return a clip of a test. Raises: NotFound."""
        # a listener needs the test's other clips later: none of them may be dropped from the cache
        for clip in (clip for row in test.design.clips for clip in row):
            for cache in (self._kept_cache, self.app_state.renderings):
                cache.touch(clip.audio)
        clip = test.design.clip(condition, voice)
        return Matched.of(self.rendering(clip.audio)).within((clip.start_s, clip.start_s + clip.duration_s))


def recording_seconds(made: ComparisonInput) -> float:
    """Return how long a recording is."""
    return round(len(made.samples) / SAMPLE_RATE_HZ, 2)
