"""A fake Hub with the tiny golden checkpoint, and checks of its download."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub
import pytest

from personaplex_app.errors import EngineUnavailable, WeightsError
from personaplex_app.model.hub import fetch
from personaplex_app.model.hub_repo import FILES, HubAccess, HubRepo

from . import tiny
from .hub_server import Hub, hub

NAME = "somebody/tiny-plex"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = HubRepo(NAME, COMMIT)
GOOD, STRANGE = "hf_goodgoodgood", "hf_hasnotaccepted"
NEEDED = (*FILES, "mimi.json")


@contextmanager
def tiny_hub() -> Iterator[Hub]:
    """Run a Hub that holds the checkpoint and two files that no download needs."""
    files = {
        path.name: path.read_bytes()
        for path in tiny.GOLDEN.iterdir()
        if path.name in (*NEEDED, "README.md", "user.wav")
    }
    with hub(NAME, COMMIT, files) as made:
        made.tokens = {GOOD: True, STRANGE: False}
        yield made
        huggingface_hub.close_session()  # its idle connections would keep the server's threads


def quiet(stage: str, doing: str, share: float) -> None:
    pass


def whole(folder: Path, server: Hub) -> bool:
    return all((folder / name).read_bytes() == server.files[name] for name in NEEDED)


def parts(access: HubAccess) -> list[Path]:
    return sorted(access.cache.rglob("*.incomplete"))


def refusal(repo: HubRepo, access: HubAccess) -> str:
    """Return the error message of a download that must fail, after checking that it shows no token."""
    with pytest.raises((EngineUnavailable, WeightsError)) as raised:
        fetch(repo, access, quiet)
    assert not any(token in str(raised.value) for token in (GOOD, STRANGE))
    assert str(raised.value).endswith(".")
    return str(raised.value)
