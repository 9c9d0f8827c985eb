"""How figures are written for people: thousands, energy, tokens; and days gathered so that a plot stays readable."""

from __future__ import annotations

from datetime import date, timedelta

_WH = 3600.0
_MAX_DAYS = 92
_MAX_WEEKS = 104
_LEAST = 0.1
"""Per cent, as small as shares are told apart."""
_THIN = "\N{NARROW NO-BREAK SPACE}"


def number(value: float) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{round(value):,}".replace(",", _THIN)


def short(value: float) -> str:
    """A number for an axis: 1.2 k, 3.4 M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{_THIN}{unit}"
    return f"{value:.3g}"


def share(part: float) -> str:
    """A part of one in per cent; what there is a little of is never shown as nothing, nor as all."""
    percent = 100 * part
    if 0 < percent < _LEAST:
        return f"<{_LEAST}{_THIN}%"
    if 100 - _LEAST < percent < 100:  # noqa: PLR2004 - per cent
        return f">{100 - _LEAST}{_THIN}%"
    return f"{percent:.1f}{_THIN}%"


def energy(joules: float) -> str:
    """Joules as J, Wh or kWh."""
    if joules < _WH:
        return f"{joules:.3g}{_THIN}J" if joules < 1000 else f"{number(joules)}{_THIN}J"  # noqa: PLR2004 - digits
    watt_hours = joules / _WH
    return f"{watt_hours:.3g}{_THIN}Wh" if watt_hours < 1000 else f"{watt_hours / 1000:.3g}{_THIN}kWh"  # noqa: PLR2004 - kilo


def energy_scale(most: float) -> tuple[float, str]:
    """Joules per unit, and the unit, that suit a plot whose largest value is ``most`` joules."""
    if most < _WH:
        return 1.0, "J"
    return (_WH, "Wh") if most < 1000 * _WH else (1000 * _WH, "kWh")


def buckets(days: list[str]) -> tuple[str, list[tuple[str, list[str]]]]:
    """Days (ISO) from the first to the last, gaps included, gathered by day, week or month.

    Returns the unit and, per bucket, its label and the days in it.
    """
    if not days:
        return "day", []
    first, last = date.fromisoformat(min(days)), date.fromisoformat(max(days))
    span = (last - first).days + 1
    unit = "day" if span <= _MAX_DAYS else "week" if span <= _MAX_WEEKS * 7 else "month"
    if span > _MAX_WEEKS * 7:
        known = sorted(set(days))  # a clock that was once wrong must not make a million empty buckets
        every = [date.fromisoformat(day) for day in known]
    else:
        every = [first + timedelta(days=offset) for offset in range(span)]
    gathered: dict[str, list[str]] = {}
    for day in every:
        gathered.setdefault(_label(day, unit), []).append(day.isoformat())
    return unit, list(gathered.items())


def _label(day: date, unit: str) -> str:
    if unit == "day":
        return f"{day:%d %b}"
    if unit == "week":
        return f"{day - timedelta(days=day.weekday()):%d %b %y}"
    return f"{day:%b %Y}"
