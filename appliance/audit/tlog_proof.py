"""C2SP tlog-proof: an inclusion proof with its checkpoint as text, and the record in it where there is one. Pure.

``extra`` is not authenticated by the format. Here it is the entry itself, whose leaf hash the proof leads from: an
``extra`` that is another record does not fit, and is refused with the proof.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import open_checkpoint
from appliance.audit.errors import NoteError
from appliance.audit.merkle import HASH_BYTES, inclusion_holds, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.audit.checkpoint import Checkpoint
    from appliance.audit.note import VerifierKey

HEADER = "c2sp.org/tlog-proof@v1"
MAX_CHARS = 1 << 18
MAX_HASHES = 63
_EXTRA, _INDEX = "extra ", "index "
_AGAIN = "take the receipt as it was given; a part of it was changed or left out"


@dataclass(frozen=True)
class TlogProof:
    """What the text says, nothing of it verified."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes = b""


def tlog_proof(index: int, hashes: Sequence[str], checkpoint: str, extra: bytes = b"") -> str:
    """The proof as c2sp.org/tlog-proof@v1 text; ``hashes`` are base64 already."""
    told = [_EXTRA + base64.b64encode(extra).decode()] if extra else []
    return "\n".join((HEADER, *told, f"{_INDEX}{index}", *hashes, "", checkpoint))


def read_tlog_proof(text: str) -> TlogProof:
    """Take such a text apart, in the one spelling that the format has. Raises ``NoteError``."""
    above, gap, checkpoint = text.partition("\n\n")
    lines = above.split("\n")
    if len(text) > MAX_CHARS or not gap or lines.pop(0) != HEADER:
        raise NoteError("the proof is no c2sp.org/tlog-proof@v1", _AGAIN)
    extra = _decoded(lines.pop(0).removeprefix(_EXTRA)) if lines and lines[0].startswith(_EXTRA) else b""
    number = lines.pop(0).removeprefix(_INDEX) if lines and lines[0].startswith(_INDEX) else ""
    if not (number.isascii() and number.isdecimal() and number == str(int(number[:20]))):
        raise NoteError("the proof names no entry", _AGAIN)
    hashes = tuple(map(_decoded, lines))
    if len(hashes) > MAX_HASHES or {len(one) for one in hashes} - {HASH_BYTES}:
        raise NoteError("the proof holds something else than hashes", _AGAIN)
    return TlogProof(int(number), hashes, checkpoint, extra)


def open_tlog_proof(text: str, vkeys: Sequence[VerifierKey]) -> tuple[TlogProof, Checkpoint]:
    """``text``, and the checkpoint in it, once both signatures hold and the proof leads to the entry in ``extra``.

    Raises ``NoteError``, and ``UsageError`` for keys that could verify none.
    """
    proof = read_tlog_proof(text)
    try:
        note = proof.checkpoint.encode()
    except UnicodeEncodeError as error:
        raise NoteError("the proof's checkpoint is no text", _AGAIN) from error
    head = open_checkpoint(note, vkeys)
    if not inclusion_holds(proof.index, head.size, leaf_hash(proof.extra), proof.hashes, head.root):
        raise NoteError(f"the proof does not hold: the entry is not entry {proof.index} of the signed log", _AGAIN)
    return proof, head


def _decoded(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("the proof holds a line that is no base64", _AGAIN) from error
    if base64.b64encode(raw).decode() != text:
        raise NoteError("the proof holds a line that is no base64", _AGAIN)
    return raw
