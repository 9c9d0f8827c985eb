"""How far what hosts observe is in the audit log: what waits on a host waits on its disk, which is bounded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.cluster.status import Readings

KEPT_BYTES = 5 * 50 << 20
"""What an API server keeps of its own log: five files of 50 MiB (the role `control_plane`). More is lost, and told."""
PATIENCE_SECONDS = 300.0


def unlogged(readings: Readings) -> Iterator[str]:
    """Where what was observed does not reach the log, a line each."""
    for host, reading in readings.items():
        told = reading.get("observed")
        if told is None:
            continue
        if reading["time"] - told["time"] > PATIENCE_SECONDS:
            yield f"{host}: its observer has said nothing since {_moment(told['time'])}; see its unit on the host"
        elif told["cause"] and reading["time"] - told["taken"] > PATIENCE_SECONDS:
            yield (
                f"{host}: what it observes is not in the audit log since {_moment(told['taken'])}: {told['cause']}; "
                f"{told['behind'] / 2**20:.1f} of at most {KEPT_BYTES >> 20} MiB wait there"
            )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
