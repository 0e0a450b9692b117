"""The page as one Gradio Blocks: a masthead and the tabs. Its live parts are JavaScript in `static/`."""

from __future__ import annotations

from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio.themes import Base

from ..server.app_state import AppState
from ..server.evaluations import Evaluations
from . import evaluate, respond, static_tab
from .static import STATIC, read_static

# shared rules come first, so that a tab's own rules override them
STYLES = (
    *(f"shared/{name}" for name in ("page", "parts", "forms", "gradio", "lane", "recording")),
    *("talk/talk", "talk/setup", "sessions/sessions", "clone/clone", "respond/respond"),
    *("compare/compare", "compare/blind-test", "compare/results", "evaluate/evaluate"),
)
# uploads are checked every minute and deleted after 14, so that none is older than 15
UPLOADS_CHECKED_AND_KEPT_S = (60, 840)
MOST_QUEUED = 32
QUEUE_POLL_S = 0.1
# nothing here uses Gradio's progress bars
PROGRESS_POLL_S = 1.0
MAX_FILE_SIZE = "48mb"
# what Gradio remembers of a caller takes 0.1 MB, and each call by a program may be a new caller
SESSIONS_REMEMBERED = 200


class _Page(gr.Blocks):
    """Blocks that do not log a bad call's inputs: Gradio would print them, and one may be a role prompt."""

    async def preprocess_data(self, *args: Any, **options: Any) -> list[Any]:
        """Return a call's preprocessed inputs.

        Raises: gr.Error with a sentence for the caller that is not logged.
        """
        try:
            return await super().preprocess_data(*args, **options)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            text = (
                f"These inputs do not fit ({type(error).__name__}); /gradio_api/info lists what this call"
                " takes."
            )
            raise gr.Error(text, print_exception=False) from None


def build_page(app_state: AppState, evaluations: Evaluations) -> gr.Blocks:
    """Return the page, ready to be served with `page_options()`."""
    with _Page(
        title="[[title]]", analytics_enabled=False, fill_width=True, delete_cache=UPLOADS_CHECKED_AND_KEPT_S
    ) as page:
        gr.HTML(
            html_template=read_static("shared/masthead.html"),
            js_on_load=None,
            apply_default_css=False,
            elem_id="masthead",
        )
        with gr.Tabs(elem_id="tabs"):
            static_tab.build_tab("talk", app_state)
            respond.build_tab(app_state, page)
            static_tab.build_tab("compare", app_state)
            evaluate.build_tab(app_state, evaluations, page)
            static_tab.build_tab("sessions")
    page.state_session_capacity = SESSIONS_REMEMBERED
    # otherwise its routes `run` and `api` would bypass the queue and its limits
    queued = page.queue(max_size=MOST_QUEUED, api_open=False)
    # Gradio looks a thousand times a second whether somebody pressed a button and a hundred times whether a
    # progress bar moved, also where nobody is: 7 % of a core; it has no setting for either
    queued._queue.sleep_when_free = QUEUE_POLL_S
    queued._queue.progress_update_sleep_when_free = PROGRESS_POLL_S
    return queued


def mounted(page: gr.Blocks, parts: dict[str, Any], root_path: str, pwa: bool) -> FastAPI:
    """Return an ASGI app that serves the page, and the routes, middleware and lifespan of `parts` with it."""
    whole = FastAPI(openapi_url=None)
    where = {"root_path": root_path or None, "pwa": pwa}
    # `Blocks.launch` sets it, and without it Gradio takes any file of this machine for one that was uploaded
    page.has_launched = True
    return gr.mount_gradio_app(whole, page, "/", app_kwargs=parts, **where, **page_options())


def page_options() -> dict[str, Any]:
    """Return the page's options for `Blocks.launch` and `mount_gradio_app`: theme, style, no footer, nothing
    from other hosts, no texts of errors, a limit for uploads.
    """
    # font names as strings: Gradio then asks no font server
    theme = Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    # in the head and not as `css`: so it applies before the first paint, and Gradio does not rewrite its
    # selectors
    style = "".join(read_static(f"{name}.css") for name in STYLES)
    head = f'<meta name="color-scheme" content="light dark"><style>{style}</style>'
    icon = STATIC / "shared" / "icon.svg"
    shown = {"theme": theme, "head": head, "favicon_path": icon, "footer_links": []}
    limits = {"ssr_mode": False, "run_history": False, "show_error": False, "max_file_size": MAX_FILE_SIZE}
    return {**shown, **limits}
