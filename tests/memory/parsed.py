"""Bytes through the real parser, in its real confined process."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.memory.parsing import launch

if TYPE_CHECKING:
    from appliance.memory.parsing.blocks import Parsed


def parsed(name: str, data: bytes, bounds: launch.Bounds = launch.USUAL) -> Parsed:
    """What the parser makes of a file called ``name`` with these bytes."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return launch.parse(file.fileno(), launch.kind_of(name, file.fileno(), bounds), bounds)


def descriptors() -> set[str]:
    """The open descriptors of this process."""
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}
