"""Whether anybody still waits for an answer of the page's queue."""

import pytest

from personaplex_app.errors import CapacityError
from personaplex_app.principal import Principal
from personaplex_app.server.askers import GRACE_S, NO_ASKER, Askers

pytestmark = pytest.mark.unit
CALLER = Principal(address="192.0.2.1")
QUEUE = "/voice/gradio_api/queue/data"


async def read(askers, path, query=b"", inside=lambda: None):
    """Pass one request by, and do something while it goes on."""

    async def app(scope, receive, send):
        inside()

    scope = {"type": "http", "path": path, "query_string": query, "client": (CALLER.address, 7)}
    await askers.counting(app)(scope, None, None)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (QUEUE, b"session_hash=abc&x=1"),
        ("/gradio_api/call/evaluate/0123", b""),
        ("/gradio_api/call/v2/evaluate/0123", b""),
    ],
)
async def test_asker_whose_answer_is_read_is_there_and_a_while_afterwards(path, query):
    now_s = [0.0]
    askers = Askers(lambda: now_s[0])
    asker = askers.asker(CALLER, "abc")

    def look():
        now_s[0] += 10 * GRACE_S
        asker.check()

    asker.check()
    await read(askers, path, query, look)
    now_s[0] += GRACE_S
    asker.check()
    now_s[0] += 0.1
    with pytest.raises(CapacityError, match="Nobody waits"):
        asker.check()
    assert not askers._readers


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (QUEUE, b"session_hash=another"),
        (QUEUE, b""),
        ("/gradio_api/call/evaluate", b""),
        ("/api/chat/http/abc", b""),
    ],
)
async def test_asker_is_not_kept_by_what_others_read(path, query):
    now_s = [0.0]
    askers = Askers(lambda: now_s[0])
    asker = askers.asker(CALLER, "abc")
    asker.check()

    def look():
        now_s[0] += GRACE_S + 1
        with pytest.raises(CapacityError):
            asker.check()

    await read(askers, path, query, look)


def test_asker_in_this_process_always_waits():
    for _ in range(3):
        NO_ASKER.check()


def test_cancel_ends_what_was_asked_for_in_that_session_and_nothing_asked_for_later():
    askers = Askers(lambda: 0.0)
    before, elsewhere = askers.asker(CALLER, "abc"), askers.asker(CALLER, "xyz")
    askers.cancel("abc")
    with pytest.raises(CapacityError, match="cancelled"):
        before.check()
    elsewhere.check()
    askers.asker(CALLER, "abc").check()
