"""The Compare tab: voices side by side, openly or blind."""

from __future__ import annotations

import gradio as gr

from .static import STATIC, mount_script, read_static


def build_tab() -> gr.Tab:
    """Add the Compare tab to the Blocks being built."""
    with gr.Tab("Compare", elem_id="tab-compare", render_children=True) as tab:
        gr.HTML(
            html_template=read_static("compare.html"),
            js_on_load=mount_script("compare.js"),
            apply_default_css=False,
            static_dir=STATIC.as_posix(),
        )
    return tab
