"""The end of an operational log, to be shown beside a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOG_LINES = 5
_READ_BYTES = 16_384


def log_tail(path: Path, lines: int = LOG_LINES) -> str:
    """The last lines of a log, indented; empty when there is none.

    What a service wrote reaches a terminal here, so that whatever could steer one is shown as a question mark.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - _READ_BYTES, 0))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return indented(text, lines)


def indented(text: str, lines: int = LOG_LINES) -> str:
    """The last ``lines`` lines of ``text`` that hold something, each on an indented line of its own."""
    kept = [line.rstrip()[:300] for line in text.splitlines() if line.strip()][-lines:]
    return "".join(f"\n  {_printable(line)}" for line in kept)


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in line.replace("\t", " "))
