"""`/metrics`: the figures that Prometheus collects, behind the same authentication as everything else."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..app_state import AppState


def metrics_routes(app_state: AppState) -> list[BaseRoute]:
    """Return the route; the app's gauges are read at each request."""
    app_state.metrics.registry.register(_AppGauges(app_state))

    async def metrics(request: Request) -> Response:
        content, media_type = app_state.metrics.exposition(request.headers.get("accept", ""))
        return Response(content, headers={"Content-Type": media_type, "Cache-Control": "no-store"})

    return [Route("/metrics", metrics)]


class _AppGauges(Collector):
    """The app's present state as gauges: nothing has to be kept up to date between two requests."""

    def __init__(self, app_state: AppState) -> None:
        self._app_state = app_state

    def collect(self) -> Iterator[Metric]:
        app_state = self._app_state
        for name, help_, value in (
            ("slots_used", "Slots taken by talks and renderings.", app_state.admission.used),
            ("slots", "Slots there are.", app_state.admission.total),
            ("queue_length", "Callers that wait for a slot.", app_state.admission.waiting),
            ("callers", "Connections in a talk or before one.", app_state.callers),
        ):
            yield GaugeMetricFamily(f"personaplex_{name}", help_, value)
        ready = GaugeMetricFamily(
            "personaplex_engine_ready",
            "1 while the engine can talk, 0 while it cannot.",
            labels=["engine", "instead_of"],
        )
        choice = app_state.supervisor.choice
        ready.add_metric([choice.name, choice.instead_of], app_state.supervisor.state.stage == "ready")
        yield ready
