"""The page's own interface, as Gradio's client for Python speaks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gradio_client import Client

from .app_process import AppProcess
from .patience import PATIENCE_S


@contextmanager
def gradio_client(app: AppProcess, headers: dict[str, str] | None = None) -> Iterator[Client]:
    """Connect to an app; no thread of the client is left."""
    client = Client(
        app.url, verbose=False, headers=headers, httpx_kwargs={"timeout": PATIENCE_S}, analytics_enabled=False
    )
    try:
        yield client
    finally:
        client.close()
        for executor in (client.executor, client.helper_executor, client.stream_executor):
            executor.shutdown()
