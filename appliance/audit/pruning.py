"""Pruning: the entries of a log that the retention policy no longer keeps go, by the writer's hand alone.

The order makes it sound: the whole log is verified, and how old its entries are is measured on the way, by their own
times and by the clock (``retention``); an entry says what goes, and is in tiles under a signed checkpoint; a file
beside the log names it; then the bundles go. Cut off anywhere, some bundles are left, and the next pruning takes them.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from appliance.audit.entry import encode_entry
from appliance.audit.errors import EntryRefusedError, TooYoungError
from appliance.audit.events_operation import log_pruned
from appliance.audit.merkle import HASH_BYTES, inclusion_holds, leaf_hash
from appliance.audit.proofs import inclusion_proof
from appliance.audit.pruned import ENTRY
from appliance.audit.retention import Ages, Prunable, require_days
from appliance.audit.stored import StoredLog, examine_stored
from appliance.audit.tiles import WIDTH, decode_entries
from appliance.audit.verify import check_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from appliance.audit.commit import Record
    from appliance.audit.note import VerifierKey


def find_prunable(  # noqa: PLR0913 - by keyword
    directory: Path,
    *,
    vkeys: Sequence[VerifierKey],
    days: int,
    now: int | None = None,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[StoredLog, Prunable]:
    """The log in ``directory``, verified, and which of its entries (before ``limit``) are older than ``days``.

    ``now`` is the clock's, in milliseconds.

    Raises as ``verify_log``: a log that does not hold is not pruned.
    """
    stored = examine_stored(directory, vkeys)
    gone = stored.pruned.end if stored.pruned else 0
    ages = Ages()

    def visit(first: int, entries: list[bytes]) -> None:
        if first >= gone:
            ages.tell(first, entries)

    check_stored(stored, vkeys=vkeys, visit=visit, progress=progress)
    return stored, ages.prunable(days=days, now=now if now is not None else time.time_ns() // 1_000_000, limit=limit)


def prune_record(stored: StoredLog, old: Prunable, end: int, *, days: int, actor: str) -> Record:
    """The entry that says that everything before ``end`` may go. Raises ``TooYoungError`` when it may not."""
    gone = stored.pruned.end if stored.pruned else 0
    if end <= gone or end % WIDTH:
        raise EntryRefusedError(f"entries before {end} cannot be pruned: whole bundles of {WIDTH} behind {gone} can")
    if old.until is None or end != old.end:
        raise TooYoungError(
            f"entries before {end} are kept: only those before {max(old.end, gone)} are {require_days(days)} days old",
            "age counts by the times of the log's own entries, however the clock is set",
        )
    entry_id = f"{ENTRY}{uuid.uuid4()}"
    event = log_pruned(end=end, until=old.until, days=require_days(days), actor=actor)
    return entry_id, encode_entry(event, entry_id)


def require_own(stored: StoredLog, index: int, bundle: bytes) -> None:
    """Raises ``EntryRefusedError`` unless ``bundle`` holds the pruned entries of bundle ``index``, all of them.

    The tile's hashes lead to the signed root: the first by its proof, whose lowest hashes are made of all the others.
    """
    gone = stored.pruned.end if stored.pruned else 0
    if not 0 <= index < gone // WIDTH:
        raise EntryRefusedError(f"bundle {index} was not pruned", "what is in the log already is not put there again")
    entries, used = decode_entries(bundle, WIDTH)
    leaves = list(map(leaf_hash, entries))
    first, head = index * WIDTH, stored.head
    if used != len(bundle) or b"".join(leaves) != stored.tiles.tile(0, index)[: WIDTH * HASH_BYTES]:
        raise EntryRefusedError(f"these are not the entries {first} to {first + WIDTH - 1} of this log")
    if not inclusion_holds(first, head.size, leaves[0], inclusion_proof(stored.tiles, first), head.root):
        raise EntryRefusedError(f"the log cannot prove the hashes of entries {first} to {first + WIDTH - 1}")
