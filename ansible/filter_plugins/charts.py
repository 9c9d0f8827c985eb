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
        return {"charts_due": charts_due}


def charts_due(charts: Iterable[Mapping[str, Any]], releases: Iterable[str]) -> list[dict[str, Any]]:
    """Those of ``charts`` whose newest release is not deployed with this archive and these values, with `digest`.

    ``releases`` are lines `NAMESPACE {labels}` of Helm's Secrets. An interrupted or failed release is the newest, and
    so its chart is due, whatever was deployed before it.
    """
    newest: dict[tuple[str, str], Mapping[str, str]] = {}
    for line in releases:
        namespace, _, text = line.partition(" ")
        labels = json.loads(text)
        at = (namespace, labels["name"])
        if at not in newest or int(labels["version"]) > int(newest[at]["version"]):
            newest[at] = labels
    told = [{**chart, "digest": digest(chart)} for chart in charts]
    return [chart for chart in told if not _runs(chart, newest.get((chart["namespace"], chart["name"]), {}))]


def digest(chart: Mapping[str, Any]) -> str:
    """Of the archive's bytes and the values, as a label holds it."""
    values = json.dumps(chart["values"], sort_keys=True).encode()
    hashed = hashlib.sha256(hashlib.sha256(Path(chart["archive"]).read_bytes()).digest() + values)
    return hashed.hexdigest()[:_LABEL_LENGTH]


def _runs(chart: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return labels.get("status") == "deployed" and labels.get(LABEL) == chart["digest"]
