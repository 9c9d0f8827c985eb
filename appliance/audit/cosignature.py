"""C2SP tlog-cosignature: what a cosigner signs, with Ed25519 (type 0x04) and with ML-DSA-44 (type 0x06).

Pure. A cosignature is eight bytes of POSIX time and the signature over one of the two messages below. The Ed25519
message is the time and the whole note text; the ML-DSA-44 message names the cosigner and covers origin, range and
root, but no extension lines.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from appliance.audit.errors import NoteError
from appliance.audit.note import ALGORITHM_NAMES, ED25519, ED25519_COSIGNATURE

if TYPE_CHECKING:
    from appliance.audit.note import VerifierKey

_LABEL = b"subtree/v1\n\x00"
_NUMBER = struct.Struct(">Q")
MAX_TIME = 2**63 - 1


def note_message(text: str, time: int) -> bytes:
    """What an Ed25519 cosigner signs: a header, the time and the note text (section "Ed25519 signed message")."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def subtree_message(cosigner: str, origin: str, time: int, start: int, end: int, root: bytes) -> bytes:  # noqa: PLR0913, PLR0917 - the fields of the structure, in its order
    """``cosigned_message`` of leaves ``start`` to ``end`` of log ``origin`` (section "ML-DSA-44 signed message")."""
    name, log = cosigner.encode(), origin.encode()
    return b"".join(
        (
            _LABEL,
            bytes([len(name)]) + name,
            _NUMBER.pack(time),
            bytes([len(log)]) + log,
            _NUMBER.pack(start),
            _NUMBER.pack(end),
            root,
        )
    )


def timestamped(time: int, signature: bytes) -> bytes:
    """``timestamped_signature``: what stands behind the key id of a cosignature line."""
    return _NUMBER.pack(time) + signature


def verify_signature(key: VerifierKey, blob: bytes, *, text: str, origin: str, size: int, root: bytes) -> int:  # noqa: PLR0913 - the parts of the checkpoint, by keyword
    """The signature's time (0 for a log's plain Ed25519). Raises ``NoteError`` when it does not hold.

    ``blob`` is what follows the key id in a signature line of ``key`` on the note ``text``, a checkpoint of ``origin``
    with ``size`` and ``root``.
    """
    try:
        if key.algorithm == ED25519:
            Ed25519PublicKey.from_public_bytes(key.material).verify(blob, text.encode())
            return 0
        time, signature = _taken_apart(blob)
        if key.algorithm == ED25519_COSIGNATURE:
            Ed25519PublicKey.from_public_bytes(key.material).verify(signature, note_message(text, time))
        else:
            message = subtree_message(key.name, origin, time, 0, size, root)
            MLDSA44PublicKey.from_public_bytes(key.material).verify(signature, message)
    except (InvalidSignature, ValueError, struct.error) as error:
        raise NoteError(
            f"the checkpoint's {ALGORITHM_NAMES[key.algorithm]} signature by {key.name} does not hold"
        ) from error
    return time


def _taken_apart(blob: bytes) -> tuple[int, bytes]:
    (time,) = _NUMBER.unpack(blob[: _NUMBER.size])
    if time > MAX_TIME:
        raise ValueError("a time beyond 2**63 - 1")
    return time, blob[_NUMBER.size :]
