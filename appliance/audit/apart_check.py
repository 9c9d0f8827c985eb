"""Whether the files of what is kept apart are those that the entries name: part of verifying a whole log, without keys.

Files that no entry names, of entries that were never logged, are not looked at. A text of somebody who was erased is
still there, sealed under a key that is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.audit.apart import kept_in
from appliance.audit.apart_store import trouble_with
from appliance.audit.errors import LogTamperedError
from appliance.audit.findings import Finding

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.audit.verify import LogReport

MAX_FINDINGS = 50


@dataclass
class ApartCheck:
    """Held against every entry that ``visit`` is given; ``finish`` judges."""

    directory: Path
    texts: int = 0
    """How many were there, and whole."""
    _findings: list[Finding] = field(default_factory=list)

    def visit(self, first: int, entries: list[bytes]) -> None:
        """Entries from position ``first`` on, as ``verify_log`` gives them."""
        for place, item in kept_in(entries):
            trouble = trouble_with(self.directory, item)
            if trouble is None:
                self.texts += 1
            elif len(self._findings) < MAX_FINDINGS:
                self._findings.append(Finding("apart", first + place, f"of entry {first + place}: {trouble}"))

    def finish(self, found: LogReport) -> None:
        """Raises ``LogTamperedError`` when a file is missing or was changed, of an entry that was not pruned."""
        gone = found.pruned.end if found.pruned else 0
        findings = tuple(one for one in self._findings if (one.index or 0) >= gone)
        if findings:
            raise LogTamperedError(findings)
