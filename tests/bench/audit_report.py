"""A report over a log, in a process of its own, as a person has it: `python -m tests.bench.audit_report LOG VKEYS DIR`.

Of that process only the report is measured, not its start: one line, seconds. It loads what the command loads to count,
and nothing else that the processes beside it would load as well.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from appliance.audit.checkpoint import read_vkeys
from appliance.audit.tally_cache import open_cache
from appliance.audit.usage import build_report


def main(log: str, vkeys: str, folder: str) -> None:
    """Count, and say how long it took."""
    keys, known = read_vkeys(Path(vkeys)), open_cache(Path(folder))
    begin = time.perf_counter()
    build_report(Path(log), vkeys=keys, known=known)
    print(time.perf_counter() - begin)


if __name__ == "__main__":
    main(*sys.argv[1:])
