"""What release.yaml asks of an image's signatures, with the files that it names read: keys and trusted roots.

The policy's digest covers those files, so that a lock made under another key or another trusted root does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.signer import SSlibKey

from airgap_bundle import strict_json
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import LockError
from airgap_bundle.image_artifacts import KeySignature
from airgap_bundle.image_reference import ImageReference, parse_reference

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.image_artifacts import ImageArtifact

MAX_FILE = 4 << 20
MIN_RSA_BITS = 2048


@dataclass(frozen=True)
class KeyPolicy:
    """Signed by this key. ``fingerprint`` is the sha256 of its SubjectPublicKeyInfo."""

    name: str
    key: SSlibKey
    fingerprint: str
    digest: Digest


@dataclass(frozen=True)
class IdentityPolicy:
    """Signed by ``identity``, as ``issuer`` attested. ``trusted_root`` holds the bytes of sigstore's trusted root."""

    name: str
    identity: str
    issuer: str
    trusted_root: bytes
    digest: Digest


Policy = KeyPolicy | IdentityPolicy


def read_policy(spec: ImageArtifact, folder: Path) -> Policy | None:
    """The policy of ``spec``; ``folder`` is where release.yaml lies. Raises ``LockError`` for a file that is no key."""
    asked = spec.signatures
    if asked is None:
        return None
    name = asked.signed_as or parse_reference(spec.image).name
    if isinstance(asked, KeySignature):
        key, fingerprint = _read_key(folder / asked.key)
        return KeyPolicy(name, key, fingerprint, _digest(name=name, key=fingerprint))
    root = _read(folder / asked.trusted_root)
    digest = _digest(name=name, identity=asked.identity, issuer=asked.issuer, trusted_root=sha256(root))
    return IdentityPolicy(name, asked.identity, asked.issuer, root, digest)


def policy_digest(spec: ImageArtifact, folder: Path) -> str:
    """Digest of what ``spec`` asks for; empty when it asks for no signatures."""
    policy = read_policy(spec, folder)
    return "" if policy is None else str(policy.digest)


def names_image(reference: str, policy: Policy, image: ImageReference, digest: Digest) -> bool:
    """Whether a signature's `docker-reference` speaks of ``image``: its repository, alone, by our tag or by digest."""
    forms = {policy.name, f"{policy.name}@{digest}"}
    if image.tag is not None:
        forms |= {f"{policy.name}:{image.tag}", f"{policy.name}:{image.tag}@{digest}"}
    return reference in forms


def _digest(**content: str) -> Digest:
    return sha256(strict_json.dumps(content))


def _read_key(path: Path) -> tuple[SSlibKey, str]:
    data = _read(path)
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise LockError(
            f"{path} holds no public key in pem", "export it: cosign public-key, openssl pkey -pubout"
        ) from error
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        scheme = "ecdsa-sha2-nistp256"
    elif isinstance(key, ed25519.Ed25519PublicKey):
        scheme = "ed25519"
    elif isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        scheme = "rsa-pkcs1v15-sha256"
    else:
        raise LockError(
            f"{path} holds a key of a kind that images are not signed by here", "P-256, Ed25519, or RSA from 2048 bits"
        )
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SSlibKey.from_crypto(key, scheme=scheme), str(sha256(info))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise LockError(f"{path}: {str(error.strerror).lower()}", "release.yaml names it under signatures") from error
    if len(data) > MAX_FILE:
        raise LockError(f"{path} is longer than {MAX_FILE} bytes")
    return data
