"""Who used which model how much: a log under its signed checkpoint, counted by day, group, model, purpose and user.

Every figure comes from entries whose hashes lead to the signed root: read now, or counted before and kept under the
root of their block (``tally_cache``), which is checked against the checkpoint before it is used. Entries that were
counted before are not read again: ``verify`` says whether they are all still there. Days are UTC. A user of several
groups counts in each of them, so groups may add up to more than the total.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.forkserver import ensure_running
from typing import TYPE_CHECKING

from appliance.audit.blocks import (
    LEVEL,
    Counted,
    block_roots,
    block_size,
    count_block,
    count_stored_part,
    count_tail,
    join,
    parts,
    tree_of,
)
from appliance.audit.checkpoint import open_checkpoint
from appliance.audit.history import require_growth
from appliance.audit.proofs import consistency_proof
from appliance.audit.stored import StoredLog, read_stored
from appliance.audit.tally import TOP_USERS, UsageReport
from appliance.audit.verify import check_stored
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date
    from multiprocessing.context import ForkServerContext
    from pathlib import Path

    from appliance.audit.note import VerifierKey
    from appliance.audit.tally_cache import TallyCache

_PROCESSES = 8
_WORTH_PROCESSES = 100_000
"""Entries that take longer to count than processes to start."""


def build_report(  # noqa: PLR0913 - the period and the checks that an auditor may ask for, by keyword
    directory: Path,
    *,
    vkeys: Sequence[VerifierKey],
    since: date | None = None,
    until: date | None = None,
    top: int = TOP_USERS,
    kept: str | None = None,
    known: TallyCache | None = None,
    level: int = LEVEL,
    processes: int = _PROCESSES,
    progress: Callable[[int, int], None] | None = None,
) -> UsageReport:
    """Count the log in ``directory``; days from ``since`` to ``until``, both included.

    ``known`` gives what was counted before, and keeps what is counted now, by blocks of 256 to the power of ``level``,
    in as many ``processes`` at most.
    Raises what ``verify_log`` raises: there is no report of a log that does not hold.
    """
    stored = read_stored(directory, vkeys)
    try:
        if kept is not None:
            _require_growth(stored, kept, vkeys)
        parts = _count(stored, known, level, processes, progress or (lambda _done, _total: None))
    except LogInconsistentError:
        check_stored(stored, vkeys=vkeys, kept=kept)  # names what is wrong
        raise
    head = stored.head
    report = UsageReport(since=since, until=until, top=top)
    report.origin, report.size, report.root, report.signed_at = head.origin, head.size, head.root.hex(), head.signed_at
    parts.reverse()
    while parts:  # each is let go once it is added: together they take more memory than the report
        part = parts.pop()
        report.pruned += part.pruned
        for day, figures in part.days.items():
            report.add_day(day, figures)
    return report


def _require_growth(stored: StoredLog, kept: str, vkeys: Sequence[VerifierKey]) -> None:
    before = open_checkpoint(kept.encode(), vkeys)
    proof = consistency_proof(stored.tiles, before.size) if before.size <= stored.head.size else ()
    require_growth(before, stored.head, proof)


def _count(
    stored: StoredLog, known: TallyCache | None, level: int, most: int, progress: Callable[[int, int], None]
) -> list[Counted]:
    """Figures of every block, in order, and of the entries behind the last one. The order of the checks matters."""
    roots = block_roots(stored.tiles, level)
    unknown = sum(known is None or not known.has(root) for root in roots) * block_size(level)
    if min(most, os.cpu_count() or 1) > 1 and unknown >= _WORTH_PROCESSES:
        _context()
        ensure_running()  # it loads what counts while the tail is counted here
    tail, leaves = count_tail(stored.tiles, level)
    if tree_of(roots, leaves, level).root() != stored.head.root:
        raise LogInconsistentError("the log's tiles do not hash to its signed checkpoint")
    before = ((number, known.get(root)) for number, root in enumerate(roots)) if known else ()
    found = {number: Counted(days) for number, days in before if days is not None}
    missing = [number for number in range(len(roots)) if number not in found]
    done = stored.head.size - len(missing) * block_size(level)
    progress(done, stored.head.size)
    for number, part, root in _counted(stored, missing, level, most):
        if root != roots[number]:
            raise LogInconsistentError(f"entries were changed behind position {number * block_size(level)}")
        if known and not part.pruned:
            known.put(root, part.days)
        found[number] = part
        done += block_size(level)
        progress(done, stored.head.size)
    return [*(found[number] for number in range(len(roots))), tail]


def _counted(stored: StoredLog, missing: Sequence[int], level: int, most: int) -> Iterator[tuple[int, Counted, bytes]]:
    """Figures of blocks and the roots of their entries, in any order; of many at once where there are processors."""
    todo = set(missing)
    on_disk = [number for number in missing if (number + 1) * block_size(level) <= stored.in_tiles]
    processes = min(most, os.cpu_count() or 1, len(on_disk))
    if processes > 1 and len(on_disk) * block_size(level) >= _WORTH_PROCESSES:
        with suppress(BrokenProcessPool):  # what is left is counted below
            for number, part, root in _side_by_side(stored, on_disk, level, processes):
                todo.discard(number)
                yield number, part, root
    for number in sorted(todo):
        yield number, *count_block(stored.tiles, number, level)


def _side_by_side(
    stored: StoredLog, numbers: Sequence[int], level: int, processes: int
) -> Iterator[tuple[int, Counted, bytes]]:
    where, count = (stored.tiles.directory, stored.in_tiles, stored.tiles.pruned), parts(level)
    with ProcessPoolExecutor(processes, _context()) as pool:
        begun = {
            pool.submit(count_stored_part, *where, part, level): part
            for number in numbers
            for part in range(number * count, (number + 1) * count)
        }
        found: dict[int, dict[int, tuple[Counted, bytes]]] = {number: {} for number in numbers}
        for done in as_completed(begun):
            number, part = divmod(begun.pop(done), count)  # else its figures would be held beside the whole's
            found[number][part] = done.result()
            if len(found[number]) == count:
                yield number, *join([one for _, one in sorted(found.pop(number).items())])


def _context() -> ForkServerContext:
    """A fork of a process with threads would be none to rely on."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([count_stored_part.__module__])
    return context
