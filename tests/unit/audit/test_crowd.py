"""Those who come back at once share a commit; whoever comes alone, or with few, is not kept waiting for others."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from appliance.audit.crowd import Crowd
from appliance.audit.log import TileLog
from appliance.audit.writer import GroupWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.audit.committing import Receipt, Submission
    from appliance.errors import SovereignError
    from tests.audit.bench import Bench

pytestmark = pytest.mark.anyio


async def turns(waiting: asyncio.Task[None]) -> bool:
    """Whether the commit begins without anybody coming, and without time going by."""
    for _ in range(3):
        await asyncio.sleep(0)
    return waiting.done()


@pytest.mark.parametrize(("before", "now"), [(0, 1), (1, 1), (2, 15), (64, 15)])
async def test_a_few_callers_are_written_at_once(before: int, now: int) -> None:
    crowd = Crowd()
    crowd.arrive(before)
    crowd.taken(before)
    crowd.answered(before, seconds=3600)
    crowd.arrive(now)
    assert await turns(asyncio.create_task(crowd.gather()))


async def test_an_idle_writer_takes_a_crowd_at_once() -> None:
    crowd = Crowd()
    crowd.arrive(1000)
    assert await turns(asyncio.create_task(crowd.gather()))


async def test_a_commit_waits_for_the_half_that_was_just_answered_and_no_longer() -> None:
    crowd = Crowd()
    crowd.arrive(32)
    crowd.taken(32)
    crowd.arrive(32)
    crowd.answered(32, seconds=3600)
    waiting = asyncio.create_task(crowd.gather())
    assert not await turns(waiting)
    crowd.arrive(31)
    assert not await turns(waiting)
    crowd.arrive(1)
    assert await turns(waiting)


async def test_those_who_do_not_come_back_are_waited_for_a_part_of_a_commits_time() -> None:
    crowd = Crowd()
    crowd.arrive(64)
    crowd.taken(32)
    crowd.answered(32, seconds=0.001)
    await asyncio.wait_for(crowd.gather(), 10)


@pytest.mark.parametrize(("later", "waits"), [(0.0, True), (0.009, True), (0.011, False), (3600.0, False)])
async def test_a_crowd_that_was_answered_is_expected_for_ten_milliseconds_also_of_an_idle_writer(
    *, later: float, waits: bool
) -> None:
    """Whoever comes much later meets a writer that waits for nobody, however many there were once."""
    now = [1000.0]
    crowd = Crowd(lambda: now[0])
    crowd.arrive(64)
    crowd.taken(64)
    crowd.answered(64, seconds=3600)
    crowd.clear()
    now[0] += later
    crowd.arrive(32)
    waiting = asyncio.create_task(crowd.gather())
    assert await turns(waiting) != waits
    await waiting


class Held:
    """Takes the part of the disk: a commit lasts until it is let go, and is counted."""

    def __init__(self, writer: GroupWriter) -> None:
        self.commits: list[int] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self._inner = writer._commit
        writer._commit = self.commit  # the same, held

    def commit(self, submissions: Sequence[Submission]) -> list[Receipt | SovereignError]:
        self.commits.append(len(submissions))
        self.begun.release()
        self.go.acquire()
        return self._inner(submissions)


@pytest.mark.parametrize(("gathers", "least", "most"), [(True, 11, 12), (False, 20, 20)])
async def test_two_halves_of_a_crowd_become_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, gathers: bool, least: int, most: int
) -> None:
    """64 callers in two halves: each half is committed while the other waits. Gathered, they share commits."""
    monkeypatch.setattr("appliance.audit.crowd._SHARE", 1e6)  # whoever comes back at all is back by then
    monkeypatch.setattr("appliance.audit.crowd._MOST_SECONDS", 1.0)
    if not gathers:
        monkeypatch.setattr(Crowd, "gather", _at_once)
    writer = GroupWriter(TileLog(bench.directory, bench.origin, bench.keys))
    await writer.open()
    held = Held(writer)

    async def caller(number: int) -> None:
        for turn in range(10):
            await writer.submit(bench.records(number * 100 + turn))

    first = [asyncio.create_task(caller(number)) for number in range(32)]
    await asyncio.to_thread(held.begun.acquire)
    second = [asyncio.create_task(caller(number)) for number in range(32, 64)]
    await asyncio.sleep(0)  # they wait now, while the first half's batch is under way
    for _ in range(1000):
        held.go.release()
    await asyncio.gather(*first, *second)
    await writer.close()
    assert bench.verify().size == 10 * 64
    assert sum(held.commits) == 10 * 64
    assert least <= len(held.commits) <= most, held.commits


async def _at_once(_: Crowd) -> None:
    """A writer that waits for nobody."""
