"""Voices: names, and a corpus of archives and pickles that mean harm."""

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_app.errors import UnknownVoice, WeightsError
from personaplex_app.model.config import LmConfig
from personaplex_app.model.lm import Lm
from personaplex_app.model.loading import load_lm
from personaplex_app.model.voice_files import (
    from_safetensors,
    open_voices,
    parse_pt,
    self_test,
    to_safetensors,
)
from personaplex_app.voices import (
    FAMILIES,
    MAX_ARCHIVE_BYTES,
    MAX_VOICE_BYTES,
    NAMES,
    family_of,
    read_archive,
)

from .support import tiny

pytestmark = pytest.mark.unit
GOOD = read_archive(tiny.GOLDEN / "voices.tgz")
CONFIG = tiny.checkpoint().lm.config


def test_voices_are_the_18_of_the_release():
    assert len(NAMES) == len(set(NAMES)) == 18
    assert [family_of(name).prefix for name in ("NATF3", "NATM0", "VARF4", "VARM4")] == [
        family.prefix for family in FAMILIES
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("natf0", "Did you mean NATF0"), ("NATF4", "Did you mean NATF"), ("../x", "There are: NATF0, NATF1")],
)
def test_voices_unknown_name_gets_the_closest(name, hint):
    with pytest.raises(UnknownVoice, match=hint):
        family_of(name)


def test_archive_golden_holds_its_three_voices():
    assert sorted(GOOD) == ["NATF0", "NATM1", "VARF2"]


# --- archives ---


def member(name: str, content: bytes = b"x", **attributes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, content


def archive(path, members, good=True):
    if good:
        members = [*members, member("voices/NATF0.pt", GOOD["NATF0"])]
    with tarfile.open(path, "w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return path


@pytest.mark.parametrize(
    "bad",
    [
        member("../NATF1.pt"),
        member("/tmp/voices/NATF1.pt"),
        member("voices/../voices/NATF1.pt"),
        member("voices/NATF1.pt/../../../evil"),
        member("voices/NATF1.pt", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("voices/NATF1.pt", b"", type=tarfile.LNKTYPE, linkname="voices/NATF0.pt"),
        member("voices/NATF1.pt", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        member("voices/NATF1.pt", b"", type=tarfile.FIFOTYPE),
        member("voices/NATF1.pt", b"", type=tarfile.DIRTYPE),
        member("voices/NATF9.pt"),
        member("voices/NATF1.pt\x00.txt" * 20),
    ],
    ids=lambda bad: f"{bad[0].name[:30]!r}-{bad[0].type!r}",
)
def test_archive_member_that_is_not_a_voice_is_passed_over(tmp_path, bad, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = archive(tmp_path / "voices.tgz", [bad])
    assert read_archive(path) == {"NATF0": GOOD["NATF0"]}
    assert os.listdir(tmp_path) == ["voices.tgz"]


@pytest.mark.parametrize(
    "name",
    ["NATF1.pt", "./voices/NATF1.pt", "home/me/voices/NATF1.pt", "voices\\NATF1.pt", "Voices/natf1.PT"],
)
def test_archive_packed_again_by_somebody_holds_the_same_voices(tmp_path, name):
    members = [member("__MACOSX/voices/._NATF1.pt", b"no"), member(name, GOOD["NATM1"])]
    found = read_archive(archive(tmp_path / "voices.tgz", members))
    assert found == {"NATF0": GOOD["NATF0"], "NATF1": GOOD["NATM1"]}


def bomb(path):
    with gzip.open(path, "wb", compresslevel=1) as packed:
        info, _ = member("voices/readme", b"")
        info.size = 2 * MAX_ARCHIVE_BYTES
        packed.write(info.tobuf())
        for _ in range(2 * MAX_ARCHIVE_BYTES // 2**20 + 1):
            packed.write(bytes(2**20))


def long_header(path):
    with gzip.open(path, "wb") as packed:
        info, _ = member("x", b"", type=tarfile.XHDTYPE)
        info.size = 2**33
        packed.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def cut(path):
    whole = (tiny.GOLDEN / "voices.tgz").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: archive(p, [member("voices/NATF0.pt", bytes(10))]), "holds the voice NATF0 twice"),
        (
            lambda p: archive(p, [member("voices/NATF1.pt", bytes(MAX_VOICE_BYTES + 1))]),
            "NATF1.pt has 4,194,305 bytes",
        ),
        (lambda p: archive(p, [member(f"m{k}") for k in range(1001)]), "has more than 1,000 members"),
        (lambda p: archive(p, [], good=False), "holds none of the 18 voices"),
        (bomb, "unpacks to more than 67,108,864 bytes"),
        (long_header, "voices.tgz cannot be unpacked"),
        (cut, "voices.tgz cannot be unpacked"),
        (lambda p: p.write_bytes(b"<html>no</html>"), "voices.tgz is a web page"),
        (lambda p: p.write_bytes(b""), "voices.tgz is empty"),
        (lambda p: None, "voices.tgz is missing"),
    ],
)
def test_archive_that_means_harm_is_refused_with_a_sentence(tmp_path, make, said):
    path = tmp_path / "voices.tgz"
    make(path)
    with pytest.raises(WeightsError) as raised:
        read_archive(path)
    assert said in str(raised.value)


# --- pickles ---


class Calls:
    """Unpickles into a call."""

    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


def saved(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def voice(**parts) -> dict:
    good = {
        "embeddings": torch.zeros(43, 1, 1, CONFIG.width, dtype=torch.bfloat16),
        "cache": torch.zeros(1, 17, 4, dtype=torch.int64),
    }
    return good | parts


def rezipped(change, compression=zipfile.ZIP_STORED) -> bytes:
    """A good file with its pickle changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD["NATF0"])) as old, zipfile.ZipFile(buffer, "w", compression) as new:
        for record in old.infolist():
            data = old.read(record)
            new.writestr(record.filename, change(data) if record.filename.endswith("data.pkl") else data)
    return buffer.getvalue()


def touch(path) -> Calls:
    return Calls(os.system, f"touch {path}")


PICKLES = {
    "runs a command": lambda marker: saved(touch(marker)),
    "runs a command inside a voice": lambda marker: saved(voice(extra=touch(marker))),
    "runs a command in another protocol": lambda marker: rezipped(
        lambda _: pickle.dumps(touch(marker), protocol=4)
    ),
    "evaluates": lambda marker: rezipped(
        lambda _: pickle.dumps(Calls(eval, f"open({str(marker)!r}, 'w')"), protocol=2)
    ),
    "asks for endless memory": lambda marker: rezipped(
        lambda _: pickle.dumps(Calls(bytearray, 10**12), protocol=2)
    ),
    "is a bare pickle": lambda marker: pickle.dumps(touch(marker)),
    "is a numpy array": lambda marker: saved(voice(cache=torch.zeros(1, 17, 4).numpy())),
    "is compressed": lambda marker: rezipped(lambda data: data, zipfile.ZIP_DEFLATED),
    "is a zip bomb": lambda marker: rezipped(lambda _: bytes(2**25), zipfile.ZIP_DEFLATED),
    "is an empty zip": lambda marker: b"PK\x05\x06" + bytes(18),
    "is empty": lambda marker: b"",
    "is noise": lambda marker: b"\x80\x02" + bytes(range(256)),
    "has more than a voice": lambda marker: saved(voice(more=torch.zeros(1))),
    "has less than a voice": lambda marker: saved({"cache": voice()["cache"]}),
    "is a list": lambda marker: saved([1, 2]),
    "holds numbers instead of tensors": lambda marker: saved({"embeddings": 1, "cache": 2}),
    "is of another width": lambda marker: saved(voice(embeddings=torch.zeros(43, 1, 1, 47))),
    "is a giant made of nothing": lambda marker: saved(
        voice(embeddings=torch.zeros(1).expand(10**9, 1, 1, CONFIG.width))
    ),
    "is sparse": lambda marker: saved(voice(embeddings=torch.zeros(43, 1, 1, CONFIG.width).to_sparse())),
    "is a meta tensor": lambda marker: saved(
        voice(embeddings=torch.zeros(43, 1, 1, CONFIG.width, device="meta"))
    ),
    "has no frames": lambda marker: saved(voice(embeddings=torch.zeros(0, 1, 1, CONFIG.width))),
    "is not a number": lambda marker: saved(
        voice(embeddings=torch.full((43, 1, 1, CONFIG.width), torch.nan))
    ),
    "has whole numbers": lambda marker: saved(
        voice(embeddings=torch.zeros(43, 1, 1, CONFIG.width, dtype=torch.int64))
    ),
    "has float tokens": lambda marker: saved(voice(cache=torch.zeros(1, 17, 4))),
    "has tokens below zero": lambda marker: saved(voice(cache=torch.full((1, 17, 4), -2))),
    "has tokens beyond the tables": lambda marker: saved(voice(cache=torch.full((1, 17, 4), 2049))),
    "has another cache": lambda marker: saved(voice(cache=torch.zeros(1, 17, 5, dtype=torch.int64))),
}


@pytest.mark.parametrize("kind", PICKLES)
def test_pt_that_is_no_voice_is_refused_and_runs_nothing(tmp_path, kind):
    marker = tmp_path / "it-ran"
    with pytest.raises(WeightsError, match=r"NATF0.*\."):
        parse_pt("NATF0", PICKLES[kind](marker), CONFIG)
    assert not marker.exists()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**16), st.binary(min_size=1, max_size=12), st.integers(0, 200))
def test_pt_with_bytes_changed_is_refused_or_still_a_voice(place, noise, cut_bytes):
    data = bytearray(GOOD["NATF0"])
    place %= len(data)
    data[place : place + len(noise)] = noise
    try:
        read = parse_pt("NATF0", bytes(data[: len(data) - cut_bytes]), CONFIG)
    except WeightsError:
        return
    assert read.embeddings.shape[1] == CONFIG.width


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 2**14), noise=st.binary(min_size=1, max_size=6))
def test_archive_with_bytes_changed_is_refused_or_read(tmp_path_factory, place, noise):
    path = tmp_path_factory.getbasetemp() / "changed.tgz"
    data = bytearray((tiny.GOLDEN / "voices.tgz").read_bytes())
    place %= len(data)
    data[place : place + len(noise)] = noise
    path.write_bytes(data)
    try:
        assert set(read_archive(path)) <= set(NAMES)
    except WeightsError as error:
        assert "changed.tgz" in str(error)


# --- the store, and the self-test ---


def test_pt_good_voice_is_the_stored_tensors_and_survives_export():
    for name, data in GOOD.items():
        read = parse_pt(name, data, CONFIG)
        again = from_safetensors(name, to_safetensors(read), CONFIG)
        raw = tiny.voice(name)
        for voice_ in (read, again):
            assert torch.equal(voice_.embeddings, raw.embeddings)
            assert torch.equal(voice_.columns, raw.columns)


@pytest.mark.parametrize(
    "data", [b"", b"{}", bytes(MAX_VOICE_BYTES + 1), to_safetensors(tiny.voice("NATF0"))[:-5]]
)
def test_safetensors_voice_that_is_none_is_refused(data):
    with pytest.raises(WeightsError, match=r"The voice file 'mine'"):
        from_safetensors("mine", data, CONFIG)


def test_store_is_made_once_and_again_when_anything_changed(tmp_path, monkeypatch):
    source, store = tmp_path / "voices.tgz", tmp_path / "store"
    source.write_bytes((tiny.GOLDEN / "voices.tgz").read_bytes())
    reads = []
    monkeypatch.setattr(
        "personaplex_app.model.voice_files.read_archive",
        lambda path: reads.append(path) or read_archive(path),
    )

    def opened() -> int:
        before = len(reads)
        voices = open_voices(source, store, CONFIG)
        assert sorted(voices) == sorted(GOOD)
        assert torch.equal(voices["VARF2"].embeddings, tiny.voice("VARF2").embeddings)
        return len(reads) - before

    assert [opened(), opened()] == [1, 0]
    spoiled = store / "NATM1.safetensors"
    spoiled.write_bytes(spoiled.read_bytes()[:-1] + b"\xff")
    assert [opened(), opened()] == [1, 0]
    (store / "voices.json").write_text("[")
    assert [opened(), opened()] == [1, 0]
    archive(source, [member(f"voices/{name}.pt", data) for name, data in GOOD.items() if name != "NATF0"])
    assert [opened(), opened()] == [1, 0]
    index = json.loads((store / "voices.json").read_text())
    assert sorted(index["voices"]) == sorted(GOOD)


def test_store_that_cannot_be_written_does_not_matter(tmp_path):
    (tmp_path / "store").write_text("a file where the folder would be")
    assert sorted(open_voices(tiny.GOLDEN / "voices.tgz", tmp_path / "store", CONFIG)) == sorted(GOOD)


def test_self_test_golden_voices_pass_in_every_number_type():
    voices = {name: tiny.voice(name) for name in GOOD}
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        self_test(load_lm(tiny.GOLDEN, tiny.CPU, dtype), voices)


def test_self_test_swapped_tables_or_altered_voice_fail_by_name():
    lm = Lm(
        LmConfig(
            width=48,
            heads=3,
            layers=1,
            hidden=8,
            text_card=512,
            depformer_width=8,
            depformer_heads=1,
            depformer_layers=1,
        )
    )
    lm.load_state_dict(
        {k: v for k, v in tiny.checkpoint().lm.state_dict().items() if "emb." in k and "depformer" not in k},
        strict=False,
    )
    voices = {name: tiny.voice(name) for name in GOOD}
    self_test(lm, voices)
    lm.emb[0], lm.emb[9] = lm.emb[9], lm.emb[0]
    with pytest.raises(WeightsError, match=r"Self-test failed: .* voice NATF0 by "):
        self_test(lm, voices)
    lm.emb[0], lm.emb[9] = lm.emb[9], lm.emb[0]
    voices["VARF2"].embeddings[-1] *= -1
    with pytest.raises(WeightsError, match="voice VARF2 by "):
        self_test(lm, voices)
