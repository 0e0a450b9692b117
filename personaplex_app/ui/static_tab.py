"""A tab that runs in the browser alone: an HTML file and a JavaScript module of `static/`, which call the
server's routes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gradio as gr

from ..engine.lease_contract import LeasingEngine
from ..server.app_state import AppState
from .scripts import mount_script
from .static import read_static

CLONE = "clone/clone-dialog.html"
CLONE_HERE = f"<!-- {CLONE} -->"


def build_tab(name: str, app_state: AppState | None = None) -> gr.Tab:
    """Add the tab of `static/NAME/NAME.html` and `.js`, id `tab-NAME`, to the Blocks being built.

    Where the engine of `app_state` must be leased, the tab's script takes a device by `trigger("submit",
    {lease: token})`.
    """
    with gr.Tab(f"[[tab_{name}]]", elem_id=f"tab-{name}", render_children=True) as tab:
        live = gr.HTML(
            html_template=read_static(f"{name}/{name}.html").replace(CLONE_HERE, read_static(CLONE)),
            js_on_load=mount_script(name),
            apply_default_css=False,
        )
    if app_state and isinstance(engine := app_state.supervisor.engine, LeasingEngine):
        # the platform lends a device to the visitor whose event asks for it: this event runs as long as the
        # lease does, and shows nothing
        live.submit(
            _holder(engine),
            None,
            None,
            show_progress="hidden",
            trigger_mode="multiple",
            concurrency_limit=None,
            api_visibility="private",
        )
    return tab


def _holder(engine: LeasingEngine) -> Callable[[gr.EventData], Iterator[None]]:
    def hold(event: gr.EventData) -> Iterator[None]:
        wanted = event._data if isinstance(event._data, dict) else {}
        yield from engine.hold(str(wanted.get("lease", "")))

    return hold
