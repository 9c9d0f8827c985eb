"""Filters over the lists of what a release brings to hosts: programs and images."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_HEX = 64


class FilterModule:
    """Registers the filters with Ansible."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name of each filter and its function."""
        return {
            "release_destinations": destinations,
            "missing_programs": missing_programs,
            "layout_blobs": layout_blobs,
        }


def destinations(binaries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The programs, each with ``dest``, its path on a host."""
    return [{**b, "dest": str(PurePosixPath(b.get("folder", "/usr/local/bin"), b["name"]))} for b in binaries]


def missing_programs(wanted: Iterable[Mapping[str, Any]], present: Iterable[str]) -> list[Mapping[str, Any]]:
    """Those of ``wanted`` (with ``dest``) that lines of `sha256sum` do not show as they should be."""
    digests = {line[_HEX + 2 :]: line[:_HEX] for line in present}
    return [w for w in wanted if digests.get(w["dest"]) != w["sha256"]]


def layout_blobs(layout: str) -> list[str]:
    """Hex digests of all blobs that an OCI layout's index leads to, each once, sorted.

    Raises ``FileNotFoundError`` when a manifest is not there.
    """
    folder = Path(layout)
    found: set[str] = set()
    waiting = list(json.loads((folder / "index.json").read_text())["manifests"])
    while waiting:
        descriptor = waiting.pop()
        digest = descriptor["digest"].removeprefix("sha256:")
        if digest in found:
            continue
        found.add(digest)
        if "manifest" in descriptor["mediaType"] or "index" in descriptor["mediaType"]:
            document = json.loads((folder / "blobs/sha256" / digest).read_text())
            waiting += document.get("manifests", [])
            waiting += [document["config"]] if "config" in document else []
            waiting += document.get("layers", [])
    return sorted(found)
