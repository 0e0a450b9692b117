"""Comparing over the real application interface: render, hear at equal loudness, vote blind, and every
refusal a sentence.
"""

import asyncio
import io
import json
import threading
from dataclasses import replace

import anyio
import httpx
import numpy as np
import pytest
import soundfile

from personaplex_app.engine.contract import Step
from personaplex_app.engine.echo import EchoEngine, EchoSession
from personaplex_app.engine_choice import Choice
from personaplex_app.evaluation.blind_test.store import BlindTests
from personaplex_app.evaluation.loudness import gain_db, true_peak_db
from personaplex_app.personas import load_personas
from personaplex_app.principal import NOBODY, Principal
from personaplex_app.rendering.cache import TEMPORARY_AGE_S
from personaplex_app.server import comparison_runs
from personaplex_app.server.app_state import AppState
from personaplex_app.server.channel import HttpChannels
from personaplex_app.server.comparison_inputs import MAX_RECORDINGS
from personaplex_app.server.comparisons import Comparisons
from personaplex_app.server.engine_supervisor import EngineSupervisor
from personaplex_app.server.routes.compare import compare_routes
from personaplex_app.sessions.admission import Admission
from personaplex_app.sessions.library import Library
from personaplex_app.settings import Settings
from personaplex_app.units import FRAME_SAMPLES
from personaplex_app.voices import Voice

from .support.blind_test_voters import Clock
from .support.patience import PATIENCE_S
from .support.served import served
from .support.speech import speak

MINE, YOURS = {"X-Owner-Key": "m" * 32}, {"X-Owner-Key": "y" * 32}
GAINS = {"quiet": 0.1, "plain": 0.4, "loud": 1.0}


class GainSession(EchoSession):
    def __init__(self, gain: float, gate: threading.Event) -> None:
        super().__init__()
        self._gain, self._gate = gain, gate

    def step(self, user):
        self._gate.wait(timeout=PATIENCE_S)
        return Step(super().step(user).agent * np.float32(self._gain))


class GainEngine(EchoEngine):
    """Voices that differ in loudness; `gate` holds them up."""

    identity = "gains"
    voices = tuple(Voice(name, name.title(), "For tests.", "Tests") for name in GAINS)

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()

    def open(self, config):
        return GainSession(0.7 if config.clone else GAINS[config.voice], self.gate)


@pytest.fixture
def engine():
    return GainEngine()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="module")
def wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(
        file, speak("Good morning, how are you?", pause_s=0.5), 24_000, format="WAV", subtype="PCM_16"
    )
    return file.getvalue()


@pytest.fixture
async def comparisons(engine, clock, tmp_path):
    app_state = AppState(
        settings=Settings(data=tmp_path / "data", connects_per_minute=100),
        supervisor=EngineSupervisor(engine, Choice("echo", "for the test")),
        personas=load_personas(),
        admission=Admission(2, talk_limit_s=60),
        library=Library(None, temporary_root=tmp_path),
        channels=HttpChannels(2),
        workers=anyio.CapacityLimiter(3),
    )
    made = Comparisons(app_state)
    made.blind.tests = BlindTests(tmp_path / "data" / "tests", clock=clock)
    opened, over = anyio.Event(), anyio.Event()

    async def keep() -> None:  # a fixture's two halves are two tasks, and an app is open in one
        async with app_state.open():
            opened.set()
            await over.wait()

    keeping = asyncio.create_task(keep())
    await opened.wait()
    yield made
    engine.gate.set()
    over.set()
    await keeping
    made.close()


@pytest.fixture
async def client(comparisons):
    transport = httpx.ASGITransport(served(compare_routes(comparisons), comparisons.app_state.settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=MINE) as client:
        yield client


async def recording(client, wav) -> str:
    answer = await client.post("/api/compare/recordings?title=Hello", content=wav)
    assert answer.status_code == 201
    return answer.json()["id"]


async def started(client, wav, **more) -> str:
    asked = {
        "inputs": [{"recording": await recording(client, wav)}],
        "voices": list(GAINS),
        "room_s": 0.5,
        **more,
    }
    answer = await client.post("/api/compare/runs", json=asked)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def until(client, run: str, status: str) -> dict:
    with anyio.fail_after(PATIENCE_S):
        while (found := (await client.get(f"/api/compare/runs/{run}")).json())["status"] != status:  # noqa: ASYNC110 - as a page does
            await anyio.sleep(0.01)
    return found


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert answer.json()["message"].endswith(".")
    return answer.json()["message"]


def sound(answer) -> np.ndarray:
    assert answer.status_code == 200
    return soundfile.read(io.BytesIO(answer.content), always_2d=True)[0]


def loudness_lufs(samples: np.ndarray) -> float:
    import pyloudnorm  # it brings scipy, which takes seconds to import

    return pyloudnorm.Meter(24_000).integrated_loudness(samples)


async def test_compare_offers_scenarios_and_limits(client):
    found = (await client.get("/api/compare")).json()
    assert len(found["scenarios"]) >= 20
    assert set(found["scenarios"][0]) == {"name", "kind", "title", "persona"}
    assert found["limits"]["recording_s"] == 120


async def test_compare_renders_every_voice_at_equal_loudness_with_its_measures(client, wav):
    run = await started(client, wav)
    found = await until(client, run, "done")
    assert (found["progress"]["done"], found["progress"]["share"]) == (3, 1.0)
    assert found["cells"] == [[{"ready": True}] * 3]
    assert found["conditions"] == [{"title": "Hello", "persona": load_personas()[0].name, "seed": 0}]
    heard = [sound(await client.get(f"/api/compare/runs/{run}/cells/0/{k}/both.wav")) for k in range(3)]
    shared = min(map(len, heard))  # each goes on until it was quiet
    assert [loudness_lufs(each[:, 1]) for each in heard] == pytest.approx([-23] * 3, abs=0.2)
    assert np.array_equal(heard[0][:shared, 0], heard[2][:shared, 0])  # the same user in each
    alone = sound(await client.get(f"/api/compare/runs/{run}/cells/0/0/agent.wav"))
    assert np.array_equal(alone[:, 0], heard[0][:, 1])
    cell = (await client.get(f"/api/compare/runs/{run}/cells/0/2")).json()
    assert cell["lane"]["peaks_per_s"] == 50
    assert cell["duration_s"] == pytest.approx(len(heard[2]) / 24_000, abs=0.01)


@pytest.mark.parametrize(("room_s", "longer"), [(0, False), (0.1, True)])
async def test_compare_without_time_to_answer_ends_with_the_recording(client, wav, room_s, longer):
    cut = io.BytesIO()
    samples, rate_hz = soundfile.read(io.BytesIO(wav), frames=24_000)
    soundfile.write(cut, samples, rate_hz, format="WAV", subtype="PCM_16")
    run = await started(client, cut.getvalue(), voices=["loud"], room_s=room_s)
    await until(client, run, "done")
    heard = sound(await client.get(f"/api/compare/runs/{run}/cells/0/0/both.wav"))
    assert (len(heard) > 24_000 + 2_400 + FRAME_SAMPLES) == longer


async def test_compare_scenario_is_spoken_and_rendered_once_for_all(client, comparisons, engine):
    asked = {"inputs": [{"scenario": "turn-short"}], "voices": ["plain"]}
    run = (await client.post("/api/compare/runs", json=asked)).json()["id"]
    found = await until(client, run, "done")
    assert found["conditions"][0]["title"] == "One short word"
    engine.gate.clear()  # nobody could render anything now
    other = (await client.post("/api/compare/runs", json=asked, headers=YOURS)).json()["id"]
    assert other != run
    client.headers.update(YOURS)
    await until(client, other, "done")


@pytest.mark.slow
async def test_compare_after_a_restart_takes_everything_from_the_cache(client, comparisons, engine):
    asked = {"inputs": [{"scenario": "turn-short"}], "voices": list(GAINS)}
    run = (await client.post("/api/compare/runs", json=asked)).json()["id"]
    await until(client, run, "done")
    before = (await client.get(f"/api/compare/runs/{run}/cells/0/1/both.wav")).content
    engine.gate.clear()  # nobody could render anything now
    again = Comparisons(comparisons.app_state)  # it remembers nothing but the disk
    transport = httpx.ASGITransport(served(compare_routes(again), again.app_state.settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=MINE) as late:
        assert "begin it again" in refused(await late.get(f"/api/compare/runs/{run}"), 404, "not_found")
        assert (await late.post("/api/compare/runs", json=asked)).json()["id"] == run
        await until(late, run, "done")
        assert (await late.get(f"/api/compare/runs/{run}/cells/0/1/both.wav")).content == before
        assert (await late.post(f"/api/compare/runs/{run}/test")).status_code == 201
    again.close()


async def test_compare_cloned_voice_answers_its_owner_alone_and_is_kept_nowhere(
    client, comparisons, engine, tmp_path
):
    engine.capabilities = replace(engine.capabilities, cloning=True)
    clone = comparisons.app_state.clones.add(
        NOBODY.with_owner_key(MINE["X-Owner-Key"]), "Clara", b"a voice", keep=False
    )
    asked = {"inputs": [{"scenario": "turn-short"}], "voices": ["plain", clone.wire_name]}
    run = (await client.post("/api/compare/runs", json=asked)).json()["id"]
    assert (await until(client, run, "done"))["cells"] == [[{"ready": True}] * 2]
    assert not list((tmp_path / "data").rglob("*.flac"))
    theirs = (await client.post("/api/compare/runs", json=asked, headers=YOURS)).json()["id"]
    client.headers.update(YOURS)
    assert "not among yours" in (await until(client, theirs, "failed"))["problem"]


async def test_compare_cancelled_run_goes_on_where_it_was(client, wav, engine):
    engine.gate.clear()
    run = await started(client, wav)
    await until(client, run, "rendering")
    await client.post(f"/api/compare/runs/{run}/cancel")
    engine.gate.set()
    await until(client, run, "cancelled")
    assert "not rendered yet" in refused(
        await client.get(f"/api/compare/runs/{run}/cells/0/0"), 404, "not_found"
    )
    assert "every voice's answer" in refused(
        await client.post(f"/api/compare/runs/{run}/test"), 400, "bad_input"
    )
    assert await started(client, wav) == run
    await until(client, run, "done")


async def test_compare_new_choice_of_the_same_owner_ends_the_one_before(client, wav, engine, comparisons):
    for _ in range(comparison_runs.MAX_ACTIVE - 1):
        comparisons.runs._shares.take(NOBODY)
    engine.gate.clear()
    first = await started(client, wav)
    await until(client, first, "rendering")
    asked = {"inputs": [{"scenario": "turn-short"}], "voices": ["plain"]}
    refused(await client.post("/api/compare/runs", json=asked, headers=YOURS), 429, "capacity")
    engine.gate.set()
    await client.post(f"/api/compare/runs/{first}/cancel")
    await until(client, first, "cancelled")
    engine.gate.clear()
    again = await started(client, wav)
    for _ in range(comparison_runs.MAX_ACTIVE - 1):
        comparisons.runs._shares.give_back(NOBODY)
    second = await started(client, wav, voices=["plain"])
    engine.gate.set()
    await until(client, again, "cancelled")
    await until(client, second, "done")


async def test_compare_fault_of_the_engine_fails_the_run_alone(client, wav, engine, monkeypatch):
    monkeypatch.setattr(engine, "open", lambda config: 1 / 0)
    run = await started(client, wav)
    assert "fault of the app" in (await until(client, run, "failed"))["problem"]
    monkeypatch.undo()
    assert await started(client, wav) == run
    await until(client, run, "done")


async def test_compare_recording_is_kept_nowhere(client, wav, comparisons, tmp_path):
    run = await started(client, wav)
    await until(client, run, "done")
    assert not list((tmp_path / "data").rglob("*.flac"))
    assert (await client.get(f"/api/compare/runs/{run}/cells/0/0")).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"voices": []}, "voices must be a list"),
        ({"voices": ["nobody"]}, "nobody"),
        ({"inputs": [{"scenario": "none"}]}, "no scenario 'none'"),
        ({"inputs": [{"recording": "none"}]}, "no longer here"),
        ({"inputs": [{"file": "/etc/passwd"}]}, "An input is"),
        ({"inputs": [{}]}, "An input is"),
        ({"persona": "nobody"}, "no persona"),
        ({"persona": 5}, "persona is"),
        ({"seeds": [-1]}, "seed must be"),
        ({"seeds": [True]}, "seeds must be"),
        ({"seeds": [1, 2, 3, 4, 5, 6]}, "list of 1 to 5"),
        ({"room_s": 31}, "from 0 to 30"),
    ],
)
async def test_compare_request_that_cannot_be_used_gets_a_sentence(client, wrong, sentence):
    answer = await client.post(
        "/api/compare/runs", json={"inputs": [{"scenario": "turn-short"}], "voices": ["plain"], **wrong}
    )
    if answer.status_code == 201:  # what takes looking up is told by the run
        found = await until(client, answer.json()["id"], "failed")
        assert sentence in found["problem"]
    else:
        assert answer.status_code == 400
        assert sentence in answer.json()["message"]


async def test_compare_more_minutes_than_the_limit_are_refused(client, wav, monkeypatch):
    monkeypatch.setattr(comparison_runs, "MAX_TOTAL_S", 5.0)
    run = await started(client, wav)
    assert "minutes of answers" in (await until(client, run, "failed"))["problem"]


@pytest.mark.parametrize("body", [b"", b"not a sound", b"RIFF" * 100])
async def test_compare_recording_that_is_none_gets_a_sentence(client, body):
    refused(await client.post("/api/compare/recordings", content=body), 400, "bad_audio")


@pytest.mark.parametrize("body", [b"", b"5", b"[]", b"{", b"\xff"])
async def test_compare_body_that_is_no_object_gets_a_sentence(client, body):
    refused(await client.post("/api/compare/runs", content=body), 400, "bad_input")


async def test_compare_others_runs_are_as_absent_as_none(client, wav):
    run = await started(client, wav)
    await until(client, run, "done")
    for id_ in (run, "0" * 32, "nonsense"):
        for path in ("", "/cells/0/0", "/cells/0/0/both.wav"):
            refused(await client.get(f"/api/compare/runs/{id_}{path}", headers=YOURS), 404, "not_found")
        refused(await client.post(f"/api/compare/runs/{id_}/test", headers=YOURS), 404, "not_found")
    refused(await client.get(f"/api/compare/runs/{run}", headers={"X-Owner-Key": ""}), 400, "bad_input")


async def blind(client, wav) -> str:
    run = await started(client, wav, voices=["quiet", "loud"])
    await until(client, run, "done")
    test = (await client.post(f"/api/compare/runs/{run}/test")).json()["id"]
    assert (await client.get(f"/api/compare/tests/{test}")).json()["phase"] == "new"
    return f"/api/compare/tests/{test}"


def ballot(state, choice="left", heard_s=9.0):
    both = {"left": heard_s, "right": heard_s}
    return {
        "token": state["trial"]["token"],
        "choice": choice,
        "heard_s": both,
        "plays": {"left": 1, "right": 1},
    }


async def test_blind_test_goes_from_first_pair_to_results_and_names_nobody_before(client, wav, clock):
    test = await blind(client, wav)
    state = (await client.post(f"{test}/begin", json={"trials": 1})).json()
    assert (state["phase"], state["total"], state["can_undo"]) == ("voting", 3, False)
    for number in range(3):
        token = state["trial"]["token"]
        told = json.dumps(state) + (await client.get(f"{test}/trials/{token}")).text
        assert not any(word in told for word in GAINS)
        sides = [sound(await client.get(f"{test}/trials/{token}/{side}.wav")) for side in ("left", "right")]
        assert [loudness_lufs(each[:, 0]) for each in sides] == pytest.approx([-23] * 2, abs=0.2)
        asked = await client.get(f"{test}/trials/{token}/question.wav")
        assert loudness_lufs(sound(asked)[:, 0]) == pytest.approx(-23, abs=0.5)
        assert "finish your round" in refused(await client.get(f"{test}/results"), 400, "bad_input")
        refused(await client.get(f"{test}/export.csv"), 400, "bad_input")
        assert "Listen to both" in refused(
            await client.post(f"{test}/vote", json=ballot(state, heard_s=0.2)), 400, "bad_vote"
        )
        clock.now_s += 60
        state = (await client.post(f"{test}/vote", json=ballot(state))).json()
        assert (state["done"], state["can_undo"]) == (number + 1, True)
        refused(await client.get(f"{test}/trials/{token}/left.wav"), 404, "not_found")
    state = (await client.post(f"{test}/undo")).json()
    assert (state["phase"], state["done"]) == ("voting", 2)
    clock.now_s += 60
    await client.post(f"{test}/vote", json=ballot(state, "tie"))
    state = (await client.post(f"{test}/reveal")).json()
    assert {trial["check"] for trial in state["reveal"]["trials"]} == {None, "repeat", "identical"}
    found = (await client.get(f"{test}/results")).json()
    assert (found["votes"], found["listeners"], found["preliminary"]) == (1, 1, True)
    assert {each["voice"] for each in found["standings"]} == {"quiet", "loud"}
    assert (await client.get(f"{test}/export.csv")).text.count("\n") == 5
    assert len((await client.get(f"{test}/export.jsonl")).text.splitlines()) >= 9
    assert "csv or jsonl" in refused(await client.get(f"{test}/export.xls"), 404, "not_found")


async def test_blind_test_being_taken_keeps_all_its_clips(client, wav, comparisons):
    test = await blind(client, wav)
    state = (await client.post(f"{test}/begin", json={"trials": 1})).json()
    renderings = comparisons.app_state.renderings
    assert len(list(renderings._folder.iterdir())) >= 4
    made_s = renderings._now()
    renderings._now = lambda: made_s + TEMPORARY_AGE_S - 60
    await client.get(f"{test}/trials/{state['trial']['token']}/left.wav")
    renderings._now = lambda: made_s + TEMPORARY_AGE_S + 60
    renderings.purge()
    design = comparisons.blind.tests.get(state["test"]).design
    assert all(comparisons.app_state.renderings.has(clip.audio) for row in design.clips for clip in row)


async def test_blind_test_another_listener_has_a_round_of_their_own(client, wav, clock):
    test = await blind(client, wav)
    mine = (await client.post(f"{test}/begin", json={"trials": 1})).json()
    yours = (await client.post(f"{test}/begin", json={"trials": 1}, headers=YOURS)).json()
    assert mine["trial"]["token"] != yours["trial"]["token"]
    clock.now_s += 60
    refused(await client.post(f"{test}/vote", json=ballot(mine), headers=YOURS), 400, "bad_vote")
    for side in ("left", "right"):
        unheard = await client.post(f"{test}/vote", json=ballot(yours), headers=YOURS)
        assert "the sound of one was not fetched" in refused(unheard, 400, "bad_vote")
        await client.get(f"{test}/trials/{yours['trial']['token']}/{side}.wav", headers=YOURS)
    voted = await client.post(f"{test}/vote", json=ballot(yours), headers=YOURS)
    assert voted.json()["done"] == 1
    assert (await client.get(test)).json()["done"] == 0


async def test_blind_test_results_are_for_who_made_it_and_who_has_finished(client, wav):
    test = await blind(client, wav)
    await client.post(f"{test}/begin", json={"trials": 1}, headers=YOURS)
    plans = [json.loads(line) for line in (await client.get(f"{test}/export.jsonl")).text.splitlines()]
    assert [each["kind"] for each in plans] == ["begin", "shown"]
    assert "trials" not in plans[0]
    assert (await client.get(f"{test}/results")).json()["listeners"] == 0
    stranger = {"X-Owner-Key": "s" * 20}
    for what in ("results", "export.csv", "export.jsonl"):
        assert "who made this test" in refused(
            await client.get(f"{test}/{what}", headers=stranger), 400, "bad_input"
        )
        refused(await client.get(f"{test}/{what}", headers=YOURS), 400, "bad_input")


async def test_compare_run_that_nobody_asks_for_is_stopped(client, wav, monkeypatch, comparisons):
    monkeypatch.setattr(comparison_runs, "GRACE_S", 0.0)
    run = await started(client, wav)
    await until(client, run, "cancelled")
    # its place is free again
    assert not comparisons.runs._shares._taken


async def test_compare_recordings_of_one_address_push_out_their_own_alone(comparisons, wav):
    honest, greedy = Principal(address="192.0.2.1"), Principal(address="192.0.2.2")
    mine = comparisons.inputs.add_recording(honest.with_owner_key("h" * 20), wav, "mine")
    for number in range(2 * MAX_RECORDINGS):
        comparisons.inputs.add_recording(greedy.with_owner_key(f"{number:020d}"), wav, "theirs")
    assert mine.id in comparisons.inputs._recordings
    assert len(comparisons.inputs._recordings) == MAX_RECORDINGS


@pytest.mark.parametrize("place", ["9" * 5_000, "-1", "x", "1.0", "٣"])
async def test_compare_cell_that_is_no_number_is_not_found(client, wav, place):
    run = await started(client, wav)
    refused(await client.get(f"/api/compare/runs/{run}/cells/{place}/0"), 404, "not_found")
    refused(await client.get(f"/api/compare/runs/{run}/cells/0/{place}/both.wav"), 404, "not_found")


async def test_blind_test_refusals_are_sentences(client, wav):
    test = await blind(client, wav)
    refused(await client.post(f"{test}/undo"), 404, "not_found")
    for trials in (0, -1, "3", None, True):
        refused(await client.post(f"{test}/begin", json={"trials": trials}), 400, "bad_input")
    await client.post(f"{test}/begin", json={})
    refused(await client.post(f"{test}/undo"), 400, "bad_input")
    refused(await client.post(f"{test}/vote", json={"choice": "A"}), 400, "bad_vote")
    refused(await client.get(f"{test}/trials/nonsense/left.wav"), 404, "not_found")
    for id_ in ("0" * 32, "nonsense", "..%2F.."):
        assert (await client.get(f"/api/compare/tests/{id_}")).status_code == 404


@pytest.mark.parametrize(
    "samples", [np.zeros(0), np.zeros(48_000), np.full(2_400, 0.5), np.full(48_000, 1e-5)]
)
def test_gain_of_what_cannot_be_measured_is_0_db(samples):
    assert gain_db(samples.astype(np.float32)) == 0.0


def test_gain_stops_before_the_true_peak_clips():
    clicks = np.zeros(96_000, np.float32)
    clicks[::2400] = 0.5
    by_db = gain_db(clicks)
    assert loudness_lufs(clicks.astype(np.float64)) + by_db < -23.5
    assert true_peak_db(clicks) + by_db == pytest.approx(-1.0, abs=0.02)


async def test_blind_test_without_an_end_goes_on_past_its_plan_and_stops_any_time(client, wav, clock):
    test = await blind(client, wav)
    state = (await client.post(f"{test}/begin", json={"endless": True})).json()
    assert (state["total"], state["by"]) == (None, "voice")
    assert "not voted yet" in refused(await client.post(f"{test}/reveal"), 400, "bad_input")
    for number in range(12):
        for side in ("left", "right"):
            await client.get(f"{test}/trials/{state['trial']['token']}/{side}.wav")
        clock.now_s += 60
        state = (await client.post(f"{test}/vote", json=ballot(state))).json()
        assert (state["phase"], state["trial"]["number"]) == ("voting", number + 2)
        # a listener counts hidden checks too, since they do not know of them
        told = (await client.get(f"{test}/board")).json()
        assert (told["votes"], len(told["standings"])) == (number + 1, 2 if number + 1 >= 10 else 0)
    assert not any(name in json.dumps(told) for name in GAINS)
    state = (await client.post(f"{test}/reveal")).json()
    assert (state["phase"], len(state["reveal"]["trials"])) == ("revealed", 12)
    assert {"repeat", "identical"} <= {trial["check"] for trial in state["reveal"]["trials"]}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"by": "persona", "values": ["chat", "wise-teacher"]}, ["chat", "wise-teacher"]),
        ({"by": "audio_temperature", "values": [0.4, 0.8, 0.80000001]}, ["0.4", "0.8"]),
        ({"by": "text_topk", "values": [5, 25]}, ["5", "25"]),
    ],
)
async def test_compare_any_one_difference_is_rendered_and_tested_blind(client, wav, engine, asked, names):
    engine.capabilities = replace(engine.capabilities, role_prompt=True, sampling=True)
    opened = []
    open_ = engine.open
    engine.open = lambda config: (opened.append(config), open_(config))[1]
    run = await started(client, wav, voices=["plain"], **asked)
    found = await until(client, run, "done")
    assert (found["by"], found["names"], len(found["cells"][0])) == (asked["by"], names, len(names))
    told = {
        config.persona if asked["by"] == "persona" else f"{getattr(config.sampling, asked['by']):g}"
        for config in opened
    }
    assert told == set(names)
    assert {config.voice for config in opened} == {"plain"}
    test = (await client.post(f"/api/compare/runs/{run}/test")).json()["id"]
    state = (await client.post(f"/api/compare/tests/{test}/begin", json={"endless": True})).json()
    assert (state["by"], state["voices"]) == (asked["by"], len(names))
    if asked["by"] == "persona":
        assert state["trial"]["persona"] == ""


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"by": "mood", "values": ["sad"]}, "What differs is"),
        ({"by": "persona", "values": []}, "values must be a list"),
        ({"by": "persona", "values": ["nobody"]}, "no persona"),
        ({"by": "audio_temperature", "values": [0.5, 9]}, "audio_temperature"),
        ({"by": "audio_temperature", "values": ["hot"]}, "must be a number"),
        ({"by": "audio_temperature", "values": [1] * 7}, "1 to 6 numbers"),
        ({"by": "persona", "values": ["chat"], "voices": ["plain", "loud"]}, "One thing differs"),
    ],
)
async def test_compare_difference_that_cannot_be_used_gets_a_sentence(client, engine, wrong, sentence):
    engine.capabilities = replace(engine.capabilities, role_prompt=True, sampling=True)
    asked = {"inputs": [{"scenario": "turn-short"}], "voices": ["plain"], **wrong}
    assert sentence in (await client.post("/api/compare/runs", json=asked)).json()["message"]


async def test_compare_difference_that_the_engine_does_not_know_gets_a_sentence(client):
    asked = {"inputs": [{"scenario": "turn-short"}], "voices": ["plain"]}
    for more, sentence in (
        ({"by": "persona", "values": ["chat"]}, "plays no roles"),
        ({"by": "audio_topk", "values": [5]}, "does not sample"),
    ):
        answer = await client.post("/api/compare/runs", json={**asked, **more})
        assert sentence in refused(answer, 400, "bad_input")
