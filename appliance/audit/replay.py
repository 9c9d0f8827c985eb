"""What lies in a journal behind the tree that is in tiles: batches that count, one that was not finished, or an attack.

Pure; the writer that recovers and everybody who reads judge by this. A batch counts when it continues the tree and
carries a checkpoint over exactly that tree, signed by the log's keys; nobody without them can put one in, or change
one. Only the last may be incomplete, since each was durable before the next began: one that does not hold and is
followed by another was damaged, and so is the log. A checkpoint unmasks only under the whole of its batch: one that can
be read, and does not belong there, was put there. What a recovery dropped may lie there still, where the host stopped
before the journal was cleared: it begins before the head and ends behind it, and nobody's signature is in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import Checkpoint, open_checkpoint
from appliance.audit.errors import NoteError
from appliance.audit.findings import Finding
from appliance.audit.note import parse_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.audit.edge import Edge
    from appliance.audit.journal import Batch
    from appliance.audit.note import VerifierKey


@dataclass
class Replay:
    """What a journal adds: entries, the tree with them, and the last checkpoint that holds with its note.

    ``incomplete`` is a last batch that does not count: torn by a crash, before it was acknowledged, or damaged since.
    ``foreign`` says of it that no crash made it so: somebody put it there. ``findings`` make the log inconsistent.
    """

    edge: Edge
    head: Checkpoint
    note: str | None = None
    entries: list[bytes] = field(default_factory=list)
    incomplete: Batch | None = None
    foreign: Finding | None = None
    findings: list[Finding] = field(default_factory=list)


def replay(batches: Sequence[Batch], edge: Edge, head: Checkpoint, keys: Sequence[VerifierKey]) -> Replay:
    """What ``batches``, by position, add to the tree of ``edge``, which ``head`` signs."""
    found = Replay(edge, head)
    following = [batch for batch in batches if batch.end > head.size and not _dropped(batch, head.size)]
    for number, batch in enumerate(following):
        if not _take(found, batch, keys, last=number + 1 == len(following)):
            break
    return found


def settled_batches(batches: Sequence[Batch], size: int) -> list[Batch]:
    """Those whose entries are in the tiles of a log of ``size`` entries already."""
    return [batch for batch in batches if batch.end <= size and batch.count == len(batch.entries) > 0]


def _take(found: Replay, batch: Batch, keys: Sequence[VerifierKey], *, last: bool) -> bool:
    """Add ``batch`` to what was found; whether the next one is to be looked at."""
    size = found.edge.size
    if batch.first != size:
        found.findings.append(_misplaced(batch, size))
        return False
    whole = _whole(batch)
    signed = _signed(batch, keys) if whole else None
    grown = found.edge.grow(batch.entries).edge if whole else found.edge
    if signed and (signed.size, signed.root) == (grown.size, grown.tree.root()):
        found.edge, found.head, found.note = grown, signed, batch.note.decode()
        found.entries += batch.entries
        return True
    span = f"the journal's batch of entries {batch.first} to {batch.end - 1}"
    if signed and signed.size >= grown.size:
        detail = f"{span} was changed: the log's keys signed {signed.size} other entries in its place"
        found.findings.append(Finding("edited", batch.first, detail))
    elif not last:
        found.findings.append(Finding("edited", batch.first, f"{span} was changed, though others follow it"))
    else:
        found.incomplete = batch
        if whole and _readable(batch.note):
            whose = "an older checkpoint" if signed else "a checkpoint that is not signed by the log's keys"
            found.foreign = Finding("inserted", batch.first, f"{span} was put there: it carries {whose}")
    return False


def _whole(batch: Batch) -> bool:
    return 0 < batch.count == len(batch.entries)


def _dropped(batch: Batch, size: int) -> bool:
    return batch.first < size and not (_whole(batch) and _readable(batch.note))


def _misplaced(batch: Batch, size: int) -> Finding:
    if batch.first > size:
        detail = f"entries {size} to {batch.first - 1} are gone from the journal, though others follow"
        return Finding("cut", size, detail)
    detail = f"the journal's batch of entries {batch.first} to {batch.end - 1} was put in where {size} were signed"
    return Finding("inserted", batch.first, detail)


def _signed(batch: Batch, keys: Sequence[VerifierKey]) -> Checkpoint | None:
    try:
        return open_checkpoint(batch.note, keys)
    except NoteError:
        return None


def _readable(note: bytes) -> bool:
    try:
        return bool(parse_note(note).signatures)
    except NoteError:
        return False
