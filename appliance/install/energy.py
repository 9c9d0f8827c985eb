"""Letting the site's services read the processor's energy counters, which the kernel keeps for root.

Sysfs forgets modes at every boot, so this is done at every start, before any service runs.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from appliance.engine.rapl import POWERCAP, counter_files

if TYPE_CHECKING:
    from pathlib import Path

_READABLE = 0o440


def open_energy_counters(gid: int, root: Path = POWERCAP) -> int:
    """Let the group ``gid`` read the counters of all packages; how many there are. Nothing where we are not root.

    A host without them, or whose counters cannot be opened (a container's sysfs), has its energy estimated.
    """
    if os.geteuid() != 0:
        return 0
    opened = 0
    with contextlib.suppress(OSError):
        for file in counter_files(root):
            os.chown(file, 0, gid)
            file.chmod(_READABLE)
            opened += 1
    return opened
