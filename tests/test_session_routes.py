"""The owner's routes over the real application interface: every answer is JSON or a file, every refusal a
sentence.
"""

import base64
import hashlib
import io
import json
import re
import threading
from dataclasses import replace
from functools import partial

import httpx
import numpy as np
import pytest
import soundfile

from personaplex_app.engine.contract import Step
from personaplex_app.personas import load_personas
from personaplex_app.protocol_events import Utterance
from personaplex_app.server.routes.session import MAX_BODY_BYTES, session_routes
from personaplex_app.sessions.library import Library
from personaplex_app.ui.talk_page import talk_page
from personaplex_app.units import FRAME_SAMPLES

from .support.served import served
from .test_library import ME, META, MY_KEY, QUIET, TOLD, YOU, YOUR_KEY, step, talk

pytestmark = pytest.mark.unit

PAGE = partial(talk_page, load_personas(None, True))
MINE, YOURS = {"X-Owner-Key": MY_KEY}, {"X-Owner-Key": YOUR_KEY}


class OffTheLoop:
    """A library that refuses to work on the event loop's thread."""

    def __init__(self, library):
        self._library, self._loop_thread = library, threading.get_ident()

    def __getattr__(self, name):
        value = getattr(self._library, name)
        if not callable(value):
            return value

        def called(*args):
            assert threading.get_ident() != self._loop_thread, f"{name} was called on the event loop"
            return value(*args)

        return called


@pytest.fixture
def library(tmp_path):
    library = Library(tmp_path / "kept", temporary_root=tmp_path)
    yield library
    library.close()


@pytest.fixture
async def client(library):
    transport = httpx.ASGITransport(served(session_routes(OffTheLoop(library), PAGE)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert set(answer.json()) == {"error", "message"}
    assert answer.json()["message"].endswith(".")
    return answer.json()["message"]


async def test_sessions_list_shows_ones_own_talks(client, library):
    kept, temporary, _ = talk(library, keep=True), talk(library), talk(library, YOU)
    answer = await client.get("/api/sessions", headers=MINE)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["keep_problem"] is None
    assert [(t["id"], t["kept"], t["status"], t["has_audio"]) for t in answer.json()["talks"]] == [
        (temporary.id, False, "done", True),
        (kept.id, True, "done", True),
    ]
    assert "utterances" not in answer.json()["talks"][0]


async def test_sessions_one_talk_comes_with_its_lane(client, library):
    log = talk(library)
    found = (await client.get(f"/api/sessions/{log.id}", headers=MINE)).json()
    assert (found["engine"], found["voice"], found["prompt"]) == (META.engine, META.voice, META.prompt)
    assert [u["text"] for u in found["utterances"]] == ["Hel", "Good day."]  # the end cut the first one off
    assert [m["kind"] for m in found["marks"]] == ["overlap"]
    assert found["turn_latencies"][0]["latency_s"] == 0.3
    assert (found["lane"]["peaks_per_s"], found["lane"]["user"], found["lane"]["agent"]) == (
        50,
        [0.25] * 8,
        [0.0] * 8,
    )


async def test_sessions_running_talk_shows_words_but_no_sound_yet(client, library):
    log = library.begin(ME, False, META)
    step(log, TOLD)
    found = (await client.get(f"/api/sessions/{log.id}", headers=MINE)).json()
    assert (found["status"], found["has_audio"], found["lane"]["user"], len(found["utterances"])) == (
        "live",
        False,
        [],
        1,
    )
    assert "Stop it first" in refused(
        await client.get(f"/api/sessions/{log.id}/export.wav", headers=MINE), 409, "talk_running"
    )
    refused(await client.delete(f"/api/sessions/{log.id}", headers=MINE), 409, "talk_running")
    kept = await client.post(f"/api/sessions/{log.id}/keep", headers=MINE)
    assert kept.json() == {"kept": False, "at_end": True}
    log.finish("stopped")
    assert (await client.get(f"/api/sessions/{log.id}", headers=MINE)).json()["kept"] is True


@pytest.mark.parametrize("kind", ["wav", "flac"])
async def test_sessions_sound_export_is_the_recording(client, library, kind):
    log = talk(library, steps=[QUIET] * 50)
    answer = await client.get(f"/api/sessions/{log.id}/export.{kind}", headers=MINE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"audio/{kind}")
    assert int(answer.headers["content-length"]) == len(answer.content)
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="personaplex-2')
    assert disposition.endswith(f'-Nora.{kind}"')
    samples, rate_hz = soundfile.read(io.BytesIO(answer.content))
    assert (samples.shape, rate_hz) == ((50 * FRAME_SAMPLES, 2), 24_000)
    assert np.abs(samples - [0.25, 0.0]).max() < 1e-4


@pytest.mark.parametrize(
    ("kind", "part"),
    [("txt", "[00:00.4] Agent: Good day."), ("srt", "00:00:00,400 -->"), ("json", '"Good day."')],
)
async def test_sessions_text_export_holds_what_was_said(client, library, kind, part):
    answer = await client.get(f"/api/sessions/{talk(library).id}/export.{kind}", headers=MINE)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].endswith(f'.{kind}"')
    assert part in answer.text


async def test_sessions_page_export_is_one_file_that_asks_for_nothing_and_runs_no_words(client, library):
    words = "</script><script>alert(1)</script> <!-- scripts --> <img src=x onerror=alert(1)>"
    said = Step(QUIET.agent, "", (Utterance(1, "user", words, 0, 0.2, True, typed=True),))
    log = talk(library, steps=[said, *[QUIET] * 49])
    answer = await client.get(f"/api/sessions/{log.id}/export.html", headers=MINE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert int(answer.headers["content-length"]) == len(answer.content)
    page = answer.text
    (told,) = re.findall('<script type="application/json" id="talk">(.*?)</script>', page, re.DOTALL)
    (script,) = re.findall('<script type="module">(.*?)</script>', page, re.DOTALL)
    assert page.count("<script") == page.count("</script>") == 3  # one of them strings, one what was said
    assert not re.search("<img|https?://", page.replace(script, ""))
    (shown,) = json.loads(told)["lane"]["utterances"]
    assert (shown["text"], shown["typed"]) == (words, True)
    assert META.prompt not in page
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{allowed}'" in page
    (flac,) = re.findall('<audio [^>]*base64,([^"]*)">', page)
    samples, _ = soundfile.read(io.BytesIO(base64.b64decode(flac)))
    assert samples.shape == (50 * FRAME_SAMPLES, 2)


async def test_sessions_page_export_of_a_talk_without_sound_has_its_words(client, library, tmp_path):
    log = talk(library, keep=True)
    (tmp_path / "kept" / f"{log.id}.wav").unlink()
    answer = await client.get(f"/api/sessions/{log.id}/export.html", headers=MINE)
    assert "Good day." in answer.text
    assert (answer.status_code, "<audio" in answer.text) == (200, False)
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_sessions_page_export_is_in_the_language_of_the_page_that_asks(client, library):
    tutor, old = (replace(META, persona=name) for name in ("language-tutor", "gone-role"))
    for meta, query, accepted, language, title in (
        (tutor, "?language=es", "nl", "es", "Una conversación: Profesora de idiomas"),
        (tutor, "?language=en", "nl", "en", "A talk: Language tutor"),
        (tutor, "", "nl", "nl", "Een gesprek: Taaldocent"),
        (old, "?language=tlh", "", "en", "A talk: gone role"),
    ):
        log = library.begin(ME, False, meta)
        log.finish("stopped")
        headers = {**MINE, "Accept-Language": accepted}
        page = (await client.get(f"/api/sessions/{log.id}/export.html{query}", headers=headers)).text
        assert f'<html lang="{language}">' in page
        assert re.search("<h1>(.*)</h1>", page)[1] == title


async def test_sessions_unknown_export_names_those_there_are(client, library):
    answer = await client.get(f"/api/sessions/{talk(library).id}/export.mp3", headers=MINE)
    assert "wav, flac, html, txt, srt, json" in refused(answer, 404, "not_found")


async def test_sessions_rating_is_stored_and_shown(client, library):
    log = talk(library)
    rating = {"stars": 5, "comment": "näht"}
    assert (await client.post(f"/api/sessions/{log.id}/rating", headers=MINE, json=rating)).json() == {
        "rated": True
    }
    found = (await client.get(f"/api/sessions/{log.id}", headers=MINE)).json()
    assert (found["stars"], found["comment"]) == (5, "näht")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"5",
        b"[]",
        b"{",
        b"\xff",
        b'{"stars": 9}',
        b'{"stars": "5"}',
        b'{"comment": "x"}',
        b'{"stars": 5, "comment": 3}',
    ],
)
async def test_sessions_rating_that_is_none_gets_a_sentence(client, library, body):
    log = talk(library)
    refused(await client.post(f"/api/sessions/{log.id}/rating", headers=MINE, content=body), 400, "bad_input")
    assert library.get(ME, log.id).stars is None


async def test_sessions_endless_body_is_refused_before_its_end(client, library):
    log, sent = talk(library), []

    async def endless():
        while len(sent) < 1_000:
            sent.append(1)
            yield b" " * 1024

    answer = await client.post(f"/api/sessions/{log.id}/rating", headers=MINE, content=endless())
    assert str(MAX_BODY_BYTES) in refused(answer, 413, "too_large")
    assert len(sent) < 20


async def test_sessions_keep_moves_the_talk_to_stay(client, library):
    log = talk(library)
    for _ in range(2):
        assert (await client.post(f"/api/sessions/{log.id}/keep", headers=MINE)).json() == {
            "kept": True,
            "at_end": False,
        }
    assert library.get(ME, log.id).kept
    assert (await client.get(f"/api/sessions/{log.id}/export.wav", headers=MINE)).status_code == 200


async def test_sessions_keep_where_nothing_can_be_kept_says_why(tmp_path):
    library = Library(None, temporary_root=tmp_path)
    transport = httpx.ASGITransport(served(session_routes(library, PAGE)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert "not kept here" in (await client.get("/api/sessions", headers=MINE)).json()["keep_problem"]
        refused(await client.post(f"/api/sessions/{talk(library).id}/keep", headers=MINE), 503, "storage")
    library.close()


async def test_sessions_keep_where_the_folder_is_full_says_so(tmp_path):
    library = Library(tmp_path / "kept", max_kept_bytes=100_000, temporary_root=tmp_path)
    transport = httpx.ASGITransport(served(session_routes(library, PAGE)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        log = talk(library, steps=[QUIET] * 20)
        refused(await client.post(f"/api/sessions/{log.id}/keep", headers=MINE), 507, "storage_full")
    library.close()


async def test_sessions_deleted_talk_is_gone(client, library, tmp_path):
    log = talk(library, keep=True)
    assert (await client.delete(f"/api/sessions/{log.id}", headers=MINE)).json() == {"deleted": 1}
    refused(await client.get(f"/api/sessions/{log.id}", headers=MINE), 404, "not_found")
    assert not list(tmp_path.rglob(f"{log.id}*"))


async def test_sessions_delete_all_takes_ones_own_that_have_ended(client, library):
    talk(library), talk(library, keep=True)
    live, other = library.begin(ME, True, META), talk(library, YOU)
    assert (await client.delete("/api/sessions", headers=MINE)).json() == {"deleted": 2, "running": 1}
    live.finish("stopped")
    assert [t.id for t in library.talks(ME)] == [live.id]
    assert [t.id for t in library.talks(YOU)] == [other.id]


@pytest.mark.parametrize("method", ["GET", "DELETE", "export.wav", "export.txt", "keep", "rating"])
async def test_sessions_other_peoples_talks_are_as_absent_as_none(client, library, method):
    log = talk(library, YOU)
    answers = []
    for talk_id in (log.id, "0" * 16, "nonsense", "..%2F..%2Fetc"):
        if method in ("GET", "DELETE"):
            answer = await client.request(method, f"/api/sessions/{talk_id}", headers=MINE)
        elif method.startswith("export"):
            answer = await client.get(f"/api/sessions/{talk_id}/{method}", headers=MINE)
        else:
            answer = await client.post(f"/api/sessions/{talk_id}/{method}", headers=MINE, json={"stars": 5})
        answers.append((answer.status_code, answer.text))
    assert len(set(answers[:3])) == 1
    assert {status for status, _ in answers} == {404}
    found = library.get(YOU, log.id)
    assert (found.kept, found.stars) == (False, None)


@pytest.mark.parametrize(
    "headers", [{}, {"X-Owner-Key": ""}, {"X-Owner-Key": "short"}, {"X-Owner-Key": "k" * 300}]
)
async def test_sessions_without_a_proper_key_get_a_sentence(client, headers):
    for method, path in [("GET", ""), ("DELETE", ""), ("GET", f"/{'0' * 16}"), ("POST", f"/{'0' * 16}/keep")]:
        refused(await client.request(method, "/api/sessions" + path, headers=headers), 400, "bad_input")
