"""The Talk tab. Its element ids are fixed: other people's browser tests rely on them."""

from __future__ import annotations

import gradio as gr

from .static import STATIC, mount_script, read_static


def build_tab() -> gr.Tab:
    """Add the Talk tab to the Blocks being built."""
    with gr.Tab("Talk", elem_id="tab-talk", render_children=True) as tab:
        gr.HTML(
            html_template=read_static("talk.html").replace("<!-- clone.html -->", read_static("clone.html")),
            js_on_load=mount_script("talk.js"),
            apply_default_css=False,
            static_dir=STATIC.as_posix(),
        )
    return tab
