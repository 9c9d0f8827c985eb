"""`make soak`: REQUESTS requests on one small context; the last line is JSON, the exit code 0 when nothing grew."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from tests.soak.engine import GROWTH_MIB, Report, soak


def main() -> int:
    """Soak as often as the first argument says."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # failures are meant
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    columns = ("soaking", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        Progress(*columns, console=Console(stderr=True)) as shown,
    ):
        task = shown.add_task("requests", total=requests)
        report = soak(Path(folder), requests, seed=1, tell=lambda done: shown.update(task, completed=done))
        shown.update(task, completed=requests)
    sys.stdout.write(json.dumps(_said(report)) + "\n")
    return 0 if report.holds else 1


def _said(report: Report) -> dict[str, object]:
    sizes = report.resident_mib
    return {
        "requests": report.requests,
        "outcomes": dict(sorted(report.outcomes.items())),
        "answers_judged": report.judged,
        "tokens_judged": report.tokens_judged,
        "worst_lead": round(report.worst_lead, 4),
        "resident_mib": {"early": round(max(sizes[:5]), 1), "end": round(sizes[-1], 1), "most": round(max(sizes), 1)},
        "growth_mib": report.growth_mib,
        "growth_allowed_mib": GROWTH_MIB,
        "cells_left": report.cells_left,
        "requests_left": report.requests_left,
        "evicted": report.evicted,
        "put_off": report.put_offs,
        "restored_from_disk": report.restored,
        "holds": report.holds,
    }


if __name__ == "__main__":
    sys.exit(main())
