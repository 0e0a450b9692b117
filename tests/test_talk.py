"""A talk's life on the event loop, with engines that fail on purpose."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import numpy as np
import pytest

from personaplex_app.codec import Float32
from personaplex_app.engine_choice import Choice
from personaplex_app.errors import EngineError, WeightsError
from personaplex_app.personas import load_personas
from personaplex_app.protocol import ChatRequest, Kind, Message, metadata, parse_query
from personaplex_app.protocol_events import Ended, Ready
from personaplex_app.server import talk as talk_module
from personaplex_app.server.app_state import AppState
from personaplex_app.server.channel import HttpChannels
from personaplex_app.server.engine_supervisor import EngineSupervisor
from personaplex_app.server.entry_point import EntryPoint, EntryPolicy, page_entry
from personaplex_app.server.talk import MOST_UNKNOWN_ANSWERED, Talk
from personaplex_app.sessions.admission import Admission
from personaplex_app.sessions.library import Library
from personaplex_app.settings import Settings
from personaplex_app.units import FRAME_SAMPLES
from personaplex_app.voices import SPANISH

from .support.fakes import FakeChannel, ScriptedEngine, silence
from .support.patience import until_async as until

pytestmark = pytest.mark.unit

QUERY = {"codec": "pcm", "events": "1"}


@asynccontextmanager
async def open_app_state(
    engine, tmp_path, slots=2, choice=Choice("echo", "for the test"), build=None, stand_in=None
):
    app_state = AppState(
        settings=Settings(data=tmp_path, slots=slots),
        supervisor=EngineSupervisor(engine, choice, build, stand_in),
        personas=load_personas(),
        admission=Admission(slots, talk_limit_s=60),
        library=Library(tmp_path),
        channels=HttpChannels(2),
        workers=anyio.CapacityLimiter(slots + 1),
    )
    async with app_state.open():
        yield app_state


def converse(tasks, app_state, policy=EntryPolicy(), **query):
    channel = FakeChannel()
    request = parse_query({**QUERY, **query})
    tasks.start_soon(Talk(channel, request, app_state, page_entry("chat", request, policy)).run)
    return channel


def failing_at(frame_number, error):
    def script(frame):
        if frame == frame_number:
            raise error
        return silence(frame)

    return script


async def test_conversation_engine_error_ends_only_its_own_talk(tmp_path):
    engine = ScriptedEngine(failing_at(3, EngineError("The engine ran out of breath; start again.")), silence)
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        first = converse(tasks, app_state)
        await until(lambda: first.count(Kind.HANDSHAKE))
        second = converse(tasks, app_state)
        first.say_frames(5)
        await until(lambda: first.closed)
        assert first.closed == (1011, "The engine ran out of breath; start again.")
        assert first.errors == ["The engine ran out of breath; start again."]
        assert first.events("ended")[0]["reason"] == "engine_error"
        second.say_frames(5)
        await until(lambda: second.count(Kind.AUDIO) == 5)
        assert app_state.admission.used == 1
        second.say(metadata("stop"))
        await until(lambda: second.closed)
        assert second.closed[0] == 1000
    assert [session.closed for session in engine.sessions] == [True, True]
    assert app_state.admission.used == 0


async def test_conversation_unexpected_fault_is_told_without_its_details(tmp_path, caplog):
    engine = ScriptedEngine(failing_at(1, RuntimeError("tensor 0xdead")))
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        channel = converse(tasks, app_state)
        channel.say_frames(2)
        await until(lambda: channel.closed)
    assert channel.closed[0] == 1011
    assert "0xdead" not in channel.errors[0]
    assert "0xdead" in caplog.text
    assert engine.sessions[0].closed


async def test_conversation_engine_that_cannot_open_is_told_and_frees_the_slot(tmp_path):
    class Full(ScriptedEngine):
        def open(self, config):
            raise EngineError("The device has no memory left; start again in a minute.")

    async with open_app_state(Full(), tmp_path) as app_state, anyio.create_task_group() as tasks:
        channel = converse(tasks, app_state)
        await until(lambda: channel.closed)
        assert app_state.admission.used == 0
    sentence = "The device has no memory left; start again in a minute."
    assert channel.closed == (1011, sentence)
    assert channel.errors == [sentence]
    (ended,) = channel.events("ended")
    assert (ended["reason"], ended["text"], ended["talk_id"]) == ("engine_error", sentence, None)
    assert not channel.count(Kind.HANDSHAKE)


async def test_conversation_while_the_engine_loads_is_told_the_stage(tmp_path):
    engine = ScriptedEngine(silence)
    engine.gate.clear()
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        channel = converse(tasks, app_state)
        await until(lambda: channel.events("preparing"))
        assert {"stage": "loading", "detail": "the script", "progress": 0.5}.items() <= channel.events(
            "preparing"
        )[-1].items()
        assert not channel.count(Kind.HANDSHAKE)
        engine.gate.set()
        await until(lambda: channel.count(Kind.HANDSHAKE))
        channel.say(None)


async def test_conversation_with_an_engine_that_failed_to_load_says_why(tmp_path):
    engine = ScriptedEngine(
        load_error=WeightsError("The weight file model.bin is not the one that was tested.")
    )
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        channel = converse(tasks, app_state)
        await until(lambda: channel.closed)
        assert app_state.supervisor.state.stage == "failed"
    assert "model.bin" in channel.errors[0]


async def test_conversation_caller_that_leaves_the_line_gives_up_its_place(tmp_path):
    engine = ScriptedEngine(silence, silence)
    async with open_app_state(engine, tmp_path, slots=1) as app_state, anyio.create_task_group() as tasks:
        first = converse(tasks, app_state)
        await until(lambda: first.count(Kind.HANDSHAKE))
        second, third = converse(tasks, app_state), converse(tasks, app_state)
        await until(lambda: second.events("queued") and third.events("queued"))
        assert [channel.events("queued")[-1]["ahead"] for channel in (second, third)] == [0, 1]
        second.say(None)
        await until(lambda: third.events("queued")[-1]["ahead"] == 0)
        first.say(metadata("stop"))
        await until(lambda: third.count(Kind.HANDSHAKE))
        third.say(None)


async def test_conversation_whose_wait_is_too_long_is_told_to_come_later(tmp_path):
    engine = ScriptedEngine(silence)
    async with open_app_state(engine, tmp_path, slots=1) as app_state, anyio.create_task_group() as tasks:
        first = converse(tasks, app_state)
        await until(lambda: first.count(Kind.HANDSHAKE))
        patient = converse(tasks, app_state)
        patient.say(metadata("interrupt"))
        await until(lambda: patient.events("notice"))
        assert patient.events("notice")[0]["code"] == "not_begun"
        patient.say(None)
        await until(lambda: patient.closed)
        second = converse(tasks, app_state, EntryPolicy(wait_s=0.2))
        await until(lambda: second.closed)
        assert second.closed == (1013, "No slot became free within 0.2 s; try again in a few minutes.")
        assert app_state.admission.waiting == 0
        first.say(metadata("stop"))
        await until(lambda: first.closed)
        assert first.closed[0] == 1000
    assert app_state.admission.used == 0


async def test_conversation_terms_are_kept_within_the_apps_limits(tmp_path):
    persona = replace(load_personas()[1], name="shop", prompt="You sell umbrellas.")
    engine = ScriptedEngine(silence)
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        channel = converse(tasks, app_state, EntryPolicy(talk_s=3600, idle_s=0.1, persona=persona))
        await until(lambda: channel.closed)
    (ready,), (ended,) = channel.events("ready"), channel.events("ended")
    assert (ready["limit_s"], ready["idle_s"], ready["persona"]) == (600, 0.1, "shop")
    assert ended["reason"] == "idle"


async def test_conversation_of_a_client_that_does_not_read_is_closed_with_a_reason(tmp_path, monkeypatch):
    class Unread(FakeChannel):
        async def send(self, event):
            await anyio.sleep_forever()

    monkeypatch.setattr(talk_module, "GOODBYE_S", 0.01)
    engine = ScriptedEngine(silence)
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        channel = Unread()
        request = parse_query(QUERY)
        tasks.start_soon(Talk(channel, request, app_state, page_entry("chat", request)).run)
        await until(lambda: engine.sessions)
        for sent in range(1, 40):
            if channel.closed:
                break
            channel.say_frames(1)
            await until(lambda sent=sent: channel.closed or engine.sessions[0].frames == sent)
        await until(lambda: channel.closed)
    assert channel.closed == (
        1008,
        "More than 2 s of audio waited to be read; the connection is too slow.",
    )
    assert engine.sessions[0].closed
    assert 'reason="slow_reader"' in app_state.metrics.exposition("")[0].decode()


async def test_conversation_interrupt_reaches_the_session(tmp_path):
    engine = ScriptedEngine(silence)
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        channel = converse(tasks, app_state)
        await until(lambda: channel.count(Kind.HANDSHAKE))
        channel.say(metadata("interrupt"))
        await until(lambda: engine.sessions[0].interrupted)
        channel.say(None)


async def test_conversation_client_without_events_hears_only_what_it_knows(tmp_path):
    engine = ScriptedEngine(silence)
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        channel = converse(tasks, app_state, events="0")
        await until(lambda: channel.count(Kind.HANDSHAKE))
        channel.say_frames(20)
        await until(lambda: channel.count(Kind.AUDIO) == 20)
        channel.say(metadata("stop"))
        await until(lambda: channel.closed)
    assert {m.kind for m in channel.received} == {Kind.HANDSHAKE, Kind.AUDIO}


@pytest.mark.parametrize(
    ("language", "prompt", "told"),
    [
        ("English", "Du arbeitest für die Stadtwerke und heißt Jürgen.", True),
        ("English", "You work for the city works and your name is Jürgen.", False),
        ("", "Du arbeitest für die Stadtwerke und heißt Jürgen.", False),
    ],
)
async def test_conversation_role_in_a_language_that_the_engine_does_not_speak_is_told(
    tmp_path, language, prompt, told
):
    engine = ScriptedEngine(silence)
    engine.language = language
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        channel = converse(tasks, app_state, text_prompt=prompt)
        channel.say(metadata("ping"))
        await until(lambda: channel.events("ready"))
        channel.say_frames(1)
        await until(lambda: channel.count(Kind.AUDIO))
        notices = [each for each in channel.events("notice") if "English" in each["text"]]
        assert [each["code"] for each in notices] == ["other_language"] * told
        channel.say(None)


async def test_conversation_unknown_orders_are_told_once_each_within_bounds_and_the_talk_goes_on(tmp_path):
    engine = ScriptedEngine(silence)
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        channel = converse(tasks, app_state)
        await until(lambda: channel.count(Kind.HANDSHAKE))
        for type_ in ("dance", "dance", "x" * 5000, *(f"trick-{n}" for n in range(100))):
            channel.say(Message(Kind.METADATA, json.dumps({"type": type_}).encode()))
        channel.say(metadata("ping", sent=7))
        await until(lambda: channel.events("pong"))
        await until(lambda: len(channel.events("notice")) == MOST_UNKNOWN_ANSWERED)
        told = channel.events("notice")
        assert {notice["code"] for notice in told} == {"unknown_type"}
        assert "'dance'" in told[0]["text"]
        assert max(len(notice["text"]) for notice in told) < 120
        channel.say_frames(1)
        await until(lambda: channel.count(Kind.AUDIO))
        channel.say(metadata("stop"))
        await until(lambda: channel.closed)
    assert channel.closed[0] == 1000


async def test_conversation_start_that_cannot_be_used_ends_it_only_before_it_has_begun(tmp_path):
    engine = ScriptedEngine(silence)
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        before = converse(tasks, app_state, config="message")
        before.say(metadata("start", keep="perhaps"))
        await until(lambda: before.closed)
        assert (before.closed[0], before.events("ended")[0]["reason"]) == (1008, "bad_input")
        assert "keep must be 0 or 1" in before.errors[0]
        after = converse(tasks, app_state)
        await until(lambda: after.count(Kind.HANDSHAKE))
        after.say(metadata("start", keep="perhaps"))
        after.say(metadata("sampling", audio_topk="many"))
        await until(lambda: len(after.events("notice")) == 2)
        assert [each["code"] for each in after.events("notice")] == ["already_started", "sampling_refused"]
        after.say(None)


async def test_conversation_typed_line_is_shown_as_the_users_or_refused_with_a_sentence(tmp_path):
    async with (
        open_app_state(ScriptedEngine(silence), tmp_path) as app_state,
        anyio.create_task_group() as tasks,
    ):
        app_state.typed_speech.speak = lambda text: np.full(FRAME_SAMPLES, 0.5, np.float32)
        channel = converse(tasks, app_state)
        await until(lambda: channel.events("ready"))
        channel.say(metadata("typed", text=" Hello\n there. "))
        for wrong in ("", "x" * 501, 7, "?!", "\x00"):
            channel.say(metadata("typed", text=wrong))
        await until(lambda: len(channel.events("notice")) == 5)
        assert {each["code"] for each in channel.events("notice")} == {"typed_refused"}
        assert "501 characters; the limit is 500" in channel.events("notice")[1]["text"]
        channel.say_frames(1)
        await until(lambda: channel.events("utterance"))
        (shown,) = channel.events("utterance")
        assert (shown["text"], shown["speaker"], shown["typed"]) == ("Hello there.", "user", True)
        channel.say(None)


async def test_conversation_tells_what_its_entry_point_wants_and_nothing_else(tmp_path):
    engine = ScriptedEngine(silence)
    entry = EntryPoint("for-the-test", Float32, events=frozenset({Ready, Ended}))
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        channel = FakeChannel()
        tasks.start_soon(Talk(channel, ChatRequest(), app_state, entry).run)
        await until(lambda: channel.count(Kind.HANDSHAKE))
        for _ in range(20):
            channel.say(Message(Kind.AUDIO, bytes(4 * FRAME_SAMPLES)))
        channel.say(metadata("interrupt"))
        await until(lambda: channel.count(Kind.AUDIO) == 20)
        channel.say(metadata("stop"))
        await until(lambda: channel.closed)
        assert 'face="for-the-test"' in app_state.metrics.exposition("")[0].decode()
    told = [message.json()["type"] for message in channel.received if message.kind is Kind.METADATA]
    assert told == ["ready", "ended"]
    assert {len(m.payload) for m in channel.received if m.kind is Kind.AUDIO} == {4 * FRAME_SAMPLES}


class SpanishEngine(ScriptedEngine):
    """A scripted engine that holds talks in Spanish too, as `classic` does."""

    name = "classic"
    languages = ("es",)
    voices = (*ScriptedEngine.voices, *SPANISH)


@pytest.mark.parametrize(
    ("asked", "speaker", "told"),
    [
        ({"persona": "asistente"}, "classic", "other_engine"),
        ({"text_prompt": "Trabajas para un hotel y te llamas Ana."}, "classic", "other_engine"),
        ({"persona": "assistant", "language": "es"}, "classic", "other_engine"),
        ({"persona": "asistente", "language": "en"}, "personaplex", ""),
        ({"persona": "assistant"}, "personaplex", ""),
    ],
)
async def test_spanish_role_is_spoken_by_the_engine_that_can_and_its_caller_is_told(
    tmp_path, asked, speaker, told
):
    engines = {"personaplex": ScriptedEngine(silence), "classic": SpanishEngine(silence)}
    async with (
        open_app_state(engines["personaplex"], tmp_path, choice=Choice("personaplex", "")) as app_state,
        anyio.create_task_group() as tasks,
    ):
        app_state.personas = load_personas(None, True)
        app_state.fallback_engine = EngineSupervisor(engines["classic"], Choice("classic", ""))
        app_state.fallback_engine.start()
        channel = converse(tasks, app_state, **asked)
        await until(lambda: channel.count(Kind.HANDSHAKE))
        channel.say_frames(1)
        await until(lambda: channel.count(Kind.AUDIO))
        assert channel.events("ready")[0]["engine"] == speaker
        assert len(engines[speaker].sessions) == 1
        notices = [each for each in channel.events("notice") if each["code"] == "other_engine"]
        assert [each["code"] for each in notices] == [told] * bool(told)
        if told:
            assert notices[0]["text"].startswith("PersonaPlex speaks English only; in this Spanish role")
            assert channel.events("ready")[0]["voice"] in {voice.name for voice in SPANISH}
        channel.say(None)
