"""The Respond tab for programs: behind the door, through gradio_client, cancelled, and with all that can be
wrong told in sentences.
"""

import stat

import httpx
import numpy as np
import pytest
import soundfile as sf
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from personaplex_app.protocol import Kind

from .support.app_process import app_process
from .support.gradio_app import gradio_client
from .support.patience import PATIENCE_S, until
from .support.peers import call

pytestmark = pytest.mark.process
KEY = {"X-API-Key": "sesame"}


@pytest.fixture(scope="module")
def sent_to(tmp_path_factory):
    """The folder of what visitors send to the app and get from it."""
    return tmp_path_factory.mktemp("sent")


@pytest.fixture(scope="module")
def app(tmp_path_factory, sent_to):
    env = {"PERSONAPLEX_API_KEY": "sesame", "GRADIO_TEMP_DIR": str(sent_to)}
    with app_process(tmp_path_factory.mktemp("app"), env=env, slots=1, connects_per_minute=600) as running:
        running.until_ready(headers=KEY)
        yield running


@pytest.fixture(scope="module")
def client(app):
    with gradio_client(app, KEY) as client:
        yield client


@pytest.fixture
def clip(tmp_path):
    def write(seconds: float, name: str = "clip.wav", seed: int = 1) -> str:
        sf.write(
            tmp_path / name, 0.1 * np.random.default_rng(seed).standard_normal(int(24_000 * seconds)), 24_000
        )
        return str(tmp_path / name)

    return write


def respond(client: Client, path: str, **fields):
    return client.predict(
        clip=handle_file(path), **{"voice": "echo", "room_s": 0, **fields}, api_name="/respond"
    )


def test_respond_gives_both_sides_and_the_second_time_from_the_cache(app, client, clip, sent_to):
    told, agent, both = respond(client, path := clip(1.0))
    again, _, _ = respond(client, path)
    assert (told["cached"], again["cached"], told["key"]) == (False, True, again["key"])
    one, rate_hz = sf.read(agent, dtype="int16")
    two, _ = sf.read(both, dtype="int16")
    assert rate_hz == 24_000
    assert two.shape == (24_000, 2)
    assert np.array_equal(two[:, 1], one)
    assert np.array_equal(one[1920:], two[:-1920, 0])  # an echo, one frame later
    sounds = [path for path in sent_to.rglob("*.wav") if path.is_file()]
    assert len(sounds) >= 2
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o077 for path in sounds)
    for form, path in told["files"].items():
        assert app.get(path).status_code == 401
        answer = app.get(path, headers=KEY)
        assert answer.status_code == 200, form
        assert answer.headers["cache-control"] == "no-store"
    assert app.get(f"/api/renderings/{'0' * 64}/answer.wav", headers=KEY).status_code == 404
    assert app.get(f"/api/renderings/{told['key']}/answer.exe", headers=KEY).status_code == 404


def test_respond_routes_are_behind_the_door(app):
    for origin, key, status in ((None, {}, 401), ("https://evil.example", KEY, 403)):
        headers = {**key, **({"Origin": origin} if origin else {})}
        body = {"data": [], "fn_index": 0, "session_hash": "x"}
        for path in ("/gradio_api/queue/join", "/gradio_api/call/respond", "/gradio_api/upload"):
            assert app.post(path, headers=headers, json=body).status_code == status, path


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"voice": "nobody"}, "Voice 'nobody' is not one of"),
        ({"persona": "nobody"}, "nobody"),
        ({"audio_topk": 5000}, "5000|2048"),
        ({"prompt": "x" * 2001}, "2,?001 characters; the limit is 2,?000|2000"),
    ],
)
def test_respond_bad_choice_is_told(client, clip, fields, sentence):
    with pytest.raises((AppError, ValueError), match=sentence):
        respond(client, clip(0.2), **fields)


def test_respond_bad_recording_is_told(client, clip, tmp_path):
    (tmp_path / "text.wav").write_text("no sound at all")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n")
    for path, sentence in (
        (clip(121.0), "longer than 120 s"),
        (clip(0.0, "empty.wav"), "holds no sound"),
        (str(tmp_path / "text.wav"), "cannot be read as a recording"),
        (str(tmp_path / "list.m3u8"), "is a list of addresses"),
    ):
        with pytest.raises(AppError, match=sentence):
            respond(client, path)
    with pytest.raises(AppError, match="There is no recording yet"):
        client.predict(clip=None, api_name="/respond")


def test_respond_waits_behind_a_talk_is_told_so_and_can_be_cancelled(app, client, clip):
    with call(app.url, api_key="sesame", codec="pcm") as caller:
        caller.until(Kind.HANDSHAKE)
        job = client.submit(
            clip=handle_file(path := clip(1.0, seed=5)), voice="echo", room_s=0, api_name="/respond"
        )
        until(lambda: any("Every slot is taken by talks" in str(output) for output in job.outputs()))
        more = [
            client.submit(clip=handle_file(clip(1.0, f"{seed}.wav", seed)), room_s=0, api_name="/respond")
            for seed in (6, 7)
        ]
        until(lambda: any("2 recordings are answered at once" in str(each.outputs()) for each in more))
        for each in (job, *more):
            each.cancel()
    app.until_free(headers=KEY)
    assert not respond(client, path)[0]["cached"]


@pytest.mark.parametrize(
    "data",
    [
        ["a role that is secret"],
        [None, "a role that is secret", None, None, None, None, None, None, None, None],
    ],
)
def test_respond_call_that_does_not_fit_is_told_and_what_it_sent_is_not_logged(app, data):
    url = app.url + "/gradio_api/call/respond"
    event = httpx.post(url, json={"data": data}, headers=KEY, timeout=PATIENCE_S).json()["event_id"]
    with httpx.stream("GET", f"{url}/{event}", headers=KEY, timeout=PATIENCE_S) as stream:
        assert "event: error" in stream.read().decode()
    assert "secret" not in app.log.read_text()


@pytest.mark.parametrize(
    ("name", "before", "after", "content"),
    [("respond", 0, 10, b"RIFF" + bytes(100)), ("score", 1, 0, b"PK\5\6" + bytes(18))],
)
def test_file_that_was_not_uploaded_is_neither_read_nor_copied(
    app, sent_to, tmp_path, name, before, after, content
):
    outside = tmp_path / "somebody-elses.zip"
    outside.write_bytes(content)
    url = app.url + f"/gradio_api/call/{name}"
    for path in (str(outside), "/proc/self/environ", "/dev/zero"):
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        data = [None] * before + [file] + [None] * after
        event = httpx.post(url, json={"data": data}, headers=KEY, timeout=PATIENCE_S).json()["event_id"]
        with httpx.stream("GET", f"{url}/{event}", headers=KEY, timeout=PATIENCE_S) as stream:
            assert "event: error" in stream.read().decode()
    assert not [path.name for path in sent_to.rglob("*") if path.name in (outside.name, "environ", "zero")]
