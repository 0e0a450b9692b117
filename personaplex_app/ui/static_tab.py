"""A tab that lives in the browser: all of it is an HTML file and a module of `static/`, which talk to the server's own routes."""

from __future__ import annotations

import gradio as gr

from .static import STATIC, mount_script, read_static


def build_tab(title: str, name: str) -> gr.Tab:
    """Add the tab of `static/NAME.html` and `static/NAME.js`, id `tab-NAME`, to the Blocks being built."""
    with gr.Tab(title, elem_id=f"tab-{name}", render_children=True) as tab:
        gr.HTML(
            html_template=read_static(f"{name}.html").replace("<!-- clone.html -->", read_static("clone.html")),
            js_on_load=mount_script(f"{name}.js"),
            apply_default_css=False,
            static_dir=STATIC.as_posix(),
        )
    return tab
