"""The whole log, checked offline: every entry, every tile, the root, and both signatures of the checkpoint.

Needs the log's folder and its verifier keys, nothing else, and reads each file once. The order matters:
1. the checkpoint's signatures (before anything it says is believed), and what the journal adds to it (``stored``)
2. per tile: entries → leaf hashes → the stored level-0 tile → its root → the stored tile above
3. the root over everything → the checkpoint's root
4. what was pruned: the entry that says so, and by the entries behind it that six months had passed
5. where the auditor kept an earlier checkpoint, or a witness cosigned one: a prefix of this tree, and not larger
A log whose every file was rewritten consistently, checkpoint included, is caught by 1 (keys) or by 5 (memory) alone.

Who verified a log before may go on from the checkpoint that they kept (``verify_growth``): then entries before it are
not read in 2, their hashes are those of the tiles, which 3 and 5 hold against both checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import open_checkpoint
from appliance.audit.earlier import Earlier
from appliance.audit.errors import LogTamperedError
from appliance.audit.findings import Finding
from appliance.audit.retention import DAY_MS, LEAST_DAYS, LogTime
from appliance.audit.stored import StoredLog, examine_stored
from appliance.audit.tiles import WIDTH
from appliance.audit.tree_check import TreeCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from appliance.audit.checkpoint import Checkpoint
    from appliance.audit.cosigned import Witnessed
    from appliance.audit.note import VerifierKey
    from appliance.audit.pruned import Pruned

MAX_FINDINGS = 50


@dataclass(frozen=True)
class LogReport:
    """A log that proved what it should: its head, the note that signs it, and what became of its journal."""

    head: Checkpoint
    checkpoint: str
    journaled: int = 0
    """How many of the entries lie in the journal, and not in tiles yet."""
    incomplete: int = 0
    """Entries of a last batch in the journal that do not count: torn by a crash, or damaged since."""
    pruned: Pruned | None = None
    """The beginning whose entries are gone, as the log says; their hashes were checked, their texts were not. Where it
    is ``unread``, some of them may be back from an archive."""
    unread: int = 0
    """Entries of the beginning that were not read: their hashes are those that an earlier checkpoint covers."""

    @property
    def origin(self) -> str:
        """Whose log it is."""
        return self.head.origin

    @property
    def size(self) -> int:
        """How many entries it holds."""
        return self.head.size

    @property
    def root(self) -> bytes:
        """The root over all of them."""
        return self.head.root


def verify_log(  # noqa: PLR0913 - what an auditor holds against the log, by keyword
    directory: Path,
    *,
    vkeys: Sequence[VerifierKey],
    kept: str | None = None,
    witnessed: Sequence[Witnessed] = (),
    visit: Callable[[int, list[bytes]], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LogReport:
    """Check the log in ``directory``; returns only when everything holds.

    ``kept`` is a checkpoint that the auditor kept from an earlier look, ``witnessed`` what witnesses cosigned of this
    log: each must be a beginning of it. ``visit(first, entries)`` gets every bundle in
    order, so that a report reads the bytes that were checked; what it gathers counts only when this returns.
    Raises ``LogTamperedError`` with every finding, ``NoteError`` for a checkpoint that is not signed as it must be,
    ``UsageError`` when there is no log in ``directory``. All but the last exit with 6.
    """
    return check_stored(
        examine_stored(directory, vkeys), vkeys=vkeys, kept=kept, witnessed=witnessed, visit=visit, progress=progress
    )


def verify_growth(  # noqa: PLR0913 - as ``verify_log``
    directory: Path,
    *,
    vkeys: Sequence[VerifierKey],
    kept: str,
    witnessed: Sequence[Witnessed] = (),
    visit: Callable[[int, list[bytes]], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LogReport:
    """Check what the log in ``directory`` gained behind the checkpoint ``kept``, up to which it was verified before.

    Of entries before it only hashes are read: one that was edited or removed since, its tile left alone, is found by
    ``verify_log``. Where entries were pruned since, everything is read, since how old they were must be measured.
    Raises as ``verify_log``.
    """
    stored = examine_stored(directory, vkeys)
    before = open_checkpoint(kept.encode(), vkeys).size
    pruned_since = stored.pruned is not None and stored.pruned.index >= before
    unread = 0 if pruned_since else min(before, stored.head.size) // WIDTH
    return check_stored(
        stored, vkeys=vkeys, kept=kept, witnessed=witnessed, unread=unread, visit=visit, progress=progress
    )


def check_stored(  # noqa: PLR0913 - as ``verify_log``
    stored: StoredLog,
    *,
    vkeys: Sequence[VerifierKey],
    kept: str | None = None,
    witnessed: Sequence[Witnessed] = (),
    begun: Sequence[Earlier] = (),
    unread: int = 0,
    visit: Callable[[int, list[bytes]], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LogReport:
    """As ``verify_log``, of a log that was opened before; entries of the first ``unread`` bundles are not read.

    Each of ``begun`` must be a beginning of it, too.
    """
    head = stored.head
    earlier = [*begun, *(Earlier(one.head, f"the checkpoint that {one.witness} cosigned") for one in witnessed)]
    if kept is not None:
        earlier.append(Earlier(open_checkpoint(kept.encode(), vkeys), "the kept checkpoint"))
    check = TreeCheck(stored.tiles, head, tuple(earlier), tuple(stored.promises(vkeys)), unread)
    age = _Age(stored.pruned)
    for index in range(-(-head.size // WIDTH)):
        entries = check.bundle(index)
        if visit:
            visit(index * WIDTH, entries)
        if check.gone:
            age.tell(index * WIDTH, entries)
        if progress:
            progress(min(head.size, (index + 1) * WIDTH), head.size)
        if len(check.findings) >= MAX_FINDINGS:
            break
    else:
        check.finish()
        check.findings += age.findings() if check.gone else []
        check.findings = check.findings or check.broken_promises
    if check.findings or stored.findings:
        raise LogTamperedError((*check.findings, *stored.findings))
    torn = stored.incomplete.count if stored.incomplete else 0
    gone = stored.pruned if check.gone or unread else None  # what is unread holds all that was pruned by then
    return LogReport(head, stored.note, head.size - stored.in_tiles, torn, gone, unread * WIDTH)


@dataclass
class _Age:
    """How old the pruned entries were when the log said that they may go, by the entries between."""

    pruned: Pruned | None
    time: LogTime = field(default_factory=LogTime)

    def tell(self, first: int, entries: list[bytes]) -> None:
        """Entries from position ``first`` on."""
        if self.pruned and self.pruned.end <= first:
            for entry in entries[: max(self.pruned.index - first, 0)]:
                self.time.tick(entry)

    def findings(self) -> list[Finding]:
        """That they were younger than any policy allows."""
        if self.pruned is None or self.time.passed >= LEAST_DAYS * DAY_MS:
            return []
        days = self.time.passed // DAY_MS
        detail = f"entries before {self.pruned.end} were removed when, by the log's own time, {days} days had passed"
        return [Finding("pruned", 0, f"{detail}; {LEAST_DAYS} are the least")]
