"""The command `serve`: run the app."""

from __future__ import annotations

import argparse

from ..engine_choice import choose
from ..settings import Settings


def serve(settings: Settings, args: argparse.Namespace) -> int:
    """Run the app until it is told to stop: what `app.py` does."""
    # Gradio takes seconds to import, which other commands need not pay
    from ..application import create_app
    from ..launch import launch

    launch(create_app(settings, choose(settings)))
    return 0
