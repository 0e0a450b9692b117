"""The Sessions tab: the talks a person chose to keep, and the one that just ended."""

from __future__ import annotations

import gradio as gr

from .static import STATIC, mount_script, read_static


def build_tab() -> gr.Tab:
    """Add the Sessions tab to the Blocks being built."""
    with gr.Tab("Sessions", elem_id="tab-sessions", render_children=True) as tab:
        gr.HTML(
            html_template=read_static("sessions.html"),
            js_on_load=mount_script("sessions.js"),
            apply_default_css=False,
            static_dir=STATIC.as_posix(),
        )
    return tab
