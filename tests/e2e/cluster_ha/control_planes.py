"""What the journey asks of control planes: etcd's members, who holds the shared address, and when it did not answer."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.e2e.cluster_ha.desk import API, MEMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab

PKI = "/etc/kubernetes/pki/etcd"
ETCDCTL = (
    *("etcdctl", "--endpoints=https://127.0.0.1:2379", f"--cacert={PKI}/ca.crt", "--write-out=json"),
    *(f"--cert={PKI}/healthcheck-client.crt", f"--key={PKI}/healthcheck-client.key"),
)
# Asks the API at an address twice a second until its stdin ends; then prints how many seconds it was silent at most.
ASK = """
import select, ssl, sys, time, urllib.request
context = ssl._create_unverified_context()
answered, longest, count = time.monotonic(), 0.0, 0
print("asking", flush=True)
while not select.select([sys.stdin], [], [], 0.5)[0]:
    try:
        urllib.request.urlopen(f"https://{sys.argv[1]}:6443/readyz", timeout=1.5, context=context).close()
    except OSError:
        continue
    now = time.monotonic()
    longest, answered, count = max(longest, now - answered), now, count + 1
print(max(longest, time.monotonic() - answered), count)
"""


@dataclass
class Silence:
    """How long the API did not answer at most, in seconds, and how often it did; known once the asking has ended."""

    seconds: float = 0.0
    answers: int = field(default=0)


@dataclass(frozen=True)
class ControlPlanes:
    """The control planes of the lab."""

    lab: Lab

    def kubectl(self, host: str, *arguments: str, stdin: str | None = None) -> str:
        """What Kubernetes says, asked from ``host``, whose settings name the API's one address."""
        argv = ["env", "KUBECONFIG=/etc/kubernetes/admin.conf", "KUBECACHEDIR=/run/kubectl", "kubectl", *arguments]
        return self.lab.host(host).run(argv, stdin=stdin).stdout

    def nodes(self, host: str) -> dict[str, bool]:
        """Every host of the cluster, and whether it is ready."""
        items = json.loads(self.kubectl(host, "get", "nodes", "--output=json"))["items"]
        return {node["metadata"]["name"]: _is_ready(node) for node in items}

    def members(self, host: str) -> set[str]:
        """Members of etcd that vote, as the one on ``host`` knows them."""
        listed = json.loads(self.lab.host(host).run([*ETCDCTL, "member", "list"]).stdout)["members"]
        return {member["name"] for member in listed if not member.get("isLearner")}

    def healthy(self, host: str) -> set[str]:
        """Addresses of the members that answer for themselves, asked from ``host``."""
        asked = self.lab.host(host).run([*ETCDCTL, "endpoint", "health", "--cluster"], check=False).stdout
        return {e["endpoint"].removeprefix("https://").rpartition(":")[0] for e in json.loads(asked) if e["health"]}

    def holders(self) -> list[str]:
        """Hosts that run and have the shared address."""
        running = [s.node.name for s in self.lab.state().seats if s.process and s.process.alive]
        return [name for name in running if f" {API}/32" in self.lab.host(name).run(["ip", "-4", "address"]).stdout]

    @contextmanager
    def asked(self) -> Iterator[Silence]:
        """Ask the API at its one address all the while, from the administrator's side."""
        argv = self.lab.from_outside([sys.executable, "-c", ASK, API])
        asking = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        found = Silence()
        try:
            assert asking.stdout is not None
            assert asking.stdout.readline() == "asking\n"
            yield found
        finally:
            told, _ = asking.communicate("\n")
        seconds, answers = told.split()
        found.seconds, found.answers = float(seconds), int(answers)

    def others(self, name: str) -> list[str]:
        """The members that are not ``name``."""
        return [member for member in MEMBERS if member != name]


def _is_ready(node: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", ()))
