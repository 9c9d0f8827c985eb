"""A disk that refuses at random, also while the log recovers: nothing that was acknowledged is lost or doubled."""

from __future__ import annotations

import errno
import os
import random
from typing import TYPE_CHECKING

import pytest

from appliance.audit.entry import decode_entry
from appliance.audit.errors import AuditUnavailableError, JournalFullError
from appliance.audit.journal import Journal
from appliance.audit.log import TileLog
from appliance.audit.segment import BLOCK

if TYPE_CHECKING:
    from appliance.audit.commit import Record
    from tests.audit.bench import Bench

_TRIES = 30


class Fault:
    """In the place of ``os.pwrite``: while ``armed`` one write in four ends early, or after it reached the disk."""

    def __init__(self, dice: random.Random) -> None:
        self._dice, self._whole = dice, os.pwrite
        self.armed = False
        self.met = 0

    def __call__(self, number: int, data: memoryview, at: int) -> int:
        if not self.armed or self._dice.random() > 1 / 3:
            return self._whole(number, data, at)
        self.met += 1
        reached = self._dice.choice([0, BLOCK, len(data) // BLOCK // 2 * BLOCK, len(data)])
        if reached:
            self._whole(number, data[:reached], at)
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def put(log: TileLog, records: list[Record]) -> dict[str, int]:
    """As the service does: what is there already is not entered again, and a full journal is emptied first."""
    known = {one: at for one, (at, _) in log.stored([entry_id for entry_id, _ in records]).items()}
    fresh = [one for one in records if one[0] not in known]
    if fresh:
        try:
            entered = log.enter(fresh)
        except JournalFullError:
            log.settle()
            entered = log.enter(fresh)
        known |= dict(zip((entry_id for entry_id, _ in fresh), entered, strict=True))
    return known


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_acknowledged_stays_where_it_was_however_often_the_disk_refuses(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    fault = Fault(dice)
    monkeypatch.setattr(os, "pwrite", fault)
    log = TileLog(bench.directory, bench.origin, bench.keys, journal=Journal(bench.directory, 32_768))
    bench.logs.append(log)
    acknowledged: dict[str, int] = {}
    for number in range(80):
        names = [f"e{number}-{one}" for one in range(dice.randint(1, 4))]
        records = [bench.record(name, pad="x" * dice.choice([0, 900, 4000])) for name in names]
        for left in reversed(range(_TRIES)):
            fault.armed = left > 0
            try:
                acknowledged |= put(log, records)
                break
            except AuditUnavailableError:
                assert left, "a disk that works again is written to"
    fault.armed = False
    bench.close()
    assert fault.met > 20
    found: dict[str, list[int]] = {}
    bench.verify(
        visit=lambda first, entries: [
            found.setdefault(decode_entry(entry)[0], []).append(first + at) for at, entry in enumerate(entries)
        ]
    )
    assert {name: found[name] for name in acknowledged} == {name: [at] for name, at in acknowledged.items()}
