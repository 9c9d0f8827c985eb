"""A checkpoint that the log signed before, which a later look holds against it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.audit.findings import Finding

if TYPE_CHECKING:
    from appliance.audit.checkpoint import Checkpoint


@dataclass(frozen=True)
class Earlier:
    """A verified checkpoint, and whose it is, as a message names it."""

    head: Checkpoint
    whose: str

    def differs(self) -> Finding:
        """The log's beginning is not that of this checkpoint."""
        return Finding("rewritten", None, f"the first {self.head.size} entries are not those of {self.whose}")

    def longer_than(self, size: int) -> Finding:
        """The log holds fewer entries than this checkpoint."""
        return Finding("rewound", size, f"the log holds {size} entries, {self.whose} {self.head.size}")
