"""Entries that were logged over many months, and a log of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from appliance.audit import events
from appliance.audit.entry import encode_entry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.audit.bench import Bench

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(hours=2)
COUNT = 4096
"""At one entry in two hours: 341 days."""


def millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def record(number: int, at: datetime, prefix: str = "gateway/a") -> tuple[str, bytes]:
    name = f"{prefix}{number}"
    event = events.sign_in(subject=f"s{number % 7}", groups=("analysts",), at=at)
    return name, encode_entry(event, name)


def records(moments: Iterable[datetime], prefix: str = "gateway/a") -> list[tuple[str, bytes]]:
    return [record(number, at, prefix) for number, at in enumerate(moments)]


def steady(count: int = COUNT, start: datetime = START, step: timedelta = STEP) -> list[datetime]:
    return [start + step * number for number in range(count)]


def fill(bench: Bench, moments: Iterable[datetime]) -> None:
    """One batch, through the log itself."""
    bench.open().append(records(moments))
    bench.close()
