"""The command `space`: write a complete Hugging Face Space into a folder, and upload it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from ..errors import BadInput, SpaceRefused, StorageError, shorten
from ..model.hub_repo import HubAccess
from ..model.transfer import HTTPError

PACKAGE = Path(__file__).parent.parent
PROJECT = PACKAGE.parent
MANIFEST = ".written-by-personaplex-app"
"""Lists the files in the folder that this command wrote, one a line."""
# all that the package needs to run
SUFFIXES = (".py", ".yaml", ".json", ".js", ".css", ".html", ".svg", ".png", ".flac", ".gz", ".txt", ".npz")
FILES = {
    "README.md": "deploy/space/README.md",
    "requirements.txt": "deploy/requirements.txt",
    "app.py": "app.py",
    "LICENSE": "LICENSE",
}
TOKENS = "https://huggingface.co/settings/tokens"
_REPO = re.compile(r"(?!.*(?:\.\.|--))[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def write_space(folder: Path) -> list[str]:
    """Write all that a Space needs into a folder, replacing an earlier version; return the files' names.

    Raises: BadInput when the folder holds other files, or when there is no checkout of the project to copy
    from; StorageError when the folder cannot be written.
    """
    sources = {name: PROJECT / source for name, source in FILES.items()}
    sources |= {
        str(path.relative_to(PROJECT)): path for path in sorted(PACKAGE.rglob("*")) if path.suffix in SUFFIXES
    }
    if missing := [name for name, source in sources.items() if not source.is_file()]:
        raise BadInput(
            f"What a Space needs ({', '.join(missing)}) is not beside the installed package; clone the"
            " project and run this command there."
        )
    try:
        _clear(folder)
        for name, source in sources.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
        (folder / MANIFEST).write_text("".join(f"{name}\n" for name in sources), "utf-8")
    except OSError as error:
        raise StorageError(
            f"The Space cannot be written to {shorten(folder, 100)}:"
            f" {error.strerror or type(error).__name__}."
        ) from error
    return list(sources)


def _clear(folder: Path) -> None:
    """Remove the files of an earlier version, those that its manifest lists.

    Raises: BadInput when the folder holds files but no manifest.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{shorten(folder, 100)} is a file; give a new or an empty folder.")
    manifest = folder / MANIFEST
    if not manifest.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise BadInput(
                f"{shorten(folder, 100)} is not empty and was not written by this command; give a new or an"
                " empty folder."
            )
        return
    for name in manifest.read_text("utf-8").splitlines():
        path = (folder / name).resolve()
        # a manifest from somewhere else must not delete files outside the folder
        # resolved first: a symbolic link inside the folder may lead out of it
        if path.is_relative_to(folder.resolve()):
            path.unlink(missing_ok=True)


def check_repo(repo: str) -> None:
    """Check the name of a Space. Raises: BadInput when the Hub allows no such name."""
    if not _REPO.fullmatch(repo) or repo.endswith((".git", ".")):
        raise BadInput(
            f"{shorten(repo)} cannot be a Space's name; give OWNER/NAME, of letters, digits, -, _ and ., such"
            " as somebody/personaplex."
        )


def push_space(folder: Path, repo: str, access: HubAccess) -> str:
    """Upload the files that `write_space` wrote into a folder, and return the Space's address.

    A Space that does not exist yet is made, as a private one.
    Raises: BadInput for a name that no Space can have, SpaceRefused when the Hub refuses the upload.
    """
    check_repo(repo)
    token = access.any_token()
    if not token:
        raise SpaceRefused(
            f"There is no token to upload with. Make one that may write at {TOKENS}, set HF_TOKEN to it (or"
            " run: hf auth login), and run the command again."
        )
    api = HfApi(endpoint=access.endpoint, token=token)
    try:
        # an existing Space keeps its visibility
        url = api.create_repo(repo, repo_type="space", space_sdk="gradio", private=True, exist_ok=True)
        names = (folder / MANIFEST).read_text("utf-8").splitlines()
        # in one commit, since a Space restarts after each; `upload_folder` would make several
        api.create_commit(
            repo,
            [
                *(CommitOperationAdd(name, folder / name) for name in names),
                *(CommitOperationDelete(name) for name in _outdated(api, repo, names)),
            ],
            repo_type="space",
            commit_message="Update the app",
        )
    except HfHubHTTPError as error:
        raise _refused(repo, error.response.status_code) from error
    except (HTTPError, OfflineModeIsEnabled) as error:
        raise SpaceRefused(
            f"The Hub cannot be reached ({type(error).__name__}). The Space is complete in"
            f" {shorten(folder, 100)}: check the network and run the command again."
        ) from error
    except ValueError as error:
        raise SpaceRefused(f"The Hub does not take the Space: {error}") from error
    return str(url)


def _outdated(api: HfApi, repo: str, names: list[str]) -> list[str]:
    """Return the Space's files that the package no longer has."""
    there = api.list_repo_files(repo, repo_type="space")
    return [name for name in there if name.startswith("personaplex_app/") and name not in names]


def _refused(repo: str, status: int) -> SpaceRefused:
    """Return the error for a status of the Hub, with the next thing to do."""
    if status == 401:
        return SpaceRefused(
            f"The Hub does not know the token (401). Make a new one that may write at {TOKENS}, and set"
            " HF_TOKEN to it."
        )
    if status == 402:
        return SpaceRefused(
            f"The Hub asks this account to pay for a Space like {repo} (402). See"
            " https://huggingface.co/pricing."
        )
    if status in (403, 404):
        owner = repo.partition("/")[0]
        return SpaceRefused(
            f"The token may not write to {repo} ({status}). Take one with write permission for {owner}"
            f" ({TOKENS}), or another owner: your own account's name, or an organisation that you are a"
            " member of."
        )
    return SpaceRefused(
        f"The Hub refuses the Space {repo} with status {status}. Wait a few minutes and run the command"
        " again."
    )
