"""Answers of a benchmark's run as they come, on disk: a run that was ended goes on where it was.

The first line says of which model and questions they are; what was begun with others is begun anew.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from appliance.learning.calibration import Label
from appliance.learning.confidence import Signal

if TYPE_CHECKING:
    from pathlib import Path


class Kept:
    """One line an answer: the question's name, and its label, or null where the answer is none."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        if not lines or _read(lines[0]) != about:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(about) + "\n")
            lines = []
        told = [one for one in map(_read, lines[1:]) if one is not None]  # a line that was cut off is asked again
        self.labels = {one["name"]: _label(one["label"]) for one in told}
        if lines and not path.read_text().endswith("\n"):
            with path.open("a") as out:
                out.write("\n")

    def add(self, name: str, label: Label | None) -> None:
        """Keep what came of a question."""
        self.labels[name] = label
        with self._path.open("a") as out:
            out.write(json.dumps({"name": name, "label": asdict(label) if label is not None else None}) + "\n")


def _read(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _label(told: dict[str, Any] | None) -> Label | None:
    return Label(**{**told, "signal": Signal(**told["signal"])}) if told is not None else None
