"""Leases of a device, both ends in one process: what is asked, refused, left unanswered and given back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from personaplex_app.engine import leased
from personaplex_app.engine.contract import SampledSession, Sampling, SessionConfig
from personaplex_app.engine.lease_contract import LeasingEngine
from personaplex_app.engine.leased import LeasedEngine
from personaplex_app.errors import BadInput, EngineError, GpuUnavailable
from personaplex_app.units import FRAME_SAMPLES

from .support.fakes import ScriptedEngine, silence
from .support.patience import PATIENCE_S

pytestmark = pytest.mark.unit
CONFIG = SessionConfig("echo", "")
FRAME = np.zeros(FRAME_SAMPLES, np.float32)


class Resting(ScriptedEngine):
    """A scripted engine that can be loaded in two steps."""

    def preload(self, report) -> None:
        self.rested = True


class Lender:
    """Lends this very process, as the decorator does outside ZeroGPU, unless it is told to fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def lend(self, serve):
        def run(path: str, lease_s: float) -> Iterator:
            if self.error:
                raise self.error
            yield from serve(path, lease_s)

        return run

    def explain(self, error: Exception) -> EngineError:
        return GpuUnavailable(f"No GPU: {error}.")


@pytest.fixture
def engine():
    made = LeasedEngine(Resting(silence, silence), Lender(), 2)
    yield made
    made.close()


@contextmanager
def held(engine: LeasedEngine, length_s: float = 30):
    """A lease that an event holds, as in the page."""
    lease = engine.lease(length_s)
    event = threading.Thread(target=lambda: [None for _ in engine.hold(lease.token)])
    event.start()
    try:
        yield lease
    finally:
        lease.end()
        event.join(PATIENCE_S)
        assert not event.is_alive()


def test_leased_engine_without_a_lease_opens_nothing(engine):
    assert isinstance(engine, LeasingEngine)
    with pytest.raises(GpuUnavailable, match="lent to a visitor of the page"):
        engine.open(CONFIG)


def test_leased_session_steps_in_the_worker_and_closes_there(engine):
    with held(engine, 120) as lease:
        session = lease.engine.open(CONFIG)
        assert 60 < lease.left_s <= 120
        assert isinstance(session, SampledSession)
        assert session.step(FRAME).agent.shape == (FRAME_SAMPLES,)
        session.interrupt()
        inner = engine._engine.sessions[0]
        assert (inner.frames, inner.interrupted) == (1, True)
        session.close()
        session.close()
        assert inner.closed
        with pytest.raises(EngineError, match="has been closed"):
            session.step(FRAME)
        # another talk on the same lease
        lease.engine.open(CONFIG).step(FRAME)
    assert engine._engine.sessions[1].closed


def test_leased_session_error_of_the_engine_crosses_and_the_lease_goes_on(engine):
    def fails(frame):
        raise EngineError("The engine ran out of breath.")

    engine._engine._scripts[:] = [fails, silence]
    with held(engine) as lease:
        with pytest.raises(EngineError, match="out of breath"):
            lease.engine.open(CONFIG).step(FRAME)
        lease.engine.open(CONFIG).step(FRAME)


def test_leased_session_fault_of_the_engine_is_a_sentence(engine):
    with held(engine) as lease, pytest.raises(EngineError, match=r"failed on the GPU \(AttributeError\)"):
        lease.engine.open(CONFIG).resample(Sampling())  # type: ignore[attr-defined]


def test_lease_that_is_refused_tells_who_waits_why():
    engine = LeasedEngine(Resting(silence), Lender(RuntimeError("none left")), 2)
    with held(engine) as lease, pytest.raises(GpuUnavailable, match="No GPU: none left"):
        lease.engine.open(CONFIG)
    engine.close()


def test_lease_ended_before_its_event_comes_is_not_taken(engine):
    lease = engine.lease(30)
    lease.end()
    assert list(engine.hold(lease.token)) == []
    with pytest.raises(EngineError, match="over"):
        lease.engine.open(CONFIG)
    lease.end()


def test_lease_is_held_once(engine):
    with held(engine) as lease:
        lease.granted.result(PATIENCE_S)
        assert list(engine.hold(lease.token)) == []
        lease.engine.open(CONFIG).step(FRAME)


def test_lease_whose_event_is_closed_loses_the_device(engine):
    lease = engine.lease(30)
    event = engine.hold(lease.token)
    opened = threading.Thread(target=next, args=[event])
    opened.start()
    opened.join(PATIENCE_S)
    event.close()
    with pytest.raises(EngineError, match="taken away"):
        lease.engine.open(CONFIG)
    lease.end()


def test_lease_longer_than_any_or_one_too_many_is_refused(engine, monkeypatch):
    with pytest.raises(BadInput, match="at most 120 s here; 121 s were asked for"):
        engine.lease(121)
    monkeypatch.setattr(leased, "MAX_LEASE_REQUESTS", 1)
    engine.lease(30)
    with pytest.raises(GpuUnavailable, match="1 visitors wait"):
        engine.lease(30)


def test_lease_whose_worker_does_not_answer_is_over(engine, monkeypatch):
    gate = threading.Event()

    def hangs(frame):
        gate.wait(PATIENCE_S)
        return silence(frame)

    engine._engine._scripts[:] = [hangs]
    monkeypatch.setattr(leased, "STEP_TIMEOUT_S", 0.1)
    with held(engine) as lease:
        session = lease.engine.open(CONFIG)
        with pytest.raises(EngineError, match="did not answer"):
            session.step(FRAME)
        gate.set()
        with pytest.raises(EngineError, match="over"):
            session.step(FRAME)


def test_worker_to_whom_nobody_speaks_ends(engine, monkeypatch):
    monkeypatch.setattr(leased, "YIELD_EVERY_S", 0.01)
    lease = engine.lease(120)
    event = engine.hold(lease.token)
    for _ in range(3):  # it goes on until it has been idle for long
        next(event)
    monkeypatch.setattr(leased, "IDLE_TIMEOUT_S", 0.0)
    assert list(event) == []
    with pytest.raises(EngineError, match="taken away"):
        lease.engine.open(CONFIG)
    lease.end()


def test_worker_ends_with_its_lease(engine, monkeypatch):
    monkeypatch.setattr(leased, "MARGIN_S", 0)
    lease = engine.lease(0.2)
    assert len(list(engine.hold(lease.token))) == 1
    assert lease.left_s == 0
    with pytest.raises(EngineError, match="over"):
        lease.engine.open(CONFIG)
    lease.end()


def test_worker_of_a_lost_engine_is_not_used_again(engine):
    engine._engine.lost = "The model cannot be made ready again; restart the app."
    lease = engine.lease(30)
    worker = engine._serve(lease.path, 30)
    lease.connect_worker(next(worker).ends_s)
    lease.end()
    with pytest.raises(EngineError, match="restart the app"):
        next(worker)
