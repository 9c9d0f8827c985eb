"""Keycloak's events come into the log once each: whatever stops, is lost, comes late or all at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from appliance.audit.errors import AuditUnavailableError, IdReusedError
from appliance.errors import UnavailableError
from appliance.gateway.event_cursor import CursorStore
from appliance.gateway.identity_events import KEPT_MS, OVERLAP_MS, IdentityEvents
from appliance.gateway.metrics import Metrics
from tests.gateway.doubles import MemoryLog

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

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

    def add(self, name: str, at: int) -> None:
        self.events.append({"id": name, "time": at, "type": "LOGIN", "userId": "u" * 36})

    async def pages(self, kind: str, since: int) -> AsyncGenerator[list[dict[str, Any]], None]:
        self.asked.append(since)
        found = sorted((e for e in self.events if e["time"] >= since), key=lambda e: int(e["time"]))
        for number, first in enumerate(range(0, len(found) if kind == "events" else 0, 200)):
            if number == self.fails_after:
                raise UnavailableError("keycloak does not answer")
            yield found[first : first + 200]


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

    def gateway(self) -> IdentityEvents:
        """One that was just started."""
        return IdentityEvents(
            source=self.source,
            audit=self.log,
            cursors=CursorStore(self.pool),
            metrics=Metrics(),
            key=b"p" * 32,
            now=self.clock,
        )

    def names(self) -> list[str]:
        return [one.removeprefix("identity/event/") for one, _ in self.log.entries if one.startswith("identity/event/")]

    def readings(self) -> list[dict[str, Any]]:
        return [e["unmapped"]["sovereign"] for e in self.log.of_kind("identity_reading")]


@pytest.fixture
def reading(pool: AsyncEngine) -> Reading:
    return Reading(pool)


async def test_the_first_reading_says_that_it_begins_and_takes_all_there_is(reading: Reading) -> None:
    reading.source.add("old", NOW - 80 * DAY)
    reading.source.add("new", NOW - 1)
    assert await reading.gateway().read() == 2
    assert reading.names() == ["old", "new"]
    assert reading.readings() == [{"kind": "identity_reading", "kept_since": NOW - KEPT_MS, "gap": False}]


async def test_a_restarted_gateway_goes_on_where_the_last_one_had_come_to(reading: Reading) -> None:
    reading.source.add("a", NOW - 1000)
    await reading.gateway().read()
    reading.source.add("b", NOW - 500)
    await reading.gateway().read()
    assert reading.names() == ["a", "b"]
    assert reading.source.asked[-1] == NOW - 1000 - OVERLAP_MS
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
    assert len(reading.names()) == 400
    reading.source.fails_after = None
    await reading.gateway().read()
    assert Counter(reading.names()) == Counter(f"e{number}" for number in range(1000))


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
    assert [one for one, _ in reading.log.entries[len(before) :]] == [f"identity/reading/{NOW + 1000}"]


async def test_an_outage_longer_than_keycloak_keeps_events_is_an_entry_of_its_own(reading: Reading) -> None:
    await reading.gateway().read()
    reading.clock.ms += KEPT_MS + 1
    await reading.gateway().read()
    gap = reading.log.of_kind("identity_reading")[-1]
    assert gap["unmapped"]["sovereign"] == {
        "kind": "identity_reading",
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
    async with CursorStore(reading.pool).turn() as held:
        assert held is not None
        assert await reading.gateway().read() == 0
    assert reading.names() == []
    assert await reading.gateway().read() == 1


async def test_what_another_release_told_otherwise_is_in_the_log_already(reading: Reading) -> None:
    class Remembering(MemoryLog):
        async def append(self, event: dict[str, Any], *, id: str) -> Any:  # noqa: A002 - the protocol's name
            if id == "identity/event/known":
                raise IdReusedError("already used by a different entry")
            return await super().append(event, id=id)

    reading.log = Remembering()
    reading.source.add("known", NOW - 2)
    reading.source.add("new", NOW - 1)
    await reading.gateway().read()
    assert reading.names() == ["new"]
