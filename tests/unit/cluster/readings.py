"""What two hosts say about themselves, as the role `looking` hands it on; tests change what they are about."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from appliance.cluster.standing import Standing
from appliance.cluster.state import ClusterState, KnownHost
from appliance.install import ca
from appliance.site.cluster import ClusterSite

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HOSTS = ("node1", "node2")


def known(*left: KnownHost) -> Standing:
    """A cluster of two hosts, the first of which is its control plane."""
    hosts = [{"name": name, "address": f"10.1.0.{i}"} for i, name in enumerate(HOSTS, 1)]
    hosts[0]["role"] = "control-plane"
    cluster = {
        "hosts": hosts,
        "ssh": {"key": "id", "known_hosts": "known"},
        "administration": ["10.1.0.9/32"],
    }
    described = ClusterSite.model_validate_json(
        json.dumps({"schema": 1, "name": "lab", "profile": "cluster", "cluster": cluster})
    )
    touched = tuple(KnownHost(host["name"], host["address"]) for host in hosts)
    return Standing(ClusterState("1d", str(Path("site.yaml")), (*left, *touched), "1.0.0"), described)


def certificate(days: int) -> str:
    """A certificate that ends so many days after ``NOW``, and some hours."""
    authority = ca.create_links_authority("lab", "example", NOW - timedelta(days=ca.LEAF_DAYS - days, hours=-6))
    return ca.issue_link(authority, "x.example", NOW - timedelta(days=ca.LEAF_DAYS - days, hours=-6)).chain.decode()


def node(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "ready": True,
        "version": "v1.36.3",
        "schedulable": True,
        "control_plane": name == "node1",
        "pressure": [],
    }


def pod(name: str, host: str, address: str, owner: str, namespace: str = "sovereign") -> dict[str, Any]:
    return {
        "namespace": namespace,
        "name": name,
        "node": host,
        "address": address,
        "own_network": namespace != "kube-system",
        "owner": owner,
        "ready": True,
        "ended": False,
        "started": "2026-11-26T11:00:00Z",
        "reason": "Running",
        "restarts": 0,
    }


def cluster() -> dict[str, Any]:
    """A Deployment and a StatefulSet of the assistant, and the network's agent."""

    def workload(kind: str, name: str, namespace: str = "sovereign") -> dict[str, Any]:
        return {"namespace": namespace, "kind": kind, "name": name, "wanted": 1, "ready": 1}

    return {
        "nodes": [node(name) for name in HOSTS],
        "pods": [
            pod("assistant-5d9-abc", "node2", "10.244.1.7", "assistant-5d9"),
            pod("audit-0", "node2", "10.244.1.8", "audit"),
            pod("cilium-x", "node1", "10.1.0.1", "cilium", "kube-system"),
        ],
        "workloads": [workload("Deployment", "assistant"), workload("StatefulSet", "audit")],
        "unbound": [],
    }


def reading(host: str) -> dict[str, Any]:
    """A host with which nothing is wrong."""
    units = ("containerd.service", "kubelet.service", "sovereign-firewall.service", "sovereign-images.timer")
    return {
        "time": NOW.timestamp(),
        "disk_free": 40 << 30,
        "units": dict.fromkeys(units, "active"),
        "certificates": {"apiserver": certificate(300), "ca": certificate(390)} if host == "node1" else {},
        "cluster": cluster() if host == "node1" else None,
    }


def readings() -> dict[str, Any]:
    return {host: reading(host) for host in HOSTS}
