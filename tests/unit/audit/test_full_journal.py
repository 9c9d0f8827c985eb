"""A full journal is emptied into tiles and gone on with; cut off anywhere in that, nothing acknowledged is lost."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from appliance.audit.entry import decode_entry
from appliance.audit.journal import Journal
from appliance.audit.log import TileLog
from appliance.audit.storage import DiskStorage
from appliance.audit.writer import GroupWriter
from tests.audit.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SEGMENT, MANY = 40_000, 12
pytestmark = pytest.mark.anyio


class CutDisk(DiskStorage):
    """Calls ``cut`` before and after everything that it writes or removes."""

    cut: Callable[[], None] = staticmethod(lambda: None)

    def write(self, files: Mapping[str, bytes]) -> None:
        self.cut()
        for path, data in files.items():
            super().write({path: data})
            self.cut()

    def replace(self, path: str, data: bytes) -> None:
        self.cut()
        super().replace(path, data)
        self.cut()

    def remove(self, path: str) -> None:
        super().remove(path)
        self.cut()


class CutJournal(Journal):
    """The same of the journal; a record is cut in its midst, too."""

    cut: Callable[[], None] = staticmethod(lambda: None)

    def write(self, record: bytes) -> None:
        self.cut()
        super().write(record)
        self.cut()

    def clear(self) -> None:
        super().clear()
        self.cut()


def _names(bench: Bench) -> list[str]:
    seen: list[str] = []
    bench.verify(visit=lambda _, entries: seen.extend(decode_entry(entry)[0] for entry in entries))
    return seen


async def test_wherever_it_is_cut_off_everything_acknowledged_is_there_once(bench: Bench, tmp_path: Path) -> None:
    storage, journal = CutDisk(bench.directory), CutJournal(bench.directory, SEGMENT)
    log = TileLog(bench.directory, bench.origin, bench.keys, storage=storage, journal=journal)
    writer = GroupWriter(log)
    writer._settler.plan = lambda: None  # type: ignore[method-assign]  # it would come in between, sometimes
    await writer.open()
    cuts: list[tuple[Bench, list[str]]] = []
    acknowledged: list[str] = []

    def cut() -> None:
        copy = tmp_path / f"cut-{len(cuts)}"
        shutil.copytree(bench.directory, copy)
        cuts.append((Bench(copy, bench.keys, bench.origin), list(acknowledged)))

    storage.cut = journal.cut = cut  # type: ignore[method-assign]  # from here on
    settled = []
    for number in range(MANY):
        receipt = await writer.submit(bench.records(number))
        assert receipt.positions == [number]
        acknowledged.append(f"e{number}")
        assert log.settled is not None
        settled.append(log.settled.head.size)
    assert len(set(settled)) > 1  # the journal was full, and emptied
    assert settled[-1] < MANY  # and what filled it lies in the journal again
    storage.cut = journal.cut = lambda: None  # type: ignore[method-assign]  # the rest is not looked at
    await writer.close()
    storage.close()
    assert len(cuts) > 2 * MANY
    for copy, known in cuts:
        copy.open().open()
        found = [name for name in _names(copy) if name.startswith("e")]
        assert found[: len(known)] == known
        assert len(found) <= len(known) + 1
        assert len(set(found)) == len(found)
        copy.close()
    assert _names(bench) == acknowledged
