"""The language model option against a real local HTTP server, well- and ill-behaved."""

import json
import logging
import os
import ssl
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest

from personaplex_app.engine.contract import SessionConfig
from personaplex_app.errors import SettingsError
from personaplex_app.responder import chat_api
from personaplex_app.responder.chat_api import LlmSettings
from personaplex_app.responder.figure_guard import NO_FIGURE, ToldFigures
from personaplex_app.responder.llm import MAX_HISTORY_MESSAGES, LlmResponder
from personaplex_app.responder.rules import make_responder

from .support.patience import PATIENCE_S, until

pytestmark = pytest.mark.unit

PROMPT = (
    "You work for Crumb which is a bakery and your name is Ida. Information: A rye loaf costs $4. We open at"
    " nine."
)
KEY = "sk-very-secret"
QUESTION = "How much is the rye loaf?"
BY_RULES = ["A rye loaf costs four dollars."]


def event(text=None, finish=None):
    choice = {"delta": {"content": text} if text else {}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


class Server:
    """An endpoint that answers each request by `script(write)`, and keeps what was asked."""

    def __init__(self, script, status=200, refuse=None):
        self.script, self.status = script, status
        self.refuse = refuse or (lambda body, path: None)
        self.asked, self.headers, self.paths = [], [], []
        self.more_headers = {}
        self.stop = threading.Event()


@contextmanager
def serving(script, status=200, refuse=None):
    server = Server(script, status, refuse)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            server.paths.append(self.path)
            server.headers.append(dict(self.headers))
            server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            refused = server.refuse(server.asked[-1], self.path)
            self.send_response(refused[0] if refused else server.status)
            self.send_header("Content-Type", "application/json" if refused else "text/event-stream")
            for name, value in server.more_headers.items():
                self.send_header(name, value)
            self.end_headers()
            if refused:
                self.wfile.write(json.dumps(refused[1]).encode())
                return

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
        (reported, "it reported an error: 'overloaded'"),
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


@pytest.mark.parametrize(("status", "asked"), [(401, 1), (404, 2), (500, 1), (429, 1)])
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
    with serving(says("Yes. ", "Surely. ")) as (server, url), talking(url) as (responder, _):
        first = responder.reply("A")
        assert next(first) == "Yes."
        second = responder.reply("B")
        assert next(second) == "Yes."
        second.close()
        assert list(first) == ["Surely."]
        responder.record_played("Yes. Surely.", False)
        list(responder.reply("C"))
        assert [m["content"] for m in server.asked[-1]["messages"]][-3:] == ["A", "Yes. Surely.", "C"]


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
        assert list(responder.reply("Hi")) == ["Rye is good.", "Four dollars."]


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


# -- dialects ----------------------------------------------------------------------------------------------


def chunk(delta, finish=None, **more):
    event = {"choices": [{"delta": delta, "finish_reason": finish}], **more}
    return f"data: {json.dumps(event)}\n\n".encode()


def sends(*chunks):
    def script(write, server):
        for each in chunks:
            write(each)

    return script


OPEN = "We open at nine. Anything else?"
DIALECTS = {
    "thinks": sends(
        *(chunk({"content": part}) for part in ("<thi", "nk>Rude", " man.</think>", OPEN)),
        b"data: [DONE]\n\n",
    ),
    "thinks beside": sends(
        chunk({"reasoning_content": "Rude man."}), chunk({"reasoning": "Rude."}),
        chunk({"content": OPEN}, "stop"),
    ),
    "thinks in parts": sends(
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Rude man."}]}]}),
        chunk({"content": [{"type": "text", "text": OPEN}]}, "stop"),
    ),
    "empty reasons": sends(*(chunk({"content": w + " "}, "") for w in OPEN.split()), chunk({}, "stop")),
    "no reason": sends(chunk({"content": OPEN}), b"data: [DONE]\n\n"),
    "no end at all": sends(chunk({"content": OPEN})),
    "empty chunks": sends(
        b"data: {}\n\n", b'data: {"choices": []}\n\n', b'data: {"choices": null}\n\n',
        chunk(None), chunk({"content": None}), b": a comment\n\nevent: message\n",
        chunk({"content": OPEN}), chunk({}, "stop"),
    ),
    "error null": sends(chunk({"content": OPEN}, "stop", error=None)),
    "no space": sends(chunk({"content": OPEN}, "stop").replace(b"data: ", b"data:")),
    "carriage returns": sends(chunk({"content": OPEN}, "stop").replace(b"\n", b"\r\n")),
    "thinks after a call": sends(
        chunk({"tool_calls": [{"index": 0, "function": {"name": "Rude", "arguments": "{}"}}]}),
        chunk({"content": '<tool_call>{"name": "Rude"}</tool_call>' + OPEN}, "stop"),
    ),
    "thinks by other tags": sends(
        chunk({"content": "<|START_THIN"}), chunk({"content": "KING|>Rude.<|END_THINKING|>" + OPEN}, "stop"),
    ),
    "byte order mark": sends(b"\xef\xbb\xbf" + chunk({"content": OPEN}, "stop")),
    "usage last": sends(chunk({"content": OPEN}), b'data: {"choices": [], "usage": {"total_tokens": 9}}\n\n',
                        b"data: [DONE]\n\n"),
    "says who speaks": sends(chunk({"content": "Assistant: " + OPEN}, "stop")),
    "completions of text": sends(chunk(None).replace(b'"delta": null', b'"text": "We open at nine. "'),
                                 chunk({"content": "Anything else?"}, "stop")),
    "several answers": sends(b'data: {"choices": [{"index": 1, "delta": {"content": "Rude."}}]}\n\n',
                             chunk({"content": OPEN}, "stop")),
    "reasons by name": sends(chunk({"content": "We open at nine. "}, "null"), chunk({}, "None"),
                             chunk({"content": "Anything else?"}, "stop")),
    "signs of life": sends(b"data: ping\n\n", b"data: [keep-alive]\n\n", chunk({"content": OPEN}),
                           b"data: [done]\n\n"),
    "text in objects": sends(chunk({"content": {"type": "text", "text": "We open at nine. "}}),
                             chunk({"content": [{"text": {"value": "Anything else?"}}]}, "stop")),
    "lists of events": sends(b"data: [" + chunk({"content": OPEN}, "stop")[6:-2] + b"]\n\n"),
    "refuses in a field of its own": sends(chunk({"refusal": OPEN, "content": None}, "stop")),
    "says who speaks in a line": sends(chunk({"content": "assistant\n" + OPEN}, "stop")),
    "goes on with the other side": sends(chunk({"content": OPEN + "\nUser: Rude?\nAI: Rude."}, "stop")),
    "invisible marks": sends(chunk({"content": "\ufeff\u200b" + OPEN}, "stop")),
    "lines of JSON": sends(
        *(json.dumps({"message": message, "done": done}).encode() + b"\n" for message, done in (
            ({"content": "", "thinking": "Rude man."}, False), ({"content": "We open at "}, False),
            ({"content": "nine. Anything else?"}, False), ({"content": ""}, True))),
    ),
    "several lines of data": sends(
        b"data: {\ndata:  \"choices\": [{\"delta\": {\"content\":\ndata: " + json.dumps(OPEN).encode()
        + b"}, \"finish_reason\": \"stop\"}]}\n\n",
    ),
    "no empty lines": sends(*(chunk({"content": w + " "})[:-1] for w in OPEN.split()), b"data: [DONE]\n"),
    "halves of bytes": sends(*(
        bytes([each]) for each in b"\xef\xbb\xbf" + chunk({"content": OPEN + "\u00a0"}, "stop")
    )),
    "halves of a character": sends(
        chunk({"content": OPEN + " \ud83d"}), chunk({"content": "\ude00\ufffd"}), chunk({}, "stop")
    ),
    "parts of deltas": sends(
        chunk({"content": [{"type": "text_delta", "text": "We open at nine. "}]}),
        chunk({"content": [{"type": "thinking_delta", "thinking": "Rude"}, {"type": "text", "text": ""}]}),
        chunk({"content": [{"type": "text", "text": "Anything else?"}]}, "stop"),
    ),
    "thinks unopened": sends(
        *(chunk({"content": part}) for part in ("Okay", ", the user is ru", "de. He", " asks.\n</th")),
        chunk({"content": "ink>\n\n" + OPEN}, "stop"),
    ),
    "seems to think": sends(
        chunk({"content": "We need to see. Rude."}), chunk({"content": "</think>" + OPEN}, "stop")
    ),
    "does not stream": sends(
        json.dumps({"choices": [{"message": {"content": OPEN}}], "error": None}, indent=1).encode()
    ),
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
def test_llm_answers_in_every_dialect_and_thoughts_are_neither_said_nor_kept(dialect):
    with serving(DIALECTS[dialect]) as (server, url), talking(url) as (responder, notices):
        said = list(responder.reply("When do you open?"))
        assert said == ["We open at nine.", "Anything else?"]
        responder.record_played(" ".join(said), False)
        list(responder.reply("And then?"))
        assert server.asked[-1]["messages"][-2]["content"] == OPEN
        assert "Rude" not in json.dumps(server.asked)
        assert notices == []


def test_llm_that_only_thinks_gave_no_answer():
    script = sends(chunk({"content": "<think>The manager is rude."}, "stop"))
    with serving(script) as (_, url), talking(url) as (responder, notices):
        assert list(responder.reply(QUESTION)) == BY_RULES
        assert "thought and sent no answer" in notices[0]


def test_llm_whose_thoughts_meet_the_limit_is_given_more_room_once():
    def script(write, server):
        if server.asked[-1]["max_tokens"] < 1_000:
            write(chunk({"content": "<think>The caller asks"}, "length"))
        else:
            write(chunk({"content": "<think>The caller asks.</think>Four dollars."}, "stop"))

    with serving(script) as (server, url), talking(url) as (responder, notices):
        assert list(responder.reply(QUESTION)) == ["Four dollars."]
        assert list(responder.reply(QUESTION)) == ["Four dollars."]
        assert len(server.asked) == 3
        assert notices == []


def named_by_param(name):
    return {
        "error": {
            "message": f"Unsupported parameter: '{name}'",
            "param": name,
            "code": "unsupported_parameter",
        }
    }


def named_in_text(name):
    return {"error": {"message": f"{name} is not supported with this model, use max_completion_tokens"}}


def named_by_place(name):
    return {"detail": [{"loc": ["body", name], "msg": "Extra inputs are not permitted"}]}


@pytest.mark.parametrize("told", [named_by_param, named_in_text, named_by_place])
@pytest.mark.parametrize(
    "refused", [("max_tokens",), ("temperature",), ("max_tokens", "temperature"), ("stream",)]
)
def test_llm_parameter_that_is_refused_is_left_out_or_replaced_for_the_talk(told, refused):
    def refuse(body, path):
        name = next((name for name in refused if name in body), None)
        return (422 if told is named_by_place else 400, told(name)) if name else None

    with (
        serving(DIALECTS["does not stream"], refuse=refuse) as (server, url),
        talking(url) as (responder, notices),
    ):
        for _ in range(2):
            assert list(responder.reply("When?")) == ["We open at nine.", "Anything else?"]
        assert len(server.asked) == 2 + len(refused)
        last = server.asked[-1]
        assert ("max_completion_tokens" in last) == ("max_tokens" in refused)
        assert {"max_tokens", "temperature", "stream"} - set(last) == set(refused)
        assert notices == []


def test_llm_that_knows_no_system_role_gets_the_role_from_the_user():
    def refuse(body, path):
        roles = [message["role"] for message in body["messages"]]
        in_turn = all(a != b for a, b in pairwise(roles)) and roles[0] == "user"
        return None if in_turn else (400, {"error": "Conversation roles must alternate user/assistant/…"})

    with serving(says("Yes."), refuse=refuse) as (server, url), talking(url) as (responder, notices):
        assert list(responder.reply("Hi")) == ["Yes."]
        assert server.asked[-1]["messages"][0]["content"].startswith(PROMPT)
        assert notices == []


@pytest.mark.parametrize(
    ("body", "told", "hidden"),
    [
        ({"error": {"message": "The model `tiny` is overloaded"}}, "The model `tiny` is overloaded", ""),
        ([{"error": {"message": "Quota is used up"}}], "Quota is used up", ""),
        ({"detail": "No such route"}, "No such route", ""),
        ({"message": "Bad gateway"}, "Bad gateway", ""),
        ({"error": {"message": f"Flagged text: {PROMPT}", "code": "flagged"}}, "flagged", "bakery"),
        ({"error": {"message": f"Cannot answer: {QUESTION}"}}, "status 403", "rye"),
        ({"error": {"message": f"Incorrect API key: {KEY}", "type": "bad_key"}}, "bad_key", KEY),
        ("<html>Forbidden</html>", "status 403", "html"),
        (["odd"], "status 403", "odd?"),
        (None, "status 403", "null"),
    ],
)  # fmt: skip
def test_llm_refusal_is_told_with_the_servers_reason_unless_it_holds_the_talk(body, told, hidden):
    with serving(late, refuse=lambda *_: (403, body)) as (_, url), talking(url) as (responder, notices):
        assert list(responder.reply(QUESTION)) == BY_RULES
        assert told in notices[0]
        assert not hidden or hidden not in notices[0]


@pytest.mark.parametrize("code", ["content_filter", "context_length_exceeded"])
def test_llm_refusal_of_one_turn_is_not_the_end_of_the_model(code):
    refusal = (400, {"error": {"message": "This turn cannot be answered", "code": code}})
    with serving(says("Yes."), refuse=lambda *_: refusal) as (_, url), talking(url) as (responder, _):
        assert list(responder.reply(QUESTION)) == BY_RULES
        assert responder._paused_until_s < float("inf")


@pytest.mark.parametrize(
    ("url", "endpoints"),
    [
        ("http://h", ["http://h/v1/chat/completions", "http://h/chat/completions"]),
        ("http://h:8/llm/", ["http://h:8/llm/v1/chat/completions", "http://h:8/llm/chat/completions"]),
        ("http://h/v1/", ["http://h/v1/chat/completions"]),
        ("https://h/v1beta/openai/", ["https://h/v1beta/openai/chat/completions"]),
        ("https://h/v1/openai", ["https://h/v1/openai/chat/completions"]),
        ("https://h/openai/v1?api-version=preview", ["https://h/openai/v1/chat/completions?api-version=preview"]),
        ("https://h/openai/deployments/m?api-version=1", ["https://h/openai/deployments/m/chat/completions?api-version=1"]),
        ("https://h/x/chat/completions?api-version=1", ["https://h/x/chat/completions?api-version=1"]),
        ("https://h/inference", ["https://h/inference/chat/completions"]),
    ],
)  # fmt: skip
def test_llm_address_keeps_its_own_parts_and_its_query(url, endpoints):
    assert list(LlmSettings(url).endpoints) == endpoints


def test_llm_address_that_is_not_there_is_tried_without_the_version():
    def refuse(body, path):
        return None if path == "/chat/completions" else (404, {"error": "not found"})

    with serving(says("Yes."), refuse=refuse) as (server, url), talking(url) as (responder, notices):
        assert [list(responder.reply("Hi")) for _ in range(2)] == [["Yes."], ["Yes."]]
        assert server.paths == ["/v1/chat/completions", "/chat/completions", "/chat/completions"]
        assert notices == []


@pytest.mark.parametrize(
    "url", ["https://m.openai.azure.com/openai/v1", "http://h/chat/completions?api-version=1"]
)
def test_llm_azure_gets_the_key_in_its_own_header(url):
    assert LlmSettings(url, KEY).headers == {"api-key": KEY}
    assert LlmSettings("https://h", KEY).headers == {"Authorization": f"Bearer {KEY}"}


def test_llm_speaks_its_first_clause_while_the_sentence_goes_on():
    went_on = []

    def script(write, server):
        write(event("Of course we do, and we b"))
        went_on.append(server.stop.wait(PATIENCE_S))
        write(event("ake it daily. Fresh, warm, and soft."))

    with serving(script) as (server, url), talking(url) as (responder, _):
        reply = responder.reply("Do you have rye?")
        assert next(reply) == "Of course we do,"
        server.stop.set()
        # what follows is spoken while the first clause sounds, and is not cut
        assert list(reply) == ["and we bake it daily.", "Fresh, warm, and soft."]


@pytest.mark.parametrize(
    ("asked", "says_", "said"),
    [
        # the role's figure of what it was told of, in figures or words, also after a question that names it
        (QUESTION, "It is four dollars.", ["It is four dollars."]),
        ("When do you open?", "We open at 9 AM.", ["We open at 9 AM."]),
        # of something else it is invented, whatever it is
        ("What does a bagel cost?", "A bagel costs $4.", None),
        ("What time do you close?", "We close at five thirty.", None),
        ("Do you have bagels?", "We do. They are $3 each. Do come in.", ["We do.", NO_FIGURE]),
        # the user's own may be said again
        ("A table for 6, please.", "A table for six is yours.", ["A table for six is yours."]),
    ],
)
def test_llm_says_no_figure_that_nobody_told(asked, says_, said):
    with serving(says(says_)) as (_, url), talking(url) as (responder, notices):
        if said is None:
            by_rules = list(responder._fallback.reply(asked))
            assert list(responder.reply(asked)) == by_rules
        else:
            assert list(responder.reply(asked)) == said
        assert notices == []


def test_llm_figure_may_be_said_as_an_amount_although_it_is_read_out_in_pairs():
    figures_told = ToldFigures("Error 404 means that the page is gone. It costs $1,250.")
    assert figures_told.allow("It means 404.", "error")
    assert not figures_told.allow("It costs $250.", "error")


def test_llm_figure_is_not_taken_from_what_was_talked_of_before():
    with serving(says("A bagel costs $4.")) as (_, url), talking(url) as (responder, _):
        list(responder._fallback.reply("Do you have rye loaves?"))
        responder._history += [("user", "Do you have rye loaves?"), ("assistant", "We have rye loaves.")]
        assert not any("$4" in sentence for sentence in responder.reply("What does a bagel cost?"))


def test_llm_figure_is_told_in_a_later_question_about_the_same():
    with serving(says("Four dollars.")) as (_, url), talking(url) as (responder, _):
        list(responder.reply("Do you have rye loaves?"))
        responder.record_played("We do.", False)
        assert list(responder.reply("How much are they?")) == ["Four dollars."]


def test_llm_waits_as_long_as_a_busy_server_asks(monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr("personaplex_app.responder.llm.time.monotonic", lambda: now_s[0])

    def busy(write, server):
        raise AssertionError

    with serving(busy) as (server, url), talking(url) as (responder, _):
        server.refuse = lambda *_: (429, {"error": {"message": "Slow down"}})
        server.more_headers = {"Retry-After": "7"}
        for at_s, asked in ((0.0, 1), (6.0, 1), (7.5, 2)):
            now_s[0] = at_s
            assert list(responder.reply(QUESTION)) == BY_RULES
            assert len(server.asked) == asked


def test_llm_answer_that_meets_its_limit_ends_with_a_whole_sentence():
    script = sends(chunk({"content": "We do. And the loaf, whi"}, "length"))
    with serving(script) as (_, url), talking(url) as (responder, _):
        assert list(responder.reply("Hi")) == ["We do."]


def test_llm_that_thinks_by_its_name_says_nothing_of_it_in_its_first_answer():
    script = sends(
        chunk({"content": "The user is rude. He wants"}), chunk({"content": " rye.</think>We do."}, "stop")
    )
    with serving(script) as (_, url):
        settings = LlmSettings(url, model="deepseek-r1:8b", first_token_s=PATIENCE_S, total_s=PATIENCE_S)
        responder = make_responder(SessionConfig("natural", PROMPT), None, settings)
        assert list(responder.reply("Hi")) == ["We do."]
        responder.close()


def test_llm_answer_that_seems_a_thought_and_is_none_is_said():
    script = sends(chunk({"content": "The question is easy: we do."}), chunk({}, "stop"))
    with serving(script) as (_, url), talking(url) as (responder, _):
        assert list(responder.reply("Hi")) == ["The question is easy: we do."]


def test_llm_thoughts_without_a_tag_that_meet_the_limit_are_not_said():
    def script(write, server):
        if server.asked[-1]["max_tokens"] < 1_000:
            write(chunk({"content": "Okay, the user greets me. So I greet"}, "length"))
        else:
            write(chunk({"content": "Okay, the user greets me. So I greet back.</think>Hello."}, "stop"))

    with serving(script) as (_, url), talking(url) as (responder, _):
        assert list(responder.reply("Hi")) == ["Hello."]


def test_llm_ollamas_own_interface_is_asked_in_its_words():
    with serving(DIALECTS["lines of JSON"]) as (server, url), talking(url + "/api/chat") as (responder, _):
        assert list(responder.reply("When do you open?"))
        assert server.paths == ["/api/chat"]
        assert server.asked[0]["options"] == {"num_predict": 160, "temperature": 0.6}
        assert server.asked[0]["stream"] is True


def test_llm_answer_of_another_interface_is_told():
    event = b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": {"text": "Hi"}}\n\n'
    with serving(sends(event)) as (_, url), talking(url) as (responder, notices):
        assert list(responder.reply(QUESTION)) == BY_RULES
        assert "no chat completion" in notices[0]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"object": "error", "message": "The model is not loaded", "code": 400}).encode(),
        b'{"error": "The model is not loaded"}\n',
        b'event: error\ndata: {"type": "error", "error": {"message": "The model is not loaded"}}\n\n',
    ],
)
def test_llm_error_in_a_successful_answer_is_told(body):
    with serving(sends(body)) as (_, url), talking(url) as (responder, notices):
        assert list(responder.reply(QUESTION)) == BY_RULES
        assert "The model is not loaded" in notices[0]


def test_llm_reply_that_is_cancelled_from_another_thread_ends_without_the_rules():
    def script(write, server):
        while not server.stop.wait(0.02):
            write(event("and "))

    with serving(script) as (server, url), talking(url) as (responder, notices):
        reply = responder.reply("Talk.")
        done = threading.Event()
        thread = threading.Thread(target=lambda: (list(reply), done.set()))
        thread.start()
        until(lambda: server.asked)
        reply.cancel()
        assert done.wait(PATIENCE_S)
        thread.join()
        assert notices == []


def test_llm_wish_for_another_pace_holds_for_the_models_own_answers():
    script = sends(chunk({"content": "Of course."}, "stop"))
    with serving(script) as (_, url), talking(url) as (responder, _):
        assert responder.pace == 1.0
        assert list(responder.reply("Could you speak more slowly, please?")) == ["Of course."]
        slower = responder.pace
        responder.record_played("Of course.", False)
        list(responder.reply("When do you open?"))
        responder.record_played("Of course.", False)
    assert slower < 1.0
    assert responder.pace == slower


def test_llm_certificate_is_checked_against_the_authorities_of_ssl_cert_file():
    authorities = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"]).get_ca_certs()
    assert chat_api._authorities().get_ca_certs() == authorities
    assert len(authorities) == 1
