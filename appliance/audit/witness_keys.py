"""A witness's own keys: Ed25519 and ML-DSA-44, both under the witness's name, encrypted in one file.

Every cosignature is made twice (tlog-cosignature types 0x04 and 0x06), and counts only with both halves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from airgap_bundle import pkcs8
from airgap_bundle.errors import KeyFileError
from appliance.audit.cosignature import note_message, subtree_message, timestamped
from appliance.audit.note import ED25519_COSIGNATURE, ML_DSA_44, Signature, VerifierKey, check_name

if TYPE_CHECKING:
    from appliance.audit.checkpoint import Checkpoint

_RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
_FILE = re.compile(
    rb"sovereign witness: ([^\s+]+)\n((?:-----BEGIN ENCRYPTED PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+"
    rb"-----END ENCRYPTED PRIVATE KEY-----\n){2})"
)
_BLOCK = re.compile(rb"-----BEGIN [^-]+-----\n[^-]+-----END [^-]+-----\n")


@dataclass(frozen=True)
class WitnessKeys:
    """Both private keys of the witness ``name``. Never printed: ``repr`` shows the name only."""

    name: str
    ed25519: Ed25519PrivateKey
    mldsa44: MLDSA44PrivateKey

    @classmethod
    def generate(cls, name: str) -> WitnessKeys:
        """Fresh keys. Raises ``NoteError`` for a name that no signature line could carry."""
        return cls(check_name(name), Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate())

    def vkeys(self) -> tuple[VerifierKey, VerifierKey]:
        """Public halves; their ``encode()`` lines are what a site enrols and other auditors keep."""
        return (
            VerifierKey(self.name, ED25519_COSIGNATURE, self.ed25519.public_key().public_bytes(*_RAW)),
            VerifierKey(self.name, ML_DSA_44, self.mldsa44.public_key().public_bytes(*_RAW)),
        )

    def cosign(self, text: str, head: Checkpoint, time: int) -> tuple[Signature, Signature]:
        """Cosignatures of the note ``text`` that says ``head``: as of ``time``, the log's largest tree seen here."""
        classic, hybrid = self.vkeys()
        message = subtree_message(self.name, head.origin, time, 0, head.size, head.root)
        return (
            Signature(self.name, classic.key_id, timestamped(time, self.ed25519.sign(note_message(text, time)))),
            Signature(self.name, hybrid.key_id, timestamped(time, self.mldsa44.sign(message))),
        )

    def encode(self, passphrase: bytes, *, cost: int = pkcs8.COST) -> bytes:
        """The key file: the name, then both keys as PKCS#8 encrypted under ``passphrase``."""
        blocks = pkcs8.encrypt_all((self.ed25519, self.mldsa44), passphrase, cost=cost)
        return b"sovereign witness: %b\n" % self.name.encode() + b"".join(blocks)

    @classmethod
    def decode(cls, data: bytes, passphrase: bytes) -> WitnessKeys:
        """Keys from a key file. Raises ``KeyFileError``: no such file, or the wrong passphrase."""
        found = _FILE.fullmatch(data)
        if found is None:
            raise KeyFileError("this is no witness's key file", "`sovereign audit witness init` makes one")
        ed25519, mldsa44 = pkcs8.decrypt_all(_BLOCK.findall(found[2]), passphrase)
        if not isinstance(ed25519, Ed25519PrivateKey) or not isinstance(mldsa44, MLDSA44PrivateKey):
            raise KeyFileError("the witness's key file does not hold an Ed25519 key, then an ML-DSA-44 key")
        return cls(found[1].decode(), ed25519, mldsa44)

    def __repr__(self) -> str:
        return f"WitnessKeys({self.name!r}, …)"
