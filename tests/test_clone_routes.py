"""Cloning over the real application interface on the golden checkpoint: consent, preview, talk, keep, export,
import, delete.
"""

import base64
import io
import logging
import threading

import anyio
import httpx
import numpy as np
import pytest
import soundfile

from personaplex_app.cloning.voices import TEMPORARY_AGE_S, ClonedVoices
from personaplex_app.engine.echo import EchoEngine
from personaplex_app.engine.personaplex import PersonaplexEngine, PersonaplexSettings
from personaplex_app.engine_choice import Choice
from personaplex_app.errors import UnknownVoice
from personaplex_app.logs import JsonLines
from personaplex_app.personas import load_personas
from personaplex_app.principal import NOBODY
from personaplex_app.protocol import parse_query
from personaplex_app.server import uploads
from personaplex_app.server.app_state import AppState
from personaplex_app.server.channel import HttpChannels
from personaplex_app.server.engine_supervisor import EngineSupervisor
from personaplex_app.server.entry_point import page_entry
from personaplex_app.server.routes import clone as routes
from personaplex_app.server.routes.clone import clone_routes
from personaplex_app.server.routes.status import status_routes
from personaplex_app.server.talk import Talk
from personaplex_app.sessions.admission import Admission
from personaplex_app.sessions.library import Library
from personaplex_app.sessions.records import TalkMeta
from personaplex_app.settings import Settings

from .support import tiny
from .support.fakes import FakeChannel
from .support.served import served
from .support.speech import speak

ME, YOU = "m" * 32, "y" * 32
MINE, YOURS = {"X-Owner-Key": ME}, {"X-Owner-Key": YOU}
YES = {"consent": "1", "name": "Anna"}


class Clock:
    now_s = 1_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    made = PersonaplexEngine(
        PersonaplexSettings(str(tiny.GOLDEN), tmp_path_factory.mktemp("voices"), "cpu", "float32", 2)
    )
    made.load(lambda state: None)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _log_names_nobody(caplog):
    """Of httpx there is only the test's own client here."""
    caplog.set_level(logging.DEBUG)
    yield
    told = "\n".join(
        JsonLines().format(record) for record in caplog.get_records("call") if record.name != "httpx"
    )
    assert YES["name"] not in told
    assert not [key for key in (ME, YOU) if key in told]


@pytest.fixture(scope="module")
def wav() -> bytes:
    """Somebody speaking, with silence around."""
    quiet = np.zeros(24_000, np.float32)
    file = io.BytesIO()
    spoken = speak("The river ran slowly past the old mill, and nobody had opened its door for years.")
    soundfile.write(file, np.concatenate([quiet, spoken, quiet]), 24_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def app_state_of(engine, tmp_path, clock=None) -> AppState:
    app_state = AppState(
        settings=Settings(data=tmp_path, connects_per_minute=100),
        supervisor=EngineSupervisor(engine, Choice(engine.name, "for the test")),
        personas=load_personas(),
        admission=Admission(2, talk_limit_s=60),
        library=Library(None, temporary_root=tmp_path),
        channels=HttpChannels(2),
        workers=anyio.CapacityLimiter(3),
        clones=ClonedVoices(tmp_path / "clones", lambda data: None, now=clock or Clock()),
    )
    app_state.supervisor.start()  # the engine is loaded already: ready at once
    return app_state


@pytest.fixture
def app_state(engine, tmp_path):
    made = app_state_of(engine, tmp_path)
    yield made
    made.library.close()


def client_of(app_state: AppState) -> httpx.AsyncClient:
    app = served([*clone_routes(app_state), *status_routes(app_state)], app_state.settings)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=MINE)


@pytest.fixture
async def client(app_state):
    async with client_of(app_state) as client:
        yield client


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert answer.json()["message"].endswith(".")
    return answer.json()["message"]


def talk(app_state: AppState, voice: str, owner: str = ME, frames: int = 10) -> tuple[list[str], np.ndarray]:
    """What a talk in that voice says, and its sound: equal to 1e-4 where the tokens are, whoever else talks
    in the same batch.
    """
    request = parse_query(
        {
            "voice_prompt": voice,
            "owner": owner,
            "text_prompt": "Be kind.",
            "audio_temperature": "0",
            "text_temperature": "0",
        }
    )
    session = app_state.supervisor.engine.open(app_state.session_config(request))
    steps = [session.step(frame) for frame in tiny.user_wav().reshape(-1, 1920)[:frames]]
    session.close()
    return [step.text for step in steps], np.concatenate([step.agent for step in steps])


def alike(one: tuple[list[str], np.ndarray], other: tuple[list[str], np.ndarray]) -> bool:
    return one[0] == other[0] and float(np.abs(one[1] - other[1]).max()) < 1e-4


async def test_clones_preview_is_what_was_picked_at_its_loudness(client, wav):
    import pyloudnorm  # it brings scipy, which takes seconds to import

    answer = await client.post("/api/clones/preview", params=YES, content=wav)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    found = answer.json()
    samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(found["wav"])))
    assert (rate_hz, len(samples) / rate_hz) == (24_000, pytest.approx(found["picked_s"], abs=0.01))
    assert pyloudnorm.Meter(rate_hz).integrated_loudness(samples) == pytest.approx(-24, abs=0.1)
    assert 3 <= found["picked_s"] < found["recording_s"] - 1.5
    assert len(found["peaks"]) == pytest.approx(found["recording_s"] * 50, abs=1)
    start_s, end_s = found["spans_s"][0][0], found["spans_s"][-1][1]
    inside = found["peaks"][int(start_s * 50) : int(end_s * 50)]
    assert 0.8 < start_s < 1.3
    assert max(inside) > 0.1 > max(found["peaks"][: int(start_s * 50)])
    # nothing is there yet
    assert (await client.get("/api/clones")).json()["voices"] == []


@pytest.mark.slow
async def test_clones_life_from_recording_to_talk_to_deletion(client, app_state, wav, tmp_path):
    made = await client.post("/api/clones", params=YES, content=wav)
    assert made.status_code == 201
    voice, id_ = made.json()["name"], made.json()["clone"]["id"]
    assert (made.json()["title"], made.json()["clone"]["kept"]) == ("Anna", False)
    listed = [each["name"] for each in (await client.get("/voice/status")).json()["voices"]]
    assert (listed[:3], listed[-1]) == (["NATF0", "NATM1", "VARF2"], voice)
    spoken = talk(app_state, voice)
    assert not alike(spoken, talk(app_state, "NATF0"))
    assert not [*tmp_path.rglob("*.safetensors")]
    assert (await client.post(f"/api/clones/{id_}/keep")).json() == {"kept": True}
    assert len([*tmp_path.rglob("*.safetensors")]) == 1
    config = app_state.session_config(parse_query({"voice_prompt": voice, "owner": ME}))
    assert TalkMeta.of("personaplex", config).voice == "Anna"

    exported = await client.get(f"/api/clones/{id_}/export.safetensors")
    assert exported.headers["content-disposition"] == 'attachment; filename="Anna.safetensors"'
    again = await client.post(
        "/api/clones/import",
        params={"consent": "1", "name": "Her twin"},
        content=exported.content,
        headers=YOURS,
    )
    assert again.status_code == 201
    assert alike(talk(app_state, again.json()["name"], YOU), spoken)

    assert (await client.delete(f"/api/clones/{id_}")).json() == {"deleted": 1}
    assert not [*tmp_path.rglob("*.safetensors")]
    with pytest.raises(UnknownVoice, match="not among yours"):
        talk(app_state, voice)
    assert alike(talk(app_state, again.json()["name"], YOU), spoken)


async def test_clones_of_others_do_not_exist(client, app_state, wav):
    made = (await client.post("/api/clones", params={**YES, "keep": "1"}, content=wav)).json()
    one = f"/api/clones/{made['clone']['id']}"
    for method, path in (("DELETE", one), ("POST", one + "/keep"), ("GET", one + "/export.safetensors")):
        refused(await client.request(method, path, headers=YOURS), 404, "not_found")
        refused(
            await client.request(method, path.replace(made["clone"]["id"], "0" * 16), headers=MINE),
            404,
            "not_found",
        )
    assert (await client.get("/api/clones", headers=YOURS)).json()["voices"] == []
    for headers in (YOURS, {"X-Owner-Key": ""}, {"X-Owner-Key": "short"}):
        voices = (await client.get("/voice/status", headers=headers)).json()["voices"]
        assert made["name"] not in [each["name"] for each in voices]
    for owner in (YOU, "", "short"):
        with pytest.raises(UnknownVoice, match="not among yours"):
            app_state.session_config(parse_query({"voice_prompt": made["name"], "owner": owner}))
    assert app_state.session_config(parse_query({"voice_prompt": made["name"], "owner": ME})).clone


async def test_clones_expired_voice_in_a_talk_gets_a_sentence(engine, tmp_path, wav):
    clock = Clock()
    app_state = app_state_of(engine, tmp_path, clock)
    async with client_of(app_state) as client:
        made = (await client.post("/api/clones", params=YES, content=wav)).json()
    clock.now_s += TEMPORARY_AGE_S + 1
    channel = FakeChannel()
    request = parse_query({"codec": "pcm", "voice_prompt": made["name"], "owner": ME})
    await Talk(channel, request, app_state, page_entry("chat", request)).run()
    assert channel.errors == [
        "That cloned voice is not among yours: it was deleted, or not kept and not used for an hour. Choose"
        " another, or clone it again."
    ]
    app_state.library.close()


async def test_clones_kept_with_another_model_is_told_in_the_talk(client, app_state):
    voice = app_state.clones.add(NOBODY.with_owner_key(ME), "Old", b"made by another version", keep=False)
    channel = FakeChannel()
    request = parse_query({"codec": "pcm", "voice_prompt": voice.wire_name, "owner": ME})
    await Talk(channel, request, app_state, page_entry("chat", request)).run()
    assert channel.errors == ["That is not a safetensors file; choose a voice that was exported here."]


@pytest.mark.parametrize("path", ["", "/preview", "/import"])
async def test_clones_without_consent_or_key_are_not_made(client, app_state, wav, path):
    for params in ({"name": "Anna"}, {**YES, "consent": "0"}, {**YES, "consent": ""}):
        assert "only with consent" in refused(
            await client.post("/api/clones" + path, params=params, content=wav), 400, "bad_input"
        )
    for key in ("", "short", "k" * 300):
        answer = await client.post(
            "/api/clones" + path, params=YES, content=wav, headers={"X-Owner-Key": key}
        )
        assert "owner key" in refused(answer, 400, "bad_input")
    assert app_state.clones.all(NOBODY.with_owner_key(ME)) == []


async def test_clones_bad_recordings_files_and_names_get_sentences(client, wav):
    noise = io.BytesIO()
    soundfile.write(noise, np.random.default_rng(1).uniform(-0.3, 0.3, 240_000), 24_000, format="WAV")
    assert "no speech" in refused(
        await client.post("/api/clones/preview", params=YES, content=noise.getvalue()), 400, "bad_audio"
    )
    refused(await client.post("/api/clones", params=YES, content=b"nothing"), 400, "bad_audio")
    refused(await client.post("/api/clones/import", params=YES, content=wav[:60_000]), 400, "bad_voice_file")
    assert "65536" in refused(
        await client.post("/api/clones/import", params=YES, content=wav), 413, "too_large"
    )
    for name in ("", "x" * 41, "a\nb\0"):
        assert "1 to 40" in refused(
            await client.post("/api/clones", params={**YES, "name": name}, content=wav), 400, "bad_input"
        )


async def test_clones_endless_upload_is_refused_before_its_end(client, monkeypatch):
    monkeypatch.setattr(routes, "MAX_RECORDING_BYTES", 100_000)
    sent = []

    async def endless():
        while len(sent) < 1_000:
            sent.append(1)
            yield bytes(4096)

    assert "100000" in refused(
        await client.post("/api/clones", params=YES, content=endless()), 413, "too_large"
    )
    assert len(sent) < 40


async def test_clones_too_many_or_too_slow_uploads_are_told(client, monkeypatch):
    begun, over = anyio.Event(), anyio.Event()

    async def stalled():
        yield b"RIFF"
        begun.set()
        await over.wait()

    async def slow():
        return await client.post("/api/clones", params=YES, content=stalled())

    async with anyio.create_task_group() as tasks:
        for _ in range(uploads.MAX_UPLOADS // 2):
            begun = anyio.Event()
            tasks.start_soon(slow)
            await begun.wait()
        one_more = await client.post("/api/clones", params=YES, content=b"RIFF")
        assert "From your address come 2 of 4 uploads" in refused(one_more, 429, "capacity")
        assert one_more.json()["retry_after_s"] == int(one_more.headers["Retry-After"]) > 0
        over.set()
    over = anyio.Event()
    monkeypatch.setattr(uploads, "UPLOAD_PATIENCE_S", 0.05)
    assert "took longer than" in refused(await slow(), 400, "bad_input")


async def test_clones_are_counted_by_address(engine, tmp_path):
    app_state = app_state_of(engine, tmp_path)
    app_state.settings = Settings(data=tmp_path, connects_per_minute=2)
    async with client_of(app_state) as client:
        for _ in range(2):
            refused(await client.post("/api/clones", params=YES, content=b""), 400, "bad_audio")
        assert "More than 2 voices a minute" in refused(
            await client.post("/api/clones", params=YES, content=b""), 429, "capacity"
        )
    app_state.library.close()


async def test_clones_work_is_never_done_on_the_event_loop(client, app_state, wav, monkeypatch):
    loop_thread, seen = threading.get_ident(), set()
    for owner, name in (
        (type(app_state.supervisor.engine), "clone"),
        (routes.audio, "decode"),
        (routes.audio, "at_loudness"),
    ):

        def work(*args, name=name, called=getattr(owner, name)):
            seen.add((name, threading.get_ident() == loop_thread))
            return called(*args)

        monkeypatch.setattr(owner, name, work)
    await client.post("/api/clones/preview", params=YES, content=wav)
    assert (await client.post("/api/clones", params=YES, content=wav)).status_code == 201
    assert seen == {("clone", False), ("decode", False), ("at_loudness", False)}


async def test_clones_where_the_engine_cannot_are_refused_with_a_sentence(tmp_path, wav):
    app_state = app_state_of(EchoEngine(), tmp_path)
    async with client_of(app_state) as client:
        for method, path in (("GET", ""), ("POST", ""), ("POST", "/preview"), ("POST", "/import")):
            answer = await client.request(
                method, "/api/clones" + path, params=YES, content=wav if method == "POST" else None
            )
            assert "Echo cannot clone voices" in refused(answer, 400, "no_cloning")
        voice = app_state.clones.add(NOBODY.with_owner_key(ME), "Anna", b"x", keep=False)
        assert voice.wire_name not in [
            each["name"] for each in (await client.get("/voice/status")).json()["voices"]
        ]
    channel = FakeChannel()
    request = parse_query({"codec": "pcm", "voice_prompt": voice.wire_name, "owner": ME})
    await Talk(channel, request, app_state, page_entry("chat", request)).run()
    assert "cannot clone voices" in channel.errors[0]
    app_state.library.close()
