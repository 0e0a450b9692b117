"""What the forms of several tabs are made of."""

from __future__ import annotations

import gradio as gr

from ..server.app_state import AppState
from .static import read_static


def html(name: str) -> None:
    """Add an HTML file of `static/` that needs no script."""
    gr.HTML(html_template=read_static(name), js_on_load=None, apply_default_css=False)


def voice_choices(app_state: AppState) -> list[tuple[str, str]]:
    """Return the engine's voices as titles with names."""
    return [(voice.title, voice.name) for voice in app_state.supervisor.engine.voices]


def fold(title: str, name: str) -> gr.Accordion:
    """Return what is folded away under a title, to be filled in a `with` block."""
    return gr.Accordion(title, open=False, elem_id=name, elem_classes=["gradio-ink", "gradio-fold"])


def actions(name: str) -> gr.Row:
    """Return the row of buttons below a form, to be filled in a `with` block."""
    return gr.Row(elem_id=name, elem_classes=["gradio-ink", "gradio-actions"])


def form(name: str) -> gr.Row:
    """Return a form's row, to be filled with columns in a `with` block."""
    return gr.Row(elem_id=name, elem_classes=["gradio-ink", "gradio-form"], equal_height=False)
