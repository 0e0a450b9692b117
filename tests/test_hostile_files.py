"""Hostile voice files and archives, read as the program reads them: nothing runs, nothing is written outside,
and no more than 64 MB is held.
"""

import gzip
import io
import os
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from functools import partial

import pytest

from personaplex_app.errors import BadInput, WeightsError
from personaplex_app.evaluation.fdb.archive import unpack
from personaplex_app.model.voice_files import parse_pt
from personaplex_app.voices import read_archive

from .support import tiny

MOST_BYTES = 64 << 20


@pytest.fixture(autouse=True)
def bounded():
    """Each test holds at most 64 MB at any time."""
    tracemalloc.start()
    yield
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < MOST_BYTES


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A file that whatever runs would make, in the folder where the test stands."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "canary"
    assert not (tmp_path / "canary").exists()


class Runs:
    def __reduce__(self):
        return os.system, ("touch canary",)


class Evaluates:
    def __reduce__(self):
        return eval, ("open('canary', 'w')",)


def stored(records, compress=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compress, compresslevel=1) as archive:
        for name, data in records:
            archive.writestr(name, data)
    return file.getvalue()


def with_pickle(data):
    return stored([("voice/data.pkl", data), ("voice/data/0", bytes(40)), ("voice/version", b"3\n")])


def tensor(count, offset, size, stride):
    """A voice whose one tensor claims other storage than there is."""

    def number(value):
        return b"\x8a\x08" + struct.pack("<q", value)

    def numbers(values):
        return b"(" + b"".join(map(number, values)) + b"t"

    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + b"0X\3\0\0\0cpu" + number(count) + b"tQ"
    return with_pickle(
        b"\x80\2}(X\n\0\0\0embeddingsctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + number(offset)
        + numbers(size)
        + numbers(stride)
        + b"\x89ccollections\nOrderedDict\n)RtRX\5\0\0\0cacheK\0u."
    )


HARMLESS = pickle.dumps({}, 2)
PICKLES = {
    **{f"runs {protocol}": with_pickle(pickle.dumps(Runs(), protocol)) for protocol in (0, 2, 4, 5)},
    **{f"evaluates {protocol}": with_pickle(pickle.dumps(Evaluates(), protocol)) for protocol in (1, 3)},
    "bare": pickle.dumps(Runs(), 2),
    "legacy": b"".join(pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, {}, Runs())),
    "second pickle": stored([("v/data.pkl", HARMLESS), ("v/x.pkl", pickle.dumps(Runs(), 2))]),
    "torchscript": stored([("v/data.pkl", HARMLESS), ("v/constants.pkl", pickle.dumps(Runs(), 2))]),
    "name built from parts": with_pickle(b"\x80\4\x8c\5posix\x8c\6system\x93\x8c\x0ctouch canary\x85R."),
    "instance": with_pickle(b"(S'touch canary'\nios\nsystem\n."),
    "extension": with_pickle(b"\x80\2\x82\1."),
    "getattr": with_pickle(b"\x80\2c__builtin__\ngetattr\n."),
    "hub": with_pickle(b"\x80\2ctorch.hub\nload\n(X\1\0\0\0atR."),
    "memo": with_pickle(b"\x80\2]q\0" + b"(h\0" * 200_000 + b"."),
    "nested": with_pickle(b"\x80\2" + b"]" * 100_000 + b"a" * 99_999 + b"."),
    "2 GB number": with_pickle(b"\x80\2\x8b\xff\xff\xff\x7f."),
    "endless bytes": with_pickle(b"\x80\4\x8e" + b"\xff" * 7 + b"\x7f."),
    # packed when it is tried: that takes a second
    "deflated bomb": partial(stored, [("v/data.pkl", bytes(1 << 28))], zipfile.ZIP_DEFLATED),
    "tensor of 2^40": tensor(2**40, 0, (2, 1, 1, 64), (1, 1, 1, 1)),
    "tensor beyond its storage": tensor(10, 2**40, (2, 1, 1, 64), (1, 1, 1, 1)),
    "tensor of 2^66": tensor(10, 0, (2**33, 2**33), (0, 0)),
    "tensor backwards": tensor(10, 0, (2,), (-1,)),
}


@pytest.mark.parametrize("kind", PICKLES)
def test_hostile_pickle_is_refused_and_runs_nothing(canary, kind):
    config = tiny.checkpoint().lm.config
    with pytest.raises(WeightsError, match="voice"):
        parse_pt("NATF0", content() if callable(content := PICKLES[kind]) else content, config)


# -- voices.tgz ------------------------------------------------------------------------------------


def packed(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, data, attributes in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def link(name, to, kind=tarfile.SYMTYPE):
    return name, b"", {"type": kind, "linkname": to}


TARS = {
    "above": [("../NATF0.pt", b"x", {})],
    "above in Windows": [("..\\NATF0.pt", b"x", {})],
    "absolute": [("/NATF0.pt", b"x", {})],
    "link": [link("voices/NATF0.pt", "/etc/passwd")],
    "hard link": [link("voices/NATF0.pt", "/etc/passwd", tarfile.LNKTYPE)],
    "device": [link("voices/NATF0.pt", "", tarfile.CHRTYPE)],
    "pipe": [link("voices/NATF0.pt", "", tarfile.FIFOTYPE)],
    "long name": [("a/" * 3_000 + "x", b"x", {})],
    "many": [(f"x{number}", b"", {}) for number in range(3_000)],
    "large": [("voices/NATF0.pt", bytes(5 << 20), {})],
}


@pytest.mark.parametrize("kind", TARS)
def test_hostile_voice_archive_is_refused_and_writes_nothing(tmp_path, kind):
    path = packed(tmp_path / "voices.tgz", TARS[kind])
    with pytest.raises(WeightsError, match=r"voices\.tgz"):
        read_archive(path)
    assert list(tmp_path.iterdir()) == [path]


def test_voice_archive_of_endless_zeros_is_refused(tmp_path):
    (tmp_path / "voices.tgz").write_bytes(gzip.compress(bytes(1 << 20)) * 200)
    with pytest.raises(WeightsError, match=r"voices\.tgz"):
        read_archive(tmp_path / "voices.tgz")


# -- zips of outputs -------------------------------------------------------------------------------

JSON = b'{"text": "a", "chunks": []}'


def symbolic(name, to):
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    return entry, to


def overlapping(count):
    """One body, and many names for it in the directory."""
    body = zlib.compress(b"x", 9)[2:-4]
    crc = zlib.crc32(b"x")
    local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 0, crc, len(body), 1, 1, 0) + b"a" + body
    name = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 8, 0, 0, crc, len(body), 1, 1, *([0] * 6))
    names = (name + b"a") * count
    end = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, len(names), len(local))
    at = struct.pack("<IIQI", 0x07064B50, 0, len(local) + len(names), 1)
    last = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 65535, 65535, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return local + names + end + at + last


def lying():
    """A file of 300 MB whose size in the directory is 10 bytes."""
    data = bytearray(stored([("1/output.json", bytes(300 << 20))], zipfile.ZIP_DEFLATED))
    at = data.rindex(b"PK\1\2") + 24
    data[at : at + 4] = struct.pack("<I", 10)
    return bytes(data)


ZIPS = {
    "above": lambda: stored([("../../output.json", JSON), ("a/../../output.json", JSON)]),
    "above in Windows": lambda: stored([("..\\..\\output.json", JSON), ("C:\\x\\..\\output.json", JSON)]),
    "links": lambda: stored([symbolic("1", "/etc"), ("1/passwd", JSON), symbolic("2", "..")]),
    "names": lambda: stored(
        [(name, JSON) for name in ("r/\x1b[31m/x", "r/" + "x" * 300 + "/y", "con/z", "/")]
    ),
    "million names": lambda: overlapping(1_000_000),
    "garbage": lambda: bytes(4_000),
    "empty": lambda: b"",
    "lies": lying,
}


@pytest.mark.parametrize("kind", ZIPS)
def test_hostile_zip_is_refused_and_writes_nothing_outside(tmp_path, kind):
    tracemalloc.stop()
    path = tmp_path / "outputs.zip"
    path.write_bytes(ZIPS[kind]())
    (tmp_path / "into").mkdir()
    tracemalloc.start()
    with pytest.raises(BadInput, match=r"The (zip|file) "):
        unpack(path, tmp_path / "into", lambda text: None)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["into", "outputs.zip"]


@pytest.mark.parametrize(
    "name",
    [
        "r/" + "x" * 300 + "/output.json",
        "r/\x1b[31m/output.json",
        "r/ /output.json",
        "r/\u202e/output.json",
        "/tmp/output.json",
        "C:\\x\\output.json",
        "C:output.json",
    ],
)
def test_zip_with_odd_names_of_folders_is_unpacked_inside(tmp_path, name):
    path = tmp_path / "outputs.zip"
    path.write_bytes(stored([(name, JSON), symbolic("r/2/output.json", "/etc/passwd")]))
    root = unpack(path, tmp_path / "into", lambda text: None)
    files = [each for each in root.rglob("*") if each.is_file()]
    # the link is left out
    assert len(files) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["into", "outputs.zip"]
    assert not any(each.is_symlink() for each in root.rglob("*"))
    assert b"root:" not in b"".join(each.read_bytes() for each in files)
