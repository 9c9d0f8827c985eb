"""C2SP tlog-checkpoint: origin, size and root, signed by the log with Ed25519 and with ML-DSA-44.

``open_checkpoint`` is the only way to get a ``Checkpoint`` out of foreign bytes, and it asks for *both* algorithms:
a note stripped of its post-quantum half is refused, as is one whose known key signed badly. Lines after the third are
accepted, covered by Ed25519 alone, and mean nothing to us.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from appliance.audit.errors import NoteError
from appliance.audit.merkle import HASH_BYTES
from appliance.audit.note import ALGORITHM_NAMES, ED25519, ML_DSA_44, Note, Signature, VerifierKey, parse_note
from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_LABEL = b"subtree/v1\n\x00"
_TIMESTAMP = struct.Struct(">Q")


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: the log's origin, its number of entries and its root. ``time`` is the cosignature's, or 0."""

    origin: str
    size: int
    root: bytes
    time: int = 0

    def body(self) -> str:
        """The note text: three lines, no extensions."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def cosigned_message(name: str, head: Checkpoint, timestamp: int) -> bytes:
    """What an ML-DSA-44 key signs for a whole tree (tlog-cosignature, ``cosigned_message`` with start 0)."""
    cosigner, origin = name.encode(), head.origin.encode()
    return b"".join(
        (
            _LABEL,
            bytes([len(cosigner)]) + cosigner,
            _TIMESTAMP.pack(timestamp),
            bytes([len(origin)]) + origin,
            _TIMESTAMP.pack(0),
            _TIMESTAMP.pack(head.size),
            head.root,
        )
    )


def parse_body(text: str) -> Checkpoint:
    """Read a checkpoint's note text, unverified. Raises ``NoteError``."""
    lines = text.split("\n")[:-1]
    if len(lines) < 3 or not all(lines) or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004 - origin, size, root
        raise NoteError("the checkpoint is malformed: origin, size and root are expected, one per line")
    try:
        root = base64.b64decode(lines[2].encode(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("the checkpoint's root is not base64") from error
    if len(root) != HASH_BYTES:
        raise NoteError(f"the checkpoint's root has {len(root)} bytes, not {HASH_BYTES}")
    return Checkpoint(lines[0], int(lines[1]), root)


def open_checkpoint(data: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Verify a checkpoint note: origin, and at least one signature per algorithm by the log's own keys.

    Raises ``NoteError`` (exit 6) naming what is missing, ``UsageError`` when ``keys`` could never verify one.
    """
    _check_policy(keys)
    note = parse_note(data)
    head = parse_body(note.text)
    if head.origin not in {key.name for key in keys}:
        raise NoteError(
            f"the checkpoint is of log {head.origin!r}, not of {keys[0].name!r}",
            "compare the log and its verifier keys",
        )
    signed: dict[int, int] = {}
    for key in keys:
        for signature in note.signatures:
            if (signature.name, signature.key_id) == (key.name, key.key_id) and key.name == head.origin:
                signed[key.algorithm] = max(signed.get(key.algorithm, 0), _verify(key, signature, note, head))
    missing = [name for algorithm, name in ALGORITHM_NAMES.items() if algorithm not in signed]
    if missing:
        raise NoteError(
            f"the checkpoint carries no {' and no '.join(missing)} signature by a known key",
            "compare the verifier keys with the copy that the auditor keeps",
        )
    return Checkpoint(head.origin, head.size, head.root, signed[ML_DSA_44])


def _verify(key: VerifierKey, signature: Signature, note: Note, head: Checkpoint) -> int:
    """The cosignature's time (0 for Ed25519). Raises ``NoteError`` when a known key's signature does not hold."""
    try:
        if key.algorithm == ED25519:
            Ed25519PublicKey.from_public_bytes(key.material).verify(signature.blob, note.text.encode())
            return 0
        (timestamp,) = _TIMESTAMP.unpack(signature.blob[: _TIMESTAMP.size])
        message = cosigned_message(key.name, head, timestamp)
        MLDSA44PublicKey.from_public_bytes(key.material).verify(signature.blob[_TIMESTAMP.size :], message)
    except (InvalidSignature, ValueError, struct.error) as error:
        raise NoteError(
            f"the checkpoint's {ALGORITHM_NAMES[key.algorithm]} signature by {key.name} does not hold"
        ) from error
    return int(timestamp)


def _check_policy(keys: Sequence[VerifierKey]) -> None:
    missing = [name for algorithm, name in ALGORITHM_NAMES.items() if algorithm not in {k.algorithm for k in keys}]
    if missing:
        raise UsageError(
            f"the verifier keys hold no {' and no '.join(missing)} key", "use the site's policies/audit-vkeys file"
        )


def read_vkeys(path: Path) -> tuple[VerifierKey, ...]:
    """Verifier keys from a file, one per line; empty lines and lines that begin with # are skipped."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"verifier keys {path} cannot be read: {error}", "name the file with --vkeys") from error
    keys = tuple(VerifierKey.parse(line) for line in lines if line.strip() and not line.startswith("#"))
    _check_policy(keys)
    return keys
