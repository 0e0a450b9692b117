"""The command `serve`: run the app."""

from __future__ import annotations

import argparse
import gc
import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .. import logs
from ..settings import Settings


def serve(settings: Settings, args: argparse.Namespace) -> int:
    """Run the app until it is told to stop."""
    # analytics must be off before Gradio is imported, and importing it takes seconds that other commands need
    # not pay
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from ..server.certificates import certificate_of

    certificate_of(settings)  # one that cannot be used is told at once too
    with _quick_import():
        from ..launch import serve as run_app

    if settings.log_format == "json":
        logs.catch_prints()
    run_app(settings)
    return 0


@contextmanager
def _quick_import() -> Iterator[None]:
    """Import without what nobody needs then: Gradio's rewriting of .pyi files for editors, and a search for
    garbage in what stays.
    """
    original = inspect.getfile

    def getfile(of: Any) -> str:
        if isinstance(of, type) and of.__module__.startswith("gradio."):
            raise OSError  # as of a class without a file, for which Gradio writes nothing
        return original(of)

    gc.disable()
    inspect.getfile = getfile
    try:
        yield
    finally:
        inspect.getfile = original
        gc.freeze()
        gc.enable()
