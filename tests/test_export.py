"""A talk taken home: transcripts, subtitles, sound, and the data of its lane."""

import io
import json
import re

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from personaplex_app.engine.contract import Mark, Sampling, TurnLatency, Utterance
from personaplex_app.protocol_events import Word
from personaplex_app.sessions.export import (
    clock,
    describe,
    file_name,
    lane,
    srt_time,
    to_json,
    to_srt,
    to_txt,
    write_flac,
)
from personaplex_app.sessions.recording import Recorder
from personaplex_app.sessions.records import TalkMeta, TalkRecord
from personaplex_app.units import SAMPLE_RATE_HZ

pytestmark = pytest.mark.unit

UTTERANCES = (
    Utterance(1, "agent", "Hello, CitySan here.", 0.32, 1.6, True, (Word("Hello,", 0.32, 0.7),)),
    Utterance(2, "user", "How much is\nthe compost bin?", 5.2, 7.04, True),
    Utterance(3, "agent", "Eight dollars --> a month.", 6.9, 9.0, True),
)


def record(utterances=UTTERANCES, **changes):
    meta = TalkMeta("classic", "Nora", "You work for\nCitySan.", "waste", Sampling(seed=3))
    turns = (TurnLatency(7.04, 7.9),)
    values = {
        "id": "0" * 16,
        "meta": meta,
        "status": "done",
        "started_at_s": 1_763_700_000.0,
        "duration_s": 83.4,
        "kept": True,
        "has_audio": True,
    }
    return TalkRecord(
        **{
            **values,
            "turn_latencies": turns,
            "utterances": utterances,
            "marks": (Mark("overlap", "user", 6.9, 7.04),),
            **changes,
        }
    )


@pytest.fixture
def wav(tmp_path):
    """Two and a half seconds: the user loud in the first, the agent in the second."""
    sides = np.zeros((2, 5 * SAMPLE_RATE_HZ // 2), np.float32)
    sides[0, :SAMPLE_RATE_HZ] = 0.5 * np.sin(np.arange(SAMPLE_RATE_HZ) * 0.1)
    sides[1, SAMPLE_RATE_HZ : 2 * SAMPLE_RATE_HZ] = -0.25
    recorder = Recorder(tmp_path / "a.wav", limit_s=60)
    recorder.add(*sides)
    recorder.finish()
    with open(tmp_path / "a.wav", "rb") as file:
        yield file


def txt(talk):
    return to_txt(talk, talk.started_at_s, talk.status)


def test_txt_reads_like_a_transcript():
    assert txt(record()) == (
        "Talk of 2025-11-21 04:40 UTC, 01:23.4, done\n"
        "Engine: classic, voice: Nora, persona: waste\n"
        "Role: You work for CitySan.\n"
        "\n"
        "[00:00.3] Agent: Hello, CitySan here.\n"
        "[00:05.2] You: How much is the compost bin?\n"
        "[00:06.9] Agent: Eight dollars --> a month.\n"
    )
    assert txt(record(())).endswith("\nNothing was said.\n")


def test_srt_overlapping_speech_gives_overlapping_cues():
    assert to_srt(record()) == (
        "1\n00:00:00,320 --> 00:00:01,600\nAgent: Hello, CitySan here.\n\n"
        "2\n00:00:05,200 --> 00:00:07,040\nYou: How much is the compost bin?\n\n"
        "3\n00:00:06,900 --> 00:00:09,000\nAgent: Eight dollars -> a month.\n"
    )
    assert to_srt(record(())) == ""


TIMES_S = st.floats(-1, 30_000)
SPOKEN = st.builds(
    Utterance,
    st.integers(0, 999),
    st.sampled_from(["user", "agent"]),
    st.text(),
    TIMES_S,
    TIMES_S,
    st.just(True),
)


def whole_ms(hours: int, minutes: int, seconds: int, thousandths: int) -> int:
    assert max(minutes, seconds) < 60
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths


def read_srt(text):
    """Return (start_ms, end_ms, text) of each cue, as a player reads them: blocks parted by blank lines."""
    cues = []
    for number, block in enumerate(filter(None, re.split(r"\n\n+", text.strip("\n"))), 1):
        index, times, words = block.split("\n")
        assert index == str(number)
        found = re.fullmatch(r"(\d\d+):(\d\d):(\d\d),(\d{3}) --> (\d\d+):(\d\d):(\d\d),(\d{3})", times)
        start_ms, end_ms = (whole_ms(*map(int, found.groups()[first : first + 4])) for first in (0, 4))
        cues.append((start_ms, end_ms, words))
    return cues


@given(st.lists(SPOKEN, max_size=8))
def test_srt_of_anything_said_is_well_formed(utterances):
    cues = read_srt(to_srt(record(tuple(utterances))))
    spoken = [u for u in utterances if u.text.strip()]
    assert len(cues) == len(spoken)
    assert [start for start, _, _ in cues] == sorted(max(0, round(u.start_s * 1000)) for u in spoken)
    assert all(end > start and "-->" not in words for start, end, words in cues)


@given(st.integers(0, 10**9))
def test_srt_time_is_read_back_as_it_was(milliseconds):
    ((start_ms, end_ms, _),) = read_srt(f"1\n{srt_time(milliseconds)} --> {srt_time(milliseconds + 1)}\nx\n")
    assert (start_ms, end_ms) == (milliseconds, milliseconds + 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00.0"), (59.96, "01:00.0"), (65.24, "01:05.2"), (3725.0, "62:05.0"), (-0.1, "00:00.0")],
)
def test_clock_rounds_to_tenths_without_sixty_seconds(seconds, text):
    assert clock(seconds) == text


def test_json_holds_everything():
    made = json.loads(to_json(describe(record(stars=4, comment="näht"))))
    assert (made["schema"], made["sample_rate_hz"], made["started_at"]) == (1, 24_000, "2025-11-21T04:40:00Z")
    assert (made["stars"], made["comment"], made["sampling"]["seed"]) == (4, "näht", 3)
    assert made["utterances"][0]["words"] == [["Hello,", 0.32, 0.7]]
    assert made["marks"] == [{"kind": "overlap", "speaker": "user", "start_s": 6.9, "end_s": 7.04}]
    assert made["turn_latencies"] == [{"user_end_s": 7.04, "agent_start_s": 7.9, "latency_s": 0.86}]


def test_flac_is_lossless(wav):
    flac = io.BytesIO()
    write_flac(wav, flac)
    for file in (wav, flac):
        file.seek(0)
    assert soundfile.info(flac).format == "FLAC"
    flac.seek(0)
    assert np.array_equal(soundfile.read(flac, dtype="int16")[0], soundfile.read(wav, dtype="int16")[0])


def test_lane_shows_who_was_loud_when(wav):
    drawn = lane(record(), wav)
    assert (drawn["duration_s"], drawn["peaks_per_s"]) == (83.4, 50)
    user, agent = np.array(drawn["user"]), np.array(drawn["agent"])
    assert len(user) == len(agent) == 125
    assert user[:50] == pytest.approx(0.5, abs=0.01)
    assert agent[50:100] == pytest.approx(0.25, abs=0.01)
    assert not user[50:].any()
    assert not agent[:50].any()
    assert not agent[100:].any()
    assert [u["text"] for u in drawn["utterances"]] == [u.text for u in UTTERANCES]
    assert drawn["marks"][0]["kind"] == "overlap"


def test_lane_without_sound_has_words_only():
    drawn = lane(record(), None)
    assert (drawn["user"], drawn["agent"], len(drawn["utterances"])) == ([], [], 3)


@pytest.mark.parametrize(
    ("voice", "part"),
    [("Nora", "-Nora"), ("Zoë / \r\n x", "-Zo-x"), ("声", "-talk"), ("a" * 99, "-" + "a" * 30)],
)
def test_file_name_is_plain_ascii(voice, part):
    assert (
        file_name(TalkMeta("classic", voice), 1_763_700_000.0, "flac")
        == f"personaplex-2025-11-21-0440{part}.flac"
    )
