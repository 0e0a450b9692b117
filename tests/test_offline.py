"""The offline command: the reference's own results through the public command line."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from personaplex_app.__main__ import main

from .support import tiny

pytestmark = pytest.mark.slow
USER = str(tiny.GOLDEN / "user.wav")


def offline(tmp_path, *args: str, name: str = "answer") -> int:
    out = ["--output-wav", str(tmp_path / f"{name}.wav"), "--output-text", str(tmp_path / f"{name}.json")]
    return main(["offline", "--device", "cpu", *out, *args])


def answered(tmp_path, name: str = "answer") -> tuple[np.ndarray, list[str]]:
    samples, rate_hz = soundfile.read(tmp_path / f"{name}.wav", dtype="float32")
    assert rate_hz == 24_000
    return samples, json.loads((tmp_path / f"{name}.json").read_text())


def voice_of(about: dict) -> list[str]:
    voice = about["voice"]
    if not voice:
        return []
    return ["--voice-prompt", str(tiny.GOLDEN / voice) if voice.endswith(".wav") else voice]


def check(tmp_path, case: str, name: str = "answer") -> None:
    about, arrays = tiny.case(case)
    samples, text = answered(tmp_path, name)
    assert text == about["text"]
    assert len(samples) == soundfile.info(USER).frames
    # the file holds 16-bit samples
    assert np.abs(samples - np.clip(arrays["pcm"][: len(samples)], -1, 1)).max() < 1e-4 + 1 / 32768


# those with a stored voice are answered below, several at once and from single files
@pytest.mark.parametrize("case", ["text_only", "clone_wav"])
def test_offline_golden_case_is_the_reference(tmp_path, case):
    about, _ = tiny.case(case)
    args = [
        "--checkpoint",
        str(tiny.GOLDEN),
        "--greedy",
        "--input-wav",
        USER,
        "--text-prompt",
        about["text_prompt"],
        *voice_of(about),
    ]
    assert offline(tmp_path, *args) == 0
    check(tmp_path, case)


def test_offline_several_inputs_each_answer_as_alone(tmp_path):
    about, _ = tiny.case("voice_and_text")
    paths = {
        flag: [str(tmp_path / f"{n}.{kind}") for n in "ab"]
        for flag, kind in (("--output-wav", "wav"), ("--output-text", "json"))
    }
    role = ["--voice-prompt", "NATF0.pt", "--text-prompt", about["text_prompt"]]
    outputs = [part for flag, files in paths.items() for part in (flag, *files)]
    assert (
        main(
            [
                "offline",
                "--checkpoint",
                str(tiny.GOLDEN),
                "--greedy",
                "--device",
                "cpu",
                "--input-wav",
                USER,
                USER,
                *outputs,
                *role,
            ]
        )
        == 0
    )
    for name in "ab":
        check(tmp_path, "voice_and_text", name)


def test_offline_single_files_and_a_voice_folder_replace_the_checkpoints(tmp_path):
    about, _ = tiny.case("voice_only")
    folder = tmp_path / "bare"
    folder.mkdir()
    for name in ("config.json", "mimi.json"):
        shutil.copy(tiny.GOLDEN / name, folder)
    shutil.unpack_archive(tiny.GOLDEN / "voices.tgz", tmp_path, filter="data")
    files = [
        *("--tokenizer", str(tiny.GOLDEN / "tokenizer_spm_32k_3.model")),
        *("--moshi-weight", str(tiny.GOLDEN / "model.safetensors")),
        *("--mimi-weight", str(tiny.GOLDEN / "tokenizer-e351c8d8-checkpoint125.safetensors")),
        *("--voice-prompt-dir", str(tmp_path / "voices"), "--voice-prompt", about["voice"]),
    ]
    assert (
        offline(
            tmp_path,
            "--checkpoint",
            str(folder),
            "--greedy",
            "--input-wav",
            USER,
            "--text-prompt",
            "",
            *files,
        )
        == 0
    )
    check(tmp_path, "voice_only")


def test_offline_same_seed_gives_the_same_answer(tmp_path):
    samples, rate_hz = soundfile.read(USER, frames=1920 * 12)
    soundfile.write(tmp_path / "user.wav", samples, rate_hz)
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        args = [
            "--checkpoint",
            str(tiny.GOLDEN),
            "--seed",
            seed,
            "--input-wav",
            str(tmp_path / "user.wav"),
            "--voice-prompt",
            "NATM1",
        ]
        assert offline(tmp_path, *args, name=name) == 0
    assert np.array_equal(answered(tmp_path, "a")[0], answered(tmp_path, "b")[0])
    assert not np.array_equal(answered(tmp_path, "a")[0], answered(tmp_path, "c")[0])


def test_offline_other_sample_rate_and_channels_are_answered_at_24_khz(tmp_path):
    rng = np.random.default_rng(1)
    soundfile.write(tmp_path / "in.wav", rng.uniform(-0.1, 0.1, (16_000, 2)), 16_000)
    assert offline(tmp_path, "--checkpoint", str(tiny.GOLDEN), "--input-wav", str(tmp_path / "in.wav")) == 0
    samples, text = answered(tmp_path)
    assert (len(samples), len(text)) == (24_000, 13)


def test_offline_classic_engine_needs_no_checkpoint(tmp_path):
    assert offline(tmp_path, "--engine", "classic", "--input-wav", USER) == 0
    samples, text = answered(tmp_path)
    assert len(samples) == soundfile.info(USER).frames
    assert len(text) == 77


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--checkpoint", "nowhere", "--input-wav", USER], 1, "There is no checkpoint folder 'nowhere'"),
        (
            ["--engine", "personaplex", "--input-wav", USER],
            1,
            "The Hub cannot be reached (ConnectError) and nvidia/personaplex-7b-v1@fdaf",
        ),
        (
            ["--checkpoint", str(tiny.GOLDEN), "--input-wav", "none.wav"],
            1,
            "'none.wav' cannot be read (No such file",
        ),
        (
            ["--checkpoint", str(tiny.GOLDEN), "--input-wav", USER, "--voice-prompt", "VARM4.pt"],
            1,
            "has no voice VARM4; it has: NATF0",
        ),
        (
            ["--checkpoint", str(tiny.GOLDEN), "--input-wav", USER, "--voice-prompt", "../../x.pt"],
            1,
            "There is no voice '../../x'",
        ),
        (
            ["--checkpoint", str(tiny.GOLDEN), "--input-wav", USER, "--voice-prompt", "none.wav"],
            1,
            "'none.wav' cannot be read",
        ),
        (
            [
                "--checkpoint",
                str(tiny.GOLDEN),
                "--input-wav",
                USER,
                "--voice-prompt-dir",
                "x",
                "--voice-prompt",
                "a.pt",
            ],
            1,
            "no voice file a.pt",
        ),
        (["--checkpoint", str(tiny.GOLDEN), "--input-wav", USER, USER], 2, "Give as many --output-wav"),
        (
            ["--checkpoint", str(tiny.GOLDEN), "--input-wav", USER, "--dtype", "int3"],
            2,
            "--dtype is 'int3'; it must be one of auto",
        ),
    ],
)
def test_offline_bad_use_is_one_clear_line(tmp_path, capsys, args, code, said):
    assert offline(tmp_path, *args) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]


@pytest.mark.parametrize("args", [["--temp-audio", "-1"], ["--topk-text", "x"], []])
def test_offline_bad_flags_exit_2(tmp_path, capsys, args):
    with pytest.raises(SystemExit) as raised:
        offline(tmp_path, *args)
    assert raised.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "level", "said"),
    [(0.2, 0.1, "is 0.2 s long"), (61, 0.1, "is 61.0 s long"), (2, 0.0, "is silent")],
)
def test_offline_recording_that_is_no_voice_is_refused(tmp_path, capsys, seconds, level, said):
    rng = np.random.default_rng(1)
    soundfile.write(tmp_path / "voice.wav", level * rng.uniform(-1, 1, int(24_000 * seconds)), 24_000)
    assert (
        offline(
            tmp_path,
            "--checkpoint",
            str(tiny.GOLDEN),
            "--input-wav",
            USER,
            "--voice-prompt",
            str(tmp_path / "voice.wav"),
        )
        == 1
    )
    assert said in capsys.readouterr().err
