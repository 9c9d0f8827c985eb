"""Says how a host of a cluster is, as one JSON object; the role appends what is asked. Reads, and changes nothing.

Runs on hosts with their distribution's Python. Of certificates it tells the public half; what may hold a secret is not
read but for that.
"""

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

UNITS = ("containerd.service", "kubelet.service", "sovereign-firewall.service", "sovereign-images.timer")
SHARING, SHARED = "keepalived.service", Path("/usr/local/lib/sovereign-api-ready")
OBSERVER, OBSERVED = Path("/etc/systemd/system/sovereign-observer.service"), Path("/run/sovereign-observer/status.json")
CHANGING = Path("/etc/sovereign/changing")
ADMIN = "/etc/kubernetes/admin.conf"
CONFIGURATIONS, PKI = Path("/etc/kubernetes"), Path("/etc/kubernetes/pki")
KUBELET = Path("/var/lib/kubelet/pki/kubelet-client-current.pem")
KINDS = "nodes,pods,deployments,statefulsets,daemonsets,persistentvolumeclaims"
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)
SHOWN = re.compile(r"client-certificate-data: (\S+)")
AGENT, DENIED = Path("/run/cilium"), Path("/run/cilium/hubble")
PODS = Path("/var/log/pods")
LOG_CHARACTERS = 128 * 1024


def ran(*argv: str) -> Any:
    """What a program prints; None when it fails, does not end, or is not there."""
    if shutil.which(argv[0]) is None:
        return None
    environment = {**os.environ, "KUBECACHEDIR": "/run/sovereign/kubectl"}  # nothing of it stays on the host
    try:
        done = subprocess.run(argv, capture_output=True, check=False, text=True, timeout=60, env=environment)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


def units() -> Any:
    """Units that are to be active here."""
    observer = (OBSERVER.name,) if OBSERVER.exists() else ()
    return (*UNITS, *observer, SHARING) if SHARED.exists() else (*UNITS, *observer)


def observed() -> Any:
    """How far what this host observes is in the audit log, as its observer says; None where it says nothing."""
    try:
        return json.loads(OBSERVED.read_text())
    except (OSError, ValueError):
        return None


def changing() -> Any:
    """To which Kubernetes this host is on its way, and at which step; None where it is on none."""
    try:
        return json.loads(CHANGING.read_text())
    except (OSError, ValueError):
        return None


def certificates() -> Any:
    """Certificates of Kubernetes on this host, by what they are called: PEM."""
    found = {}
    for path in sorted(PKI.rglob("*.crt")):
        found[str(path.relative_to(PKI).with_suffix(""))] = path.read_text()
    for path in sorted(CONFIGURATIONS.glob("*.conf")):
        shown = SHOWN.search(path.read_text())
        if shown:
            found[path.name] = base64.b64decode(shown[1]).decode()
    if KUBELET.exists():
        found["kubelet"] = KUBELET.read_text()
    return {name: first[0] for name, text in found.items() if (first := PEM.search(text))}


def condition(thing: Any, name: str) -> bool:
    """Whether a condition of an object holds."""
    return any(c["type"] == name and c["status"] == "True" for c in thing["status"].get("conditions", ()))


def node(found: Any) -> Any:
    """A node in short."""
    labels = found["metadata"]["labels"]
    return {
        "name": found["metadata"]["name"],
        "ready": condition(found, "Ready"),
        "version": found["status"]["nodeInfo"]["kubeletVersion"],
        "schedulable": not found["spec"].get("unschedulable", False),
        "control_plane": "node-role.kubernetes.io/control-plane" in labels,
        "pressure": [
            c["type"] for c in found["status"]["conditions"] if c["type"] != "Ready" and c["status"] == "True"
        ],
    }


def workload(found: Any) -> Any:
    """A workload in short: how many of it are wanted, and how many are ready."""
    status = found["status"]
    wanted = found["spec"].get("replicas", status.get("desiredNumberScheduled", 0))
    ready = status.get("readyReplicas", status.get("numberReady", 0))
    return {**named(found), "kind": found["kind"], "wanted": wanted, "ready": ready}


def named(found: Any) -> Any:
    """Where an object is."""
    return {"namespace": found["metadata"]["namespace"], "name": found["metadata"]["name"]}


def pod(found: Any) -> Any:
    """A pod in short, with the reason why it waits."""
    owners, phase = found["metadata"].get("ownerReferences", ()), found["status"]["phase"]
    ended = phase == "Succeeded" or (phase == "Failed" and owners)  # whose it was has another, or says what it lacks
    return {
        **named(found),
        "node": found["spec"].get("nodeName", ""),
        "address": found["status"].get("podIP", ""),
        "own_network": not found["spec"].get("hostNetwork", False),
        "owner": owners[0]["name"] if owners else found["metadata"]["name"],
        "ready": condition(found, "Ready") or bool(ended),
        "ended": phase in {"Succeeded", "Failed"},
        "started": found["status"].get("startTime", ""),
        "reason": reason(found),
        "restarts": sum(c["restartCount"] for c in found["status"].get("containerStatuses", ())),
        "images": sorted({state["imageID"].rpartition("@")[2] for state in states(found) if state.get("imageID")}),
    }


def states(found: Any) -> Any:
    """Of every container of a pod, those that someone put in to look at it among them."""
    kinds = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    return [state for kind in kinds for state in found["status"].get(kind, ())]


def reason(found: Any) -> Any:
    """Why a pod is not ready, as its containers or the scheduler say."""
    for state in states(found):
        for kind in ("waiting", "terminated"):
            said = state["state"].get(kind, {})
            if said.get("reason") not in {None, "Completed", "PodInitializing"}:
                return f"{state['name']}: {said['reason']}"
    for said in found["status"].get("conditions", ()):
        if said["type"] == "PodScheduled" and said["status"] != "True":
            return said.get("message", said.get("reason", "not scheduled"))
    return found["status"]["phase"]


def cluster() -> Any:
    """The cluster as this host's API server tells it; None where there is none, or it does not answer."""
    if not Path(ADMIN).exists():
        return None
    said = ran("kubectl", f"--kubeconfig={ADMIN}", "--request-timeout=20s", "get", KINDS, "-A", "--output=json")
    if said is None:
        return None
    items = json.loads(said)["items"]
    kinds = {kind: [i for i in items if i["kind"] == kind] for kind in {i["kind"] for i in items}}
    return {
        "nodes": [node(i) for i in kinds.get("Node", ())],
        "pods": [pod(i) for i in kinds.get("Pod", ())],
        "workloads": [workload(i) for k in ("StatefulSet", "Deployment", "DaemonSet") for i in kinds.get(k, ())],
        "unbound": [named(i) for i in kinds.get("PersistentVolumeClaim", ()) if i["status"]["phase"] != "Bound"],
    }


def refused(now: float) -> Any:
    """What the host's firewall refused: packets by direction, and who tried to send where."""
    said = ran("nft", "-j", "list", "table", "inet", "sovereign")
    if said is None:
        return None
    parts = json.loads(said)["nftables"]
    counters = {p["counter"]["name"]: p["counter"]["packets"] for p in parts if "counter" in p}
    tried, noted = [], next((p["set"] for p in parts if "set" in p and p["set"]["name"] == "tried"), {})
    for listed in noted.get("elem", ()):
        element = listed["elem"]
        source, destination, protocol, port = element["val"]["concat"]
        seen = now - (element.get("timeout", noted["timeout"]) - element["expires"])
        count = element.get("counter", {}).get("packets", 1)
        told = {"source": source, "destination": destination, "protocol": protocol, "port": port}
        tried.append({**told, "count": count, "last_seen": seen})
    return {"counters": counters, "tried": tried, "room": noted.get("size", 1)}


def denied() -> Any:
    """What network policies denied, a row for each source and destination; None where their agent does not run."""
    if not AGENT.is_dir():
        return None
    rows = {}
    for path in sorted(DENIED.glob("denied*.log")):
        for line in path.read_text(errors="replace").splitlines():
            try:
                flow = json.loads(line)["flow"]
            except (ValueError, KeyError):
                continue  # the last line may be half written
            source, destination = end(flow, "source"), end(flow, "destination")
            protocol, ports = next(iter(flow.get("l4", {}).items()), ("", {}))
            key = (source, destination, protocol.lower(), ports.get("destination_port", 0))
            row = rows.setdefault(key, {"count": 0, "last_seen": "", "reason": flow.get("drop_reason_desc", "")})
            row["count"] += 1
            row["last_seen"] = max(row["last_seen"], flow.get("time", ""))
    keys = ("source", "destination", "protocol", "port")
    return [{**dict(zip(keys, key)), **row} for key, row in sorted(rows.items())]  # noqa: B905 - Python 3.9's as well


def end(flow: Any, which: str) -> str:
    """`namespace/pod` of one end of a flow, or its address."""
    about = flow.get(which, {})
    if about.get("pod_name"):
        return f"{about.get('namespace', '')}/{about['pod_name']}"
    return flow.get("IP", {}).get(which, "?")


def logs() -> Any:
    """Ends of the logs of Kubernetes and of the pods on this host, by a name that says whose they are."""
    found = {}
    for unit in units():
        said = ran("journalctl", "--no-pager", "--lines=1500", f"--unit={unit}")
        if said:
            found[unit] = said if len(said) <= LOG_CHARACTERS else said[-LOG_CHARACTERS:].partition("\n")[2]
    for path in sorted(PODS.glob("*/*/*.log"), key=changed):
        pod_name = path.parent.parent.name.rsplit("_", 1)[0]
        with contextlib.suppress(FileNotFoundError):  # its pod was taken away meanwhile
            found[f"{pod_name}/{path.parent.name}.{path.stem}"] = end_of(path)
    return found


def changed(path: Path) -> Any:
    """When a log was last written: of two pods of one name, the one that is gone stands before the other."""
    try:
        return path.stat().st_mtime_ns, str(path)
    except FileNotFoundError:
        return 0, str(path)


def end_of(path: Path) -> str:
    """The end of a container's log: whole lines, each as the container wrote it."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - LOG_CHARACTERS, 0))
        read = file.read(LOG_CHARACTERS).decode(errors="replace")
    cut = size > LOG_CHARACTERS
    return joined(read.partition("\n")[2] if cut else read, cut=cut or any(path.parent.glob(f"{path.name}.*")))


def joined(text: str, *, cut: bool) -> str:
    """Lines that the runtime split, which it marks `P`, put together: half a field is not known for what it is.

    Of a text that was cut, or whose file goes on from another, the first line of each stream may be such a half.
    """
    told, open_lines, begun = [], {}, set()
    for line in text.splitlines():
        parts = line.split(" ", 3)
        if len(parts) < 4 or parts[1] not in {"stdout", "stderr"} or parts[2] not in {"P", "F"}:  # noqa: PLR2004
            told.append(line)
            continue
        time_, stream, mark, content = parts
        open_lines.setdefault(stream, [time_]).append(content)
        if mark == "F":
            first, *contents = open_lines.pop(stream)
            if stream in begun or not cut:
                told.append(f"{first} {stream} F {''.join(contents)}")
            begun.add(stream)
    for stream, (first, *contents) in open_lines.items():
        if stream in begun or not cut:
            told.append(f"{first} {stream} P {''.join(contents)}")
    return "".join(f"{line}\n" for line in told)


def main(subjects: str) -> None:
    """Print the reading."""
    now = time.time()
    told = {
        "time": now,
        "disk_free": shutil.disk_usage("/var/lib").free,
        "units": {
            unit: (ran("systemctl", "show", "--property=ActiveState", "--value", unit) or "").strip()
            for unit in units()
        },
        "observed": observed(),
        "changing": changing(),
        "certificates": certificates(),
        "cluster": cluster(),
    }
    if "egress" in subjects:
        told |= {"firewall": refused(now), "denied": denied(), "denied_rotated": any(DENIED.glob("denied-*.log"))}
    if "logs" in subjects:
        told |= {"logs": logs()}
    sys.stdout.write(json.dumps(told))
