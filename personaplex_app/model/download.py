"""A checkpoint from the Hub: pinned, resumed after a cut, checked, and a sentence for everything that can stand in the way."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm.auto import tqdm

from ..errors import StorageError, WeightsError, shorten
from .config import CONFIG_FILE, LM_FILE, MIMI_FILE, TOKENIZER_FILE, VOICES_FILE, is_repo, read_json

RELEASED_REPO = "nvidia/personaplex-7b-v1"
REVISIONS = {RELEASED_REPO: "fdaf4090a61cb315c138a1faee287ffd6c716309"}
FILES = (CONFIG_FILE, TOKENIZER_FILE, VOICES_FILE, MIMI_FILE, LM_FILE)
SPARE_BYTES = 2**30
Report = Callable[[str, float], None]


@dataclass(frozen=True)
class Hub:
    """Where and as whom to download. Without `endpoint`, `cache` or `token` those of `huggingface_hub`: HF_ENDPOINT, HF_HOME, HF_TOKEN."""

    endpoint: str | None = None
    cache: Path | None = None
    token: str | None = None


def resolve(checkpoint: str, report: Report, hub: Hub | None = None) -> Path:
    """Return the folder of a checkpoint, downloaded first where it is a repository.

    Raises: WeightsError, StorageError.
    """
    return fetch(checkpoint, report, hub or Hub()) if is_repo(checkpoint) else Path(checkpoint)


def fetch(repo: str, report: Report, hub: Hub) -> Path:
    """Download what is not yet there; `report` gets the file and its share, 0 to 1.

    Raises: WeightsError naming the next step, StorageError where the disk is full.
    """
    if here := _all_here(repo, hub):
        return here
    folder = _get(repo, CONFIG_FILE, hub, report).parent
    names = _names(folder)
    plans = [_call(repo, name, hub, dry_run=True) for name in names]
    missing_bytes = sum(plan.file_size for plan in plans if plan.will_download)
    cache = hub.cache or Path(constants.HF_HUB_CACHE)
    free_bytes = shutil.disk_usage(next(p for p in (cache, *cache.absolute().parents) if p.exists())).free
    if missing_bytes and missing_bytes + SPARE_BYTES > free_bytes:
        raise StorageError(
            f"{repo} needs {missing_bytes / 2**30:.1f} GiB and {free_bytes / 2**30:.1f} GiB are free in {shorten(cache)}; "
            "free some, or set HF_HOME to a larger disk."
        )
    for name, plan in zip(names, plans, strict=True):
        path = _get(repo, name, hub, report)
        if plan.will_download:
            _check(repo, path)
    return folder


def _all_here(repo: str, hub: Hub) -> Path | None:
    """Return the folder of a download that is whole, without asking the network."""
    folder = None
    try:
        for name in FILES:
            path = hf_hub_download(repo, name, revision=REVISIONS.get(repo), cache_dir=hub.cache, local_files_only=True)
            folder = Path(path).parent
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return folder if folder and all((folder / name).exists() for name in _names(folder)) else None


def _names(folder: Path) -> tuple[str, ...]:
    """Return the files beside `config.json`, the codec's configuration among them where it is named."""
    codec = read_json(folder / CONFIG_FILE).get("mimi_config_name")
    return (*FILES[1:], *([codec] if isinstance(codec, str) and Path(codec).name == codec else []))


def _get(repo: str, name: str, hub: Hub, report: Report) -> Path:
    class Bar(tqdm):
        """The terminal's progress bar, which also tells the page."""

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if self.total:
                report(name, min(1.0, self.n / self.total))
            return shown

    return Path(_call(repo, name, hub, tqdm_class=Bar))


def _call(repo: str, name: str, hub: Hub, **options: Any) -> Any:
    page = f"{hub.endpoint or constants.ENDPOINT}/{repo}"
    try:
        return hf_hub_download(
            repo, name, revision=REVISIONS.get(repo), cache_dir=hub.cache, endpoint=hub.endpoint, token=hub.token, **options
        )
    except GatedRepoError as error:
        if error.response.status_code == 401:
            said = (
                f"{repo} needs a token and there is none, or it is not valid. Make one at huggingface.co/settings/tokens and set HF_TOKEN."
            )
        else:
            said = f"The licence of {repo} has not been accepted by the owner of HF_TOKEN. Accept it at {page} and start again."
    except RepositoryNotFoundError:
        said = f"There is no repository {shorten(repo)}, or it is private. Check the name; for a private one set HF_TOKEN."
    except RevisionNotFoundError:
        said = f"{repo} no longer has the revision {shorten(REVISIONS.get(repo, 'main'), 12)} that this program knows. Update the program."
    except RemoteEntryNotFoundError:
        said = f"{repo} has no file {name}: it is not a PersonaPlex checkpoint. Take {RELEASED_REPO} or one like it."
    except LocalEntryNotFoundError:
        said = f"{page} cannot be reached, and {name} has not been downloaded before. Check the connection and start again."
    except HFValidationError:
        said = f"{shorten(repo)} is neither a folder nor the name of a Hub repository."
    except HfHubHTTPError as error:
        said = f"{page} answered {error.response.status_code} for {name}. Start again in a while; what is downloaded is kept."
    except OSError as error:
        if getattr(error, "errno", None) == 28:
            raise StorageError(f"The disk is full while downloading {name}; free some space and start again: it goes on.") from error
        said = f"The download of {name} was cut off ({type(error).__name__}). Start again: it goes on where it stopped."
    except Exception as error:  # the client's own network errors have no common base
        said = f"The download of {name} was cut off ({type(error).__name__}). Start again: it goes on where it stopped."
    raise WeightsError(said)


def _check(repo: str, path: Path) -> None:
    """Compare a large file with its name in the cache, which is the sha256 that the Hub promised."""
    blob = path.resolve()
    if not re.fullmatch(r"[0-9a-f]{64}", blob.name):
        return
    digest = hashlib.sha256()
    with blob.open("rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    if digest.hexdigest() != blob.name:
        blob.unlink()
        raise WeightsError(f"{path.name} of {repo} arrived altered (its sha256 differs) and was removed. Start again to download it anew.")
