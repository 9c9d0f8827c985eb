"""Which witness last vouched for the site's audit log, for `sovereign status`. Reading only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import read_vkeys
from appliance.audit.cosigned import brought_back, read_witnesses
from appliance.errors import SovereignError

if TYPE_CHECKING:
    from appliance.site.paths import SitePaths

VKEYS, WITNESSES = "audit-vkeys", "audit-witnesses"
OVERDUE = timedelta(days=31)
_ADVICE = "`sovereign audit witness` lets an auditor keep what the log signed"


@dataclass(frozen=True)
class Witnessing:
    """``enrolled`` witnesses, and the latest cosignature that came back: whose, of how many entries, when."""

    enrolled: int
    witness: str | None = None
    size: int | None = None
    time: str | None = None
    trouble: str | None = None

    def warnings(self, now: datetime) -> tuple[str, ...]:
        """What an operator should act on."""
        if self.trouble:
            return (f"the audit log's witnesses: {self.trouble}",)
        if not self.enrolled:
            return (f"no witness watches the audit log: an older one could be put in its place unseen; {_ADVICE}",)
        if self.time is None:
            return ("no witness has cosigned the audit log yet; `sovereign audit witness request` begins",)
        if now - datetime.fromisoformat(self.time) > OVERDUE:
            return (f"the audit log was last witnessed {self.time[:10]}, more than a month ago",)
        return ()


def witnessing(paths: SitePaths) -> Witnessing | None:
    """The state of witnessing; None where the caller may not read the log's folder, or there is no log yet."""
    try:
        (paths.audit_log / "checkpoint").stat()
        witnesses = read_witnesses(paths.policies / WITNESSES)
        found = brought_back(paths.audit_log, read_vkeys(paths.policies / VKEYS), witnesses)
    except OSError:
        return None
    except SovereignError as error:
        return Witnessing(0, trouble=error.cause)
    if not found:
        return Witnessing(len(witnesses))
    latest = found[0]
    return Witnessing(
        len(witnesses), latest.witness, latest.head.size, datetime.fromtimestamp(latest.time, UTC).isoformat()
    )
