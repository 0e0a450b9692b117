"""Sound on the wire: what a stream may make its decoder hold, and compute."""

import numpy as np
import pytest

from personaplex_app.codec import MAX_BYTES_WITHOUT_AUDIO, MAX_PAYLOAD_S, Opus
from personaplex_app.errors import BadAudio
from personaplex_app.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

from .support.ogg import opus_headers, page
from .support.peers import opus_pages, tone

pytestmark = pytest.mark.unit

PAGES = opus_pages(tone(2.0))
ENDLESS = [page([255] * 250, bytes(63_750), 1, 2), page([255] * 250, bytes(63_750), 1, 3, 1)]
# one byte that stands for 10 ms of silence
TEN_MS = page([1] * 255, bytes(255), 1, 2)


@pytest.mark.parametrize("size", [1, 7, 26, 27, 28, 100, 100_000])
def test_opus_stream_cut_anywhere_is_the_same_sound(size):
    stream = b"".join(PAGES)
    codec = Opus()
    heard = np.concatenate(
        [codec.decode(stream[at : at + size]) for at in range(0, min(len(stream), 6000), size)]
    )
    whole = Opus().decode(stream[: min(len(stream), -(-6000 // size) * size)])
    assert len(heard) >= 10 * FRAME_SAMPLES
    assert np.array_equal(heard, whole)


def _decode_all(codec, messages, taken):
    for message in messages:
        codec.decode(message)
        taken.append(len(message))


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([opus_headers(), *ENDLESS], "a packet of more than 65,536 bytes"),
        ([PAGES[0], opus_headers(77)], "a page of another stream"),
        ([opus_headers(), b"x" * 100], "no Ogg page"),
        ([opus_headers(), page([1], b"\xff", 1, 2)], r"\(a packet that is no Opus\)"),
        ([opus_headers(), *[page([], b"", 1, 2)] * 10_000], "bytes came without a sound"),
        ([opus_headers(), TEN_MS * 3], "more than 5 s of sound"),
    ],
    ids=[
        "a packet without end",
        "streams beside each other",
        "no Ogg",
        "no Opus",
        "empty pages",
        "too much at once",
    ],
)
def test_opus_stream_that_grows_without_being_heard_is_refused(messages, why):
    taken = []
    with pytest.raises(BadAudio, match=why):
        _decode_all(Opus(), messages, taken)
    assert sum(taken) <= MAX_BYTES_WITHOUT_AUDIO


def test_opus_message_is_decoded_a_page_at_a_time():
    codec = Opus()
    codec.decode(opus_headers())
    assert 0 < len(codec.decode(TEN_MS)) < MAX_PAYLOAD_S * SAMPLE_RATE_HZ
