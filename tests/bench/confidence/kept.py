"""Answers of the benchmark's run as they come, on disk: a run that was ended goes on where it was."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from appliance.learning.calibration import Label
from appliance.learning.confidence import Signal
from tests.bench.kept import Lines

if TYPE_CHECKING:
    from pathlib import Path


class Kept:
    """One line an answer: the question's name, and its label, or null where the answer is none."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self._lines = Lines(path, about)
        self.labels = {one["name"]: _label(one["label"]) for one in self._lines.found}

    def add(self, name: str, label: Label | None) -> None:
        """Keep what came of a question."""
        self.labels[name] = label
        self._lines.add({"name": name, "label": asdict(label) if label is not None else None})


def _label(told: dict[str, Any] | None) -> Label | None:
    return Label(**{**told, "signal": Signal(**told["signal"])}) if told is not None else None
