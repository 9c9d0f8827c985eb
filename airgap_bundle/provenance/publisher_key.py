"""A publisher's signing key: ECDSA P-256, what every OMS verifier knows; encrypted PKCS#8 at rest.

``NAME.key`` is one PEM block ``ENCRYPTED PRIVATE KEY``, ``NAME.pem`` the public key as other tools read it. Keys that
were made elsewhere are accepted on P-384 and P-521 too, and never unencrypted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airgap_bundle import pkcs8
from airgap_bundle.errors import FormatError, KeyFileError
from airgap_bundle.keys import check_signer_name, write_new
from airgap_bundle.provenance.publishers import check_curve

if TYPE_CHECKING:
    from pathlib import Path

_MAX_FILE = 16 << 10


def save_new(name: str, directory: Path, passphrase: bytes, *, cost: int = pkcs8.COST) -> tuple[Path, Path]:
    """Make a key; write ``NAME.key`` (0600) and ``NAME.pem``, both new. Raises ``KeyFileError`` and ``FormatError``."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = pkcs8.encrypt(key, passphrase, cost=cost)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key_file, public_file = directory / f"{check_signer_name(name)}.key", directory / f"{name}.pem"
    write_new(key_file, private, 0o600)
    write_new(public_file, public, 0o644)
    return key_file, public_file


def load(path: Path, passphrase: bytes) -> ec.EllipticCurvePrivateKey:
    """The key in ``path``, which must be encrypted. Raises ``KeyFileError``."""
    try:
        with path.open("rb") as stream:
            key = pkcs8.decrypt(stream.read(_MAX_FILE), passphrase)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyFileError(f"{path} holds no elliptic-curve key", "`sovereign model keygen` makes one")
    try:
        check_curve(key.public_key())
    except FormatError as error:
        raise KeyFileError(f"{path}: {error.cause}") from error
    return key
