"""Whose signatures count: publishers by pinned key, or by the root of their certificates.

The key that verifies is always one that the caller trusts, or one that a certificate under a root that the caller
trusts carries: never one that a signature brings along. A chain is built and checked by ``cryptography``; on top of
RFC 5280 a leaf must be for digital signatures and for nothing but code signing where it says what it is for, must be
no authority itself, must be valid at the time asked for, and must not be revoked, nor anything above it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from airgap_bundle.errors import FormatError
from airgap_bundle.provenance.errors import (
    CertificateError,
    CertificateExpiredError,
    CertificateRevokedError,
    CertificateUsageError,
    UnknownPublisherError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

CURVES: dict[str, tuple[str, type[ec.EllipticCurve]]] = {
    "secp256r1": ("ecdsa-sha2-nistp256", ec.SECP256R1),
    "secp384r1": ("ecdsa-sha2-nistp384", ec.SECP384R1),
    "secp521r1": ("ecdsa-sha2-nistp521", ec.SECP521R1),
}
MAX_CHAIN = 5


@dataclass(frozen=True)
class Publisher:
    """A publisher's name, its pinned keys, the roots above its certificates, and what was revoked (hex SHA-256)."""

    name: str
    keys: tuple[ec.EllipticCurvePublicKey, ...] = ()
    roots: tuple[x509.Certificate, ...] = ()
    revoked: frozenset[str] = frozenset()


def parse_public_key(pem: bytes) -> ec.EllipticCurvePublicKey:
    """The key in ``pem``: P-256, P-384 or P-521. Raises ``FormatError``."""
    try:
        return check_curve(load_pem_public_key(pem))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise FormatError("not a public key in pem") from error


def parse_certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates in ``pem``, at least one. Raises ``FormatError``."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise FormatError("not certificates in pem") from error


def check_curve(key: object) -> ec.EllipticCurvePublicKey:
    """``key`` itself when OMS 1.0 knows its kind. Raises ``FormatError``."""
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise FormatError("a publisher's key is of the curve P-256, P-384 or P-521")
    return key


def key_fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """The ``hint`` of OMS: SHA-256, in hex, of the key's SubjectPublicKeyInfo in PEM."""
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def certificate_fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, in hex, of the certificate in DER."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def find_key(hint: str, publishers: Sequence[Publisher]) -> tuple[Publisher, ec.EllipticCurvePublicKey]:
    """The publisher whose pinned key has this fingerprint. Raises ``UnknownPublisherError``."""
    for publisher in publishers:
        for key in publisher.keys:
            if key_fingerprint(key) == hint:
                return publisher, key
    raise UnknownPublisherError(
        f"signed with the key {hint[:16]!r}…, which no publisher that is trusted here has",
        "ask the publisher for its public key, on another way than the model's",
    )


def find_chain(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], publishers: Sequence[Publisher], now: datetime
) -> tuple[Publisher, ec.EllipticCurvePublicKey]:
    """The publisher under one of whose roots ``leaf`` may sign at ``now``, and the leaf's key.

    Raises ``UnknownPublisherError``, one of the ``CertificateError`` classes, or ``FormatError``.
    """
    for publisher in publishers:
        chain = _chain(leaf, others, publisher, None)
        if chain is None:
            continue
        _check_usage(leaf)
        if any(certificate_fingerprint(item) in publisher.revoked for item in chain):
            raise CertificateRevokedError(f"a certificate of {publisher.name} was revoked", "sign with a new one")
        if any(not item.not_valid_before_utc <= now <= item.not_valid_after_utc for item in chain):
            raise CertificateExpiredError(
                f"a certificate of {publisher.name} is not valid at {now:%Y-%m-%d}", "sign with a valid one"
            )
        if _chain(leaf, others, publisher, now) is None:
            raise CertificateError(f"the certificates of {publisher.name} form no chain that is valid now")
        return publisher, check_curve(leaf.public_key())
    raise UnknownPublisherError(
        "signed under a certificate authority that is not trusted here", "ask the publisher for its root certificate"
    )


def _chain(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], publisher: Publisher, now: datetime | None
) -> tuple[x509.Certificate, ...] | None:
    """The chain from ``leaf`` to a root of ``publisher``; without ``now``, as of the leaf's own first instant.

    The second form only tells whose certificate it is, so that an old one is called old and not foreign.
    """
    if not publisher.roots:
        return None
    builder = PolicyBuilder().store(Store(list(publisher.roots))).max_chain_depth(MAX_CHAIN)
    builder = builder.time(leaf.not_valid_before_utc if now is None else now)
    builder = builder.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all()
    )
    try:
        return tuple(builder.build_client_verifier().verify(leaf, list(others)).chain)
    except VerificationError:
        return None


def _check_usage(leaf: x509.Certificate) -> None:
    """What the certificate says that it is for. Raises ``CertificateUsageError``."""
    try:
        extensions = {extension.oid: extension.value for extension in leaf.extensions}
    except (ValueError, x509.DuplicateExtension) as error:
        raise CertificateUsageError("the certificate's extensions cannot be read") from error
    usage = extensions.get(x509.KeyUsage.oid)
    if not isinstance(usage, x509.KeyUsage) or not usage.digital_signature:
        raise CertificateUsageError("the certificate is not for digital signatures")
    extended = extensions.get(x509.ExtendedKeyUsage.oid)
    if isinstance(extended, x509.ExtendedKeyUsage) and list(extended) != [ExtendedKeyUsageOID.CODE_SIGNING]:
        raise CertificateUsageError("the certificate is for something else than code signing")
    basic = extensions.get(x509.BasicConstraints.oid)
    if usage.key_cert_sign or (isinstance(basic, x509.BasicConstraints) and basic.ca):
        raise CertificateUsageError("the certificate is an authority's, not a signer's")
