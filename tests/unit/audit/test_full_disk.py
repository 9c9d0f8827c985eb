"""A disk that fills up: nothing acknowledged is lost, nothing half-written is believed, and the writer recovers."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from appliance.audit.checkpoint import open_checkpoint
from appliance.audit.errors import AuditUnavailableError, LogFullError
from tests.audit.filling_storage import FillingStorage
from tests.audit.logged import find

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.audit.bench import Bench


@pytest.fixture
def storage(bench: Bench) -> Iterator[FillingStorage]:
    made = FillingStorage(bench.directory)
    yield made
    made.disk.close()


def test_a_full_disk_refuses_and_recovers_when_space_is_back(bench: Bench, storage: FillingStorage) -> None:
    log = bench.open(storage)
    log.append(bench.records(0, 1))
    before = bench.snapshot()
    for room in (0, 10, 900, 2000):
        storage.room = room
        with pytest.raises(LogFullError, match="disk is full"):
            log.append(bench.records(2, 3))
        assert bench.snapshot() == before
        assert bench.verify().size == 2
    storage.room = None
    assert log.append(bench.records(2, 3)) == [2, 3]
    assert bench.verify().size == 4


def test_a_signed_tree_that_could_not_be_published_is_continued_not_forked(
    bench: Bench, storage: FillingStorage
) -> None:
    log = bench.open(storage)
    log.append(bench.records(0, 1))
    storage.checkpoint_error = errno.ENOSPC
    with pytest.raises(LogFullError):
        log.append(bench.records(2))
    with pytest.raises(LogFullError):
        log.append(bench.records(3))
    assert bench.verify().size == 2
    storage.checkpoint_error = None
    assert find(log, bench.records(2)) == {"e2": 2}  # replayed before anything else
    assert log.append(bench.records(3)) == [4]  # after the entry that reports the recovery
    assert bench.verify().size == 5


def test_an_input_output_error_is_no_full_disk_but_is_refused_all_the_same(
    bench: Bench, storage: FillingStorage
) -> None:
    log = bench.open(storage)
    storage.checkpoint_error = None
    log.append(bench.records(0))
    storage.checkpoint_error = errno.EIO
    with pytest.raises(AuditUnavailableError) as caught:
        log.append(bench.records(1))
    assert not isinstance(caught.value, LogFullError)


def test_leftovers_that_cannot_be_removed_are_sorted_out_from_disk(bench: Bench, storage: FillingStorage) -> None:
    log = bench.open(storage)
    log.append(bench.records(0))
    storage.room, storage.removal_fails = 700, True
    with pytest.raises(LogFullError):
        log.append(bench.records(1, 2))
    storage.room, storage.removal_fails = None, False
    log.append(bench.records(3))
    bench.verify()
    assert set(find(log, bench.records(0, 3))) == {"e0", "e3"}


def test_a_disk_full_from_the_start_is_survived(bench: Bench, storage: FillingStorage) -> None:
    storage.checkpoint_error = errno.ENOSPC
    log = bench.open(storage)
    with pytest.raises(LogFullError):
        log.open()
    storage.checkpoint_error = None
    assert log.append(bench.records(0)) == [0]


def test_what_was_acknowledged_survives_any_sequence_of_failures(bench: Bench, storage: FillingStorage) -> None:
    log = bench.open(storage)
    acknowledged: dict[str, int] = {}
    for step in range(40):
        storage.room = None if step % 3 else 300 * step
        storage.checkpoint_error = errno.ENOSPC if step % 5 == 4 else None
        records = bench.records(*range(step * 3, step * 3 + 3))
        try:
            positions = log.append(records)
        except LogFullError:
            continue
        acknowledged |= dict(zip((name for name, _ in records), positions, strict=True))
        assert log.signed is not None
        assert open_checkpoint((bench.directory / "checkpoint").read_bytes(), bench.vkeys) == log.signed.head
    storage.room = storage.checkpoint_error = None
    log.open()
    bench.verify()
    assert {name: find(log, [bench.record(name)])[name] for name in acknowledged} == acknowledged
