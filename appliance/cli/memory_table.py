"""How the hierarchy of memories looks in a terminal: the warmest tier first, with units; a dash is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from appliance.install.memory_status import MemoryStatus
    from appliance.memory.hierarchy import EngineView, LibraryView, TierRow

MIB = 1024 * 1024
_TIERS = {
    "pinned": "pinned",
    "parked": "parked",
    "live": "at work",
    "disk": "disk",
    "untold": "not told",
    "passages": "passages",
    "documents": "documents",
}
_SCOPES = {"site": "site", "group": "groups", "user": "users", "untold": "not told"}
_STATES = {"running": "", "not_running": "not running", "not_known": "not known"}
_UNKNOWN = "-"
_LEAST = 2
_UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


def render(found: MemoryStatus, console: Console) -> None:
    """Each model with its tiers, then the library, then what the counts are of."""
    whole = found.hierarchy
    for engine in whole.engines:
        _say(console, _engine_line(engine))
        if engine.rows:
            console.print(_table(map(_cells, engine.rows)), markup=False)
        console.print()
    _say(console, _library_line(whole.library))
    if whole.library.rows:
        console.print(_table(_cells(row, _used(row, whole.library)) for row in whole.library.rows), markup=False)
    console.print()
    if whole.since is not None:
        _say(console, f"hits and tokens saved: of answers with a receipt since {whole.since}, when the gateway started")
    elif found.up:
        _say(console, "hits and tokens saved: not known, the gateway does not answer")
    if not found.up:
        _say(console, "the site is down: `sovereign up` starts it")


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


def _table(rows: Iterable[tuple[str, ...]]) -> Table:
    """Figures are never cut; where the terminal is narrow, ages go over two lines."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name, width in (("tier", 9), ("scope", 8)):
        table.add_column(name, min_width=width, no_wrap=True)
    for name, width in (("holds", 6), ("tokens", 7), ("MiB", 5)):
        table.add_column(name, min_width=width, no_wrap=True, justify="right")
    table.add_column("age", min_width=13, justify="right")
    for name, width in (("hits", 5), ("tokens\nsaved", 9), ("J saved", 8)):
        table.add_column(name, min_width=width, no_wrap=True, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _cells(row: TierRow, used: int | None = None) -> tuple[str, ...]:
    size = _UNKNOWN if row.size is None else f"{row.size / MIB:.1f}"
    joules = _UNKNOWN if row.joules_saved is None else f"{row.joules_saved:,.1f}"
    return (
        _TIERS[row.tier],
        _SCOPES[row.scope],
        _number(row.count),
        _number(row.tokens),
        size,
        _ages(row),
        _number(row.hits if used is None else used),
        _number(row.tokens_saved),
        joules,
    )


def _used(row: TierRow, library: LibraryView) -> int | None:
    return library.passages_used if row.tier == "passages" else library.documents_cited


def _library_line(library: LibraryView) -> str:
    if library.size is None:
        return "library: not known, the database or the gateway does not answer"
    characters = sum(row.characters or 0 for row in library.rows)
    takes = f"passages, words and vectors take {library.size / MIB:.1f} MiB of the database"
    return f"library: {characters:,} characters; {takes}" if library.rows else "library: no documents"


def _engine_line(engine: EngineView) -> str:
    if engine.state != "running":
        return f"{engine.model}: {_STATES[engine.state]}" + (f", {engine.reason}" if engine.reason else "")
    if not engine.cells:
        return f"{engine.model}: makes vectors, and keeps nothing"
    held = sum(row.tokens or 0 for row in engine.rows if row.tier != "disk")
    cells = f"{held:,} of {engine.cells:,} cells in use"
    if engine.joules_per_token is None:
        return f"{engine.model}: {cells}; nothing was computed yet, so nothing is said of joules"
    by = "by the hardware's counters" if engine.energy == "measured" else "by declared watts"
    return f"{engine.model}: {cells}; J saved are estimated from {engine.joules_per_token:.3g} J a token read, {by}"


def _ages(row: TierRow) -> str:
    if row.oldest_s is None or row.newest_s is None:
        return _UNKNOWN
    oldest, newest = age(row.oldest_s), age(row.newest_s)
    if oldest == newest:
        return oldest
    (count, unit), (_, other) = newest.split(), oldest.split()
    return f"{count if unit == other else newest} to {oldest}"


def age(seconds: float) -> str:
    """A time span in words, in the largest unit of which there are two at least: ``3 minutes``."""
    for length, name in _UNITS:
        if seconds >= _LEAST * length or length == 1:
            count = int(seconds // length)
            return f"{count} {name if count != 1 else name.removesuffix('s')}"
    raise AssertionError(seconds)


def _number(value: int | None) -> str:
    return _UNKNOWN if value is None else f"{value:,}"
