"""Hosts, addresses and origins: every spelling of one thing made equal, wherever they are compared, counted,
listened on or shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104
EVERY_PEER = "*"
OPAQUE_ORIGIN = "null"
"""What a browser calls the origin of a page that has none, such as a local file."""

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_NAME = re.compile(r"(?![\d.]+$)[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_HOST_AND_PORT = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+)(?::(\d{0,5}))?")
# what one subscriber gets of IPv6: whoever has it can call from any address in it
_SUBSCRIBER_BITS = 64


def plain_ip(text: str) -> IPv4Address | IPv6Address:
    """Return an IP address, with or without brackets; an IPv4 address in IPv6's clothes is an IPv4 address.

    Raises: ValueError.
    """
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    # in a URL the mark before a zone is escaped
    ip = ip_address(bare.replace("%25", "%"))
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def plain_host(text: str) -> str:
    """Return a host's name or IP address in the one spelling that is compared: lower case, no brackets, no
    dot at the end, names with foreign letters as DNS has them.

    Raises: ValueError for what is neither, such as a name with a port.
    """
    text = text.strip()
    try:
        return str(plain_ip(text))
    except ValueError:
        # the codec takes quotes and dashes of print too, which are in no name
        plain = all(letter.isalnum() or letter in ".-_" for letter in text)
        name = text.encode("idna").decode().lower().removesuffix(".") if text and plain else ""
    if not _NAME.fullmatch(name):
        raise ValueError("it is neither a name nor an IP address")
    return name


def split_host(text: str) -> tuple[str, int | None]:
    """Return the host and the port, None for none, of a text such as a Host header has.

    Raises: ValueError.
    """
    found = _HOST_AND_PORT.fullmatch(text.strip())
    if not found:
        raise ValueError("it is not HOST or HOST:PORT")
    return plain_host(found[1]), int(found[2]) if found[2] else None


def bracketed(host: str) -> str:
    """Return a host as it stands in an address before a port: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def url_of(host: str, port: int, secure: bool) -> str:
    """Return the address to type for a host that is listened on."""
    if host in (*EVERYWHERE, "127.0.0.1"):
        host = "localhost"
    return f"{'https' if secure else 'http'}://{bracketed(host)}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether a host, in any spelling, is this machine and reached from nowhere else."""
    try:
        host = plain_host(host)
    except ValueError:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@dataclass(frozen=True)
class Origin:
    """Where a page comes from; equal for every spelling of the same place.

    `port` is the scheme's own where none is given, None where the scheme has none.
    """

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Origin:
        """Return the origin that a text such as `https://voice.example` names. Raises: ValueError."""
        parts = urlsplit(text.strip())
        if not parts.scheme or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("it is not SCHEME://HOST or SCHEME://HOST:PORT")
        return cls.of(parts.scheme, parts.netloc)

    @classmethod
    def of(cls, scheme: str, host_and_port: str) -> Origin:
        """Return the origin of a Host header, for a page that came by `scheme`. Raises: ValueError."""
        scheme = scheme.lower()
        host, port = split_host(host_and_port)
        return cls(scheme, host, _DEFAULT_PORTS.get(scheme) if port is None else port)

    def __str__(self) -> str:
        """Return it as a browser writes it."""
        usual = self.port in (None, _DEFAULT_PORTS.get(self.scheme))
        return f"{self.scheme}://{bracketed(self.host)}" + ("" if usual else f":{self.port}")


def plain_origin(text: str) -> str:
    """Return an origin in the one spelling that is compared. Raises: ValueError."""
    return OPAQUE_ORIGIN if text.strip() == OPAQUE_ORIGIN else str(Origin.parse(text))


def plain_network(text: str) -> str:
    """Return an address or network of peers in the one spelling that is compared, `*` for every peer.

    Raises: ValueError.
    """
    text = text.strip().replace("[", "").replace("]", "")
    if text == EVERY_PEER:
        return text
    network = ip_network(text, strict=False)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped and network.prefixlen >= 96:
        network = ip_network(f"{mapped}/{network.prefixlen - 96}", strict=False)
    return str(network)


class Peers:
    """The addresses of some peers: networks, or `*` for all."""

    def __init__(self, networks: Iterable[str]) -> None:
        plain = [plain_network(each) for each in networks]
        self._all = EVERY_PEER in plain
        self._networks = [ip_network(each) for each in plain if each != EVERY_PEER]

    def __contains__(self, address: object) -> bool:
        if self._all:
            return True
        try:
            ip = plain_ip(str(address))
        except ValueError:
            return False
        return any(ip in network for network in self._networks)


def plain_address(text: str) -> str:
    """Return the address of a peer, as a socket or a forwarding proxy gives it, perhaps with a port, in the
    one spelling that is compared; what is no address is returned unchanged.
    """
    try:
        return str(plain_ip(text.strip()))
    except ValueError:
        pass
    try:
        return str(plain_ip(split_host(text)[0]))
    except ValueError:
        return text.strip()


def caller_of(address: str) -> str:
    """Return what counts as one caller: an IPv4 address, or the network that a subscriber gets of IPv6."""
    plain = plain_address(address)
    try:
        ip = ip_address(plain)
    except ValueError:
        return plain
    if ip.version == 4 or ip.is_loopback:
        return plain
    return str(ip_network(f"{plain.partition('%')[0]}/{_SUBSCRIBER_BITS}", strict=False))
