"""Renderings: the same again from the same seed, kept on disk, made beside talks, given up for them,
cancelled and gone on with.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace

import anyio
import numpy as np
import pytest

from personaplex_app.audio import float_to_pcm16
from personaplex_app.classic import engine as classic_engine
from personaplex_app.classic.engine import ClassicEngine
from personaplex_app.engine.contract import (
    Capabilities,
    Clone,
    Mark,
    Sampling,
    SessionConfig,
    Step,
    TurnLatency,
    Utterance,
)
from personaplex_app.engine.echo import EchoEngine
from personaplex_app.engine.personaplex import PersonaplexEngine, PersonaplexSettings
from personaplex_app.errors import BadAudio, BadInput, EngineError, StorageError
from personaplex_app.principal import Principal
from personaplex_app.protocol_events import Word
from personaplex_app.rendering.batch import BatchProgress, RenderBatch
from personaplex_app.rendering.cache import RenderCache
from personaplex_app.rendering.render import Render, Rendering, RenderRequest, render, request
from personaplex_app.rendering.transcription import Transcriber
from personaplex_app.sessions.admission import Admission
from personaplex_app.sessions.export import lane, to_srt
from personaplex_app.sessions.records import TalkMeta
from personaplex_app.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

from .support import tiny
from .support.fakes import ScriptedEngine, ScriptedResponder
from .support.patience import PATIENCE_S
from .support.speech import loaded_once, speak

QUESTION = "How much is the compost bin?"
ECHO = SessionConfig("echo", "")


def noise(seconds: float, seed: int = 1) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(seconds * SAMPLE_RATE_HZ))).astype(
        np.float32
    )


@pytest.fixture(scope="module")
def personaplex(tmp_path_factory):
    made = PersonaplexEngine(
        PersonaplexSettings(str(tiny.GOLDEN), tmp_path_factory.mktemp("voices"), "cpu", "float32", 2)
    )
    made.load(lambda state: None)
    yield made
    made.close()


def golden_request(seed: int = 7, voice: str = "NATF0", frames: int = 10) -> RenderRequest:
    user = tiny.user_wav()[: frames * FRAME_SAMPLES - 100].astype(np.float32)
    return request(user, SessionConfig(voice, "Be kind.", sampling=Sampling(seed=seed)))


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - progress is read, not told
            await anyio.sleep(0.01)


class Batches:
    """Runs batches on one admission, as the app does."""

    def __init__(self, engine, folder, slots: int = 2) -> None:
        self.engine, self.cache, self.admission = (
            engine,
            RenderCache(folder, 64 << 20),
            Admission(slots, talk_limit_s=60),
        )
        self.workers = anyio.CapacityLimiter(slots + 1)

    def of(
        self, *requests: RenderRequest, on_progress: Callable[[BatchProgress], None] = lambda progress: None
    ) -> RenderBatch:
        return RenderBatch(requests, self.engine, self.admission, self.cache, self.workers, on_progress)


@pytest.mark.slow
def test_render_same_seed_gives_the_same_bytes_and_another_seed_does_not(personaplex):
    first, again, other = (render(personaplex, golden_request(seed)) for seed in (7, 7, 8))
    assert len(first.agent) == len(first.user) == 10 * FRAME_SAMPLES - 100
    assert first.key == again.key != other.key
    assert np.array_equal(first.agent, again.agent)
    assert first.utterances == again.utterances
    assert not np.array_equal(first.agent, other.agent)
    assert len(first.step_ms) == 10
    assert first.compute_s > 0


@pytest.mark.slow
def test_render_classic_answers_with_the_fact_faster_than_it_is_spoken_and_the_same_again():
    answer = ("The compost bin costs eight dollars a month.",)
    engine = ClassicEngine(
        lambda config, notify, *, encoder=None: ScriptedResponder("", answer), max_sessions=2
    )
    with loaded_once(classic_engine):
        engine.load(lambda state: None)
    try:
        asked = request(speak(QUESTION), SessionConfig("natural", "You sell bins."), room_s=4.0)
        first, again = render(engine, asked), render(engine, asked)
    finally:
        engine.close()
    assert np.array_equal(first.agent, again.agent)
    assert (first.utterances, first.turn_latencies) == (again.utterances, again.turn_latencies)
    said = {each.speaker: each for each in first.utterances}
    assert "compost bin" in said["user"].text
    assert "eight dollars" in said["agent"].text
    assert said["agent"].words
    assert said["agent"].start_s > said["user"].end_s
    assert first.turn_latencies
    assert first.duration_s == pytest.approx(asked.duration_s)
    assert "Agent: " in to_srt(first)
    assert lane(first, None)["utterances"]


def test_render_collects_what_happens_the_last_state_of_each_utterance():
    def script(frame: int) -> Step:
        said = Utterance(
            1,
            "agent",
            "hello" if frame < 3 else "hello there",
            0.08,
            0.08 * frame,
            frame == 3,
            (Word("hello", 0.08, 0.2),),
        )
        marks = (Mark("backchannel", "agent", 0.1, 0.2), TurnLatency(0.1, 0.4)) if frame == 2 else ()
        return Step(np.full(FRAME_SAMPLES, 2.0, np.float32), "", (said, *marks))

    done = render(ScriptedEngine(script), request(noise(0.24), ECHO))
    assert [each.text for each in done.utterances] == ["hello there"]
    assert [each.kind for each in done.marks] == ["backchannel"]
    assert [each.latency_s for each in done.turn_latencies] == [pytest.approx(0.3)]
    assert done.agent.max() <= 1.0


@pytest.mark.parametrize(
    ("more_s", "frames"), [(0.0, 3), (10.0, 20 + round(1.2 / 0.08)), (0.4, 3 + 5), (10.0, None)]
)
def test_render_agent_that_still_speaks_is_heard_to_its_end(more_s, frames):
    def script(frame: int) -> Step:
        sounds = frame <= 20 if frames else frame <= 1  # or it had ended long before
        return Step(np.full(FRAME_SAMPLES, 0.2 * sounds, np.float32))

    user = noise(3 * 0.08 if frames else 30 * 0.08)
    done = render(ScriptedEngine(script), request(user, ECHO, more_s=more_s))
    assert len(done.agent) == len(done.user) == (frames or 30) * FRAME_SAMPLES
    assert not done.user[len(user) :].any()


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, more_s=5.0),
        lambda r: replace(r, config=replace(r.config, greets=False)),
        lambda r: replace(r, user=r.user * 0.5),
        lambda r: replace(r, config=replace(r.config, voice="NATM1")),
        lambda r: replace(r, config=replace(r.config, prompt="Be rude.")),
        lambda r: replace(r, config=replace(r.config, persona="teacher")),
        lambda r: replace(r, config=replace(r.config, sampling=Sampling(seed=2))),
        lambda r: replace(r, config=replace(r.config, sampling=Sampling(0.5, seed=1))),
        lambda r: replace(r, config=replace(r.config, clone=Clone("me", b"voice"))),
    ],
)
def test_key_differs_with_everything_that_the_answer_depends_on(change):
    plain = request(noise(0.2), SessionConfig("NATF0", "Be kind.", sampling=Sampling(seed=1)))
    assert plain.key("engine") == replace(plain).key("engine")
    assert len({plain.key("engine"), change(plain).key("engine"), plain.key("another engine")}) == 3


def test_request_that_cannot_be_rendered_the_same_again_is_refused():
    for config in (SessionConfig("echo", "", sampling=Sampling(seed=1)), replace(ECHO, realtime=False)):
        with pytest.raises(BadInput, match="needs a seed"):
            Render(EchoEngine(), RenderRequest(noise(0.1), config))


@pytest.mark.parametrize(
    ("user", "sentence"),
    [
        (np.zeros(0, np.float32), "holds no sound"),
        (np.zeros(301 * SAMPLE_RATE_HZ, np.float32), "has 301 s; the limit is 300 s"),
        (np.full(1920, np.nan, np.float32), "not numbers"),
    ],
)
def test_request_of_bad_sound_is_told(user, sentence):
    with pytest.raises(BadAudio, match=sentence):
        request(user, ECHO)


# the cache


def test_cache_gives_back_what_was_put(tmp_path, personaplex):
    cache = RenderCache(tmp_path, 1 << 20)
    done = render(personaplex, golden_request())
    assert cache.get(done.key) is None
    cache.put(done)
    kept = cache.get(done.key)
    assert kept is not None
    assert np.array_equal(kept.agent, done.agent)
    assert np.array_equal(kept.user, done.user)
    assert float_to_pcm16(kept.agent) == float_to_pcm16(done.agent)
    assert replace(kept, user=done.user, agent=done.agent) == replace(done, user=done.user, agent=done.agent)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".flac", ".json"]


@pytest.mark.parametrize(
    "damage", ["cut sound", "flipped sound", "no sound", "cut json", "other words", "not json"]
)
def test_cache_damaged_entry_is_deleted_and_rendered_again(tmp_path, damage):
    batches = Batches(EchoEngine(), tmp_path)
    asked = request(noise(0.5), ECHO)
    anyio.run(batches.of(asked).run)
    (about,), (sound,) = tmp_path.glob("*.json"), tmp_path.glob("*.flac")
    whole = sound.read_bytes()
    if damage == "no sound":
        sound.unlink()
    elif damage.endswith("sound"):
        sound.write_bytes(whole[:900] if damage == "cut sound" else whole[:-1] + bytes([whole[-1] ^ 1]))
    elif damage == "other words":
        told = json.loads(about.read_text())
        told["rendering"]["utterances"] = [{"id": 1}]
        about.write_text(json.dumps(told))
    else:
        about.write_text("" if damage == "cut json" else "[]")
    batch = batches.of(asked)
    assert batches.cache.get(asked.key("echo")) is None
    anyio.run(batch.run)
    assert batch.progress == BatchProgress(1, 1, 0, 0.5, 0.5, batch.progress.left_s)
    assert sound.read_bytes() == whole


def test_cache_beyond_its_bytes_lets_the_least_recently_used_go(tmp_path):
    done = [render(EchoEngine(), request(noise(0.5, seed), ECHO)) for seed in range(4)]
    probe = RenderCache(tmp_path / "probe", 1 << 20)
    probe.put(done[0])
    size_bytes = sum(path.stat().st_size for path in (tmp_path / "probe").iterdir())
    cache = RenderCache(tmp_path / "kept", int(size_bytes * 3.5))
    for age_s, each in zip((300, 200, 100), done, strict=False):
        cache.put(each)
        for path in (tmp_path / "kept").glob(f"{each.key}*"):
            os.utime(path, (path.stat().st_mtime - age_s,) * 2)
    assert cache.get(done[0].key)  # used again: no longer the oldest
    cache.put(done[3])
    assert [cache.has(each.key) for each in done] == [True, False, True, True]
    with pytest.raises(StorageError, match="all that may be kept"):
        RenderCache(tmp_path / "small", 1000).put(done[0])


def test_cache_purge_deletes_what_is_old_and_what_was_cut_off(tmp_path):
    now_s = [0.0]
    cache = RenderCache(tmp_path, 1 << 20, keep_s=60, now=lambda: now_s[0])
    old, fresh = (render(EchoEngine(), request(noise(0.2, seed), ECHO)) for seed in range(2))
    cache.put(old)
    now_s[0] = 50.0
    cache.put(fresh)
    (tmp_path / "x.flac.part").write_bytes(b"half")
    # however the clock of the machine is set
    for path in [*tmp_path.glob(f"{fresh.key}*"), tmp_path / "x.flac.part"]:
        os.utime(path, (path.stat().st_mtime - 120,) * 2)
    now_s[0] = 61.0
    cache.purge()
    assert (cache.has(old.key), cache.has(fresh.key)) == (False, True)
    assert not list(tmp_path.glob("*.part"))


def test_cache_makes_room_among_the_answers_of_whoever_has_most(tmp_path):
    done = [render(EchoEngine(), request(noise(0.2, seed), ECHO)) for seed in range(4)]
    RenderCache(tmp_path / "probe", 1 << 30).put(done[0])
    size_bytes = sum(path.stat().st_size for path in (tmp_path / "probe").iterdir())
    cache = RenderCache(tmp_path / "shared", int(size_bytes * 3.5))
    honest, greedy = Principal(address="192.0.2.1"), Principal(address="192.0.2.2")
    cache.put(done[0], honest)
    for each in done[1:]:
        cache.put(each, greedy)
    assert [cache.has(each.key) for each in done] == [True, False, True, True]


def test_cache_names_are_keys_only(tmp_path):
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        RenderCache(tmp_path, 1000).has("../../etc/passwd")


# many, beside talks


@pytest.mark.slow
def test_batch_two_at_once_are_the_same_as_one_by_one_and_come_from_the_cache_the_second_time(
    tmp_path, personaplex
):
    batches = Batches(personaplex, tmp_path)
    asked = [golden_request(seed) for seed in (1, 2)]
    told: list[BatchProgress] = []
    batch = batches.of(*asked, asked[0], on_progress=told.append)
    anyio.run(batch.run)
    assert (batch.progress.done, batch.progress.failed, batch.progress.share) == (3, 0, 1.0)
    assert batch.keys[2] == batch.keys[0]
    for key, each in zip(batch.keys, asked, strict=False):
        kept, alone = batches.cache.get(key), render(personaplex, each)
        assert (
            np.abs(kept.agent - alone.agent).max() < 1e-4
        )  # the same tokens; two rows at once add up in another order
        assert kept.utterances == alone.utterances
    assert max(each.done_s for each in told[:-1]) > 0
    assert [each.done_s for each in told] == sorted(each.done_s for each in told)
    written = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    again = batches.of(*asked)
    anyio.run(again.run)
    assert again.progress.done == 2
    assert {path: path.stat().st_ino for path in tmp_path.iterdir()} == written


def test_batch_cancelled_keeps_what_is_done_frees_the_slots_and_goes_on(tmp_path):
    held = threading.Event()
    opened = ScriptedEngine(
        lambda n: Step(np.full(FRAME_SAMPLES, 0.1, np.float32)),
        lambda n: (held.wait(0.02), Step(np.zeros(1920)))[1],
    )
    batches = Batches(opened, tmp_path, slots=1)
    asked = [request(noise(0.4, 1), ECHO), request(noise(200.0, 2), ECHO)]

    async def cancel() -> RenderBatch:
        batch = batches.of(*asked)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(batch.run)
            await until(lambda: batch.progress.done == 1 and batch.progress.done_s > 0.6)
            tasks.cancel_scope.cancel()
        return batch

    batch = anyio.run(cancel)
    assert batch.progress.done == 1
    assert batches.admission.used == 0
    assert {session.closed for session in opened.sessions} == {True}
    opened._scripts = [lambda n: Step(np.zeros(FRAME_SAMPLES, np.float32))]
    again = batches.of(asked[0], request(noise(0.4, 2), ECHO))
    anyio.run(again.run)
    assert again.progress.done == 2
    assert len(opened.sessions) == 3


def test_batch_gives_its_slot_to_a_talk_and_begins_again_afterwards(tmp_path):
    asked, never = threading.Event(), threading.Event()

    def until_asked(frame: int) -> Step:
        """Do not get done before a talk asks for the slot, nor at once when it does."""
        if frame > 10:
            asked.wait(PATIENCE_S)
            never.wait(0.02)
        return Step(np.zeros(FRAME_SAMPLES))

    engine = ScriptedEngine(
        until_asked,
        lambda n: Step(np.full(FRAME_SAMPLES, 0.5, np.float32)),
    )
    batches = Batches(engine, tmp_path, slots=1)
    waits: list[int | None] = []

    async def talk_in_between() -> RenderBatch:
        batch = batches.of(
            request(noise(4.0), ECHO), on_progress=lambda progress: waits.append(progress.ahead)
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(batch.run)
            await until(lambda: batch.progress.done_s > 0.3)
            async with batches.admission.slot(lambda place: asked.set()):
                assert engine.sessions[0].closed
                assert (batches.admission.used, batches.admission.talks) == (1, 1)
                await until(lambda: batch.progress.ahead == 0)
        return batch

    batch = anyio.run(talk_in_between)
    assert batch.progress.done == 1
    assert engine.sessions[1].frames == 50
    assert float(batches.cache.get(batch.keys[0]).agent.min()) == pytest.approx(0.5, abs=1e-4)
    assert 0 in waits


def test_batch_beside_a_talk_is_no_faster_than_a_talk(tmp_path):
    batches = Batches(EchoEngine(), tmp_path, slots=2)
    slept_s = 0.0

    async def beside() -> None:
        nonlocal slept_s
        async with batches.admission.slot(lambda place: None):
            began_s = anyio.current_time()
            await batches.of(request(noise(0.8), ECHO)).run()
            slept_s = anyio.current_time() - began_s

    anyio.run(beside)
    assert slept_s >= 0.75  # 0.8 s of sound; no upper bound, the machine may be busy


def test_batch_one_failing_request_leaves_the_others_alone(tmp_path):
    def broken(frame: int) -> Step:
        raise EngineError("The model stopped.")

    engine = ScriptedEngine(broken, lambda n: Step(np.zeros(FRAME_SAMPLES, np.float32)))
    batches = Batches(engine, tmp_path, slots=1)
    batch = batches.of(*(request(noise(0.3, seed), ECHO) for seed in range(2)))
    anyio.run(batch.run)
    assert {index: str(error) for index, error in batch.errors.items()} == {0: "The model stopped."}
    assert (batch.progress.done, batch.progress.failed, batch.progress.share) == (1, 1, 1.0)
    assert batches.admission.used == 0


# what an engine does not tell


def test_hearing_adds_the_users_words_and_the_turn_latency_of_an_engine_that_tells_neither():
    question, answer = speak("How much is the compost bin?"), speak("Eight dollars.")
    user = np.concatenate([np.zeros(24_000, np.float32), question, np.zeros(72_000, np.float32)])
    agent = np.zeros(len(user), np.float32)
    agent[24_000 + len(question) + 24_000 :][: len(answer)] = answer
    said = Utterance(0, "agent", "Eight dollars.", 4.0, 5.0, True)
    plain = Rendering("0" * 64, TalkMeta("personaplex", "NATF0"), 0.0, user, agent, (said,))
    transcriber = Transcriber()
    heard = transcriber.complete(plain, Capabilities(agent_captions=True))
    asked, answered = heard.utterances
    assert (asked.speaker, answered) == ("user", said)
    assert "compost bin" in asked.text
    assert 0.8 < asked.words[0].start_s < 1.3
    assert [word.start_s for word in asked.words] == sorted(word.start_s for word in asked.words)
    (turn,) = heard.turn_latencies
    quiet_s = (
        len(question) - np.flatnonzero(np.abs(question) > 0.01)[-1] + np.flatnonzero(np.abs(answer) > 0.01)[0]
    ) / 24_000
    assert turn.latency_s == pytest.approx(1.0 + quiet_s, abs=0.04)  # from sound to sound
    assert len({each.id for each in heard.utterances}) == 2
    for enough in (Capabilities(agent_captions=True, user_captions=True), Capabilities()):
        assert transcriber.complete(plain, enough) is plain


def test_hearing_silence_adds_nothing():
    silent = np.zeros(48_000, np.float32)
    plain = Rendering("0" * 64, TalkMeta("personaplex", "NATF0"), 0.0, silent, silent)
    assert Transcriber().complete(plain, Capabilities(agent_captions=True)) == plain
