"""X.509: the server's own files, and the name that a client's certificate stands for (RFC 7407 section 2.2)."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final, NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from eman_netconf.server.config import ConfigError, Tls
from eman_netconf.yang.tree import Inner, ListNode

#: Key exchange with forward secrecy and authenticated encryption only; TLS 1.3 has nothing else (RFC 9325 section 4.2).
_CIPHERS_1_2: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"

#: The first octet of a fingerprint (RFC 5246 section 7.4.1.4.1, HashAlgorithm).
_HASHES: Final[dict[int, Callable[[], hashes.HashAlgorithm]]] = {
    1: hashes.MD5,
    2: hashes.SHA1,
    3: hashes.SHA224,
    4: hashes.SHA256,
    5: hashes.SHA384,
    6: hashes.SHA512,
}


# --- the server's own files


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the server shows and whom it believes: made of the files at start and at each reload."""

    context: ssl.SSLContext
    authorities: tuple[x509.Certificate, ...]


def load_credentials(tls: Tls) -> Credentials:
    """Read the files of [tls]. Raises ConfigError with the name of the file and what to do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS_1_2)
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0  # nobody comes back without showing the certificate, and so without early data
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an intermediate authority may be the one that is believed
    _check_readable("certificate", tls.certificate)
    _check_readable("private-key", tls.private_key)
    _check_readable("client-ca", tls.client_ca)
    if tls.private_key.stat().st_mode & 0o077:
        raise ConfigError(f"[tls] private-key {tls.private_key}: others may read this private key; run chmod 600 on it")
    try:
        context.load_cert_chain(tls.certificate, tls.private_key, password=_no_passphrase)
    except ssl.SSLError as error:
        files = f"certificate {tls.certificate} and private-key {tls.private_key}"
        raise ConfigError(f"[tls] {files} are no PEM files that belong together ({error.reason or error})") from None
    if tls.client_crl is not None:
        _revoke(tls.client_crl, context)
    return Credentials(context, _authorities(tls.client_ca, context))


def _check_readable(name: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError(f"[tls] {name} {path}: {error.strerror}") from None


def _no_passphrase() -> NoReturn:
    raise ConfigError("[tls] private-key has a passphrase, which nobody could type; store it without one")


def _revoke(path: Path, context: ssl.SSLContext) -> None:
    """Believe no client whom lists name, and none of an authority without a list in force (RFC 5280 section 6.3)."""
    _check_readable("client-crl", path)
    wrong = ConfigError(f"[tls] client-crl {path}: holds something else than lists of revoked certificates in PEM")
    if b"CERTIFICATE-----" in path.read_bytes():
        raise wrong  # it would be believed as an authority
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise wrong from None
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _authorities(path: Path, context: ssl.SSLContext) -> tuple[x509.Certificate, ...]:
    try:
        authorities = x509.load_pem_x509_certificates(path.read_bytes())
        context.load_verify_locations(cadata="".join(each.public_bytes(Encoding.PEM).decode() for each in authorities))
    except (ValueError, ssl.SSLError):
        raise ConfigError(f"[tls] client-ca {path}: holds no certificates in PEM") from None
    return tuple(authorities)


# --- from a certificate to a name


class MapType(StrEnum):
    """How a name is got: the identities of ietf-x509-cert-to-name."""

    SPECIFIED = "specified"
    SAN_RFC822_NAME = "san-rfc822-name"
    SAN_DNS_NAME = "san-dns-name"
    SAN_IP_ADDRESS = "san-ip-address"
    SAN_ANY = "san-any"
    COMMON_NAME = "common-name"


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of cert-to-name: for certificates of this fingerprint, or below an authority of it."""

    id: int
    fingerprint: bytes  # the octet that names the hash, and the hash
    map_type: MapType
    name: str | None = None  # with SPECIFIED


def read_rules(tls: Inner | None) -> tuple[Rule, ...]:
    """The rules of the container /eman-server/tls in the order in which they are tried."""
    entries = tls.at("cert-to-name") if tls is not None else None
    if not isinstance(entries, ListNode):
        return ()
    found = [
        Rule(
            int(entry.leaf("id") or 0),
            bytes.fromhex((entry.leaf("fingerprint") or "").replace(":", "")),
            MapType((entry.leaf("map-type") or "").rpartition(":")[2]),
            entry.leaf("name"),
        )
        for entry in entries.entries.values()
    ]
    return tuple(sorted(found, key=lambda rule: rule.id))


def name_of(chain: Sequence[x509.Certificate], rules: Iterable[Rule]) -> str | None:
    """The user that the first certificate of a verified chain stands for, None when no rule gives a name.

    A rule fits when its fingerprint is that of any certificate of the chain; one that fits and gives no name is
    passed over, as RFC 7407 has it.
    """
    for rule in rules:
        if any(fingerprint_fits(certificate, rule.fingerprint) for certificate in chain):
            name = rule.name if rule.map_type is MapType.SPECIFIED else _name_in(chain[0], rule.map_type)
            if name and name.isprintable():
                return name
    return None


def fingerprint_fits(certificate: x509.Certificate, fingerprint: bytes) -> bool:
    """Whether it is that of the certificate; False for hashes that are unknown."""
    algorithm = _HASHES.get(fingerprint[0]) if fingerprint else None
    return algorithm is not None and certificate.fingerprint(algorithm()) == fingerprint[1:]


def _name_in(certificate: x509.Certificate, map_type: MapType) -> str | None:
    try:
        if map_type is MapType.COMMON_NAME:
            names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
            return str(names[-1].value) if names else None
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except _NO_NAMES:
        return None
    return next((name for each in alternatives if (name := _mapped(each, map_type)) is not None), None)


#: What reading the names of a certificate raises that has none, or has them in no readable form.
_NO_NAMES = (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError)


def _mapped(alternative: x509.GeneralName, map_type: MapType) -> str | None:
    """A subjectAltName as a name, None when the rule asks for another kind."""
    if map_type not in {MapType.SAN_ANY, _KINDS.get(type(alternative))}:
        return None
    match alternative:
        case x509.RFC822Name(value=value):
            local, at, host = value.rpartition("@")
            return f"{local}{at}{host.lower()}"
        case x509.DNSName(value=value):
            return value.lower()
        case x509.IPAddress(value=IPv4Address() as address):
            return str(address)
        case x509.IPAddress(value=IPv6Address() as address):
            return address.packed.hex()
    return None


_KINDS: Final[dict[type[x509.GeneralName], MapType]] = {
    x509.RFC822Name: MapType.SAN_RFC822_NAME,
    x509.DNSName: MapType.SAN_DNS_NAME,
    x509.IPAddress: MapType.SAN_IP_ADDRESS,
}


# --- the chain of a connection


def peer_chain(connection: ssl.SSLObject, authorities: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The certificates of a peer that was verified, its own first, up to the authority. Raises ValueError.

    A session that was resumed has no chain at hand but the peer's own certificate: what of it can be found among
    the authorities is put in again.
    """
    own = connection.getpeercert(binary_form=True)
    if own is None:
        raise ValueError("the client showed no certificate")
    chain = [x509.load_der_x509_certificate(each) for each in _verified(connection) or (own,)]
    while (above := _issuer(chain[-1], authorities)) is not None and above not in chain:
        chain.append(above)
    return chain


def _verified(connection: ssl.SSLObject) -> list[bytes]:
    """The chain as OpenSSL verified it, in DER; empty for a resumed session."""
    if hasattr(connection, "get_verified_chain"):  # from Python 3.13 on
        return list(connection.get_verified_chain())
    inner = connection._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - the same method before it was public
    return [ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in inner.get_verified_chain() or ()]


def _issuer(certificate: x509.Certificate, authorities: Sequence[x509.Certificate]) -> x509.Certificate | None:
    for authority in authorities:
        try:
            certificate.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return authority
    return None
