"""How the hierarchy of memories looks as a table: the warmest tier first, with units; what is not known is a dash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
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
    """One row per tier and scope; then what the figures rest on, and what is not known."""
    table = Table(box=None, pad_edge=False)
    for name in ("model", "tier", "scope"):
        table.add_column(name)
    for name in ("holds", "tokens", "MiB", "age", "hits", "tokens saved", "J saved"):
        table.add_column(name, justify="right")
    for engine in found.hierarchy.engines:
        if engine.state != "running" or not engine.rows:
            table.add_row(engine.model, _STATES[engine.state] or "nothing")
        for row in engine.rows:
            table.add_row(engine.model, *_cells(row))
    library = found.hierarchy.library
    for row in library.rows:
        table.add_row("", *_cells(row, _used(row, library)))
    console.print(table, markup=False)
    console.print()
    for line in _lines(found):
        console.print(line, markup=False, soft_wrap=True)


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


def _lines(found: MemoryStatus) -> list[str]:
    whole = found.hierarchy
    lines = [_engine_line(engine) for engine in whole.engines]
    if whole.library.size is not None:
        lines.append(f"library: passages, words and vectors take {whole.library.size / MIB:.1f} MiB of the database")
    elif found.up:
        lines.append("library: not known, the database or the gateway does not answer")
    if whole.since is not None:
        lines.append(f"hits and tokens saved: of answers with a receipt since {whole.since}, when the gateway started")
    elif found.up:
        lines.append("hits and tokens saved: not known, the gateway does not answer")
    if not found.up:
        lines.append("the site is down: `sovereign up` starts it")
    return lines


def _engine_line(engine: EngineView) -> str:
    if engine.state != "running":
        return f"{engine.model}: {_STATES[engine.state]}" + (f", {engine.reason}" if engine.reason else "")
    if not engine.cells:
        return f"{engine.model}: makes vectors, and keeps nothing"
    held = sum(row.tokens or 0 for row in engine.rows if row.tier != "disk")
    cells = f"{held:,} of {engine.cells:,} cells in use"
    if engine.joules_per_token is None:
        return f"{engine.model}: {cells}; nothing was computed yet, so nothing is said of joules"
    by = "by the processor's counter" if engine.energy == "measured" else "by declared watts"
    return f"{engine.model}: {cells}; J saved are estimated from {engine.joules_per_token:.3g} J a token read, {by}"


def _ages(row: TierRow) -> str:
    if row.oldest_s is None or row.newest_s is None:
        return _UNKNOWN
    oldest, newest = age(row.oldest_s), age(row.newest_s)
    return oldest if oldest == newest else f"{newest} to {oldest}"


def age(seconds: float) -> str:
    """A time span in words, in the largest unit of which there are two at least: ``3 minutes``."""
    for length, name in _UNITS:
        if seconds >= _LEAST * length or length == 1:
            count = int(seconds // length)
            return f"{count} {name if count != 1 else name.removesuffix('s')}"
    raise AssertionError(seconds)


def _number(value: int | None) -> str:
    return _UNKNOWN if value is None else f"{value:,}"
