"""Twenty kills of the writer and its callers under load; `make chaos` does two hundred."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
