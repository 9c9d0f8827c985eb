"""A filter over charts: which of them the cluster does not run as they are, by one reading of what Helm installed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

LABEL = "sovereign.digest"
_LABEL_LENGTH = 63  # Kubernetes' bound: 252 bits of the digest


class FilterModule:
    """Registers the filters with Ansible."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name of each filter and its function."""
        return {"charts_due": charts_due, "charts_back": charts_back, "objects_again": objects_again}


def charts_due(charts: Iterable[Mapping[str, Any]], releases: Iterable[str]) -> list[dict[str, Any]]:
    """Those of ``charts`` whose newest release is not deployed with this archive and these values, with `digest`.

    ``releases`` are lines `NAMESPACE {labels}` of Helm's Secrets. An interrupted or failed release is the newest, and
    so its chart is due, whatever was deployed before it.
    """
    newest = _newest(releases)
    told = [{**chart, "digest": digest(chart)} for chart in charts]
    return [chart for chart in told if not _runs(chart, newest.get((chart["namespace"], chart["name"]), {}))]


def charts_back(charts: Iterable[Mapping[str, Any]], releases: Iterable[str]) -> list[dict[str, Any]]:
    """Where each of ``charts`` stood at ``releases``, in their order, since later ones wait for earlier ones.

    Each is `name`, `namespace` and `revision`.

    A chart that was not deployed then has no place to go back to.
    """
    deployed = _newest(line for line in releases if json.loads(line.partition(" ")[2]).get("status") == "deployed")
    found = []
    for chart in charts:
        at = (chart["namespace"], chart["name"])
        if at in deployed:
            found.append({"name": chart["name"], "namespace": at[0], "revision": str(deployed[at]["version"])})
    return found


def objects_again(listed: str) -> str:
    """Objects as the API gave them, as it takes them again: nothing of what it added itself. JSON, both."""
    items = []
    for item in json.loads(listed)["items"]:
        kept = {name: item["metadata"][name] for name in ("name", "namespace", "labels") if name in item["metadata"]}
        items.append({**{name: value for name, value in item.items() if name != "metadata"}, "metadata": kept})
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _newest(releases: Iterable[str]) -> dict[tuple[str, str], Mapping[str, str]]:
    """Labels of the newest revision of each chart, by namespace and name."""
    newest: dict[tuple[str, str], Mapping[str, str]] = {}
    for line in releases:
        namespace, _, text = line.partition(" ")
        labels = json.loads(text)
        at = (namespace, labels["name"])
        if at not in newest or int(labels["version"]) > int(newest[at]["version"]):
            newest[at] = labels
    return newest


def digest(chart: Mapping[str, Any]) -> str:
    """Of the archive's bytes and the values, as a label holds it."""
    values = json.dumps(chart["values"], sort_keys=True).encode()
    hashed = hashlib.sha256(hashlib.sha256(Path(chart["archive"]).read_bytes()).digest() + values)
    return hashed.hexdigest()[:_LABEL_LENGTH]


def _runs(chart: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return labels.get("status") == "deployed" and labels.get(LABEL) == chart["digest"]
