"""docs/protocol.md against the code: every event, order and field, every code, and nothing besides."""

import re
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from personaplex_app import protocol_events as events
from personaplex_app import protocol_orders as orders
from personaplex_app.errors import CloseCode, PersonaplexError, ProtocolError
from personaplex_app.protocol import SAMPLING_LIMITS, ChatRequest, metadata, parse_order, parse_query
from personaplex_app.server import end_reasons
from personaplex_app.server.end_reasons import EndReason, end_of
from personaplex_app.server.http import status_of
from personaplex_app.server.wire import event_fields

from .test_structure import PACKAGE, ROOT

pytestmark = pytest.mark.unit

TEXT = (ROOT / "docs" / "protocol.md").read_text("utf-8")
WORDS = {str: "text", bool: "boolean", int: "whole number", float: "number", NoneType: "null", Any: "any"}
CAPABILITIES = events.Capabilities()
SAMPLING = events.Sampling(seed=7)
LINK = events.LinkStats(None, 80.0, 0, 0, 0)
EXAMPLES = [
    events.Utterance(1, "agent", "Good day.", 0.4, 1.0, True, (events.Word("Good", 0.4, 0.6),)),
    events.Mark("overlap", "user", 0.5, 0.6),
    events.TurnLatency(1.0, 1.2),
    events.Notice("other_voice", "You hear another voice."),
    events.Said("line", "cut", "Your order", "is here.", 2.0, ""),
    events.Stats(1.0, events.StepTimes(1.0, 2.0, 3.0), 0, 0, None, 0, LINK),
    events.Saved(1.04),
    events.Preparing("echo", "Echo", "loading", "", None),
    events.Queued(1, 30.0),
    events.LeaseOffer("secret"),
    events.Resumable("secret", 30.0),
    events.Ready(None, "echo", "Echo", "", "echo", None, 600, 60, False, "", CAPABILITIES, SAMPLING),
    SAMPLING,
    events.Interrupted(),
    events.Limit("time", 30.0),
    events.Pong(12.5),
    events.Ended("stopped", "The talk is over.", None, 2.0, False, False),
]
# what the wire has besides the dataclass's own fields
DERIVED = {("turn_latency", "latency_ms"): int}


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def rows_of(text: str) -> dict[str, list[str]]:
    """Return a table's rows: the other cells by the first, without the ticks of code."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines()]
    cells = [row for row in rows if len(row) > 1 and not set(row[0]) <= set("-| ")][1:]
    return {name: rest for first, *rest in cells for name in first.replace("`", "").split(", ")}


def messages_of(title: str) -> dict[str, dict[str, str]]:
    """Return what a direction's headings describe: for each `type` its fields and their types in words."""
    parts = re.split(r"^### `(\w+)`$", section(title), flags=re.MULTILINE)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {name: {field: rest[0] for field, rest in rows_of(body).items()} for name, body in pairs}


def words_of(annotation: Any) -> set[str]:
    """Return the ways in which the page may name a type."""
    if annotation in WORDS:
        return {WORDS[annotation]}
    if get_origin(annotation) is Literal:
        return {"text", " or ".join(f"`{each}`" for each in get_args(annotation))}
    if get_origin(annotation) is tuple:
        return {"list"}
    if get_origin(annotation) is UnionType:
        inner = [words_of(each) for each in get_args(annotation)]
        return {f"{a} or {b}" for a in inner[0] for b in inner[1]}
    return {"object"}


SAID, TOLD = messages_of("Client to server"), messages_of("Server to client")


def test_every_event_and_order_is_described_and_nothing_else():
    assert set(TOLD) == set(events.EVENTS)
    assert set(SAID) == set(orders.ORDERS)
    assert {type(each) for each in EXAMPLES} == set(events.EVENTS.values())
    assert set(get_args(events.JsonEvent)) == set(events.EVENTS.values())
    assert set(get_args(orders.Order)) >= set(orders.ORDERS.values())


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_event_is_told_with_the_fields_and_types_that_the_page_gives(event):
    type_ = next(name for name, cls in events.EVENTS.items() if cls is type(event))
    assert set(event_fields(event)) == set(TOLD[type_])
    hints = {
        **get_type_hints(type(event)),
        **{field: a for (name, field), a in DERIVED.items() if name == type_},
    }
    for field, said in TOLD[type_].items():
        assert said in words_of(hints[field]), f"{type_}.{field} is {hints[field]}"


@pytest.mark.parametrize(("type_", "order"), orders.ORDERS.items())
def test_order_has_the_fields_and_types_that_the_page_gives(type_, order):
    assert {field.name for field in fields(order)} == set(SAID[type_])
    for field, hint in get_type_hints(order).items():
        wanted = {words.removesuffix(" or null") for words in words_of(hint)}  # None: it was not said
        assert SAID[type_][field] in wanted, f"{type_}.{field} is {hint}"


@pytest.mark.parametrize(("title", "value"), [("capabilities", CAPABILITIES), ("bridge", LINK)])
def test_inner_object_has_the_names_that_the_page_gives(title, value):
    found = re.search(rf"^`{title}` holds (.*?)\n\n", TEXT, re.DOTALL | re.MULTILINE)
    assert found
    assert set(re.findall(r"`(\w+)`", found[1])) - {"utterance"} == {field.name for field in fields(value)}


SENT = {
    "start": {"persona": "x", "keep": True, "resumable": True, "lease_s": 30, "text_topk": 5},
    "resume": {"token": "secret", "owner": "key", "received": 3},
    "sampling": {"audio_topk": 5},
    "playback": {"underruns": 2, "buffer_ms": 40.5, "trimmed_ms": 0},
    "ping": {"sent": [1]},
    "interrupt": {},
    "typed": {"text": "Hello there."},
    "say": {"id": "line", "text": "Hello.", "when": "now", "then": "hold", "interruptible": False},
    "more": {"id": "line", "text": "And more.", "last": False},
    "unsay": {"id": "line"},
    "hold": {"on": False},
    "stop": {},
}


@pytest.mark.parametrize(("type_", "order"), orders.ORDERS.items())
def test_order_on_the_wire_is_the_typed_one(type_, order):
    assert parse_order(metadata(type_, **SENT[type_]).json()) == order(**SENT[type_])


def test_query_has_the_fields_of_a_start_and_of_the_connection():
    query = rows_of(section("Connecting"))
    start = {field.name for field in fields(orders.Start)}
    connection = {"codec", "sample_rate", "events", "config", "api_key"}
    assert set(query) == start | connection
    asked = parse_query({"codec": "pcm", "events": "1", "config": "message"})
    assert asked == ChatRequest(codec="pcm", events=True, config_follows=True)
    assert start > set(SAMPLING_LIMITS)


def tree(kind: type[PersonaplexError]) -> list[type[PersonaplexError]]:
    return [kind, *(found for each in kind.__subclasses__() for found in tree(each))]


def test_error_codes_are_those_of_the_tree():
    statuses = {each.code: str(status_of(each("It went wrong."))) for each in tree(PersonaplexError)}
    for code in ("settings", "settings_file", "space_refused"):  # of the command line: no request meets them
        statuses[code] = "–"
    assert {code: status for code, (status, _) in rows_of(section("Error codes")).items()} == statuses


def test_close_codes_are_those_in_use():
    assert {int(code) for code in rows_of(section("Close codes"))} == set(CloseCode)
    ends = {end.code for end in vars(end_reasons).values() if isinstance(end, EndReason)}
    assert ends | {each.close_code for each in tree(PersonaplexError)} == set(CloseCode)


def test_end_reasons_have_their_close_codes():
    found = {
        name: set(map(int, re.findall(r"\d{4}", cell[0])))
        for name, cell in rows_of(section("End reasons")).items()
    }
    known: dict[str, set[int]] = {}
    for end in vars(end_reasons).values():
        if (
            isinstance(end, EndReason) and end is not end_reasons.LOST
        ):  # nobody reads how a lost one is closed
            known.setdefault(end.reason, set()).add(end.code)
    for error in tree(PersonaplexError):
        end = end_of(error("It ended."))
        if end.reason in found or error in tree(ProtocolError):
            known.setdefault(end.reason, set()).add(end.code)
    assert found == known


def test_notice_codes_are_those_in_use():
    code = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    used = set(re.findall(r'Notice\(\s*"(\w+)"', code))
    # of an error that a record meets, its own code
    assert set(rows_of(section("Notice codes"))) == used | {"storage", "storage_full"}
