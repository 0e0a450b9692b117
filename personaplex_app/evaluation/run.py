"""Hold and measure the conversations of a run: every scenario with every voice and seed.

A run can be resumed: conversations that are complete on disk are not held again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..engine.contract import Engine, Sampling, SessionConfig
from ..errors import BadInput, PersonaplexError, UnknownVoice, shorten
from ..speech.synthesiser import Synthesiser
from .conversation import Stopped, play, play_live
from .conversation_folder import SCHEMA, Conversation, read_results, result_of, write_conversation, write_json
from .fdb.folders import read_json
from .instruments import Instruments
from .judge import Judge
from .machine import MemoryUse, memory_use
from .measures import AgentSide, measure_turns
from .scenarios import Scenario, SpokenScenario, persona_prompt, speak

ABOUT_RUN = "run.json"
MAX_CONVERSATIONS = 20_000


@dataclass(frozen=True)
class RunPlan:
    """The conversations to hold. A seed sets the model's sampling and chooses the user's voice.

    With `live` they are held in real time, else as fast as the machine allows.
    """

    scenarios: tuple[Scenario, ...]
    voices: tuple[str, ...]
    seeds: tuple[int, ...]
    live: bool = False
    sampling: Sampling = field(default_factory=Sampling)

    @property
    def conversations(self) -> list[Conversation]:
        """Every conversation, ordered by seed, then voice, so that a stopped run covers each scenario."""
        return [
            Conversation(s.name, voice, seed)
            for seed in self.seeds
            for voice in self.voices
            for s in self.scenarios
        ]

    def checked(self, engine: Engine) -> RunPlan:
        """Return the plan if an engine can carry it out.

        Raises: UnknownVoice, BadInput.
        """
        known = [voice.name for voice in engine.voices]
        for voice in self.voices:
            if voice not in known:
                raise UnknownVoice(
                    f"The engine has no voice {shorten(voice)}; choose of: {', '.join(known)}."
                )
        if not 0 < len(self.conversations) <= MAX_CONVERSATIONS:
            raise BadInput(
                f"That makes {len(self.conversations):,} conversations; from 1 to {MAX_CONVERSATIONS:,} can"
                " be held. Choose otherwise."
            )
        return self


@dataclass(frozen=True)
class RunProgress:
    """The progress of a run. `left_s`, the estimated time left, is None until it can be estimated."""

    done: int
    total: int
    failed: int
    kept: int
    left_s: float | None
    last: str = ""


class Evaluator:
    """Speaks the user's side and measures conversations; its models are loaded once.

    May be shared by threads.
    """

    def __init__(self, dnsmos: bool = True, judge: Judge | None = None) -> None:
        self.instruments = Instruments(dnsmos)
        self._synthesiser = Synthesiser()
        self._judge = judge
        self._lock = threading.Lock()

    def say(self, scenario: Scenario, take: int) -> SpokenScenario:
        """Synthesise the user's side of a scenario."""
        with self._lock:
            return speak(scenario, take, self._synthesiser)

    def keep(self, out: Path, conversation: Conversation, spoken: SpokenScenario, agent: AgentSide) -> None:
        """Measure a conversation and write its folder.

        Raises: StorageError.
        """
        prompt = persona_prompt(spoken.scenario)
        speech = self.instruments.speech(agent.samples)
        values = measure_turns(spoken, agent, speech, prompt)
        sound, voice = self.instruments.sound(agent, speech)
        judgement = None
        if self._judge:
            text = " ".join(word.text for word in agent.words if word.start_s >= spoken.from_s)
            judgement = self._judge.ask(spoken, prompt, text)
            values |= {"judge_score": [judgement.score]} if judgement.score is not None else {}
        write_conversation(
            out,
            spoken,
            agent,
            result_of(conversation, spoken, agent, prompt, speech, values | sound, judgement),
            voice,
        )


def session_config(plan: RunPlan, conversation: Conversation, scenario: Scenario) -> SessionConfig:
    """Return the session configuration of a conversation."""
    return SessionConfig(
        conversation.voice,
        persona_prompt(scenario),
        scenario.persona,
        replace(plan.sampling, seed=conversation.seed),
    )


def begin(
    out: Path, plan: RunPlan, engine: Engine, evaluator: Evaluator, judge: Judge | None = None
) -> list[Conversation]:
    """Prepare the run's folder and return the conversations that it does not hold yet.

    Raises: BadInput when it holds conversations held under other conditions, StorageError.
    """
    conditions = {
        "schema": SCHEMA,
        "engine": engine.identity,
        "clock": "live" if plan.live else "timeline",
        "sampling": asdict(plan.sampling),
        "judge": {"model": judge.model, "prompt_sha256": judge.prompt_sha256} if judge else None,
    }
    about: dict[str, Any] = {}
    if (path := out / ABOUT_RUN).exists():
        about = read_json(path)
        differs = [key for key, value in conditions.items() if about.get("conditions", {}).get(key) != value]
        if differs:
            raise BadInput(
                f"{shorten(out)} holds conversations with another {' and '.join(differs)}; give a new folder"
                " with --out."
            )
    else:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(
                f"{shorten(out)} cannot be made ({error.strerror}); give another folder."
            ) from None
    write_json(
        path,
        {
            **about,
            "conditions": conditions,
            "engine_name": engine.name,
            "not_measured": evaluator.instruments.absent,
        },
    )
    # a scenario that was changed since is held again
    scripts = {scenario.name: scenario.sha256 for scenario in plan.scenarios}
    finished = {
        result.conversation
        for result in read_results(out)
        if scripts.get(result.scenario) == result.script_sha256
    }
    return [conversation for conversation in plan.conversations if conversation not in finished]


def run(
    plan: RunPlan,
    engine: Engine,
    out: Path,
    on_progress: Callable[[RunProgress], None] = lambda progress: None,
    evaluator: Evaluator | None = None,
    judge: Judge | None = None,
    parallel: int = 0,
    stop: threading.Event | None = None,
) -> list[tuple[Conversation, PersonaplexError]]:
    """Hold the conversations that `out` does not contain yet, and return those that failed.

    Conversations run in parallel in the engine's slots. Setting `stop`, or ctrl-C, ends the run within a
    quarter of a second; finished conversations are kept and not held again.
    Raises: UnknownVoice, BadInput, KeyboardInterrupt, Stopped.
    """
    plan = plan.checked(engine)
    evaluator = evaluator or Evaluator(judge=judge)
    missing = begin(out, plan, engine, evaluator, judge)
    stop = stop or threading.Event()
    by_name = {scenario.name: scenario for scenario in plan.scenarios}
    tally = _Tally(len(plan.conversations), len(plan.conversations) - len(missing))
    on_progress(tally.progress())

    def hold(conversation: Conversation) -> None:
        spoken = evaluator.say(by_name[conversation.scenario], conversation.seed)
        agent = (play_live if plan.live else play)(
            engine, spoken.samples, session_config(plan, conversation, spoken.scenario), stop
        )
        # measuring takes a while: do not begin it after a stop
        if stop.is_set():
            raise Stopped
        evaluator.keep(out, conversation, spoken, agent)

    failures: list[tuple[Conversation, PersonaplexError]] = []
    # before the workers: what is added to the memory is then the run's own
    before = memory_use()
    workers = min(parallel or (1 if plan.live else engine.max_sessions), max(1, len(missing)))
    with ThreadPoolExecutor(workers, thread_name_prefix="evaluate") as pool:
        waiting = deque(missing)
        running = {}
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    # submitted only when a worker is free, so that a stop has nothing queued to wait for
                    conversation = waiting.popleft()
                    running[pool.submit(hold, conversation)] = conversation
                # a time limit, so that ctrl-C is noticed while conversations run
                for future in wait(running, timeout=0.5, return_when=FIRST_COMPLETED).done:
                    conversation = running.pop(future)
                    try:
                        future.result()
                    except PersonaplexError as error:
                        failures.append((conversation, error))
                    tally.finish(conversation, len(failures))
                    on_progress(tally.progress())
        finally:
            # after an error the other threads must stop too, or the pool would wait for them
            if running:
                stop.set()
            note_run(out, before, workers, failures)
    return failures


def note_run(
    out: Path, before: MemoryUse, workers: int, failures: Sequence[tuple[Conversation, PersonaplexError]]
) -> None:
    """Add the measurements of the whole process to the run's file."""
    about = read_json(out / ABOUT_RUN)
    after = memory_use()
    about["memory"] = {
        "before_bytes": before.now_bytes,
        "peak_bytes": after.peak_bytes,
        "gpu_peak_bytes": after.gpu_peak_bytes,
    }
    about["parallel"] = workers
    about["failures"] = [{"unit": conversation.name, "why": str(error)} for conversation, error in failures]
    write_json(out / ABOUT_RUN, about)


class _Tally:
    """Counts conversations, and estimates the time left from those held in this run."""

    def __init__(self, total: int, kept: int) -> None:
        self._total = total
        self._kept = kept
        self._finished = 0
        self._failed = 0
        self._last = ""
        self._began_s = time.monotonic()

    def finish(self, conversation: Conversation, failed: int) -> None:
        self._finished = self._finished + 1
        self._failed = failed
        self._last = conversation.name

    def progress(self) -> RunProgress:
        left = self._total - self._kept - self._finished
        left_s = (time.monotonic() - self._began_s) / self._finished * left if self._finished else None
        return RunProgress(
            self._kept + self._finished - self._failed,
            self._total,
            self._failed,
            self._kept,
            left_s,
            self._last,
        )
