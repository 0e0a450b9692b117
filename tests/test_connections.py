"""How many connections there may be, who makes room, and what a process without handles does."""

import asyncio
import errno
import socket
from contextlib import ExitStack, closing

import pytest

from personaplex_app.addresses import Peers
from personaplex_app.errors import SettingsError
from personaplex_app.server import connections
from personaplex_app.server.connections import Connections, Listening, listen, listen_from

pytestmark = pytest.mark.unit


class Socket:
    """The handle of a connection, and whether it was told to end."""

    def __init__(self, handle):
        self.handle = handle
        self.ended = False

    def fileno(self):
        return self.handle

    def shutdown(self, how):
        self.ended = True


def come(counted, *addresses, first=1):
    """Let connections come; return their sockets and whether each was admitted."""
    socks = [Socket(first + n) for n in range(len(addresses))]
    return socks, [counted.admit(sock, address) for sock, address in zip(socks, addresses, strict=True)]


def test_connection_too_many_of_a_caller_closes_the_one_that_waited_longest():
    counted = Connections(most=10, most_of_a_caller=2)
    socks, admitted = come(counted, "192.0.2.1", "192.0.2.2", "192.0.2.1", "::ffff:192.0.2.1")
    assert admitted == [True] * 4
    assert [sock.ended for sock in socks] == [True, False, False, False]
    assert len(counted) == 3


def test_connection_too_many_in_all_closes_one_of_the_greediest():
    counted = Connections(most=3)
    socks, admitted = come(counted, "192.0.2.7", "192.0.2.1", "192.0.2.1", "192.0.2.9")
    assert admitted == [True] * 4
    assert [sock.ended for sock in socks] == [False, True, False, False]


def test_connection_in_a_request_stays_and_the_new_one_is_refused():
    counted = Connections(most=2)
    socks, _ = come(counted, "192.0.2.1", "192.0.2.1")
    for sock in socks:
        counted.busy(sock.handle)
    assert come(counted, "192.0.2.9", first=9)[1] == [False]
    counted.waits(1)
    assert come(counted, "192.0.2.9", first=9)[1] == [True]
    assert [sock.ended for sock in socks] == [True, False]


def test_connection_that_left_makes_room_and_is_forgotten():
    counted = Connections(most=2, most_of_a_caller=1)
    for handle in range(1, 5):
        assert come(counted, "2001:db8::1", first=handle)[1] == [True]
        counted.busy(handle)
        assert come(counted, "2001:db8::ffff", first=99)[1] == [False]  # the same subscriber
        counted.left(handle)
        counted.left(handle)
    assert len(counted) == 0
    assert not counted._count
    assert not counted._waiting


def test_connection_of_a_trusted_proxy_counts_in_all_alone():
    counted = Connections(most=3, most_of_a_caller=1, proxies=Peers(["10.0.0.0/8"]))
    socks, admitted = come(counted, "10.0.0.1", "10.0.0.1", "10.0.0.1")
    assert admitted == [True] * 3
    assert not any(sock.ended for sock in socks)


def dial(sock):
    return socket.create_connection(sock.getsockname()[:2])


def test_listening_socket_counts_what_it_accepts_until_it_is_closed():
    counted = Connections(most=1)
    (sock,) = listen("127.0.0.1", 0, counted)
    with closing(sock), ExitStack() as stack:
        sock.listen()
        first = stack.enter_context(closing(dial(sock)))
        mine, peer = sock.accept()
        assert peer == first.getsockname()
        counted.busy(mine.fileno())
        stack.enter_context(closing(dial(sock)))
        with pytest.raises(BlockingIOError):
            sock.accept()
        mine.close()
        assert len(counted) == 0
        stack.enter_context(closing(dial(sock)))
        sock.accept()[0].close()


async def test_connection_sends_small_pieces_without_delay():
    (listening,) = listen("127.0.0.1", 0, Connections(most=5))
    taken = asyncio.get_running_loop().create_future()

    async def take(_, writer):
        sock = writer.get_extra_info("socket")
        taken.set_result(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(take, sock=listening):
        _, writer = await asyncio.open_connection(*listening.getsockname())
        assert await taken
        writer.close()
        await writer.wait_closed()


def test_listening_socket_without_handles_turns_away_and_tells_once(monkeypatch, caplog):
    (sock,) = listen("127.0.0.1", 0, Connections(most=9))
    plain_accept = socket.socket.accept
    failures = iter([True, False, True, False, False])

    def accept(self):
        if next(failures):
            raise OSError(errno.EMFILE, "Too many open files")
        return plain_accept(self)

    with closing(sock):
        sock.listen()
        callers = [dial(sock) for _ in range(3)]
        monkeypatch.setattr(socket.socket, "accept", accept)
        for caller in callers[:2]:
            with pytest.raises(BlockingIOError):
                sock.accept()
            assert caller.recv(1) == b""
        sock.accept()[0].close()
        for caller in callers:
            caller.close()
    assert [record.message for record in caplog.records] == [
        "connections are being turned away: Too many open files"
    ]


@pytest.mark.parametrize(("host", "reached"), [("::1", ["::1"]), ("::", ["::1", "127.0.0.1"])])
def test_listen_on_ipv6_and_on_everything(monkeypatch, host, reached):
    found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (host, 0, 0, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    try:
        (sock,) = listen(host, 0, Connections(most=9))
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    with closing(sock):
        sock.listen()
        for address in reached:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family) as caller:
                caller.connect((address, sock.getsockname()[1]))


def test_listen_from_a_taken_port_takes_the_next(capsys):
    with closing(listen("127.0.0.1", 0, Connections(0))[0]) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        sockets, found = listen_from("127.0.0.1", port, Connections(0))
        sockets[0].close()
    assert found > port
    assert f"Port {port} is in use; taking {found}" in capsys.readouterr().out


def test_listen_on_a_name_that_nobody_knows_is_a_sentence(monkeypatch):
    def look_up(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(SettingsError, match=r"on box\.invalid \(Name or service not known\).*--host"):
        listen_from("box.invalid", 7860, Connections(0))


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")]
)
def test_listen_where_this_machine_is_not_is_a_sentence(monkeypatch, family, host):
    found = [(family, socket.SOCK_STREAM, 6, "", (host, 7860))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    with pytest.raises(SettingsError, match=r"No port from 7860 to 7909 can be used on .*--host"):
        listen_from(host, 7860, Connections(0))


def test_most_connections_leaves_handles_for_the_program(monkeypatch):
    for soft, most in ((1024, 768), (100, 64), (1 << 20, 4096), (connections.resource.RLIM_INFINITY, 4096)):
        monkeypatch.setattr(connections.resource, "getrlimit", lambda which, soft=soft: (soft, soft))
        assert connections.most_connections() == most


def test_listening_socket_closes_its_spare_handle():
    sock = Listening(socket.AF_INET, Connections(0))
    sock.close()
    assert sock._spare == -1
