"""The processor's energy counters as Linux shows them (``intel-rapl``, on AMD too; Documentation/power/powercap).

They are opened before an engine is confined, and read by descriptor afterwards. Since they also tell about whoever else
computes (PLATYPUS, 2021), the kernel lets root alone read them; ``sovereign up`` opens them to the services' group.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
_ZONE = re.compile(r"intel-rapl:\d+")
_MICRO = 1e-6


@dataclass
class _Counter:
    """One package: where it stands, in microjoules, and where it begins again at nought."""

    descriptor: int
    size: int
    last: int
    total: int = 0

    def advance(self) -> None:
        """Add what was counted since. Raises ``OSError``, ``ValueError``."""
        now = int(os.pread(self.descriptor, 32, 0))
        self.total += now - self.last if now >= self.last else now + self.size - self.last
        self.last = now


class PackageCounters:
    """All packages of the host together. Not safe from several threads."""

    def __init__(self, counters: list[_Counter]) -> None:
        self._counters = counters

    def joules(self) -> float | None:
        """Joules since these were opened; None where one cannot be read now."""
        try:
            for counter in self._counters:
                counter.advance()
        except (OSError, ValueError):
            return None
        return sum(counter.total for counter in self._counters) * _MICRO


def counter_files(root: Path = POWERCAP) -> tuple[Path, ...]:
    """The counter of each package that this host has."""
    folders = sorted(root.iterdir()) if root.is_dir() else []
    return tuple(folder / "energy_uj" for folder in folders if _ZONE.fullmatch(folder.name) and _is_package(folder))


def _is_package(zone: Path) -> bool:
    """Whether a zone is a processor's package: ``psys`` beside them is the whole platform, packages included."""
    try:
        return (zone / "name").read_text().startswith("package-")
    except OSError:
        return False


def open_counters(root: Path = POWERCAP) -> PackageCounters | None:
    """Counters of all packages, or None where there is none or one of them may not be read: half would mislead."""
    found: list[_Counter] = []
    try:
        for file in counter_files(root):
            size = int((file.parent / "max_energy_range_uj").read_text())
            counter = _Counter(os.open(file, os.O_RDONLY | os.O_CLOEXEC), size, 0)
            found.append(counter)
            counter.last = int(os.pread(counter.descriptor, 32, 0))
    except (OSError, ValueError):
        for counter in found:
            os.close(counter.descriptor)
        return None
    return PackageCounters(found) if found else None
