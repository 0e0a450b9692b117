"""The PersonaPlex engine on the golden checkpoint: exact frame by frame, shared by many, and alive after
faults.
"""

import math
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from personaplex_app.audio import level_db
from personaplex_app.engine import interruption_mute
from personaplex_app.engine.batch_scheduler import BatchScheduler
from personaplex_app.engine.captions import Captions
from personaplex_app.engine.contract import Notice, Sampling, SessionConfig, StepTiming, TimedEngine
from personaplex_app.engine.interruption_mute import MAX_FRAMES, PAUSE_FRAMES, InterruptionMute
from personaplex_app.engine.personaplex import PersonaplexEngine, PersonaplexSettings
from personaplex_app.engine.personaplex_session import duration
from personaplex_app.engine.snapshots import Snapshots
from personaplex_app.engine.step_timing import StepTimer
from personaplex_app.errors import (
    BadPrompt,
    CapacityError,
    EngineError,
    EngineHung,
    SettingsError,
    UnknownVoice,
    WeightsError,
)
from personaplex_app.model.compute import pick
from personaplex_app.model.duplex import Duplex
from personaplex_app.model.generation import GREEDY
from personaplex_app.voices import NAMES, NO_VOICE

from .support import tiny
from .support.patience import PATIENCE_S, until

SLOTS = 3
ARGMAX = Sampling(audio_temperature=0.0, text_temperature=0.0)
CASES = ["long_text", "text_only", "voice_and_text", "voice_only"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    made = PersonaplexEngine(
        PersonaplexSettings(str(tiny.GOLDEN), tmp_path_factory.mktemp("voices"), "cpu", "float32", SLOTS)
    )
    stages = []
    made.load(stages.append)
    assert [stage.stage for stage in stages if stage.progress in (None, 0.0, 1.0)] == [
        "loading",
        "loading",
        "self_test",
        "warming_up",
    ]
    yield made
    made.close()
    made.close()


def config_of(name: str, sampling: Sampling = ARGMAX) -> SessionConfig:
    about, _ = tiny.case(name)
    voice = about["voice"].removesuffix(".pt") if about["voice"] else NO_VOICE
    return SessionConfig(voice, about["text_prompt"], sampling=sampling)


def frames() -> np.ndarray:
    return tiny.user_wav().reshape(-1, 1920)


def pieces(name: str) -> list[str]:
    return ["" if text in ("PAD", "EPAD", "BOS", "EOS") else text for text in tiny.case(name)[0]["text"]]


def check_against_golden(session, name: str, count: int) -> None:
    golden = tiny.case(name)[1]["pcm"].reshape(-1, 1920)
    for t, user in enumerate(frames()[:count]):
        step = session.step(user)
        assert step.text == pieces(name)[t]
        assert np.abs(step.agent - np.clip(golden[t], -1, 1)).max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_engine_golden_case_frame_by_frame_is_the_reference(engine, name):
    session = engine.open(config_of(name))
    check_against_golden(session, name, 77)
    session.close()


@pytest.mark.slow
def test_engine_many_threads_joining_and_leaving_each_get_the_reference(engine):
    chance = random.Random(5)
    stays = [(CASES[k % 3], chance.randint(5, 25)) for k in range(8)]
    room = threading.Semaphore(SLOTS)

    def visit(name: str, count: int) -> None:
        with room:
            session = engine.open(config_of(name))
            try:
                check_against_golden(session, name, count)
            finally:
                session.close()

    with ThreadPoolExecutor(len(stays)) as pool:
        for done in [pool.submit(visit, *stay) for stay in stays]:
            done.result()


def test_engine_sampled_talk_with_a_seed_replays_and_without_one_differs(engine):
    def talk(seed) -> np.ndarray:
        session = engine.open(config_of("voice_only", Sampling(seed=seed)))
        heard = [session.step(user).agent for user in frames()[:12]]
        session.close()
        return np.concatenate(heard)

    first = talk(7)
    assert np.array_equal(first, talk(7))
    assert not np.array_equal(first, talk(None))


def test_engine_same_voice_and_role_starts_from_a_snapshot(engine):
    engine.snapshots.clear()
    hits = engine.snapshots.hits
    for _ in range(2):
        session = engine.open(config_of("long_text"))
        check_against_golden(session, "long_text", 10)
        session.close()
    assert engine.snapshots.hits == hits + 1
    assert engine.snapshots.bytes > 0


def test_engine_when_full_refuses_and_a_leaver_makes_room_at_once(engine):
    sessions = [engine.open(config_of("voice_only")) for _ in range(SLOTS)]
    with pytest.raises(CapacityError, match="All 3 slots are taken"):
        engine.open(config_of("voice_only"))
    sessions[1].close()
    sessions[1].close()
    sessions[1] = engine.open(config_of("voice_only"))
    check_against_golden(sessions[1], "voice_only", 3)
    for session in sessions:
        session.close()


@pytest.mark.parametrize(
    ("config", "error", "said"),
    [
        (SessionConfig("NATX", ""), UnknownVoice, "There is no voice 'NATX'"),
        (
            SessionConfig("VARM4", ""),
            UnknownVoice,
            "This checkpoint has no voice 'VARM4'; choose one of: NATF0, NATM1, VARF2.",
        ),
        (SessionConfig("NATF0", "x 1 " * 2000), BadPrompt, "the limit is 1,000"),
    ],
)
def test_engine_open_bad_request_takes_no_slot(engine, config, error, said):
    for _ in range(SLOTS + 1):
        with pytest.raises(error, match=said):
            engine.open(config)


def test_engine_frame_of_another_size_is_refused_and_the_talk_goes_on(engine):
    session = engine.open(config_of("voice_only"))
    with pytest.raises(EngineError, match="A frame has 1920 samples"):
        session.step(np.zeros(960, np.float32))
    check_against_golden(session, "voice_only", 3)
    session.close()
    with pytest.raises(EngineError, match="closed"):
        session.step(np.zeros(1920, np.float32))


def test_engine_broken_numbers_end_one_talk_and_leave_no_trace(engine):
    good, bad = engine.open(config_of("voice_only")), engine.open(config_of("voice_and_text"))
    engine._scheduler._duplex.rows.state.cache.data[1, :, bad._row.row, 5] = math.nan
    with pytest.raises(EngineError, match="numbers overflowed"):
        bad.step(frames()[0])
    bad.close()
    check_against_golden(good, "voice_only", 5)
    # the next one in the same row sees nothing of it, from a snapshot or not
    for _ in range(2):
        again = engine.open(config_of("voice_and_text"))
        check_against_golden(again, "voice_and_text", 10)
        again.close()
        engine.snapshots.clear()
    good.close()


def test_engine_fault_of_the_device_ends_talks_and_new_ones_work(engine, monkeypatch):
    session = engine.open(config_of("voice_only"))
    other = engine.open(config_of("voice_only"))
    calls = []

    def fail(self, *frames):
        calls.append(frames)
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(engine._scheduler._duplex, "step", fail.__get__(engine._scheduler._duplex))
        with pytest.raises(
            EngineError, match=r"stopped with an error .* start a new talk\. \('CUDA out of memory'\)"
        ):
            session.step(frames()[0])
    until(lambda: engine._scheduler._broken is None)
    with pytest.raises(EngineError, match="start a new talk"):
        other.step(frames()[0])
    session.close()
    other.close()
    assert len(calls) == 1
    full = [engine.open(config_of("voice_only")) for _ in range(SLOTS)]
    check_against_golden(full[2], "voice_only", 5)
    for one in full:
        one.close()


def test_engine_that_cannot_be_made_ready_again_says_so_to_everybody():
    builds = []

    def build() -> Duplex:
        builds.append(1)
        if len(builds) > 1:
            raise RuntimeError("device lost")
        return Duplex(tiny.checkpoint(), 1)

    slots = BatchScheduler(build, Snapshots(0), 64)
    slot = slots.take("key", tiny.prompt("NATF0", ""), GREEDY)
    with pytest.raises(EngineError, match="stopped with an error"):
        slot.step(np.zeros(7, np.float32))  # not a frame: the codec fails
    until(lambda: len(builds) == 2 and "restart" in slots._broken)
    assert "device lost" in slots.lost
    with pytest.raises(EngineError, match=r"cannot be made ready again \('device lost'\); restart the app"):
        slots.take("key", tiny.prompt("NATF0", ""), GREEDY)
    slots.close()


def test_slots_closing_tells_those_who_wait():
    slots = BatchScheduler(lambda: Duplex(tiny.checkpoint(), 1), Snapshots(0), 1)
    slot = slots.take("key", tiny.prompt("NATF0", ""), GREEDY)
    slots.close()
    with pytest.raises(EngineError, match="has been closed"):
        slot.step(np.zeros(1920, np.float32))
    slot.release()


@pytest.mark.parametrize("at", ["step", "prefill", "call"])
def test_slots_device_that_hangs_is_told_to_everybody_who_waits_for_it(monkeypatch, at):
    let_go = threading.Event()
    now_s = [0.0]
    slots = BatchScheduler(lambda: Duplex(tiny.checkpoint(), 2), Snapshots(0), 64, lambda: now_s[0])
    row = slots.take(None, tiny.prompt("NATF0", ""), GREEDY)
    held = lambda *_: let_go.wait(PATIENCE_S)  # noqa: E731
    if at != "call":
        monkeypatch.setattr(Duplex, at, held)
    hang = {
        "step": lambda: row.step(np.zeros(1920, np.float32)),
        "prefill": lambda: slots.take(None, tiny.prompt("NATF0", ""), GREEDY),
        "call": lambda: slots.call(held),
    }[at]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(hang)
        until(lambda: slots._at_work)
        behind = pool.submit(slots.call, lambda: 7)
        until(lambda: slots._calls)
        assert not slots.hung
        now_s[0] = 121.0
        assert "not answered for 121 s" in slots.hung
        assert slots.close() is False
        for waiting in (first, behind):
            with pytest.raises(EngineHung):
                waiting.result(PATIENCE_S)
    assert slots.hung
    let_go.set()
    slots._thread.join(PATIENCE_S)
    assert not slots.hung
    assert slots.close() is True


@pytest.mark.slow
def test_slots_newcomers_prompt_is_computed_between_the_frames_of_others(monkeypatch):
    """With a chunk of 1 a frame of somebody else is stepped between any two positions of a prompt."""
    order: list[str] = []
    others_talk = threading.Event()
    plain_step, plain_prefill = Duplex.step, Duplex.prefill
    monkeypatch.setattr(
        Duplex, "step", lambda self, *frames: order.append("step") or plain_step(self, *frames)
    )

    def prefill(self, row, prompt, chunk):
        for done in plain_prefill(self, row, prompt, chunk):
            order.append("chunk")
            if others_talk.is_set():  # a frame is there, however late its sender comes to send it
                until(lambda: slots._frames)
            yield done

    monkeypatch.setattr(Duplex, "prefill", prefill)
    slots = BatchScheduler(lambda: Duplex(tiny.checkpoint(), 2), Snapshots(0), 1)
    first = slots.take("a", tiny.prompt("NATF0", ""), GREEDY)
    order.clear()
    others_talk.set()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(slots.take, "b", tiny.prompt("VARF2", ""), GREEDY)
        while not coming.done():
            first.step(np.zeros(1920, np.float32))
    chunks = tiny.prompt("VARF2", "").positions
    assert order.count("chunk") == chunks
    longest = max(len(run) for run in "".join(name[0] for name in order).split("s"))
    assert longest == 1
    slots.close()


@pytest.mark.slow
def test_session_sampling_changes_while_talking(engine):
    greedy = engine.open(config_of("voice_only"))
    changed = engine.open(config_of("voice_only"))
    for t, user in enumerate(frames()[:30]):
        if t == 10:
            changed.resample(replace(ARGMAX, audio_temperature=3.0))
        a, b = greedy.step(user), changed.step(user)
        assert np.allclose(a.agent, b.agent, atol=1e-5) or t >= 10
    assert not np.allclose(a.agent, b.agent, atol=1e-3)
    greedy.close()
    changed.close()


def test_engine_tells_its_pace_and_how_many_more_it_carries(engine):
    session = engine.open(config_of("voice_only"))
    before = engine.step_timing().steps if engine.step_timing() else 0
    for user in frames()[:4]:
        session.step(user)
    timing = engine.step_timing()
    assert isinstance(engine, TimedEngine)
    assert timing.steps == before + 4
    assert 0 < timing.p50_ms <= timing.p95_ms <= timing.p99_ms
    assert timing.headroom == pytest.approx(1 - timing.p95_ms / 80, abs=1e-3)
    assert timing.more_sessions == max(min(timing.carries, SLOTS) - 1, 0)
    session.close()


def test_pace_counts_misses_and_never_offers_more_than_is_free_or_carried():
    meter = StepTimer(carries=4)
    assert meter.read(0, 8) is None
    for took_ms in (10.0, 20.0, 90.0):
        meter.add(took_ms)
    assert meter.read(1, 7) == StepTiming(3, 20.0, 83.0, 88.6, 1, -0.038, 4, 3)
    assert meter.read(5, 3).more_sessions == 0
    assert meter.read(1, 2).more_sessions == 2


def test_slots_that_no_step_can_serve_in_time_carry_nobody(monkeypatch):
    timed = []
    monkeypatch.setattr(
        Duplex, "longest_ms", lambda self, rows: timed.append(rows) or (30.0, 79.0, 81.0)[len(timed) - 1]
    )
    slots = BatchScheduler(lambda: Duplex(tiny.checkpoint(), 8), Snapshots(0), 64)
    slots.take("key", tiny.prompt("NATF0", ""), GREEDY).step(np.zeros(1920, np.float32))
    assert timed == [1, 2, 4]
    assert (slots.step_timing().carries, slots.step_timing().more_sessions) == (2, 1)
    slots.close()


def test_engine_before_loading_and_with_a_spoiled_folder_says_what_to_do(tmp_path):
    engine = PersonaplexEngine(PersonaplexSettings(str(tmp_path / "none"), tmp_path / "store"))
    assert [voice.name for voice in engine.voices] == [*NAMES, NO_VOICE]
    assert {voice.family for voice in engine.voices} >= {"Natural, female", "Varied, male"}
    with pytest.raises(EngineError, match="not loaded yet"):
        engine.open(SessionConfig("NATF0", ""))
    with pytest.raises(WeightsError, match="no checkpoint folder"):
        engine.load(lambda state: None)
    engine.close()


def test_engine_loaded_voices_are_those_of_the_checkpoint(engine):
    assert [voice.name for voice in engine.voices] == ["NATF0", "NATM1", "VARF2", NO_VOICE]
    assert engine.max_sessions == SLOTS


@pytest.mark.parametrize("device", ["tpu9", "mps", "cuda:77"])
def test_pick_device_that_is_not_there_is_named(device):
    with pytest.raises(SettingsError, match=device):
        pick(device, "auto", 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_pick_on_a_cpu_takes_the_exact_numbers_that_fit():
    assert pick("auto", "auto", 10**6).dtype == torch.float32
    assert pick("auto", "auto", 10**14).dtype == torch.bfloat16
    assert "asked for" in pick("cpu", "float16", 0).why


def test_captions_pieces_become_words_and_a_pause_ends_the_utterance():
    captions = Captions()
    said = [" Hel", "lo", "", " there", "."] + [""] * 14 + ["Yes"]
    events = [event for piece in said for event in captions.step(piece)]
    assert [event.text for event in events] == [
        "Hel",
        "Hello",
        "Hello there",
        "Hello there.",
        "Hello there.",
        "Yes",
    ]
    assert [event.final for event in events] == [False, False, False, False, True, False]
    assert [event.id for event in events] == [0, 0, 0, 0, 0, 1]
    done = events[4]
    assert (done.start_s, round(done.end_s, 2)) == (0.0, 0.4)
    assert [(word.text, round(word.start_s, 2)) for word in done.words] == [("Hello", 0.0), ("there.", 0.24)]
    assert round(events[5].start_s, 2) == 1.52


def captioned(pieces):
    """Return the text of the last caption, and the text of all steps, of pieces that come one a frame."""
    captions, text, shown = Captions(), "", ""
    for piece in pieces:
        for event in captions.step(piece):
            shown = event.text
        text += captions.text
    return shown, text


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ([" ca", "f", "<0xC3>", "<0xA9>", " ok"], "café ok"),
        ([" ", "<0xE2>", "", "<0x82>", "<0xAC>", "5"], "€5"),  # silence between them
        ([" a", " ", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>"], "a 😀"),
        ([" a", "<0xC3>", " b"], "a b"),  # a character that is never finished
        ([" a", "<0xA9>", "<0xFF>", " b"], "a b"),  # bytes that are none
        ([" a", "<0x62>"], "ab"),
        ([" a", "<0x0A>", "b"], "a b"),
        ([" x<0xC3><0xA9>y"], "xéy"),  # a remote server may send several at once
        ([" ", "<0xC3>"], ""),
        ([" 2 <0x5>"], "2 <0x5>"),  # no byte
    ],
)
def test_captions_bytes_become_characters_once_they_are_whole(pieces, shown):
    caption, text = captioned(pieces)
    assert caption == shown
    assert " ".join(text.split()) == shown


class Box:
    def __init__(self, bytes_: int) -> None:
        self.bytes = bytes_


def test_snapshots_keep_the_last_used_within_their_bytes():
    kept = Snapshots(10)
    for key in "abc":
        kept.put(key, Box(4))
    assert [kept.get(key) is not None for key in "abc"] == [False, True, True]
    kept.get("b")
    kept.put("d", Box(4))
    assert [kept.get(key) is not None for key in "bcd"] == [True, False, True]
    kept.put("b", Box(6))
    assert kept.bytes == 10
    kept.put("huge", Box(11))
    assert kept.get("huge") is None
    assert kept.bytes == 10
    kept.clear()
    assert kept.bytes == 0


@pytest.mark.slow
def test_session_past_the_window_says_once_that_early_context_fades(engine):
    session = engine.open(SessionConfig(NO_VOICE, "", sampling=ARGMAX))
    told = [
        [event for event in session.step(user).events if isinstance(event, Notice)] for user in frames()[:60]
    ]
    session.close()
    prompt = tiny.prompt(None, "").positions
    assert [len(notices) for notices in told].index(1) == tiny.checkpoint().lm.config.context - prompt
    (notice,) = (event for notices in told for event in notices)
    assert (
        notice.text
        == "The model looks back on 40 frames, the last 3 seconds: early context, its role too, fades from"
        " now on."
    )
    assert duration(240.0) == "4 minutes"


def test_engine_out_of_memory_while_loading_says_what_to_do(monkeypatch, tmp_path):
    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("personaplex_app.engine.personaplex.load_checkpoint", full)
    engine = PersonaplexEngine(PersonaplexSettings(str(tiny.GOLDEN), tmp_path, "cpu", "float32", 1))
    with pytest.raises(
        EngineError, match=r"The memory of cpu ran out while the model was loaded\. Take --quantize int8"
    ):
        engine.load(lambda state: None)
    engine.close()


def test_hush_lasts_until_the_agent_pauses_and_never_for_ever():
    loud, quiet = np.full(1920, 0.1, np.float32), np.zeros(1920, np.float32)
    mute = InterruptionMute()

    def left_out(frame):
        sound, text = mute.apply(frame, "word")
        assert sound.any() == (text == "word") or frame is quiet
        return text == ""

    assert not left_out(loud)
    mute.begin()
    said = [loud] * 5 + [quiet] * (PAUSE_FRAMES - 1) + [loud] + [quiet] * PAUSE_FRAMES + [loud]
    assert [left_out(frame) for frame in said] == [True] * (len(said) - 1) + [False]
    mute.begin()
    assert sum(left_out(loud) for _ in range(2 * MAX_FRAMES)) == MAX_FRAMES


def test_session_that_is_interrupted_is_silent_and_wordless_while_the_model_goes_on(engine, monkeypatch):
    monkeypatch.setattr(interruption_mute, "MAX_FRAMES", 5)  # this model never pauses
    session, undisturbed = engine.open(config_of("voice_and_text")), engine.open(config_of("voice_and_text"))
    try:
        for number, frame in enumerate(frames()[:12]):
            if number == 4:
                session.interrupt()
            heard, would_be = session.step(frame), undisturbed.step(frame)
            if number < 4 or number >= 9:
                assert np.allclose(heard.agent, would_be.agent, atol=1e-4)
                assert heard.text == would_be.text
            else:
                assert level_db(would_be.agent) > -45
                assert not heard.agent.any()
                assert heard.text == ""
    finally:
        session.close()
        undisturbed.close()
