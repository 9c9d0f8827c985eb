"""Who used which model how much: a verified log, counted by day, group, model, purpose and user.

Counting happens in the same pass that verifies, so that every figure comes from bytes under the signed checkpoint.
Days are UTC. A user of several groups counts in each of them, so groups may add up to more than the total.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit.counting import count
from appliance.audit.tally import TOP_USERS, UsageReport
from appliance.audit.verify import LogReport, verify_log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date
    from pathlib import Path

    from appliance.audit.note import VerifierKey


def build_report(  # noqa: PLR0913 - the period and the checks that an auditor may ask for, by keyword
    directory: Path,
    *,
    vkeys: Sequence[VerifierKey],
    since: date | None = None,
    until: date | None = None,
    top: int = TOP_USERS,
    kept: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> UsageReport:
    """Verify the log in ``directory`` and count it; days from ``since`` to ``until``, both included.

    Raises what ``verify_log`` raises: there is no report of a log that does not hold.
    """
    report = UsageReport("", 0, "", "", since, until, top=top)

    def visit(_: int, entries: list[bytes]) -> None:
        for entry in entries:
            count(report, entry)

    log = verify_log(directory, vkeys=vkeys, kept=kept, visit=visit, progress=progress)
    _stamp(report, log)
    return report


def _stamp(report: UsageReport, log: LogReport) -> None:
    report.origin, report.size, report.root = log.origin, log.size, log.root.hex()
    report.signed_at = log.signed_at
