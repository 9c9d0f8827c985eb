"""The site's certificate authority and the server certificates of its two public ports; an authority for links.

ECDSA P-256: accepted by every browser and by Java. The CA may sign for the site's own names only (critical name
constraints), so that whoever trusts it trusts it for this site and nothing else.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3650
LEAF_DAYS = 397  # browsers refuse longer server certificates
RENEW_DAYS = 30
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_BACKDATE = timedelta(minutes=5)  # a client's clock may be a little behind


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its certificate and its private key, both PEM (the key PKCS#8, not encrypted)."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True)
class Issued:
    """A server certificate chain (leaf, then CA) and its private key, both PEM."""

    chain: bytes
    key: bytes


def general_names(names: tuple[str, ...]) -> list[x509.GeneralName]:
    """Host names and addresses as X.509 names, loopback included, each once."""
    unique = dict.fromkeys((*names, *LOOPBACK_NAMES))
    return [_general_name(name) for name in unique if name not in ("0.0.0.0", "::")]  # noqa: S104 - left out, not bound


def create_authority(site: str, names: tuple[str, ...], now: datetime) -> Authority:
    """A fresh authority for ``site`` that may sign for ``names`` and loopback only."""
    return _authority(f"sovereign site {site}", [_constraint(n) for n in general_names(names)], now)


def _authority(title: str, permitted: list[x509.GeneralName], now: datetime) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title[:64])])
    certificate = (
        _builder(name, name, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def create_links_authority(site: str, domain: str, now: datetime) -> Authority:
    """A fresh authority for links between the pods of ``site``: it may sign for names below ``domain`` only."""
    return _authority(f"links of sovereign site {site}", [x509.DNSName(domain)], now)


def issue_link(authority: Authority, name: str, now: datetime) -> Issued:
    """A certificate for the link ``name``, which calls and answers by it."""
    both = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    return _issue(authority, name, [x509.DNSName(name)], both, now)


def issue(authority: Authority, subject: str, names: tuple[str, ...], now: datetime) -> Issued:
    """A server certificate for ``names`` and loopback, signed by ``authority``."""
    return _issue(authority, subject, general_names(names), [ExtendedKeyUsageOID.SERVER_AUTH], now)


def _issue(
    authority: Authority,
    subject: str,
    names: list[x509.GeneralName],
    usages: list[x509.ObjectIdentifier],
    now: datetime,
) -> Issued:
    ca = x509.load_pem_x509_certificate(authority.certificate)
    ca_key = serialization.load_pem_private_key(authority.key, password=None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])])
    leaf = (
        _builder(name, ca.subject, key.public_key(), now, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return Issued(leaf.public_bytes(serialization.Encoding.PEM) + authority.certificate, _pem(key))


def expiry(pem: bytes) -> datetime:
    """When the first certificate in ``pem`` ends."""
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


def is_due(pem: bytes, now: datetime) -> bool:
    """Whether the first certificate in ``pem`` should be renewed."""
    return expiry(pem) - now < timedelta(days=RENEW_DAYS)


def utc_now() -> datetime:
    """The host's clock."""
    return datetime.now(UTC)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _constraint(name: x509.GeneralName) -> x509.GeneralName:
    if isinstance(name, x509.IPAddress):
        return x509.IPAddress(ipaddress.ip_network(f"{name.value}/{name.value.max_prefixlen}"))
    return name


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def covers(authority: Authority, names: tuple[str, ...]) -> bool:
    """Whether ``authority`` may sign for all of ``names`` and loopback."""
    extensions = x509.load_pem_x509_certificate(authority.certificate).extensions
    permitted = extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    return all(_constraint(name) in permitted for name in general_names(names))
