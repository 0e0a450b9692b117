"""Hosts, addresses and origins: every spelling of one thing is equal, and two things never are."""

import pytest

from personaplex_app.addresses import (
    Origin,
    Peers,
    caller_of,
    is_loopback,
    plain_address,
    plain_host,
    plain_network,
    plain_origin,
    split_host,
    url_of,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("spellings", "plain"),
    [
        (("127.0.0.1", "::ffff:127.0.0.1", "[::ffff:7f00:1]"), "127.0.0.1"),
        (("::1", "[::1]", "0:0:0:0:0:0:0:1", "[0000::0001]"), "::1"),
        (("2001:DB8::A", "[2001:db8:0:0::a]"), "2001:db8::a"),
        (("Voice.Example.ORG", "voice.example.org.", " voice.example.org "), "voice.example.org"),
        (("bücher.example", "xn--bcher-kva.example", "BÜCHER.example"), "xn--bcher-kva.example"),
        (("::", "[::]", "0::0"), "::"),
        (("my_container",), "my_container"),
        (("fe80::1%eth0", "[fe80::1%25eth0]", "FE80:0::1%eth0"), "fe80::1%eth0"),
    ],
)
def test_host_in_every_spelling_is_the_same(spellings, plain):
    assert {plain_host(each) for each in spellings} == {plain}


@pytest.mark.parametrize(
    "text", ["", "localhost:7860", "http://localhost", "1.2.3", "300.1.1.1", "[::1", "::1]", "a b", "-", "*"]
)
def test_host_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        plain_host(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("Voice.example:443", "voice.example", 443),
        ("voice.example", "voice.example", None),
        ("voice.example:", "voice.example", None),
        ("[::1]:7860", "::1", 7860),
        ("[2001:DB8::1]", "2001:db8::1", None),
    ],
)
def test_host_header_is_taken_apart(text, host, port):
    assert split_host(text) == (host, port)


@pytest.mark.parametrize(
    "spellings",
    [
        ("https://voice.example", "HTTPS://Voice.Example:443", "https://voice.example./"),
        ("http://voice.example", "http://voice.example:80"),
        ("http://[::1]:7860", "http://[0:0::1]:7860"),
        ("http://127.0.0.1:1", "http://[::ffff:127.0.0.1]:1"),
        ("chrome-extension://abcdef", "chrome-extension://ABCDEF"),
    ],
)
def test_origin_in_every_spelling_is_the_same(spellings):
    assert len({Origin.parse(each) for each in spellings}) == 1
    assert {plain_origin(each) for each in spellings} == {spellings[0]}


def test_origins_that_differ_in_one_part_are_not_the_same():
    texts = ("http://a.example", "https://a.example", "http://b.example", "http://a.example:443", "null")
    assert len({plain_origin(each) for each in texts}) == len(texts)


@pytest.mark.parametrize(
    "text",
    [
        "voice.example",
        "https://ann@voice.example",
        "https://voice.example/path",
        "https://voice.example?x",
        "https://[evil",
        "https://voice.example:99999999",
        "https://",
        "*",
    ],
)
def test_origin_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        plain_origin(text)


def test_link_to_a_host_that_is_listened_on_can_be_typed():
    links = [url_of(host, 7860, secure=False) for host in ("127.0.0.1", "0.0.0.0", "::", "::1", "box.local")]
    assert links == [
        *["http://localhost:7860"] * 3,
        "http://[::1]:7860",
        "http://box.local:7860",
    ]


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "app.localhost", "127.8.9.1", "[::1]", "::ffff:127.0.0.1"]
)
def test_loopback_is_known_in_every_spelling(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.example", "0.0.0.0", "::", "10.0.0.1", "", "[", "127.example"])
def test_other_hosts_are_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.0.0.0/8", ("10.1.2.3", "::ffff:10.1.2.3"), ("11.0.0.1", "::a01:203", "")),
        ("::ffff:10.0.0.0/104", ("10.1.2.3",), ("11.0.0.1",)),
        ("[2001:db8::1]", ("2001:DB8:0::1", "[2001:db8::1]"), ("2001:db8::2", "testclient")),
        ("192.0.2.7/24", ("192.0.2.1",), ("192.0.3.1",)),
        ("*", ("10.1.2.3", "", "2001:db8::1"), ()),
    ],
)
def test_peers_are_known_in_every_spelling(network, inside, outside):
    peers = Peers([plain_network(network)])
    assert all(address in peers for address in inside)
    assert not any(address in peers for address in outside)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("203.0.113.9:51234", "203.0.113.9"),
        (" [2001:DB8::1]:443", "2001:db8::1"),
        ("::FFFF:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_address_of_a_peer_loses_port_and_clothes(text, plain):
    assert plain_address(text) == plain


def test_caller_is_an_address_or_the_network_of_a_subscriber():
    assert caller_of("::ffff:203.0.113.9") == caller_of("203.0.113.9") == "203.0.113.9"
    assert caller_of("2001:db8:1:2::1") == caller_of("2001:DB8:1:2:ffff::9") != caller_of("2001:db8:1:3::1")
    assert caller_of("fe80::1%eth0") == caller_of("fe80::2")
    assert caller_of("::1") == "::1"
    assert caller_of("testclient") == "testclient"
