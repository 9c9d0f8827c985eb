"""Those who come back at once share a commit; whoever comes alone, or with few, is not kept waiting for others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from appliance.audit.crowd import Crowd
from appliance.audit.log import TileLog
from appliance.audit.writer import GroupWriter

if TYPE_CHECKING:
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


async def test_every_one_of_a_crowd_is_answered_and_shares_few_commits(bench: Bench) -> None:
    writer = GroupWriter(TileLog(bench.directory, bench.origin, bench.keys))
    notes: set[str] = set()

    async def caller(number: int) -> None:
        for turn in range(5):
            notes.add((await writer.submit(bench.records(number * 100 + turn))).signed.note)

    await asyncio.gather(*map(caller, range(64)))
    await writer.close()
    assert bench.verify().size == 5 * 64
    assert len(notes) <= 5 * 64 / 32
