"""Unpack an untrusted zip of outputs: within size limits, into its folder only, the samples' files only."""

from __future__ import annotations

import io
import lzma
import re
import stat
import unicodedata
import zipfile
import zlib
from collections import defaultdict
from contextlib import suppress
from pathlib import Path, PurePosixPath
from posixpath import commonpath

from ...audio import MAX_KEPT_RATE_HZ, Note
from ...errors import BadInput, shorten
from ...foreign_files import other_than_sound
from .folders import AGENT_AUDIO, AGENT_WORDS, ANNOTATIONS, MAX_AUDIO_S, USER_AUDIO

MAX_FILES = 4_000
MAX_BYTES = 512 << 20
MAX_FILE_BYTES = int(MAX_AUDIO_S) * MAX_KEPT_RATE_HZ * 2 * 4 + 65_536
MAX_DIRECTORY_BYTES = 2 << 20
"""Most that the list of names may have: some 20,000 of them."""
MAX_NAME_CHARS = 60
SAMPLE_FILES = (AGENT_WORDS, AGENT_AUDIO, USER_AUDIO, *ANNOTATIONS)
_BLOCK_BYTES = 1 << 20
_UTF8_FLAG = 0x800
_DAMAGED = (
    zipfile.BadZipFile,
    NotImplementedError,  # encrypted, or packed by a method that is not known
    RuntimeError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
)
_UNREADABLE = (*_DAMAGED, zipfile.LargeZipFile, OSError, ValueError)  # names that are no Unicode
_NAMED = 3
_ONE_INSIDE = "A zip within a zip is not opened: unpack it first. "


def unpack(archive: Path, into: Path, note: Note) -> Path:
    """Unpack the samples into one folder each below `into`, and return it.

    They may lie in any folders, and files beside them, under names in any case and of any system. What is
    not taken is reported to `note`.
    Raises: BadInput when the file is no zip, is too large, or holds no sample.
    """
    try:
        with _BoundedReads(archive) as packed, zipfile.ZipFile(packed) as file:
            wanted, beside = _sorted_out(file)
            if len(wanted) > MAX_FILES:
                raise BadInput(
                    f"The zip holds {len(wanted):,} files of samples; at most {MAX_FILES:,} are scored here."
                    " Use evaluate score for more."
                )
            folders = _folder_names({path.parent for path, _ in wanted})
            left_bytes = MAX_BYTES
            damaged = 0
            for path, entry in wanted:
                target = into / folders[path.parent] / path.name
                if target.exists():
                    note(
                        f"The zip holds {shorten(str(path))} twice; the first is scored, take the other out."
                    )
                elif entry.file_size > MAX_FILE_BYTES:
                    note(
                        f"{shorten(str(path))} has {entry.file_size >> 20} MiB and was left out; cut it to"
                        f" {MAX_AUDIO_S:.0f} s or less."
                    )
                else:
                    try:
                        left_bytes = _extract(file, entry, target, left_bytes)
                    except _DAMAGED:
                        # what was written counts, though it is taken away
                        left_bytes -= target.stat().st_size if target.exists() else 0
                        target.unlink(missing_ok=True)
                        damaged += 1
                        if damaged == len(wanted):
                            raise
                        note(f"{shorten(str(path))} is damaged or has a password, and was left out.")
    except _UNREADABLE:
        raise BadInput(
            f"The file cannot be unpacked: it {_what_it_is(archive)}. Make a plain zip, without a password,"
            f" of ROOT/ID/{AGENT_WORDS} and so on."
        ) from None
    found = f"; it holds {_listed(beside)}" if beside else ""
    if not wanted:
        inside = _ONE_INSIDE if any(".zip" in name for name in beside) else ""
        raise BadInput(
            f"The zip holds no sample: there is no {AGENT_WORDS}, {AGENT_AUDIO} or {USER_AUDIO} to take in it"
            f"{found}. {inside}Make one of ROOT/ID/{AGENT_WORDS} and so on."
        )
    if beside:
        note(f"Passed over, as no part of a sample: {_listed(beside)}.")
    return into


def _what_it_is(archive: Path) -> str:
    """Return what stands in place of a zip that can be read."""
    with archive.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"PK"):
        return "has a password, or is damaged or cut off"
    return other_than_sound(head) or "is no zip"


def _sorted_out(file: zipfile.ZipFile) -> tuple[list[tuple[PurePosixPath, zipfile.ZipInfo]], list[str]]:
    """Return the samples' files with the paths that they stand for, and the names of others."""
    wanted: list[tuple[PurePosixPath, zipfile.ZipInfo]] = []
    beside: list[str] = []
    for entry in file.infolist():
        name = _name_of(entry)
        # where it was packed does not matter: "/home/me/1/output.json", "C:/1/output.json"
        path = PurePosixPath(re.sub(r"^(?:[A-Za-z]:)?/*", "", name))
        # what systems add of their own: __MACOSX, "._" copies, .DS_Store
        hidden = any(part.startswith((".", "__MACOSX")) and part != ".." for part in path.parts)
        if hidden or name.endswith("/") or not path.parts:
            continue
        unsafe = "a link" if stat.S_ISLNK(entry.external_attr >> 16) else ""
        unsafe = "leads out of the zip" if ".." in path.parts else unsafe
        if path.name.casefold() not in SAMPLE_FILES:
            beside.append(shorten(name))
        elif unsafe:
            beside.append(f"{shorten(name)} ({unsafe})")
        else:
            wanted.append((path.with_name(path.name.casefold()), entry))
    return wanted, beside


def _name_of(entry: zipfile.ZipInfo) -> str:
    """Return an entry's name with slashes, in the composed form of Unicode."""
    name = entry.filename
    if not entry.flag_bits & _UTF8_FLAG:
        with suppress(UnicodeError):
            # macOS writes UTF-8 without saying so, and `zipfile` reads that as code page 437
            name = name.encode("cp437").decode("utf-8")
    # Windows PowerShell 5 separates with backslashes
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _folder_names(folders: set[PurePosixPath]) -> dict[PurePosixPath, str]:
    """Return a name of its own for each sample's folder: its path below the folder that holds them all."""
    parents = {folder.parent for folder in folders}
    root = PurePosixPath(commonpath(parents)) if parents else PurePosixPath()
    names: dict[PurePosixPath, str] = {}
    taken: defaultdict[str, int] = defaultdict(int)
    for folder in sorted(folders):
        name = "-".join(folder.relative_to(root).parts)[-MAX_NAME_CHARS:] or "sample"
        taken[name] += 1
        names[folder] = name if taken[name] == 1 else f"{name}~{taken[name]}"
    return names


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


class _BoundedReads(io.FileIO):
    """A file of which little can be read at once: `zipfile` reads the whole list of names in one piece, and
    makes an object of each.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            at = self.tell()
            size = self.seek(0, io.SEEK_END) - at
            self.seek(at)
        if size > MAX_DIRECTORY_BYTES:
            raise BadInput(
                "The zip holds too many files to look through; pack the samples' folders alone. Use evaluate"
                " score for more."
            )
        return super().read(size) or b""


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
