"""Filter over the preflight's readings: notes of disks that are shared by what should not wait for each other.

Every answer waits until its entry is durable in the audit log, and every change of the cluster until it is in etcd. On
one disk each waits for the other's syncs. Hosts of one disk are good hosts all the same, so nothing is refused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_APART = (
    "expect answers and changes of the cluster to wait for each other; "
    "before the first installation, mount a disk of its own at /var/lib/sovereign/volumes"
)


class FilterModule:
    """Registers the filter with Ansible."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name of the filter and its function."""
        return {"disk_notes": notes}


def notes(probes: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """A note for each host that has the audit log and etcd on one file system; ``probes`` as `preflight_findings` has.

    Of a host that was not asked or not read nothing is said.
    """
    return [_note(host, disks) for host, probe in probes.items() if (disks := _disks(probe)).get("one")]


def _disks(probe: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(probe["stdout"])["disks"]
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _note(host: str, disks: Mapping[str, Any]) -> dict[str, str]:
    taken = disks.get("fsync_ms")
    measured = f"{taken:.1f} ms (99th percentile of fsync)" if isinstance(taken, float) else "not measured"
    found = f"the audit log and etcd are on one file system: {measured}"
    return {"host": host, "check": "disks", "found": found, "hint": _APART}
