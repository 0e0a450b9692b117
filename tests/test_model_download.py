"""Downloading a checkpoint from a local server that plays the Hub."""

from collections import namedtuple

import pytest
import torch

from personaplex_app.errors import StorageError, WeightsError
from personaplex_app.model import download
from personaplex_app.model.checkpoint import CheckpointFiles, load_checkpoint
from personaplex_app.model.config import LM_FILE, MIMI_FILE, TOKENIZER_FILE, VOICES_FILE, is_repo
from personaplex_app.model.download import Hub, resolve

from . import tiny
from .hub import FakeHub, running

pytestmark = pytest.mark.unit
REPO = "somebody/tiny-personaplex"
NAMES = ("config.json", "mimi.json", LM_FILE, MIMI_FILE, TOKENIZER_FILE, VOICES_FILE)


@pytest.fixture
def hub():
    with running(FakeHub(REPO, {name: (tiny.GOLDEN / name).read_bytes() for name in NAMES})) as fake:
        yield fake


def fetch(hub, tmp_path, repo=REPO, token=None, report=lambda name, share: None):
    return resolve(repo, report, Hub(hub.url, tmp_path / "cache", token))


def test_resolve_repository_arrives_whole_reports_and_loads(hub, tmp_path):
    shares = {}
    folder = fetch(hub, tmp_path, report=lambda name, share: shares.setdefault(name, []).append(share))
    assert {name: (folder / name).read_bytes() for name in NAMES} == hub.files
    assert shares[LM_FILE] == sorted(shares[LM_FILE])
    assert shares[LM_FILE][-1] == 1.0
    assert load_checkpoint(CheckpointFiles.of(folder), tiny.CPU, torch.float32).lm.config == tiny.checkpoint().lm.config


def test_resolve_again_downloads_nothing(hub, tmp_path):
    fetch(hub, tmp_path)
    hub.asked.clear()
    fetch(hub, tmp_path)
    assert hub.asked == []


def test_resolve_cut_connection_goes_on_where_it_stopped(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1_000_000)  # as if the file were ten times as large
    hub.cut[LM_FILE] = 5_000_000
    folder = None
    for _ in range(2):  # the client goes on by itself or asks to be started again
        try:
            folder = fetch(hub, tmp_path)
            break
        except WeightsError as error:
            assert "goes on where it stopped" in str(error)
    assert folder
    assert (folder / LM_FILE).read_bytes() == hub.files[LM_FILE]
    assert "bytes=5000000-" in {range_ for method, name, range_ in hub.asked if method == "GET" and name == LM_FILE}


def test_resolve_altered_file_is_removed_and_comes_anew(hub, tmp_path):
    hub.alter.add(VOICES_FILE)
    with pytest.raises(WeightsError, match=r"voices\.tgz of .* arrived altered"):
        fetch(hub, tmp_path)
    hub.alter.clear()
    assert (fetch(hub, tmp_path) / VOICES_FILE).read_bytes() == hub.files[VOICES_FILE]


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        ((401, "GatedRepo"), "needs a token and there is none"),
        ((403, "GatedRepo"), r"licence of somebody/tiny-personaplex has not been accepted .* Accept it at http"),
        ((404, "RepoNotFound"), "There is no repository 'somebody/tiny-personaplex', or it is private"),
        ((404, "RevisionNotFound"), "no longer has the revision"),
        ((400, ""), "answered 400 for config.json|cannot be reached"),
    ],
)
def test_resolve_refused_says_the_next_step(hub, tmp_path, refuse, said):
    hub.refuse = refuse
    with pytest.raises(WeightsError, match=said):
        fetch(hub, tmp_path)


def test_resolve_repository_of_something_else_is_named(hub, tmp_path):
    del hub.files[VOICES_FILE]
    with pytest.raises(WeightsError, match=r"has no file voices\.tgz: it is not a PersonaPlex checkpoint"):
        fetch(hub, tmp_path)


def test_resolve_without_network_says_so_unless_it_is_all_here(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # it tries again for half a minute
    folder = fetch(hub, tmp_path)
    hub.url = "http://127.0.0.1:9"
    assert fetch(hub, tmp_path) == folder
    with pytest.raises(WeightsError, match="cannot be reached"):
        fetch(hub, tmp_path, repo="somebody/else")


def test_resolve_full_disk_is_said_before_anything_large_is_downloaded(hub, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage(0, 0, 2**30))
    with pytest.raises(StorageError, match=r"needs 0\.0 GiB and 1\.0 GiB are free .* set HF_HOME"):
        fetch(hub, tmp_path)
    assert LM_FILE not in {name for method, name, _ in hub.asked if method == "GET"}


def test_resolve_folder_is_itself_and_pinned_revision_is_the_released_one():
    assert resolve(str(tiny.GOLDEN), lambda name, share: None) == tiny.GOLDEN
    assert [is_repo(name) for name in (download.RELEASED_REPO, "./a/b", "/a/b", "a", "a/b/c", "../x")] == [True, *[False] * 5]
    assert len(download.REVISIONS[download.RELEASED_REPO]) == 40
