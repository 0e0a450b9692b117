"""A checkpoint from a Hub repository: only its needed files, resumed after a cut, checked byte for byte, in
the Hub's own cache.

Source: the cache's layout is documented at https://huggingface.co/docs/hub/local-cache; a blob is named by
its sha256 (large files) or its git object id (small ones), which is how a cached file can be checked without
the Hub.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import WeakFileLock, build_hf_headers

from ..errors import EngineUnavailable, WeightsError
from .config import CONFIG_FILE
from .hub_errors import no_hub, refused, unwritable, without_the_hub
from .hub_repo import COMMIT, FILES, RELEASED, HubAccess, HubRepo, cached, named_files
from .transfer import HTTPError, Source, digest, download

SPARE_BYTES = 200_000_000
"""Left free on the disk for everything else."""
RECEIPTS_FILE = "checked.json"
Report = Callable[[Literal["downloading", "loading"], str, float], None]
"""Takes the stage, what is being done, and the share done, 0 to 1."""

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class HubFile:
    """What the Hub says of a file: `hash` is a sha256, or a git object id where it has 40 digits."""

    name: str
    size_bytes: int
    hash: str


def fetch(repo: HubRepo, access: HubAccess, report: Report) -> Path:
    """Return the folder of a whole checkpoint whose files are the published ones, downloading what is not in
    the cache.

    Raises: EngineUnavailable where it cannot be had, WeightsError where it is not what was published; each
    with the next step.
    """
    folder = cached(repo, access)
    receipts = _Receipts(access.receipts)
    if not (folder and COMMIT.fullmatch(repo.revision)):
        try:
            folder = _brought(repo, access, receipts, report)
        except HTTPError as error:
            if isinstance(error, HfHubHTTPError) and error.response.status_code < 500:
                raise refused(repo, access, error) from error
            folder = without_the_hub(repo, folder, error)
        except OfflineModeIsEnabled as error:
            folder = without_the_hub(repo, folder, error)
    _check_cached(repo, folder, receipts, report)
    return folder


def _brought(repo: HubRepo, access: HubAccess, receipts: _Receipts, report: Report) -> Path:
    commit, listing = _listing(repo, access)
    folder = access.folder(repo) / "snapshots" / commit
    missing = [_listed(repo, listing, name) for name in FILES if not (folder / name).is_file()]
    bring = _Bringing(repo, access, folder, receipts, report, sum(file.size_bytes for file in missing))
    # the configuration may name one more file; it also shows, before the large ones, whether we may read any
    bring([_listed(repo, listing, CONFIG_FILE)])
    names = [*FILES, *named_files(folder)]
    bring(sorted((_listed(repo, listing, name) for name in names), key=lambda file: file.size_bytes))
    if repo.revision != commit:
        ref = access.folder(repo) / "refs" / repo.revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit, "utf-8")
    return folder


def _listing(repo: HubRepo, access: HubAccess) -> tuple[str, dict[str, HubFile]]:
    """Return the commit that the revision means, and its files."""
    api = HfApi(endpoint=access.endpoint, token=access.any_token() or False)
    try:
        info = api.model_info(
            repo.name, revision=repo.revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT
        )
        listing = {
            each.rfilename: HubFile(
                each.rfilename, int(each.size or 0), each.lfs.sha256 if each.lfs else each.blob_id or ""
            )
            for each in info.siblings or ()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise no_hub(access) from error
    if not COMMIT.fullmatch(info.sha or ""):
        raise no_hub(access)
    return str(info.sha), listing


@dataclass
class _Bringing:
    """Brings files into the cache one by one, counting towards a total."""

    repo: HubRepo
    access: HubAccess
    folder: Path
    receipts: _Receipts
    report: Report
    total_bytes: int
    done_bytes: int = 0

    def __call__(self, files: list[HubFile]) -> None:
        missing = [file for file in files if not (self.folder / file.name).is_file()]
        try:
            self._check_room(missing)
            for file in missing:
                self._bring(file)
                self.done_bytes += file.size_bytes
        except HTTPError:  # some of them are OSErrors too
            raise
        except OfflineModeIsEnabled:
            raise
        except OSError as error:
            raise unwritable(error, self.folder) from error

    def _blob(self, file: HubFile) -> Path:
        return self.access.folder(self.repo) / "blobs" / file.hash

    def _check_room(self, files: list[HubFile]) -> None:
        held = {_part(self._blob(file)): file for file in files if not self._blob(file).exists()}
        needed_bytes = sum(
            max(file.size_bytes - (part.stat().st_size if part.exists() else 0), 0)
            for part, file in held.items()
        )
        place = next(parent for parent in self.folder.parents if parent.exists())
        free_bytes = shutil.disk_usage(place).free
        if needed_bytes and needed_bytes + SPARE_BYTES > free_bytes:
            raise EngineUnavailable(
                f"{self.repo.name} needs {needed_bytes / 1e9:,.1f} GB more on the disk of {place}, and"
                f" {free_bytes / 1e9:,.1f} GB are free. Make room there, or set HF_HOME to a folder on a"
                " larger disk, and start again."
            )

    def _tell(self, doing: str, at_bytes: int) -> None:
        reached_bytes = min(self.done_bytes + at_bytes, self.total_bytes)
        unit, unit_bytes = ("GB", 1e9) if self.total_bytes > 1e9 else ("MB", 1e6)
        amount = f"{reached_bytes / unit_bytes:.1f} of {self.total_bytes / unit_bytes:.1f} {unit}"
        self.report("downloading", f"{doing}, {amount}", reached_bytes / max(self.total_bytes, 1))

    def _bring(self, file: HubFile) -> None:
        blob = self._blob(file)
        pointer = self.folder / file.name
        lock = self.access.folder(self.repo).parent / ".locks" / blob.parent.parent.name / f"{file.hash}.lock"
        for path in (blob, pointer, lock):
            path.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            if not blob.exists():
                part = _part(blob)
                url = hf_hub_url(
                    self.repo.name, file.name, revision=self.folder.name, endpoint=self.access.endpoint
                )
                headers = build_hf_headers(token=self.access.any_token() or False)
                download(
                    Source(file.name, url, headers, file.size_bytes),
                    part,
                    self.access.pauses_s,
                    lambda at: self._tell(file.name, at),
                )
                found = digest(
                    part, file.hash, lambda at: self._tell(f"checking {file.name}", file.size_bytes)
                )
                if found != file.hash:
                    part.unlink()
                    raise WeightsError(
                        f"{file.name} arrived altered: expected {file.hash[:16]}…, found {found[:16]}…."
                        " Nothing of it was kept. Start again; if it happens twice, something between here"
                        " and the Hub changes files: try another network."
                    )
                _check_known(self.repo, file.name, part)
                part.replace(blob)
            pointer.unlink(missing_ok=True)
            try:
                pointer.symlink_to(os.path.relpath(blob, pointer.parent))
            except OSError:  # Windows makes links only for some
                blob.replace(pointer)
        self.receipts.note(pointer, file.hash)


def _part(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.incomplete")


def _listed(repo: HubRepo, listing: Mapping[str, HubFile], name: str) -> HubFile:
    file = listing.get(name)
    if file is None or not _HASH.fullmatch(file.hash):
        raise WeightsError(
            f"The Hub repository {repo} has no {name}: it is not a whole PersonaPlex checkpoint. "
            f"Use --checkpoint {RELEASED}, or one laid out like it."
        )
    return file


def _check_cached(repo: HubRepo, folder: Path, receipts: _Receipts, report: Report) -> None:
    """Check what the cache holds, once for each state of a file.

    Raises: WeightsError naming the file that is not the published one.
    """
    for name in (*FILES, *named_files(folder)):
        path = folder / name
        _check_known(repo, name, path)
        expected = path.resolve().name
        if not _HASH.fullmatch(expected) or receipts.has(path, expected):
            continue
        size_bytes = max(path.stat().st_size, 1)
        found = digest(
            path,
            expected,
            lambda at, name=name, size=size_bytes: report("loading", f"checking {name}", at / size),
        )
        if found != expected:
            raise WeightsError(
                f"{name} in the cache is cut off or altered: expected {expected[:16]}…, found {found[:16]}…. "
                f"Delete {path.resolve()} and start again; it is downloaded anew."
            )
        receipts.note(path, expected)


def _check_known(repo: HubRepo, name: str, path: Path) -> None:
    known = repo.sha256.get(name)
    if known and (found := digest(path, known, lambda at: None)) != known:
        raise WeightsError(
            f"{name} of {repo} is not the one that was published: expected sha256 {known[:16]}…, found"
            f" {found[:16]}…. Do not use it. Unset HF_ENDPOINT if it names a mirror, or set"
            " PERSONAPLEX_CHECKPOINT to a folder that you trust."
        )


class _Receipts:
    """Which files were checked, by size and time, so that 17 GB are not read twice at every start."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / RECEIPTS_FILE if folder else None
        try:
            read = json.loads(self._path.read_text("utf-8")) if self._path else {}
        except (OSError, ValueError):
            read = {}
        self._kept: dict[str, object] = read if isinstance(read, dict) else {}

    def has(self, path: Path, hash_: str) -> bool:
        return self._kept.get(hash_) == self._state(path)

    def note(self, path: Path, hash_: str) -> None:
        """Remember a checked file; where that cannot be written it is checked again at the next start."""
        self._kept[hash_] = self._state(path)
        if self._path:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                part = self._path.with_suffix(f".{os.getpid()}.part")
                part.write_text(json.dumps(self._kept, indent=1), "utf-8")
                part.replace(self._path)
            except OSError:
                return

    @staticmethod
    def _state(path: Path) -> list[object]:
        about = path.stat()
        return [str(path.resolve()), about.st_size, about.st_mtime_ns]
