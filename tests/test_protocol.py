"""The wire protocol, without I/O."""

import json
from contextlib import suppress
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_app.errors import BadInput, PersonaplexError, ProtocolError
from personaplex_app.protocol import (
    MAX_MESSAGE_BYTES,
    Kind,
    Message,
    decode,
    metadata,
    pack,
    parse_order,
    parse_query,
    parse_start,
    unpack,
)
from personaplex_app.protocol_fields import MAX_PROMPT_CHARS
from personaplex_app.protocol_orders import ORDERS, BadOrder, UnknownOrder
from personaplex_app.server.wire import order_of

from .support import readers

pytestmark = pytest.mark.unit


@given(st.sampled_from(Kind), st.binary(max_size=200))
def test_message_encoded_decodes_to_itself(kind, payload):
    assert decode(Message(kind, payload).encode()) == Message(kind, payload)


@given(st.binary(max_size=50) | st.text(max_size=50))
def test_decode_anything_gives_a_message_or_a_protocol_error(data):
    try:
        assert decode(data).kind == data[0]
    except ProtocolError as error:
        assert len(str(error)) > 20


@given(st.binary(max_size=300))
def test_unpack_anything_gives_messages_or_a_protocol_error(body):
    try:
        assert pack(list(unpack(body))) == body
    except ProtocolError:
        assert body


@pytest.mark.parametrize(
    ("data", "said", "close_code"),
    [
        ("hello", "binary", 1003),
        (b"", "empty", 1008),
        (b"\x09x", "kind 9", 1008),
        (b"\x01" * (MAX_MESSAGE_BYTES + 1), str(MAX_MESSAGE_BYTES), 1009),
    ],
    ids=["text", "nothing", "unknown kind", "oversize"],
)
def test_decode_bad_message_says_what_is_wrong_and_how_to_close(data, said, close_code):
    with pytest.raises(ProtocolError, match=said) as raised:
        decode(data)
    assert (raised.value.close_code, raised.value.code) == (close_code, "protocol")


@pytest.mark.parametrize("payload", [b"", b"[1]", b"{}", b'{"type": 3}', b"\xff", b"[" * 60_000])
def test_metadata_without_a_typed_object_is_refused(payload):
    with pytest.raises(ProtocolError, match="metadata"):
        Message(Kind.METADATA, payload).json()


def test_metadata_message_keeps_text_readable():
    message = metadata("utterance", text="café")
    assert json.loads(message.payload) == message.json() == {"type": "utterance", "text": "café"}


def test_query_of_the_reference_client_is_understood():
    query = {
        "text_prompt": "You enjoy having a good conversation.",
        "voice_prompt": "NATF2.pt",
        "audio_temperature": "0.8",
        "audio_topk": "250",
    }
    request = parse_query({**query, "seed": "-1", "repetition_penalty": "1.0"})
    assert (request.voice, request.prompt, request.codec, request.events) == (
        "NATF2",
        query["text_prompt"],
        "opus",
        False,
    )
    assert request.sampling == {"audio_temperature": 0.8, "audio_topk": 250}


def test_query_with_blank_prompt_leaves_the_choice_to_the_persona():
    assert parse_query({"text_prompt": " "}).prompt is None


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"codec": "mp3"}, "mp3.*opus"),
        ({"sample_rate": "16000"}, "16000.*24000"),
        ({"text_prompt": "x" * (MAX_PROMPT_CHARS + 1)}, "2001.*2,000"),
        ({"audio_temperature": "hot"}, "audio_temperature.*0.0 to 2.0.*hot"),
        ({"audio_temperature": "nan"}, "audio_temperature"),
        ({"audio_topk": "1.5"}, "whole number"),
        ({"seed": str(2**31)}, "seed"),
        ({"keep": "perhaps"}, "keep"),
        ({"voice_prompt": "v" * 81}, "voice_prompt"),
    ],
)
def test_query_with_bad_field_names_it(query, said):
    with pytest.raises(BadInput, match=said):
        parse_query(query)


def test_start_message_fills_the_request():
    request = parse_query({"codec": "pcm", "events": "1", "config": "message"})
    assert request.config_follows
    start = {
        "type": "start",
        "text_prompt": "Be kind.",
        "voice_prompt": "clear",
        "owner": "k" * 32,
        "keep": True,
        "seed": 7,
    }
    started = request.configured(parse_start(start))
    assert (started.prompt, started.voice, started.keep, started.codec, started.events) == (
        "Be kind.",
        "clear",
        True,
        "pcm",
        True,
    )
    assert started.sampling == {"seed": 7}
    assert not started.config_follows


@pytest.mark.parametrize(
    "start", [{"text_prompt": 3}, {"keep": "yes please"}, {"seed": True}, {"voice_prompt": ["a"]}]
)
def test_start_message_with_wrong_type_is_refused(start):
    with pytest.raises(BadInput, match=next(iter(start))):
        parse_start(start)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([*(field.name for each in ORDERS.values() for field in fields(each)), "other"])


@given(st.sampled_from([*ORDERS, "dance"]), st.dictionaries(NAMES, JSON, max_size=5))
def test_order_of_any_json_is_an_order(type_, said):
    order = parse_order({**said, "type": type_})
    known = ORDERS.get(type_, UnknownOrder)
    assert isinstance(order, known) or (isinstance(order, BadOrder) and order.type == type_ and order.why)


def test_query_keeps_its_choice_where_the_start_says_nothing():
    asked = parse_query({"voice_prompt": "clear", "seed": "4", "keep": "1", "config": "message"})
    started = asked.configured(parse_start({"text_prompt": "", "audio_topk": 9, "keep": False}))
    assert (started.voice, started.prompt, started.keep) == ("clear", "", True)
    assert started.sampling == {"seed": 4, "audio_topk": 9}


@pytest.mark.parametrize("reader", readers.FUZZED)
def test_readers_that_are_fuzzed_take_what_the_fuzzer_begins_with(reader):
    for seed in readers.seeds(reader):
        with suppress(PersonaplexError):  # one of them is cut off
            readers.FUZZED[reader](seed)


def test_fuzzer_begins_with_every_order():
    wire = [decode(seed[1:]) for seed in readers.seeds("messages") if seed[0] == 0]
    orders = {
        type(order) for message in wire if message.kind is Kind.METADATA and (order := order_of(message))
    }
    assert orders <= set(ORDERS.values()), orders
    assert len(orders) > 7
