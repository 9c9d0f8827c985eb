"""C2SP tlog-checkpoint: origin, size and root, signed by the log with Ed25519 and with ML-DSA-44.

``open_checkpoint`` is the only way to get a ``Checkpoint`` out of foreign bytes, and it asks for *both* algorithms:
a note stripped of its post-quantum half is refused, as is one whose known key signed badly. Lines after the third are
accepted, covered by Ed25519 alone, and mean nothing to us.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from appliance.audit.cosignature import verify_signature
from appliance.audit.errors import NoteError
from appliance.audit.merkle import EMPTY_ROOT, HASH_BYTES
from appliance.audit.note import ALGORITHM_NAMES, ED25519, ML_DSA_44, Note, VerifierKey, parse_note
from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
LOG_ALGORITHMS = (ED25519, ML_DSA_44)


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: the log's origin, its number of entries and its root. ``time`` is the cosignature's, or 0."""

    origin: str
    size: int
    root: bytes
    time: int = 0

    @property
    def signed_at(self) -> str:
        """When it was signed, as RFC 3339 in UTC."""
        return datetime.fromtimestamp(self.time, UTC).isoformat().replace("+00:00", "Z")

    def body(self) -> str:
        """The note text: three lines, no extensions."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


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
    if head.size == 0 and head.root != EMPTY_ROOT:
        raise NoteError("the checkpoint gives an empty log a root that is not that of nothing")
    signed = signed_by(note, head, [key for key in keys if key.name == head.origin])
    missing = [ALGORITHM_NAMES[one] for one in LOG_ALGORITHMS if one not in signed]
    if missing:
        raise NoteError(
            f"the checkpoint carries no {' and no '.join(missing)} signature by a known key",
            "compare the verifier keys with the copy that the auditor keeps",
        )
    return Checkpoint(head.origin, head.size, head.root, signed[ML_DSA_44])


def signed_by(note: Note, head: Checkpoint, keys: Sequence[VerifierKey]) -> dict[int, int]:
    """Algorithms with which one of ``keys`` signed ``note``, whose text says ``head``, and the latest time of each.

    Signatures of other keys are ignored; raises ``NoteError`` when one by ``keys`` does not hold.
    """
    signed: dict[int, int] = {}
    for key in keys:
        for signature in note.signatures:
            if (signature.name, signature.key_id) == (key.name, key.key_id):
                time = verify_signature(
                    key, signature.blob, text=note.text, origin=head.origin, size=head.size, root=head.root
                )
                signed[key.algorithm] = max(signed.get(key.algorithm, 0), time)
    return signed


def _check_policy(keys: Sequence[VerifierKey]) -> None:
    missing = [ALGORITHM_NAMES[one] for one in LOG_ALGORITHMS if one not in {k.algorithm for k in keys}]
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
