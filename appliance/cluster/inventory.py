"""From the site file and a release to Ansible's inventory: a pure function, so that equal inputs give equal runs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from appliance.cluster.change import in_turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from appliance.cluster.change import Change
    from appliance.cluster.parts import ReleaseParts
    from appliance.cluster.state import KnownHost
    from appliance.cluster.workloads import Workloads
    from appliance.site.cluster import Cluster, Host


@dataclasses.dataclass(frozen=True)
class Site:
    """Who the cluster belongs to; ``folder`` holds the site file, and the files that it names are relative to it."""

    name: str
    identity: str
    folder: Path


def inventory(  # noqa: PLR0913 - what an inventory is made of, by keyword
    site: Site,
    cluster: Cluster,
    parts: ReleaseParts,
    *,
    settings: Mapping[str, Any],
    leaving: Iterable[KnownHost] = (),
    workloads: Workloads | None = None,
    change: Change | None = None,
) -> dict[str, Any]:
    """Ansible's inventory. ``settings`` are further options of the roles, ``leaving`` hosts that the site named before.

    ``workloads`` is the assistant; without it the roles bring the cluster alone. ``change`` is the way from another
    release, whose hosts are in the group `changing`, in their order.

    A name that is used again gets a number, so that the preflight sees both hosts and refuses the name.
    """
    named = _distinct(cluster.hosts)
    return {
        "all": {
            "vars": {
                **_access(site, cluster),
                **_options(site, cluster),
                **_release(parts),
                **(workloads.options() if workloads is not None else {}),
                **(change.options() if change is not None else {}),
                **settings,
            },
            "children": {
                "cluster": {
                    "children": {
                        "control_plane": _group(named, "control-plane"),
                        "workers": _group(named, "worker"),
                    }
                },
                "control_plane_due": {"hosts": {}},  # those on which something is, once they were looked at
                "leaving": {"hosts": {h.name: {"ansible_host": h.address, "node_name": h.name} for h in leaving}},
                **({"changing": _in_turn(cluster.hosts, change)} if change is not None else {}),
            },
        }
    }


def entrance(
    site: Site, cluster: Cluster, settings: Mapping[str, Any], left: Iterable[KnownHost] = ()
) -> dict[str, Any]:
    """An inventory that enters the hosts, for what needs nothing of a release. ``left`` are hosts of earlier runs."""
    named = _distinct(cluster.hosts)
    workers = _group(named, "worker")
    workers["hosts"] |= {host.name: {"ansible_host": host.address, "node_name": host.name} for host in left}
    groups = {"children": {"control_plane": _group(named, "control-plane"), "workers": workers}}
    given = {**_access(site, cluster), "site_id": site.identity, **settings}
    return {"all": {"vars": given, "children": {"cluster": groups}}}


def _distinct(hosts: Iterable[Host]) -> dict[str, Host]:
    named: dict[str, Host] = {}
    for host in hosts:
        again = sum(other.name == host.name for other in named.values())
        named[f"{host.name}#{again + 1}" if again else host.name] = host
    return named


def _group(hosts: Mapping[str, Host], role: str) -> dict[str, Any]:
    return {
        "hosts": {
            key: {"ansible_host": host.address, "node_name": host.name}
            for key, host in hosts.items()
            if host.role == role
        }
    }


def _in_turn(hosts: Iterable[Host], change: Change) -> dict[str, Any]:
    return {"hosts": {name: {} for name in in_turn(hosts, back=change.back)}}


def _access(site: Site, cluster: Cluster) -> dict[str, Any]:
    ssh = cluster.ssh
    known = site.folder / ssh.known_hosts
    return {
        "ansible_user": ssh.user,
        "ansible_port": ssh.port,
        "ansible_ssh_private_key_file": str(site.folder / ssh.key),
        "ansible_become": ssh.user != "root",
        "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes "
        "-o IdentitiesOnly=yes -o BatchMode=yes",
    }


def _options(site: Site, cluster: Cluster) -> dict[str, Any]:
    shared = cluster.shared_address
    return {
        "site_id": site.identity,
        "site_name": site.name,
        "pod_subnet": cluster.pod_subnet,
        "service_subnet": cluster.service_subnet,
        "control_plane_endpoint": cluster.api_endpoint,
        "control_plane_virtual_address": shared.address if shared else "",
        "control_plane_interface": shared.interface if shared else "",
        "control_plane_schedulable": cluster.control_plane_runs_pods,
        "firewall_administration": list(cluster.administration),
        "firewall_services": [service.model_dump(mode="json") for service in cluster.services],
        "firewall_destinations": [destination.model_dump(mode="json") for destination in cluster.destinations],
    }


def _release(parts: ReleaseParts) -> dict[str, Any]:
    return {
        "kubernetes_version": parts.kubernetes_version,
        "kubernetes_images": dataclasses.asdict(parts.kubernetes_images),
        "release_programs": [{**dataclasses.asdict(p), "path": str(p.path)} for p in parts.programs],
        "release_links": dict(parts.links),
        "release_layout": str(parts.layout),
        "preflight_image_bytes": parts.image_bytes,
        "containerd_sandbox_image": parts.sandbox_image,
        "network_chart": str(parts.network_chart),
        "network_images": {"agent": parts.network_agent_image, "operator": parts.network_operator_image},
    }
