"""Turn errors of the Hub and of the disk into sentences for a person, each with the next step."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from ..errors import EngineUnavailable, shorten
from ..platform_detection import this_platform
from .hub_repo import RELEASED, HubAccess, HubRepo

log = logging.getLogger(__name__)


def cached_or_unavailable(repo: HubRepo, folder: Path | None, error: Exception) -> Path:
    """Return the cached checkpoint when the Hub cannot be reached.

    Raises: EngineUnavailable when the cache holds no complete one.
    """
    if folder:
        log.info("%s is taken from the cache: the Hub cannot be reached (%s)", repo, type(error).__name__)
        return folder
    if isinstance(error, OfflineModeIsEnabled):
        raise EngineUnavailable(
            f"{repo} is not complete in the cache and HF_HUB_OFFLINE forbids downloading it. Unset"
            " HF_HUB_OFFLINE once, or set PERSONAPLEX_CHECKPOINT to a folder that holds it."
        ) from error
    cause = (
        f"status {error.response.status_code}" if isinstance(error, HfHubHTTPError) else type(error).__name__
    )
    raise EngineUnavailable(
        f"The Hub cannot be reached ({cause}) and {repo} is not complete in the cache. Check the network and"
        " start again; what has been downloaded is kept."
    ) from error


def refused(repo: HubRepo, access: HubAccess, error: HfHubHTTPError) -> EngineUnavailable:
    """Return the error for a request that the Hub refused.

    Source: the Hub's X-Error-Code header.
    """
    status = error.response.status_code
    code = error.response.headers.get("X-Error-Code", "")
    token_step = this_platform().token_step
    licence = f"Accept the licence at {repo.page}"
    # with a valid token the Hub answers 403 for a repository that it may not read
    if status == 401 and access.any_token():
        return EngineUnavailable(
            "The Hub does not know the token (401). Make a new one at https://huggingface.co/settings/tokens"
            f" with the account that accepted the licence at {repo.page}, {token_step}, and start again."
        )
    if code == "GatedRepo" and status == 401:
        return EngineUnavailable(
            f"{repo.name} is only given to those who accepted its licence, and no token is set (401)."
            f" {licence}, {token_step}, and start again."
        )
    if code == "GatedRepo" or status == 403:
        return EngineUnavailable(
            f"The token's account may not read {repo.name} ({status}). {licence} with that account; a"
            " fine-grained token also needs the permission to read gated repositories. Then start again."
        )
    if code == "RevisionNotFound":
        return EngineUnavailable(
            f"{repo.name} has no revision {shorten(repo.revision, 60)} (404). Look at"
            f" {repo.page}/commits/main, or leave the revision out."
        )
    # the Hub answers 401 also for names that do not exist, so as not to reveal private repositories
    if status in (401, 404):
        why = (
            "there is none by that name, or it is private and no token is set"
            if status == 401
            else "there is none by that name"
        )
        return EngineUnavailable(
            f"The Hub gives no repository {repo.name} ({status}): {why}; nor is it a folder here. "
            f"Check --checkpoint; the released one is {RELEASED}."
        )
    return EngineUnavailable(
        f"The Hub refuses {repo} with status {status}. Wait a few minutes and start again; what was"
        " downloaded is kept."
    )


def not_a_hub(access: HubAccess) -> EngineUnavailable:
    """Return the error for an endpoint whose answers are not a Hub's."""
    return EngineUnavailable(
        f"What answers at {access.endpoint or constants.ENDPOINT} is not a Hub. Unset HF_ENDPOINT and start"
        " again."
    )


def unusable_token(access: HubAccess) -> EngineUnavailable:
    """Return the error for a token that cannot be sent."""
    where = "PERSONAPLEX_HF_TOKEN or HF_TOKEN" if access.token else "the Hub's own login"
    return EngineUnavailable(
        f"The token of {where} holds a character that is no part of one. Copy it again from"
        f" https://huggingface.co/settings/tokens, {this_platform().token_step}, and start again."
    )


def disk_error(error: OSError, folder: Path) -> EngineUnavailable:
    """Return the error for a file that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EngineUnavailable(
            f"The disk of {folder} is full. What was downloaded is kept: make room there and start again; it"
            " goes on from there."
        )
    return EngineUnavailable(
        f"The checkpoint cannot be written to {folder} ({error.strerror or type(error).__name__}). "
        "Set HF_HOME to a folder that can be written, and start again."
    )
