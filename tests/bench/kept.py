"""What a benchmark found, line by line on disk as it comes: a run that was ended in any way goes on where it was.

The first line says what the findings depend on; what was begun with something else is begun anew.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Lines:
    """One line a finding, each a JSON object. ``found`` are those that were there; a line that was cut off is none."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        if not lines or _read(lines[0]) != about:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(about) + "\n")
            lines = []
        self.found: list[dict[str, Any]] = [one for one in map(_read, lines[1:]) if one is not None]
        if lines and not path.read_text().endswith("\n"):
            with path.open("a") as out:
                out.write("\n")

    def add(self, finding: dict[str, Any]) -> None:
        """Keep one more."""
        with self.path.open("a") as out:
            out.write(json.dumps(finding) + "\n")


def _read(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
