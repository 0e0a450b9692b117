"""Detect the host, such as a Space, Colab or a container, and say how to get a token and a GPU there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONTAINER_MARKS = (".dockerenv", "run/.containerenv")


@dataclass(frozen=True)
class Platform:
    """A kind of host.

    `found_by` is the variable or file that identified it. `token_step` and `gpu_step` are parts of sentences,
    `mind` are whole sentences that people should know. `origins` are those of the pages that the host's
    proxy serves for the app, which differ from the Host header that the app sees.
    """

    name: str
    title: str
    found_by: str = ""
    token_step: str = "set HF_TOKEN to a token of that account (or run: hf auth login)"  # noqa: S105
    gpu_step: str = "--engine personaplex runs it on the CPU all the same, slowly"
    mind: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


_SPACE_DISK = (
    "What is written here is lost at a restart; with a storage mounted at /data, set"
    " PERSONAPLEX_DATA=/data/personaplex."
)


def this_platform() -> Platform:
    """Return the host that this process runs on."""
    return detect(os.environ, Path("/"))


def detect(environ: Mapping[str, str], root: Path) -> Platform:
    """Return the host for an environment and a file system under `root`."""
    # Spaces and Colab run in containers too, so the container comes last
    if environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true"):
        mind = ("A GPU is lent for each talk, out of the visitor's own daily quota.", _SPACE_DISK)
        return _space("zerogpu", "ZeroGPU Space", "SPACES_ZERO_GPU", environ, mind)
    if "SPACE_ID" in environ:
        return _space("space", "Hugging Face Space", "SPACE_ID", environ, (_SPACE_DISK,))
    if "COLAB_RELEASE_TAG" in environ:
        return Platform(
            "colab",
            "Google Colab",
            "COLAB_RELEASE_TAG",
            token_step=(  # noqa: S106
                "put a token of that account into Colab's secrets as HF_TOKEN, and allow this notebook to"
                " read it"
            ),
            gpu_step="choose one: Runtime → Change runtime type → T4 GPU",
            mind=("Colab's port proxy drops WebSockets: reach the page by its shared link (--share).",),
        )
    # files that Docker and Podman put into every container
    if mark := next((mark for mark in CONTAINER_MARKS if (root / mark).exists()), ""):
        return Platform(
            "container",
            "container",
            f"/{mark}",
            token_step=(  # noqa: S106
                "set HF_TOKEN to a token of that account (docker run -e HF_TOKEN, or a line in .env for"
                " compose)"
            ),
            gpu_step="give the container one: docker run --gpus all, or docker compose --profile gpu",
            mind=("What is written outside of its volumes is lost with the container.",),
        )
    return Platform("machine", "a machine of its own")


def _space(
    name: str, kind: str, found_by: str, environ: Mapping[str, str], mind: tuple[str, ...]
) -> Platform:
    return Platform(
        name,
        f"{kind} {environ.get('SPACE_ID', '')}".strip(),
        found_by,
        token_step="add a token of that account as the secret HF_TOKEN (Settings → Variables and secrets)",  # noqa: S106
        gpu_step="the owner of this Space can choose one (Settings → Hardware)",
        mind=mind,
        origins=(f"https://{environ['SPACE_HOST']}",) if environ.get("SPACE_HOST") else (),
    )
