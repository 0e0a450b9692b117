"""An engine that fails, at its start or later, and the one that takes its place."""

from dataclasses import replace

import anyio
import pytest

from personaplex_app.engine_choice import Choice, replacement, stand_in
from personaplex_app.errors import EngineError, WeightsError
from personaplex_app.protocol import Kind
from personaplex_app.server.app_state import AppState
from personaplex_app.server.routes.status import describe
from personaplex_app.settings import Settings
from personaplex_app.voices import Voice

from .support import tiny
from .support.fakes import ScriptedEngine, silence
from .test_talk import converse, failing_at, open_app_state, until

pytestmark = pytest.mark.unit
MODEL = Choice("personaplex", "for the test")


class Model(ScriptedEngine):
    name = "personaplex"
    voices = (Voice("NATF0", "Natural, female 1", "For tests.", "Tests"),)


class Spare(ScriptedEngine):
    name = "classic"
    max_sessions = 1


async def test_host_of_an_engine_that_cannot_load_speaks_with_another_and_says_so(tmp_path):
    spare = Spare(silence)
    engine = Model(load_error=WeightsError("The file model.safetensors is cut off. Download it again."))
    engine.gate.clear()
    async with (
        open_app_state(engine, tmp_path, choice=MODEL, build=lambda choice: spare) as app_state,
        anyio.create_task_group() as tasks,
    ):
        caller = converse(tasks, app_state, voice_prompt="NATF0")
        await until(lambda: caller.events("preparing"))
        engine.gate.set()
        await until(lambda: caller.count(Kind.HANDSHAKE))
        await until(lambda: caller.events("notice"))
        (ready,), (notice,) = caller.events("ready"), caller.events("notice")
        assert (ready["engine"], ready["voice"]) == ("classic", "echo")
        assert notice["code"] == "other_voice"
        assert "has no voice NATF0 here; you hear echo" in notice["text"]
        stages = [(told["engine"], told["stage"]) for told in caller.events("preparing")]
        assert stages[-3:] == [("personaplex", "loading"), ("classic", "starting"), ("classic", "loading")]
        told = describe(app_state)["engine"]
        assert (told["name"], told["instead_of"], told["instead_of_title"]) == (
            "classic",
            "personaplex",
            "PersonaPlex",
        )
        assert told["next_step"] == "The file model.safetensors is cut off. Download it again."
        assert app_state.admission.total == 1
        stranger = converse(tasks, app_state, voice_prompt="nobody")
        await until(lambda: stranger.closed)
        assert "nobody" in stranger.errors[0]
        caller.say(None)


async def test_host_of_an_engine_that_is_lost_later_speaks_with_another(tmp_path):
    engine, spare = Model(failing_at(3, EngineError("The model stopped."))), Spare(silence)
    async with (
        open_app_state(engine, tmp_path, choice=MODEL, build=lambda choice: spare) as app_state,
        anyio.create_task_group() as tasks,
    ):
        first = converse(tasks, app_state)
        await until(lambda: first.count(Kind.HANDSHAKE))
        engine.lost = "The model cannot be made ready again; restart the app."
        first.say_frames(5)
        await until(lambda: first.closed)
        assert first.errors == ["The model stopped."]
        await until(lambda: app_state.supervisor.choice.name == "classic")
        second = converse(tasks, app_state)
        await until(lambda: second.count(Kind.HANDSHAKE))
        assert describe(app_state)["engine"]["next_step"] == engine.lost
        second.say(None)


MEANWHILE = stand_in(MODEL, replace(Settings(), stand_in=True))


async def test_stand_in_speaks_until_the_engine_behind_it_is_ready_and_its_talk_goes_on(tmp_path):
    engine, spare = Model(silence), Spare(silence)
    engine.gate.clear()
    async with (
        open_app_state(
            engine, tmp_path, choice=MODEL, build=lambda choice: spare, stand_in=MEANWHILE
        ) as app_state,
        anyio.create_task_group() as tasks,
    ):
        first = converse(tasks, app_state, voice_prompt="NATF0")
        await until(lambda: first.events("ready"))
        assert first.events("ready")[0]["engine"] == "classic"
        assert "is still being fetched and loaded" in first.events("ready")[0]["stand_in"]
        engine.gate.set()
        await until(lambda: app_state.supervisor.engine is engine)
        # a talk that was opened on the engine before is told which one it has
        assert app_state.supervisor.choice_of(spare) == MEANWHILE
        assert app_state.supervisor.choice_of(engine) == MODEL
        app_state.fit()
        second = converse(tasks, app_state, voice_prompt="NATF0")
        await until(lambda: second.events("ready"))
        (ready,) = second.events("ready")
        assert (ready["engine"], ready["voice"], ready["stand_in"]) == ("personaplex", "NATF0", "")
        first.say_frames(3)
        await until(lambda: first.count(Kind.AUDIO) == 3)
        first.say(None)
        second.say(None)


async def test_stand_in_goes_on_where_the_engine_behind_it_fails_and_says_why(tmp_path):
    engine, spare = Model(load_error=EngineError("No licence.")), Spare(silence)
    async with open_app_state(
        engine, tmp_path, choice=MODEL, build=lambda choice: spare, stand_in=MEANWHILE
    ) as app_state:
        await until(lambda: describe(app_state)["engine"]["instead_of"])
        told = describe(app_state)["engine"]
        assert (told["name"], told["stage"], told["next_step"]) == ("classic", "ready", "No licence.")


async def test_stand_in_that_cannot_load_leaves_the_talks_to_the_engine_behind_it(tmp_path):
    engine, spare = Model(silence), Spare(load_error=EngineError("No package."))
    async with open_app_state(
        engine, tmp_path, choice=MODEL, build=lambda choice: spare, stand_in=MEANWHILE
    ) as app_state:
        assert await app_state.supervisor.ready(lambda state: None) is engine


def test_nothing_stands_in_unless_asked_for_or_for_what_loads_at_once():
    assert stand_in(MODEL, Settings()) is None
    assert stand_in(Choice("classic", ""), replace(Settings(), stand_in=True)) is None


async def test_host_of_two_engines_that_fail_says_why_the_last_did(tmp_path):
    engine, spare = Model(load_error=EngineError("One.")), Spare(load_error=EngineError("Two."))
    async with (
        open_app_state(engine, tmp_path, choice=MODEL, build=lambda choice: spare) as app_state,
        anyio.create_task_group() as tasks,
    ):
        caller = converse(tasks, app_state)
        await until(lambda: caller.closed)
        assert caller.errors == ["Two."]
        assert app_state.supervisor.state.stage == "failed"


def test_fallback_of_the_embedded_engine_is_nothing():
    assert replacement(Choice("classic", ""), "It failed.") is None


def test_app_without_the_models_packages_is_built_with_the_embedded_engine(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "personaplex_app.engine.personaplex", None)
    settings = replace(Settings(), engine="personaplex", checkpoint=str(tiny.GOLDEN), data=tmp_path)
    app_state = AppState.build(settings, MODEL)
    assert app_state.supervisor.engine.name == "classic"
    assert "requirements-personaplex.txt" in app_state.supervisor.choice.next_step
    app_state.library.close()


async def test_app_told_to_stop_ends_talks_within_its_grace(tmp_path):
    async with (
        open_app_state(ScriptedEngine(silence), tmp_path) as app_state,
        anyio.create_task_group() as tasks,
    ):
        caller = converse(tasks, app_state)
        await until(lambda: caller.count(Kind.HANDSHAKE))
        app_state.drain(60.0)
        await until(lambda: caller.events("limit"))
        assert caller.events("limit")[0]["reason"] == "draining"
        app_state.drain(0.0)
        await until(lambda: caller.closed)
        assert caller.events("ended")[0]["reason"] == "draining"
        assert caller.closed
        assert caller.closed[0] == 1000
        late = converse(tasks, app_state)
        await until(lambda: late.closed)
        assert "begins no new talks" in late.errors[0]
        assert app_state.callers == 0


async def test_app_told_to_stop_turns_away_who_waits_for_its_engine(tmp_path):
    engine = ScriptedEngine(silence)
    engine.gate.clear()
    async with open_app_state(engine, tmp_path) as app_state, anyio.create_task_group() as tasks:
        caller = converse(tasks, app_state)
        await until(lambda: caller.events("preparing"))
        app_state.drain(60.0)
        await until(lambda: caller.closed)
        assert caller.closed
        assert caller.closed[0] == 1013
        assert "begins no new talks" in caller.errors[0]
        engine.gate.set()
