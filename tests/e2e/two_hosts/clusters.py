"""A site of two lab hosts as the installer sees it, with a release that brings nothing: enough to judge hosts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from appliance.cluster.inventory import Site, inventory
from appliance.cluster.parts import KubernetesImages, ReleaseParts
from appliance.cluster.playbook import run
from appliance.site.cluster import Cluster

if TYPE_CHECKING:
    from appliance.cluster.events import Event
    from lab.lab import Lab

LAB_SETTINGS = Path(__file__).parents[3] / "lab/cluster.yaml"


@dataclass
class LabSite:
    """The administrator's side. ``fields`` replace those of the site file, ``settings`` options of the roles."""

    lab: Lab
    folder: Path
    parts: ReleaseParts
    identity: str = "5b1f1a2e-lab"
    events: list[Event] = field(default_factory=list)

    def cluster(self, **fields: Any) -> Cluster:
        hosts = [{"name": seat.node.name, "address": seat.node.address} for seat in self.lab.state().seats]
        hosts[0]["role"] = "control-plane"
        access = self.lab.access
        given = {
            "hosts": hosts,
            "ssh": {"key": str(access.key), "known_hosts": str(access.known_hosts)},
            "administration": ["10.77.0.1/32"],
            "pod_subnet": "10.88.0.0/16",
            "service_subnet": "10.96.0.0/16",
        }
        return Cluster.model_validate_json(json.dumps({**given, **fields}))

    def run(self, playbook: str, *, settings: dict[str, Any] | None = None, **fields: Any) -> dict[str, int]:
        """Run a playbook as the installer does; how many tasks changed something, by host."""
        self.events.clear()
        options = {**yaml.safe_load(LAB_SETTINGS.read_text()), **(settings or {})}
        hosts = inventory(Site("lab", self.identity, self.folder), self.cluster(**fields), self.parts, settings=options)
        return run(playbook, hosts, self.events.append, enter=self.lab.from_outside([]))


def empty_parts(folder: Path) -> ReleaseParts:
    """A release without a program or an image."""
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": []}))
    images = KubernetesImages("registry.example", "v1", "registry.example", "v1")
    return ReleaseParts(
        "v1.36.3", (), folder, 0, images, "registry.example/pause:v1", folder / "chart.tgz", "agent", "operator"
    )
