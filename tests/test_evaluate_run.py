"""`evaluate run` with the embedded engine: units that resume, a stop that keeps what is done, a judge on a
real server, and the report.
"""

import csv
import json
import re
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from personaplex_app.__main__ import main
from personaplex_app.classic import engine as classic_engine
from personaplex_app.classic.engine import ClassicEngine
from personaplex_app.engine.contract import Sampling, Step
from personaplex_app.engine.echo import EchoEngine
from personaplex_app.engine.personaplex import PersonaplexEngine, PersonaplexSettings
from personaplex_app.errors import BadInput, EngineError, UnknownVoice
from personaplex_app.evaluation import run as run_module
from personaplex_app.evaluation import scenarios
from personaplex_app.evaluation.conversation import Stopped, play_live
from personaplex_app.evaluation.conversation_folder import CONVERSATIONS, read_results, read_sides
from personaplex_app.evaluation.fdb.score import score_folder
from personaplex_app.evaluation.judge import Judge
from personaplex_app.evaluation.report import FILES, figures_csv, write_report
from personaplex_app.evaluation.run import Evaluator, RunPlan, run, session_config
from personaplex_app.evaluation.scenarios import Part, choose_scenarios, load_scenarios, worded
from personaplex_app.evaluation.summary import cases, cell_of, summarise
from personaplex_app.evaluation.summary_text import text_of
from personaplex_app.responder.chat_api import LlmSettings
from personaplex_app.responder.rules import make_responder

from .support.fakes import ScriptedEngine, silence
from .support.speech import loaded_once
from .support.tiny import GOLDEN
from .test_llm import serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine():
    engine = ClassicEngine(make_responder)
    with loaded_once(classic_engine):
        engine.load(lambda state: None)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def evaluator():
    with loaded_once(run_module):
        return Evaluator(dnsmos=False)


def plan_of(*names: str, voices=("natural",), seeds=(0,), **options) -> RunPlan:
    return RunPlan(choose_scenarios(names, load_scenarios()), voices, seeds, **options)


@pytest.fixture(scope="module")
def ran(engine, evaluator, tmp_path_factory):
    """Three scenarios with two voices, held once for all tests that read."""
    out = tmp_path_factory.mktemp("run")
    plan = plan_of("turn-question", "interrupt-topic", voices=("natural", "warm"))
    told = []
    assert run(plan, engine, out, told.append, evaluator) == []
    write_report(out, "the command")
    return out, plan, told


def test_run_measures_what_the_embedded_engine_does(ran):
    out, plan, told = ran
    results = {(r.scenario, r.voice): r for r in read_results(out)}
    assert len(results) == len(plan.conversations) == 4
    answer = results["turn-question", "natural"]
    assert answer.values["replies"] == [1]
    assert 0.2 < answer.values["turn_latency_s"][0] < 1.5
    assert "depot" in answer.agent_text
    cut = results["interrupt-topic", "natural"]
    assert 0.1 < cut.values["stop_after_onset_s"][0] < 1.5
    assert cut.values["replies_interruption"] == [1]
    assert len(answer.step_ms) == round(answer.duration_s / 0.08 + 0.5)
    assert [progress.done for progress in told] == [0, 1, 2, 3, 4]
    assert told[0].left_s is None
    assert told[-1].left_s == 0


def test_run_same_take_has_one_user_sound_for_every_voice_and_another_for_another_seed(ran, evaluator):
    results = [r for r in read_results(ran[0]) if r.scenario == "turn-question"]
    assert len({r.user_sha256 for r in results}) == 1
    assert len({r.agent_sha256 for r in results}) == 2
    scenario = choose_scenarios(["turn-question"], load_scenarios())[0]
    assert evaluator.say(scenario, 1).sha256 != results[0].user_sha256


def test_run_folders_are_full_duplex_bench_samples(ran, tmp_path):
    for result in read_results(ran[0]):
        if result.scenario == "turn-question":
            (tmp_path / result.voice).symlink_to(ran[0] / CONVERSATIONS / result.conversation.name)
    scores = score_folder("smooth_turn_taking", tmp_path)
    assert len(scores.per_sample) == 2
    assert all(0.2 < sample["corrected"]["latency_s"] < 1.5 for sample in scores.per_sample.values())


def test_run_again_holds_only_what_is_missing_or_changed(ran, engine, evaluator, tmp_path):
    out = tmp_path / "out"
    plan = plan_of("turn-short", "silence-long")
    assert run(plan, engine, out, evaluator=evaluator) == []
    stamps = {path: path.stat().st_mtime_ns for path in out.glob(f"{CONVERSATIONS}/*/unit.json")}
    (out / CONVERSATIONS / "turn-short--natural--0" / "unit.json").write_text("{")
    (out / CONVERSATIONS / "silence-long--natural--0.part").mkdir()
    told = []
    assert run(plan, engine, out, told.append, evaluator) == []
    assert [progress.kept for progress in told] == [1, 1]
    again = {path for path in stamps if path.stat().st_mtime_ns != stamps[path]}
    assert [path.parent.name for path in again] == ["turn-short--natural--0"]
    changed = replace(plan, scenarios=(replace(plan.scenarios[0], inverted=("x",)), plan.scenarios[1]))
    run(changed, engine, out, told.append, evaluator)
    assert told[-1].kept == 1


def test_run_other_conditions_in_one_folder_are_refused(ran, engine, evaluator):
    with pytest.raises(
        BadInput, match="holds conversations with another clock and sampling; give a new folder"
    ):
        run(
            replace(ran[1], live=True, sampling=Sampling(text_temperature=0.1)),
            engine,
            ran[0],
            evaluator=evaluator,
        )
    with pytest.raises(BadInput, match="another engine"):
        run(plan_of("turn-short", voices=("echo",)), EchoEngine(), ran[0], evaluator=evaluator)


def test_run_unknown_voice_and_no_conversation_are_refused(engine, evaluator, tmp_path):
    with pytest.raises(UnknownVoice, match="choose of: natural, warm"):
        run(plan_of("turn-short", voices=("nobody",)), engine, tmp_path, evaluator=evaluator)
    with pytest.raises(BadInput, match="That makes 0 conversations"):
        run(plan_of("turn-short", seeds=()), engine, tmp_path, evaluator=evaluator)


def test_run_a_failing_conversation_costs_only_itself(evaluator, tmp_path):
    def fails(frame: int) -> Step:
        raise EngineError("The model ran out of memory; choose fewer slots.")

    engine = ScriptedEngine(fails, silence)
    failures = run(
        plan_of("turn-short", "silence-long", voices=("echo",)),
        engine,
        tmp_path,
        evaluator=evaluator,
        parallel=1,
    )
    assert [(unit.scenario, str(error)) for unit, error in failures] == [
        ("turn-short", "The model ran out of memory; choose fewer slots.")
    ]
    assert [result.scenario for result in read_results(tmp_path)] == ["silence-long"]
    assert [session.closed for session in engine.sessions] == [True, True]
    assert "1 conversations failed" in write_report(tmp_path).read_text()


def test_run_stopped_keeps_what_is_done_and_goes_on_later(engine, evaluator, tmp_path):
    stop = threading.Event()
    plan = plan_of("turn-short", "turn-question", "silence", "noise")

    def tell(progress):
        if progress.done == 1:
            stop.set()

    with pytest.raises(Stopped):
        run(plan, engine, tmp_path, tell, evaluator, parallel=1, stop=stop)
    kept = len(read_results(tmp_path))
    assert 1 <= kept < 5
    assert not list(tmp_path.glob(f"{CONVERSATIONS}/*.part"))
    assert run(plan, engine, tmp_path, evaluator=evaluator) == []
    assert len(read_results(tmp_path)) == 5


def test_run_live_is_in_real_time_and_has_wall_clock_latencies(engine, evaluator, tmp_path):
    scenario = replace(
        choose_scenarios(["turn-short"], load_scenarios())[0], script=load_scenarios()[4].script[:1]
    )
    spoken = evaluator.say(scenario, 0)
    plan = plan_of("turn-short", live=True)
    user = np.concatenate([spoken.samples[156_000:], np.zeros(12_000, np.float32)])
    began_s = time.perf_counter()
    heard = play_live(engine, user, session_config(plan, plan.conversations[0], scenario), threading.Event())
    frames = -(-len(user) // 1920)
    assert time.perf_counter() - began_s >= frames * 0.08
    assert len(heard.ready_s) == len(heard.step_ms) == frames
    assert all(ready_s >= (index + 1) * 0.08 for index, ready_s in enumerate(heard.ready_s))
    evaluator.keep(tmp_path, plan.conversations[0], replace(spoken, samples=user), heard)
    assert read_results(tmp_path)[0].ready_s == list(heard.ready_s)


def test_run_personaplex_engine_is_held_and_measured_like_any_other(evaluator, tmp_path, monkeypatch):
    monkeypatch.setattr(scenarios, "LEAD_S", 0.4)
    engine = PersonaplexEngine(
        PersonaplexSettings(str(GOLDEN), tmp_path / "voices", device="cpu", dtype="float32", slots=2)
    )
    engine.load(lambda state: None)
    try:
        voice = engine.voices[0].name
        plan = plan_of("silence-long", voices=(voice,), seeds=(0, 1))
        plan = replace(plan, scenarios=(replace(plan.scenarios[0], script=(Part("wait", length_s=0.2),)),))
        assert run(plan, engine, tmp_path / "out", evaluator=evaluator) == []
        results = read_results(tmp_path / "out")
        # the model samples: another seed is another answer
        assert len({result.agent_sha256 for result in results}) == len(results) == 2
        assert all(len(result.step_ms) == round(result.duration_s / 0.08) for result in results)
        assert summarise(tmp_path / "out")[0]["speed"][voice]["p95_ms"] > 0
    finally:
        engine.close()


# -- the judge -------------------------------------------------------------------------------------


def reply_with(content: str):
    return lambda write, server: write(json.dumps({"choices": [{"message": {"content": content}}]}).encode())


def test_judge_score_is_kept_with_its_name_prompt_hash_and_raw_reply(engine, tmp_path):
    with serving(reply_with('Sure: {"score": 4, "reason": "right"}')) as (server, url):
        judge = Judge(LlmSettings(url, key="sk-secret", model="strict-1"))
        with loaded_once(run_module):
            judged = Evaluator(dnsmos=False, judge=judge)
        assert run(plan_of("turn-question"), engine, tmp_path, evaluator=judged, judge=judge) == []
        judge.close()
    asked = json.dumps(server.asked[0])
    assert server.asked[0]["model"] == "strict-1"
    assert worded(choose_scenarios(["turn-question"], load_scenarios())[0], 0)[0].text in asked
    assert "depot" in asked
    assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    result = read_results(tmp_path)[0]
    assert result.values["judge_score"] == [4]
    assert result.judgement == {
        "model": "strict-1",
        "prompt_sha256": judge.prompt_sha256,
        "raw_reply": 'Sure: {"score": 4, "reason": "right"}',
        "score": 4.0,
        "problem": "",
    }
    everything = "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    assert "sk-secret" not in everything
    assert summarise(tmp_path)[0]["conditions"]["judge"]["model"] == "strict-1"


@pytest.mark.parametrize(
    ("script", "status", "problem"),
    [
        (reply_with("I like it."), 200, "holds no score"),
        (reply_with('{"score": 9}'), 200, "not from 1 to 5"),
        (reply_with('{"score": "none"} {"score": [1]}'), 200, "holds no score"),
        (lambda write, server: write(b"<html>"), 200, "could not be asked"),
        (lambda write, server: write(b"x" * 300_000), 200, "could not be asked"),
        (reply_with("no"), 401, "status 401"),
    ],
)
def test_judge_bad_reply_is_a_problem_and_no_score(evaluator, script, status, problem):
    spoken = evaluator.say(choose_scenarios(["turn-short"], load_scenarios())[0], 0)
    with serving(script, status) as (_, url):
        judge = Judge(LlmSettings(url))
        judgement = judge.ask(spoken, "A role.", "Hello.")
        judge.close()
    assert judgement.score is None
    assert problem in judgement.problem


@pytest.mark.parametrize(
    "refused",
    [
        {"message": "Unsupported value: 'temperature' does not support 0.", "param": "temperature"},
        {"message": "Unsupported parameter: 'max_tokens' is not supported.", "param": "max_tokens"},
        {"message": "System role not supported"},
    ],
)
def test_judge_asks_again_without_what_the_endpoint_refuses_and_remembers(evaluator, refused):
    def refuse(body, path):
        named = refused.get("param")
        system = body["messages"][0]["role"] == "system"
        return (400, {"error": refused}) if (named in body if named else system) else None

    spoken = evaluator.say(choose_scenarios(["turn-short"], load_scenarios())[0], 0)
    with serving(reply_with('<think>{"score": 1}</think> {"score": 3}'), refuse=refuse) as (server, url):
        judge = Judge(LlmSettings(url))
        assert [judge.ask(spoken, "A role.", "Hello.").score for _ in range(2)] == [3, 3]
        judge.close()
    assert len(server.asked) == 3


def test_judge_that_thinks_past_its_limit_is_given_more_room(evaluator):
    def script(write, server):
        enough = server.asked[-1]["max_tokens"] > 2_000
        choice = {"message": {"content": '{"score": 2}' if enough else "Well"}}
        choice["finish_reason"] = "stop" if enough else "length"
        write(json.dumps({"choices": [choice]}).encode())

    spoken = evaluator.say(choose_scenarios(["turn-short"], load_scenarios())[0], 0)
    with serving(script) as (server, url):
        judge = Judge(LlmSettings(url))
        assert judge.ask(spoken, "A role.", "Hello.").score == 2
        judge.close()
    assert [body["temperature"] for body in server.asked] == [0.0, 0.0]


def test_judge_nobody_there_is_a_problem_and_no_score(evaluator):
    spoken = evaluator.say(choose_scenarios(["turn-short"], load_scenarios())[0], 0)
    judge = Judge(LlmSettings("http://127.0.0.1:9"))
    assert "connection failed" in judge.ask(spoken, "A role.", "Hello.").problem
    judge.close()


# -- the report ------------------------------------------------------------------------------------


def test_report_is_one_file_that_needs_nothing_else(ran):
    page = (ran[0] / "report.html").read_text()
    assert {path.name for path in ran[0].glob("*.*")} >= set(FILES)
    assert not re.findall(r"""(?:src|href)=["'](?!data:)[^"']+""", page)
    assert "@import" not in page
    assert "url(" not in page
    assert page.count("<audio") == page.count('class="lane"') >= 3
    for told in (
        "not Full-Duplex-Bench scores",
        "the command",
        "Not comparable",
        "arXiv 2602.06053",
        "4.29 of 5",
        "Likeness of the voice",
        "natural",
        "warm",
    ):
        assert told in page
    for result in read_results(ran[0]):
        assert result.user_sha256[:16] in page
        assert result.agent_sha256[:16] in page


def test_report_escapes_what_was_said(ran, tmp_path):
    out, _, _ = ran
    (tmp_path / CONVERSATIONS).mkdir()
    (tmp_path / "run.json").write_text((out / "run.json").read_text())
    name = "turn-question--natural--0"
    (tmp_path / CONVERSATIONS / name).mkdir()
    for path in (out / CONVERSATIONS / name).iterdir():
        (tmp_path / CONVERSATIONS / name / path.name).write_bytes(path.read_bytes())
    about = tmp_path / CONVERSATIONS / name / "unit.json"
    told = json.loads(about.read_text())
    told["agent_words"][0]["text"] = told["title"] = "<script>alert(1)</script>"
    about.write_text(json.dumps(told))
    page = write_report(tmp_path).read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_report_csv_and_json_have_every_figure(ran):
    told = json.loads((ran[0] / "report.json").read_text())
    rows = list(csv.DictReader((ran[0] / "figures.csv").read_text().splitlines()))
    replies = [row for row in rows if row["metric"] == "replies"]
    assert {row["voice"] for row in replies} == {"natural", "warm", "all"}
    assert [int(row["events"]) for row in replies] == [2, 2, 4]
    assert all(
        (row["value"], row["low"], row["shown"]) == ("", "", "0") for row in replies
    )  # hidden: fewer than ten events
    assert told["metrics"]["replies"]["all"]["value"] == 1
    assert told["metrics"]["replies"]["all"]["shown"] is False
    by_name = {(row["metric"], row["voice"]): row for row in rows}
    speed = told["speed"]["warm"]
    for name, value in (
        ("step_p95_ms", speed["p95_ms"]),
        ("rtf", speed["rtf"]),
        ("stall_80_ms", speed["underruns"][0]["stall_ms"]),
    ):
        assert float(by_name[name, "warm"]["value"]) == pytest.approx(value)
    assert int(by_name["memory_peak_bytes", "all"]["value"]) == told["memory"]["peak_bytes"] > 1e8
    conversations = list(csv.DictReader((ran[0] / "conversations.csv").read_text().splitlines()))
    assert len(conversations) == len(told["per_conversation"]) == 4
    assert {row["agent_sha256"] for row in conversations} == {
        each["agent_sha256"] for each in told["per_conversation"]
    }


def test_report_csv_shows_figures_of_ten_events_and_the_likeness_of_voices(ran):
    summary, _ = summarise(ran[0])
    cell = {"value": 0.5, "interval": [0.2, 0.7], "events": 10, "shown": True}
    summary["metrics"] = {"replies": {**summary["metrics"]["replies"], "by_voice": {}, "all": cell}}
    summary["alike"] = {"same": {"warm": 0.93, "natural": None}, "cross": {"warm | natural": 0.7}}
    rows = {(row["metric"], row["voice"]): row for row in csv.DictReader(figures_csv(summary).splitlines())}
    assert [rows["replies", "all"][key] for key in ("value", "low", "high", "shown")] == [
        "0.5",
        "0.2",
        "0.7",
        "1",
    ]
    assert rows["voice_same", "warm"]["value"] == "0.93"
    assert ("voice_same", "natural") not in rows
    assert rows["voice_cross", "warm | natural"]["value"] == "0.7"
    told = text_of({**summary, "memory": {"peak_bytes": 5e8}})
    for line in (
        "likeness of one voice with itself",
        "likeness of different voices",
        "peak memory, MB",
        "underruns, simulated",
        "headroom",
    ):
        assert line in told


def test_report_hides_figures_of_few_events_and_names_what_is_not_measured(ran):
    page = (ran[0] / "report.html").read_text()
    assert "4 of 10 events" in page
    summary, _ = summarise(ran[0])
    assert summary["not_measured"].keys() >= {"wall_clock", "judge", "dnsmos", "gpu_memory"}
    assert "wall_turn_latency_s" in summary["metrics"]
    assert summary["metrics"]["wall_turn_latency_s"]["all"]["events"] == 0


def test_cell_interval_resamples_scenarios_whole(ran):
    results = read_results(ran[0])
    base = results[0]
    ways = [(name, value, seed) for name, value in (("a", 1), ("b", 0)) for seed in range(10)]
    alike = [
        replace(base, scenario=name, seed=seed, values={"replies": [value]}) for name, value, seed in ways
    ]
    cell = cell_of("replies", alike)
    assert (cell["value"], cell["events"], cell["shown"]) == (0.5, 20, True)
    # two scenarios that each always go one way: ten seeds of one are no ten observations
    assert cell["interval"] == [0, 1]


def test_cases_worst_has_what_went_wrong_and_no_scenario_twice(ran):
    base = read_results(ran[0])[0]
    bad, good = {"replies": [0, 0]}, {"replies": [1, 1]}
    results = [replace(base, scenario=f"s{i}", values=bad if i < 2 else good) for i in range(6)]
    results += [replace(base, scenario="s0", seed=1, values=bad)]
    worst, best = cases(results)
    assert [result.scenario for result in worst[:2]] == ["s1", "s0"]
    assert len({result.scenario for result in worst}) == len(worst) == 3
    assert all(result.values == good for result in best)


@pytest.mark.parametrize(("count", "shown"), [(1, (1, 0)), (2, (1, 1)), (3, (2, 1)), (9, (3, 3))])
def test_cases_of_a_few_conversations_are_halved_the_worst_never_missing(ran, count, shown):
    base = read_results(ran[0])[0]
    results = [replace(base, scenario=f"s{i}", values={"replies": [int(i > 0)]}) for i in range(count)]
    worst, best = cases(results)
    assert (len(worst), len(best)) == shown
    assert worst[0].scenario == "s0"


def test_report_of_an_empty_folder_says_how_to_fill_it(tmp_path, capsys):
    assert main(["evaluate", "report", str(tmp_path)]) == 1
    assert "holds no measured conversations; make some with: evaluate run --out" in capsys.readouterr().err


def test_evaluate_report_prints_json_with_a_note_that_the_scenarios_are_ours(ran, capsys):
    assert main(["evaluate", "report", str(ran[0]), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "not Full-Duplex-Bench scores" in told["note"]
    assert told["speed"]["all"]["steps"] > 0
    assert told["speed"]["all"]["deadline_attainment"] <= 1
    assert "Answers a turn" in text_of(told)


def test_read_sides_missing_sound_is_a_sentence(ran, tmp_path):
    from personaplex_app.errors import StorageError

    with pytest.raises(StorageError, match="delete its folder and run again"):
        read_sides(tmp_path, read_results(ran[0])[0])
