"""The page as one Gradio Blocks: a masthead and a file a tab. What is live in it happens in `static/`."""

from __future__ import annotations

from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio.themes import Base

from ..server.app_state import AppState
from ..server.evaluations import Evaluations
from . import evaluate, respond, static_tab
from .static import STATIC, read_static

TITLE = "PersonaPlex: talk with a voice that listens while it speaks"

# what is shared comes first: a tab's own rules go over it
STYLES = (
    *(f"shared/{name}" for name in ("page", "parts", "forms", "lane", "recording")),
    *("talk/talk", "talk/setup", "sessions/sessions", "clone/clone", "respond/respond"),
    *("compare/compare", "compare/blind-test", "compare/results", "evaluate/evaluate"),
)
# uploads are looked through every minute, and none is older than 15 when it is deleted
UPLOADS_CHECKED_AND_KEPT_S = (60, 840)
MOST_QUEUED = 32
MAX_FILE_SIZE = "48mb"
# what Gradio remembers of a caller takes 0.1 MB, and each call by a program may be a new caller
SESSIONS_REMEMBERED = 200


class _Page(gr.Blocks):
    """Blocks that keep to themselves what a bad call sent: Gradio would print it, and it may be somebody's
    role prompt.
    """

    async def preprocess_data(self, *args: Any, **options: Any) -> list[Any]:
        """Return a call's inputs, looked at.

        Raises: gr.Error with a sentence for the caller, none of it for the log.
        """
        try:
            return await super().preprocess_data(*args, **options)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            said = (
                f"These inputs do not fit ({type(error).__name__}); /gradio_api/info lists what this call"
                " takes."
            )
            raise gr.Error(said, print_exception=False) from None


def build_page(app_state: AppState, evaluations: Evaluations) -> gr.Blocks:
    """Return the page, ready to be served with `page_options()`."""
    gr.set_static_paths([STATIC])
    with _Page(
        title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=UPLOADS_CHECKED_AND_KEPT_S
    ) as page:
        gr.HTML(
            html_template=read_static("shared/masthead.html"),
            js_on_load=None,
            apply_default_css=False,
            elem_id="masthead",
        )
        with gr.Tabs(elem_id="tabs"):
            static_tab.build_tab("Talk", "talk", app_state)
            respond.build_tab(app_state, page)
            static_tab.build_tab("Compare", "compare", app_state)
            evaluate.build_tab(app_state, evaluations, page)
            static_tab.build_tab("Sessions", "sessions")
    page.state_session_capacity = SESSIONS_REMEMBERED
    # else its routes `run` and `api` would pass the queue and its limits by
    return page.queue(max_size=MOST_QUEUED, api_open=False)


def mounted(page: gr.Blocks, parts: dict[str, Any], root_path: str, pwa: bool) -> FastAPI:
    """Return an ASGI app that serves the page, and the routes, middleware and lifespan of `parts` with it."""
    whole = FastAPI(openapi_url=None)
    where = {"root_path": root_path or None, "pwa": pwa}
    return gr.mount_gradio_app(whole, page, "/", app_kwargs=parts, **where, **page_options())


def page_options() -> dict[str, Any]:
    """Return what `Blocks.launch` and `mount_gradio_app` need to serve the page as it is meant: theme, style,
    no footer, nothing from other hosts, no error's text, no endless upload.
    """
    # font names as strings: Gradio then asks no font server
    theme = Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    # in the head and not as `css`: it is there before the first paint, and Gradio does not rewrite its
    # selectors
    style = "".join(read_static(f"{name}.css") for name in STYLES)
    head = f'<meta name="color-scheme" content="light dark"><style>{style}</style>'
    icon = STATIC / "shared" / "icon.svg"
    shown = {"theme": theme, "head": head, "favicon_path": icon, "footer_links": []}
    limits = {"ssr_mode": False, "run_history": False, "show_error": False, "max_file_size": MAX_FILE_SIZE}
    return {**shown, **limits}
