"""The forms of the Evaluate tab: which scenarios are held, and which recordings of others are scored."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from ..evaluation.fdb import TASK_NAMES
from ..evaluation.scenarios import KIND_TITLES
from ..server.app_state import AppState
from .form_parts import actions, fold, form, html, voice_choices

MAX_SEEDS = 5
USUAL_KINDS = ["pause", "turn_end", "interruption"]


@dataclass(frozen=True)
class RunFields:
    """What is held, what begins and ends it, and where it shows."""

    kinds: gr.CheckboxGroup
    voices: gr.CheckboxGroup
    seeds: gr.Slider
    dnsmos: gr.Checkbox
    start: gr.Button
    stop: gr.Button
    state: gr.HTML


@dataclass(frozen=True)
class ScoreFields:
    """What is scored, what begins it, and where it shows."""

    task: gr.Dropdown
    archive: gr.File
    start: gr.Button
    scores: gr.HTML


def what_is_held(app_state: AppState) -> RunFields:
    """Add the form of a run, its buttons and the place of its progress and report."""
    offered = voice_choices(app_state)
    with form("evaluate-form"):
        with gr.Column(min_width=300):
            kinds = gr.CheckboxGroup(
                [(title, kind) for kind, title in KIND_TITLES.items()],
                value=USUAL_KINDS,
                label="Scenarios",
                elem_id="evaluate-kinds",
            )
        with gr.Column(min_width=300):
            voices = gr.CheckboxGroup(
                offered, value=[name for _, name in offered[:1]], label="Voices", elem_id="evaluate-voices"
            )
            seeds = gr.Slider(
                1,
                MAX_SEEDS,
                1,
                step=1,
                label="Repetitions",
                info="Each has another user's voice and other random choices.",
                elem_id="evaluate-seeds",
            )
            dnsmos = gr.Checkbox(
                False, label="Estimate the sound quality too (slow)", elem_id="evaluate-dnsmos"
            )
    with actions("evaluate-actions"):
        start = gr.Button("Evaluate", elem_id="evaluate-start", variant="primary")
        stop = gr.Button("Cancel", elem_id="evaluate-cancel", visible=False)
    state = gr.HTML("", elem_id="evaluate-state", apply_default_css=False)
    return RunFields(kinds, voices, seeds, dnsmos, start, stop, state)


def what_is_scored() -> ScoreFields:
    """Add the form for recordings that were made elsewhere, folded away."""
    with fold("Score recordings that were made elsewhere", "evaluate-others"):
        html("evaluate/evaluate-others.html")
        with gr.Row():
            task = gr.Dropdown(
                list(TASK_NAMES),
                value=TASK_NAMES[0],
                label="Task",
                elem_id="evaluate-task",
                filterable=False,
            )
            archive = gr.File(label="Outputs, as zip", file_types=[".zip"], elem_id="evaluate-zip")
        start = gr.Button("Score", elem_id="evaluate-score")
        scores = gr.HTML("", elem_id="evaluate-scores", apply_default_css=False)
    return ScoreFields(task, archive, start, scores)
