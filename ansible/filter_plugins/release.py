"""Filters over the lists of what a release brings to hosts: programs and images."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MEMBER = "/etc/sovereign/control-plane"
_SMALL = 1 << 20
_PLACE = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._-]*)+")


class FilterModule:
    """Registers the filters with Ansible."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name of each filter and its function."""
        return {
            "program_places": program_places,
            "missing_programs": missing_programs,
            "missing_links": missing_links,
            "missing_blobs": missing_blobs,
            "folders_due": folders_due,
            "stands": stands,
            "members_of": members_of,
            "layout_blobs": layout_blobs,
            "layout_images": layout_images,
        }


def program_places(programs: Iterable[Mapping[str, Any]], links: Mapping[str, str]) -> list[str]:
    """Every path that the programs and their further names take on a host, sorted.

    Raises ``ValueError`` for a path that is not absolute, has an empty part or one that begins with a dot, or is there
    twice: this is what lays programs down, whoever wrote the inventory.
    """
    found = [str(program["destination"]) for program in programs] + list(links)
    for path in found:
        if not _PLACE.fullmatch(path):
            raise ValueError(f"{path!r} is no place for a program")
    for path, target in links.items():
        if "/" in target or f"{path.rsplit('/', 1)[0]}/{target}" not in found:
            raise ValueError(f"{path} would lead to {target!r}, which is no program beside it")
    if len(set(found)) != len(found):
        raise ValueError("two programs have one place")
    return sorted(found)


def missing_programs(wanted: Iterable[Mapping[str, Any]], present: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Those of ``wanted`` that are not there as they should be; ``present`` is what the role `standing` read."""
    return [w for w in wanted if present.get(w["destination"]) != f"755 {w['sha256']}"]


def missing_links(wanted: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    """Those further names that are not there, or lead elsewhere."""
    return {path: target for path, target in wanted.items() if present.get(path) != f"-> {target}"}


def folders_due(wanted: Iterable[str], standing: Mapping[str, Any], mode: str) -> list[str]:
    """Those of ``wanted`` that are no folders of root's with ``mode`` yet; all of them where nobody looked."""
    seen = standing.get("files", {})
    return [path for path in wanted if seen.get(path) != f"{mode} /"]


def stands(files: Iterable[Mapping[str, str]], standing: Mapping[str, Any]) -> bool:
    """Whether each of ``files`` (`dest`, `content`, `mode`) is on the host as a file of root's, by the look at it."""
    return all(
        standing["files"].get(file["dest"])
        == f"{int(file['mode'], 8):o} {hashlib.sha256(file['content'].encode()).hexdigest()}"
        for file in files
    )


def members_of(hosts: Iterable[str], readings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Those of ``hosts`` that are in the control plane: they bear its mark, or entered it in this run.

    A mark does not count on a host that etcd does not know, as any member tells: it was taken out while it was
    away. Raises ``KeyError`` for a host that was not looked at: taken for none, it would begin a second control plane.
    """
    listed = list(hosts)
    looks = {host: readings[host]["host_standing"] for host in listed}
    told = [set(look["members"]) for look in looks.values() if look["members"] is not None]
    known = set().union(*told) if told else set(listed)
    return [
        host
        for host in listed
        if readings[host].get("control_plane_entered") or (MEMBER in looks[host]["files"] and host in known)
    ]


def layout_blobs(layout: str) -> list[str]:
    """Hex digests of all blobs that an OCI layout's index leads to, each once, sorted.

    Raises ``FileNotFoundError`` when a manifest is not there.
    """
    folder = Path(layout)
    return sorted(_led_to(folder, json.loads((folder / "index.json").read_text())["manifests"]))


def layout_images(layout: str) -> list[dict[str, Any]]:
    """Every image of an OCI layout: its `digest`, and its `blobs`, hex digests with their sizes in bytes.

    Raises ``FileNotFoundError`` as ``layout_blobs``.
    """
    folder = Path(layout)
    found = []
    for descriptor in json.loads((folder / "index.json").read_text())["manifests"]:
        names = sorted(_led_to(folder, [descriptor]))
        sizes = {name: (folder / "blobs/sha256" / name).stat().st_size for name in names}
        found.append({"digest": descriptor["digest"], "blobs": sizes})
    return found


def _led_to(folder: Path, descriptors: Iterable[Mapping[str, Any]]) -> set[str]:
    found: set[str] = set()
    waiting = list(descriptors)
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
    return found


def missing_blobs(layout: str, present: Iterable[str]) -> dict[str, list[str]]:
    """Blobs of the layout that a host lacks: `large` go one by one, `small` together (up to 1 MiB each)."""
    lacking = sorted(set(layout_blobs(layout)) - set(present))
    folder = Path(layout, "blobs/sha256")
    small = [name for name in lacking if (folder / name).stat().st_size <= _SMALL]
    return {"small": small, "large": [name for name in lacking if name not in small]}
