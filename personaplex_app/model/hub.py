"""Fetch a checkpoint from a Hub repository into the Hub's own cache.

Only the files that are needed are downloaded; a cut download is resumed, and every file is checked by its
hash.

Source: the cache's layout is documented at https://huggingface.co/docs/hub/local-cache; a blob is named by
its sha256 (large files) or its git object id (small ones), which is how a cached file can be checked without
the Hub.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from httpx import LocalProtocolError
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import WeakFileLock, build_hf_headers

from ..errors import EngineUnavailable, WeightsError
from .config import CONFIG_FILE
from .hub_errors import cached_or_unavailable, disk_error, not_a_hub, refused, unusable_token
from .hub_repo import COMMIT, FILES, HASH, RELEASED, HubAccess, HubRepo, cached, named_files
from .transfer import HTTPError, Source, digest, download

SPARE_BYTES = 200_000_000
"""Disk space that a download leaves free."""
RECEIPTS_FILE = "checked.json"
Report = Callable[[Literal["downloading", "loading"], str, float], None]
"""Called with the stage, what is being done, and the share done, 0 to 1."""


@dataclass(frozen=True)
class HubFile:
    """A file as the Hub lists it: `hash` is a sha256, or a git object id where it has 40 digits."""

    name: str
    size_bytes: int
    hash: str


def fetch(repo: HubRepo, access: HubAccess, report: Report) -> Path:
    """Return the folder of a complete, verified checkpoint, downloading the files that the cache lacks.

    Raises: EngineUnavailable when it cannot be downloaded, WeightsError when a file is not the published one;
    each names the next step.
    """
    folder = cached(repo, access)
    receipts = _Receipts(access.receipts)
    # a commit never changes, so that a cached one needs no network; a branch may have moved on
    if not (folder and COMMIT.fullmatch(repo.revision)):
        try:
            folder = _download_missing(repo, access, receipts, report)
        except HTTPError as error:
            # below 500 is the Hub's decision; anything else may pass, and a complete cache will do
            if isinstance(error, HfHubHTTPError) and error.response.status_code < 500:
                raise refused(repo, access, error) from error
            folder = cached_or_unavailable(repo, folder, error)
        except OfflineModeIsEnabled as error:
            folder = cached_or_unavailable(repo, folder, error)
    _check_cached(repo, folder, receipts, report)
    return folder


def _download_missing(repo: HubRepo, access: HubAccess, receipts: _Receipts, report: Report) -> Path:
    """Download what the cache lacks of the newest commit of the revision, and return its folder."""
    commit, listing = _listing(repo, access)
    folder = access.folder(repo) / "snapshots" / commit
    missing = [_listed_file(repo, listing, name) for name in FILES if not (folder / name).is_file()]
    download_files = _Downloader(
        repo, access, folder, receipts, report, sum(file.size_bytes for file in missing)
    )
    # the configuration first: it may name one more file, and being small it shows soon whether access is
    # granted
    download_files([_listed_file(repo, listing, CONFIG_FILE)])
    names = [*FILES, *named_files(folder)]
    download_files(
        sorted((_listed_file(repo, listing, name) for name in names), key=lambda file: file.size_bytes)
    )
    if repo.revision != commit:
        # last, since a cached reference is taken for a complete commit
        ref = access.folder(repo) / "refs" / repo.revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit, "utf-8")
    return folder


def _listing(repo: HubRepo, access: HubAccess) -> tuple[str, dict[str, HubFile]]:
    """Return the commit that the revision points to, and its files by name."""
    # False keeps `huggingface_hub` from looking for a token by itself
    api = HfApi(endpoint=access.endpoint, token=access.any_token() or False)
    try:
        info = api.model_info(
            repo.name, revision=repo.revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT
        )
        listing = {
            each.rfilename: HubFile(
                each.rfilename, each.size or 0, each.lfs.sha256 if each.lfs else each.blob_id or ""
            )
            for each in info.siblings or ()
        }
    except (UnicodeEncodeError, LocalProtocolError) as error:
        raise unusable_token(access) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise not_a_hub(access) from error
    if not COMMIT.fullmatch(info.sha or ""):
        raise not_a_hub(access)
    return str(info.sha), listing


@dataclass
class _Downloader:
    """Downloads files into the cache one by one and reports progress towards their total size."""

    repo: HubRepo
    access: HubAccess
    folder: Path
    receipts: _Receipts
    report: Report
    # of all files of the checkpoint, which the progress counts towards, over several calls
    total_bytes: int
    done_bytes: int = 0

    def __call__(self, files: list[HubFile]) -> None:
        missing = [file for file in files if not (self.folder / file.name).is_file()]
        try:
            self._check_disk_space(missing)
            for file in missing:
                self._download(file)
                self.done_bytes += file.size_bytes
        except HTTPError:  # some HTTP errors are OSErrors too, and are not the disk's
            raise
        except OfflineModeIsEnabled:
            raise
        except OSError as error:
            raise disk_error(error, self.folder) from error

    def _blob(self, file: HubFile) -> Path:
        return self.access.folder(self.repo) / "blobs" / file.hash

    def _check_disk_space(self, files: list[HubFile]) -> None:
        # by blob, since two files may have the same content
        parts = {_part(self._blob(file)): file for file in files if not self._blob(file).exists()}
        needed_bytes = sum(
            max(file.size_bytes - (part.stat().st_size if part.exists() else 0), 0)
            for part, file in parts.items()
        )
        existing = next(parent for parent in self.folder.parents if parent.exists())
        free_bytes = shutil.disk_usage(existing).free
        if needed_bytes and needed_bytes + SPARE_BYTES > free_bytes:
            raise EngineUnavailable(
                f"{self.repo.name} needs {needed_bytes / 1e9:,.1f} GB more on the disk of {existing}, and"
                f" {free_bytes / 1e9:,.1f} GB are free. Make room there, or set HF_HOME to a folder on a"
                " larger disk, and start again."
            )

    def _report_progress(self, doing: str, at_bytes: int) -> None:
        reached_bytes = min(self.done_bytes + at_bytes, self.total_bytes)
        unit, unit_bytes = ("GB", 1e9) if self.total_bytes > 1e9 else ("MB", 1e6)
        amount = f"{reached_bytes / unit_bytes:.1f} of {self.total_bytes / unit_bytes:.1f} {unit}"
        self.report("downloading", f"{doing}, {amount}", reached_bytes / max(self.total_bytes, 1))

    def _download(self, file: HubFile) -> None:
        blob = self._blob(file)
        pointer = self.folder / file.name
        lock = self.access.folder(self.repo).parent / ".locks" / blob.parent.parent.name / f"{file.hash}.lock"
        for path in (blob, pointer, lock):
            path.parent.mkdir(parents=True, exist_ok=True)
        # the lock that `huggingface_hub` uses for the same blob, so that both may run at once
        with WeakFileLock(lock):
            # another process may have finished the download while this one waited for the lock
            if not blob.exists():
                part = _part(blob)
                url = hf_hub_url(
                    self.repo.name, file.name, revision=self.folder.name, endpoint=self.access.endpoint
                )
                headers = build_hf_headers(token=self.access.any_token() or False)
                download(
                    Source(file.name, url, headers, file.size_bytes),
                    part,
                    self.access.retry_delays_s,
                    lambda at: self._report_progress(file.name, at),
                )
                found = digest(
                    part,
                    file.hash,
                    lambda at: self._report_progress(f"checking {file.name}", file.size_bytes),
                )
                if found != file.hash:
                    part.unlink()  # or the next start would resume a broken file
                    raise WeightsError(
                        f"{file.name} arrived altered: expected {file.hash[:16]}…, found {found[:16]}…."
                        " Nothing of it was kept. Start again; if it happens twice, something between here"
                        " and the Hub changes files: try another network."
                    )
                _check_known(self.repo, file.name, part)
                # last: under its hash's name a blob counts as verified
                part.replace(blob)
            # `symlink_to` refuses an existing name, also that of a broken link
            pointer.unlink(missing_ok=True)
            try:
                pointer.symlink_to(os.path.relpath(blob, pointer.parent))
            except OSError:  # Windows allows symbolic links only to some users
                blob.replace(pointer)
        self.receipts.note(pointer, file.hash)


def _part(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.incomplete")


def _listed_file(repo: HubRepo, listing: Mapping[str, HubFile], name: str) -> HubFile:
    file = listing.get(name)
    if file is None or not HASH.fullmatch(file.hash):
        raise WeightsError(
            f"The Hub repository {repo} has no {name}: it is not a whole PersonaPlex checkpoint. "
            f"Use --checkpoint {RELEASED}, or one laid out like it."
        )
    return file


def _check_cached(repo: HubRepo, folder: Path, receipts: _Receipts, report: Report) -> None:
    """Check the hash of each cached file, unless it was checked before and has not changed since.

    Raises: WeightsError naming the file that is not the published one.
    """
    for name in (*FILES, *named_files(folder)):
        path = folder / name
        _check_known(repo, name, path)
        expected = path.resolve().name
        if not HASH.fullmatch(expected) or receipts.has(path, expected):
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
    """Remembers which files were verified, by size and modification time.

    Without it every start would read 17 GB to hash them.
    """

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
        """Remember a verified file; if that cannot be written, it is verified again at the next start."""
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
        stat = path.stat()
        return [str(path.resolve()), stat.st_size, stat.st_mtime_ns]
