"""Name a checkpoint, say how the Hub is reached, and look into its cache. Nothing here uses the network.

Source: the cache's layout is documented at https://huggingface.co/docs/hub/local-cache.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import constants, get_token

from ..errors import WeightsError
from ..settings import Settings
from .config import CONFIG_FILE, LM_FILE, MIMI_FILE, TOKENIZER_FILE, VOICES_FILE, mimi_config_file
from .transfer import RETRY_DELAYS_S

RELEASED = "nvidia/personaplex-7b-v1"
RELEASED_REVISION = "fdaf4090a61cb315c138a1faee287ffd6c716309"
RELEASED_SHA256 = {TOKENIZER_FILE: "78d4336533ddc26f9acf7250d7fb83492152196c6ea4212c841df76933f18d2d"}
"""Hashes of the pinned revision's files that are known without asking the Hub."""
FILES = (CONFIG_FILE, TOKENIZER_FILE, VOICES_FILE, MIMI_FILE, LM_FILE)
SUMS_FILE = "SHA256SUMS"
# a git object id for small files, a sha256 for large ones
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")
# as the Hub allows names: neither ".." nor "--" in them
_REPO = re.compile(r"(?!.*(?:\.\.|--))[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@\w[\w./-]*)?")


@dataclass(frozen=True)
class HubRepo:
    """A repository at a revision; `sha256` holds the hashes of its files that are known beforehand."""

    name: str
    revision: str = "main"
    sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def page(self) -> str:
        return f"https://huggingface.co/{self.name}"

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}"


@dataclass(frozen=True)
class HubAccess:
    """How the Hub is reached and where its files are cached; the defaults are those of `huggingface_hub`.

    `receipts` is a folder in which the program remembers the files that it has verified.
    """

    token: str = field(default="", repr=False)
    receipts: Path | None = None
    cache: Path | None = None
    endpoint: str | None = None
    retry_delays_s: tuple[float, ...] = RETRY_DELAYS_S

    def any_token(self) -> str | None:
        """Return the token of the settings, else that of HF_TOKEN or of the Hub's login."""
        return self.token or get_token()

    def folder(self, repo: HubRepo) -> Path:
        """Return the folder of a repository in the cache."""
        return (self.cache or Path(constants.HF_HUB_CACHE)) / f"models--{repo.name.replace('/', '--')}"


def parse(text: str) -> Path | HubRepo:
    """Return the folder or the Hub repository that a `--checkpoint` names.

    An existing folder comes before a repository of the same name; an empty text is the released model at its
    pinned revision.
    """
    if text and (Path(text).exists() or not _REPO.fullmatch(text)):
        return Path(text).expanduser()
    name, _, revision = (text or RELEASED).partition("@")
    if name == RELEASED and revision in ("", RELEASED_REVISION):
        return HubRepo(name, RELEASED_REVISION, RELEASED_SHA256)
    return HubRepo(name, revision or "main")


def cached(repo: HubRepo, access: HubAccess) -> Path | None:
    """Return the folder of a checkpoint that is complete in the cache, else None, without asking the Hub."""
    commit = repo.revision
    if not COMMIT.fullmatch(commit):
        try:
            commit = (access.folder(repo) / "refs" / commit).read_text("utf-8").strip()
        except (OSError, ValueError):
            return None
    folder = access.folder(repo) / "snapshots" / commit
    whole = (
        commit
        and all((folder / name).is_file() for name in FILES)
        and all((folder / name).is_file() for name in named_files(folder))
    )
    return folder if whole else None


def known_hashes(folder: Path) -> dict[str, str]:
    """Return the hashes that a folder of its own knows for its files, by name.

    They stand in a file SHA256SUMS, as `sha256sum` writes it, or in what `hf download --local-dir` notes.
    """
    found: dict[str, str] = {}
    for name in FILES:
        try:
            noted = folder / ".cache" / "huggingface" / "download" / f"{name}.metadata"
            found[name] = noted.read_text("utf-8").split("\n")[1].strip()
        except (OSError, ValueError, IndexError):
            continue
    try:
        lines = (folder / SUMS_FILE).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    for hash_, _, name in (line.strip().partition(" ") for line in lines):
        found[name.lstrip(" *")] = hash_.lower()
    return {name: hash_ for name, hash_ in found.items() if name in FILES and HASH.fullmatch(hash_)}


def named_files(folder: Path) -> tuple[str, ...]:
    """Return the names of further files that the configuration refers to."""
    try:
        name = mimi_config_file(folder)
    except WeightsError:  # reported when the checkpoint is loaded
        return ()
    return (name,) if name else ()


def hub_access(settings: Settings) -> HubAccess:
    """Return how these settings reach the Hub."""
    return HubAccess(settings.hf_token, settings.data / "checkpoints")
