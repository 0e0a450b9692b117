"""Files of a checkpoint that are recognisably something else: what they are, and the command that helps."""

import hashlib
import shutil
from pathlib import Path

import pytest

from personaplex_app.cli.doctor import _checkpoint
from personaplex_app.engine_choice import Choice
from personaplex_app.errors import SettingsError, WeightsError
from personaplex_app.foreign_files import in_the_way
from personaplex_app.model.config import (
    CONFIG_FILE,
    LM_FILE,
    MIMI_FILE,
    TOKENIZER_FILE,
    VOICES_FILE,
    read_lm_config,
)
from personaplex_app.model.loading import load_lm, load_mimi
from personaplex_app.model.tokenizer import TextTokenizer
from personaplex_app.model.voice_files import open_voices
from personaplex_app.server.app_state import AppState
from personaplex_app.settings import Settings
from personaplex_app.voices import read_archive
from personaplex_app.yaml_fields import read_fields

from .support import tiny

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 123456789\n" % 7
READERS = {
    LM_FILE: lambda folder: load_lm(folder, tiny.CPU, tiny.torch.float32),
    MIMI_FILE: lambda folder: load_mimi(folder, tiny.CPU),
    TOKENIZER_FILE: lambda folder: TextTokenizer(folder / TOKENIZER_FILE),
    VOICES_FILE: lambda folder: read_archive(folder / VOICES_FILE),
    CONFIG_FILE: read_lm_config,
}


@pytest.fixture
def folder(tmp_path):
    for name in (CONFIG_FILE, "mimi.json"):
        shutil.copy(tiny.GOLDEN / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (POINTER, "is a Git LFS pointer.*git lfs pull.*hf download"),
        (b"\n<!DOCTYPE html><html>Log in</html>", "is a web page.*hf download"),
        (b"", "is empty.*broke off"),
    ],
)
def test_file_that_is_something_else_is_named_for_what_it_is(folder, name, content, said):
    (folder / name).write_bytes(content)
    with pytest.raises(WeightsError, match=f"^{name} {said}"):
        READERS[name](folder)


@pytest.mark.parametrize("name", [LM_FILE, MIMI_FILE, TOKENIZER_FILE, VOICES_FILE])
def test_short_text_in_place_of_a_file_is_quoted(folder, name):
    (folder / name).write_bytes(b"Access to model is restricted\n")
    with pytest.raises(WeightsError, match=r"is a short text, 'Access to model is restricted'.*hf download"):
        READERS[name](folder)


@pytest.mark.parametrize("name", [LM_FILE, MIMI_FILE])
def test_shards_in_place_of_the_weights_are_told(folder, name):
    shard = name.replace(".safetensors", "-00001-of-00004.safetensors")
    (folder / shard).touch()
    with pytest.raises(WeightsError, match=f"{name} is not in .*shards.*{shard}.*hf download"):
        READERS[name](folder)


def test_pytorch_file_under_the_name_of_safetensors_is_told(folder):
    (folder / LM_FILE).write_bytes(b"PK\3\4" + bytes(2_000))
    with pytest.raises(WeightsError, match="is a zip archive or a PyTorch file"):
        READERS[LM_FILE](folder)


def test_missing_voices_are_told_by_both_readers(folder):
    for read in (READERS[VOICES_FILE], lambda path: open_voices(path / VOICES_FILE, path / "x", None)):
        with pytest.raises(WeightsError, match=r"voices\.tgz is missing"):
            read(folder)


@pytest.mark.parametrize("noted", ["SHA256SUMS", ".cache/huggingface/download/voices.tgz.metadata"])
def test_doctor_finds_a_flipped_bit_where_the_hash_is_known(folder, noted):
    content = (tiny.GOLDEN / VOICES_FILE).read_bytes()
    (folder / VOICES_FILE).write_bytes(content)
    assert _checkpoint(Settings(checkpoint=str(folder))).endswith("not made by hf download")
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / noted).parent.mkdir(parents=True, exist_ok=True)
    text = f"{sha256} *{VOICES_FILE}\n" if noted == "SHA256SUMS" else f"{'0' * 40}\n{sha256}\n1.0\n"
    (folder / noted).write_text(text)
    assert _checkpoint(Settings(checkpoint=str(folder))).endswith("verified by the hashes of 1 files")
    (folder / VOICES_FILE).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "in which voices.tgz is not what was downloaded" in _checkpoint(Settings(checkpoint=str(folder)))


def test_file_in_the_way_of_a_folder_is_found(tmp_path):
    (tmp_path / "f").write_text("")
    assert in_the_way(tmp_path / "f" / "a" / "b") == tmp_path / "f"
    assert in_the_way(tmp_path / "a" / "b") is None
    with pytest.raises(SettingsError, match=r"--data is .*f is a file; name a folder"):
        AppState.build(Settings(engine="echo", data=tmp_path / "f" / "a"), Choice("echo", ""))


def test_settings_file_that_is_missing_or_a_folder_is_told_with_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=f"The file {tmp_path}/a.yaml is not there"):
        read_fields(Path("a.yaml"))
    with pytest.raises(SettingsError, match=f"{tmp_path} is a folder; name the YAML file in it"):
        read_fields(tmp_path)
