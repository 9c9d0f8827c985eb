"""A publisher's folder, keys and certificates, and signatures as the reference implementation makes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from airgap_bundle.provenance.folder import check_folder, read_folder
from airgap_bundle.provenance.manifest import Identity
from airgap_bundle.provenance.publisher_signature import PublishedManifest, sign_manifest, verify_signature
from airgap_bundle.provenance.publishers import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
IDENTITY = Identity("small-model", "1.0.0", "chat")
FILES = {"weights-00001-of-00002.gguf": b"first" * 100, "weights-00002-of-00002.gguf": b"second" * 100, "a/b.txt": b""}


def silent(_done: int, _total: int) -> None:
    """No progress."""


def key(owner: str, curve: str = "secp256r1") -> ec.EllipticCurvePrivateKey:
    """The key of ``owner``, the same one for the whole run."""
    return _key(owner, curve)


@cache
def _key(_owner: str, curve: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key({c.name: c for c in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())}[curve])


def publisher(owner: str = "architect", curve: str = "secp256r1") -> Publisher:
    """A publisher by pinned key."""
    return Publisher(owner, keys=(key(owner, curve).public_key(),))


def write_folder(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    """A model's folder."""
    for path, data in (FILES if files is None else files).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def sign_folder(folder: Path, owner: str = "architect", identity: Identity = IDENTITY) -> bytes:
    """Our signature over ``folder``."""
    return sign_manifest(read_folder(folder, identity, progress=silent), key(owner))


def verify_folder(
    folder: Path, signature: bytes, trusted: Sequence[Publisher] | None = None, now: datetime = NOW
) -> PublishedManifest:
    """Verify ``signature``, then ``folder`` against it."""
    found = verify_signature(signature, [publisher()] if trusted is None else trusted, now)
    check_folder(folder, found.manifest, progress=silent)
    return found


def private_pem(owner: str, folder: Path, curve: str = "secp256r1") -> Path:
    """An unencrypted key file, as the reference implementation reads it."""
    path = folder / f"{owner}.{curve}.pem"
    path.write_bytes(key(owner, curve).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def public_pem(owner: str, folder: Path, curve: str = "secp256r1") -> Path:
    """The public key's file."""
    path = folder / f"{owner}.{curve}.pub.pem"
    path.write_bytes(key(owner, curve).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signing: bool, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signing,
        content_commitment=False,
        key_encipherment=not signing and not authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


@cache
def root(owner: str = "custodian") -> x509.Certificate:
    """The root certificate of ``owner``'s authority."""
    mine = key(f"{owner}'s root")
    builder = x509.CertificateBuilder().subject_name(_name(f"{owner} root")).issuer_name(_name(f"{owner} root"))
    builder = builder.public_key(mine.public_key()).serial_number(1)
    builder = builder.not_valid_before(NOW - 9000 * DAY).not_valid_after(NOW + 3000 * DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signing=False, authority=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(mine.public_key()), critical=False)
    return builder.sign(mine, hashes.SHA256())


def leaf(  # noqa: PLR0913 - one argument per thing that can be wrong
    owner: str = "architect",
    authority: str = "custodian",
    *,
    begin: datetime = NOW - 10 * DAY,
    end: datetime = NOW + 10 * DAY,
    signing: bool = True,
    is_authority: bool = False,
    purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CODE_SIGNING,
) -> x509.Certificate:
    """A certificate of ``owner`` under ``authority``."""
    above = key(f"{authority}'s root")
    builder = x509.CertificateBuilder().subject_name(_name(owner)).issuer_name(_name(f"{authority} root"))
    builder = builder.public_key(key(owner).public_key()).serial_number(2)
    builder = builder.not_valid_before(begin).not_valid_after(end)
    builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signing=signing, authority=is_authority), critical=True)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key())
    return builder.add_extension(issuer, critical=False).sign(above, hashes.SHA256())


def sign_with_certificate(
    folder: Path, certificate: x509.Certificate, change: Callable[[bytes], bytes] = lambda data: data
) -> bytes:
    """Our signature over ``folder`` by the architect, with this certificate."""
    manifest = read_folder(folder, IDENTITY, progress=silent)
    return change(sign_manifest(manifest, key("architect"), [certificate]))
