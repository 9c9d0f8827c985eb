"""A log as it lies in a folder, for everybody who reads one: tiles under ``checkpoint``, and what the journal adds.

The writer puts what it acknowledged into tiles within half a second, and when it stops; of one that was killed, or
copied while it ran, the rest lies in the journal. Here both are one tree under one signed head: the last checkpoint in
the journal that holds, else the one in ``checkpoint``. Nothing is written.

The journal of a running writer changes under its reader: what looks wrong is read again before it is believed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import Checkpoint, open_checkpoint
from appliance.audit.earlier import Earlier
from appliance.audit.edge import Edge
from appliance.audit.errors import LogTamperedError, NoteError
from appliance.audit.findings import Finding
from appliance.audit.journal import Batch, decode_journal, read_segments
from appliance.audit.note import MAX_NOTE_BYTES
from appliance.audit.pruned import Pruned, read_pruned
from appliance.audit.regular_file import read_regular
from appliance.audit.replay import Replay, replay, settled_batches
from appliance.audit.tiles import CHECKPOINT, TILES, TileReader
from appliance.errors import LogInconsistentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from appliance.audit.note import VerifierKey

_TRIES = 10
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class StoredLog:
    """One state of a log: its verified head and the note that signs it, and its tiles, the journal's included."""

    head: Checkpoint
    note: str
    tiles: TileReader
    in_tiles: int
    """How many of its entries do not depend on the journal."""
    incomplete: Batch | None = None
    """The journal's last batch, where it does not count: torn by a crash, or damaged since."""
    findings: tuple[Finding, ...] = ()
    pruned: Pruned | None = None
    """The beginning whose entries may be gone."""
    settled: tuple[Batch, ...] = field(default=(), repr=False)
    """What lies in the journal and in tiles; see ``promises``."""

    def promises(self, vkeys: Sequence[VerifierKey]) -> list[Earlier]:
        """Checkpoints that the journal holds of what is in tiles: each was signed of a beginning of this log."""
        found = []
        for batch in self.settled:
            try:
                signed = open_checkpoint(batch.note, vkeys)
            except NoteError:  # a batch that a crash tore, and that recovery left out
                continue
            found.append(Earlier(signed, f"a checkpoint in the journal, behind entry {batch.end - 1}"))
        return found


def read_stored(directory: Path, vkeys: Sequence[VerifierKey]) -> StoredLog:
    """The log in ``directory``; entries and tiles are for the caller to verify, as far as it uses them.

    Raises ``UsageError`` when there is none, ``NoteError`` for a checkpoint that is not signed as it must be,
    ``LogTamperedError`` for a journal that does not continue it.
    """
    stored = examine_stored(directory, vkeys)
    if stored.findings:
        raise LogTamperedError(stored.findings)
    return stored


def examine_stored(directory: Path, vkeys: Sequence[VerifierKey]) -> StoredLog:
    """As ``read_stored``, for who gathers what is wrong: ``findings`` of the journal are in what is returned.

    Where the tiles do not hold the tree that ``checkpoint`` signs, the journal cannot be judged, and is left out.
    """
    stored, before = _read(directory, vkeys)
    for _ in range(_TRIES):
        if not stored.findings:
            break
        time.sleep(_PAUSE_SECONDS)
        stored, now = _read(directory, vkeys)
        if now == before:
            break
        before = now
    return stored


def read_note(directory: Path) -> bytes:
    """The bytes of ``checkpoint``, unverified. Raises ``UsageError``, or ``LogTamperedError`` when it alone is gone."""
    try:
        return read_regular(directory / CHECKPOINT, MAX_NOTE_BYTES + 1)
    except FileNotFoundError as error:
        if (directory / TILES).is_dir():
            gone = Finding("missing", None, f"{directory} holds entries but no checkpoint")
            raise LogTamperedError((gone,)) from error
        raise UsageError(f"there is no audit log in {directory}", "name its folder: it holds `checkpoint`") from error
    except OSError as error:
        raise UsageError(f"the audit log in {directory} cannot be read: {error.strerror}") from error


def _read(directory: Path, vkeys: Sequence[VerifierKey]) -> tuple[StoredLog, tuple[bytes, ...]]:
    """The log, and the bytes that say how far it goes."""
    note = read_note(directory)  # before the journal: what is free to be written over is in tiles by then
    try:
        segments = read_segments(directory)
    except OSError as error:
        raise UsageError(f"the journal in {directory} cannot be read: {error.strerror}") from error
    head = open_checkpoint(note, vkeys)
    stored = _judge(directory, head, note.decode(), decode_journal(segments), vkeys)
    return _without_pruned(stored), (note, *segments)


def _without_pruned(stored: StoredLog) -> StoredLog:
    try:
        pruned = read_pruned(stored.tiles.directory, stored.head, stored.tiles)
    except LogInconsistentError as error:
        finding = Finding("rewritten", None, error.cause)
        return replace(stored, findings=(*stored.findings, finding))
    return replace(stored, pruned=pruned, tiles=replace(stored.tiles, pruned=pruned.end)) if pruned else stored


def _judge(
    directory: Path, head: Checkpoint, note: str, batches: list[Batch], vkeys: Sequence[VerifierKey]
) -> StoredLog:
    tiles = TileReader(directory, head.size)
    settled = tuple(settled_batches(batches, head.size))
    if not any(batch.end > head.size for batch in batches):
        return StoredLog(head, note, tiles, head.size, settled=settled)
    try:
        edge = Edge.read(tiles, head.root)
    except LogInconsistentError as error:
        unjudged = Finding("rewritten", None, f"the journal cannot be judged: {error.cause}")
        return StoredLog(head, note, tiles, head.size, findings=(unjudged,), settled=settled)
    return _joined(directory, edge, note, replay(batches, edge, head, vkeys), settled)


def _joined(directory: Path, edge: Edge, note: str, added: Replay, settled: tuple[Batch, ...]) -> StoredLog:
    findings = (*added.findings, *([added.foreign] if added.foreign else []))
    return StoredLog(
        added.head,
        added.note or note,
        TileReader(directory, added.head.size, edge.grow(added.entries).files),
        edge.size,
        added.incomplete,
        findings,
        settled=settled,
    )
