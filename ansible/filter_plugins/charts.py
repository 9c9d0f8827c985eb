"""Filters over charts: which of them a cluster does not run as they are, and what is kept of a former release's.

One reading of what Helm installed says how charts stand; nothing else of Helm is asked.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

LABEL = "sovereign.digest"
WAY = "sovereign.way"
_LABEL_LENGTH = 63  # Kubernetes' bound: 252 bits of the digest


class FilterModule:
    """Registers the filters with Ansible."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name of each filter and its function."""
        return {
            "charts_due": charts_due,
            "charts_back": charts_back,
            "former_kept": former_kept,
            "former_of": former_of,
        }


def charts_due(charts: Iterable[Mapping[str, Any]], releases: Iterable[str]) -> list[dict[str, Any]]:
    """Those of ``charts`` whose newest release is not deployed with this archive and these values, with `digest`.

    ``releases`` are lines `NAMESPACE {labels}` of Helm's Secrets. An interrupted or failed release is the newest, and
    so its chart is due, whatever was deployed before it.
    """
    newest = _newest(releases)
    told = [{**chart, "digest": digest(chart)} for chart in charts]
    return [chart for chart in told if not _runs(chart, newest.get((chart["namespace"], chart["name"]), {}))]


def charts_back(kept: Iterable[Mapping[str, str]], releases: Iterable[str]) -> list[dict[str, str]]:
    """Those of ``kept`` charts that do not run as they did, each with the `revision` that does; in their order.

    A chart is known by its digest: history forgets old revisions, and going back to one makes a new one of the same.
    Where a chart had none its revision is the one that was kept, if it is there still; else it has no place to go to.
    """
    listed = list(releases)
    newest, found = _newest(listed), []
    for chart in kept:
        at = (chart["namespace"], chart["name"])
        if _is(chart, newest.get(at, {})) and newest[at].get("status") == "deployed":
            continue
        same = [labels for place, labels in _all(listed) if place == at and _is(chart, labels) and _ran(labels)]
        if same:
            revision = str(max(int(labels["version"]) for labels in same))
            found.append({"name": chart["name"], "namespace": at[0], "revision": revision})
    return found


def former_kept(listed: str, charts: Iterable[Mapping[str, Any]], releases: Iterable[str], way: str) -> str:
    """A Secret that keeps what the former release has, for the way of that name, as JSON.

    ``listed`` are its objects as the API gave them, and of each of ``charts`` what ``releases`` have deployed.
    """
    deployed = _newest(line for line in releases if json.loads(line.partition(" ")[2]).get("status") == "deployed")
    stand = []
    for chart in charts:
        if (labels := deployed.get((chart["namespace"], chart["name"]))) is not None:
            at = {"name": chart["name"], "namespace": chart["namespace"]}
            stand.append({**at, "revision": str(labels["version"]), "digest": str(labels.get(LABEL, ""))})
    parts = {"objects": gzip.compress(objects_again(listed).encode(), mtime=0), "charts": json.dumps(stand).encode()}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": "sovereign-former", "namespace": "kube-system", "labels": {WAY: way}},
        "data": {name: base64.b64encode(data).decode() for name, data in parts.items()},
    }
    return json.dumps(secret)


def former_of(kept: str, way: str) -> dict[str, Any]:
    """What ``former_kept`` put into a Secret: `objects`, as JSON, and `charts`; empty where it is of another way."""
    secret = json.loads(kept) if kept.strip() else {}
    if not way or secret.get("metadata", {}).get("labels", {}).get(WAY) != way:
        return {}
    parts = {name: base64.b64decode(data) for name, data in secret["data"].items()}
    return {"objects": gzip.decompress(parts["objects"]).decode(), "charts": json.loads(parts["charts"])}


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
    for at, labels in _all(releases):
        if at not in newest or int(labels["version"]) > int(newest[at]["version"]):
            newest[at] = labels
    return newest


def _all(releases: Iterable[str]) -> Iterator[tuple[tuple[str, str], Mapping[str, str]]]:
    """Namespace and name, and the labels, of every revision."""
    for line in releases:
        namespace, _, text = line.partition(" ")
        labels = json.loads(text)
        yield (namespace, labels["name"]), labels


def _is(kept: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a revision is of the chart, and of the values, that were kept."""
    if kept["digest"]:
        return labels.get(LABEL) == kept["digest"]
    return str(labels.get("version")) == kept["revision"]


def _ran(labels: Mapping[str, str]) -> bool:
    return labels.get("status") in {"deployed", "superseded"}


def digest(chart: Mapping[str, Any]) -> str:
    """Of the archive's bytes and the values, as a label holds it."""
    values = json.dumps(chart["values"], sort_keys=True).encode()
    hashed = hashlib.sha256(hashlib.sha256(Path(chart["archive"]).read_bytes()).digest() + values)
    return hashed.hexdigest()[:_LABEL_LENGTH]


def _runs(chart: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return labels.get("status") == "deployed" and labels.get(LABEL) == chart["digest"]
