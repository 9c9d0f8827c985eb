"""Cosigned checkpoints beside the log: ``witnessed/NAME.note``, the last that each witness sent back.

Only the writer writes in the log's folder, so it shelves them. It verifies what it can, its own signatures and that its
tiles hold that very tree; whose cosignatures count is for whoever reads them to say (``cosigned``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle import durable
from airgap_bundle.errors import StoreError
from appliance.audit.checkpoint import open_checkpoint
from appliance.audit.cosigned import WITNESSED, file_name
from appliance.audit.errors import AuditUnavailableError, EntryRefusedError
from appliance.audit.history import require_growth
from appliance.audit.note import MAX_NOTE_BYTES, parse_note
from appliance.audit.proofs import consistency_proof
from appliance.audit.regular_file import read_regular
from appliance.audit.stored import read_stored
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from appliance.audit.checkpoint import Checkpoint
    from appliance.audit.note import VerifierKey

MAX_WITNESSES = 16


def shelve(directory: Path, data: bytes, log_keys: Sequence[VerifierKey]) -> list[str]:
    """Put the cosigned checkpoint ``data`` in the place of its cosigners' last ones, durably; their names.

    Raises ``EntryRefusedError`` when it is not a tree of the log in ``directory``, names no cosigner, or is older than
    what one of them sent before; ``AuditUnavailableError`` when the disk refuses.
    """
    try:
        head = require_beginning(directory, data, log_keys)
    except LogInconsistentError as error:
        raise EntryRefusedError(f"this is no checkpoint of the log here: {error.cause}") from error
    names = sorted({one.name for one in parse_note(data).signatures} - {head.origin})
    if not 0 < len(names) <= MAX_WITNESSES:
        raise EntryRefusedError(f"1 to {MAX_WITNESSES} cosigners are expected, {len(names)} are named")
    folder = directory / WITNESSED
    for name in names:
        _require_newer(folder / file_name(name), head.size, name, log_keys)
    try:
        folder.mkdir(mode=0o750, exist_ok=True)
        durable.replace_all({folder / file_name(name): data for name in names})
    except (OSError, StoreError) as error:
        raise AuditUnavailableError(f"the cosigned checkpoint cannot be kept: {error}") from error
    return names


def on_shelf(directory: Path, log_keys: Sequence[VerifierKey]) -> list[tuple[str, Checkpoint]]:
    """What lies there, by name: the checkpoint that each witness is said to have cosigned last.

    Only the log's own signatures are verified here. What cannot be read is left out.
    """
    found = []
    for path in sorted((directory / WITNESSED).glob("*.note")):
        try:
            data = read_regular(path, MAX_NOTE_BYTES + 1)
            head = open_checkpoint(data, log_keys)
            names = {one.name for one in parse_note(data).signatures}
        except (OSError, LogInconsistentError):
            continue
        found += [(name, head) for name in names if file_name(name) == path.name]
    return sorted(found, key=lambda one: one[0])


def require_beginning(directory: Path, data: bytes, log_keys: Sequence[VerifierKey]) -> Checkpoint:
    """The checkpoint in ``data``, verified, which the log in ``directory`` is or extends.

    Raises ``NoteError``, ``LogRewoundError``, ``LogForkedError``.
    """
    head = open_checkpoint(data, log_keys)
    now = read_stored(directory, log_keys)
    proof = consistency_proof(now.tiles, head.size) if head.size <= now.head.size else ()
    require_growth(head, now.head, proof)
    return head


def _require_newer(path: Path, size: int, name: str, log_keys: Sequence[VerifierKey]) -> None:
    try:
        before = open_checkpoint(path.read_bytes(), log_keys).size
    except (FileNotFoundError, LogInconsistentError):
        return
    if before > size:
        raise EntryRefusedError(f"{name} cosigned {before} entries already, more than these {size}")
