"""Filter over the preflight's readings: whether hosts have the memory for every pod of the assistant.

What the scheduler would find out after an hour of bringing images, with pods that wait for a host that will not come.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MORE = "give hosts more memory, name more hosts, or fewer or smaller models"


class FilterModule:
    """Registers the filter with Ansible."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name of the filter and its function."""
        return {"pods_findings": findings}


def findings(probes: Mapping[str, Mapping[str, Any]], rules: Mapping[str, Any]) -> list[dict[str, str]]:
    """A finding where the assistant's pods do not fit on the hosts that take pods.

    ``probes`` and ``rules`` are as `preflight_findings` takes them; ``pods`` of ``rules`` says how many there are
    (`count`) and what the models of one may use (`memory_mib`). What a host must have besides is `memory_mib` of
    ``rules``. Nothing is said where a host that takes pods was not read: what it has may be what is missing. Nor of a
    cluster that stands: what runs there fits, and what comes is counted by the scheduler's own figures (`pods_first`).
    """
    wanted = rules["pods"]
    if not wanted or rules["stands"]:
        return []
    hosts = [host for host in probes if rules["members_take_pods"] or host not in rules["members"]]
    try:
        free = {host: _memory(probes[host]) - int(rules["memory_mib"]) for host in hosts}
    except (KeyError, ValueError):
        return []
    each, count = int(wanted["memory_mib"]), int(wanted["count"])
    room = sum(max(0, left) // each for left in free.values()) if each else count
    if room >= count:
        return []
    most = max(free, key=lambda host: free[host], default=None)
    if most is None:
        found = "no host takes pods: there are no workers, and the control plane's hosts run no others"
        return [_finding("name workers, or let the control plane's hosts run pods", found)]
    models = f"the models of one pod need {each} MiB"
    if not room:
        return [_finding(_MORE, f"{models}; {most}, which has most, has {max(0, free[most])} for them")]
    return [_finding(_MORE, f"{models}; hosts have room for {room} of {count} pods")]


def _memory(probe: Mapping[str, Any]) -> int:
    return int(json.loads(probe["stdout"])["memory_mib"])


def _finding(hint: str, found: str) -> dict[str, str]:
    return {"host": "all", "check": "models", "found": found, "hint": hint}
