"""JSON from outside: every reader of the server answers the same things with a sentence."""

import json
import re

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from personaplex_app.engine.remote_upstreams import read_status
from personaplex_app.errors import BadInput, ProtocolError
from personaplex_app.evaluation.blind_test.round import Ballot
from personaplex_app.gateway.wire import GatewayWire
from personaplex_app.json_input import MAX_DEPTH, MAX_DIGITS, read_json, whole_number
from personaplex_app.personas import check_prompt
from personaplex_app.protocol import Kind, Message, parse_order, parse_start
from personaplex_app.server.http import errors_as_json, json_object

pytestmark = pytest.mark.unit

BAD = {
    "no JSON": b"{",
    "nothing": b"",
    "deep lists": b"[" * 5_000,
    "deep objects": b'{"a":' * 100_000,
    "deep and closed": b'{"type":"ping","sent":' + b"[" * 40 + b"]" * 40 + b"}",
    "many digits": b'{"type":"ping","sent":1' + b"0" * 400 + b"}",
    "too many digits for Python": b'{"type":"ping","sent":' + b"9" * 5_000 + b"}",
    "a large power": b'{"type":"ping","sent":1e999}',
    "NaN": b'{"type":"ping","sent":NaN}',
    "infinity": b'{"type":"ping","sent":-Infinity}',
    "half of a pair": b'{"type":"ping","sent":"\\ud800"}',
    "half of a pair as a key": b'{"type":"ping","sent":{"\\udfff":1}}',
    "half of a pair in UTF-8": b'{"type":"ping","sent":"\xed\xa0\x80"}',
    "UTF-16": '{"type":"ping"}'.encode("utf-16"),
    "latin": b'{"type":"ping","sent":"\xe4"}',
}
GOOD = {
    "type": "ping",
    "sent": [1, -2.5, None, True, "Zoë 🙂", {"a": [[]]}, 10 ** (MAX_DIGITS - 1)],
}


async def _echo(request):
    return JSONResponse(await json_object(request, 1 << 20, 'such as {"stars": 4}'))


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_json_that_cannot_be_used_is_a_sentence_for_every_reader(data):
    with pytest.raises(ValueError, match=r"^it "):
        read_json(data)
    with pytest.raises(ProtocolError) as told:
        Message(Kind.METADATA, data).json()
    assert re.fullmatch(r"[^\ud800-\udfff]+\.", str(told.value))
    with pytest.raises(ProtocolError):
        GatewayWire("a", "b").read(data.decode("utf-8", "surrogateescape"))
    assert read_status(data) is None
    with TestClient(Starlette(routes=[Route("/", errors_as_json(_echo), methods=["POST"])])) as client:
        answer = client.post("/", content=data)
    assert answer.status_code == 400
    assert answer.json()["error"] == "bad_input"


def test_json_that_people_write_is_read_as_it_is():
    data = json.dumps(GOOD).encode()
    assert read_json(data) == GOOD
    assert parse_order(Message(Kind.METADATA, data).json()).sent == GOOD["sent"]
    assert read_json(rb'"\ud83d\ude42"') == "🙂"
    deep = json.loads("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))
    assert read_json(json.dumps(deep)) == deep


@pytest.mark.parametrize("number", [10**400, -(10**400), float("inf"), float("nan")])
def test_numbers_out_of_all_range_are_refused_with_the_fields_name(number):
    for name in ("seed", "audio_temperature", "lease_s"):
        with pytest.raises(BadInput, match=name):
            parse_start({name: number})
    with pytest.raises(BadInput, match="heard_s"):
        Ballot.parse({"choice": "left", "heard_s": {"left": number, "right": 1}})


def test_half_of_a_surrogate_pair_is_no_prompt_and_no_voice():
    with pytest.raises(BadInput, match="surrogate"):
        check_prompt("You are \ud800.")
    with pytest.raises(BadInput, match="voice_prompt must be text"):
        parse_start({"voice_prompt": "\ud800"})


def test_whole_number_takes_digits_alone():
    assert [whole_number(text, 20) for text in ("0", "20", "007")] == [0, 20, 7]
    for text in ("", "-1", "1.0", "21", "٣", "1_0", " 1", "9" * 5_000):
        assert whole_number(text, 20) is None
