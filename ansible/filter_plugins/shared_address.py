"""Filter over the preflight's readings: whether somebody has the address already that the control plane is to share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Readings = dict[str, dict[str, Any]]


class FilterModule:
    """Registers the filter with Ansible."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name of the filter and its function."""
        return {"shared_address_findings": findings}


def findings(probes: Mapping[str, Mapping[str, Any]], rules: Mapping[str, Any]) -> list[dict[str, str]]:
    """A finding for each holder of the shared address that is not of this cluster.

    ``probes`` and ``rules`` are as `preflight_findings` takes them. A host of this site's control plane that has it by
    now is its rightful holder. So is one of which nothing was read, as a member that leaves, where the cluster stands,
    no host that was read has the address, and the API that answers there is the cluster's by its own authority.
    """
    shared, readings = str(rules["shared_address"]), _readings(probes)
    if not shared:
        return []
    of_host = {mac: host for host, seen in readings.items() for mac in seen["shares"]["hardware"]}
    members = {host: readings[host] for host in rules["members"] if host in readings}
    holders = {host for host, seen in members.items() if seen["shares"]["holds"] and _is_ours(seen, rules)}
    had = any(seen["shares"]["holds"] for seen in readings.values())
    hearing: dict[str, str] = {}
    for host, seen in readings.items():
        for mac in seen["shares"]["answers"]:
            hearing.setdefault(mac, host)
    strange = sorted(mac for mac in hearing if of_host.get(mac) not in holders)
    vouched = rules["stands"] and any(_is_ours(seen, rules) and seen["shares"]["our_api"] for seen in readings.values())
    if vouched and not had and len(strange) == 1 and strange[0] not in of_host:
        return []
    return [_finding(shared, mac, of_host.get(mac), hearing[mac]) for mac in strange]


def _finding(shared: str, mac: str, holder: str | None, heard_by: str) -> dict[str, str]:
    found = f"{shared} is taken: {holder or mac} answers for it, as {heard_by} hears"
    hint = "choose an address that nothing has, or take it off what has it"
    return {"host": "all", "check": "shared address", "found": found, "hint": hint}


def _readings(probes: Mapping[str, Mapping[str, Any]]) -> Readings:
    """What hosts told; those that told nothing have a finding of their own."""
    found: Readings = {}
    for host, probe in probes.items():
        try:
            found[host] = dict(json.loads(probe["stdout"]))
        except (KeyError, ValueError):
            continue
    return found


def _is_ours(seen: Mapping[str, Any], rules: Mapping[str, Any]) -> bool:
    try:
        return bool(json.loads(seen["site"])["id"] == rules["site_id"])
    except (ValueError, KeyError, TypeError):
        return False
