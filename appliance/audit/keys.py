"""The log's signing keys: Ed25519 and ML-DSA-44, PKCS#8, held by the audit service alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from appliance.audit.cosignature import subtree_message, timestamped
from appliance.audit.mldsa import MLDSA44Signer
from appliance.audit.note import ED25519, ML_DSA_44, Note, Signature, VerifierKey, check_name
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from appliance.audit.checkpoint import Checkpoint

_RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
_PKCS8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@dataclass(frozen=True)
class CheckpointKeys:
    """Both private keys of a log. Never printed: ``repr`` shows the type only."""

    ed25519: Ed25519PrivateKey
    mldsa44: MLDSA44PrivateKey

    @classmethod
    def generate(cls) -> CheckpointKeys:
        """Fresh keys, for a new log."""
        return cls(Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate())

    @classmethod
    def load(cls, ed25519_pem: bytes, mldsa44_pem: bytes) -> CheckpointKeys:
        """Keys from the two credentials. Raises ``DeploymentError`` when one is not what its name says."""
        ed25519 = _load("checkpoint_ed25519.pem", ed25519_pem)
        mldsa44 = _load("checkpoint_mldsa44.pem", mldsa44_pem)
        if not isinstance(ed25519, Ed25519PrivateKey):
            raise DeploymentError("checkpoint_ed25519.pem holds no Ed25519 key")
        if not isinstance(mldsa44, MLDSA44PrivateKey):
            raise DeploymentError("checkpoint_mldsa44.pem holds no ML-DSA-44 key")
        return cls(ed25519, mldsa44)

    def ed25519_pem(self) -> bytes:
        """The Ed25519 key as PKCS#8 PEM, unencrypted: seal it before it touches a disk."""
        return self.ed25519.private_bytes(*_PKCS8)

    def mldsa44_pem(self) -> bytes:
        """The ML-DSA-44 key as PKCS#8 PEM, unencrypted: seal it before it touches a disk."""
        return self.mldsa44.private_bytes(*_PKCS8)

    def vkeys(self, origin: str) -> tuple[VerifierKey, VerifierKey]:
        """Public halves under the log's name. ``encode()`` gives the lines of policies/audit-vkeys."""
        check_name(origin)
        return (
            VerifierKey(origin, ED25519, self.ed25519.public_key().public_bytes(*_RAW)),
            VerifierKey(origin, ML_DSA_44, self.mldsa44.public_key().public_bytes(*_RAW)),
        )

    def signer(self, origin: str) -> CheckpointSigner:
        """Both keys, ready to sign for the log ``origin`` again and again. Raises ``DeploymentError``."""
        classic, hybrid = self.vkeys(origin)
        return CheckpointSigner(self.ed25519, MLDSA44Signer(self.mldsa44), origin, classic.key_id, hybrid.key_id)

    def sign(self, head: Checkpoint, *, time: int) -> str:
        """As ``CheckpointSigner.sign``, once."""
        return self.signer(head.origin).sign(head, time=time)

    def __repr__(self) -> str:
        return "CheckpointKeys(…)"


@dataclass(frozen=True)
class CheckpointSigner:
    """A log's keys, expanded, and their ids: all that takes as long to compute as a signature."""

    ed25519: Ed25519PrivateKey
    mldsa44: MLDSA44Signer
    origin: str
    ed25519_id: bytes
    mldsa44_id: bytes

    def sign(self, head: Checkpoint, *, time: int) -> str:
        """The checkpoint as a signed note: an Ed25519 line and an ML-DSA-44 cosignature line, both by the origin.

        ``time`` (POSIX seconds) goes into the cosignature: as of then, this is the largest tree of the log.
        """
        message = subtree_message(self.origin, self.origin, time, 0, head.size, head.root)
        body = head.body()
        signatures = (
            Signature(self.origin, self.ed25519_id, self.ed25519.sign(body.encode())),
            Signature(self.origin, self.mldsa44_id, timestamped(time, self.mldsa44.sign(message))),
        )
        return Note(body, signatures).encode()


def _load(name: str, pem: bytes) -> object:
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise DeploymentError(f"credential {name} is not a PKCS#8 private key") from error
