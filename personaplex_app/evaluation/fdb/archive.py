"""Unpack an untrusted zip of outputs: within size limits, into its folder only, sound and JSON files only."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from ...audio import MAX_KEPT_RATE_HZ, Note
from ...errors import BadInput, shorten
from .folders import MAX_AUDIO_S

MAX_FILES = 4_000
MAX_BYTES = 512 << 20
MAX_FILE_BYTES = int(MAX_AUDIO_S) * MAX_KEPT_RATE_HZ * 2 * 4 + 65_536
MAX_DEPTH = 4
SUFFIXES = (".wav", ".json")
_BLOCK_BYTES = 1 << 20


def unpack(archive: Path, into: Path, note: Note) -> Path:
    """Unpack the files that can be scored and return the folder that holds the samples' folders.

    A bad entry is skipped and reported to `note`.
    Raises: BadInput when the file is no zip, is too large, or holds nothing to score.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            wanted = [entry for entry in file.infolist() if _is_wanted(entry)]
            if len(wanted) > MAX_FILES:
                raise BadInput(
                    f"The zip holds {len(wanted):,} files; at most {MAX_FILES:,} are scored here. Use"
                    " evaluate score for more."
                )
            left_bytes = MAX_BYTES
            for entry in wanted:
                if (target := into.joinpath(*PurePosixPath(entry.filename).parts)).exists():
                    note(
                        f"The zip holds {shorten(entry.filename)} twice; the first is scored, take the other"
                        " out."
                    )
                    continue
                if entry.file_size > MAX_FILE_BYTES:
                    size = f"{entry.file_size >> 20} MiB"
                    note(
                        f"{shorten(entry.filename)} has {size} and was left out; cut it to {MAX_AUDIO_S:.0f}"
                        " s or less."
                    )
                    continue
                left_bytes = _extract(file, entry, target, left_bytes)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, OSError):
        raise BadInput(
            "The file cannot be unpacked; make a plain zip, without a password, of ROOT/ID/output.json and"
            " so on."
        ) from None
    if not wanted:
        raise BadInput(
            "The zip holds neither wav nor JSON; make one of ROOT/ID/output.json, output.wav and so on."
        )
    # archives usually wrap everything in one or more folders: descend to the one that holds the samples
    root = into
    while (
        len(inside := list(root.iterdir())) == 1
        and inside[0].is_dir()
        and not any(path.is_file() for path in inside[0].iterdir())
    ):
        root = inside[0]
    return root


def _is_wanted(entry: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(entry.filename)
    # no entry may be written outside the target folder, on Windows neither
    safe = (
        not path.is_absolute()
        and ".." not in path.parts
        and "\\" not in entry.filename
        and len(path.parts) <= MAX_DEPTH
    )
    # macOS adds "__MACOSX" and "._" copies of every file
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return safe and not hidden and not entry.is_dir() and path.suffix.lower() in SUFFIXES


def _extract(file: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left_bytes: int) -> int:
    """Write one file and return how many bytes may still be written.

    Written bytes are counted, because the sizes in a zip's directory may lie.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with file.open(entry) as source, target.open("wb") as out:
        while block := source.read(_BLOCK_BYTES):
            left_bytes -= len(block)
            if left_bytes < 0:
                raise BadInput(
                    f"The zip holds more than {MAX_BYTES >> 20} MiB (at {shorten(entry.filename)}); score it"
                    " in parts."
                )
            out.write(block)
    return left_bytes
