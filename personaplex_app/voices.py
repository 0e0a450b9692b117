"""All voices by name, PersonaPlex's 18 and the embedded engine's, and reading `voices.tgz` without trust."""

from __future__ import annotations

import difflib
import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .errors import UnknownVoice, WeightsError, shorten
from .foreign_files import absent, told_apart

MAX_ARCHIVE_BYTES = 64 * 2**20
"""Most that the archive may unpack to; the released one has 6 to 8 MB."""
MAX_VOICE_BYTES = 4 * 2**20
MAX_MEMBERS = 1000
CLONE_LUFS = -24.0
"""The loudness that the model's voice prompts were trained at."""
MAX_CLONE_BYTES = 64 * 2**10
CLONE_PREFIX = "clone:"
"""Prefix of a cloned voice's name on the wire, before its id."""


@dataclass(frozen=True)
class Voice:
    """A voice that users can choose. `family` groups voices in the gallery."""

    name: str
    title: str
    description: str
    family: str


@dataclass(frozen=True)
class Family:
    """A group of voices; `prefix` begins their names, `embedded` is the embedded engine's nearest voice."""

    prefix: str
    title: str
    description: str
    count: int
    embedded: str


_EVEN = "Even and close to everyday speech; the family to begin with."
_COLOURFUL = "More colour and more accents, less alike among themselves."
FAMILIES = (
    Family("NATF", "Natural, female", _EVEN, 4, "natural"),
    Family("NATM", "Natural, male", _EVEN, 4, "deep"),
    Family("VARF", "Varied, female", _COLOURFUL, 5, "bright"),
    Family("VARM", "Varied, male", _COLOURFUL, 5, "firm"),
)
NO_VOICE = "none"
"""Stands for a talk without a voice prompt."""
NAMES = tuple(f"{family.prefix}{k}" for family in FAMILIES for k in range(family.count))
EMBEDDED = tuple(
    Voice(name, title, description, "Embedded")
    for name, title, description in (
        ("natural", "Natural", "A clear, even woman's voice."),
        ("warm", "Warm", "A lower, calm woman's voice."),
        ("deep", "Deep", "A low man's voice."),
        ("bright", "Bright", "The natural woman's voice, higher and lively."),
        ("light", "Light", "The natural woman's voice, high and light, like a younger speaker."),
        ("firm", "Firm", "A higher man's voice, brisk and clear."),
    )
)
SPANISH = tuple(
    Voice(name, title, description, "Español")
    for name, title, description in (
        ("dora", "Dora", "Una voz de mujer, clara y cercana."),
        ("alex", "Alex", "Una voz de hombre, tranquila."),
    )
)
"""The embedded engine's Spanish voices, where their packages are installed."""
EMBEDDED_NAMES = tuple(voice.name for voice in (*EMBEDDED, *SPANISH))


def family_of(name: str) -> Family:
    """Return a voice's family.

    Raises: UnknownVoice, with the closest names.
    """
    if name in NAMES:
        return next(family for family in FAMILIES if name.startswith(family.prefix))
    raise _unknown(name, NAMES)


def checked_voice(name: str) -> str:
    """Return the name of a voice that some engine of ours has, without the ".pt" of a released one.

    Raises: UnknownVoice, with the closest names.
    """
    name = name.removesuffix(".pt")
    if name not in (*NAMES, *EMBEDDED_NAMES):
        raise _unknown(name, (*NAMES, *EMBEDDED_NAMES))
    return name


def _unknown(name: str, names: tuple[str, ...]) -> UnknownVoice:
    by_folded = {each.casefold(): each for each in names}
    close = [by_folded[each] for each in difflib.get_close_matches(name.casefold(), by_folded, cutoff=0.5)]
    hint = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(names)}."
    return UnknownVoice(f"There is no voice {shorten(name)}. {hint}")


def released_voice(name: str) -> Voice:
    """Return a released voice with its title and description for the gallery.

    Raises: UnknownVoice.
    """
    family = family_of(name)
    return Voice(
        name, f"{family.title} {int(name[len(family.prefix) :]) + 1}", family.description, family.title
    )


def read_archive(path: Path) -> dict[str, bytes]:
    """Return the contents of the voice files in `voices.tgz`, by voice name; other members are ignored.

    Everything is read in memory, so that no member can write outside a folder.
    Raises: WeightsError when the file is no such archive, or unpacks to more than the limit.
    """
    voices: dict[str, bytes] = {}
    try:
        with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) as unpacked:
            for name, content in _members(path, _Bounded(unpacked, path.name)):
                if name in voices:
                    raise WeightsError(f"{path.name} holds the voice {name} twice. Download it again.")
                voices[name] = content
    except FileNotFoundError as error:
        raise WeightsError(absent(path)) from error
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError, OverflowError) as error:
        otherwise = f"{path.name} cannot be unpacked ({type(error).__name__}). Download it again."
        raise WeightsError(told_apart(path, otherwise)) from error
    if not voices:
        raise WeightsError(f"{path.name} holds none of the {len(NAMES)} voices. Download it again.")
    return voices


def _members(path: Path, stream: _Bounded) -> Iterator[tuple[str, bytes]]:
    # people pack the folder, or what is in it, and systems write its names in their own way
    wanted = {f"{name}.pt".casefold(): name for name in NAMES}
    # as a stream: `_Bounded` counts what is read, which seeking would defeat
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for number, member in enumerate(archive):
            if number >= MAX_MEMBERS:
                raise WeightsError(
                    f"{path.name} has more than {MAX_MEMBERS:,} members; the release has about 20. Download"
                    " it again."
                )
            inside = PurePosixPath(member.name.replace("\\", "/"))
            safe = not inside.is_absolute() and ".." not in inside.parts
            name = wanted.get(inside.name.casefold()) if safe else None
            # a sparse member unpacks to more than the archive holds
            if name is None or not member.isreg() or member.issparse():
                continue
            if member.size > MAX_VOICE_BYTES:
                raise WeightsError(
                    f"{path.name}: {name}.pt has {member.size:,} bytes; a voice has at most"
                    f" {MAX_VOICE_BYTES:,}."
                )
            content = archive.extractfile(member)
            if content is not None:
                yield name, content.read(MAX_VOICE_BYTES)


class _Bounded(io.RawIOBase):
    """A stream that raises past the limit, whatever sizes the archive's headers claim."""

    def __init__(self, inner: gzip.GzipFile, name: str) -> None:
        self._inner = inner
        self._name = name
        self._left_bytes = MAX_ARCHIVE_BYTES

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._inner.read(min(size, MAX_ARCHIVE_BYTES) if size >= 0 else MAX_ARCHIVE_BYTES)
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise WeightsError(
                f"{self._name} unpacks to more than {MAX_ARCHIVE_BYTES:,} bytes. Download it again."
            )
        return data
