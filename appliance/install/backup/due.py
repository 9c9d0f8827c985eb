"""When backups are due by site.yaml: the timer's own lines, and the moments before and after a given one. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

    from appliance.site.backups import Backups

_DAY = timedelta(days=1)


def times(plan: Backups) -> tuple[time, ...]:
    """The times of the host's day, in their order."""
    first = time.fromisoformat(plan.at)
    hours = sorted((first.hour + later) % 24 for later in range(0, 24, plan.every_hours))
    return tuple(first.replace(hour=hour) for hour in hours)


def calendar(plan: Backups) -> tuple[str, ...]:
    """The same as systemd.timer(5) has it: several lines mean each of them."""
    return tuple(f"OnCalendar=*-*-* {one:%H:%M}:00" for one in times(plan))


def around(plan: Backups, now: datetime, zone: tzinfo | None = None) -> tuple[datetime, datetime]:
    """The last moment at or before ``now`` and the first after it, in UTC; ``zone`` None: the host's own."""
    today = now.astimezone(zone).date()
    days = (today - _DAY, today, today + _DAY)
    moments = sorted(datetime.combine(day, one, tzinfo=zone).astimezone(UTC) for day in days for one in times(plan))
    return max(one for one in moments if one <= now), min(one for one in moments if one > now)


def next_due(plan: Backups | None, now: datetime, zone: tzinfo | None = None, *, timed: bool) -> str | None:
    """When the next one is due (ISO 8601, UTC); None where none is declared, or nothing runs it (``timed``)."""
    return around(plan, now, zone)[1].isoformat() if plan is not None and timed else None
