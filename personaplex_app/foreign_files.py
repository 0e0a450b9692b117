"""Say what a file is that is recognisably something else than its name promises, and which command helps."""

from __future__ import annotations

from pathlib import Path

_HEAD_BYTES = 512
_MAX_NOTE_BYTES = 1_000
_DOWNLOAD = "hf download nvidia/personaplex-7b-v1 --local-dir FOLDER"
# in lower case
_NO_SOUND = {
    b"version https://git-lfs": "a Git LFS pointer, a few lines in place of the file",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"pk\x03\x04": "a zip archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"rar!": "a rar archive; unpack it first",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"%pdf": "a PDF document",
    b"\x89png": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"gif8": "a picture",
    b"mthd": "a MIDI file: notes without sound",
    b"#extm3u": "a list of addresses",
    b"0&\xb2u\x8ef\xcf\x11": "a Windows Media file",
}


def other_than_sound(head: bytes) -> str:
    """Return "is a web page" and the like for the beginning of a file that is no recording, "" if unclear."""
    text = _stripped(head)
    what = next((name for magic, name in _NO_SOUND.items() if text.startswith(magic)), "")
    return f"is {what}" if what else "" if head else "is empty"


def _stripped(head: bytes) -> bytes:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()


def absent(path: Path) -> str:
    """Return a sentence on a file of a checkpoint that is not there."""
    shards = sorted(path.parent.glob(f"{path.stem}-*-of-*{path.suffix}"))
    if shards:
        return (
            f"{path.name} is not in {path.parent.name!r}, which holds shards of it such as {shards[0].name};"
            f" one whole file is read. Fetch that: {_DOWNLOAD}."
        )
    return (
        f"{path.name} is missing in {path.parent.name!r}. Give the folder of a whole checkpoint, or its Hub"
        " repository."
    )


def in_the_way(folder: Path) -> Path | None:
    """Return the file that stands where a folder, or one above it, would be; None where there is none."""
    existing = next((path for path in (folder, *folder.absolute().parents) if path.exists()), None)
    return existing if existing and not existing.is_dir() else None


def told_apart(path: Path, otherwise: str) -> str:
    """Return a sentence on a file that cannot be read: what it is, or `otherwise` where that is not clear."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            size_bytes = path.stat().st_size
    except OSError:
        return otherwise
    what = _kind_of(head, size_bytes, path.suffix)
    return f"{path.name} {what}" if what else otherwise


def _kind_of(head: bytes, size_bytes: int, suffix: str) -> str:
    text = _stripped(head)
    if text.startswith(b"version https://git-lfs.github.com/spec/"):
        return (
            "is a Git LFS pointer, a few lines in place of the file. Run git lfs pull in its folder (git lfs"
            f" install comes before), or {_DOWNLOAD}."
        )
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return f"is a web page: the download was answered with one, such as to log in. Run {_DOWNLOAD}."
    if not head:
        return f"is empty: its download broke off. Run {_DOWNLOAD}."
    is_text = suffix != ".json" and head.isascii()
    if size_bytes <= _MAX_NOTE_BYTES and is_text and text.strip().decode("ascii", "replace").isprintable():
        return (
            f"is a short text, {head.decode('ascii').strip()[:60]!r}, in place of the file. Run {_DOWNLOAD}."
        )
    packed = {b"PK\3\4": "a zip archive or a PyTorch file", b"\x1f\x8b": "a gzip archive"}
    found = next((name for magic, name in packed.items() if head.startswith(magic)), "")
    if found and suffix in (".safetensors", ".model"):
        return f"is {found}, and not what its name says. Run {_DOWNLOAD}."
    return ""
