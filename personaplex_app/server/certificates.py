"""The certificate that https is served with: the owner's, or one that this machine signs itself."""

from __future__ import annotations

import logging
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..addresses import EVERYWHERE, is_loopback, url_of
from ..atomic import write_atomically
from ..errors import SettingsError, reason_of
from ..settings import Settings

log = logging.getLogger(__name__)

# 825 days is the most that Apple's systems take; a process that has just begun has a year before it
MADE_FOR = timedelta(days=825)
REMADE_BEFORE = timedelta(days=365)
WARN_BEFORE = timedelta(days=14)


@dataclass(frozen=True)
class Certificate:
    """Files of a key and its certificate, and what is shown of it to people."""

    key: Path
    chain: Path
    names: tuple[str, ...]
    fingerprint: str
    self_signed: bool


def certificate_of(settings: Settings) -> Certificate | None:
    """Return the certificate that https is served with; None where https is not enabled.

    Raises: SettingsError when the given files cannot be used, or none can be made.
    """
    if settings.ssl_key and settings.ssl_cert:
        return _given(settings.ssl_key, settings.ssl_cert)
    return _self_signed(settings.data / "tls", names_of_this_machine(settings.host)) if settings.ssl else None


def advice(certificate: Certificate, host: str, port: int) -> str:
    """Return advice for the owner of a self-signed certificate: what browsers show, and how to continue."""
    if host in EVERYWHERE:
        others = [name for name in certificate.names if not is_loopback(name)]
        reach = "Others reach it at " + ", ".join(url_of(name, port, secure=True) for name in others)
    elif is_loopback(host):
        reach = "Only this machine can reach it; with --host 0.0.0.0 others can too"
    else:
        reach = f"Others reach it at {url_of(host, port, secure=True)}"
    return (
        "The certificate is self-signed, so a browser warns before it opens the page for the first time:\n "
        ' Chrome, Edge  "Your connection is not private" (NET::ERR_CERT_AUTHORITY_INVALID): Advanced, then'
        ' Proceed\n  Firefox       "Warning: Potential Security Risk Ahead": Advanced, then Accept the Risk'
        ' and Continue\n  Safari        "This Connection Is Not Private": Show Details, then visit this'
        f" website\nSHA-256, to compare with the one the browser shows: {certificate.fingerprint}\nNo warning"
        f" comes where {certificate.chain} is trusted, or with --ssl-key and --ssl-cert from an"
        f" authority.\n{reach}."
    )


def names_of_this_machine(host: str) -> tuple[str, ...]:
    """Return the names and addresses under which others may reach this machine, `host` among them."""
    own = socket.gethostname()
    # a dictionary as an ordered set
    names = {
        "localhost": None,
        "127.0.0.1": None,
        "::1": None,
        own.lower(): None,
        socket.getfqdn().lower(): None,
    }
    # the name that multicast DNS announces in a local network
    if "." not in own:
        names[f"{own.lower()}.local"] = None
    names |= dict.fromkeys(_addresses(own))
    if host not in EVERYWHERE:
        names[host.lower()] = None
    return tuple(names)


def _addresses(own_name: str) -> list[str]:
    found = []
    with suppress(OSError):
        found += [str(info[4][0]) for info in socket.getaddrinfo(own_name, None)]
    # the address that a packet to the Internet would be sent from; connecting a datagram socket sends none
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))
            found.append(probe.getsockname()[0])
    # without the zone of a link-local IPv6 address
    return [address.partition("%")[0] for address in found]


def _given(key_path: Path, chain_path: Path) -> Certificate:
    key = _read_key(key_path)
    leaf = _read_certificate(chain_path)
    if leaf.public_key() != key.public_key():
        raise SettingsError(
            f"The key {key_path} and the certificate {chain_path} do not belong together; "
            "a file with a chain must begin with the server's own certificate."
        )
    now = _now()
    begins = leaf.not_valid_before_utc
    ends = leaf.not_valid_after_utc
    if begins > now:
        raise SettingsError(
            f"The certificate {chain_path} holds from {begins:%Y-%m-%d} on; is this machine's clock right?"
        )
    if ends <= now:
        raise SettingsError(
            f"The certificate {chain_path} ended on {ends:%Y-%m-%d}; renew it, or give --ssl alone for a"
            " self-signed one."
        )
    try:
        # OpenSSL refuses weak keys and broken chains: better now than at the first connection
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain_path, key_path)
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(f"The certificate {chain_path} cannot be served: {reason_of(error)}.") from error
    if ends - now < WARN_BEFORE:
        log.warning("the certificate %s ends on %s; renew it and start again", chain_path, f"{ends:%Y-%m-%d}")
    return _described(key_path, chain_path, leaf, self_signed=False)


def _read_key(path: Path) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(_read(path, "key", "--ssl-key"), password=None)
    except TypeError:
        raise SettingsError(
            f"The key {path} is locked with a passphrase; unlock it: openssl pkey -in {path} -out"
            " unlocked.pem"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError(
            f"{path} is not a private key that can be read; --ssl-key takes a PEM file (-----BEGIN PRIVATE"
            " KEY-----)."
        ) from None


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_read(path, "certificate", "--ssl-cert"))
    except ValueError:
        raise SettingsError(
            f"{path} is not a certificate; --ssl-cert takes a PEM file (-----BEGIN CERTIFICATE-----)."
        ) from None


def _read(path: Path, what: str, flag: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"The {what} {path} cannot be read ({error.strerror}); name another file with {flag}."
        ) from error


def _self_signed(folder: Path, names: tuple[str, ...]) -> Certificate:
    """Return the certificate in `folder`; a new one is made where it ends within a year or lacks one of
    `names`.
    """
    key_path = folder / "key.pem"
    chain_path = folder / "certificate.pem"
    # one that cannot be used is replaced
    with suppress(SettingsError):
        found = _given(key_path, chain_path)
        leaf = _read_certificate(chain_path)
        if leaf.not_valid_after_utc - _now() > REMADE_BEFORE and set(names) <= set(found.names):
            return replace(found, self_signed=True)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _sign(key, names)
    pem = serialization.Encoding.PEM
    try:
        # one by one: with `parents`, `mode` holds for the last folder only
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        form = serialization.PrivateFormat.PKCS8
        # the key first: if the program ends in between, key and certificate do not match, and both are made
        # again
        write_atomically(key_path, key.private_bytes(pem, form, serialization.NoEncryption()), private=True)
        write_atomically(chain_path, leaf.public_bytes(pem), private=True)
    except OSError as error:
        raise SettingsError(
            f"The self-signed certificate cannot be kept in {folder} ({error.strerror}); name another folder"
            " with --data, or files with --ssl-key and --ssl-cert."
        ) from error
    return _described(key_path, chain_path, leaf, self_signed=True)


def _sign(key: ec.EllipticCurvePrivateKey, names: tuple[str, ...]) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "personaplex-app, self-signed")])
    # digital signature alone: the key of an elliptic curve signs and does not encrypt
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    now = _now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # a day earlier, for browsers whose clock is behind
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + MADE_FOR)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _described(key: Path, chain: Path, leaf: x509.Certificate, self_signed: bool) -> Certificate:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        listed = [
            str(value) for kind in (x509.DNSName, x509.IPAddress) for value in names.get_values_for_type(kind)
        ]
    except x509.ExtensionNotFound:
        listed = []
    return Certificate(
        key, chain, tuple(listed), leaf.fingerprint(hashes.SHA256()).hex(":").upper(), self_signed
    )


def _now() -> datetime:
    return datetime.now(timezone.utc)
