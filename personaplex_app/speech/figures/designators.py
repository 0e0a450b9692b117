"""What engineers name by letters and digits: addresses of networks, standards, ports, powers of ten."""

from __future__ import annotations

import ipaddress
import re

from .figure import UNIT, Rule, rule
from .number_words import cardinal, digits, in_pairs, number

_HEX = r"[\dA-Fa-f]"
_SOFTWARE = (
    r"Python|Node|Java|PHP|Ruby|Go|Perl|macOS|OS X|iOS|Android|Ubuntu|Debian|Fedora|Linux|kernel|PostgreSQL"
)
_NUMBERED = r"RFC|DIN|ISO|IEC|ANSI|NIST|BCP|HTTP|[Ee]rror|[Ee]rror code|[Ss]tatus|[Ss]tatus code|[Pp]ort"
_POWERS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def _spelt(text: str) -> str:
    return " ".join(digits(char) if char.isdigit() else char.upper() for char in text)


def _internet(match: re.Match[str]) -> str | None:
    parts = match["host"].split(".")
    if not all(int(part) < 256 for part in parts) or int(match["bits"] or 0) > 32:
        return None
    bits = f" slash {cardinal(int(match['bits']))}" if match["bits"] else ""
    port = f", port {in_pairs(int(match['port']))}" if match["port"] else ""
    return " dot ".join(map(digits, parts)) + bits + port


def _internet_6(match: re.Match[str]) -> str | None:
    try:
        ipaddress.ip_interface(match[0])
    except ValueError:
        return None
    host, _, bits = match[0].partition("/")
    words = {"::": "double colon", ":": "colon", ".": "dot"}
    said = " ".join(words.get(part) or _spelt(part) for part in re.findall(rf"::|[:.]|{_HEX}+", host))
    return said + (f" slash {cardinal(int(bits))}" if bits else "")


def _wireless(match: re.Match[str]) -> str | None:
    known = match["letters"] or re.search(r"(?:IEEE|Wi-Fi|standard)\s$", match.string[: match.start()])
    return f"eight oh two dot {number(match['part'])} {_spelt(match['letters'])}".strip() if known else None


def _numbered(match: re.Match[str]) -> str:
    return f"{match['name']} {in_pairs(int(match['number']))}"


def _power(match: re.Match[str]) -> str:
    return _power_of(int(match["base"]), match["raised"])


def _power_of(of: int, raised: str) -> str:
    exponent = raised.translate(_POWERS).replace("−", "-")
    base = number(str(of))
    if exponent in ("2", "3"):
        return f"{base} {'squared' if exponent == '2' else 'cubed'}"
    minus = "minus " if exponent.startswith("-") else ""
    return f"{base} to the power of {minus}{number(exponent.lstrip('-+'))}"


def _scientific(match: re.Match[str]) -> str:
    minus = "minus " if match["sign"] in ("-", "−") else ""
    power = number(match["power"].lstrip("0") or "0")
    return f"{number(match['head'])} times ten to the power of {minus}{power}"


NETWORK: tuple[Rule, ...] = (
    rule(
        r"(?P<host>\d{1,3}(?:\.\d{1,3}){3})(?![\d.])(?:/(?P<bits>\d\d?))?(?::(?P<port>\d{2,5}))?", _internet
    ),
    # of a device, then of the internet
    rule(
        rf"{_HEX}{{2}}(?P<mark>[:-])(?:{_HEX}{{2}}(?P=mark)){{4}}{_HEX}{{2}}",
        lambda m: ", ".join(map(_spelt, m[0].split(m["mark"]))),
    ),
    rule(rf"(?=[^\s/]*:[^\s/]*:){_HEX}{{0,4}}:[\dA-Fa-f:.]*[\dA-Fa-f:](?:/\d{{1,3}})?", _internet_6),
)
NAMED: tuple[Rule, ...] = (
    rule(rf"802\.(?P<part>\d{{1,2}})(?P<letters>[A-Za-z]{{0,2}})(?!\w|\s?(?:{UNIT})\b)", _wireless),
    rule(rf"(?P<name>{_NUMBERED})\s(?P<number>[1-9]\d{{2,4}})(?![\d.,:]\d|\s[a-z]+s\b)", _numbered),
    rule(
        rf"(?P<name>{_SOFTWARE})\s(?P<head>\d+)\.(?P<tail>\d\d)(?!\.?\d)",
        lambda m: f"{m['name']} {number(m['head'])} point {number(m['tail'])}",
    ),
    rule(
        r"(?P<name>HTTP|TLS|SSL|SIP|RTSP|OS|PS)/(?P<number>\d(?:\.\d)?)",
        lambda m: f"{m['name']} {number(m['number'])}",
    ),
    # "H.264", "X.509"
    rule(r"(?P<letter>[A-Z])\.(?P<number>\d{2,4})", lambda m: f"{m['letter']} dot {digits(m['number'])}"),
    rule(r"IPv(?P<number>[46])", lambda m: f"I P V {number(m['number'])}"),
    # "PM2.5", "USB3.0"; a screw's thread
    rule(
        r"(?P<name>[A-Z]{2,4})(?P<number>\d+\.\d+)",
        lambda m: f"{' '.join(m['name'])} {number(m['number'])}",
    ),
    rule(
        r"M(?P<size>\d\d?)\s?[x×]\s?(?P<pitch>\d+(?:\.\d+)?)",
        lambda m: f"M {number(m['size'])} by {number(m['pitch'])}",
    ),
    rule(rf"0[xX](?P<number>{_HEX}+)", lambda m: f"zero x {_spelt(m['number'])}"),
    rule(r"(?P<base>\d+)(?P<raised>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", _power),
    rule(r"(?P<base>\d+)\^(?P<raised>[-−]?\d+)", _power),
    rule(
        r"(?P<head>\d+(?:\.\d+)?)\s?[×x*·]\s?10(?:\^(?P<sign>[-−+]?)(?P<power>\d+)|(?P<raised>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+))",
        lambda m: f"{number(m['head'])} times {_power_of(10, m['raised'] or m['sign'] + m['power'])}",
    ),
    rule(r"(?P<head>\d+(?:\.\d+)?)(?:e(?P<sign>[-+−]?)|E(?=[-+−]))(?:[-+−])?(?P<power>\d{1,3})", _scientific),
)
