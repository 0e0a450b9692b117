"""The bench command: runs at a tiny size, and its peer computes what it claims to."""

import json
import re
from functools import cache

import pytest
import torch

from personaplex_app.__main__ import main
from personaplex_app.cli import doctor
from personaplex_app.engine_bench import ours, peer, quantization_agreement, report
from personaplex_app.engine_choice import Choice, build
from personaplex_app.model import frame_time, random_weights
from personaplex_app.model.agreement import load_agreements, save_agreements
from personaplex_app.model.checkpoint import fingerprint
from personaplex_app.model.config import AGENT_CODEBOOKS, MimiConfig
from personaplex_app.model.frame_time import FRAME_TIMES_FILE
from personaplex_app.model.plan import sizes_of
from personaplex_app.model.random_weights import SIZES, random_mimi, random_prompt
from personaplex_app.settings import Settings

from .support import tiny
from .support.speech import loaded_once

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
CPU = torch.device("cpu")


a_codec = cache(random_mimi)


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """The peer replays the prompt step by step, and making a codec of random weights takes a second."""
    monkeypatch.setattr(report, "POSITIONS", 20)
    monkeypatch.setattr(random_weights, "VOICE_FRAMES", 5)
    monkeypatch.setattr(ours, "random_mimi", a_codec)


def test_bench_tiny_reports_ours_the_peer_and_their_ratios(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(frame_time, "MEASURED_FRAMES", 1)
    monkeypatch.setattr(frame_time, "READ_S", 0.02)
    args = ["--json", "--size=tiny", "--repeats=1", "--device=cpu", f"--data={tmp_path}"]
    assert main(["bench", *args]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["device"] == "cpu"
    assert all(value > 0 for value in found["ours"].values())
    assert found["token_agreement_with_unquantised"] is None
    assert found["headroom"] == pytest.approx(1 - found["ours"]["frame_p95_ms"] / 80, abs=1e-3)
    # each form beside its floor, kept for `doctor` and the choice of the engine
    assert set(found["forms"]) == {"none", "int8", "int4"}
    kept = json.loads((tmp_path / "voices" / FRAME_TIMES_FILE).read_text())
    assert sorted(kept.values()) == sorted(form["frame_ms"] for form in found["forms"].values())
    for form in found["forms"].values():
        assert form["times_floor"] == pytest.approx(form["frame_ms"] / form["floor_ms"], rel=0.02)
    if not peer.find():
        pytest.skip("the moshi package is not installed: `make test` does that")
    assert set(found["peer"]) <= set(found["ours"])
    shown = found["times_faster"]["frame"]
    assert shown == round(found["peer"]["frame_ms"] / found["ours"]["frame_ms"], 2)


def test_bench_int8_text_says_how_far_it_agrees_its_size_and_that_the_peer_is_left_out(
    capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr(report, "measure_frame_ms", lambda *_: 30.0)
    monkeypatch.setattr(report, "memory_bandwidth", lambda: 10e9)
    args = ["--size=tiny", "--repeats=1", "--device=cpu", "--no-peer", "--quantize=int8", "--sessions=1"]
    assert main(["bench", *args, f"--data={tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert "Random weights of the size tiny in float32" in out
    assert "Times faster" not in out
    assert "the bytes it reads at 10.0 GB/s" in out
    assert re.search(r"int4 +30\.0 +\d+\.\d+, \d+\.\d+ times\n", out)
    assert "Published, not measured here: moshi.cpp" in out
    share = re.search(r"Quantised to int8: (.+)% of the greedy tokens are those of the unquantised", out)
    assert 50 < float(share[1]) < 100
    plain = sizes_of(SIZES["tiny"], MimiConfig())
    weights_gib = float(re.search(r"weights_gib +([\d.]+)", out)[1])
    assert weights_gib == pytest.approx(plain.weights_bytes("int8", 4) / 2**30, abs=6e-4)


def test_bench_agreement_is_kept_and_shown_by_doctor_and_engine_beside_the_form(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.setattr(quantization_agreement, "SPOKEN_S", 1.2)
    settings = Settings(
        engine="personaplex",
        checkpoint=str(tiny.GOLDEN),
        data=tmp_path,
        device="cpu",
        dtype="float32",
        quantize="int4",
        slots=1,
    )
    before = doctor.report(settings, as_json=False)
    assert before.lower().count("has not been measured (bench --agreement)") == 3
    args = [
        "bench",
        "--agreement",
        "--json",
        "--checkpoint",
        str(tiny.GOLDEN),
        "--device",
        "cpu",
        "--dtype",
        "float32",
    ]
    with loaded_once(quantization_agreement):
        assert main([*args, "--data", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    int4, int8 = (found["agreement"][form]["all"] for form in ("int4", "int8"))
    assert 0.3 < int4 < int8 < 1.0
    assert found["frames"] == 15
    text = doctor.report(settings, as_json=False)
    assert f"; {int8:.1%} of its tokens are those of the unquantised weights" in text
    engine = build(Choice("personaplex", ""), settings)
    engine.load(lambda state: None)
    engine.close()
    assert f"{int4:.1%} of its tokens are those of the unquantised weights." in engine.about


def test_agreement_of_other_weights_or_in_a_spoiled_file_is_unknown(tmp_path):
    weights = tiny.GOLDEN / "model.safetensors"
    save_agreements(tmp_path, weights, {"int8": 0.98})
    save_agreements(tmp_path, weights, {"int4": 0.8})
    assert load_agreements(tmp_path, weights) == {"int8": 0.98, "int4": 0.8}
    other = tmp_path / "other.safetensors"
    other.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert load_agreements(tmp_path, other) == {}
    assert load_agreements(tmp_path, tmp_path / "absent") == {}
    for spoiled in ("[]", "{", '{"' + fingerprint(weights).hex() + '": 3}'):
        (tmp_path / "agreement.json").write_text(spoiled)
        assert load_agreements(tmp_path, weights) == {}
    save_agreements(tmp_path, weights, {"int4": 0.7})
    assert load_agreements(tmp_path, weights) == {"int4": 0.7}


def test_bench_sizes_prompt_has_the_positions_asked_for():
    for config in SIZES.values():
        assert random_prompt(config, 200).positions == 200


def test_bench_places_rows_late_in_a_talk():
    made = ours.Ours(SIZES["tiny"], CPU, torch.float32, rows=1)
    made.lm_step_ms(1, position=2900)
    assert made.duplex.rows.positions == [2902]
    assert made.duplex.rows.state.cache.read_slots(2902) == 2944


@pytest.mark.skipif(not peer.find(), reason="the moshi package is not installed: `make test` does that")
def test_bench_peer_runs_the_reference_way():
    theirs = peer.Peer(SIZES["tiny"], CPU, torch.float32, sessions=2)
    assert theirs.step().shape == (2, 2 * AGENT_CODEBOOKS)
    calls = []
    theirs.step = lambda: calls.append(1)
    theirs.prompt_phase_ms(100)
    assert len(calls) == 101  # one to warm up
