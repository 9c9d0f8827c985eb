"""What journeys ask of a cluster: its objects through the API, and the network as a pod sees it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.lab import Lab
    from lab.machine import Running

PATIENCE_SECONDS = 300
# Asks a name server for the IPv4 address of a name and prints it, or what went wrong.
ASK = """
import socket, struct, sys
server, name = sys.argv[1:]
question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\\0" + struct.pack("!2H", 1, 1)
with socket.socket(type=socket.SOCK_DGRAM) as probe:
    probe.settimeout(5)
    try:
        probe.sendto(struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + question, (server, 53))
        answer = probe.recv(512)
    except OSError as error:
        sys.exit(type(error).__name__)
code, count = answer[3] & 15, struct.unpack("!H", answer[6:8])[0]
print(socket.inet_ntoa(answer[-4:]) if count == 1 else f"code {code}, {count} answers")
"""
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "main",
                "imagePullPolicy": "Never",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    },
}


def until(met: Callable[[], bool], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until a condition holds; which one it was stands in the failure."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"it never came that {what}"
        time.sleep(0.5)


@dataclass(frozen=True)
class Kubernetes:
    """The cluster, asked through the first host."""

    lab: Lab

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        argv = ["env", "KUBECONFIG=/etc/kubernetes/admin.conf", "KUBECACHEDIR=/run/kubectl", "kubectl", *arguments]
        return self.lab.host("node1").run(argv, stdin=stdin).stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        return dict(json.loads(self.kubectl("get", *arguments, "--output=json")))

    def pods(self) -> list[dict[str, Any]]:
        """Every pod of every namespace."""
        return list(self.get("pods", "--all-namespaces")["items"])

    def run_pod(self, name: str, node: str, image: str, namespace: str = "default") -> dict[str, Any]:
        """Run a pod on ``node`` from an image that is there, as restricted as pods can be; it, once it is ready."""
        spec = json.loads(json.dumps(POD))
        spec["metadata"] = {"name": name, "namespace": namespace}
        spec["spec"]["nodeName"] = node
        spec["spec"]["containers"][0]["image"] = image
        self.kubectl("apply", "--filename=-", stdin=json.dumps(spec))
        self.kubectl("wait", "--for=condition=Ready", f"--timeout={PATIENCE_SECONDS}s", f"pod/{name}")
        return self.get("pod", name)

    def inside(self, pod: dict[str, Any]) -> list[str]:
        """What, before a command line on the pod's host, runs it in the pod's network: the image has no programs."""
        ended = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        listed = self.host_of(pod).run(["ctr", "--namespace", "k8s.io", "tasks", "list"]).stdout.splitlines()
        (pid,) = [line.split()[1] for line in listed if line.startswith(ended)]
        return ["nsenter", "--net", "--target", pid, "--"]

    def host_of(self, pod: dict[str, Any]) -> Running:
        return self.lab.host(pod["spec"]["nodeName"])

    def answers(self) -> bool:
        """Whether the API does."""
        argv = ["kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", "--raw", "/readyz"]
        return self.lab.host("node1").run(argv, check=False).returncode == 0

    def ready(self) -> bool:
        """Whether every host and every pod that has not done its work says that it is ready."""
        pods = (pod for pod in self.pods() if pod["status"]["phase"] != "Succeeded")
        return all(_is_ready(item) for item in (*self.get("nodes")["items"], *pods))


def _is_ready(item: dict[str, Any]) -> bool:
    return {"type": "Ready", "status": "True"} in [
        {key: condition[key] for key in ("type", "status")} for condition in item["status"].get("conditions", ())
    ]
