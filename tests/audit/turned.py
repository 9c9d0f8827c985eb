"""A log whose host's clock tests turn, and what it says of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.audit.entry import decode_entry
from appliance.audit.log import TileLog

if TYPE_CHECKING:
    from appliance.audit.storage import Storage
    from tests.audit.bench import Bench

NOON = 1_795_348_800.0
HOUR = 3600.0


@dataclass
class Turned:
    """The writers of ``bench``, one after the other, on a host whose clock shows ``now``."""

    bench: Bench
    now: float = NOON

    def open(self, storage: Storage | None = None) -> TileLog:
        """The next writer; the one before has stopped."""
        self.bench.close()
        one = self.bench
        log = TileLog(one.directory, one.origin, one.keys, storage=storage, clock=lambda: self.now)
        one.logs.append(log)
        log.open()
        return log

    def entries(self) -> list[tuple[str, dict[str, Any]]]:
        """Every entry of the log, which holds: its id and what was logged."""
        found: list[bytes] = []
        self.bench.verify(visit=lambda _, entries: found.extend(entries))
        return list(map(decode_entry, found))

    def told(self) -> list[dict[str, Any]]:
        """What the entries say that tell of the clock, in their order."""
        said = [event["unmapped"]["sovereign"] for _, event in self.entries()]
        return [one for one in said if one["kind"] == "clock_behind"]
