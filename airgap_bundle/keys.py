"""Signers: a *person* (or the release role) holds an Ed25519 and an ML-DSA-65 key, and signs with both or not at all.

``NAME.key`` is a line ``sovereign signer: NAME`` and two encrypted PKCS#8 PEM blocks; ``NAME.pub`` is JSON with both
public halves. The name inside the file counts, not the file's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from securesystemslib.signer import CryptoSigner, SSlibKey

from airgap_bundle import armour, durable, pkcs8, strict_json
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import FormatError, KeyFileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from securesystemslib.signer import Signature

ED25519 = "ed25519"
ML_DSA = "ml-dsa-65"
ALGORITHMS = (ED25519, ML_DSA)
# Field of a TUF key that says whose it is; the key id does not cover it, the root's signatures do.
SIGNER_FIELD = "x-sovereign-signer"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)
_HEADER = re.compile(rb"sovereign signer: ([a-z0-9][a-z0-9._-]{0,62})\n")
_BLOCK = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+-----END ENCRYPTED PRIVATE KEY-----\n")
MAX_KEY_FILE_BYTES = 16 << 10


def check_signer_name(name: object) -> str:
    """``name`` itself when it is a signer's name. Raises ``FormatError``."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise FormatError(f"not a signer's name: {str(name)[:80]!r} (a-z, 0-9, dot, dash, underscore)")
    return name


@dataclass(frozen=True)
class PublicSigner:
    """Both public halves of a signer, as TUF keys."""

    name: str
    ed25519: SSlibKey
    ml_dsa: SSlibKey

    @classmethod
    def of(cls, name: str, ed25519: Ed25519PublicKey, ml_dsa: MLDSA65PublicKey) -> PublicSigner:
        """The signer ``name`` with these keys."""
        return cls(check_signer_name(name), _tuf_key(ed25519, name), _tuf_key(ml_dsa, name))

    @property
    def keys(self) -> tuple[SSlibKey, SSlibKey]:
        """Both keys, Ed25519 first."""
        return self.ed25519, self.ml_dsa

    def to_json(self) -> dict[str, Any]:
        """Content of ``NAME.pub``."""
        halves = {alg: armour.encode(key_material(key)) for alg, key in zip(ALGORITHMS, self.keys, strict=True)}
        return {"schema": 1, "name": self.name, "keys": halves}

    def to_bytes(self) -> bytes:
        """``NAME.pub`` as it is written."""
        return strict_json.dumps(self.to_json()) + b"\n"

    @property
    def fingerprint(self) -> Digest:
        """The SHA-256 of ``NAME.pub``, so that ``sha256sum`` shows it on any machine."""
        return sha256(self.to_bytes())


class Half(Protocol):
    """One private key, wherever it lies: in this process or on a token."""

    @property
    def public_key(self) -> SSlibKey:
        """Its public half, with the signer's name."""

    def sign(self, payload: bytes) -> Signature:
        """Its signature over ``payload``."""


@dataclass(frozen=True)
class Signer:
    """Both private halves of a signer."""

    name: str
    ed25519: Half
    ml_dsa: Half

    @property
    def public(self) -> PublicSigner:
        """The public halves."""
        return PublicSigner(self.name, self.ed25519.public_key, self.ml_dsa.public_key)

    def sign(self, data: bytes) -> tuple[Signature, Signature]:
        """Signatures of both keys over ``data``, Ed25519 first."""
        return self.ed25519.sign(data), self.ml_dsa.sign(data)


def _tuf_key(key: Ed25519PublicKey | MLDSA65PublicKey, name: str) -> SSlibKey:
    found = SSlibKey.from_crypto(key)
    found.unrecognized_fields[SIGNER_FIELD] = name
    return found


def key_algorithm(key: SSlibKey) -> str:
    """``ed25519`` or ``ml-dsa-65``. Raises ``FormatError`` for any other TUF key."""
    pairs = {(ED25519, ED25519): ED25519, ("ml-dsa", "ml-dsa-65/1"): ML_DSA}
    try:
        return pairs[(key.keytype, key.scheme)]
    except KeyError:
        raise FormatError(f"key type {key.keytype}/{key.scheme} is not accepted") from None


def _public_key(key: SSlibKey) -> Ed25519PublicKey | MLDSA65PublicKey:
    algorithm = key_algorithm(key)
    try:
        found = key._crypto_key()  # noqa: SLF001 - securesystemslib has no public way to the key object it verifies with
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FormatError(f"public key {key.keyid} cannot be read") from error
    if algorithm == ED25519 and isinstance(found, Ed25519PublicKey):
        return found
    if algorithm == ML_DSA and isinstance(found, MLDSA65PublicKey):
        return found
    raise FormatError(f"public key {key.keyid} is not of its declared type")


def key_material(key: SSlibKey) -> bytes:
    """Raw public key bytes: equal for one key however it is spelled. Raises ``FormatError``."""
    return _public_key(key).public_bytes_raw()


def canonical_key(key: SSlibKey) -> SSlibKey:
    """``key`` in its one spelling, with the key id that follows from it. Raises ``FormatError``."""
    return SSlibKey.from_crypto(_public_key(key))


def generate(name: str) -> Signer:
    """A new signer. Raises ``FormatError`` for a bad name."""
    return _signer(name, Ed25519PrivateKey.generate(), MLDSA65PrivateKey.generate())


def _signer(name: str, ed25519: Ed25519PrivateKey, ml_dsa: MLDSA65PrivateKey) -> Signer:
    public = PublicSigner.of(name, ed25519.public_key(), ml_dsa.public_key())
    return Signer(name, CryptoSigner(ed25519, public.ed25519), CryptoSigner(ml_dsa, public.ml_dsa))


def save(signer: Signer, directory: Path, passphrase: bytes, *, cost: int = pkcs8.COST) -> tuple[Path, Path]:
    """Write ``NAME.key`` (0600) and ``NAME.pub`` into ``directory``; both must be new. Raises ``KeyFileError``."""
    key_file, public_file = directory / f"{signer.name}.key", directory / f"{signer.name}.pub"
    refuse_existing(key_file, public_file)
    save_private(key_file, signer.name, (signer.ed25519, signer.ml_dsa), passphrase, cost=cost)
    write_new(public_file, signer.public.to_bytes(), 0o644)
    return key_file, public_file


def save_private(path: Path, name: str, halves: Sequence[Half], passphrase: bytes, *, cost: int = pkcs8.COST) -> None:
    """Write the private keys ``halves`` of signer ``name``, encrypted, to the new file ``path`` (0600).

    Raises ``KeyFileError``, also for a half whose key is not in this process.
    """
    private = []
    for half in halves:
        if not isinstance(half, CryptoSigner):
            raise KeyFileError(f"a key of {name} lies on a token and cannot be written to a file")
        private.append(half._private_key)  # noqa: SLF001 - CryptoSigner only hands out unencrypted bytes
    blocks = pkcs8.encrypt_all(private, passphrase, cost=cost)  # type: ignore[arg-type]  # made by _signer, of these two types
    write_new(path, b"sovereign signer: %b\n" % name.encode() + b"".join(blocks), 0o600)


_NEVER_OVERWRITTEN = "what was signed or made once is never overwritten: name another file or folder"


def refuse_existing(*paths: Path) -> None:
    """Raise ``KeyFileError`` for the first of ``paths`` that exists, before any of them is written."""
    for path in paths:
        if path.exists():
            raise KeyFileError(f"{path} exists already", _NEVER_OVERWRITTEN)


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write ``data`` durably to ``path``, which must not exist. Raises ``KeyFileError``."""
    try:
        durable.write_new(path, data, mode)
    except FileExistsError:
        raise KeyFileError(f"{path} exists already", _NEVER_OVERWRITTEN) from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}", "check free space and rights") from error


def load(path: Path, passphrase: bytes) -> Signer:
    """The signer in key file ``path``. Raises ``KeyFileError`` for anything but the form that ``save`` writes."""
    name, (ed25519, ml_dsa) = load_private(path, passphrase, len(ALGORITHMS))
    if not isinstance(ed25519, Ed25519PrivateKey) or not isinstance(ml_dsa, MLDSA65PrivateKey):
        raise KeyFileError(f"{path} does not hold an Ed25519 key, then an ML-DSA-65 key")
    return _signer(name, ed25519, ml_dsa)


def load_private(path: Path, passphrase: bytes, count: int) -> tuple[str, list[PrivateKeyTypes]]:
    """Signer's name and ``count`` private keys, of whatever type, in key file ``path``. Raises ``KeyFileError``."""
    data = read_key_file(path)
    header, blocks = _HEADER.match(data), _BLOCK.findall(data)
    if header is None or data != header.group() + b"".join(blocks) or len(blocks) != count:
        raise KeyFileError(f"{path} is no signer's key file", "`sovereign trust keygen` makes one")
    return header.group(1).decode(), pkcs8.decrypt_all(blocks, passphrase)


def load_public(path: Path) -> PublicSigner:
    """The signer in public key file ``path``. Raises ``KeyFileError``."""
    try:
        return parse_public(read_key_file(path))
    except FormatError as error:
        raise KeyFileError(f"{path} is no signer's public key file: {error.cause}") from error


def parse_public(data: bytes) -> PublicSigner:
    """The signer in the bytes of a ``NAME.pub``; unknown keys are ignored on purpose. Raises ``FormatError``."""
    value = strict_json.load_object(data, max_bytes=MAX_KEY_FILE_BYTES)
    halves = value.get("keys")
    if not strict_json.is_integer(value.get("schema"), 1) or not isinstance(halves, dict):
        raise FormatError("schema 1 with two keys expected")
    try:
        ed25519, ml_dsa = (armour.decode(halves.get(name)) for name in ALGORITHMS)
        return PublicSigner.of(
            check_signer_name(value.get("name")),
            Ed25519PublicKey.from_public_bytes(ed25519),
            MLDSA65PublicKey.from_public_bytes(ml_dsa),
        )
    except ValueError as error:
        raise FormatError("both public keys, base64 of their raw bytes, expected") from error


def read_key_file(path: Path) -> bytes:
    """Up to one byte more than a key file may have. Raises ``KeyFileError``."""
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
