"""Whether hosts have room for one pod more of a deployment, by what is asked for and promised: as the scheduler counts.

With room the next pod comes first and the former goes when that one is ready; without it the former goes first.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Asked = Mapping[str, Decimal]

_POWERS = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_QUANTITY = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([numkKMGTPE]?)(i?)")
_SMALL = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_ENDED = {"Succeeded", "Failed"}
_KEEPS_OUT = {"NoSchedule", "NoExecute"}
_MIB = 1 << 20
_HAS = ("has", "have")
_NAMESPACE = "sovereign"


class FilterModule:
    """Registers the filters with Ansible."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name of each filter and its function."""
        return {"pods_first": pods_first}


def pods_first(listed: str, manifest: str, name: str, *, together: bool = True) -> dict[str, Any]:
    """How many pods of the deployment ``name`` may come before one goes (`surge`, 0 or 1), and `why`.

    ``listed`` are nodes and pods as the API gives them, ``manifest`` the YAML that has the deployment. ``together``:
    whether pods of both releases can serve from one database. `was` is what the manifest itself says. Where there are
    to be more pods than there are, those come in the same change, and before one goes: they need room as well.
    """
    deployment = next(
        one
        for one in yaml.safe_load_all(manifest)
        if one and one["kind"] == "Deployment" and one["metadata"]["name"] == name
    )
    was = int(deployment["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxSurge", 0))
    if not together:
        return {"surge": 0, "was": was, "why": "the former release cannot read the newer one's database"}
    spec = deployment["spec"]["template"]["spec"]
    asked = asked_by(spec)
    items = json.loads(listed)["items"]
    there = sum(_is_of(deployment, one) for one in items)
    coming = max(1, int(deployment["spec"].get("replicas", 1)) - there + min(1, there))
    left, having, lacking = coming, [], []
    for node in sorted((i for i in items if i["kind"] == "Node"), key=lambda one: str(one["metadata"]["name"])):
        pods = [i for i in items if i["kind"] == "Pod" and i["spec"].get("nodeName") == node["metadata"]["name"]]
        free = free_on(node, pods)
        against = _against(node, spec) or _short(asked, free)
        if against:
            lacking.append(f"{node['metadata']['name']} {against}")
            continue
        left -= _times(asked, free)
        having.append(node["metadata"]["name"])
        if left <= 0:
            all_of_them = "both" if coming == 1 else f"{coming} more"
            return {
                "surge": 1,
                "was": was,
                "why": f"{' and '.join(having)} {_HAS[len(having) > 1]} room for {all_of_them}",
            }
    if coming > 1:
        return {"surge": 0, "was": was, "why": f"hosts have room for {coming - left} of {coming} more pods"}
    return {"surge": 0, "was": was, "why": f"no host has room for both: {'; '.join(lacking) or 'there is none'}"}


def asked_by(spec: Mapping[str, Any]) -> dict[str, Decimal]:
    """What a pod asks for: its containers and those that start before them and stay, or more while it starts."""
    staying: defaultdict[str, Decimal] = defaultdict(Decimal)
    starting: defaultdict[str, Decimal] = defaultdict(Decimal)
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            _add(staying, _requests(container))
        else:
            for kind, amount in _requests(container).items():
                starting[kind] = max(starting[kind], staying[kind] + amount)
    for container in spec.get("containers") or ():
        _add(staying, _requests(container))
    found = {kind: max(staying[kind], starting[kind]) for kind in {*staying, *starting}}
    for kind, amount in (spec.get("overhead") or {}).items():
        found[kind] = found.get(kind, Decimal()) + quantity(amount)
    return {**found, "pods": Decimal(1)}


def free_on(node: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    """What a node may give and has promised to none of ``pods``, which are on it; those that ended have nothing."""
    free = {kind: quantity(amount) for kind, amount in node["status"]["allocatable"].items()}
    for pod in pods:
        if pod["status"].get("phase") not in _ENDED:
            for kind, amount in asked_by(pod["spec"]).items():
                free[kind] = free.get(kind, Decimal()) - amount
    return free


def quantity(text: Any) -> Decimal:
    """A quantity of Kubernetes as a number. Raises ``ValueError`` for what is none."""
    found = _QUANTITY.fullmatch(str(text))
    if found is None:
        raise ValueError(f"no quantity: {text}")
    number, suffix, binary = Decimal(found[1]), found[2], found[3]
    if suffix in _SMALL:
        return number * _SMALL[suffix]
    return number * (1024 if binary else 1000) ** _POWERS[suffix.replace("K", "k")]


def _requests(container: Mapping[str, Any]) -> dict[str, Decimal]:
    asked = (container.get("resources") or {}).get("requests") or {}
    return {kind: quantity(amount) for kind, amount in asked.items()}


def _add(total: defaultdict[str, Decimal], more: Asked) -> None:
    for kind, amount in more.items():
        total[kind] += amount


def _against(node: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """Why no pod of ``spec`` comes to ``node``, whatever is free there; empty where one may."""
    if not any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", ())):
        return "is not ready"
    if node["spec"].get("unschedulable"):
        return "takes no pods"
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] in _KEEPS_OUT and not any(_tolerates(t, taint) for t in spec.get("tolerations") or ()):
            return "takes no pods of people's work"
    wanted, labels = spec.get("nodeSelector") or {}, node["metadata"].get("labels", {})
    return "" if wanted.items() <= labels.items() else "is not one that it may be on"


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in {None, "", taint["effect"]}:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in {None, "", taint["key"]}
    return bool(toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""))


def _is_of(deployment: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Whether it is a pod of the deployment that stays."""
    if item["kind"] != "Pod" or item["status"].get("phase") in _ENDED or "deletionTimestamp" in item["metadata"]:
        return False
    wanted = deployment["spec"].get("selector", {}).get("matchLabels", {})
    same = item["metadata"].get("namespace") == _NAMESPACE
    return bool(same and wanted and wanted.items() <= item["metadata"].get("labels", {}).items())


def _times(asked: Asked, free: Asked) -> int:
    """For how many of the same there is room."""
    return min(int(free.get(kind, Decimal()) // amount) for kind, amount in asked.items() if amount)


def _short(asked: Asked, free: Asked) -> str:
    """What is missing, each with what is free and what is asked for; empty where nothing is."""
    short = [kind for kind in sorted(asked) if asked[kind] > free.get(kind, Decimal())]
    said = (f"{kind} ({_shown(kind, free.get(kind, Decimal()))} free of {_shown(kind, asked[kind])})" for kind in short)
    return f"lacks {', '.join(said)}" if short else ""


def _shown(kind: str, amount: Decimal) -> str:
    if kind == "memory":
        return f"{int(amount // _MIB)} MiB"
    return f"{amount.normalize():f}"
