"""The NVIDIA GPUs of this host as their driver shows them: which there are, and which device files lead to one.

Read from ``/proc/driver/nvidia`` (the driver's README, "Procfs entries"). Numbers are those of ``nvidia-smi -L``: by
the place on the PCI bus. The driver and its libraries are the host's own, as its kernel is; no bundle brings them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc/driver/nvidia")
DEVICES = Path("/dev")
_CONTROL = ("nvidiactl", "nvidia-uvm")
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Gpu:
    """One GPU: its number in the order of the bus, its device's minor number, and what its maker calls it."""

    number: int
    minor: int
    model: str

    def files(self, folder: Path = DEVICES) -> tuple[Path, ...]:
        """The device files that whoever computes on it opens: its own, and the two of the driver."""
        return (folder / f"nvidia{self.minor}", *(folder / name for name in _CONTROL))


def gpus(root: Path = PROC) -> tuple[Gpu, ...]:
    """Every GPU of this host that the driver runs; none where there is no such driver."""
    found: list[Gpu] = []
    for folder in sorted((root / "gpus").iterdir()) if (root / "gpus").is_dir() else ():
        said = _fields(folder / "information")
        minor = said.get("Device Minor", "")
        if minor.isdecimal():
            found.append(Gpu(len(found), int(minor), _printable(said.get("Model", ""))))
    return tuple(found)


def gpu(number: int, root: Path = PROC) -> Gpu | None:
    """The GPU of that number; None where this host has none."""
    return next((one for one in gpus(root) if one.number == number), None)


def _fields(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def _printable(text: str) -> str:
    shown = text[:_SHOWN_CHARACTERS]
    return shown if shown.isprintable() else ascii(shown)
