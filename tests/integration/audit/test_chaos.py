"""Twenty kills of the writer and its callers under load; `make chaos` does two hundred."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.audit.chaos import reconcile, storm

if TYPE_CHECKING:
    from pathlib import Path

    from tests.audit.bench import Bench

KILLS = 20


def test_what_a_caller_was_told_is_so_however_often_writer_and_callers_are_killed(bench: Bench, tmp_path: Path) -> None:
    counts = storm(bench, tmp_path, KILLS, seed=7, tell=lambda _: None)
    found = reconcile(bench, tmp_path)
    assert sum(counts.values()) == KILLS
    assert min(counts.values()) > 0
    assert found.held > KILLS
    assert found.entries >= found.held


def test_the_reconciliation_sees_an_acknowledged_entry_that_is_gone(bench: Bench, tmp_path: Path) -> None:
    bench.fill(3)
    (tmp_path / "diary-0").write_text('["sent", "e0"]\n["sent", "e1"]\n["sent", "e2"]\n["held", "e1", 1, 3]\n')
    assert reconcile(bench, tmp_path).held == 1
    for line, said in (('["held", "e9", 1, 3]', "found at another"), ('["held", "e1", 2, 3]', "found at another")):
        (tmp_path / "diary-1").write_text(line + "\n")
        with pytest.raises(AssertionError, match=said):
            reconcile(bench, tmp_path)
    (tmp_path / "diary-1").unlink()
    (tmp_path / "diary-0").write_text('["sent", "e0"]\n["sent", "e1"]\n')
    with pytest.raises(AssertionError):  # e2 lies there, and nobody sent it
        reconcile(bench, tmp_path)
