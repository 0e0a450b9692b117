"""The language model option against a real local HTTP server, well- and ill-behaved."""

import json
import logging
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from personaplex_app.engine.contract import SessionConfig
from personaplex_app.errors import SettingsError
from personaplex_app.responder.llm import MAX_HISTORY_MESSAGES, LlmResponder, LlmSettings
from personaplex_app.responder.rules import make_responder

from .support.patience import PATIENCE_S, until

pytestmark = pytest.mark.unit

PROMPT = "You work for Crumb which is a bakery and your name is Ida. Information: A rye loaf costs $4."
KEY = "sk-very-secret"
QUESTION = "How much is the rye loaf?"
BY_RULES = ["A rye loaf costs four dollars."]


def event(text=None, finish=None):
    choice = {"delta": {"content": text} if text else {}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


class Server:
    """An endpoint that answers each request by `script(write)`, and keeps what was asked."""

    def __init__(self, script, status=200):
        self.script, self.status = script, status
        self.asked, self.headers, self.paths = [], [], []
        self.stop = threading.Event()


@contextmanager
def serving(script, status=200):
    server = Server(script, status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            server.paths.append(self.path)
            server.headers.append(dict(self.headers))
            server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(server.status)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()

            def write(data):
                self.wfile.write(data)
                self.wfile.flush()

            with suppress(OSError):  # the client may have gone
                server.script(write, server)

        def log_message(self, *args):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = False
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{http.server_port}"
    finally:
        server.stop.set()
        http.shutdown()
        http.server_close()
        thread.join()


@contextmanager
def talking(url, **limits):
    notices = []
    settings = LlmSettings(
        url=url, key=KEY, model="tiny", **{"first_token_s": PATIENCE_S, "total_s": PATIENCE_S, **limits}
    )
    responder = make_responder(SessionConfig("natural", PROMPT), notices.append, settings)
    try:
        responder.record_played(responder.greet(), False)
        yield responder, notices
    finally:
        responder.close()


def says(*pieces):
    def script(write, server):
        for piece in pieces:
            write(event(piece))
        write(event(finish="stop"))
        write(b"data: [DONE]\n\n")

    return script


def test_llm_streams_sentences_with_prompt_history_and_key():
    with (
        serving(says("Hel", "lo the", "re. How a", "re you? ", "Fine")) as (server, url),
        talking(url) as (responder, notices),
    ):
        assert list(responder.reply("Hi")) == ["Hello there.", "How are you?", "Fine"]
        responder.record_played("Hello there.", True)
        list(responder.reply("And now?"))
        first, second = server.asked
        assert first["stream"] is True
        assert first["model"] == "tiny"
        assert first["messages"][0]["content"].startswith(PROMPT)
        assert first["messages"][-1] == {"role": "user", "content": "Hi"}
        # only what was played is what the model is told it said
        assert [m["content"] for m in second["messages"][1:]][-3:] == ["Hi", "Hello there. —", "And now?"]
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
        assert notices == []


def test_llm_sentence_comes_before_the_reply_ends():
    went_on = []

    def script(write, server):
        write(event("First sentence. Sec"))
        went_on.append(server.stop.wait(PATIENCE_S))
        write(event("ond."))

    with serving(script) as (server, url), talking(url) as (responder, _):
        reply = responder.reply("Hi")
        assert next(reply) == "First sentence."
        server.stop.set()
        assert list(reply) == ["Second."]
        assert went_on == [True]  # not until the first one was there


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/api/v3"])
def test_llm_url_may_end_anywhere(path):
    with serving(says("Yes.")) as (server, url), talking(url + path) as (responder, _):
        assert list(responder.reply("Hi")) == ["Yes."]
        assert server.paths == ["/api/v3/chat/completions" if path == "/api/v3" else "/v1/chat/completions"]


def late(write, server):
    server.stop.wait(PATIENCE_S)


def only_pings(write, server):
    while not server.stop.wait(0.05):
        write(b": ping\n\n")


def garbage(write, server):
    write(b"data: {nonsense\n\n")


def html(write, server):
    write(b"<html>" + b"x" * 200_000)


def wrong_shape(write, server):
    write(b'data: {"choices": [7]}\n\n')


def reported(write, server):
    write(b'data: {"error": {"message": "overloaded"}}\n\n')


def cut_at_once(write, server):
    write(event("The rye loaf co"))


def empty(write, server):
    write(b"data: [DONE]\n\n")


TOO_LONG, NO_EVENTS = "it took too long", "its answer was not a stream of events"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (late, TOO_LONG),
        (only_pings, TOO_LONG),
        (garbage, NO_EVENTS),
        (html, NO_EVENTS),
        (wrong_shape, NO_EVENTS),
        (reported, "it reported an error"),
        (empty, "it sent an empty answer"),
    ],
)
def test_llm_that_fails_before_a_sentence_loses_no_turn(script, why):
    limits = {"first_token_s": 0.3} if why == TOO_LONG else {}
    with serving(script) as (_, url), talking(url, **limits) as (responder, notices):
        assert list(responder.reply(QUESTION)) == BY_RULES
        responder.record_played(BY_RULES[0], False)
        assert list(responder.reply("What did I just ask?")) == ["You asked me: how much is the rye loaf."]
        assert len(notices) == 1
        assert notices[0].startswith(f"The language model did not answer ({why})")
        assert responder.notice == notices[0]


@pytest.mark.parametrize(("status", "asked"), [(401, 1), (404, 1), (500, 1), (429, 1)])
def test_llm_refusal_falls_back_and_is_told_once(status, asked):
    with serving(late, status) as (server, url), talking(url) as (responder, notices):
        server.stop.set()
        for _ in range(3):
            assert list(responder.reply(QUESTION))[-1].endswith("costs four dollars.")
            responder.record_played("", True)
        assert len(notices) == 1
        assert str(status) in notices[0]
        assert len(server.asked) == asked  # not asked again at once: every turn would wait for it


def test_llm_cut_in_mid_sentence_keeps_the_whole_ones():
    def script(write, server):
        write(event("It is fresh today. The rye loaf co"))

    with serving(script) as (_, url), talking(url) as (responder, notices):
        assert list(responder.reply(QUESTION)) == ["It is fresh today."]
        assert len(notices) == 1


def test_llm_cut_before_the_first_sentence_ends_falls_back():
    with serving(cut_at_once) as (_, url), talking(url) as (responder, _):
        assert list(responder.reply(QUESTION)) == BY_RULES


@pytest.mark.parametrize("piece", ["All our bread is good. ", "bread ", "b"])
def test_llm_huge_reply_is_bounded(piece):
    def script(write, server):
        while not server.stop.is_set():
            write(event(piece * 50))

    with serving(script) as (_, url), talking(url, max_reply_chars=300) as (responder, _):
        assert 0 < len(" ".join(responder.reply("Talk."))) < 400


def test_llm_total_time_is_bounded(monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr("personaplex_app.responder.llm.time.monotonic", lambda: now_s[0])

    def script(write, server):
        write(event("One moment. "))
        while not server.stop.wait(0.02):
            write(event("and "))

    with serving(script) as (_, url), talking(url, total_s=40) as (responder, notices):
        reply = responder.reply("Talk.")
        assert next(reply) == "One moment."
        now_s[0] = 41.0
        assert list(reply) == []
        assert TOO_LONG in notices[0]


def test_llm_reply_closed_early_closes_the_stream():
    gone = threading.Event()

    def script(write, server):
        try:
            while not server.stop.is_set():
                write(event("A sentence. "))
        except OSError:
            gone.set()

    with serving(script) as (_, url), talking(url) as (responder, notices):
        reply = responder.reply("Talk.")
        assert next(reply) == "A sentence."
        reply.close()
        assert gone.wait(PATIENCE_S)
        responder.record_played("A sentence.", True)
        assert notices == []


def test_llm_reply_goes_on_although_another_was_begun():
    with serving(says("One. ", "Two. ")) as (server, url), talking(url) as (responder, _):
        first = responder.reply("A")
        assert next(first) == "One."
        second = responder.reply("B")
        assert next(second) == "One."
        second.close()
        assert list(first) == ["Two."]
        responder.record_played("One. Two.", False)
        list(responder.reply("C"))
        assert [m["content"] for m in server.asked[-1]["messages"]][-3:] == ["A", "One. Two.", "C"]


def test_llm_close_ends_a_reply_that_waits():
    with serving(only_pings) as (server, url), talking(url) as (responder, _):
        done = threading.Event()
        thread = threading.Thread(target=lambda: (list(responder.reply("Hi")), done.set()))
        thread.start()
        until(lambda: server.asked)
        responder.close()
        assert done.wait(PATIENCE_S)
        thread.join()


def test_llm_unreachable_falls_back():
    with talking("http://127.0.0.1:9") as (responder, notices):
        assert list(responder.reply(QUESTION)) == BY_RULES
        assert "connection" in notices[0]


def test_llm_nothing_heard_needs_no_model():
    with serving(says("No.")) as (server, url), talking(url) as (responder, _):
        assert "catch" in next(responder.reply("..."))
        assert server.asked == []


def test_llm_history_is_bounded():
    with serving(says("Yes.")) as (server, url), talking(url) as (responder, _):
        for _ in range(40):
            list(responder.reply("word " * 200))
            responder.record_played("Yes.", False)
        assert len(server.asked[-1]["messages"]) <= MAX_HISTORY_MESSAGES + 2
        assert sum(len(m["content"]) for m in server.asked[-1]["messages"]) < 12_000


def test_llm_rules_remember_what_the_model_answered():
    with serving(says("Four dollars.")) as (server, url), talking(url) as (responder, _):
        list(responder.reply("My name is Tom. " + QUESTION))
        responder.record_played("Four dollars.", False)
        server.status = 500
        assert "Tom" in " ".join(responder.reply("What's my name?"))


def test_llm_markup_is_not_spoken():
    with serving(says("**Rye** is `good`.\n", "* Four dollars.")) as (_, url), talking(url) as (responder, _):
        assert list(responder.reply("Hi")) == ["Rye is good .", "Four dollars."]


def test_llm_logs_no_key_prompt_or_words(caplog):
    caplog.set_level(logging.DEBUG)
    with serving(garbage) as (_, url), talking(url) as (responder, notices):
        list(responder.reply(QUESTION))
    for secret in (KEY, "bakery", "rye"):
        assert secret not in caplog.text
        assert secret not in notices[0]
    assert KEY not in repr(LlmSettings(url="http://x", key=KEY))


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://user:pw@host/v1", "nonsense"])
def test_llm_settings_refuse_a_bad_address(url):
    with pytest.raises(SettingsError) as raised:
        LlmSettings(url=url)
    assert "pw" not in str(raised.value)


def test_llm_settings_refuse_a_limit_of_zero():
    with pytest.raises(SettingsError, match="above zero"):
        LlmSettings(url="http://x", total_s=0)


def test_make_responder_without_settings_asks_nobody():
    responder = make_responder(SessionConfig("natural", PROMPT))
    assert not isinstance(responder, LlmResponder)
    assert list(responder.reply(QUESTION)) == BY_RULES
    responder.close()
