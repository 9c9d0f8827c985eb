"""One entry with its proof, in a bundle that needs neither the log nor this program to be checked.

The bundle is JSON: the entry's bytes, its position, the hashes from leaf to root, and the signed checkpoint. The same
proof is also given as text in the form of c2sp.org/tlog-proof, for other tools.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from appliance.audit.checkpoint import open_checkpoint
from appliance.audit.entry import decode_entry
from appliance.audit.errors import NoteError
from appliance.audit.merkle import HASH_BYTES, inclusion_holds, leaf_hash
from appliance.audit.proofs import inclusion_proof
from appliance.audit.stored import read_stored
from appliance.audit.tlog_proof import tlog_proof
from appliance.errors import LogInconsistentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from appliance.audit.note import VerifierKey

SCHEMA = 1
MEDIA_TYPE = "application/vnd.sovereign.audit-proof.v1+json"


def prove(directory: Path, index: int, *, vkeys: Sequence[VerifierKey]) -> dict[str, Any]:
    """Proof bundle of entry ``index`` under the log's checkpoint; checked before it is handed out.

    Raises ``UsageError`` when there is no such entry, ``LogInconsistentError`` when the log cannot prove it.
    """
    stored = read_stored(directory, vkeys)
    head = stored.head
    if not 0 <= index < head.size:
        raise UsageError(f"entry {index} is not in the log: it holds {head.size}", "positions begin at 0")
    entry = stored.tiles.entry(index)
    hashes = [base64.b64encode(one).decode() for one in inclusion_proof(stored.tiles, index)]
    bundle = {
        "mediaType": MEDIA_TYPE,
        "schema": SCHEMA,
        "origin": head.origin,
        "index": index,
        "size": head.size,
        "entry": base64.b64encode(entry).decode(),
        "leaf_hash": base64.b64encode(leaf_hash(entry)).decode(),
        "hashes": hashes,
        "checkpoint": stored.note,
        "tlog_proof": tlog_proof(index, hashes, stored.note),
    }
    verify_proof(bundle, vkeys=vkeys)
    return bundle


def verify_proof(bundle: Mapping[str, Any], *, vkeys: Sequence[VerifierKey]) -> dict[str, Any]:
    """Check a proof bundle offline; the event that it proves, as logged.

    Only ``index``, ``entry``, ``hashes`` and ``checkpoint`` count: size, root and leaf hash are recomputed. Raises
    ``NoteError`` (signatures) or ``LogInconsistentError`` (proof), never a bare ``KeyError``.
    """
    try:
        index, note = bundle["index"], bundle["checkpoint"].encode()
        entry = base64.b64decode(bundle["entry"], validate=True)
        hashes = [base64.b64decode(one, validate=True) for one in bundle["hashes"]]
        if not isinstance(index, int) or {len(one) for one in hashes} - {HASH_BYTES}:
            raise LogInconsistentError("the proof is malformed", "make it again with `sovereign audit prove`")
    except (KeyError, TypeError, AttributeError, binascii.Error, ValueError) as error:
        raise LogInconsistentError("the proof is malformed", "make it again with `sovereign audit prove`") from error
    head = open_checkpoint(note, vkeys)
    if not inclusion_holds(index, head.size, leaf_hash(entry), hashes, head.root):
        raise LogInconsistentError(f"the proof does not hold: the entry is not at position {index} of the signed log")
    try:
        return decode_entry(entry)[1]
    except ValueError as error:
        raise NoteError(f"entry {index} is in the log but is no event") from error
