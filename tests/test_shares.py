"""What callers share: nobody can hold so much of it that nothing is left for who comes next."""

from collections import Counter
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest

from personaplex_app.errors import CapacityError, StorageFull
from personaplex_app.principal import NOBODY, Principal
from personaplex_app.protocol_events import Frame
from personaplex_app.server.channel import HttpChannels
from personaplex_app.server.connect_rate import ConnectRate
from personaplex_app.sessions import library as libraries
from personaplex_app.sessions.library import Library
from personaplex_app.sessions.records import TalkMeta
from personaplex_app.sessions.shares import Shares, least_missed
from personaplex_app.units import FRAME_SAMPLES

pytestmark = pytest.mark.unit


FRAME = Frame(np.full(FRAME_SAMPLES, 0.25, np.float32), np.zeros(FRAME_SAMPLES, np.float32), 0.01)


def at(number, browser=""):
    return Principal(address=f"192.0.2.{number}").with_owner_key(browser and browser * 20)


def take_all(shares, caller):
    """Return how many places a caller gets that takes what it can."""
    count = 0
    while True:
        try:
            shares.take(caller)
        except CapacityError:
            return count
        count += 1


@pytest.mark.parametrize(("places", "alone"), [(1, 1), (2, 1), (4, 2), (8, 4), (32, 16), (34, 17)])
def test_shares_one_address_gets_half_and_who_comes_next_always_something(places, alone):
    shares = Shares(places, "places")
    assert take_all(shares, at(1)) == alone
    if places > 1:
        assert take_all(shares, at(2)) == max(1, (places - alone + 1) // 2)


def test_shares_a_browser_leaves_room_for_others_of_its_address():
    shares = Shares(32, "places")
    assert take_all(shares, at(1, "a")) == 11
    assert take_all(shares, at(1, "b")) == 5
    assert take_all(shares, at(2, "a")) == 6


def test_shares_given_back_are_there_again_and_nothing_is_remembered():
    shares = Shares(4, "places")
    with ExitStack() as held:
        for caller in (at(1, "a"), at(1)):
            held.enter_context(shares.place(caller))
        with pytest.raises(CapacityError, match="From your address come 2 of 4 places"):
            held.enter_context(shares.place(at(1)))
    assert not shares._held
    assert take_all(shares, NOBODY) == 4
    with pytest.raises(CapacityError, match="All 4 places") as told:
        shares.take(at(2))
    assert told.value.retry_after_s > 0


def test_sharers_an_address_is_one_in_every_spelling_and_a_house_of_ipv6_too():
    def network(address):
        return Principal(address=address).sharers

    assert network("192.0.2.1") == network("::ffff:192.0.2.1") == network("::ffff:c000:201")
    assert network("2001:db8:1:2::1") == network("2001:DB8:1:2:ffff:0:0:9") != network("2001:db8:1:3::1")
    assert network("fe80::1%eth0") == network("fe80::2")
    assert network("") == ()
    assert network("unix:") != ()


def test_least_missed_is_the_oldest_of_the_heaviest_browser_of_the_heaviest_address():
    things = [("honest", at(1, "h")), *((f"{n}", at(2, "ab"[n % 2])) for n in range(5)), ("b", at(2, "b"))]
    gone = least_missed(things, lambda thing: thing[1].sharers)
    assert gone[0] == "0"
    weights = Counter({"honest": 9.0})
    heavy = least_missed(things, lambda thing: thing[1].sharers, lambda thing: weights[thing[0]] or 1.0)
    assert heavy[0] == "honest"


async def test_http_channels_one_address_cannot_hold_all():
    channels = HttpChannels(34)
    opened = [channels.add(at(1))[0] for _ in range(17)]
    with pytest.raises(CapacityError):
        channels.add(at(1))
    opened.append(channels.add(at(2))[0])
    halves = [channels.get(each) for each in opened]
    for each in (*halves, halves[-1]):
        await each.close(1000, "")
        each.hang_up()
    assert take_all(channels._shares, NOBODY) == 34


def test_connect_rate_says_when_to_come_again():
    rate = ConnectRate()
    caller = replace(at(1), limits=replace(at(1).limits, connects_per_minute=1))
    rate.admit(caller, 0.0)
    with pytest.raises(CapacityError, match="wait 50 s") as told:
        rate.admit(caller, 10.0)
    assert told.value.retry_after_s == 50


# -- recordings ------------------------------------------------------------------------------------


def record(library, caller, frames=20, keep=False):
    log = library.begin(caller, keep, TalkMeta("echo", "echo"))
    log.see([FRAME] * frames)
    log.finish("stopped")
    return log.id


@pytest.fixture
def clocks():
    return {"clock": [1e9], "now": [0.0]}


@pytest.fixture
def library(tmp_path, clocks):
    opened = Library(
        tmp_path / "kept",
        temporary_root=tmp_path,
        clock=lambda: clocks["clock"][0],
        now=lambda: clocks["now"][0],
    )
    yield opened
    opened.close()


@pytest.mark.parametrize("frames", [1, 20], ids=["of one frame", "of a second and more"])
def test_library_many_talks_of_one_address_push_out_their_own_alone(library, monkeypatch, frames):
    monkeypatch.setattr(libraries, "MAX_TEMPORARY", 8)
    honest = record(library, at(1, "h"))
    for number in range(30):
        # every one by another owner key
        record(library, at(2, chr(ord("i") + number % 16)), frames)
    library.purge()
    assert [talk.id for talk in library.talks(at(1, "h"))] == [honest]
    everybody = sum(len(library.talks(at(2, chr(ord("i") + n)))) for n in range(16))
    assert everybody == 7


def test_library_clock_that_is_set_makes_no_talk_older_or_younger(library, clocks):
    talk = record(library, at(1, "h"))
    for set_to_s in (1e9 + 10 * libraries.TEMPORARY_AGE_S, 1e9 - 10 * libraries.TEMPORARY_AGE_S):
        clocks["clock"][0] = set_to_s
        assert [each.id for each in library.talks(at(1, "h"))] == [talk]
    clocks["now"][0] = libraries.TEMPORARY_AGE_S + 1
    assert library.talks(at(1, "h")) == []


def test_library_one_owner_does_not_fill_the_kept_folder(tmp_path):
    # room for four talks of a second each, with what is set aside for a running one
    limit = int(4.9 * 24_000 * 4)
    library = Library(tmp_path / "kept", limit, talk_limit_s=-9, temporary_root=tmp_path)
    try:
        kept = Counter()
        for owner in "aaaab":
            log = library.begin(at(1, owner), True, TalkMeta("echo", "echo"))
            log.see([FRAME] * 12)
            log.finish("stopped")
            kept[owner, log.keeping] += 1
            if not log.keeping:
                assert "is for others" in (log.problem or "")
        assert kept == {("a", True): 2, ("a", False): 2, ("b", True): 1}
        unkept = next(talk.id for talk in library.talks(at(1, "a")) if not talk.kept)
        with pytest.raises(StorageFull, match="is for others"):
            library.keep(at(1, "a"), unkept)
    finally:
        library.close()
