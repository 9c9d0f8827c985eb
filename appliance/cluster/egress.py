"""What tried to leave a cluster, or to reach what it may not: hosts' firewalls and network policies in one list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from appliance.cluster.status import Readings

By = Literal["firewall", "policy"]


@dataclass(frozen=True)
class Attempt:
    """Packets of one kind that were refused. ``source`` is `namespace/pod`, a host's name, or another address.

    ``by`` says who refused; ``last_seen`` is ISO 8601, UTC, by the host's clock.
    """

    host: str
    source: str
    destination: str
    protocol: str
    port: int
    count: int
    last_seen: str
    by: By


def attempts(readings: Readings, hosts: Mapping[str, str]) -> tuple[Attempt, ...]:
    """Everything that the hosts tell, the latest first; ``hosts`` are the cluster's names by address."""
    names = {**_pods(readings), **hosts}
    found = [each for host, reading in readings.items() for each in _of(host, reading, names)]
    return tuple(sorted(found, key=lambda each: (each.last_seen, each.source, each.destination), reverse=True))


def _of(host: str, reading: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Attempt]:
    for row in (reading.get("firewall") or {}).get("tried", ()):
        seen = datetime.fromtimestamp(row["last_seen"], UTC).isoformat(timespec="seconds")
        source = names.get(row["source"], row["source"])
        yield Attempt(host, source, row["destination"], row["protocol"], row["port"], row["count"], seen, "firewall")
    for row in reading.get("denied") or ():
        seen = f"{row['last_seen'][:19]}+00:00"
        ends = (names.get(row["source"], row["source"]), names.get(row["destination"], row["destination"]))
        yield Attempt(host, *ends, row["protocol"], row["port"], row["count"], seen, "policy")


def _pods(readings: Readings) -> dict[str, str]:
    """Which pod has which address now; those that share their host's are not told apart from it."""
    told = next((r["cluster"] for r in readings.values() if r.get("cluster")), None)
    pods = told["pods"] if told else ()
    return {p["address"]: f"{p['namespace']}/{p['name']}" for p in pods if p["address"] and p["own_network"]}


def counters(readings: Readings) -> dict[str, dict[str, int]]:
    """Packets that each host's firewall refused, by direction."""
    return {host: reading["firewall"]["counters"] for host, reading in readings.items() if reading.get("firewall")}
