"""`evaluate score` on folders: each task's shape and numbers, bad samples that cost only themselves, warnings
before numbers.
"""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_app.__main__ import main
from personaplex_app.errors import BadInput
from personaplex_app.evaluation.fdb import TASK_NAMES
from personaplex_app.evaluation.fdb.folders import read_events, read_words, words_of_stream
from personaplex_app.evaluation.fdb.score import STRICT, Sample, score_folder, score_sample
from personaplex_app.evaluation.fdb.table import problem_lines, render

from .support.fdb_samples import chunks, every, tone, write
from .support.speech import speak

ANSWER = chunks(*every(0.25, 5.2, 8.0))
NOTHING = chunks()


def silence(duration_s: float = 10.0) -> np.ndarray:
    return tone(duration_s=duration_s)


def messages(scores) -> list[str]:
    return [problem.message for problem in scores.problems]


def run_json(capsys, *args: str) -> dict:
    assert main(["evaluate", "score", "--json", *args]) == 0
    return json.loads(capsys.readouterr().out)


# -- the tasks -------------------------------------------------------------------------------------


def test_score_pause_handling_counts_takers_and_those_in_the_pause(tmp_path, capsys):
    write(tmp_path / "1", {"output.json": NOTHING, "pause.json": [{"text": "…", "timestamp": [2.0, 3.0]}]})
    write(tmp_path / "2", {"output.json": ANSWER, "pause.json": [{"text": "…", "timestamp": [2.0, 3.0]}]})
    write(tmp_path / "10", {"output.json": ANSWER, "pause.json": [{"text": "…", "timestamp": [4.5, 5.0]}]})
    found = run_json(capsys, "--task", "pause_handling", str(tmp_path))
    assert found["task"] == "pause_handling"
    assert list(found["per_sample"]) == ["1", "2", "10"]
    assert [sample["tor"] for sample in found["per_sample"].values()] == [0, 1, 1]
    assert [sample["corrected"]["tor"] for sample in found["per_sample"].values()] == [0, 0, 1]
    assert found["aggregate"]["tor"] == pytest.approx(2 / 3, abs=1e-6)
    assert all(STRICT.keys() <= sample.keys() for sample in found["per_sample"].values())
    assert found["published"]["systems"]["PersonaPlex, released checkpoint"] == {
        "tor_synthetic": 0.358,
        "tor_candor": 0.431,
    }


def test_score_smooth_turn_taking_latency_is_over_takers_only(tmp_path):
    turn = [{"text": "and you?", "timestamp": [5.0, None]}]
    write(tmp_path / "a", {"output.json": ANSWER, "turn_taking.json": turn})
    write(tmp_path / "b", {"output.json": NOTHING, "turn_taking.json": turn})
    write(tmp_path / "c", {"output.json": chunks(*every(0.25, 4.6, 7.0)), "turn_taking.json": turn})
    scores = score_folder("smooth_turn_taking", tmp_path)
    assert [sample["latency_s"] for sample in scores.per_sample.values()] == [0.2, None, 0.0]
    assert scores.per_sample["c"]["corrected"] == {"tor": 1, "latency_s": -0.4}
    assert [
        problem.id for problem in scores.problems if "so the published latency is 0" in problem.message
    ] == ["c"]
    assert (scores.aggregate["latency_s"], scores.aggregate["corrected"]["latency_s"]) == (0.1, -0.1)
    assert scores.aggregate["tor"] == pytest.approx(2 / 3, abs=1e-6)


def test_score_no_taker_has_no_latency_and_is_no_error(tmp_path):
    write(tmp_path / "1", {"output.json": NOTHING, "turn_taking.json": [{"timestamp": [5.0, 5.0]}]})
    scores = score_folder("smooth_turn_taking", tmp_path)
    assert (
        scores.aggregate["tor"],
        scores.aggregate["latency_s"],
        scores.aggregate["intervals"]["latency_s"],
    ) == (0.0, None, None)


def test_score_user_interruption_reports_reply_and_stop_by_name(tmp_path):
    hello = speak("I was telling you about the long history of this town", pause_s=0)
    agent, user = silence(), silence()
    agent[24_000 : 24_000 + len(hello)] = hello
    cut = speak("Wait, what about tomorrow", pause_s=0)
    onset_s = 2.5
    user[int(onset_s * 24_000) : int(onset_s * 24_000) + len(cut)] = cut
    end_s = onset_s + len(cut) / 24_000
    write(
        tmp_path / "1",
        {
            "output.json": chunks(
                *every(0.3, 1.0, 1.0 + len(hello) / 24_000), *every(0.25, end_s + 0.5, end_s + 2.5)
            ),
            "interrupt.json": [{"context": "town", "interrupt": "tomorrow", "timestamp": [onset_s, end_s]}],
            "output.wav": agent,
            "input.wav": user,
        },
    )
    values = score_folder("user_interruption", tmp_path).per_sample["1"]
    assert (values["tor"], values["latency_s"], values["reply_after_interruption_s"]) == (1, 0.0, 0.0)
    assert values["corrected"]["latency_s"] == pytest.approx(0.5, abs=1e-6)
    assert values["stop_after_onset_s"] == pytest.approx(
        1.0 + np.flatnonzero(np.abs(hello) > 0.01)[-1] / 24_000 - onset_s, abs=0.04
    )


def test_score_backchannel_hums_are_counted_and_compared(tmp_path, capsys):
    hum = speak("okay", pause_s=0)[: 24_000 * 8 // 10]
    agent = silence()
    for at_s in (2, 6):
        agent[at_s * 24_000 : at_s * 24_000 + len(hum)] = hum
    told = {"output.json": chunks((2.1, 2.5), (6.1, 6.5)), "output.wav": agent}
    write(tmp_path / "in" / "1", told)
    write(tmp_path / "in" / "2", {"output.json": NOTHING, "output.wav": silence()})
    gt = write(tmp_path, {"gt.json": {"1": [0, 1, 1, 0], "2": [1, 1]}}) / "gt.json"
    found = run_json(capsys, "--task", "backchannel", str(tmp_path / "in"), "--gt", str(gt))
    first, second = found["per_sample"].values()
    assert (first["tor"], first["frequency_hz"]) == (0, 0.2)
    assert 0.0 < first["jsd"] < 0.833
    assert (second["tor"], second["frequency_hz"], second["jsd"]) == (0, 0.0, 1.0)
    assert found["aggregate"]["jsd"] == pytest.approx((first["jsd"] + 1) / 2, abs=1e-5)


def test_score_backchannel_without_ground_truth_has_no_mean_divergence(tmp_path):
    write(tmp_path / "in" / "2", {"output.json": NOTHING, "output.wav": silence()})
    scores = score_folder("backchannel", tmp_path / "in")
    assert scores.per_sample["2"]["jsd"] == 1.0
    assert scores.aggregate["jsd"] is None
    assert "give its file with --gt" in messages(scores)[-1]
    gt = write(tmp_path, {"gt.json": {"1": [1.0]}}) / "gt.json"
    scores = score_folder("backchannel", tmp_path / "in", gt)
    assert scores.per_sample["2"]["jsd"] is None
    assert "2 is not in the ground truth" in messages(scores)[0]


def test_score_timing_finds_overlap_and_response_in_the_sound(tmp_path):
    words = speak("Could you tell me when the museum opens tomorrow", pause_s=0)
    length_s = len(words) / 24_000
    user, agent = silence(12), silence(12)
    user[24_000 : 24_000 + len(words)] = words
    late = int((1.0 + length_s + 0.8) * 24_000)
    agent[late : late + len(words)] = words[::1]
    write(tmp_path / "late", {"input.wav": user, "output.wav": agent})
    early = int((1.0 + length_s - 0.6) * 24_000)
    agent = silence(12)
    agent[early : early + len(words)] = words
    spoken = every(0.25, early / 24_000, early / 24_000 + length_s)
    write(tmp_path / "early", {"input.wav": user, "output.wav": agent, "output.json": chunks(*spoken)})
    scores = score_folder("timing", tmp_path)
    late_, early_ = scores.per_sample["late"], scores.per_sample["early"]
    assert late_["stop_latency_s"] == []
    assert late_["response_latency_s"] == [pytest.approx(0.8, abs=0.25)]
    assert late_["corrected"]["response_latency_s"] == [pytest.approx(0.8, abs=0.2)]
    assert early_["stop_latency_s"] == [pytest.approx(0.6, abs=0.25)]
    assert early_["words_per_minute_before"] > 100
    assert early_["words_per_minute_after"] == pytest.approx(240, rel=0.1)
    assert (early_["tor"], early_["jsd"]) == (None, None)
    # the same voice, shifted, is what a wrong channel looks like
    assert any(
        "early/output.wav is mostly the sound of early/input.wav" in message for message in messages(scores)
    )


class Detector:
    """Finds in one sound after the other what it was given, in samples at 16 kHz."""

    def __init__(self, *found):
        self._found = list(found)

    def segments(self, sound):
        return [(start / 16_000, end / 16_000) for start, end in self._found.pop(0)]


def timing(folder, files, user, agent):
    """Score one conversation whose speech is given."""
    detector = Detector(user, agent)
    return score_sample("timing", Sample(write(folder, files), lambda: detector, lambda message: None))


def test_score_timing_strict_is_to_the_sample(tmp_path):
    """Expected by hand. The user's first two segments are 9,600 samples or 0.6 s apart and so one; the
    agent's first two 8,700 or 0.54375 s (0.5 s, and so one, if they were rounded to tenths) and so two. The
    second overlap has 700 samples (none if rounded).
    """
    user = [(16_500, 36_500), (46_100, 49_600), (80_000, 85_500)]
    agent = [(48_200, 64_000), (72_700, 76_000), (84_800, 96_000)]
    values = timing(tmp_path / "1", {"input.wav": silence(), "output.wav": silence()}, user, agent)
    # 49,600 - 48,200 = 1,400 samples and 85,500 - 84,800 = 700
    assert values["stop_latency_s"] == [0.0875, 0.04375]
    # 72,700 - 49,600 = 23,100 samples; nothing begins after the user's last end at 85,500
    assert values["response_latency_s"] == [1.44375]


def test_score_timing_corrected_is_from_sound_to_sound(tmp_path):
    """The detector pads by 480 samples, 0.03 s, on both sides; the sounds overlap by 0.4 s."""
    files = {"input.wav": tone((1.0, 3.0)), "output.wav": tone((2.6, 5.0), (7.0, 8.0), hz=310)}
    user, agent = [(15_520, 48_480)], [(41_120, 80_480), (111_520, 128_480)]
    values = timing(tmp_path / "1", files, user, agent)
    # 48,480 - 41,120 = 7,360 samples, 111,520 - 48,480 = 63,040
    assert (values["stop_latency_s"], values["response_latency_s"]) == ([0.46], [3.94])
    assert values["corrected"]["stop_latency_s"] == [pytest.approx(0.4, abs=0.011)]
    assert values["corrected"]["response_latency_s"] == [pytest.approx(4.0, abs=0.011)]


def test_score_reads_what_offline_writes(tmp_path):
    pieces = ["PAD"] * 24 + ["</s>", " He", "llo", "PAD", " there", "EPAD", "PAD"]
    assert [(word.text, word.start_s, word.end_s) for word in words_of_stream(pieces)] == [
        ("Hello", 2.0, pytest.approx(2.16)),
        ("there", pytest.approx(2.24), pytest.approx(2.32)),
    ]
    write(tmp_path / "1", {"output.json": pieces})
    assert score_folder("pause_handling", tmp_path).per_sample["1"]["tor"] == 0


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"chunks": [', "output.json cannot be used: it is not JSON (line 1, column 13); write it again."),
        (
            b'{"chunks": [{"text": "a", "timestamp": [NaN, 1]}]}',
            "output.json cannot be used: it holds NaN, which is not a number",
        ),
        (b'{"chunks": [{"text": "a", "timestamp": [1e999, 1]}]}', "which is not a number"),
        (b'{"chunks": [], "chunks": []}', "it holds 'chunks' twice"),
        (b"[" * 100_000, "it is not JSON"),
        (b"\xff\xfe\x00", "it is not JSON"),
        (b"{}", 'output.json has no list "chunks"'),
        (b'{"chunks": [{"text": "a"}]}', "the timestamp of chunk 0 is 'None'; write [start, end] in seconds"),
        (b'{"chunks": [{"text": "a", "timestamp": [-1, 2]}]}', "neither below 0"),
        (b'{"chunks": [{"text": "a", "timestamp": [3, 2]}]}', "chunk 0 ends at 2 s, before its start at 3 s"),
        (
            b'{"chunks": [{"text": 7, "timestamp": [1, 2]}]}',
            "the text of chunk 0 is '7'; it must be a string",
        ),
        (None, "output.json is missing; write the agent's words"),
    ],
)
def test_score_bad_words_skip_that_sample_and_say_why(tmp_path, content, said):
    write(tmp_path / "bad", {"output.json": content} if content else {})
    write(tmp_path / "good", {"output.json": ANSWER})
    scores = score_folder("pause_handling", tmp_path)
    assert list(scores.per_sample) == ["good"]
    skipped = [problem for problem in scores.problems if problem.skipped]
    assert [problem.id for problem in skipped] == ["bad"]
    assert skipped[0].message.startswith("bad/output.json")
    assert said in skipped[0].message


times = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
entries = (
    st.dictionaries(
        st.sampled_from(["text", "timestamp", "x"]), st.lists(times, max_size=3) | times, max_size=3
    )
    | times
)
contents = st.dictionaries(
    st.sampled_from(["text", "chunks"]), st.lists(entries, max_size=4) | times
) | st.lists(entries, max_size=3)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(contents)
def test_score_any_json_is_read_or_refused_with_a_sentence(tmp_path_factory, content):
    path = (
        write(tmp_path_factory.getbasetemp() / "any", {"output.json": json.dumps(content).encode()})
        / "output.json"
    )
    for read in (lambda: read_words(path, lambda message: None), lambda: read_events(path, with_end=False)):
        try:
            found = read()
        except BadInput as error:
            assert str(error).startswith("any/output.json")
        else:
            assert all(
                np.isfinite([*word]).all() if isinstance(word, tuple) else word.end_s >= word.start_s
                for word in found
            )


@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (np.zeros(0, np.float32), "output.wav holds no sound; record or choose another."),
        (
            np.full(2400, np.nan, np.float32),
            "output.wav holds values that are not numbers (NaN or infinite); save it again.",
        ),
        (
            b"RIFF and then nothing",
            "output.wav cannot be read as a recording; give a wav, flac, ogg, mp3, m4a or webm file.",
        ),
        (None, "output.wav is missing; put the sound of that side there, as wav."),
    ],
)
def test_score_bad_sound_skips_that_sample_and_says_why(tmp_path, sound, said):
    write(
        tmp_path / "bad",
        {"output.json": NOTHING} if sound is None else {"output.wav": sound, "output.json": NOTHING},
    )
    write(tmp_path / "good", {"output.json": NOTHING, "output.wav": silence()})
    scores = score_folder("backchannel", tmp_path)
    assert list(scores.per_sample) == ["good"]
    assert f"bad/{said}" in [problem.message for problem in scores.problems if problem.skipped]


def test_score_a_recording_too_long_is_refused(tmp_path):
    import soundfile

    (tmp_path / "long").mkdir()
    with soundfile.SoundFile(
        tmp_path / "long" / "output.wav", "w", 8000, 1, format="WAV", subtype="IMA_ADPCM"
    ) as file:
        for _ in range(61):
            file.write(np.zeros(8000 * 10, np.int16))
    write(tmp_path / "good", {"output.json": NOTHING, "output.wav": silence()})
    scores = score_folder("backchannel", tmp_path)
    assert "long/output.wav is longer than 600 s, which is the limit" in "".join(messages(scores))


def test_score_words_out_of_order_are_sorted_and_noted(tmp_path):
    write(
        tmp_path / "1",
        {
            "output.json": chunks((5.0, 5.5), (4.0, 4.5), (6.0, 6.5)),
            "turn_taking.json": [{"timestamp": [3.0, 3.0]}],
        },
    )
    scores = score_folder("smooth_turn_taking", tmp_path)
    assert scores.per_sample["1"]["latency_s"] == 1.0
    assert "1/output.json: the timestamps run backwards" in "".join(messages(scores))


def test_score_bad_annotation_costs_only_what_rests_on_it(tmp_path):
    write(tmp_path / "1", {"output.json": ANSWER, "interrupt.json": [{"timestamp": [2.0, None]}]})
    write(tmp_path / "2", {"output.json": ANSWER})
    write(tmp_path / "3", {"output.json": ANSWER, "interrupt.json": []})
    scores = score_folder("user_interruption", tmp_path)
    assert [(sample["tor"], sample["latency_s"]) for sample in scores.per_sample.values()] == [(1, None)] * 3
    text = "".join(messages(scores))
    assert "1/interrupt.json: event 0 has no end" in text
    assert "2/interrupt.json is missing" in text
    assert "3/interrupt.json holds no list of events" in text


def test_score_copies_are_noted(tmp_path):
    same = tone((1, 2))
    write(tmp_path / "7", {"output.json": NOTHING, "output.wav": same})
    write(tmp_path / "07", {"output.json": NOTHING, "output.wav": same})
    scores = score_folder("backchannel", tmp_path)
    assert len(scores.per_sample) == 2
    text = "".join(messages(scores))
    assert "have the same id; both are scored" in text
    assert "have the same sound in output.wav; both are scored" in text


def test_score_doubtful_sound_is_warned_of_and_still_scored(tmp_path):
    user, agent = tone((1, 4)), tone((5, 8), duration_s=7, hz=300)
    write(tmp_path / "short", {"input.wav": user, "output.wav": agent, "output.json": NOTHING})
    write(tmp_path / "rate", {"input.wav": user, "output.json": NOTHING})
    write(tmp_path / "rate", {"output.wav": tone((5, 8), hz=300, rate_hz=8000)}, rate_hz=8000)
    write(
        tmp_path / "stereo",
        {"output.wav": np.stack([user, tone((5, 8), hz=300)], axis=1), "output.json": NOTHING},
    )
    write(tmp_path / "twice", {"output.wav": np.stack([user, user], axis=1), "output.json": NOTHING})
    write(tmp_path / "clipped", {"output.wav": np.clip(user * 10, -1, 1), "output.json": NOTHING})
    write(tmp_path / "clock", {"output.wav": tone((1, 2)), "output.json": chunks(*every(0.25, 6.0, 8.0))})
    write(tmp_path / "frames", {"output.wav": tone((1, 2)), "output.json": chunks((13, 20), (21, 24))})
    write(tmp_path / "wrong", {"input.wav": user, "output.wav": np.roll(user, 4800), "output.json": NOTHING})
    scores = score_folder("backchannel", tmp_path)
    assert len(scores.per_sample) == 8
    text = "\n".join(messages(scores))
    for said in (
        "short/output.wav is 3.0 s shorter than short/input.wav; render both on one clock",
        "rate/output.wav has 8000 samples a second and rate/input.wav 24000",
        "rate/output.wav has 8000 samples a second; below 16000",
        "stereo/output.wav has 2 different channels, scored as one",
        "clipped/output.wav is clipped in ",
        "clock/output.json: 8 of 8 words lie where clock/output.wav is silent",
        "frames/output.json has words until 24.0 s and frames/output.wav ends at 10.0 s",
        "wrong/output.wav is mostly the sound of wrong/input.wav (correlation 1.00, +0.20 s apart)",
    ):
        assert said in text
    assert "twice/output.wav has" not in text


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root: None, "cannot be read (No such file or directory)"),
        (lambda root: root.mkdir(), "holds no samples; put each into a folder of its own"),
        (
            lambda root: root.write_text(""),
            "is a file; give the folder that holds one folder for each sample",
        ),
        (
            lambda root: write(root, {"output.json": ANSWER}),
            "is the folder of a single sample; give the folder above it",
        ),
        (lambda root: write(root / "1", {"output.json": b"{"}), "None of the 1 samples can be scored"),
    ],
)
def test_score_nothing_to_score_is_one_line_and_exit_1(tmp_path, capsys, make, said):
    make(tmp_path / "root")
    assert main(["evaluate", "score", "--task", "pause_handling", str(tmp_path / "root"), "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("personaplex-app: ")
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize("content", [{"1": []}, {"1": [0, 0]}, {"1": "x"}, [], [1, -1]])
def test_score_ground_truth_that_is_no_distribution_is_refused(tmp_path, content):
    with pytest.raises(BadInput, match="is no distribution"):
        score_folder("backchannel", tmp_path, write(tmp_path, {"gt.json": content}) / "gt.json")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--task", "guessing", "."], "argument --task: invalid choice: 'guessing'"),
        (["."], "the following arguments are required: --task"),
        (["--task", "timing"], "the following arguments are required: "),
    ],
)
def test_score_bad_usage_is_exit_2(args, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "score", *args])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


# -- shown -----------------------------------------------------------------------------------------


def test_score_text_hides_rates_of_few_events_and_shows_intervals_of_many(tmp_path, capsys):
    for number in range(10):
        write(
            tmp_path / str(number),
            {
                "output.json": ANSWER if number % 2 else NOTHING,
                "turn_taking.json": [{"timestamp": [5.0, 5.0]}],
            },
        )
    assert main(["evaluate", "score", "--task", "smooth_turn_taking", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    shown = {line[:20].strip(): line for line in out.splitlines()}
    assert "0.500" in shown["take-over rate"]
    assert "…" in shown["take-over rate"]
    assert "fewer than 10" in shown["latency, s"]
    assert "0.170" in out
    assert "are not Full-Duplex-Bench scores" in " ".join(out.split())
    # ten samples without sound are one line, not ten
    assert [line for line in err.splitlines() if "output.wav is missing" in line] == [
        "Check: 0/output.wav is missing; put the sound of that side there, as wav. The same in 9 more."
    ]


@pytest.mark.parametrize("task", TASK_NAMES)
def test_score_every_task_renders(tmp_path, task):
    write(
        tmp_path / "1",
        {"output.json": ANSWER, "output.wav": tone((5.2, 8.0)), "input.wav": tone((1, 2), hz=300)},
    )
    scores = score_folder(task, tmp_path)
    assert render(scores).startswith(f"{task}: 1 samples scored")
    assert json.loads(json.dumps(scores.as_json(), allow_nan=False))["aggregate"]["samples"] == 1
    assert all(line.startswith(("Check: ", "Skipped: ")) for line in problem_lines(scores.problems))
