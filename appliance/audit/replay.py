"""What a crash left in the journal: batches that were acknowledged, in order, and perhaps one that was not finished.

Pure. A batch counts when it continues the tree and carries a checkpoint over exactly that tree, signed by the log's
keys; nobody without them can put one in, or change one. Only the last batch may be incomplete, since each was durable
before the next began: one that does not hold and is followed by another was damaged, and so the log is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import Checkpoint, open_checkpoint
from appliance.audit.entry import decode_entry
from appliance.audit.errors import NoteError
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.audit.edge import Edge
    from appliance.audit.journal import Batch
    from appliance.audit.note import VerifierKey


@dataclass(frozen=True)
class Replay:
    """Records in the journal behind the checkpoint, how many of an incomplete batch, and the last time signed."""

    records: tuple[tuple[str, bytes], ...]
    dropped: int
    time: int


def replay(batches: Sequence[Batch], edge: Edge, head: Checkpoint, keys: Sequence[VerifierKey]) -> Replay | None:
    """What ``batches``, by position, add to the tree of ``edge``, which ``head`` signs; None when that is nothing.

    Raises ``LogInconsistentError`` when a batch is missing, or does not hold though another follows it.
    """
    following = [batch for batch in batches if batch.first >= head.size]
    records: list[tuple[str, bytes]] = []
    signed, edge_now = head, edge
    for number, batch in enumerate(following):
        if batch.first != edge_now.size:
            raise _damaged(edge_now.size)
        continued = _continued(batch, edge_now, keys)
        if continued is None:
            if number + 1 < len(following):
                raise _damaged(batch.first)
            return Replay(tuple(records), batch.count, signed.time)
        edge_now, signed = continued
        records += [(decode_entry(entry)[0], entry) for entry in batch.entries]
    return Replay(tuple(records), 0, signed.time) if following else None


def with_time(head: Checkpoint, found: Replay | None) -> Checkpoint:
    """``head`` as of the last time that was signed, so that no later signature is dated before it."""
    return replace(head, time=max(head.time, found.time)) if found else head


def _continued(batch: Batch, edge: Edge, keys: Sequence[VerifierKey]) -> tuple[Edge, Checkpoint] | None:
    """The tree with ``batch`` and its checkpoint; None when the batch is not whole, or not this tree's."""
    if not batch.count or len(batch.entries) != batch.count:
        return None
    try:
        signed = open_checkpoint(batch.note, keys)
    except NoteError:
        return None
    grown = edge.grow(batch.entries).edge
    return (grown, signed) if (signed.size, signed.root) == (grown.size, grown.tree.root()) else None


def _damaged(position: int) -> LogInconsistentError:
    return LogInconsistentError(
        f"the journal's batch at position {position} is damaged or gone, though others follow it",
        "restore the whole log; entries that were acknowledged are missing",
    )
