"""Messages as a client might send them that is wrong, or means harm: near what is right, and far from it."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from personaplex_app.protocol import SAMPLING_LIMITS
from personaplex_app.protocol_orders import ORDERS

FIELDS = (
    *("type", "voice_prompt", "text_prompt", "persona", "owner", "keep", "engine", "lease_s", "resumable"),
    *("token", "received", "sent", "underruns", "buffer_ms", "codec", "events", "config", "sample_rate"),
    *("data", "format", *SAMPLING_LIMITS),
)
ODD_NUMBERS = (0, -1, 2**31, 2**63, 2**64, 10**308, 10**400, 10**4000, 1e308, 1e-320)
ODD_TEXTS = (
    "",
    "nan",
    "1e999",
    "1_000",
    "\ud800",
    "\0",
    "NATF0.pt.pt",
    "../../etc/passwd",
    "x" * 2001,
    "1" * 5000,
)


def _values() -> st.SearchStrategy:
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.sampled_from(ODD_NUMBERS),
        st.sampled_from(ODD_TEXTS),
    )
    return st.recursive(
        plain,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=8,
    )


def _orders() -> st.SearchStrategy[bytes]:
    types = st.sampled_from([*ORDERS, "audio_chunk", "end", "x"])
    fields = st.dictionaries(st.sampled_from(FIELDS), _values(), max_size=6)
    return st.builds(lambda type_, more: json.dumps({"type": type_, **more}).encode(), types, fields)


def cases() -> st.SearchStrategy[tuple[str, bytes]]:
    """Return pairs of a reader's name and what it is given."""
    noise = st.binary(max_size=64)
    nested = st.integers(1, 5000).map(lambda depth: b"[" * depth)
    texts = st.one_of(_orders(), nested, noise, st.text().map(lambda text: text.encode("utf-8", "replace")))
    wire = st.one_of(
        noise,
        st.builds(lambda kind, rest: bytes([kind]) + rest, st.integers(0, 8), noise),
        texts.map(b"\4".__add__),
    )
    query = st.dictionaries(
        st.sampled_from(FIELDS), st.one_of(st.text(), st.sampled_from(ODD_TEXTS)), max_size=8
    )
    packed = st.lists(wire, max_size=3).map(
        lambda messages: b"".join(len(each).to_bytes(4, "little") + each for each in messages)
    )
    return st.one_of(
        wire.map(lambda data: ("wire", data)),
        texts.map(lambda data: ("gateway", data)),
        query.map(lambda fields: ("query", _query(fields))),
        st.one_of(packed, noise).map(lambda data: ("packed", data)),
    )


def _query(fields: dict[str, str]) -> bytes:
    return "&".join(f"{name}={value}" for name, value in fields.items()).encode("utf-8", "surrogatepass")
