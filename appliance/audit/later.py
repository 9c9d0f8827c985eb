"""A later state of a log than the one at hand, in a folder that somebody else kept: believed as a whole, or not at all.

Two layouts hold entries up to the log's end: a copy of the log's folder, and an export that goes to the last entry.
The order is that of ``verify``: the signatures of the checkpoint; then every entry and hash up to its root; and, in the
same pass, that the state at hand is a beginning of it. Only then is anything told of what its further entries say.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import Checkpoint, open_checkpoint
from appliance.audit.earlier import Earlier
from appliance.audit.erased import erased_in
from appliance.audit.errors import LaterLogError, LogTamperedError
from appliance.audit.export import ENTRIES, PROOF
from appliance.audit.exported import read_entries, read_span
from appliance.audit.merkle import leaf_hash
from appliance.audit.note import MAX_NOTE_BYTES
from appliance.audit.regular_file import read_regular
from appliance.audit.stored import examine_stored
from appliance.audit.tiles import CHECKPOINT, WIDTH
from appliance.audit.verify import check_stored
from appliance.errors import LogInconsistentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from appliance.audit.exported import Span
    from appliance.audit.merkle import CompactTree
    from appliance.audit.note import VerifierKey

_HINT = "name a whole copy of this log's folder, or an export up to its last entry; nothing was changed"


@dataclass(frozen=True)
class LaterLog:
    """A verified later state of a log: its head, and whom its entries from ``since`` on say were erased.

    ``begun`` is a state in between that it goes on from, where one was asked for and it is as long.
    """

    head: Checkpoint
    since: int
    erased: frozenset[str]
    begun: Checkpoint | None = None

    @property
    def root(self) -> str:
        """The signed root, in base64."""
        return base64.b64encode(self.head.root).decode()

    def covers(self, size: int, root: bytes) -> bool:
        """Whether it is the state of this size and root, or was shown to go on from it."""
        states = (self.head, self.begun) if self.begun is not None else (self.head,)
        return any((one.size, one.root) == (size, root) for one in states)

    def __str__(self) -> str:
        """What an entry says of it; nobody is named."""
        there = f"entries {self.since} to {self.head.size - 1}" if self.head.size > self.since else "no further entries"
        return f"{there} under root {self.root}, erased there: {len(self.erased)}"


def read_later(
    folder: Path,
    *,
    vkeys: Sequence[VerifierKey],
    before: Checkpoint,
    begun: Checkpoint | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LaterLog:
    """Check what ``folder`` holds, under the keys of the log whose head was ``before``; only the same log passes.

    It must go on from ``begun`` as well, a later log that was named before, unless it is shorter: then it says nothing
    of that. Raises ``LaterLogError``, which names why, for everything that is not wholly a later, or this very, state
    of it.
    """
    gathered = _Gathered(before.size)
    earlier = [Earlier(before, "the backup")]
    if begun is not None:
        earlier.append(Earlier(begun, "the later log that was named before"))
    try:
        read = _export if os.path.lexists(folder / ENTRIES) or os.path.lexists(folder / PROOF) else _copy
        head = read(folder, vkeys, earlier, gathered, progress or (lambda _done, _total: None))
    except (LogInconsistentError, UsageError) as error:
        raise LaterLogError(f"the later log in {folder} is refused: {error.cause}", _HINT) from error
    except OSError as error:
        cause = f"the later log in {folder} cannot be read: {error.strerror}"
        raise LaterLogError(cause, _HINT) from error
    covered = begun if begun is not None and begun.size <= head.size else None
    return LaterLog(head, before.size, frozenset(gathered.erased), covered)


@dataclass
class _Gathered:
    """Whom entries from position ``since`` on name: for nobody to use before everything else holds."""

    since: int
    erased: set[str] = field(default_factory=set)

    def take(self, first: int, entries: list[bytes]) -> None:
        self.erased.update(erased_in(entries[max(self.since - first, 0) :]))


def _copy(
    folder: Path,
    vkeys: Sequence[VerifierKey],
    earlier: Sequence[Earlier],
    gathered: _Gathered,
    progress: Callable[[int, int], None],
) -> Checkpoint:
    before, stored = earlier[0].head, examine_stored(folder, vkeys)
    held = _held(earlier, stored.head)
    try:
        report = check_stored(stored, vkeys=vkeys, begun=held, visit=gathered.take, progress=progress)
    except LogTamperedError as error:
        others = [one for one in held if one.differs() in error.findings]
        if others and len(others) == len(error.findings):
            raise _forked(others[0]) from error
        raise
    if report.pruned is not None and report.pruned.end > before.size:
        cause = f"its entries before {report.pruned.end} were pruned, and the backup ends with {before.size}"
        raise LogInconsistentError(f"{cause}: whom those between say were erased is not known")
    return report.head


def _export(
    folder: Path,
    vkeys: Sequence[VerifierKey],
    earlier: Sequence[Earlier],
    gathered: _Gathered,
    progress: Callable[[int, int], None],
) -> Checkpoint:
    """Entries up to the last one leave only roots on their left: those of the tree as it was before the first."""
    head = open_checkpoint(read_regular(folder / CHECKPOINT, MAX_NOTE_BYTES + 1), vkeys)
    held = _held(earlier, head)
    tree = _beginning(read_span(folder, head), head, earlier[0].head)
    sizes, first = {one.head.size for one in held}, tree.size
    roots = {first: tree.root()}
    for at, entry in read_entries(folder, first, head):
        gathered.take(at, [entry])
        tree.append(leaf_hash(entry))
        if tree.size in sizes:
            roots[tree.size] = tree.root()
        if tree.size % WIDTH == 0 or tree.size == head.size:
            progress(tree.size - first, head.size - first)
    if tree.size != head.size or tree.root() != head.root:
        raise LogInconsistentError("its entries are not those that its checkpoint signs, or not all of them")
    for one in held:
        if roots.get(one.head.size) != one.head.root:
            raise _forked(one)
    return head


def _beginning(span: Span, head: Checkpoint, before: Checkpoint) -> CompactTree:
    """The tree before the export's first entry, by hashes that the signed root has yet to bear out."""
    if span.first > before.size:
        raise LogInconsistentError(f"it begins with entry {span.first}, and the backup ends before entry {before.size}")
    if span.last != head.size - 1:
        raise LogInconsistentError(f"it ends before entry {head.size - 1}, the last that its checkpoint signs")
    return span.before()


def _held(earlier: Sequence[Earlier], head: Checkpoint) -> list[Earlier]:
    """What a log of this head is to be held against: the backup in any case, and what else is no longer than it."""
    before = earlier[0].head
    if head.size < before.size:
        raise LogInconsistentError(f"it is older than the backup: it has {head.size} entries, the backup {before.size}")
    return [one for one in earlier if one.head.size <= head.size]


def _forked(other: Earlier) -> LogInconsistentError:
    return LogInconsistentError(f"it is forked: its first {other.head.size} entries are not those of {other.whose}")
