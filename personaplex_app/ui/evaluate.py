"""The Evaluate tab: runs the app's scenarios and shows the report; scores uploaded outputs."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from html import escape
from pathlib import Path
from typing import Any

import anyio.to_thread
import gradio as gr

from ..errors import BadInput, PersonaplexError
from ..evaluation.fdb import TASK_NAMES
from ..evaluation.fdb.archive import unpack
from ..evaluation.fdb.score import Problem, score_folder
from ..evaluation.fdb.table import problem_lines, render
from ..evaluation.report import FILES, HTML
from ..evaluation.run import RunPlan
from ..evaluation.scenarios import choose_scenarios, load_scenarios
from ..server.app_state import AppState
from ..server.evaluations import Evaluations, EvaluationStatus
from ..sessions.admission import Admission
from .asker import asker_of
from .evaluate_form import MAX_SEEDS, what_is_held, what_is_scored
from .form_parts import html, voice_choices

MOST_WAITING = 8
LONGEST_SCORING_S = 600.0
"""Who has waited so long to have something scored is overtaken by nobody."""
# once each: whoever scrolls away while it goes on is left there
SHOW_STATE = """() => requestAnimationFrame(() => {
  const state = document.querySelector("#evaluate-state");
  const block = state.querySelector("iframe") ? "start" : "nearest";
  if (state.dataset.shown !== block && state.textContent.trim()) state.scrollIntoView({ block });
  state.dataset.shown = state.textContent.trim() && block;
})"""
# whoever speaks to the page says what is written on it, and Gradio's name for the place of a file is another
NAME_BY_TEXT = """() => {
  const tab = document.querySelector("#tab-evaluate");
  if (tab.dataset.named) return;
  tab.dataset.named = "yes";
  const rename = () => tab.querySelector(".upload-container")?.removeAttribute("aria-label");
  new MutationObserver(rename).observe(tab, { childList: true, subtree: true });
  rename();
}"""
FILE_TITLES = {
    "report.html": "Report",
    "report.json": "JSON",
    "figures.csv": "Figures, CSV",
    "conversations.csv": "Conversations, CSV",
}


def build_tab(app_state: AppState, evaluations: Evaluations, page: gr.Blocks) -> gr.Tab:
    """Add the Evaluate tab to the Blocks being built."""
    handlers = _EvaluateTab(app_state, evaluations)
    with gr.Tab("[[tab_evaluate]]", elem_id="tab-evaluate", render_children=True) as tab:
        html("evaluate/evaluate-head.html")
        run = what_is_held(app_state)
        others = what_is_scored()
    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None}
    private: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    shown = [run.state, run.start, run.stop]
    # one that was cancelled may be ending still when the next begins
    inputs = [run.kinds, run.voices, run.seeds, run.dnsmos]
    run.start.click(handlers.evaluate, inputs, shown, api_name="evaluate", trigger_mode="multiple", **quiet)
    run.stop.click(handlers.cancel, None, shown, concurrency_limit=None, **private)
    others.start.click(
        handlers.score, [others.task, others.archive], others.scores, api_name="score", **quiet
    )
    run.state.change(None, None, None, js=SHOW_STATE, api_visibility="private")
    tab.select(None, None, None, js=NAME_BY_TEXT, api_visibility="private")
    page.load(lambda: gr.update(choices=voice_choices(app_state)), None, run.voices, **private)
    return tab


class _EvaluateTab:
    """The tab's handlers."""

    def __init__(self, app_state: AppState, evaluations: Evaluations) -> None:
        self._app_state = app_state
        self._evaluations = evaluations
        # not the page's queue, in which one address could take every place
        self._scoring = Admission(1, LONGEST_SCORING_S, most_waiting=MOST_WAITING)

    async def evaluate(
        self,
        kinds: list[str],
        voices: list[str],
        seeds: float,
        dnsmos: bool,
        request: gr.Request,
    ) -> AsyncGenerator[tuple, None]:
        """Hold scenarios of these kinds with these voices, in so many takes, and write the report; the
        progress is shown in the page.
        """
        asker = asker_of(request, self._app_state)
        try:
            if not kinds or not voices:
                raise BadInput("Nothing is chosen yet; tick at least one kind of scenario and one voice.")
            takes = range(max(1, min(MAX_SEEDS, int(seeds))))
            plan = RunPlan(choose_scenarios(kinds, load_scenarios()), tuple(voices), tuple(takes))
            yield _page(EvaluationStatus("Getting ready…")), gr.update(visible=False), gr.update(visible=True)
            async with aclosing(self._evaluations.run(plan, dnsmos, asker)) as steps:
                async for status in steps:
                    if asker.cancelled:
                        break
                    # every time: what was under way when an earlier run was cancelled may still arrive
                    over = bool(status.report)
                    yield _page(status), gr.update(visible=over), gr.update(visible=not over)
            if asker.cancelled:
                yield self._cancelled()
        except PersonaplexError as error:
            if asker.cancelled:
                yield self._cancelled()
                return
            yield _notice(str(error)), gr.update(visible=True), gr.update(visible=False)
            raise gr.Error(str(error), print_exception=False, visible=False) from None

    async def cancel(self, request: gr.Request) -> tuple:
        """End what this visitor began, and show that what is done is kept."""
        self._app_state.askers.cancel(request.session_hash or "")
        return self._cancelled()

    def _cancelled(self) -> tuple:
        text = "Cancelled. What is done is kept: start the same again and it goes on from there."
        return _notice(text), gr.update(visible=True), gr.update(visible=False)

    async def score(self, task: str, archive: str | None, request: gr.Request) -> str:
        """Score a zip of somebody's outputs for a task of Full-Duplex-Bench."""
        asker = asker_of(request, self._app_state)
        try:
            async with self._scoring.slot(lambda place: asker.check(), caller=asker.caller):
                return await anyio.to_thread.run_sync(_score, task, archive)
        except PersonaplexError as error:
            return _notice(str(error))


def _score(task: str, archive: str | None) -> str:
    if not archive or task not in TASK_NAMES:
        raise BadInput("There is no file yet; choose a zip with one folder for each sample.")
    with tempfile.TemporaryDirectory(prefix="personaplex-score-") as folder:
        notes: list[str] = []
        scores = score_folder(task, unpack(Path(archive), Path(folder), notes.append))
        scores.problems[:0] = [Problem(None, text, False) for text in notes]
        table = "\n".join(
            [*problem_lines(scores.problems), *([""] if scores.problems else []), render(scores)]
        )
    return f'<div class="sessions evaluate"><pre tabindex="0">{escape(table)}</pre></div>'


def _notice(text: str) -> str:
    return f'<div class="sessions evaluate"><p class="notice" role="status">{escape(text)}</p></div>'


def _page(status: EvaluationStatus) -> str:
    """Return the HTML that is shown: the progress, or the report with its files."""
    if not status.report:
        left = "" if status.left_s is None else f", about {status.left_s:.0f} s left"
        count = f" {status.done} of {status.total} conversations{left}" if status.total else ""
        value = f'value="{status.done}" max="{status.total}"' if status.total else ""
        text = escape(status.text + count)
        return (
            f'<div class="sessions evaluate"><p role="status">{text}</p><progress {value}'
            ' aria-label="Progress"></progress></div>'
        )
    at = f"api/evaluations/{status.report}"
    links = "".join(
        f'<a class="button" href="{at}/{name}?download" download>{FILE_TITLES[name]}</a>' for name in FILES
    )
    frame = f'<iframe src="{at}/{HTML}" title="The report" loading="lazy"></iframe>'
    whole = f'<a class="button" href="{at}/{HTML}" target="_blank" rel="noopener">Open on its own</a>'
    return (
        f'<div class="sessions evaluate" data-report="{status.report}"><div'
        f' class="evaluate-files">{whole}{links}</div>{frame}</div>'
    )
