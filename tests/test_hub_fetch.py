"""A checkpoint from the Hub: what is asked for, brought whole, checked, resumed where the connection
was cut.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest

from personaplex_app.engine.contract import Sampling, SessionConfig
from personaplex_app.engine.personaplex import PersonaplexEngine, PersonaplexSettings
from personaplex_app.model.config import LM_FILE, MIMI_FILE
from personaplex_app.model.hub import fetch
from personaplex_app.model.hub_repo import RELEASED, RELEASED_REVISION, HubRepo, cached, parse

from .support import tiny
from .support.app_process import ROOT
from .support.hub_server import large, sha256
from .support.patience import until
from .support.tiny_hub import COMMIT, GOOD, NAME, NEEDED, REPO, parts, quiet, refusal, whole

# what is meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", (RELEASED, RELEASED_REVISION)),
        (RELEASED, (RELEASED, RELEASED_REVISION)),
        (f"{RELEASED}@main", (RELEASED, "main")),
        ("a/b", ("a", "main")),
        ("a/b@v1.0", ("a", "v1.0")),
        ("a/b@refs/pr/1", ("a", "refs/pr/1")),
    ],
)
def test_parse_repository_with_and_without_revision(text, meant):
    repo = parse(text)
    assert (repo.name.replace("a/b", "a"), repo.revision) == meant
    assert bool(repo.sha256) == (meant[1] == RELEASED_REVISION)


@pytest.mark.parametrize(
    "text", ["/a/b", "./a/b", "a", "a/b/c", "../b", "a/b@../../x", "a--b/c", "~/b", "a/b@/etc"]
)
def test_parse_anything_else_is_a_folder(text):
    assert isinstance(parse(text), Path)


def test_parse_folder_that_looks_like_a_repository_is_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "plex").mkdir(parents=True)
    assert parse("models/plex") == Path("models/plex")


# brought


def test_fetch_brings_only_what_is_needed_into_the_hubs_own_cache(server, access):
    folder = fetch(HubRepo(NAME), access, quiet)
    assert whole(folder, server)
    assert sorted(os.listdir(folder)) == sorted(NEEDED)
    # other programs find it, and nothing else lies in their cache
    assert huggingface_hub.snapshot_download(NAME, cache_dir=access.cache, local_files_only=True) == str(
        folder
    )
    scanned = huggingface_hub.scan_cache_dir(access.cache)
    assert not scanned.warnings
    [repo] = scanned.repos
    assert (repo.repo_id, repo.nb_files, {name for r in repo.revisions for name in r.refs}) == (
        NAME,
        len(NEEDED),
        {"main"},
    )
    assert not parts(access)


def test_fetch_reports_rising_progress_and_what_is_brought(server, access):
    reports = []
    fetch(REPO, access, lambda *report: reports.append(report))
    big = [(doing, share) for stage, doing, share in reports if LM_FILE in doing]
    shares = [share for _, share in big]
    assert {stage for stage, _, _ in reports} == {"downloading"}
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(set(shares)) > 10
    assert big[-1][0] == f"checking {LM_FILE}, 10.4 of 10.4 MB"


def test_fetch_second_time_asks_the_hub_nothing_when_the_commit_is_named(server, access):
    first = fetch(REPO, access, quiet)
    server.seen.clear()
    reports = []
    assert fetch(REPO, access, lambda *report: reports.append(report)) == first
    assert (server.seen, reports) == (
        [],
        [],
    )  # nor is anything read again: the receipts say that it was checked


def test_fetch_of_a_branch_follows_it(server, access):
    first = fetch(HubRepo(NAME), access, quiet)
    server.commit = server.branches["main"] = "f" * 40
    server.files["config.json"] = server.files["config.json"].replace(b'"tiny"', b'"next"')
    server.seen.clear()
    second = fetch(HubRepo(NAME), access, quiet)
    assert (first.name, second.name) == (COMMIT, "f" * 40)
    assert whole(second, server)
    assert not server.gets(LM_FILE)  # the same file is not brought twice


def test_fetch_gated_repository_with_its_token_never_shows_it_to_the_file_host_or_the_log(
    server, access, caplog
):
    caplog.set_level(logging.DEBUG)
    server.gated = True
    assert whole(fetch(REPO, replace(access, token=GOOD), quiet), server)
    asked = [(path, headers.get("Authorization")) for _, path, headers in server.seen]
    assert all(shown == f"Bearer {GOOD}" for path, shown in asked if not path.startswith("/cdn"))
    assert [shown for path, shown in asked if path.startswith("/cdn")] == [None] * sum(
        large(server.files[name]) for name in NEEDED
    )
    assert GOOD not in caplog.text
    assert GOOD not in repr(replace(access, token=GOOD))


@pytest.mark.parametrize("way", ["HF_TOKEN", "login"])
def test_fetch_takes_the_token_of_the_environment_or_the_login(server, access, monkeypatch, tmp_path, way):
    server.gated = True
    if way == "login":
        (tmp_path / "no-login").write_text(GOOD)
    else:
        monkeypatch.setenv("HF_TOKEN", GOOD)
    assert whole(fetch(REPO, access, quiet), server)


def test_fetched_checkpoint_speaks(server, access, tmp_path):
    engine = PersonaplexEngine(
        PersonaplexSettings(str(REPO), tmp_path / "voices", "cpu", "float32", 1, access)
    )
    stages = []
    engine.load(lambda state: stages.append(state.stage))
    assert list(dict.fromkeys(stages)) == ["downloading", "loading", "self_test", "warming_up"]
    about, _ = tiny.case("voice_only")
    config = SessionConfig(
        about["voice"].removesuffix(".pt"), about["text_prompt"], sampling=Sampling(0.0, 0.0)
    )
    session = engine.open(config)
    said = [session.step(frame).text for frame in tiny.user_wav().reshape(-1, 1920)[:10]]
    session.close()
    engine.close()
    assert said == ["" if text in ("PAD", "EPAD", "BOS", "EOS") else text for text in about["text"][:10]]


def test_fetch_by_two_at_once_brings_each_file_once(server, access):
    server.fault(LM_FILE).pause_s = 0.005
    with ThreadPoolExecutor(2) as both:
        folders = [done.result() for done in [both.submit(fetch, REPO, access, quiet) for _ in range(2)]]
    assert all(whole(folder, server) for folder in folders)
    assert len(server.gets(LM_FILE)) == 1


# cut, busy, resumed


def test_fetch_goes_on_where_the_connection_was_cut(server, access):
    server.fault(LM_FILE).cut_after_bytes = [3_000_000, 0, 2_000_000]
    assert whole(fetch(REPO, access, quiet), server)
    starts = [int(asked.removeprefix("bytes=").rstrip("-") or 0) for asked in server.gets(LM_FILE)]
    assert starts == [0, 3_000_000, 3_000_000, 5_000_000]


def test_fetch_given_up_goes_on_in_the_next_run(server, access):
    server.fault(LM_FILE).cut_after_bytes = [3_000_000, 0, 0, 0]
    said = refusal(REPO, access)
    assert "cut again and again" in said
    assert "3,000,000 of 8,380,864 bytes of model.safetensors are here" in said
    assert [part.stat().st_size for part in parts(access)] == [3_000_000]
    server.seen.clear()
    assert whole(fetch(REPO, access, quiet), server)
    assert server.gets(LM_FILE) == ["bytes=3000000-"]
    assert not server.gets(MIMI_FILE)
    assert not parts(access)


@pytest.mark.process
def test_fetch_killed_process_goes_on_in_the_next_one(server, access, tmp_path):
    server.fault(LM_FILE).pause_s = 0.05
    env = {**os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": GOOD}
    program = (
        "from personaplex_app.model.hub import *; from personaplex_app.model.hub_repo import *\n"
        f"fetch(HubRepo({NAME!r}, {COMMIT!r}), HubAccess(), lambda *_: None)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=env)
    access = replace(access, cache=tmp_path / "home" / "hub")
    part = access.folder(REPO) / "blobs" / f"{sha256(server.files[LM_FILE])}.incomplete"
    until(lambda: part.exists() and part.stat().st_size > 1_000_000)
    process.send_signal(signal.SIGKILL)
    process.wait()
    held_bytes = part.stat().st_size
    assert cached(REPO, access) is None
    server.fault(LM_FILE).pause_s = 0.0
    server.seen.clear()
    assert whole(fetch(REPO, access, quiet), server)
    assert server.gets(LM_FILE) == [f"bytes={held_bytes}-"]


def test_fetch_server_without_ranges_begins_anew(server, access):
    server.fault(LM_FILE).ranges = False
    server.fault(LM_FILE).cut_after_bytes = [3_000_000]
    assert whole(fetch(REPO, access, quiet), server)
    assert server.gets(LM_FILE) == ["", "bytes=3000000-"]


def test_fetch_server_without_ranges_that_always_cuts_is_given_up(server, access):
    server.fault(LM_FILE).ranges = False
    server.fault(LM_FILE).always_cut_after_bytes = 2_000_000
    assert "cut again and again" in refusal(REPO, access)
    assert len(server.gets(LM_FILE)) == 1 + len(access.retry_delays_s) + 1


def test_fetch_busy_hub_is_asked_again(server, access):
    server.fault(LM_FILE).status = [503, 429]
    assert whole(fetch(REPO, access, quiet), server)
    server.fault(MIMI_FILE).status = [503] * 3
    shutil.rmtree(access.cache)
    assert "cut again and again (status 503)" in refusal(REPO, access)


def test_fetch_broken_off_by_the_app_keeps_what_came(server, access):
    class Ended(Exception):
        pass

    def end(stage, doing, share):
        if LM_FILE in doing and share > 0.5:
            raise Ended

    with pytest.raises(Ended):
        fetch(REPO, access, end)
    [part] = parts(access)
    assert part.stat().st_size > 1_000_000
    assert whole(fetch(REPO, access, quiet), server)
    assert server.gets(LM_FILE)[-1].startswith("bytes=")
