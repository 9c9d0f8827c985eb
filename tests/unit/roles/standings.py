"""The look at what stands on a host, run here: root is whoever runs it, and systemd a program that knows no unit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.unit.roles.plugins import ANSIBLE

PROGRAM = ANSIBLE / "roles/standing/files/standing.py"
FAKE_SYSTEMCTL = r"""#!/bin/sh
shift 3
for unit; do
  printf 'Id=%s\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=%s\n\n' "$unit" "${STALE:-no}"
done
"""


def look(**asked: Any) -> dict[str, Any]:
    """What the look says of what is asked; ``path`` goes before the programs' path."""
    environment = {
        **os.environ,
        "PATH": f"{asked.pop('path', '')}:{os.environ['PATH']}",
        **asked.pop("environment", {}),
    }
    source = PROGRAM.read_text().replace("!= (0, 0)", f"!= ({os.getuid()}, {os.getgid()})")
    given = json.dumps({"files": [], "units": [], "blobs": "/nowhere", **asked})
    argv = [sys.executable, "-", given]
    done = subprocess.run(argv, input=source, capture_output=True, text=True, check=True, env=environment)
    return dict(json.loads(done.stdout))
