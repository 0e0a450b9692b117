"""`/docs/api`: both documents are valid and say what the app has; what comes over the wire is as they say."""

import json
import re

import httpx
import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from personaplex_app.gateway.wire import GatewayWire
from personaplex_app.protocol import metadata
from personaplex_app.protocol_events import Audio, Failure, Interrupted, Pong, Ready, Utterance
from personaplex_app.protocol_orders import ORDERS
from personaplex_app.server import wire_schemas
from personaplex_app.server.asyncapi import GATEWAY_SENDS, GATEWAY_TAKES, asyncapi
from personaplex_app.server.openapi import OPERATIONS
from personaplex_app.server.wire import message_of

from .support.app_process import ROOT, app_process
from .test_protocol_docs import EXAMPLES, SENT, rows_of, section

ASYNCAPI_SCHEMA = ROOT / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0-without-$id.json"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    with app_process(folder, env={"PERSONAPLEX_API_KEY": "sesame"}) as running:
        running.client.headers.update({"X-API-Key": "sesame", "X-Owner-Key": "k" * 16})
        running.until_ready()
        yield running


def check(schema: dict, value: object) -> None:
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(value)


@pytest.mark.process
def test_openapi_document_is_valid_and_answers_are_as_it_says(app):
    assert httpx.get(f"{app.url}/docs/api/openapi.json").status_code == 401
    document = app.get("/docs/api/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    assert {"key": []} in document["security"]
    listed = [f"{method.upper()} {path}" for path, told in document["paths"].items() for method in told]
    assert sorted(listed) == sorted(yaml.safe_load(OPERATIONS.read_text()))
    plain = [path for path, told in document["paths"].items() if "get" in told and "{" not in path]
    assert len(plain) > 8
    for path in plain:
        answer = app.get(path)
        kind = answer.headers["content-type"].partition(";")[0]
        content = document["paths"][path]["get"]["responses"]["200"]["content"]
        if kind == "application/json" and answer.status_code == 200:
            check(content[kind]["schema"], answer.json())
        elif answer.status_code == 200:
            assert kind in content, path
        else:  # this engine clones no voices
            assert (path, answer.json()["error"]) == ("/api/clones", "no_cloning")
            check(document["components"]["schemas"]["Error"], answer.json())
    started = app.post(
        "/api/compare/runs", json={"inputs": [{"scenario": "greeting"}], "voices": ["nobody"]}
    ).json()
    check(document["components"]["schemas"]["Error"], started)


@pytest.mark.process
def test_page_needs_nothing_else_and_shows_every_route_and_message(app):
    page = app.get("/docs/api").text
    assert not re.search(r"<script|<link|<img|https?://", page)
    assert not re.search(r"(src|href)='(?!#|api/)", page)
    document = app.get("/docs/api/openapi.json").json()
    shown = [f"{m.upper()} {path}<" for path, told in document["paths"].items() for m in told]
    shown += [f"<code>{name}</code>" for name in (*wire_schemas.events(), *wire_schemas.orders())]
    assert [each for each in shown if each not in page] == []


@pytest.mark.process
def test_asyncapi_document_fits_its_published_schema(app):
    assert ASYNCAPI_SCHEMA.is_file(), "the schema comes with the page's linters; run: npm ci"
    document = app.get("/docs/api/asyncapi.json").json()
    Draft7Validator(json.loads(ASYNCAPI_SCHEMA.read_text())).validate(document)
    assert document["servers"]["app"]["host"] == app.url.removeprefix("http://")
    assert document["servers"]["app"]["security"]
    for channel in document["channels"].values():
        for reference in channel["messages"].values():
            name = reference["$ref"].removeprefix("#/components/messages/")
            assert name in document["components"]["messages"]


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_event_on_the_wire_is_as_its_schema_says(event):
    told = message_of(event).json()
    schema = wire_schemas.events()[told["type"]]
    check(schema, told)
    assert set(schema["properties"]) == set(told)
    with pytest.raises(Exception, match="is a required property"):
        check(schema, {"type": told["type"]} if len(told) > 1 else {})


@pytest.mark.parametrize("type_", ORDERS)
def test_order_is_as_its_schema_says(type_):
    schema = wire_schemas.orders()[type_]
    check(schema, metadata(type_, **SENT[type_]).json())
    assert set(SENT[type_]) <= set(schema["properties"])


def test_order_beyond_a_limit_does_not_fit_its_schema():
    start = wire_schemas.orders()["start"]
    for wrong in ({"text_prompt": "x" * 2_001}, {"audio_temperature": 2.5}, {"seed": -1}, {"keep": "1"}):
        assert not Draft202012Validator(start).is_valid({"type": "start", **wrong}), wrong


def test_query_is_that_of_the_protocol_page():
    assert set(wire_schemas.query()) == set(rows_of(section("Connecting"))) - {"api_key"}


def test_gateway_messages_are_as_their_schemas_say():
    said = asyncapi("localhost")["components"]["messages"]
    wire = GatewayWire("desk", "s-1", 1)
    ready = next(each for each in EXAMPLES if isinstance(each, Ready))
    spoken = next(each for each in EXAMPLES if isinstance(each, Utterance))
    failures = [Failure("No room.", 3), Failure("It broke.")]
    events = [ready, Audio(b"\0" * 4), spoken, Interrupted(), Pong(1), *failures]
    sent = [json.loads(text) for event in events for text in wire.write(event)]
    assert {each["type"] for each in sent} == set(GATEWAY_SENDS)
    for each in sent:
        schema = said[f"gateway_sent_{each['type']}"]["payload"]
        check(schema, each)
        assert set(each) <= set(schema["properties"])
    for type_ in GATEWAY_TAKES:
        message = {"type": type_, **({"data": "AAAAAA=="} if type_ == "audio_chunk" else {})}
        check(said[f"gateway_taken_{type_}"]["payload"], message)
        wire.read(json.dumps(message))
