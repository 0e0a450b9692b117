"""Read voice files and archives that mean harm, and print what each wrote and how much memory it took.

    python -m tests.support.hostile_files FOLDER

A process of its own, since memory that was once taken shows in its peak.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from personaplex_app.errors import PersonaplexError
from personaplex_app.evaluation.fdb.archive import unpack
from personaplex_app.model.voice_files import parse_pt
from personaplex_app.voices import read_archive
from tests.test_voices import CONFIG, GOOD, PICKLES, archive, bomb, cut, long_header, member

JSON = b'{"text": "a", "chunks": []}'
ESCAPES = (
    "../../outside/a",
    "a/../../outside/b",
    "..\\..\\outside\\c",
    "C:/outside/d",
    "./x/../../outside/e",
)


def voice_archives(outside: Path) -> dict[str, Callable[[Path], object]]:
    """Return, by what each tries, how an archive of voices is written."""
    links = {"symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE}
    tries: dict[str, Callable[[Path], object]] = {"bomb": bomb, "long header": long_header, "cut": cut}
    for name in (*ESCAPES, f"{outside}/f"):
        tries[name] = lambda path, name=name: archive(path, [member(f"{name}.pt")])
    for name, kind in links.items():
        into = member("voices", b"", type=kind, linkname=str(outside))
        tries[f"{name}, then a file in it"] = lambda path, into=into: archive(path, [into])
    tries["device"] = lambda path: archive(path, [member("voices/NATF1.pt", b"", type=tarfile.CHRTYPE)])
    tries["many members"] = lambda path: archive(path, [member(f"m{k}", b"") for k in range(100_000)])
    tries["twice"] = lambda path: archive(path, [member("voices/NATF0.pt", GOOD["NATF0"])])
    return tries


def zips(outside: Path) -> dict[str, Callable[[zipfile.ZipFile], object]]:
    """Return, by what each tries, how a zip of outputs to be scored is filled."""

    def link(file: zipfile.ZipFile) -> None:
        entry = zipfile.ZipInfo("r/2.json")
        entry.create_system = 3
        entry.external_attr = 0o120777 << 16
        file.writestr(entry, str(outside))
        file.writestr("r/2.json/output.json", JSON)

    def zeros(file: zipfile.ZipFile) -> None:
        for number in range(10):
            file.writestr(f"r/{number}/output.wav", bytes(60 << 20))

    tries: dict[str, Callable[[zipfile.ZipFile], object]] = {"symlink": link, "600 MB of zeros": zeros}
    for name in (*ESCAPES, f"{outside}/g"):
        tries[name] = lambda file, name=name: file.writestr(f"{name}.json", JSON)
    tries["file, then folder"] = lambda file: [
        file.writestr(n, JSON) for n in ("a/1.json", "a/1.json/b.json")
    ]
    tries["too many"] = lambda file: [file.writestr(f"r/{k}/output.json", b"{}") for k in range(4_001)]
    tries["odd names"] = lambda file: [
        file.writestr(f"r/{name}/output.json", JSON) for name in ("x" * 300, "\u202e", "\x1b[31m", " ", "con")
    ]
    return tries


def _memory_kb(field: str) -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def main(folder: Path) -> None:
    """Read all of them in a folder of their own below `folder`, and print one line of JSON."""
    outside, room = folder / "outside", folder / "deep" / "room"
    outside.mkdir()
    room.mkdir(parents=True)
    os.chdir(room)
    marker = outside / "it-ran"
    undocumented: list[str] = []
    worst: tuple[float, str] = (0.0, "")

    def tried(name: str, read: Callable[[], object]) -> None:
        nonlocal worst
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before_kb = _memory_kb("VmRSS")
        try:
            read()
        except PersonaplexError:
            pass
        except Exception as error:
            undocumented.append(f"{name}: {type(error).__name__}")
        worst = max(worst, ((_memory_kb("VmHWM") - before_kb) / 1024, name))

    for name, make in PICKLES.items():
        data = make(marker)
        tried(name, lambda data=data: parse_pt("NATF0", data, CONFIG))
    for name, write in voice_archives(outside).items():
        write(Path("voices.tgz"))
        tried(name, lambda: read_archive(Path("voices.tgz")))
    for number, (name, fill) in enumerate(zips(outside).items()):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            fill(file)
        Path("outputs.zip").write_bytes(packed.getvalue())
        into = Path(f"into-{number}")
        into.mkdir()
        tried(name, lambda into=into: unpack(Path("outputs.zip"), into, lambda note: None))
        undocumented.extend(f"{name}: a link" for path in into.rglob("*") if path.is_symlink())
    allowed = {"voices.tgz", "outputs.zip"}
    told = {
        "pickles": len(PICKLES),
        "archives": len(voice_archives(outside)) + len(zips(outside)),
        "undocumented": undocumented,
        "worst_mb": round(worst[0], 1),
        "worst": worst[1],
        "outside": [
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.is_file() and path.name not in allowed and not path.is_relative_to(room)
        ]
        + [path.name for path in room.iterdir() if path.is_file() and path.name not in allowed],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
