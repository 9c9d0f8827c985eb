"""One timed verification: `python -m tests.bench.verifier BUNDLE ROOT-FINGERPRINT` prints seconds, bytes and peak."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from airgap_bundle.trust_state import TrustState
from airgap_bundle.verify import verify


def main(bundle: Path, root_fingerprint: str) -> None:
    """Verify ``bundle``, all of it; anything but a pass ends the process with an error."""
    total = 0

    def hear(_done: int, of: int) -> None:
        nonlocal total
        total = of

    begin = time.perf_counter()
    report = verify(bundle, TrustState.expecting(root_fingerprint), now=datetime.now(UTC), progress=hear)
    seconds = time.perf_counter() - begin
    if not report.ok:
        sys.exit(f"refused: {report.failure}")
    sys.stdout.write(json.dumps({"seconds": seconds, "bytes": total, "peak": _peak()}) + "\n")


def _peak() -> int:
    """Bytes that this program had resident at most (proc_pid_status(5), VmHWM).

    getrusage(2) would count what the process was before it became this program: the benchmark itself.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
