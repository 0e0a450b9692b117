"""Orders beside a slow engine, and engines and background work that fail without a word."""

import json
import threading

import anyio
import pytest

from personaplex_app.errors import StorageError
from personaplex_app.protocol import Kind, metadata
from personaplex_app.protocol_events import Audio, Pong, Saved
from personaplex_app.server import app_state as app_states
from personaplex_app.server import queues, talk_session
from personaplex_app.server.queues import WAITING_S, AudioQueue, SendQueue
from personaplex_app.server.routes.status import status_routes
from personaplex_app.sessions.library import Library
from personaplex_app.units import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

from .support.fakes import FakeChannel, ScriptedEngine, silence
from .support.patience import PATIENCE_S
from .support.patience import until_async as until
from .support.peers import tone
from .test_talk import converse, open_app_state

pytestmark = pytest.mark.unit


class Held:
    """A script whose steps do not come back before it is let go."""

    def __init__(self, from_frame):
        self._from = from_frame
        self.let_go = threading.Event()
        self.reached = threading.Event()

    def __call__(self, frame):
        if frame >= self._from:
            self.reached.set()
            self.let_go.wait(PATIENCE_S)
        return silence(frame)


@pytest.fixture
def hold():
    """Make scripts that hold their steps; whatever becomes of the test, they are let go."""
    made = []

    def make(from_frame=1):
        made.append(Held(from_frame))
        return made[-1]

    yield make
    for each in made:
        each.let_go.set()


async def health(app_state):
    answer = await status_routes(app_state)[0].endpoint(None)
    told = json.loads(answer.body)
    return answer.status_code, told["status"], told["problem"]


async def test_orders_are_obeyed_at_once_however_slow_the_engine_is(tmp_path, monkeypatch, hold):
    monkeypatch.setattr(queues, "AHEAD_S", 1_000)
    held = hold()
    engine = ScriptedEngine(held)
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        channel = converse(tasks, app_state)
        await until(lambda: channel.count(Kind.HANDSHAKE))
        channel.say_frames(round(2 * WAITING_S / FRAME_S))
        channel.say(metadata("ping", sent=1))
        channel.say(metadata("interrupt"))
        await until(lambda: channel.events("pong") and channel.events("interrupted"))
        assert engine.sessions[0].interrupted
        assert [each["code"] for each in channel.events("notice")] == ["behind"]
        channel.say(metadata("stop"))
        await until(lambda: channel.closed)
        assert channel.events("ended")[0]["reason"] == "stopped"
        # the place is given to nobody while the session is still in its step
        assert (held.let_go.is_set(), app_state.admission.used) == (False, 1)
        held.let_go.set()
        await until(lambda: not app_state.admission.used)
        assert engine.sessions[0].closed
        assert not app_state.problem


@pytest.mark.parametrize("where", ["step", "open"])
async def test_engine_that_hangs_ends_its_talks_and_is_unhealthy(tmp_path, monkeypatch, hold, where):
    monkeypatch.setattr(talk_session, "STEP_LIMIT_S", 0.05)
    held = hold(from_frame=2)
    engine = ScriptedEngine(held, silence)
    if where == "open":
        monkeypatch.setattr(talk_session, "OPEN_LIMIT_S", 0.05)
        plain = engine.open
        monkeypatch.setattr(engine, "open", lambda config: held(2) and plain(config))
    async with open_app_state(engine, tmp_path, slots=1) as app_state, anyio.create_task_group() as tasks:
        channel = converse(tasks, app_state, owner="o" * 20)
        waiting = converse(tasks, app_state)
        if where == "step":
            channel.say_frames(3)
        await until(lambda: channel.closed)
        assert channel.closed[0] == 1011
        assert channel.events("ended")[0]["reason"] == "lost"
        assert "has not answered for 0.05 s" in channel.errors[0]
        # the place goes to the next, whose session hangs or not as it may
        await until(lambda: waiting.closed or waiting.count(Kind.HANDSHAKE))
        if not waiting.closed:
            waiting.say(None)
        await until(lambda: not app_state.admission.used)
        code, status, problem = await health(app_state)
        assert (code, status) == (503, "failed")
        assert "has not come back" in problem
        held.let_go.set()
        await until(lambda: not app_state.problem)
        assert await health(app_state) == (200, "ok", "")
        assert all(session.closed for session in engine.sessions)


async def test_error_of_the_cleaning_is_logged_and_cleaning_and_talks_go_on(tmp_path, monkeypatch, caplog):
    cleaned = []

    def purge(self, room_bytes=0):
        cleaned.append(1)
        raise StorageError("The folder is gone.")

    monkeypatch.setattr(Library, "purge", purge)
    monkeypatch.setattr(app_states, "PURGE_EVERY_S", 0.01)
    engine = ScriptedEngine(silence)
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        await until(lambda: len(cleaned) > 2)
        channel = converse(tasks, app_state)
        await until(lambda: channel.count(Kind.HANDSHAKE))
        channel.say(metadata("stop"))
        await until(lambda: channel.closed)
        assert not app_state.problem
    assert "ended by a fault of the program" in caplog.text


async def test_fault_of_one_piece_of_background_work_is_its_own(tmp_path, caplog):
    async def fall():
        raise RuntimeError("tensor 0xdead")

    gone_on = anyio.Event()

    async def go_on():
        gone_on.set()

    async with open_app_state(ScriptedEngine(), tmp_path) as app_state:
        app_state.start_soon(fall)
        app_state.start_soon(go_on)
        await gone_on.wait()
        assert not app_state.problem
    assert "0xdead" in caplog.text
    # a server whose lifespan has ended may still be asked
    assert "background work has ended" in (await health(app_state))[2]


def test_audio_queue_keeps_the_last_half_minute_and_says_when_it_lost_some(monkeypatch):
    monkeypatch.setattr(queues, "AHEAD_S", 1_000)
    queue = AudioQueue()
    second = tone(1.0)
    assert not any(queue.put(second) for _ in range(round(WAITING_S)))
    assert queue.put(second)


async def test_audio_queue_gives_a_frame_at_a_time(monkeypatch):
    monkeypatch.setattr(queues, "AHEAD_S", 1_000)
    queue = AudioQueue()
    queue.put(tone(1.0))
    taken = [len(await queue.take()) for _ in range(13)]
    assert (taken[:12], sum(taken)) == ([FRAME_SAMPLES] * 12, SAMPLE_RATE_HZ)


async def test_pong_does_not_wait_behind_the_agents_sound():
    channel = FakeChannel()
    queue = SendQueue()
    for event in (Audio(b""), Saved(1.0), Audio(b""), Pong(1), Pong(2)):
        assert queue.put(event)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.drain_to, channel)
        await until(lambda: len(channel.received) == 5)
        tasks.cancel_scope.cancel()
    await channel.close(1000, "")
    assert [each["sent"] for each in channel.events("pong")] == [1, 2]
    assert [message.kind for message in channel.received[:3]] == [Kind.METADATA, Kind.METADATA, Kind.AUDIO]
