"""Talks whose connection breaks: who comes back in time goes on with the same talk, and nobody else does."""

from __future__ import annotations

import io
import time

import anyio
import numpy as np
import pytest
import soundfile as sf
import sphn
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_app.engine.contract import Step
from personaplex_app.engine.lease_contract import LeasingEngine
from personaplex_app.protocol import Kind, Message, metadata, parse_query
from personaplex_app.protocol_events import Audio, Mark, Pong, Resumable, Stats, StepTimes
from personaplex_app.server import queues, talk
from personaplex_app.server.channel import Disconnected, HttpChannel
from personaplex_app.server.entry_point import page_entry
from personaplex_app.server.queues import AudioQueue
from personaplex_app.server.resumption import MOST_KEPT, ResumableChannel
from personaplex_app.server.talk import Talk
from personaplex_app.units import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

from .support.fakes import FakeChannel, ScriptedEngine, silence
from .support.patience import until_async as until
from .test_talk import QUERY, open_app_state

pytestmark = pytest.mark.unit

OWNER = "an-owner-key-of-the-tests-0001"


def caller(tasks, app_state, order="start", query=QUERY, **fields):
    """Connect and say the first order; return the channel."""
    channel = FakeChannel()
    request = parse_query({**query, "config": "message"})
    channel.say(metadata(order, **{"owner": OWNER, **fields}))
    tasks.start_soon(Talk(channel, request, app_state, page_entry("chat", request)).run)
    return channel


def begin(tasks, app_state, **fields):
    return caller(tasks, app_state, "start", resumable=True, **fields)


async def token_of(channel):
    await until(lambda: channel.events("resumable") or channel.closed)
    return channel.events("resumable")[-1]["token"]


def level(value: float) -> Message:
    """A frame of the user in which every sample is `value`, so that it is known again."""
    return Message(Kind.AUDIO, np.full(FRAME_SAMPLES, round(value * 32767), "<i2").tobytes())


def audio_of(app_state, talk_id) -> np.ndarray:
    """Return a finished talk's recording: [N, 2], the user left."""
    owner = talk.NOBODY.with_owner_key(OWNER)
    with app_state.library.open_audio(owner, talk_id) as file:
        return sf.read(io.BytesIO(file.read()))[0]


async def test_resumed_talk_is_the_same_with_its_engine_and_a_new_token(tmp_path):
    engine = ScriptedEngine(silence)
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        first = begin(tasks, app_state)
        token = await token_of(first)
        first.say_frames(3)
        await until(lambda: first.count(Kind.AUDIO) == 3)
        first.say(None)
        second = caller(tasks, app_state, "resume", token=token)
        again = await token_of(second)
        assert again != token
        second.say_frames(2)
        await until(lambda: second.count(Kind.AUDIO) >= 2)
        assert not second.count(Kind.HANDSHAKE)  # it has begun long ago
        second.say(metadata("stop"))
        await until(lambda: second.closed)
        (ended,) = second.events("ended")
        assert (ended["reason"], second.closed[0]) == ("stopped", 1000)
        assert ended["talk_id"] == first.events("ready")[0]["talk_id"]
        assert 'lost_connections_total{outcome="resumed"} 1.0' in app_state.metrics.exposition("")[0].decode()
        await until(lambda: not app_state.callers)
    assert len(engine.sessions) == 1
    assert first.closed


@pytest.mark.parametrize("how", ["used", "another owner", "ended", "invented", "missing"])
async def test_token_that_is_not_good_is_refused_in_one_way_and_the_talk_is_not_touched(tmp_path, how):
    async with (
        open_app_state(ScriptedEngine(silence), tmp_path) as app_state,
        anyio.create_task_group() as tasks,
    ):
        talking = begin(tasks, app_state)
        token = await token_of(talking)
        if how == "used":
            talking = caller(tasks, app_state, "resume", token=token)
            await token_of(talking)
        elif how == "ended":
            talking.say(metadata("stop"))
            await until(lambda: talking.closed)
        fields = {
            "another owner": {"token": token, "owner": "another-owner-key-0002"},
            "invented": {"token": "x" * 32},
            "missing": {"token": ""},
        }.get(how, {"token": token})
        other = caller(tasks, app_state, "resume", **fields)
        await until(lambda: other.closed)
        reason = "bad_input" if how == "missing" else "cannot_resume"
        assert (other.closed[0], other.events("ended")[0]["reason"]) == (1008, reason)
        if how != "ended":
            talking.say_frames(1)
            await until(lambda: talking.count(Kind.AUDIO))
            assert not talking.closed
            talking.leave()


async def test_token_is_good_again_when_the_line_broke_before_the_next_one_came(tmp_path):
    async with (
        open_app_state(ScriptedEngine(silence), tmp_path) as app_state,
        anyio.create_task_group() as tasks,
    ):
        talking = begin(tasks, app_state)
        token = await token_of(talking)
        for _ in range(2):
            talking.say(None)
            talking = caller(tasks, app_state, "resume", token=token)
            unseen = await token_of(talking)
        late = caller(tasks, app_state, "resume", token=token)
        await until(lambda: late.closed)  # the one that came by it is still here
        assert late.events("ended")[0]["reason"] == "cannot_resume"
        talking.say_frames(1)
        await until(lambda: talking.count(Kind.AUDIO))
        talking.say(None)
        late = caller(tasks, app_state, "resume", token=token)
        await until(lambda: late.closed)  # it got the next
        assert late.events("ended")[0]["reason"] == "cannot_resume"
        talking = caller(tasks, app_state, "resume", token=unseen)
        assert await token_of(talking) not in (token, unseen)
        talking.leave()
    assert not app_state.resumptions._offers


async def test_resume_in_mid_talk_is_told_and_changes_nothing(tmp_path):
    async with (
        open_app_state(ScriptedEngine(silence), tmp_path) as app_state,
        anyio.create_task_group() as tasks,
    ):
        talking = begin(tasks, app_state)
        talking.say(metadata("resume", token=await token_of(talking)))
        await until(lambda: talking.events("notice"))
        assert talking.events("notice")[0]["code"] == "already_started"
        talking.leave()


async def test_client_that_did_not_ask_or_says_goodbye_ends_its_talk_at_once(tmp_path):
    engine = ScriptedEngine(silence, silence)
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        plain, asked = caller(tasks, app_state), begin(tasks, app_state)
        await until(lambda: plain.events("ready") and asked.events("ready"))
        assert not plain.events("resumable")
        plain.say(None)
        asked.leave()
        await until(lambda: not app_state.callers)
        assert app_state.admission.used == 0
    assert [session.closed for session in engine.sessions] == [True, True]


async def test_talk_to_which_nobody_comes_back_ends_as_lost_and_frees_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr(talk, "RESUME_S", 0.2)
    async with (
        open_app_state(ScriptedEngine(silence), tmp_path) as app_state,
        anyio.create_task_group() as tasks,
    ):
        gone = begin(tasks, app_state)
        await until(lambda: gone.count(Kind.HANDSHAKE))
        gone.say(metadata("ping"))
        await until(lambda: gone.events("pong"))
        gone.say(None)
        await until(lambda: not app_state.callers)
        assert app_state.admission.used == 0
        told = app_state.metrics.exposition("")[0].decode()
        assert 'lost_connections_total{outcome="given_up"} 1.0' in told
        assert 'reason="lost"' in told


async def test_place_in_line_is_kept_and_its_turn_may_come_meanwhile(tmp_path):
    engine = ScriptedEngine(silence, silence, silence)
    async with open_app_state(engine, tmp_path, slots=1) as app_state, anyio.create_task_group() as tasks:
        talking = begin(tasks, app_state)
        await until(lambda: talking.count(Kind.HANDSHAKE))
        lost = begin(tasks, app_state)
        await until(lambda: lost.events("queued"))
        behind = begin(tasks, app_state)
        await until(lambda: behind.events("queued"))
        lost.say(None)
        back = caller(tasks, app_state, "resume", token=await token_of(lost))
        token = await token_of(back)
        assert behind.events("queued")[-1]["ahead"] == 1
        back.say(None)
        talking.say(metadata("stop"))
        await until(lambda: len(engine.sessions) == 2)  # its turn comes while it is away
        again = caller(tasks, app_state, "resume", token=token)
        await until(lambda: again.count(Kind.HANDSHAKE) and again.events("ready"))
        for channel in (again, behind):
            channel.leave()


async def test_what_went_missing_is_sent_again_and_sound_is_not(tmp_path):
    def marked(frame):
        return Step(np.full(FRAME_SAMPLES, 0.5, np.float32), "", (Mark("overlap", "user", frame, frame),))

    async with (
        open_app_state(ScriptedEngine(marked), tmp_path) as app_state,
        anyio.create_task_group() as tasks,
    ):
        first = begin(tasks, app_state)
        first.say_frames(4)
        await until(lambda: len(first.events("mark")) == 4)
        others = [m for m in first.received if m.kind is not Kind.AUDIO]
        # the last two marks never arrived
        first.say(None)
        second = caller(tasks, app_state, "resume", token=await token_of(first), received=len(others) - 2)
        await token_of(second)
        assert [mark["start_s"] for mark in second.events("mark")][:2] == [3, 4]
        assert not second.count(Kind.AUDIO)
        second.leave()


async def test_connection_that_is_silently_dead_is_replaced_while_it_seems_alive(tmp_path):
    class Stuck(FakeChannel):
        """Takes nothing any more, as a dead connection whose buffers are full."""

        async def send(self, event):
            if self.events("ready"):
                await anyio.sleep_forever()
            await super().send(event)

    async with (
        open_app_state(ScriptedEngine(silence), tmp_path) as app_state,
        anyio.create_task_group() as tasks,
    ):
        dead = Stuck()
        request = parse_query({**QUERY, "resumable": "1", "owner": OWNER})
        tasks.start_soon(Talk(dead, request, app_state, page_entry("chat", request)).run)
        token = await token_of(dead)
        await until(lambda: dead.events("ready"))
        dead.say_frames(2)
        back = caller(tasks, app_state, "resume", token=token)
        await token_of(back)
        await until(lambda: dead.closed)
        back.say_frames(1)
        await until(lambda: back.count(Kind.AUDIO))
        back.leave()


async def test_server_that_stops_ends_a_talk_whose_client_is_away(tmp_path):
    async with (
        open_app_state(ScriptedEngine(silence), tmp_path) as app_state,
        anyio.create_task_group() as tasks,
    ):
        gone = begin(tasks, app_state)
        await until(lambda: gone.count(Kind.HANDSHAKE))
        gone.say(None)
        app_state.drain(0)
        await until(lambda: not app_state.callers)
        assert 'reason="draining"' in app_state.metrics.exposition("")[0].decode()


async def test_lent_gpu_offers_no_resumption(tmp_path, monkeypatch):
    monkeypatch.setattr(talk, "LeasingEngine", ScriptedEngine)
    assert LeasingEngine is not ScriptedEngine
    async with (
        open_app_state(ScriptedEngine(silence), tmp_path) as app_state,
        anyio.create_task_group() as tasks,
    ):
        channel = begin(tasks, app_state)
        await until(lambda: channel.count(Kind.HANDSHAKE))
        channel.say(metadata("stop"))
        await until(lambda: channel.closed)
        assert not channel.events("resumable")


async def test_opus_stream_begins_anew_on_each_connection(tmp_path):
    query = {"events": "1"}
    async with (
        open_app_state(ScriptedEngine(silence), tmp_path) as app_state,
        anyio.create_task_group() as tasks,
    ):
        first = caller(tasks, app_state, query=query, resumable=True)
        token = await token_of(first)
        for _ in range(2):
            writer = sphn.OpusStreamWriter(SAMPLE_RATE_HZ)
            for _ in range(6):
                first.say(Message(Kind.AUDIO, writer.append_pcm(np.zeros(FRAME_SAMPLES, np.float32))))
            await until(lambda channel=first: channel.count(Kind.AUDIO) > 2)
            head = next(m.payload for m in first.received if m.kind is Kind.AUDIO)
            assert head.startswith(b"OggS")
            assert b"OpusHead" in head
            first.say(None)
            first = caller(tasks, app_state, "resume", query=query, token=token)
            token = await token_of(first)
        first.leave()


async def test_recording_has_silence_where_the_user_could_not_be_heard(tmp_path):
    async with (
        open_app_state(ScriptedEngine(silence), tmp_path) as app_state,
        anyio.create_task_group() as tasks,
    ):
        first = begin(tasks, app_state)
        first.say(level(0.25))
        await until(lambda: first.count(Kind.AUDIO))
        first.say(None)
        lost_s = time.monotonic()
        await until(lambda: app_state.admission.used and time.monotonic() - lost_s > 4 * FRAME_S)
        second = caller(tasks, app_state, "resume", token=await token_of(first))
        await token_of(second)
        second.say(level(0.5))
        await until(lambda: second.count(Kind.AUDIO))
        second.say(metadata("stop"))
        await until(lambda: second.closed)
        (ended,) = second.events("ended")
        user = audio_of(app_state, ended["talk_id"])[:, 0].reshape(-1, FRAME_SAMPLES)
    heard = [round(float(frame.mean()), 2) for frame in user]
    assert (heard[0], heard[-1]) == (0.25, 0.5)
    assert len(heard) >= 2 + 4
    assert not any(heard[1:-1])


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=5))
def test_talk_cut_anywhere_hears_what_came_once_and_in_order(tmp_path_factory, pieces):
    """Cut after any number of frames, again and again, also with some of them still on their way."""

    async def talk_in_pieces():
        heard: list[float] = []

        class Listening(ScriptedEngine):
            def open(self, config):
                session = super().open(config)
                step = session.step
                session.step = lambda user: heard.append(round(float(user.mean()), 3)) or step(user)
                return session

        folder = tmp_path_factory.mktemp("cuts")
        async with (
            open_app_state(Listening(silence), folder) as app_state,
            anyio.create_task_group() as tasks,
        ):
            channel = begin(tasks, app_state)
            await until(lambda: channel.count(Kind.HANDSHAKE))
            count, came = 0, set()
            for frames, arrive in [*pieces, (1, True)]:
                said = [round(0.01 * (count + n + 1), 3) for n in range(frames)]
                count += frames
                for each in said:
                    channel.say(level(each))
                if arrive:
                    await until(lambda channel=channel: channel.all_read)
                    came |= set(said)
                channel.say(None)
                channel = caller(tasks, app_state, "resume", token=await token_of(channel))
                await token_of(channel)
            await until(lambda: came <= set(heard))
            spoken = [each for each in heard if each]
            assert spoken == sorted(set(spoken))
            channel.leave()

    anyio.run(talk_in_pieces)


def test_silence_fills_a_running_talk_up_to_now_and_nothing_before_it(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(queues.time, "monotonic", lambda: now[0])

    async def fill():
        queue = AudioQueue()
        now[0] += 20  # in line
        queue.fill()
        assert queue.waiting_frames == 0
        queue.put(np.ones(FRAME_SAMPLES, np.float32))
        await queue.take()
        now[0] += 3.5 * FRAME_S
        queue.fill()
        assert queue.waiting_frames == 3
        now[0] += 0.6 * FRAME_S
        queue.fill()
        assert queue.waiting_frames == 4
        assert not any([(await queue.take()).any() for _ in range(4)])

    anyio.run(fill)


async def test_channel_keeps_a_bounded_number_of_events_and_the_latest_figures():
    first, second = FakeChannel(), FakeChannel()
    channel = ResumableChannel(first)
    channel.resumable = True
    first.say(None)
    with anyio.move_on_after(0.05):
        await channel.receive()
    await channel.until_lost()
    stats = [Stats(n, StepTimes(1, 1, 1), 0, 0, None, 0, None) for n in range(3)]
    for event in (
        Audio(b"lost"),
        *stats,
        Pong(1),
        *(Mark("overlap", "user", n, n) for n in range(MOST_KEPT)),
    ):
        await channel.send(event)
    channel.attach(second, None)
    await channel.send(Audio(b"stale"))
    await channel.send(Resumable("token", 30))
    await channel.send(Audio(b"heard"))
    assert [m.payload for m in second.received if m.kind is Kind.AUDIO] == [b"heard"]
    assert len(second.events("mark")) >= MOST_KEPT - 1
    assert len(second.events("stats")) <= 1
    for each in (first, channel):
        await each.close(1000, "")


async def test_fallback_that_is_hung_up_says_whether_its_client_left():
    for left in (False, True):
        half = HttpChannel()
        half.hang_up(left)
        with pytest.raises(Disconnected) as caught:
            await half.receive()
        assert caught.value.left is left
        await half.close(1000, "")
