"""Keycloak's events come into the log once each: whatever stops, is lost, comes late or all at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from appliance.audit.errors import AuditUnavailableError, IdReusedError
from appliance.audit.ocsf import FAILURE
from appliance.errors import UnavailableError
from appliance.gateway.event_cursor import Cursor, CursorStore
from appliance.gateway.identity_events import KEPT_MS, OVERLAP_MS, PAGE, IdentityEvents
from appliance.gateway.metrics import Metrics
from appliance.gateway.rate_bound import BURST
from tests.gateway.doubles import MemoryLog

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from sqlalchemy.ext.asyncio import AsyncEngine

pytestmark = pytest.mark.anyio
NOW = 1_795_348_800_000
DAY = 86_400_000


@dataclass
class Recorded:
    """A Keycloak that keeps what it is given for 90 days. ``fails_after`` pages it is gone."""

    events: list[dict[str, Any]] = field(default_factory=list)
    fails_after: int | None = None
    asked: list[int] = field(default_factory=list)

    def add(self, name: str, at: int, error: str | None = None, user: str = "u" * 36) -> None:
        self.events.append({"id": name, "time": at, "type": "LOGIN", "userId": user, "error": error})

    async def page(self, kind: str, since: int, most: int) -> list[dict[str, Any]]:
        if self.fails_after is not None and len(self.asked) >= self.fails_after:
            raise UnavailableError("keycloak does not answer")
        if kind != "events":
            return []
        self.asked.append(since)
        found = sorted((e for e in self.events if e["time"] >= since), key=lambda e: int(e["time"]))
        return found[:most]


@dataclass
class Clock:
    ms: int = NOW

    def __call__(self) -> float:
        return self.ms / 1000


@dataclass
class Reading:
    pool: AsyncEngine
    source: Recorded = field(default_factory=Recorded)
    log: MemoryLog = field(default_factory=MemoryLog)
    clock: Clock = field(default_factory=Clock)

    def gateway(self, cursors: CursorStore | None = None) -> IdentityEvents:
        """One that was just started."""
        return IdentityEvents(
            source=self.source,
            audit=self.log,
            cursors=cursors or CursorStore(self.pool),
            metrics=Metrics(),
            key=b"p" * 32,
            now=self.clock,
        )

    def names(self) -> list[str]:
        return [one.removeprefix("identity/event/") for one, _ in self.log.entries if one.startswith("identity/event/")]

    def readings(self) -> list[dict[str, Any]]:
        """What was told of beginnings, of the events that people cause."""
        told = [e["unmapped"]["sovereign"] for e in self.log.of_kind("identity_reading")]
        return [one for one in told if one["events"] == "events"]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for is a figure of the code under test
            await asyncio.sleep(0.001)


@pytest.fixture
def reading(pool: AsyncEngine) -> Reading:
    return Reading(pool)


async def test_the_first_reading_says_that_it_begins_and_takes_all_there_is(reading: Reading) -> None:
    reading.source.add("old", NOW - 80 * DAY)
    reading.source.add("new", NOW - 1)
    assert await reading.gateway().read() == 2
    assert reading.names() == ["old", "new"]
    assert reading.readings() == [
        {"kind": "identity_reading", "events": "events", "kept_since": NOW - KEPT_MS, "gap": False}
    ]


async def test_a_restarted_gateway_goes_on_where_the_last_one_had_come_to(reading: Reading) -> None:
    reading.source.add("a", NOW - 1000)
    await reading.gateway().read()
    reading.source.add("b", NOW - 500)
    await reading.gateway().read()
    assert reading.names() == ["a", "b"]
    assert reading.source.asked == [NOW - KEPT_MS, NOW - 1000 - OVERLAP_MS]
    assert len(reading.readings()) == 1


async def test_events_of_one_millisecond_and_late_ones_are_not_missed(reading: Reading) -> None:
    gateway = reading.gateway()
    reading.source.add("first", NOW - 10)
    await gateway.read()
    reading.source.add("same-moment", NOW - 10)
    reading.source.add("written-late", NOW - OVERLAP_MS)
    assert await gateway.read() == 2
    assert await gateway.read() == 0
    assert Counter(reading.names()) == Counter(["first", "same-moment", "written-late"])


async def test_a_thousand_at_once_come_in_once_each_although_keycloak_goes_away_in_between(reading: Reading) -> None:
    for number in range(1000):
        reading.source.add(f"e{number}", NOW - 7)
    reading.source.fails_after = 2
    with pytest.raises(UnavailableError):
        await reading.gateway().read()
    assert 0 < len(reading.names()) < 1000
    reading.source.fails_after = None
    await reading.gateway().read()
    assert Counter(reading.names()) == Counter(f"e{number}" for number in range(1000))


async def test_a_backlog_is_kept_page_by_page_and_goes_on_where_it_broke_off(reading: Reading) -> None:
    for number in range(1000):
        reading.source.add(f"e{number}", NOW - 1_000_000_000 + number * 60_000)
    reading.source.fails_after = 3
    with pytest.raises(UnavailableError):
        await reading.gateway().read()
    assert len(reading.names()) == 3 * PAGE - 2  # a page begins with the last event of the one before
    reading.source.fails_after = None
    reading.source.asked.clear()
    await reading.gateway().read()
    assert reading.source.asked[0] == NOW - 1_000_000_000 + (3 * PAGE - 3) * 60_000 - OVERLAP_MS
    assert reading.names() == [f"e{number}" for number in range(1000)]


async def test_no_turn_is_longer_than_a_page(reading: Reading) -> None:
    """Another gateway may go on with a backlog, and no transaction of the database stays open for all of it."""
    turns: list[int] = []

    class Counted(CursorStore):
        @asynccontextmanager
        async def turn(self, kind: str, now: int) -> AsyncGenerator[Cursor | None, None]:
            before = len(reading.source.asked)
            async with super().turn(kind, now) as cursor:
                yield cursor
            turns.append(len(reading.source.asked) - before)

    for number in range(1000):
        reading.source.add(f"e{number}", NOW - 1_000_000_000 + number)
    await reading.gateway(Counted(reading.pool)).read()
    assert len(turns) >= 5
    assert max(turns) == 1
    assert len(reading.names()) == 1000


async def test_a_keycloak_that_cannot_be_read_leaves_one_entry_however_often_it_is_tried(reading: Reading) -> None:
    reading.source.fails_after = 0
    gateway = reading.gateway()
    following = asyncio.create_task(gateway.follow(every=0.001))
    failures = gateway._metrics.upkeep_failures.labels("identity_events")
    await until(lambda: failures._value.get() >= 5)
    assert reading.log.entries == []
    reading.log.refuse_kinds = frozenset({"identity_sign_in"})  # the beginning is told, and then it breaks off
    reading.source.add("a", NOW - 1)
    reading.source.fails_after = None
    for goal in range(6, 11):
        reading.clock.ms += 1000
        await until(lambda goal=goal: failures._value.get() >= goal)  # type: ignore[misc]  # a loop's value, bound
    assert len(reading.readings()) == 1
    reading.log.refuse_kinds = frozenset()
    await until(lambda: bool(reading.names()))
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)  # its connection goes back first
    assert len(reading.readings()) == 1


async def test_a_defect_in_the_reading_is_counted_and_ends_nothing(reading: Reading) -> None:
    class Broken(Recorded):
        async def page(self, kind: str, since: int, most: int) -> list[dict[str, Any]]:
            if self.fails_after:
                self.fails_after -= 1
                raise ZeroDivisionError
            self.fails_after = None
            return await super().page(kind, since, most)

    reading.source = Broken(fails_after=3)
    reading.source.add("a", NOW - 1)
    gateway = reading.gateway()
    following = asyncio.create_task(gateway.follow(every=0.001))
    await until(lambda: bool(reading.names()) or following.done())
    assert not following.done()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)  # its connection goes back first
    assert gateway._metrics.upkeep_failures.labels("identity_events")._value.get() == 3


def failed(reading: Reading) -> list[tuple[str, int]]:
    """Ids of failed sign-ins, and how many like each were left out before it."""
    return [
        (one.removeprefix("identity/event/"), event["unmapped"]["sovereign"].get("left_out", 0))
        for one, event in reading.log.entries
        if event["unmapped"]["sovereign"]["kind"] == "identity_sign_in" and event["status_id"] == FAILURE
    ]


async def test_a_flood_of_failures_leaves_few_entries_that_say_how_many_there_were(reading: Reading) -> None:
    for number in range(500):
        reading.source.add(f"f{number:03d}", NOW - 120_000 + number, "invalid_user_credentials")
    reading.source.add("other-person", NOW - 119_000, "invalid_user_credentials", "v" * 36)
    reading.source.add("right", NOW - 118_000)
    reading.source.add("later", NOW - 60_000, "invalid_user_credentials")
    gateway = reading.gateway()
    for _ in range(3):  # a minute is read again and again; nothing is counted twice
        await gateway.read()
    assert failed(reading) == [*((f"f{n:03d}", 0) for n in range(BURST)), ("other-person", 0), ("later", 500 - BURST)]
    assert "right" in reading.names()


async def test_what_is_tried_again_is_not_left_out_for_that(reading: Reading) -> None:
    for number in range(BURST):
        reading.source.add(f"f{number}", NOW - 10, "invalid_user_credentials")
    gateway = reading.gateway()
    reading.log.refuse_kinds = frozenset({"identity_sign_in"})
    for _ in range(3):
        with pytest.raises(AuditUnavailableError):
            await gateway.read()
    reading.log.refuse_kinds = frozenset()
    assert await gateway.read() == BURST
    assert failed(reading) == [(f"f{number}", 0) for number in range(BURST)]


async def test_the_cursor_stays_when_the_log_is_down(reading: Reading) -> None:
    await reading.gateway().read()
    reading.source.add("a", NOW - 5 * OVERLAP_MS)
    reading.log.up = False
    gateway = reading.gateway()
    with pytest.raises(AuditUnavailableError):
        await gateway.read()
    reading.log.up = True
    await gateway.read()
    assert reading.names() == ["a"]


async def test_a_lost_cursor_reads_everything_again_and_logs_nothing_twice(reading: Reading) -> None:
    for number in range(30):
        reading.source.add(f"e{number}", NOW - number * DAY)
    await reading.gateway().read()
    before = list(reading.log.entries)
    async with reading.pool.begin() as connection:
        await connection.execute(text("TRUNCATE event_cursor"))
    reading.clock.ms += 1000
    await reading.gateway().read()
    assert reading.log.entries[: len(before)] == before
    assert [one for one, _ in reading.log.entries[len(before) :]] == [
        f"identity/reading/{kind}/begun-{NOW + 1000}" for kind in ("events", "admin-events")
    ]


async def test_an_outage_longer_than_keycloak_keeps_events_is_an_entry_of_its_own(reading: Reading) -> None:
    await reading.gateway().read()
    reading.clock.ms += KEPT_MS + 1
    await reading.gateway().read()
    gap = reading.log.of_kind("identity_reading")[-1]
    assert reading.readings()[-1] == {
        "kind": "identity_reading",
        "events": "events",
        "since": NOW,
        "kept_since": NOW + 1,
        "gap": True,
    }
    assert gap["status_id"] == 2


async def test_a_quiet_site_has_no_gap(reading: Reading) -> None:
    for _ in range(4):
        await reading.gateway().read()
        reading.clock.ms += 40 * DAY
    assert len(reading.readings()) == 1


async def test_one_gateway_reads_at_a_time(reading: Reading) -> None:
    reading.source.add("a", NOW)
    async with CursorStore(reading.pool).turn("events", NOW) as held:
        assert held is not None
        assert await reading.gateway().read() == 0
    assert reading.names() == []
    assert await reading.gateway().read() == 1


async def test_what_another_release_told_otherwise_is_in_the_log_already(reading: Reading) -> None:
    class Remembering(MemoryLog):
        async def append(self, event: dict[str, Any], *, id: str, proven: bool = False) -> Any:  # noqa: A002 - the protocol's name
            if id == "identity/event/known":
                raise IdReusedError("already used by a different entry")
            return await super().append(event, id=id, proven=proven)

    reading.log = Remembering()
    reading.source.add("known", NOW - 2)
    reading.source.add("new", NOW - 1)
    await reading.gateway().read()
    assert reading.names() == ["new"]
