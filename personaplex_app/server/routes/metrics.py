"""`/metrics`: what Prometheus collects, behind the same door as everything else."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..app_state import House


def metrics_routes(house: House) -> list[BaseRoute]:
    """Return the route, and have the house looked at whenever it is asked for."""
    house.metrics.registry.register(_Rooms(house))

    async def metrics(request: Request) -> Response:
        content, media_type = house.metrics.exposition(request.headers.get("accept", ""))
        return Response(content, headers={"Content-Type": media_type, "Cache-Control": "no-store"})

    return [Route("/metrics", metrics)]


class _Rooms(Collector):
    """How the house is now."""

    def __init__(self, house: House) -> None:
        self._house = house

    def collect(self) -> Iterator[Metric]:
        house = self._house
        for name, help_, value in (
            ("slots_used", "Slots taken by talks and renderings.", house.admission.used),
            ("slots", "Slots there are.", house.admission.total),
            ("queue_length", "Callers that wait for a slot.", house.admission.waiting),
            ("callers", "Connections in a talk or before one.", house.callers),
        ):
            yield GaugeMetricFamily(f"personaplex_{name}", help_, value)
        ready = GaugeMetricFamily(
            "personaplex_engine_ready", "1 while the engine can talk, 0 while it cannot.", labels=["engine", "instead_of"]
        )
        choice = house.host.choice
        ready.add_metric([choice.name, choice.instead_of], house.host.state.stage == "ready")
        yield ready
