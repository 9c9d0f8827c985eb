"""Group commit: those who wait together are written together, and nobody suffers from a neighbour's mistake."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from appliance.audit import writer as writer_module
from appliance.audit.committing import Receipt
from appliance.audit.errors import AuditUnavailableError, IdReusedError
from appliance.audit.log import TileLog
from appliance.audit.writer import GroupWriter
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.audit.committing import Submission
    from appliance.errors import SovereignError
    from tests.audit.bench import Bench

pytestmark = pytest.mark.anyio


def _writer(bench: Bench) -> GroupWriter:
    return GroupWriter(TileLog(bench.directory, bench.origin, bench.keys))


async def test_concurrent_submissions_share_commits(bench: Bench) -> None:
    writer = _writer(bench)
    receipts = await asyncio.gather(*(writer.submit(bench.records(n)) for n in range(200)))
    await writer.close()
    assert sorted(receipt.positions[0] for receipt in receipts) == list(range(200))
    assert len({receipt.signed.note for receipt in receipts}) < 20
    assert all(receipt.positions[0] < receipt.signed.head.size for receipt in receipts)
    assert bench.verify().size == 200


def _threads(writer: GroupWriter, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """In which thread each commit from here on is made."""
    found: list[int] = []
    commit = writer._commit

    def committing(batch: Sequence[Submission]) -> list[Receipt | SovereignError]:
        found.append(threading.get_ident())
        return commit(batch)

    monkeypatch.setattr(writer, "_commit", committing)
    return found


async def test_who_comes_alone_is_committed_where_they_were_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, here = _writer(bench), threading.get_ident()
    threads = _threads(writer, monkeypatch)
    await writer.submit(bench.records(0))  # the log is opened with it
    await writer.submit(bench.records(1))
    await writer.submit(bench.records(2, 3))
    await asyncio.gather(*(writer.submit(bench.records(n)) for n in (4, 5)))
    await writer.submit(bench.records(6))  # one of many who came late: others are expected
    await writer.submit(bench.records(7))
    assert [thread == here for thread in threads] == [False, True, False, False, False, True]
    monkeypatch.setattr(writer_module, "_NEARLY_FULL", 0.0)
    await writer.submit(bench.records(8))
    assert threads[-1] != here
    await writer.close()
    assert bench.verify().size == 9


async def test_one_of_many_who_wait_is_not_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = _writer(bench)
    await writer.submit(bench.records(0))
    threads = _threads(writer, monkeypatch)
    monkeypatch.setattr(writer_module, "MAX_COMMIT_ENTRIES", 1)
    await asyncio.gather(*(writer.submit(bench.records(n)) for n in (1, 2)))
    assert [thread == threading.get_ident() for thread in threads] == [False, True]
    await writer.close()


async def test_a_lone_entry_that_fails_leaves_the_log_to_the_next_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = _writer(bench)
    await writer.submit(bench.records(0))
    threads = _threads(writer, monkeypatch)

    def fail(_: bytes) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(writer._log._journal, "write", fail)
        with pytest.raises(AuditUnavailableError):
            await writer.submit(bench.records(1))
    assert threads == [threading.get_ident()]
    assert not writer._owned.locked(), "nobody could write any more"
    (place,) = (await writer.submit(bench.records(1))).positions
    assert (await writer.submit(bench.records(1))).positions == [place]
    await writer.close()
    assert bench.verify().size == place + 1


async def test_who_comes_alone_waits_for_whoever_has_the_log(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, begun, go = _writer(bench), threading.Event(), threading.Event()
    await writer.submit(bench.records(0))
    threads = _threads(writer, monkeypatch)

    def busy() -> bool:
        begun.set()
        return go.wait(60)

    other = asyncio.create_task(writer._in_thread(busy))
    assert await asyncio.to_thread(begun.wait, 60)
    alone = asyncio.create_task(writer.submit(bench.records(1)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not threads, "the log was changed under somebody's hands"
    go.set()
    assert (await alone).positions == [1]
    assert await other
    assert threads != [threading.get_ident()]
    await writer.close()


async def test_an_id_submitted_twice_at_once_is_logged_once(bench: Bench) -> None:
    writer = _writer(bench)
    receipts = await asyncio.gather(*(writer.submit(bench.records(0, n % 3)) for n in range(30)))
    await writer.close()
    assert len({receipt.positions[0] for receipt in receipts}) == 1
    assert bench.verify().size == 3


async def test_a_refused_submission_leaves_its_neighbours_and_no_trace(bench: Bench) -> None:
    writer = _writer(bench)
    await writer.submit(bench.records(0))
    good, bad, also_good = await asyncio.gather(
        writer.submit(bench.records(1)),
        writer.submit([*bench.records(2), bench.record("e0", severity_id=3)]),
        writer.submit(bench.records(3)),
        return_exceptions=True,
    )
    await writer.close()
    assert isinstance(good, Receipt)
    assert isinstance(also_good, Receipt)
    assert isinstance(bad, IdReusedError)
    assert bench.verify().size == 3


async def test_two_meanings_of_one_id_in_one_commit_are_refused(bench: Bench) -> None:
    writer = _writer(bench)
    with pytest.raises(IdReusedError):
        await writer.submit([bench.record("x"), bench.record("x", severity_id=3)])
    first, second = await asyncio.gather(
        writer.submit([bench.record("y")]), writer.submit([bench.record("y", severity_id=3)]), return_exceptions=True
    )
    await writer.close()
    assert isinstance(first, Receipt)
    assert isinstance(second, IdReusedError)


async def test_a_caller_that_goes_away_does_not_stop_the_writer(bench: Bench) -> None:
    writer = _writer(bench)
    gone = asyncio.create_task(writer.submit(bench.records(0)))
    stays = asyncio.create_task(writer.submit(bench.records(1)))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await stays).positions[0] in {0, 1}
    await writer.close()


async def test_too_much_waiting_is_refused_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "MAX_WAITING_BYTES", 2000)
    writer = _writer(bench)
    outcomes = await asyncio.gather(*(writer.submit(bench.records(n)) for n in range(10)), return_exceptions=True)
    await writer.close()
    refused = [one for one in outcomes if isinstance(one, AuditUnavailableError)]
    assert refused
    assert bench.verify().size == 10 - len(refused)


async def test_a_commit_takes_no_more_than_its_bound(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "MAX_COMMIT_ENTRIES", 5)
    writer = _writer(bench)
    receipts = await asyncio.gather(*(writer.submit(bench.records(n)) for n in range(20)))
    await writer.close()
    assert len({receipt.signed.head.size for receipt in receipts}) >= 4


async def test_a_log_that_is_inconsistent_takes_nothing_in(bench: Bench) -> None:
    bench.fill(300)
    (bench.directory / "tile/1/000.p/1").write_bytes(bytes(32))
    writer = _writer(bench)
    with pytest.raises(LogInconsistentError):
        await writer.submit(bench.records(300))
    assert isinstance(writer.failure, LogInconsistentError)
    with pytest.raises(LogInconsistentError):
        await writer.open()
    await writer.close()


async def test_nobody_waits_for_ever_after_a_defect(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = _writer(bench)

    def broken(_: object) -> list[Receipt]:
        raise ZeroDivisionError

    monkeypatch.setattr(writer, "_commit", broken)
    waiting = asyncio.create_task(writer.submit(bench.records(0)))
    await asyncio.sleep(0)
    drain = writer._running
    assert drain is not None
    with pytest.raises(AuditUnavailableError, match="stopped"):
        await waiting
    with pytest.raises(ZeroDivisionError):
        await drain
    monkeypatch.undo()
    assert (await writer.submit(bench.records(0))).positions == [0]
    await writer.close()
