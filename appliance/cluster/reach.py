"""Entering hosts of a cluster by ssh for what streams: as the roles enter them, with the keys that the site file names.

A host is entered at the address that the site file gives it, whatever the cluster says; what runs there is a list of
words, quoted once for the shell that sshd starts. Kubernetes is asked through a host of the control plane: the first
one that can be entered, so that three of them can do without one.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from appliance.cluster.objects import NAMESPACE
from appliance.errors import DeploymentError, UnavailableError
from appliance.install.process import run, succeeds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from appliance.site.cluster import Cluster

_ADMIN = "/etc/kubernetes/admin.conf"
_KUBECTL = ("env", f"KUBECONFIG={_ADMIN}", "KUBECACHEDIR=/run/sovereign/kubectl", "kubectl")
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_VOLUMES = "/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/{volume}"
_SECONDS = 120.0
_MARK = "/etc/sovereign/site.json"
_OF_THE_SITE = (
    f'grep -qsF "$0" {_MARK} || {{ echo "the host does not bear the mark of this site" >&2; exit 1; }}; exec "$@"'
)
"""For `sh -c`, with the site's identity for its name: runs the words behind it on hosts of that site alone."""


@dataclass(frozen=True)
class Pod:
    """A pod that runs: ``host`` is a host of the site file, by its name there; ``volumes`` are its own, by name."""

    name: str
    uid: str
    host: str
    address: str
    volumes: frozenset[str]


@dataclass(frozen=True)
class Reach:
    """The way to the hosts of ``cluster``, whose site file lies in ``folder``; ``enter`` goes before each command.

    With an ``identity`` nothing runs on a host that does not bear the mark of that very site: hosts that were installed
    from elsewhere since have the same addresses, and keys for ssh. A restore has none: it makes the mark.
    """

    cluster: Cluster
    folder: Path
    enter: Sequence[str] = ()
    identity: str = ""

    def on(self, host: str, *command: str) -> list[str]:
        """The command line that runs ``command`` as root on the host of that name."""
        ssh = self.cluster.ssh
        address = next(one.address for one in self.cluster.hosts if one.name == host)
        options = (
            "BatchMode=yes",
            "ConnectTimeout=15",
            "IdentitiesOnly=yes",
            "LogLevel=ERROR",
            "ServerAliveInterval=15",
            "StrictHostKeyChecking=yes",
            f"UserKnownHostsFile={self.folder / ssh.known_hosts}",
        )
        given = [word for option in options for word in ("-o", option)]
        become: tuple[str, ...] = () if ssh.user == "root" else ("sudo", "-n", "--")
        if self.identity:
            become = (*become, "sh", "-c", _OF_THE_SITE, self.identity)
        key = ("-i", str(self.folder / ssh.key), "-p", str(ssh.port), "-l", ssh.user)
        return [*self.enter, "ssh", "-F", "none", "-T", *given, *key, "--", address, shlex.join([*become, *command])]

    @cached_property
    def member(self) -> str:
        """The host of the control plane that is asked: the first that can be entered and is in it, else the first."""
        first, *others = (host.name for host in self.cluster.control_plane)
        can = (name for name in (first, *others) if succeeds(self.on(name, "test", "-e", _ADMIN)))
        return next(can, first) if others else first

    def kubectl(self, *arguments: str) -> list[str]:
        """The command line that asks Kubernetes."""
        return self.on(self.member, *_KUBECTL, *arguments)

    def inside(self, pod: str, container: str, *command: str) -> list[str]:
        """The command line that runs ``command`` in a pod of the assistant, with this side's stdin."""
        where = (f"--namespace={NAMESPACE}", pod, f"--container={container}")
        return self.kubectl("exec", "--stdin", *where, "--", *command)

    def volume(self, pod: str, name: str) -> str:
        """Where the volume ``name``, in memory, of a running pod lies on its host. Raises ``UnavailableError``."""
        asked = self.kubectl("get", "pod", pod, f"--namespace={NAMESPACE}", "--output=jsonpath={.metadata.uid}")
        uid = said(asked).decode(errors="replace").strip()
        if not _UID.fullmatch(uid):
            raise UnavailableError(f"pod {pod} is not there", "run `sovereign status`")
        return volume_of(uid, name)

    def running(self, app: str) -> tuple[Pod, ...]:
        """Every pod that runs for ``app``, by name. Raises ``UnavailableError`` where none does.

        What the cluster says of them is no place and no address until it looks like one: ``DeploymentError``.
        """
        asked = ("get", "pods", f"--namespace={NAMESPACE}", f"--selector=app.kubernetes.io/name={app}")
        hosts = {host.name for host in self.cluster.hosts}
        found: list[Pod] = []
        try:
            for told in json.loads(said(self.kubectl(*asked, "--output=json")))["items"]:
                if told["status"]["phase"] != "Running" or "deletionTimestamp" in told["metadata"]:
                    continue
                address = str(ipaddress.ip_address(told["status"]["podIP"]))
                name, uid = str(told["metadata"]["name"]), str(told["metadata"]["uid"])
                host = str(told["spec"]["nodeName"])
                volumes = frozenset(str(one["name"]) for one in told["spec"]["volumes"])
                found.append(Pod(name, uid, host, address, volumes))
        except (ValueError, KeyError, TypeError) as error:
            raise DeploymentError("the cluster's answer cannot be read", "run `sovereign status`") from error
        if any(not (_UID.fullmatch(p.uid) and _NAME.fullmatch(p.name) and p.host in hosts) for p in found):
            raise DeploymentError("the cluster tells of a pod that cannot be", "run `sovereign status`")
        if not found:
            raise UnavailableError(f"no pod of {app} runs", "run `sovereign status`")
        return tuple(sorted(found, key=lambda pod: pod.name))

    def pod_of(self, app: str) -> str:
        """Name of the pod that runs for ``app``. Raises ``UnavailableError`` unless one does."""
        asked = ("get", "pods", f"--namespace={NAMESPACE}", f"--selector=app.kubernetes.io/name={app}")
        try:
            found = json.loads(said(self.kubectl(*asked, "--output=json")))["items"]
            running = [str(pod["metadata"]["name"]) for pod in found if pod["status"]["phase"] == "Running"]
        except (ValueError, KeyError, TypeError) as error:
            raise DeploymentError("the cluster's answer cannot be read", "run `sovereign status`") from error
        if not running:
            raise UnavailableError(f"no pod of {app} runs", "run `sovereign status`")
        return running[0]


def volume_of(uid: str, name: str) -> str:
    """Where the volume ``name``, in memory, of the pod ``uid`` lies on its host."""
    return _VOLUMES.format(uid=uid, volume=name)


def said(argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = _SECONDS) -> bytes:
    """What a command line puts out. Raises ``DeploymentError`` with its last lines where it fails."""
    return run(argv, stdin=stdin, timeout_s=timeout_s)
