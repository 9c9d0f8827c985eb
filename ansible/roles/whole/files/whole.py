"""Waits until what every cluster has is there on every host; ends with what is not.

Runs on a control plane, from stdin, with the seconds to wait and ``open`` or ``kept``: whether hosts of the control
plane take other pods. kubeadm marks them when they come in; a site file may say otherwise later, so the mark is set or
taken off here. Pods that run there when it is set stay (Kubernetes: effect NoSchedule).

Kubernetes' own namespaces but the one of its parts let in restricted pods alone, where nobody gave them another level.

Names are told by two pods, which began on the one host that there was. Where there are more by now, and both pods are
on one, it ends one of them, which comes up elsewhere. Prints in JSON which hosts' mark it changed, which namespaces it
narrowed, and which pods it ended.
"""

import json
import subprocess
import sys

KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--namespace=kube-system")
PARTS = ("daemonset/cilium", "deployment/cilium-operator", "daemonset/kube-proxy", "deployment/coredns")
PATIENCE = f"--timeout={sys.argv[1]}s"
KEPT = sys.argv[2] == "kept"
MARK = "node-role.kubernetes.io/control-plane"
LEVEL = "pod-security.kubernetes.io/enforce"
NARROWED = ("default", "kube-node-lease", "kube-public")


def told(*arguments: str) -> str:
    """What kubectl prints. Ends the program with what it said where it fails."""
    done = subprocess.run([*KUBECTL, *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit((done.stderr or done.stdout).strip())
    return done.stdout


def marked() -> "list[str]":
    """Marks the control plane's hosts as they are to be; those that were not."""
    nodes = json.loads(told("get", "nodes", f"--selector={MARK}", "--output=json"))["items"]
    held = {node["metadata"]["name"]: [taint["key"] for taint in node["spec"].get("taints", ())] for node in nodes}
    other = sorted(name for name, marks in held.items() if (MARK in marks) != KEPT)
    if other:
        told("taint", "node", *other, f"{MARK}:NoSchedule" if KEPT else f"{MARK}-")
    return other


def narrowed() -> "list[str]":
    """Has namespaces in which nobody is to run anything let in restricted pods alone; those that let in all."""
    found = json.loads(told("get", "namespaces", "--output=json"))["items"]
    free = {i["metadata"]["name"] for i in found if LEVEL not in i["metadata"].get("labels", {})}
    wide = sorted(free.intersection(NARROWED))
    if wide:
        told("label", "namespace", *wide, f"{LEVEL}=restricted")
    return wide


def together() -> "list[str]":
    """The pods that tell names, where all of them are on one host and another could have one; else none."""
    listed = json.loads(told("get", "nodes,pods", "--output=json"))["items"]
    hosts = [i for i in listed if i["kind"] == "Node" and not i["spec"].get("unschedulable")]
    pods = [i for i in listed if i["kind"] == "Pod" and i["metadata"]["labels"].get("k8s-app") == "kube-dns"]
    staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    places = {pod["spec"].get("nodeName") for pod in staying}
    alike = len(places) == 1 < min(len(staying), len(hosts))
    return sorted(pod["metadata"]["name"] for pod in staying) if alike else []


told("wait", "--for=condition=Ready", "node", "--all", PATIENCE)
told("rollout", "status", *PARTS, PATIENCE)
other, wide = marked(), narrowed()
moved = together()[:1]
if moved:
    told("delete", "pod", "--wait=false", *moved)
    told("rollout", "status", "deployment/coredns", PATIENCE)
sys.stdout.write(json.dumps({"marked": other, "narrowed": wide, "moved": moved}))
