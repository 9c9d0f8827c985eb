"""The administrator's desk of three control planes: a bundle, a site file, the commands as they are typed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from airgap_bundle.trust_state import fingerprint
from tests.bundles import root_bytes
from tests.e2e.cluster_ha.release import kubernetes_alone
from tests.e2e.two_hosts.administrator import SOVEREIGN, Desk
from tests.e2e.two_hosts.clusters import LAB_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

BALANCED = bool(os.environ.get("SOVEREIGN_TEST_BALANCED"))
"""Whether the API is behind a balancer of the site's own, instead of an address that hosts share."""
API = "10.77.0.30" if BALANCED else "10.77.0.20"
MEMBERS = ("node1", "node2", "node3")


@dataclass(frozen=True)
class HighDesk(Desk):
    """A site of three control planes behind one address, without an assistant."""

    def prepare(self) -> None:
        """Build and sign the bundle; describe the site. Whoever works on the journey itself keeps the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n")
        if not (self.folder / "root.json").exists():
            kubernetes_alone(self.folder)
            (self.folder / "root.json").write_bytes(root_bytes())
        shutil.copy(LAB_SETTINGS, self.folder / "lab.yaml")
        self.describe()

    def describe(self, workers: Sequence[str] = (), members: Sequence[str] = MEMBERS) -> None:
        """Write the site file, with these control planes and workers."""
        described = self.described()
        seats = {seat.node.name: seat.node.address for seat in self.lab.state().seats}
        hosts = [{"name": name, "address": seats[name], "role": "control-plane"} for name in members]
        hosts += [{"name": name, "address": seats[name]} for name in workers]
        shared = {"shared_address": {"address": API, "interface": "host0"}}
        described["cluster"] |= {"hosts": hosts, **({"endpoint": API} if BALANCED else shared)}
        del described["cluster"]["services"], described["assistant"]
        (self.folder / "site.yaml").write_text(yaml.safe_dump(described))

    def install(self) -> dict[str, Any]:
        """`sovereign install --profile cluster`, as data."""
        asked = ("install", str(self.folder / "bundle"), "--profile", "cluster", "--output", "json")
        root = str(fingerprint((self.folder / "root.json").read_bytes()))
        named = ("--config", str(self.folder / "site.yaml"), "--root", root)
        return dict(json.loads(self.sovereign(*asked, *named)))

    def status(self) -> dict[str, Any]:
        """`sovereign status`, which ends with 5 while something waits."""
        argv = self.entering([*SOVEREIGN, "--site", str(self.site), "status", "--output", "json"])
        return dict(json.loads(subprocess.run(argv, capture_output=True, check=False).stdout))
