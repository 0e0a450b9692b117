"""The language model's download from the Hub's stand-in, its conversion, and what is kept of it."""

import hashlib
import json

import pytest

from personaplex_app.errors import EngineUnavailable, SettingsError, WeightsError
from personaplex_app.model.hub_repo import HubAccess
from personaplex_app.responder import model_choice
from personaplex_app.responder.chat_api import LlmSettings
from personaplex_app.responder.encoder_weights import (
    ENCODER,
    downloaded_files,
    encoder_folder,
    is_downloaded,
    packaged_files,
)
from personaplex_app.responder.found_endpoints import FoundEndpoint, find_endpoints
from personaplex_app.responder.local.conversion import TOKENIZER_FILE, WEIGHTS_FILE
from personaplex_app.responder.local.decoder import Context, Decoder
from personaplex_app.responder.local.model import LocalModel
from personaplex_app.responder.local.weights import (
    RECEIPT_FILE,
    SMALL_MODEL,
    HubModel,
    checked,
    describe,
    fetch,
    folder_of,
)
from personaplex_app.responder.model_choice import HUB_ROUTER, choose_model, make_model
from personaplex_app.settings import Settings

from .support.hub_server import hub
from .support.tiny_llm import write_tiny_llm

NAME, COMMIT = "somebody/tiny-instruct", "89abcdef0123456789abcdef0123456789abcdef"


@pytest.fixture
def model_hub(tmp_path):
    import huggingface_hub

    write_tiny_llm(tmp_path / "published")
    files = {path.name: path.read_bytes() for path in (tmp_path / "published").iterdir()}
    with hub(NAME, COMMIT, files) as server:
        yield server
        huggingface_hub.close_session()


@pytest.fixture
def tiny(model_hub):
    files = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in model_hub.files.items()}
    return HubModel(NAME, COMMIT, files, "MIT")


@pytest.fixture
def access(model_hub, tmp_path):
    return HubAccess("", tmp_path / "receipts", tmp_path / "cache", model_hub.url, retry_delays_s=(0.0, 0.0))


def test_fetch_downloads_converts_and_keeps_only_what_is_run(model_hub, tiny, access, tmp_path):
    folder = fetch(tiny, tmp_path, access)
    assert Decoder(folder, 1).read(Context(), [1, 2, 3]).shape
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]
    asked = len(model_hub.seen)
    assert fetch(tiny, tmp_path, access) == folder
    assert len(model_hub.seen) == asked
    assert "converted in" in describe(tiny, tmp_path)


def test_fetch_goes_on_where_the_line_was_cut(model_hub, tiny, access, tmp_path):
    model_hub.fault("model.safetensors").cut_after_bytes = [70_000, 20_000]
    fetch(tiny, tmp_path, access)
    assert (
        model_hub.gets("model.safetensors") == ["", "bytes=65536-", "bytes=85536-"]
        or len(model_hub.gets("model.safetensors")) == 3
    )


def test_fetch_refuses_a_file_that_is_another_one_and_keeps_nothing_of_it(model_hub, tiny, access, tmp_path):
    model_hub.fault("model.safetensors").flip_byte = 50_000
    with pytest.raises(WeightsError, match="arrived altered"):
        fetch(tiny, tmp_path, access)
    assert not list(tmp_path.rglob("model.safetensors*"))[1:]
    model_hub.faults.clear()
    fetch(tiny, tmp_path, access)


@pytest.mark.parametrize("fault", ["refused", "nobody"])
def test_fetch_says_what_to_do_when_the_hub_gives_nothing(model_hub, tiny, access, tmp_path, fault):
    if fault == "refused":
        model_hub.files.pop("tokenizer.json")
    else:
        access = HubAccess("", None, tmp_path, "http://127.0.0.1:9", retry_delays_s=())
    with pytest.raises(EngineUnavailable) as raised:
        fetch(tiny, tmp_path, access)
    assert str(raised.value).endswith(".")


def test_fetch_needs_room_before_it_begins(tiny, access, tmp_path):
    huge = HubModel(NAME, COMMIT, {"model.safetensors": (10**15, "0" * 64)}, "MIT")
    with pytest.raises(EngineUnavailable, match="Make room"):
        fetch(huge, tmp_path, access)


def test_conversion_that_was_cut_short_is_made_anew(model_hub, tiny, access, tmp_path):
    folder = folder_of(tiny, tmp_path)
    for name in (folder.name, f"{folder.name}.part"):
        (folder.parent / name).mkdir(parents=True)
        (folder.parent / name / "model.onnx").write_bytes(b"half")
    Decoder(fetch(tiny, tmp_path, access), 1)


def test_converted_file_that_has_changed_is_refused(model_hub, tiny, access, tmp_path):
    folder = fetch(tiny, tmp_path, access)
    weights = folder / "model.onnx.data"
    data = bytearray(weights.read_bytes())
    data[1000] ^= 1
    weights.write_bytes(data)
    with pytest.raises(WeightsError, match="has changed"):
        checked(folder)


def test_small_model_is_pinned_and_its_size_is_told_before():
    assert len(SMALL_MODEL.commit) == 40
    assert all(len(sha256) == 64 for _, sha256 in SMALL_MODEL.files.values())
    told = describe(SMALL_MODEL, Settings().data)
    assert "1.00 GB are downloaded once" in told
    assert "minutes" in told


# -- which one -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "host", "name"),
    [
        ({}, "machine", "rules"),
        ({}, "container", "rules"),
        ({}, "colab", "local"),
        ({}, "space", "local"),
        ({}, "zerogpu", "local"),
        ({"llm_url": "http://h"}, "space", "endpoint"),
        ({"llm_url": "http://h"}, "machine", "endpoint"),
        ({"llm_url": "http://h", "responder": "rules"}, "machine", "rules"),
        ({"llm_url": "http://h", "responder": "local"}, "machine", "local"),
        ({"responder": "hub", "hf_token": "hf_x"}, "space", "hub"),
        ({"local_model": "models/mine"}, "machine", "local"),
    ],
)
def test_responder_follows_the_settings_and_then_the_host(monkeypatch, settings, host, name):
    monkeypatch.setattr(
        model_choice, "this_platform", lambda: type("Host", (), {"name": host, "token_step": "x"})
    )
    assert choose_model(Settings(**settings)).name == name


def test_hub_router_gets_the_token_that_is_there():
    model = make_model(Settings(responder="hub", hf_token="hf_secret"))
    assert isinstance(model, LlmSettings)
    assert model.endpoints == (f"{HUB_ROUTER}/chat/completions",)
    assert model.headers == {"Authorization": "Bearer hf_secret"}
    assert "hf_secret" not in repr(model)


@pytest.mark.parametrize("responder", ["endpoint", "hub"])
def test_responder_that_lacks_something_says_what(responder):
    with pytest.raises(SettingsError, match=r"set|put"):
        choose_model(Settings(responder=responder))


def test_local_model_of_a_folder_is_converted_into_the_data_folder(tmp_path):
    write_tiny_llm(tmp_path / "mine")
    model = make_model(Settings(local_model=str(tmp_path / "mine"), data=tmp_path / "data"))
    assert isinstance(model, LocalModel)
    folder = model._get_folder()
    assert json.loads((folder / RECEIPT_FILE).read_text())
    assert (tmp_path / "mine" / "model.safetensors").exists()


def test_local_model_of_a_folder_without_one_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"no model\.safetensors"):
        make_model(Settings(local_model=str(tmp_path), data=tmp_path))._get_folder()


# -- servers on this machine ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "model"),
    [
        ({"data": [{"id": "nomic-embed-text"}, {"id": "llama3.2:latest"}]}, "llama3.2:latest"),
        ({"data": []}, ""),
        ({"data": [{"id": "a\nb"}]}, ""),
        ({"error": "no"}, None),
        (["odd"], None),
        ("<html>", None),
    ],
)
def test_server_on_this_machine_is_offered_where_it_lists_models(answer, model):
    from http.server import BaseHTTPRequestHandler

    from .support.hub_server import answering

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with answering(Handler) as port:
        found = find_endpoints((("Ollama", port), ("LM Studio", 9)))
        url = f"http://127.0.0.1:{port}/v1"
    assert found == ([] if model is None else [FoundEndpoint("Ollama", url, model)])
    assert all(f"PERSONAPLEX_LLM_URL={url}" in each.offer for each in found)


@pytest.fixture
def packaged(monkeypatch):
    """The encoder's files as the Hub has them, from the installed package, on the Hub's stand-in."""
    import huggingface_hub

    files = packaged_files()
    with hub(
        ENCODER.repo, ENCODER.commit, {TOKENIZER_FILE: files.tokenizer, WEIGHTS_FILE: files.weights}
    ) as it:
        yield it
        huggingface_hub.close_session()


@pytest.mark.slow
def test_encoder_files_of_the_hub_are_those_of_the_package_and_fetched_once(packaged, tmp_path):
    access = HubAccess("", tmp_path / "receipts", tmp_path / "cache", packaged.url, retry_delays_s=())
    assert not is_downloaded(tmp_path)
    assert downloaded_files(tmp_path, access) == packaged_files()
    asked = len(packaged.seen)
    assert is_downloaded(tmp_path)
    assert downloaded_files(tmp_path, access) == packaged_files()
    assert len(packaged.seen) == asked


def test_encoder_file_that_has_changed_is_deleted_and_refused(model_hub, tiny, access, tmp_path):
    downloaded_files(tmp_path, access, model=tiny)
    file = encoder_folder(tmp_path, tiny) / WEIGHTS_FILE
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(WeightsError, match="deleted"):
        downloaded_files(tmp_path, access, model=tiny)
    assert downloaded_files(tmp_path, access, model=tiny).weights == model_hub.files[WEIGHTS_FILE]


def test_encoder_without_a_network_says_what_to_check(tiny, tmp_path):
    nobody = HubAccess("", None, tmp_path, "http://127.0.0.1:9", retry_delays_s=())
    with pytest.raises(EngineUnavailable, match="network"):
        downloaded_files(tmp_path, nobody, model=tiny)
