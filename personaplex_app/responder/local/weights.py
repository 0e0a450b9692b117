"""Fetch the small language model from the Hub, once, and convert it."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers

from ...atomic import write_atomically
from ...errors import EngineUnavailable, WeightsError
from ...model.hub_repo import HubAccess
from ...model.transfer import HTTPError, Source, digest, download
from .conversion import CONFIG_FILE, MODEL_FILE, TOKENIZER_FILE, WEIGHTS_FILE, convert

_log = logging.getLogger(__name__)
RECEIPT_FILE = "converted.json"
"""The converted files' hashes, written last: where it is, the folder is whole."""
_CONVERTED = (MODEL_FILE, f"{MODEL_FILE}.data", TOKENIZER_FILE)
_SPARE_BYTES = 200_000_000
# of the weights as released, what their converted copy has
_CONVERTED_SHARE = 0.6
_LOG_EVERY_SHARE = 0.1


@dataclass(frozen=True)
class HubModel:
    """A model at one commit of its repository; `files` are each file's size and sha256 by name."""

    repo: str
    commit: str
    files: Mapping[str, tuple[int, str]]
    licence: str

    @property
    def size_bytes(self) -> int:
        return sum(size for size, _ in self.files.values())


# Source: the Hub's listing of this commit, as several public projects that pin it quote it.
SMALL_MODEL = HubModel(
    "Qwen/Qwen2.5-0.5B-Instruct",
    "7ae557604adf67be50417f59c2c2f167def9a775",
    {
        CONFIG_FILE: (659, "18e18afcaccafade98daf13a54092927904649e1dd4eba8299ab717d5d94ff45"),
        TOKENIZER_FILE: (7_031_645, "c0382117ea329cdf097041132f6d735924b697924d6f6fc3945713e96ce87539"),
        WEIGHTS_FILE: (988_097_824, "fdf756fa7fcbe7404d5c60e26bff1a0c8b8aa1f72ced49e7dd0210fe288fb7fe"),
    },
    "Apache-2.0",
)


def folder_of(model: HubModel, data: Path) -> Path:
    """Return the folder of a model's converted files, whether they are there or not."""
    return data / "language-model" / f"{model.repo.partition('/')[2]}-{model.commit[:12]}"


def describe(model: HubModel, data: Path) -> str:
    """Return what a model is and what its use costs, before anything is downloaded."""
    what = f"{model.repo} ({model.licence})"
    if (folder_of(model, data) / RECEIPT_FILE).is_file():
        return f"{what}, converted in {folder_of(model, data)}"
    minutes = model.size_bytes * 8 / 50e6 / 60
    return (
        f"{what}: {model.size_bytes / 1e9:.2f} GB are downloaded once, {minutes:.0f} minutes at 50 Mbit/s,"
        f" and converted in about half a minute; {model.size_bytes * _CONVERTED_SHARE / 1e9:.1f} GB stay on"
        " the disk, and about 1.1 GB of memory are used"
    )


def fetch(model: HubModel, data: Path, access: HubAccess) -> Path:
    """Return the folder of the converted model, after downloading and converting it where it is not there.

    Raises: EngineUnavailable when it cannot be downloaded, WeightsError when a file is another one.
    """
    folder = folder_of(model, data)
    if (folder / RECEIPT_FILE).is_file():
        return checked(folder)
    _log.info("the language model: %s", describe(model, data))
    source = folder.with_name(f"{folder.name}.download")
    remedy = "set PERSONAPLEX_LOCAL_MODEL to a folder that holds it"
    with telling_of(model, folder, remedy):
        source.mkdir(parents=True, exist_ok=True)
        _check_disk_space(model, source)
        download_files(model, source, access)
        return converted(source, folder, keep=False)


@contextmanager
def telling_of(model: HubModel, folder: Path, remedy: str) -> Iterator[None]:
    """Make a clear error of whatever keeps a model from being downloaded; `remedy` is another way.

    Raises: EngineUnavailable.
    """
    try:
        yield
    except HfHubHTTPError as error:
        raise EngineUnavailable(
            f"The Hub refused {model.repo} with status {error.response.status_code}; look at"
            f" https://huggingface.co/{model.repo}, or {remedy}."
        ) from error
    except (HTTPError, OfflineModeIsEnabled) as error:
        raise EngineUnavailable(
            f"The Hub cannot be reached ({type(error).__name__}), so {model.repo} is not here; start again"
            f" with a network, or {remedy}."
        ) from error
    except OSError as error:
        raise EngineUnavailable(
            f"{model.repo} cannot be written to {folder.parent} ({error.strerror}); make room there, or"
            " choose another folder with --data."
        ) from error


def converted(source: Path, folder: Path, keep: bool = True) -> Path:
    """Return the folder of the converted model of a checkpoint, which is left in place if `keep`.

    Raises: WeightsError, OSError.
    """
    if (folder / RECEIPT_FILE).is_file():
        return checked(folder)
    # whole or not at all: a conversion that was cut short is made anew
    part = folder.with_name(f"{folder.name}.part")
    for unfinished in (part, folder):
        shutil.rmtree(unfinished, ignore_errors=True)
    part.mkdir(parents=True)
    convert(source, part)
    shutil.copyfile(source / TOKENIZER_FILE, part / TOKENIZER_FILE)
    hashes = {name: digest(part / name, "", lambda at: None) for name in _CONVERTED}
    write_atomically(part / RECEIPT_FILE, json.dumps(hashes).encode())
    part.rename(folder)
    if not keep:
        shutil.rmtree(source)
    return folder


def checked(folder: Path) -> Path:
    """Return the folder of a converted model after checking its files' hashes.

    Raises: WeightsError naming the file that has changed.
    """
    hashes = json.loads((folder / RECEIPT_FILE).read_text("utf-8"))
    for name in _CONVERTED:
        if digest(folder / name, "", lambda at: None) != hashes.get(name):
            raise WeightsError(
                f"{folder / name} has changed since it was made; delete {folder} and start again: it is made"
                " anew."
            )
    return folder


def _check_disk_space(model: HubModel, folder: Path) -> None:
    here = sum(file.stat().st_size for file in folder.iterdir())
    needed = model.size_bytes * (1 + _CONVERTED_SHARE) - here + _SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise EngineUnavailable(
            f"{model.repo} needs {needed / 1e9:.1f} GB in {folder.parent} while it is converted, and"
            f" {free / 1e9:.1f} GB are free. Make room there, or choose another folder with --data."
        )


def download_files(
    model: HubModel, folder: Path, access: HubAccess, report: Callable[[int], None] = lambda at: None
) -> None:
    """Download a model's files into an existing folder, each verified; those that are there are left alone.

    `report` is called with the bytes of the file that are there so far, and may raise to end the download.
    Raises: HfHubHTTPError, HTTPError, EngineUnavailable, WeightsError, OSError.
    """
    for name in model.files:
        _download(model, name, folder / name, access, report)


def _download(
    model: HubModel, name: str, path: Path, access: HubAccess, report: Callable[[int], None]
) -> None:
    if path.is_file():
        return
    size_bytes, sha256 = model.files[name]
    url = hf_hub_url(model.repo, name, revision=model.commit, endpoint=access.endpoint)
    # False keeps `huggingface_hub` from looking for a token by itself: the repository is open to everybody
    source = Source(name, url, build_hf_headers(token=access.any_token() or False), size_bytes)
    part = path.with_name(f"{name}.incomplete")
    log = _progress(f"{model.repo.partition('/')[2]}: {name}", size_bytes)

    def told(at_bytes: int) -> None:
        report(at_bytes)
        log(at_bytes)

    download(source, part, access.retry_delays_s, told)
    found = digest(part, sha256, lambda at: None)
    if found != sha256:
        part.unlink()  # or the next start would resume a broken file
        raise WeightsError(
            f"{name} of {model.repo} arrived altered: expected {sha256[:16]}…, found {found[:16]}…. Nothing"
            " of it was kept. Unset HF_ENDPOINT if it names a mirror, and start again."
        )
    part.replace(path)


def _progress(name: str, size_bytes: int) -> Callable[[int], None]:
    """Return a listener that logs each tenth of a download."""
    told = 0.0

    def report(at_bytes: int) -> None:
        nonlocal told
        share = at_bytes / max(size_bytes, 1)
        if share >= told + _LOG_EVERY_SHARE:
            told = share
            _log.info("%s, %.0f of %.0f MB", name, at_bytes / 1e6, size_bytes / 1e6)

    return report
