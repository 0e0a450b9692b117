"""A tab that lives in the browser: all of it is an HTML file and a module of `static/`, which talk to the
server's own routes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gradio as gr

from ..engine.lease_contract import LeasingEngine
from ..server.app_state import AppState
from .static import STATIC, mount_script, read_static

CLONE = "clone/clone-dialog.html"
CLONE_HERE = f"<!-- {CLONE} -->"


def build_tab(title: str, name: str, app_state: AppState | None = None) -> gr.Tab:
    """Add the tab of `static/NAME/NAME.html` and `.js`, id `tab-NAME`, to the Blocks being built.

    With a `app_state` whose engine must be leased, its script takes a device by `trigger("submit", {lease:
    token})`.
    """
    with gr.Tab(title, elem_id=f"tab-{name}", render_children=True) as tab:
        live = gr.HTML(
            html_template=read_static(f"{name}/{name}.html").replace(CLONE_HERE, read_static(CLONE)),
            js_on_load=mount_script(f"{name}/{name}.js"),
            apply_default_css=False,
            static_dir=STATIC.as_posix(),
        )
    if app_state and isinstance(engine := app_state.supervisor.engine, LeasingEngine):
        # a device is lent to whoever's event asks for it: this one runs, and shows nothing, as long as the
        # lease does
        quiet = {
            "show_progress": "hidden",
            "trigger_mode": "multiple",
            "concurrency_limit": None,
            "api_visibility": "private",
        }
        live.submit(_holder(engine), None, None, **quiet)
    return tab


def _holder(engine: LeasingEngine) -> Callable[[gr.EventData], Iterator[None]]:
    def hold(event: gr.EventData) -> Iterator[None]:
        wanted = event._data if isinstance(event._data, dict) else {}
        yield from engine.hold(str(wanted.get("lease", "")))

    return hold
