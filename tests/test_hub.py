"""A checkpoint from the Hub: brought whole, resumed, checked, taken from the cache offline; a sentence for everything that goes wrong."""

import errno
import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
import soundfile
from huggingface_hub import constants
from safetensors.torch import load, save

from personaplex_app.engine.choose import Choice
from personaplex_app.engine.contract import Sampling, SessionConfig
from personaplex_app.engine.personaplex import PersonaplexEngine, PersonaplexSettings
from personaplex_app.errors import EngineUnavailable, WeightsError
from personaplex_app.model.config import LM_FILE, MIMI_FILE, TOKENIZER_FILE
from personaplex_app.model.hub import fetch
from personaplex_app.model.hub_errors import unwritable
from personaplex_app.model.hub_repo import FILES, RELEASED, RELEASED_REVISION, HubAccess, HubRepo, cached, parse
from personaplex_app.server.house import EngineHost

from . import tiny
from .hub_server import Hub, hub, large, sha256
from .served import ROOT, served

pytestmark = pytest.mark.unit

NAME = "somebody/tiny-plex"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = HubRepo(NAME, COMMIT)
GOOD, STRANGE = "hf_goodgoodgood", "hf_hasnotaccepted"
NEEDED = (*FILES, "mimi.json")


@pytest.fixture(autouse=True)
def _own_hub_settings(monkeypatch, tmp_path):
    """Nothing of the machine's own login and cache is read."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-login"))


@pytest.fixture
def server():
    files = {path.name: path.read_bytes() for path in tiny.GOLDEN.iterdir() if path.name in (*NEEDED, "README.md", "user.wav")}
    with hub(NAME, COMMIT, files) as made:
        made.tokens = {GOOD: True, STRANGE: False}
        yield made
        huggingface_hub.close_session()  # its idle connections would keep the server's threads


@pytest.fixture
def access(server, tmp_path):
    return HubAccess("", tmp_path / "receipts", tmp_path / "cache", server.url, pauses_s=(0.0, 0.0))


def quiet(stage: str, doing: str, share: float) -> None:
    pass


def whole(folder: Path, server: Hub) -> bool:
    return all((folder / name).read_bytes() == server.files[name] for name in NEEDED)


def parts(access: HubAccess) -> list[Path]:
    return sorted(access.cache.rglob("*.incomplete"))


def refusal(repo: HubRepo, access: HubAccess) -> str:
    with pytest.raises((EngineUnavailable, WeightsError)) as raised:
        fetch(repo, access, quiet)
    assert not any(token in str(raised.value) for token in (GOOD, STRANGE))
    assert str(raised.value).endswith(".")
    return str(raised.value)


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


@pytest.mark.parametrize("text", ["/a/b", "./a/b", "a", "a/b/c", "../b", "a/b@../../x", "a--b/c", "~/b", "a/b@/etc"])
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
    assert huggingface_hub.snapshot_download(NAME, cache_dir=access.cache, local_files_only=True) == str(folder)
    scanned = huggingface_hub.scan_cache_dir(access.cache)
    assert not scanned.warnings
    [repo] = scanned.repos
    assert (repo.repo_id, repo.nb_files, {name for r in repo.revisions for name in r.refs}) == (NAME, len(NEEDED), {"main"})
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
    assert (server.seen, reports) == ([], [])  # nor is anything read again: the receipts say that it was checked


def test_fetch_of_a_branch_follows_it(server, access):
    first = fetch(HubRepo(NAME), access, quiet)
    server.commit = server.branches["main"] = "f" * 40
    server.files["config.json"] = server.files["config.json"].replace(b'"tiny"', b'"next"')
    server.seen.clear()
    second = fetch(HubRepo(NAME), access, quiet)
    assert (first.name, second.name) == (COMMIT, "f" * 40)
    assert whole(second, server)
    assert not server.gets(LM_FILE)  # the same file is not brought twice


def test_fetch_gated_repository_with_its_token_never_shows_it_to_the_file_host_or_the_log(server, access, caplog):
    caplog.set_level(logging.DEBUG)
    server.gated = True
    assert whole(fetch(REPO, replace(access, token=GOOD), quiet), server)
    asked = [(path, headers.get("Authorization")) for _, path, headers in server.seen]
    assert all(shown == f"Bearer {GOOD}" for path, shown in asked if not path.startswith("/cdn"))
    assert [shown for path, shown in asked if path.startswith("/cdn")] == [None] * sum(large(server.files[name]) for name in NEEDED)
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
    engine = PersonaplexEngine(PersonaplexSettings(str(REPO), tmp_path / "voices", "cpu", "float32", 1, access))
    stages = []
    engine.load(lambda state: stages.append(state.stage))
    assert list(dict.fromkeys(stages)) == ["downloading", "loading", "self_test", "warming_up"]
    about, _ = tiny.case("voice_only")
    config = SessionConfig(about["voice"].removesuffix(".pt"), about["text_prompt"], sampling=Sampling(0.0, 0.0))
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
    deadline_s = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size > 1_000_000):
        assert time.monotonic() < deadline_s
        assert process.poll() is None
        time.sleep(0.01)
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


def test_fetch_server_without_ranges_that_always_cuts_is_given_up(server, access):
    server.fault(LM_FILE).ranges = False
    server.fault(LM_FILE).always_cut_after_bytes = 2_000_000
    assert "cut again and again" in refusal(REPO, access)
    assert len(server.gets(LM_FILE)) == 1 + len(access.pauses_s) + 1


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


# refused


def test_fetch_gated_without_token_says_licence_and_token(server, access):
    server.gated = True
    said = refusal(REPO, access)
    assert f"Accept the licence at https://huggingface.co/{NAME}, set HF_TOKEN to a token of that account" in said
    assert "no token is set (401)" in said


def test_fetch_gated_licence_not_accepted_says_so(server, access):
    server.gated = True
    said = refusal(REPO, replace(access, token=STRANGE))
    assert f"The token's account may not read {NAME} (403). Accept the licence at https://huggingface.co/{NAME} with that account" in said


def test_fetch_unknown_token_says_so(server, access):
    assert "The Hub does not know the token (401). Make a new one" in refusal(REPO, replace(access, token="hf_expired"))


def test_fetch_refused_on_a_space_names_the_spaces_own_settings(server, access, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "somebody/talk")
    assert "as the secret HF_TOKEN (Settings → Variables and secrets), and start again" in refusal(
        REPO, replace(access, token="hf_expired")
    )
    server.gated = True
    said = refusal(REPO, access)
    assert f"Accept the licence at https://huggingface.co/{NAME}, add a token of that account as the secret HF_TOKEN" in said


@pytest.mark.parametrize(
    ("token", "said"), [("", "or it is private and no token is set"), (GOOD, "(404): there is none by that name; nor")]
)
def test_fetch_wrong_repository_names_it(server, access, token, said):
    text = refusal(HubRepo("somebody/tiny-flex"), replace(access, token=token))
    assert "The Hub gives no repository somebody/tiny-flex" in text
    assert said in text


@pytest.mark.parametrize("revision", ["v9", "9" * 40])
def test_fetch_wrong_revision_names_it(server, access, revision):
    assert f"{NAME} has no revision '{revision}' (404)" in refusal(HubRepo(NAME, revision), access)


def test_fetch_repository_of_something_else_says_what_is_missing(server, access):
    del server.files["voices.tgz"]
    assert "has no voices.tgz: it is not a whole PersonaPlex checkpoint" in refusal(REPO, access)


@pytest.mark.parametrize("body", [b"<html>portal</html>", b"[]", b'{"id": "a/b", "sha": "../../x", "siblings": []}'])
def test_fetch_something_that_is_no_hub_says_so(server, access, body):
    server.api_body = body
    assert f"What answers at {server.url} is not a Hub. Unset HF_ENDPOINT" in refusal(REPO, access)


# the disk


def test_fetch_checks_the_disk_before_anything_large_is_brought(server, access):
    server.sizes[LM_FILE] = 10**15
    said = refusal(REPO, access)
    assert "needs 1,000,00" in said
    assert "GB are free. Make room there, or set HF_HOME to a folder on a larger disk" in said
    assert not server.gets(LM_FILE)
    assert not server.gets(MIMI_FILE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full, which answers like a full disk")
def test_fetch_full_disk_says_so(server, access):
    blobs = access.folder(REPO) / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{sha256(server.files[LM_FILE])}.incomplete").symlink_to("/dev/full")
    assert "is full. What was downloaded is kept: make room there and start again" in refusal(REPO, access)


def test_fetch_cache_that_cannot_be_written_says_so(server, access, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert "The checkpoint cannot be written to" in refusal(REPO, access)
    assert "Permission denied" in str(unwritable(PermissionError(errno.EACCES, "Permission denied"), tmp_path))


# truncated, altered, of wrong shapes


def test_fetch_altered_file_is_thrown_away(server, access):
    server.fault(LM_FILE).flip_byte = 4_000_000
    said = refusal(REPO, access)
    assert f"model.safetensors arrived altered: expected {sha256(server.files[LM_FILE])[:16]}…, found " in said
    assert not parts(access)
    assert cached(REPO, access) is None
    server.fault(LM_FILE).flip_byte = None
    assert whole(fetch(REPO, access, quiet), server)


def test_fetch_altered_small_file_is_found_by_its_git_id(server, access):
    server.fault("mimi.json").flip_byte = 100
    assert "mimi.json arrived altered" in refusal(REPO, access)


def test_fetch_altered_beginning_of_a_cut_file_is_found(server, access):
    server.fault(LM_FILE).cut_after_bytes = [3_000_000, 0, 0, 0]
    refusal(REPO, access)
    [part] = parts(access)
    part.write_bytes(b"x" + part.read_bytes()[1:])
    assert "arrived altered" in refusal(REPO, access)
    assert whole(fetch(REPO, access, quiet), server)


def test_fetch_file_cut_off_at_its_source_says_so(server, access):
    server.fault(LM_FILE).ends_at_byte = 5_000_000
    assert "model.safetensors is cut off where it comes from: it ends after 5,000,000 of 8,380,864 bytes" in refusal(REPO, access)
    assert not parts(access)


def test_fetch_endless_file_is_bounded(server, access):
    server.fault(MIMI_FILE).endless = True
    assert "arrived altered" in refusal(REPO, access)
    assert not parts(access)


@pytest.mark.parametrize("size", ["same size", "shorter"])
def test_fetch_altered_cache_is_named_and_deleting_it_helps(server, access, size):
    blob = (fetch(REPO, access, quiet) / MIMI_FILE).resolve()
    content = blob.read_bytes()
    blob.write_bytes(bytes([content[0] ^ 1]) + content[1 : None if size == "same size" else -5])
    said = refusal(REPO, access)
    assert f"{MIMI_FILE} in the cache is cut off or altered" in said
    assert f"Delete {blob} and start again; it is downloaded anew." in said
    blob.unlink()
    assert whole(fetch(REPO, access, quiet), server)


def test_fetch_checks_what_other_programs_cached(server, access):
    for name in NEEDED:
        huggingface_hub.hf_hub_download(NAME, name, revision=COMMIT, cache_dir=access.cache, endpoint=server.url)
    server.seen.clear()
    reports = []
    assert whole(fetch(REPO, access, lambda *report: reports.append(report)), server)
    assert not server.seen
    assert ("loading", f"checking {LM_FILE}", 1.0) in reports
    blob = (access.folder(REPO) / "snapshots" / COMMIT / LM_FILE).resolve()
    blob.write_bytes(blob.read_bytes()[:-1])
    assert "is cut off or altered" in refusal(REPO, access)


def test_fetch_tokenizer_that_is_not_the_known_one_is_refused(server, access):
    server.name, server.commit = RELEASED, RELEASED_REVISION
    said = refusal(parse(""), access)
    assert (
        f"{TOKENIZER_FILE} of {RELEASED}@{RELEASED_REVISION} is not the one that was published: expected sha256 78d4336533ddc26f…" in said
    )
    assert not server.gets(LM_FILE)


def test_fetch_tokenizer_that_is_the_known_one_is_taken_and_looked_at_again(server, access):
    known = HubRepo(NAME, COMMIT, {TOKENIZER_FILE: sha256(server.files[TOKENIZER_FILE])})
    assert whole(fetch(known, access, quiet), server)
    assert whole(fetch(known, access, quiet), server)
    other = HubRepo(NAME, COMMIT, {TOKENIZER_FILE: hashlib.sha256(b"other").hexdigest()})
    assert "is not the one that was published" in refusal(other, access)


def test_load_checkpoint_of_wrong_shapes_from_the_hub_names_the_tensor(server, access, tmp_path):
    state = load(server.files[LM_FILE])
    state["out_norm.alpha"] = state["out_norm.alpha"][..., :-1].contiguous()
    server.files[LM_FILE] = save(state)
    engine = PersonaplexEngine(PersonaplexSettings(str(REPO), tmp_path / "voices", "cpu", "float32", 1, access))
    with pytest.raises(WeightsError, match=r"out_norm\.alpha has the shape \[1, 1, 47\]; it must be \[1, 1, 48\]"):
        engine.load(lambda state: None)


# without the Hub


@pytest.mark.parametrize("repo", [REPO, HubRepo(NAME)], ids=["commit", "branch"])
@pytest.mark.parametrize("how", ["away", "down", "forbidden"])
def test_fetch_without_the_hub_takes_a_whole_cache(server, access, monkeypatch, repo, how):
    folder = fetch(HubRepo(NAME), access, quiet)
    if how == "away":
        access = replace(access, endpoint="http://127.0.0.1:9")
    elif how == "down":
        server.api_status = 503
    else:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch(repo, access, quiet) == folder


def test_fetch_without_the_hub_and_with_half_a_cache_says_what_to_do(server, access, monkeypatch):
    folder = fetch(REPO, access, quiet)
    (folder / MIMI_FILE).unlink()
    away = replace(access, endpoint="http://127.0.0.1:9")
    assert "The Hub cannot be reached (ConnectError)" in refusal(REPO, away)
    server.api_status = 502
    assert "The Hub cannot be reached (status 502)" in refusal(REPO, access)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids to download it. Unset HF_HUB_OFFLINE once" in refusal(REPO, access)


# the program


def env_of(server: Hub, home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PERSONAPLEX_", "HF_"))}
    return {**kept, "OMP_NUM_THREADS": "1", "HF_ENDPOINT": server.url, "HF_HOME": str(home), **more}


def offline(server: Hub, folder: Path, **more: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "personaplex_app", "offline", "--hf-repo", f"{NAME}@main", "--greedy", "--device", "cpu"]
    command += ["--voice-prompt", "NATF0.pt", "--text-prompt", "", "--input-wav", str(folder / "in.wav")]
    command += ["--output-wav", str(folder / "out.wav"), "--output-text", str(folder / "out.json")]
    env = env_of(server, folder / "home", PERSONAPLEX_DATA=str(folder / "data"), **more)
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


def test_offline_command_downloads_shows_progress_and_then_needs_no_hub(server, tmp_path):
    server.gated = True
    samples, rate_hz = soundfile.read(tiny.GOLDEN / "user.wav")
    soundfile.write(tmp_path / "in.wav", samples[: 5 * 1920], rate_hz)
    first = offline(server, tmp_path, PERSONAPLEX_HF_TOKEN=GOOD)
    assert first.returncode == 0, first.stderr
    assert "downloading: model.safetensors, " in first.stderr
    assert GOOD not in first.stderr + first.stdout
    said = json.loads((tmp_path / "out.json").read_text())
    (tmp_path / "out.json").unlink()
    server.seen.clear()
    second = offline(server, tmp_path, HF_HUB_OFFLINE="1")
    assert (second.returncode, server.seen) == (0, []), second.stderr
    assert json.loads((tmp_path / "out.json").read_text()) == said


def test_serve_tells_the_page_how_far_the_download_is_and_then_talks(server, tmp_path):
    server.fault(LM_FILE).pause_s = 0.02
    env = env_of(server, tmp_path / "home", HF_TOKEN=GOOD)
    with served(tmp_path, engine="personaplex", env=env, checkpoint=f"{NAME}@{COMMIT}", device="cpu") as app:
        seen = []
        deadline_s = time.monotonic() + 60
        while (state := app.get("/voice/status").json()["engine"])["stage"] != "ready":
            assert time.monotonic() < deadline_s
            assert state["stage"] != "failed", state
            seen.append((state["stage"], state["progress"], state["detail"]))
            time.sleep(0.02)
        shares = [share for stage, share, detail in seen if stage == "downloading" and LM_FILE in detail]
        assert len(set(shares)) > 3
        assert shares == sorted(shares)
        log = app.log.read_text()
        assert 3 <= log.count("engine personaplex: downloading") <= 25
        assert GOOD not in log
        assert "X-Signature" not in log


def test_host_closed_in_the_middle_of_a_download_ends_it(server, access, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    server.fault(LM_FILE).pause_s = 0.02
    engine = PersonaplexEngine(PersonaplexSettings(str(REPO), tmp_path / "voices", "cpu", "float32", 1, access))
    host = EngineHost(engine, Choice("personaplex", "asked for"))
    host.start()
    deadline_s = time.monotonic() + 20
    while LM_FILE not in host.state.detail:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    host.close()
    assert "its loading was broken off" in caplog.text
    assert [part.stat().st_size < len(server.files[LM_FILE]) for part in parts(access)] == [True]


def test_host_shows_why_a_download_failed(server, access, tmp_path):
    server.gated = True
    engine = PersonaplexEngine(PersonaplexSettings(str(REPO), tmp_path / "voices", "cpu", "float32", 1, access))
    host = EngineHost(engine, Choice("personaplex", "asked for"))
    host.start()
    deadline_s = time.monotonic() + 20
    while host.state.stage != "failed":
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    assert "Accept the licence at" in host.state.detail
    host.close()
