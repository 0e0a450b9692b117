"""Import Gradio without a step that takes a third of the app's start."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_stub_files() -> Iterator[None]:
    """Import Gradio without its rewriting of .pyi files for editors.

    It has no setting for that. It looks for each component's file with `inspect.getfile`, and writes nothing
    for a class without one. Kept for what it saves, which `benchmarks/results/import_cost.json` has: without
    it the import takes 1.6 times as long.
    """
    original = inspect.getfile

    def getfile(object: Any) -> str:
        if isinstance(object, type) and object.__module__.startswith("gradio."):
            raise OSError
        return original(object)

    inspect.getfile = getfile
    try:
        yield
    finally:
        inspect.getfile = original
