"""A later state of a log says whom it tells were erased behind the earlier head, and no others; from both layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.audit.errors import LaterLogError
from appliance.audit.later import read_later
from appliance.audit.pruning import find_prunable, prune_record
from tests.audit.aged import fill, steady
from tests.audit.later import erasure, exported, grow, head_of, kept_copy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.audit.bench import Bench

SIZES = [(0, 3), (1, 0), (5, 9), (255, 1), (256, 0), (256, 300), (300, 0), (300, 500), (512, 256)]


@pytest.mark.parametrize(("begin", "more"), SIZES)
def test_a_copy_tells_of_erasures_behind_the_earlier_head(bench: Bench, tmp_path: Path, begin: int, more: int) -> None:
    before = grow(bench, begin, "erased-one", "erased-two", more=more)
    found = read_later(kept_copy(bench, tmp_path / "copy"), vkeys=bench.vkeys, before=before)
    assert found.erased == {"erased-one", "erased-two"}
    assert (found.since, found.head) == (begin, head_of(bench))
    assert str(found) == f"entries {begin} to {begin + more + 1} under root {found.root}, erased there: 2"


@pytest.mark.parametrize(("begin", "more"), SIZES)
@pytest.mark.parametrize("from_start", [True, False])
def test_so_does_an_export_that_reaches_from_there_to_the_last_entry(
    bench: Bench, tmp_path: Path, begin: int, more: int, *, from_start: bool
) -> None:
    before = grow(bench, begin, "erased-one", more=more)
    for first in {0} if from_start else {begin, begin // 2}:
        found = read_later(exported(bench, tmp_path / f"{first}", first), vkeys=bench.vkeys, before=before)
        assert (found.erased, found.head) == ({"erased-one"}, head_of(bench))


def test_who_was_erased_before_the_earlier_head_is_not_among_them(bench: Bench, tmp_path: Path) -> None:
    log = bench.open()
    log.append([*bench.records(*range(299)), erasure("erased-before")])
    before = log.open().head
    log.append([erasure("erased-one")])
    bench.close()
    for folder in (bench.directory, exported(bench, tmp_path / "out", 200)):
        assert read_later(folder, vkeys=bench.vkeys, before=before).erased == {"erased-one"}


def test_the_very_same_state_tells_of_nobody(bench: Bench, tmp_path: Path) -> None:
    before = grow(bench, 300)
    for folder in (bench.directory, exported(bench, tmp_path / "out", 17)):
        found = read_later(folder, vkeys=bench.vkeys, before=before)
        assert (found.erased, str(found).split(" under")[0]) == (frozenset(), "no further entries")


def test_what_lies_in_the_journal_only_counts(bench: Bench) -> None:
    log = bench.open()
    log.append(bench.records(*range(300)))
    before = log.open().head
    log.enter([erasure("erased-one")])
    assert read_later(bench.directory, vkeys=bench.vkeys, before=before).erased == {"erased-one"}


def test_progress_is_told_to_its_end(bench: Bench, tmp_path: Path) -> None:
    before = grow(bench, 300, more=300)
    for folder in (bench.directory, exported(bench, tmp_path / "out", 17)):
        told: list[tuple[int, int]] = []
        read_later(folder, vkeys=bench.vkeys, before=before, progress=lambda *one, told=told: told.append(one))  # type: ignore[misc]
        assert told[-1][0] == told[-1][1] > 0


def test_a_later_log_may_be_pruned_as_far_as_the_earlier_head_and_no_further(bench: Bench) -> None:
    """Whom a pruned entry named is not known: where all such entries were in the backup, nothing is missing."""
    fill(bench, steady())
    whole = head_of(bench)
    stored, old = find_prunable(bench.directory, vkeys=bench.vkeys, days=184)
    within = stored.tiles
    log = bench.open()
    (index,) = log.append([prune_record(stored, old, old.end, days=184, actor="uid 0")])
    log.append([erasure("erased-one")])
    log.prune(old.end, index)
    bench.close()
    assert read_later(bench.directory, vkeys=bench.vkeys, before=whole).erased == {"erased-one"}
    earlier = type(whole)(whole.origin, 256, within.range_root(0, 256))
    with pytest.raises(LaterLogError, match=f"its entries before {old.end} were pruned, and the backup ends with 256"):
        read_later(bench.directory, vkeys=bench.vkeys, before=earlier)
