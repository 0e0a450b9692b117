"""What an operator sees of real talks: metrics that add up, and a log that tells everything but what people said and who they are."""

import json
import re
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from .peers import call
from .served import served
from .speech import speak
from .test_gateway import KEY, chunk, talk

pytestmark = pytest.mark.unit

LOGIN = "door-key-of-the-operator"
SECRETS = {
    "prompt": "You sell periwinkle umbrellas and your name is Zebedee.",
    "owner": "owner-key-quixotic-0001",
    "user": "user-marigold",
    "session": "session-tamarind",
    "clone": "Aunt Wilhelmina",
    "adapter prompt": "You whisper about obsidian lighthouses.",
}
# parts of the above, and what is spoken and answered
UNSAID = re.compile(r"periwinkle|Zebedee|quixotic|marigold|tamarind|Wilhelmina|obsidian|umbrella|127\.0\.0\.1|door-key|gateway-key", re.I)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """An app after one talk of a page, one of a gateway's client and a few mishaps: its metrics and its log."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "adapters.yaml").write_text(
        f"adapters: [{{name: shop, persona: {{voice_prompt: NATF0, text_prompt: {SECRETS['adapter prompt']}}}}}]"
    )
    env = {"PERSONAPLEX_API_KEY": LOGIN, "PERSONAPLEX_GATEWAY_KEY": KEY}
    options = {"log_format": "json", "log_level": "debug", "adapters": folder / "adapters.yaml", "host": "0.0.0.0"}
    with served(folder, "classic", env, **options) as app:
        key = {"X-API-Key": LOGIN, "X-Owner-Key": SECRETS["owner"]}
        while app.get("/health", headers=key).json()["status"] != "ok":
            time.sleep(0.1)
        with call(app.url, codec="pcm", events=1, config="message", api_key=LOGIN) as page:
            page.order("start", owner=SECRETS["owner"], text_prompt=SECRETS["prompt"])
            talk_id = page.until_event("ready")["talk_id"]
            asked = speak("How much is a periwinkle umbrella?")
            page.speak(asked)
            for underruns in (2, 5, -1, 10**9, "6", 5.5):
                page.order("playback", underruns=underruns, buffer_ms=80, trimmed_ms=0)
            time.sleep(0.5)  # the user's sound comes late
            page.speak(asked[:9600])
            page.order("stop")
            page.until_closed()
        with talk(app, "shop", api_key=LOGIN, user_id=SECRETS["user"], session_id=SECRETS["session"]) as client:
            client.until("connected")
            client.socket.send("periwinkle")
            client.until("error")
            client.socket.send(chunk([0.0] * 4800))
            client.until("audio_chunk")
            client.say("end")
            client.until_closed()
        with talk(app, "marigold", api_key=LOGIN) as client:
            client.until_closed()
        with call(app.url, codec="pcm", api_key=LOGIN, voice_prompt="clone:Wilhelmina", owner=SECRETS["owner"]) as caller:
            caller.until_closed()
        clones = f"/api/clones?consent=1&name={SECRETS['clone']}"
        assert app.get(clones.replace("?", "?x=1&"), headers=key).status_code < 500
        assert app.get("/metrics").status_code == 401
        metrics = app.get("/metrics", headers={"Authorization": f"Bearer {LOGIN}"})
        open_metrics = app.get("/metrics", headers={**key, "Accept": "application/openmetrics-text; version=1.0.0"})
    return metrics, open_metrics, app.log.read_text(), talk_id, len(page.heard())


def test_metrics_after_real_talks_add_up(watched):
    metrics, open_metrics, _, _, heard_samples = watched
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.text)
        for sample in family.samples
    }

    def value(name, **labels):
        return found[(f"personaplex_{name}", *sorted(labels.items()))]

    assert value("talks_total", engine="classic", face="chat", reason="stopped") == 1
    assert value("talks_total", engine="classic", face="gateway", reason="stopped") == 1
    assert value("step_seconds_count", engine="classic") == heard_samples / 1920 + 2
    below_80_ms = value("step_seconds_bucket", engine="classic", le="0.08")
    assert value("deadline_misses_total", engine="classic") == value("step_seconds_count", engine="classic") - below_80_ms
    assert 1 <= value("late_frames_total", engine="classic") < 100
    assert value("underruns_total") == 5
    assert (value("errors_total", kind="protocol"), value("errors_total", kind="not_found")) == (1, 1)
    assert value("errors_total", kind="no_cloning") == 1
    assert value("bytes_total", face="chat", direction="in") > heard_samples * 2
    assert value("bytes_total", face="gateway", direction="out") > 1920 * 4 * 4 / 3
    assert (value("slots"), value("slots_used"), value("queue_length"), value("callers")) == (2, 0, 0, 0)
    assert value("engine_ready", engine="classic", instead_of="") == 1
    families = {family.name for family in parse_openmetrics(open_metrics.text)}
    assert {"personaplex_talks", "personaplex_step_seconds", "process_resident_memory_bytes"} <= families


def test_log_lines_are_json_and_a_talks_lines_have_its_id(watched):
    *_, log, talk_id, _ = watched
    lines = [json.loads(line) for line in log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    mine = [line for line in lines if line.get("talk") == talk_id]
    assert [line["message"] for line in mine] == ["a talk begins", "a caller left"]
    assert (mine[0]["engine"], mine[0]["face"], mine[1]["reason"]) == ("classic", "chat", "stopped")
    assert any(line.get("face") == "gateway" for line in lines)
    assert any("is ready at" in line["message"] for line in lines)


def test_log_at_its_most_talkative_holds_nothing_personal(watched):
    log = watched[2]
    assert len(log.splitlines()) > 10
    assert UNSAID.findall(log) == []
