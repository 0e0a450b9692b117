"""The blind test: plans that are fair, votes that count once and are never lost, a way that survives
reloads.
"""

import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from personaplex_app.errors import BadInput, BadVote, NotFound, StorageError, StorageFull
from personaplex_app.evaluation.blind_test.design import Design, TrialClip, plan
from personaplex_app.evaluation.blind_test.results import results, to_csv, to_jsonl
from personaplex_app.evaluation.blind_test.round import Ballot, passed_checks
from personaplex_app.evaluation.blind_test.store import BlindTests
from personaplex_app.evaluation.blind_test.vote_log import VoteLog

from .support.app_process import ROOT
from .support.blind_test_voters import Clock, design, heard, made, vote

ME, YOU = "browser-one", "browser-two"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def blind(tmp_path, clock):
    return made(tmp_path, clock)


def log_of(folder: Path) -> Path:
    return next(folder.rglob("votes.jsonl"))


@pytest.mark.parametrize(
    ("voices", "conditions", "trials"), [(2, 1, 1), (3, 2, 6), (5, 3, 20), (5, 1, 10), (18, 4, 40)]
)
def test_plan_is_balanced_and_hides_its_two_checks(voices, conditions, trials):
    made = design(voices, conditions)
    for seed in range(40):
        trial_list = plan(made, trials, str(seed))
        real = [t for t in trial_list if t.check is None]
        assert (len(real), len(trial_list)) == (min(trials, made.most_trials), len(real) + 2)
        assert len({(*sorted((t.left, t.right)), t.condition) for t in real}) == len(real)
        pairs, shared = (
            Counter(tuple(sorted((t.left, t.right))) for t in real),
            Counter(t.condition for t in real),
        )
        assert max(pairs.values()) - min(pairs[pair] for pair in made.pairs) <= 1
        assert max(shared.values()) - min(shared[c] for c in range(conditions)) <= 1
        for voice in made.voices:
            assert abs(sum((t.left == voice) - (t.right == voice) for t in real)) <= 3
        [(at, repeat)] = [(n, t) for n, t in enumerate(trial_list) if t.check == "repeat"]
        [(twin_at, twin)] = [(n, t) for n, t in enumerate(trial_list) if t.check == "identical"]
        original = trial_list[repeat.of]
        assert (original.left, original.right, original.condition, original.check) == (
            repeat.right,
            repeat.left,
            repeat.condition,
            None,
        )
        assert at - repeat.of >= 2
        assert twin.left == twin.right
        assert twin_at > 0


@pytest.mark.parametrize(("voices", "conditions"), [(2, 1), (3, 2), (4, 3)])
def test_plan_after_others_takes_what_was_not_heard_before_anything_twice(voices, conditions):
    made = design(voices, conditions)
    before = ()
    while len([t for t in before if t.check is None]) < 2 * made.all_trials:
        more = plan(made, 4, str(len(before)), before=before)
        for trial in more:
            if trial.check == "repeat":
                original = (*before, *more)[trial.of]
                assert (original.left, original.right) == (trial.right, trial.left)
                assert trial.of >= len(before)
        before += more
    heard = [(*sorted((t.left, t.right)), t.condition) for t in before if t.check is None]
    assert len(set(heard[: made.all_trials])) == made.all_trials
    assert max(Counter(heard).values()) == 2


def test_plan_of_a_round_without_an_end_keeps_checks_rare_where_few_pairs_differ():
    for seed in range(20):
        planned = plan(made := design(2, 2), 10, str(seed), endless=True)
        real = [t for t in planned if t.check is None]
        assert (len(real), len(planned)) == (10, 12)
        heard = [t.condition for t in real]
        assert all(set(heard[at : at + 2]) == {0, 1} for at in range(0, 10, 2))
        assert sum(t.left == made.voices[0] for t in real) == 5


def test_round_without_an_end_goes_on_and_is_the_same_after_a_restart(blind, tmp_path, clock):
    blind.begin(ME, None)
    with pytest.raises(BadInput, match="not voted yet"):
        blind.reveal(ME)
    for _ in range(9):
        mine = vote(blind, clock, ME)
    planned = len(mine.trials)
    assert (mine.phase, planned > 9) == ("voting", True)
    again = BlindTests(tmp_path, clock=clock).get(blind.design.id).mine(ME)
    assert (again.trials, again.endless, again.at) == (mine.trials, True, 9)
    assert blind.undo(ME).at == 8
    vote(blind, clock, ME)
    assert blind.reveal(ME).phase == "revealed"
    assert len(blind.begin(ME, None).votes) == 0


def test_design_with_what_older_tests_lack_has_an_id_of_its_own_and_older_ones_keep_theirs():
    old = design()
    assert not {"by", "question", "start_s"} & set(json.dumps(old.as_json()).replace('"', " ").split())
    new = replace(old, by="persona")
    assert new.id != old.id
    assert Design.from_json(json.loads(json.dumps(new.as_json()))) == new
    with pytest.raises(ValueError, match="mood"):
        Design.from_json({**old.as_json(), "by": "mood"})


def test_plan_is_the_same_for_a_seed_and_another_for_another():
    assert plan(design(), 6, "a") == plan(design(), 6, "a")
    assert len({plan(design(), 6, str(seed)) for seed in range(20)}) > 15


def test_plan_without_room_for_all_pairs_takes_the_most_urgent():
    made = design(voices=6)
    urgency = dict.fromkeys(made.pairs, (1.0, 0.0)) | {("voice2", "voice5"): (0.0, 0.0)}
    assert all(
        {"voice2", "voice5"} in [{t.left, t.right} for t in plan(made, 3, str(seed), urgency)]
        for seed in range(10)
    )


def test_plan_sides_are_shuffled_over_listeners():
    lefts = Counter(
        t.left for seed in range(200) for t in plan(design(2, 1), 1, str(seed)) if t.check is None
    )
    assert 60 < lefts["voice0"] < 140


@pytest.mark.parametrize("voices", [("a",), ("a", "a"), ()])
def test_design_without_two_voices_is_refused(voices):
    with pytest.raises(BadInput, match="at least two different voices"):
        Design("echo", voices, design().conditions[:1], (tuple(TrialClip(v, "x", 1.0, 0.0) for v in voices),))


def test_design_id_is_the_same_for_the_same_choice(tmp_path):
    assert design().id == design().id
    assert design(duration_s=5.0).id != design().id
    tests = BlindTests(tmp_path)
    assert tests.make(design()) is tests.make(design())
    assert BlindTests(tmp_path).get(design().id).design == design()


def test_round_goes_from_trial_to_trial_to_the_reveal(blind, clock):
    blind.begin(ME, 6)
    for done in range(8):
        mine = blind.mine(ME)
        assert (mine.at, mine.phase) == (done, "voting")
        with pytest.raises(BadInput, match=f"{8 - done} of 8 are still"):
            blind.reveal(ME)
        vote(blind, clock, ME, "tie")
    assert (mine.at, mine.phase) == (None, "done")
    assert blind.reveal(ME).phase == "revealed"
    assert blind.reveal(ME).phase == "revealed"
    assert passed_checks(mine) == {"repeat": True, "identical": True}
    assert blind.begin(ME, 6).id != mine.id


def test_round_that_is_not_over_is_resumed_after_a_restart(blind, tmp_path, clock):
    first = blind.begin(ME, 6)
    vote(blind, clock, ME), vote(blind, clock, ME)
    token = blind.mine(ME).token(2)
    again = BlindTests(tmp_path, clock=clock).get(blind.design.id)
    mine = again.begin(ME, 99)
    assert (mine.id, mine.at, mine.trials) == (first.id, 2, first.trials)
    assert again.mine(ME).token(2) == token
    assert again.mine(YOU) is None
    clock.now_s += 10
    assert again.vote(ME, heard(mine)).at == 3


def test_vote_holds_everything_that_the_record_needs(blind, tmp_path, clock):
    blind.begin(ME, 6)
    vote(
        blind,
        clock,
        ME,
        "right",
        reasons=["timing", "timing"],
        comment=" näher ",
        plays={"left": 2, "right": 3},
    )
    last = json.loads(log_of(tmp_path).read_text().splitlines()[-1])
    trial = blind.mine(ME).trials[0]
    clips = {
        side: blind.design.clip(trial.condition, voice)
        for side, voice in (("left", trial.left), ("right", trial.right))
    }
    condition = blind.design.conditions[trial.condition]
    assert last == {
        **{
            "schema": 1,
            "kind": "vote",
            "at_s": 1010.0,
            "trial": 0,
            "attempt": 0,
            "check": trial.check,
            "test": blind.design.id,
        },
        **{
            "session": blind.mine(ME).id,
            "listener": blind.listener(ME),
            "left": trial.left,
            "right": trial.right,
            "choice": "right",
        },
        **{
            "input": condition.input,
            "persona": "wise-teacher",
            "prompt_hash": condition.prompt_hash,
            "seed": condition.seed,
        },
        **{
            "audio": {side: clip.audio for side, clip in clips.items()},
            "gain_db": {"left": -1.5, "right": -1.5},
        },
        **{"audio_sha256": {side: clip.audio_sha256 for side, clip in clips.items()}},
        **{"heard_s": {"left": 4.0, "right": 4.0}, "plays": {"left": 2, "right": 3}, "time_to_vote_s": 10.0},
        **{"reasons": ["timing"], "comment": "näher"},
    }
    assert ME not in log_of(tmp_path).read_text()


def test_vote_for_a_pair_that_was_not_shown_is_refused(blind, clock):
    blind.begin(ME, 6)
    mine = blind.mine(ME)
    clock.now_s += 100
    for token in ("", "nonsense", mine.token(1), mine.token(7)):
        with pytest.raises(BadVote, match="not the one shown"):
            blind.vote(ME, Ballot.parse({**vars(heard(mine)), "token": token, "reasons": []}))
    with pytest.raises(NotFound, match="not begun"):
        blind.vote(YOU, heard(mine))
    assert mine.votes == {}


def test_vote_replayed_counts_once_also_after_an_undo(blind, clock):
    blind.begin(ME, 6)
    mine = blind.mine(ME)
    clock.now_s += 10
    ballot = heard(mine)
    blind.vote(ME, ballot)
    with pytest.raises(BadVote, match="already has your vote"):
        blind.vote(ME, ballot)
    blind.undo(ME)
    blind.mine(ME)
    clock.now_s += 10
    with pytest.raises(BadVote, match="not the one shown"):
        blind.vote(ME, ballot)
    assert mine.votes == {}
    assert vote(blind, clock, ME, "tie").votes[0]["choice"] == "tie"


def test_vote_before_listening_is_refused(blind, clock):
    blind.begin(ME, 6)
    mine = blind.mine(ME)
    clock.now_s += 1
    with pytest.raises(BadVote, match=r"cannot have been heard in the 1\.0 s"):
        blind.vote(ME, heard(mine))
    clock.now_s += 10
    with pytest.raises(BadVote, match=r"B was heard for 3\.1 s of the 3\.2 s"):
        blind.vote(ME, heard(mine, heard_s={"left": 4, "right": 3.1}))
    assert blind.vote(ME, heard(mine, heard_s={"left": 3.2, "right": 3.2})).at == 1


@pytest.mark.parametrize(
    "wrong",
    [{"choice": "A"}, {"choice": None}, {"heard_s": None}, {"heard_s": {"left": 4}},
     {"heard_s": {"left": 4, "right": float("nan")}},
     {"plays": {"left": -1, "right": 1}}, {"plays": {"left": True, "right": 1}},
     {"plays": {"left": 1e9, "right": 1}},
     {"reasons": "timing"}, {"reasons": ["charm"]}, {"comment": 5}, {"comment": "x" * 501}],
)  # fmt: skip
def test_vote_of_wrong_parts_gets_a_sentence(blind, wrong):
    blind.begin(ME, 6)
    with pytest.raises(BadVote, match=r"\.$"):
        heard(blind.mine(ME), **wrong)


def test_vote_in_a_test_made_before_sounds_had_hashes_counts_and_is_exported(tmp_path, clock):
    old = design()
    bare = tuple(tuple(replace(clip, audio_sha256="") for clip in row) for row in old.clips)
    made = BlindTests(tmp_path, clock=clock).make(replace(old, clips=bare))
    path = tmp_path / made.design.id / "test.json"
    told = json.loads(path.read_text())
    for clip in (clip for row in told["clips"] for clip in row):
        del clip["audio_sha256"]
    path.write_text(json.dumps(told))
    again = BlindTests(tmp_path, clock=clock).get(made.design.id)
    again.begin(ME, 1)
    vote(again, clock, ME)
    assert len(to_csv(again).splitlines()) == 2


def test_undo_appends_and_goes_back_as_far_as_one_likes(blind, tmp_path, clock):
    blind.begin(ME, 6)
    with pytest.raises(BadInput, match="no vote of yours"):
        blind.undo(ME)
    for choice in ("left", "right", "tie"):
        vote(blind, clock, ME, choice)
    before = log_of(tmp_path).read_bytes()
    assert [blind.undo(ME).at for _ in range(2)] == [2, 1]
    assert log_of(tmp_path).read_bytes().startswith(before)
    vote(blind, clock, ME, "both_bad")
    again = BlindTests(tmp_path, clock=clock).get(blind.design.id).mine(ME)
    assert {n: event["choice"] for n, event in again.votes.items()} == {0: "left", 1: "both_bad"}


def test_undo_after_the_reveal_is_refused(blind, clock):
    blind.begin(ME, 1)
    for _ in range(3):
        vote(blind, clock, ME)
    blind.reveal(ME)
    with pytest.raises(BadInput, match="your votes stand"):
        blind.undo(ME)


def test_results_leave_the_checks_out_and_count_them_apart(blind, clock):
    for owner, choice in ((ME, "tie"), (YOU, "left")):
        blind.begin(owner, 6)
        for _ in range(8):
            vote(blind, clock, owner, choice, reasons=["voice"])
    found = results(blind)
    assert (found["votes"], found["listeners"], found["preliminary"]) == (12, 2, True)
    assert found["side_bias"]["left"] == 6
    assert found["checks"] == {"repeat": {"asked": 2, "passed": 1}, "identical": {"asked": 2, "passed": 1}}
    assert (
        sum(found["wins"]["voice0"].values())
        + sum(found["wins"]["voice1"].values())
        + sum(found["wins"]["voice2"].values())
        == 12
    )
    assert sum(each["voice"] for each in found["reasons"].values()) == 6
    assert len(found["standings"]) == 3
    assert all(each["interval"] for each in found["standings"])


def test_exports_hold_every_vote_and_run_nothing_in_a_spreadsheet(blind, clock):
    blind.begin(ME, 1)
    vote(blind, clock, ME, "left", comment='=HYPERLINK("x")', reasons=["voice", "timing"])
    blind.undo(ME)
    vote(blind, clock, ME, "tie", comment="a, b")
    head, undone, kept = to_csv(blind).splitlines()
    assert undone.endswith(",1")
    assert "\"'=HYPERLINK" in undone
    assert "voice timing" in undone
    assert kept.endswith(",0")
    assert '"a, b"' in kept
    assert len(kept.split(",")) == len(head.split(",")) + 1
    assert [json.loads(line)["kind"] for line in to_jsonl(blind).splitlines()] == [
        "begin",
        "shown",
        "vote",
        "undo",
        "shown",
        "vote",
    ]


def test_log_torn_or_foreign_lines_are_passed_over_and_the_rest_read(blind, tmp_path, clock):
    blind.begin(ME, 6)
    vote(blind, clock, ME)
    with log_of(tmp_path).open("ab") as file:
        file.write(b'[1]\n{"kind": "undo"}\n{"kind": "vote", "session": 5}\n\xff\n{"schema": 1, "kind": "vo')
    again = BlindTests(tmp_path, clock=clock).get(blind.design.id)
    assert vote(again, clock, ME).at == 2
    once_more = BlindTests(tmp_path, clock=clock).get(blind.design.id)
    assert once_more.mine(ME).at == 2
    assert blind.mine(ME).at == 2  # and whoever had it open reads on


def test_log_that_is_full_says_so_and_stays_whole(tmp_path):
    log = VoteLog(tmp_path / "votes.jsonl", max_bytes=100)
    with log.writing():
        log.append({"kind": "vote", "number": 1})
        with pytest.raises(StorageFull, match="export them"):
            log.append({"comment": "x" * 100})
    assert log.fresh() == [{"kind": "vote", "number": 1}]


def test_log_on_a_full_disk_says_so_and_stays_whole(tmp_path):
    from .test_recording import largest_file

    log = VoteLog(tmp_path / "votes.jsonl")
    with log.writing():
        log.append({"number": 1})
        with largest_file(20), pytest.raises(StorageError, match="could not be written"):
            log.append({"number": 2, "comment": "x" * 100})
        log.append({"number": 3})
    assert [event["number"] for event in log.fresh()] == [1, 3]


def test_listeners_at_once_lose_no_vote(tmp_path):
    made(tmp_path, Clock(), conditions=6)
    owners = [f"listener-{k}" for k in range(6)]

    def listen(owner):
        clock = Clock()
        own = BlindTests(tmp_path, clock=clock).get(design(conditions=6).id)  # as another process would
        own.begin(owner, 18)
        for _ in range(20):
            own.mine(owner)
            vote(own, clock, owner, "tie")

    threads = [threading.Thread(target=listen, args=(owner,)) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = BlindTests(tmp_path).get(design(conditions=6).id)
    assert [len(each.votes) for each in found.rounds()] == [20] * 6


KILLED = """
import os, sys, threading, time
from pathlib import Path
from personaplex_app.evaluation.blind_test.vote_log import VoteLog

def write(path, listener, tell):
    log, number = VoteLog(path), 0
    while True:
        with log.writing():
            log.append({"listener": listener, "number": number, "comment": "x" * 300})
        os.write(tell, b"%d %d\\n" % (listener, number))
        number += 1

path = Path(sys.argv[1])
# one Python for all: each writer is a fork of it, which two threads make two listeners
for line in sys.stdin:
    listener, delay_us = map(int, line.split())
    told, tell = os.pipe()
    pid = os.fork()
    if not pid:
        for thread in range(2):
            threading.Thread(target=write, args=(path, listener + thread, tell)).start()
        threading.Event().wait()
    os.close(tell)
    os.write(1, os.read(told, 1))  # a slow machine takes its time to begin
    time.sleep(delay_us / 1e6)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    while more := os.read(told, 1 << 16):
        os.write(1, more)
    os.close(told)
"""


@pytest.mark.process
def test_log_writer_killed_200_times_loses_no_acknowledged_vote(tmp_path):
    chance, path, acknowledged = random.Random(4), tmp_path / "votes.jsonl", {}
    plan_ = "".join(f"{2 * k} {chance.randint(0, 8_000)}\n" for k in range(200))
    told = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)],
        input=plan_.encode(),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=True,
    )
    for line in told.stdout.splitlines():
        listener, number = map(int, line.split())
        acknowledged[listener] = number
    assert len(acknowledged) >= 200
    stored: dict[int, list[int]] = {}
    for event in VoteLog(path).fresh():
        stored.setdefault(event["listener"], []).append(event["number"])
    for listener, last in acknowledged.items():
        assert stored[listener][: last + 1] == list(range(last + 1)), listener
        assert len(stored[listener]) <= last + 2  # at most one more was written and not yet told


def test_folder_that_is_no_test_is_said(tmp_path):
    tests = BlindTests(tmp_path)
    for id_ in ("", "..", "0" * 32, "../../etc"):
        with pytest.raises(NotFound, match="no blind test"):
            tests.get(id_)
    made(tmp_path, Clock())
    (tmp_path / design().id / "test.json").write_text("{}")
    with pytest.raises(StorageError, match="is not a blind test"):
        tests.get(design().id)


def test_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        BlindTests(tmp_path / "file").make(design())
    blind = made(tmp_path / "tests", Clock())
    os.replace(tmp_path / "tests" / design().id, tmp_path / "moved")
    with pytest.raises(StorageError, match="could not be written"):
        blind.begin(ME, 6)
