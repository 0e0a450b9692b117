"""Functions for the notebooks, one call a cell: check the machine, hold conversations, listen, vote,
report.
"""

from __future__ import annotations

import base64
import os
import shutil
from dataclasses import dataclass
from html import escape
from pathlib import Path

from ..cli import doctor
from ..engine.contract import Engine, Sampling
from ..engine.offline import state_line
from ..engine_choice import build, choose
from ..errors import BadInput, shorten
from ..evaluation.conversation_folder import Result, read_results, read_sides
from ..evaluation.fdb.score import score_folder
from ..evaluation.fdb.table import problem_lines, render
from ..evaluation.pictures import lane
from ..evaluation.report import JSON, html_of, mp3, write_report
from ..evaluation.run import Evaluator, RunPlan, RunProgress, run
from ..evaluation.scenarios import choose_scenarios, load_scenarios
from ..evaluation.summary import cases, remarks, summarise
from ..evaluation.summary_text import text_of
from ..settings import Settings
from .blind_test import LOOK, NotebookBlindTest, player
from .live_app import LiveApp, open_app, show

MODES = ("demo", "gpu", "checkpoint")
NO_SECRET = {
    "SecretNotFoundError": (
        "Colab's secrets hold no HF_TOKEN; add it there (the key on the left), and run this cell again."
    ),
    "NotebookAccessError": (
        "This notebook may not read the secret HF_TOKEN; switch Notebook access on beside it, and run this"
        " cell again."
    ),
}


def check_machine(gpu_gib: float | None = None) -> None:
    """Print what this machine has, which engine it can run, and what a better engine would need."""
    print(doctor.report(Settings.read(os.environ), as_json=False, gpu_gib=gpu_gib))


def use_colab_token() -> None:
    """Set HF_TOKEN from Colab's secrets, or print why that failed and what to do."""
    if os.environ.get("HF_TOKEN"):
        print("HF_TOKEN is set already.")
        return
    try:
        from google.colab import userdata
    except ImportError:
        print("This is not Colab; for a checkpoint with a licence set HF_TOKEN, or run: hf auth login")
        return
    try:
        os.environ["HF_TOKEN"] = userdata.get("HF_TOKEN")
        print("HF_TOKEN comes from Colab's secrets.")
    except Exception as error:  # Colab has an error class of its own for every reason
        name = type(error).__name__
        text = NO_SECRET.get(name, f"Colab did not give the secret HF_TOKEN ({name}); run this cell again.")
        print(f"{text} Until then the embedded engine is used.")


def score(task: str, folder: str) -> None:
    """Print Full-Duplex-Bench's metrics of a folder of outputs; do nothing for an empty name."""
    if not folder:
        print("No folder is given: nothing to score.")
        return
    scores = score_folder(task, Path(folder))
    print("\n".join([*problem_lines(scores.problems), render(scores)]))


# -- the study -------------------------------------------------------------------------------------


def prepare(
    mode: str = "demo",
    checkpoint: str = "",
    voices: str = "",
    kinds: str = "",
    personas: str = "",
    takes: int = 1,
    audio_temperature: float = 0.8,
    text_temperature: float = 0.7,
    sound_quality: bool = False,
    folder: str = "study",
) -> Study:
    """Load an engine and plan the conversations.

    Names are separated by commas; an empty text means all scenarios, or the engine's first two voices.

    Raises: BadInput, UnknownVoice, EngineError.
    """
    if mode not in MODES:
        raise BadInput(f"MODE is {shorten(mode)}; it must be one of {', '.join(MODES)}.")
    if mode != "demo":
        use_colab_token()
    settings = Settings.read(
        os.environ,
        {"engine": "classic" if mode == "demo" else "personaplex", "checkpoint": checkpoint or None},
    )
    if mode != "demo":
        print(doctor.memory_plan(settings))
    engine = build(choose(settings), settings)
    with state_line() as report:
        engine.load(report)
    chosen = choose_scenarios(_names(kinds), load_scenarios())
    if wanted := _names(personas):
        chosen = tuple(scenario for scenario in chosen if scenario.persona in wanted)
    names = _names(voices) or [voice.name for voice in engine.voices[:2]]
    sampling = Sampling(audio_temperature=audio_temperature, text_temperature=text_temperature)
    made = RunPlan(chosen, tuple(names), tuple(range(takes)), sampling=sampling).checked(engine)
    sound_s = sum(sum(part.length_s for part in s.script) + 10 for s in chosen) * len(names) * takes
    print(
        f"{engine.name}: {len(made.conversations)} conversations, about {sound_s / 60:.0f} minutes of sound,"
        f" with {', '.join(names)}."
    )
    return Study(engine, made, Path(folder), Evaluator(dnsmos=sound_quality))


@dataclass
class Study:
    """The conversations of one plan in one folder. Every step can be run again without repeating finished
    work.
    """

    engine: Engine
    plan: RunPlan
    folder: Path
    evaluator: Evaluator
    app: LiveApp | None = None
    _ballots: NotebookBlindTest | None = None

    def render(self) -> None:
        """Hold and measure the missing conversations, printing progress and the time left."""
        failures = run(self.plan, self.engine, self.folder, _tell_progress, self.evaluator)
        print()
        for conversation, error in failures:
            print(f"Failed: {conversation.name}: {error}")

    def listen(self) -> None:
        """Show the worst and the best conversations, the worst first, each with its lane and a player."""
        worst, best = cases(read_results(self.folder))
        show("".join(self._case(result) for result in (*worst, *best)))

    def _case(self, result: Result) -> str:
        user, agent = read_sides(self.folder, result)
        notes = "; ".join(remarks(result))
        head = (
            f"<h4>{escape(result.title)}: {escape(result.scenario)}, voice {escape(result.voice)}, seed"
            f" {result.seed}</h4>"
        )
        return (
            f"{head}{LOOK}<div"
            f" style='overflow-x:auto'>{lane(result, user, agent)}</div>{player(mp3(user, agent))}"
            f"<p>{escape(notes)}</p>"
        )

    def measure(self) -> None:
        """Print every metric with its interval and meaning; those that too few events support are hidden."""
        print(text_of(summarise(self.folder)[0], explained=True))

    def vote(self, choice: str = "") -> None:
        """Record a choice, if one is given, and show the next pair.

        The choices are A, B, tie, both bad, undo and reveal.
        Raises: BadInput for any other.
        """
        show(self._test().take(choice))

    def ranking(self) -> None:
        """Print the ranking of the voices by the votes so far."""
        print(self._test().ranking())

    def _test(self) -> NotebookBlindTest:
        self._ballots = self._ballots or NotebookBlindTest(self.folder, self.engine.name, self.plan.voices)
        return self._ballots

    def report(self) -> Path:
        """Write the report with CSV and JSON into the folder, show it, and return the HTML file."""
        page = write_report(self.folder, "notebooks/personaplex_evaluation.ipynb")
        summary, results = summarise(self.folder)
        inside = base64.b64encode(html_of(self.folder, summary, results).encode()).decode()
        show(
            f"<iframe src='data:text/html;base64,{inside}' style='width:100%;height:640px;border:1px solid"
            " #ccc'></iframe>"
        )
        print(f"{page} and {page.with_name(JSON).name}, figures.csv, conversations.csv beside it.")
        return page

    def save(self, drive: str = "") -> Path:
        """Pack the study into one zip file and return it; `drive` is a folder to copy it to, such as a
        mounted one.
        """
        archive = Path(shutil.make_archive(str(self.folder), "zip", self.folder))
        if drive:
            archive = Path(shutil.copy2(archive, drive))
        print(f"{archive} ({archive.stat().st_size / 1e6:.1f} MB)")
        return archive

    def talk(self, now: bool, share: bool = False, checkpoint: str = "") -> None:
        """Start the live app with the study's engine, if `now`."""
        if not now:
            print("Tick TALK and run this cell again to talk with it.")
            return
        self.app = open_app(self.engine.name, share, checkpoint=checkpoint)

    def close(self, now: bool = True) -> None:
        """Free the engine, and stop the app if the study started it; nothing of it unless `now`."""
        if not now:
            print("Engine and app stay; tick END and run this cell again to end them.")
            return
        if self.app:
            self.app.close()
        self.engine.close()


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _tell_progress(progress: RunProgress) -> None:
    left = "" if progress.left_s is None else f", about {progress.left_s:.0f} s left"
    print(f"\r{progress.done} of {progress.total} done{left}".ljust(60), end="", flush=True)
