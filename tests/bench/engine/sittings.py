"""Measurements of a run that may take several sittings: what is finished is kept, what is left is known in minutes.

A measurement has a name, `kind/which`; it is kept whole or not at all. Both contenders' figures of one load in one
round are one measurement, since their ratio is what counts.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tests.bench.claims import tell
from tests.bench.kept import Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    T = TypeVar("T")

GUESSED_S: dict[str, float] = {
    "one_stream": 45,
    "distinct": 40,
    "shared": 80,
    "warm": 90,
    "groups": 480,
    "fairness": 330,
    "heavy_alone": 120,
    "restart": 15,
    "flags": 35,
    "scheduling": 25,
    "native": 45,
    "words": 600,
    "control": 200,
    "wide": 300,
}
"""Seconds of a measurement of each kind on two cores, until one of its kind has been made here."""
_KEPT_FOR_SITTING = 200
"""More seeds than a sitting uses."""


class Sittings:
    """The measurements ``planned``, and those of before that were made of the same things, which ``about`` names.

    ``hurry`` is how much of the full loads is asked, for what is said of the time before anything was measured;
    ``fresh`` forgets what was kept.
    """

    def __init__(
        self, folder: Path, about: dict[str, Any], planned: Sequence[str], hurry: float = 1.0, *, fresh: bool = False
    ) -> None:
        key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        path = folder / f"engine-{key[:16]}.jsonl"
        if fresh:
            path.unlink(missing_ok=True)
        self._lines = Lines(path, about)
        self._found = {one["name"]: one for one in self._lines.found}
        self._planned, self._hurry = planned, hurry
        self.number = max((one["sitting"] for one in self._found.values()), default=0) + 1

    @property
    def path(self) -> Path:
        """Where they are kept."""
        return self._lines.path

    @property
    def first_seed(self) -> int:
        """The first seed of this sitting: no text of an earlier one comes again."""
        return 1 + (self.number - 1) * _KEPT_FOR_SITTING

    @property
    def held(self) -> list[int]:
        """The sittings that what is planned, and was measured, comes from."""
        return sorted({self._found[name]["sitting"] for name in self._planned if name in self._found})

    def begin(self) -> None:
        """Say what is kept, and how long the rest takes."""
        kept = sum(name in self._found for name in self._planned)
        tell(f"{kept} of {len(self._planned)} measurements are kept in {self.path}; {self._left()}")

    def measurement(self, name: str, measure: Callable[[], T]) -> T:
        """What ``measure`` gives, or gave in an earlier sitting. It must be plain JSON; it is kept when it is whole."""
        if name not in self._found:
            begun = time.monotonic()
            value = measure()
            took = time.monotonic() - begun
            one = {"name": name, "sitting": self.number, "seconds": round(took, 1), "value": value}
            self._lines.add(one)
            self._found[name] = one
            tell(f"{name} is kept; {self._left()}")
        return cast("T", self._found[name]["value"])

    def _left(self) -> str:
        seconds = left(self._planned, {name: one["seconds"] for name, one in self._found.items()}, self._hurry)
        return f"about {math.ceil(seconds / 60)} min left" if seconds else "nothing is left to measure"


def left(planned: Sequence[str], took: Mapping[str, float], hurry: float = 1.0) -> float:
    """Seconds that what was not measured will take: as long as its kind took here, or takes elsewhere."""
    kinds: dict[str, list[float]] = {}
    for name, seconds in took.items():
        kinds.setdefault(_kind(name), []).append(seconds)
    total = 0.0
    for name in planned:
        if name not in took:
            known = kinds.get(_kind(name))
            total += statistics.median(known) if known else GUESSED_S[_kind(name)] * hurry
    return total


def _kind(name: str) -> str:
    return name.partition("/")[0]
