"""Who asked for what a handler of the page does."""

from __future__ import annotations

import gradio as gr

from ..principal import NOBODY
from ..server.app_state import AppState
from ..server.askers import Asker


def asker_of(request: gr.Request, app_state: AppState) -> Asker:
    """Return who asked, as the authentication before every route found out."""
    http = request.request
    caller = getattr(http.state, "principal", NOBODY) if http else NOBODY
    return app_state.askers.asker(caller, request.session_hash or "")
