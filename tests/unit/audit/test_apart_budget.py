"""How much is kept apart is bounded, in bytes and in files; beyond it an entry loses its text and nothing else."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit import apart_budget, events
from appliance.audit.apart import items_of
from appliance.audit.apart_check import ApartCheck
from appliance.audit.entry import decode_entry
from appliance.audit.events_operation import install_step

if TYPE_CHECKING:
    from appliance.audit.log import TileLog
    from tests.audit.bench import Bench


def step(detail: str) -> dict[str, Any]:
    return install_step(step="start", detail=detail, actor="uid 0", success=False)


def keeps(log: TileLog, name: str, event: dict[str, Any], sender: int = 1) -> bool:
    """Log ``event``; whether its text was kept."""
    record = log.keep(name, event, sender)
    log.append([record])
    (item,) = items_of(decode_entry(record[1])[1])
    return item.file is not None


def test_who_sends_too_much_has_entries_and_no_more_texts_until_the_hour_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(apart_budget, "PERIOD_BYTES", 100_000)
    log = bench.open()
    monkeypatch.setattr(log._apart._budget, "_clock", lambda: now)
    long = step("x" * 60_000)
    assert [keeps(log, "a", long), keeps(log, "b", long), keeps(log, "c", long, sender=2)] == [True, False, True]
    before = bench.snapshot()
    of_somebody = events.refusal(request_id="r", reason_code="x", status=400, subject="ab" * 16, detail="x" * 60_000)
    log.keep("e", of_somebody, 1)
    assert bench.snapshot() == before  # not even a key: there are as many as somebody can name people
    now += apart_budget.PERIOD_SECONDS
    assert keeps(log, "d", long)


def test_a_sender_of_many_short_texts_has_as_few_files_as_one_of_long_ones(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inodes of a file system are counted: sixteen files, the key among them, and not a hundred."""
    monkeypatch.setattr(apart_budget, "PERIOD_BYTES", 16 * apart_budget.FILE_BYTES)
    log = bench.open()
    kept = [keeps(log, f"operator/{number}", step("x" * 1100 + str(number))) for number in range(100)]
    assert sum(kept) == 15
    files = [one for one in (bench.directory / "apart").rglob("*") if one.is_file()]
    assert len(files) == 16
    check = ApartCheck(bench.directory)
    log.settle()
    check.finish(bench.verify(visit=check.visit))
    assert check.texts == 15


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"f_bavail": 2 * 1000 - 1}, False),
        ({"f_favail": 2 * 100}, False),
        ({"f_favail": 2 * 100 + 2}, True),  # a text and its key
        ({"f_files": 0, "f_favail": 0}, True),  # a file system that makes inodes as it needs them
    ],
)
def test_a_disk_that_is_nearly_full_is_left_to_entries(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], *, kept: bool
) -> None:
    log = bench.open()
    found = {"f_frsize": 4096, "f_blocks": 100_000, "f_bavail": 50_000, "f_files": 10_000, "f_favail": 5000}
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**found | changes))
    assert keeps(log, "operator/a", step("x" * 6000)) is kept
