"""A checkpoint that the Hub, the disk or its own bytes refuse: a sentence for each; and the cache that serves
without the Hub.
"""

import errno
import hashlib
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants
from safetensors.torch import load, save

from personaplex_app.engine.personaplex import PersonaplexEngine, PersonaplexSettings
from personaplex_app.errors import WeightsError
from personaplex_app.model.config import LM_FILE, MIMI_FILE, TOKENIZER_FILE
from personaplex_app.model.hub import fetch
from personaplex_app.model.hub_errors import disk_error
from personaplex_app.model.hub_repo import RELEASED, RELEASED_REVISION, HubRepo, cached, parse

from .support.hub_server import sha256
from .support.tiny_hub import COMMIT, GOOD, NAME, NEEDED, REPO, STRANGE, parts, quiet, refusal, whole

pytestmark = pytest.mark.unit


# refused


def test_fetch_gated_without_token_says_licence_and_token(server, access):
    server.gated = True
    said = refusal(REPO, access)
    assert (
        f"Accept the licence at https://huggingface.co/{NAME}, set HF_TOKEN to a token of that account"
        in said
    )
    assert "no token is set (401)" in said


def test_fetch_gated_licence_not_accepted_says_so(server, access):
    server.gated = True
    said = refusal(REPO, replace(access, token=STRANGE))
    assert (
        f"The token's account may not read {NAME} (403). Accept the licence at https://huggingface.co/{NAME}"
        " with that account" in said
    )


def test_fetch_unknown_token_says_so(server, access):
    assert "The Hub does not know the token (401). Make a new one" in refusal(
        REPO, replace(access, token="hf_expired")
    )


def test_fetch_refused_on_a_space_names_the_spaces_own_settings(server, access, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "somebody/talk")
    step = "as the secret HF_TOKEN (Settings → Variables and secrets), and start again"
    assert step in refusal(REPO, replace(access, token="hf_expired"))
    server.gated = True
    said = refusal(REPO, access)
    assert (
        f"Accept the licence at https://huggingface.co/{NAME}, add a token of that account as the secret"
        " HF_TOKEN" in said
    )


@pytest.mark.parametrize(
    ("token", "said"),
    [("", "or it is private and no token is set"), (GOOD, "(404): there is none by that name; nor")],
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


@pytest.mark.parametrize(
    "body", [b"<html>portal</html>", b"[]", b'{"id": "a/b", "sha": "../../x", "siblings": []}']
)
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


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="there is no /dev/full, which answers like a full disk"
)
def test_fetch_full_disk_says_so(server, access):
    blobs = access.folder(REPO) / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{sha256(server.files[LM_FILE])}.incomplete").symlink_to("/dev/full")
    assert "is full. What was downloaded is kept: make room there and start again" in refusal(REPO, access)


def test_fetch_cache_that_cannot_be_written_says_so(server, access, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert "The checkpoint cannot be written to" in refusal(REPO, access)
    assert "Permission denied" in str(
        disk_error(PermissionError(errno.EACCES, "Permission denied"), tmp_path)
    )


# truncated, altered, of wrong shapes


def test_fetch_altered_file_is_thrown_away(server, access):
    server.fault(LM_FILE).flip_byte = 4_000_000
    said = refusal(REPO, access)
    assert (
        f"model.safetensors arrived altered: expected {sha256(server.files[LM_FILE])[:16]}…, found " in said
    )
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
    assert (
        "model.safetensors is cut off at its source: it ends after 5,000,000 of 8,380,864 bytes"
        in refusal(REPO, access)
    )
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
        huggingface_hub.hf_hub_download(
            NAME, name, revision=COMMIT, cache_dir=access.cache, endpoint=server.url
        )
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
        f"{TOKENIZER_FILE} of {RELEASED}@{RELEASED_REVISION} is not the one that was published: expected"
        " sha256 78d4336533ddc26f…" in said
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
    engine = PersonaplexEngine(
        PersonaplexSettings(str(REPO), tmp_path / "voices", "cpu", "float32", 1, access)
    )
    with pytest.raises(
        WeightsError, match=r"out_norm\.alpha has the shape \[1, 1, 47\]; it must be \[1, 1, 48\]"
    ):
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
    assert "HF_HUB_OFFLINE forbids downloading it. Unset HF_HUB_OFFLINE once" in refusal(REPO, access)
