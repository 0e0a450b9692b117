"""The form of the Respond tab: what is said, who answers, and what is pressed."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from ..engine.contract import Sampling
from ..evaluation.scenarios import LEAD_S, Scenario
from ..protocol import SAMPLING_LIMITS
from ..protocol_fields import MAX_PROMPT_CHARS
from ..server.app_state import AppState
from .form_parts import actions, fold, html, voice_choices

MAX_ROOM_S = 30
USUAL_ROOM_S = 10
USER_INK = "#2a9aa3"  # between the user's ink of the light page and of the dark one
SAMPLING_TITLES = {
    "audio_temperature": "Audio temperature",
    "text_temperature": "Text temperature",
    "audio_topk": "Audio top-k",
    "text_topk": "Text top-k",
    "seed": "Seed",
}


@dataclass(frozen=True)
class SaidFields:
    """The fields of what the user says."""

    clip: gr.Audio
    examples: list[gr.Button]
    room_s: gr.Slider
    greets: gr.Checkbox


@dataclass(frozen=True)
class RoleFields:
    """The fields of who answers."""

    persona: gr.Dropdown
    voice: gr.Dropdown
    prompt: gr.Textbox
    sampling: list[gr.Number]


@dataclass(frozen=True)
class Buttons:
    """What begins an answer, and what ends it."""

    start: gr.Button
    use_fallback: gr.Button
    stop: gr.Button


def what_is_said(examples: list[Scenario]) -> SaidFields:
    """Add the fields of what the user says, with a button for each example."""
    clip = gr.Audio(
        label="Your side",
        sources=["upload", "microphone"],
        type="filepath",
        editable=False,
        buttons=[],
        waveform_options=gr.WaveformOptions(waveform_color="#868176", waveform_progress_color=USER_INK),
        elem_id="respond-clip",
    )
    with gr.Row(elem_id="respond-examples", elem_classes=["gradio-ink"]):
        buttons = [gr.Button(each.title, size="sm") for each in examples]
    room_s = gr.Slider(
        0,
        MAX_ROOM_S,
        USUAL_ROOM_S,
        step=1,
        label="Silence to answer in, in seconds",
        info="Comes after your recording. An answer that takes longer is heard to its end.",
        elem_id="respond-room",
    )
    greets = gr.Checkbox(
        False,
        label="Let it greet first",
        info=f"Puts {LEAD_S:.0f} seconds of silence before your recording.",
        elem_id="respond-greets",
    )
    return SaidFields(clip, buttons, room_s, greets)


def who_answers(app_state: AppState) -> RoleFields:
    """Add the fields of who answers, without a choice yet."""
    persona = gr.Dropdown(
        [(each.title, each.name) for each in app_state.personas],
        label="Persona",
        elem_id="respond-persona",
        filterable=False,
    )
    # Gradio refuses a voice that is not among the choices, which change when another engine takes over
    voice = gr.Dropdown(
        voice_choices(app_state), value="", label="Voice", elem_id="respond-voice", allow_custom_value=True
    )
    prompt = gr.Textbox(
        "",
        label="Role prompt",
        lines=5,
        max_lines=12,
        max_length=MAX_PROMPT_CHARS,
        elem_id="respond-prompt",
    )
    with fold("Advanced: chance in its answers", "respond-sampling"):
        html("respond/respond-sampling.html")
        with gr.Row():
            sampling = [_number(name) for name in SAMPLING_TITLES]
    return RoleFields(persona, voice, prompt, sampling)


def buttons(app_state: AppState) -> Buttons:
    """Add the buttons below the form."""
    with actions("respond-actions"):
        return Buttons(
            gr.Button("Hear the answer", elem_id="respond-start", variant="primary"),
            gr.Button(
                "Let the small stand-in answer",
                elem_id="respond-beside",
                visible=app_state.fallback_engine is not None,
            ),
            gr.Button("Cancel", elem_id="respond-cancel"),
        )


def _number(name: str) -> gr.Number:
    least, most, whole = SAMPLING_LIMITS[name]
    value = 0 if name == "seed" else getattr(Sampling(), name)
    return gr.Number(
        value,
        label=SAMPLING_TITLES[name],
        minimum=least,
        maximum=most,
        precision=0 if whole else None,
        min_width=120,
    )
