"""Prometheus metrics of one app, in a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from .protocol_events import Frame, StepEvent
from .units import FRAME_S

# fine around 80 ms, which a step must not exceed, and coarse far from it
STEP_BUCKETS_S = (
    0.002,
    0.005,
    0.01,
    0.02,
    0.03,
    0.04,
    0.05,
    0.06,
    0.07,
    0.08,
    0.09,
    0.1,
    0.12,
    0.16,
    0.24,
    0.5,
    1.0,
)


def _nothing(amount: float) -> None:
    """Count nothing."""


@dataclass(frozen=True)
class Traffic:
    """Counts the bytes of one kind of connection: `received` from clients, `sent` to them."""

    received: Callable[[float], None] = _nothing
    sent: Callable[[float], None] = _nothing


@dataclass(frozen=True)
class StepMeter:
    """Counts the steps of one talk, as one of its listeners."""

    took_s: Callable[[float], None] = _nothing
    missed: Callable[[float], None] = _nothing
    came_late: Callable[[float], None] = _nothing

    def see(self, events: Sequence[StepEvent]) -> tuple[()]:
        """Count one step."""
        for event in events:
            if isinstance(event, Frame):
                self.took_s(event.step_s)
                if event.step_s > FRAME_S:
                    self.missed(1)
                if event.missing_frames:
                    self.came_late(event.missing_frames)
        return ()


class Metrics:
    """All metrics of the app. Thread-safe."""

    def __init__(self) -> None:
        # not the package's global one: a second app in the process, as in tests, would register twice
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

        def counter(name: str, help_: str, *labels: str) -> Counter:
            return Counter(f"personaplex_{name}", help_, labels, registry=self.registry)

        self.talks = counter(
            "talks",
            "Talks that ended, by engine, entry point and end reason.",
            "engine",
            "face",
            "reason",
        )
        self.errors = counter(
            "errors",
            "Errors: refused callers, messages and requests, and talks that failed, by error code.",
            "kind",
        )
        self.underruns = counter("underruns", "Playback underruns that clients reported.")
        self.lost_connections = counter(
            "lost_connections",
            "Broken connections of talks that can be resumed: resumed, or given up after the time for it.",
            "outcome",
        )
        self._bytes = counter(
            "bytes",
            "Bytes of messages from clients (in) and to clients (out), by entry point.",
            "face",
            "direction",
        )
        self._misses = counter("deadline_misses", "Steps that took longer than a frame, 80 ms.", "engine")
        self._late = counter(
            "late_frames", "Frames of the user stream that were missing because they arrived late.", "engine"
        )
        self._steps = Histogram(
            "personaplex_step_seconds",
            "Computing time of one step, which advances a talk by 80 ms.",
            ["engine"],
            buckets=STEP_BUCKETS_S,
            registry=self.registry,
        )

    def traffic(self, transport: str) -> Traffic:
        """Return the byte counters of one entry point."""
        return Traffic(self._bytes.labels(transport, "in").inc, self._bytes.labels(transport, "out").inc)

    def step_meter(self, engine: str) -> StepMeter:
        """Return the step metrics for a talk with an engine."""
        return StepMeter(
            self._steps.labels(engine).observe, self._misses.labels(engine).inc, self._late.labels(engine).inc
        )

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in the format that the Accept header asks for, and its media type."""
        encode, media_type = choose_encoder(accept)
        return encode(self.registry), media_type
