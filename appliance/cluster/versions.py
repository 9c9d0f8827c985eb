"""What a cluster's own programs are at in a release, and how far they may go at once. Pure.

Kubernetes goes one minor version at a time and does not come back over one, since its API server rewrites what is in
etcd; etcd does not come back at all. Within a minor both hold as kubeadm holds them (ADR 117).
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from airgap_bundle.image_reference import parse_reference
from appliance.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airgap_bundle.oci import Manifest

SOURCE = "vnd.sovereign.image.source"
_SHOWN = ("kubernetes", "etcd", "containerd", "cilium", "coredns")
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?")


@dataclass(frozen=True)
class Versions:
    """Versions of what a cluster is made of, by name; ``kubernetes`` and ``etcd`` are always among them."""

    found: Mapping[str, str]

    @property
    def kubernetes(self) -> str:
        """Kubernetes' own, with its v."""
        return self.found["kubernetes"]

    @property
    def etcd(self) -> str:
        """The tag of etcd's image."""
        return self.found["etcd"]


@dataclass(frozen=True)
class VersionChange:
    """Something that goes to another version; empty where there is none."""

    name: str
    before: str
    after: str

    def data(self) -> dict[str, str]:
        """As JSON data."""
        return asdict(self)


def versions_of(version: str, artifacts: Iterable[Manifest]) -> Versions:
    """What the release ``version`` with these artifacts brings. Raises ``RefusedError`` where it is for no cluster."""
    listed = tuple(artifacts)
    programs = next((m.settings.get("versions") for m in listed if m.kind == "host-programs"), None)
    tags = {}
    for manifest in listed:
        source = str(manifest.descriptor.annotations.get(SOURCE, "")) if manifest.kind == "image" else ""
        if source:
            reference = parse_reference(source)
            tags[reference.repository.rsplit("/", 1)[-1]] = str(reference.tag or "")
    found = {**tags, **(programs if isinstance(programs, dict) else {})}
    if not isinstance(found.get("kube"), str) or not tags.get("etcd"):
        raise RefusedError(f"release {version} is not for a cluster: it has no Kubernetes", "bring one that is for one")
    found["kubernetes"] = found["kube"]
    return Versions({name: str(found[name]) for name in (*_SHOWN, "runc") if found.get(name)} | {"etcd": tags["etcd"]})


def differences(before: Versions, after: Versions) -> tuple[VersionChange, ...]:
    """What is at another version, in the order in which it is shown."""
    pairs = ((name, before.found.get(name, ""), after.found.get(name, "")) for name in (*_SHOWN, "runc"))
    return tuple(VersionChange(*pair) for pair in pairs if pair[1] != pair[2])


def cannot_follow(before: Versions, after: Versions) -> str | None:
    """Why a cluster at ``before`` cannot go to ``after``; None: it can."""
    old, new = _parsed(before.kubernetes), _parsed(after.kubernetes)
    if new[:2] < old[:2]:
        return f"Kubernetes does not go back from {before.kubernetes} to {after.kubernetes}, another minor version"
    if new[0] != old[0] or new[1] > old[1] + 1:
        return f"Kubernetes goes one minor version at a time, and not from {before.kubernetes} to {after.kubernetes}"
    if _parsed(after.etcd) < _parsed(before.etcd):
        return f"etcd {after.etcd} does not read what etcd {before.etcd} wrote"
    return None


def cannot_return(now: Versions, back: Versions) -> str | None:
    """Why a cluster at ``now`` could not go back to ``back``; None: it could."""
    if _parsed(now.kubernetes)[:2] != _parsed(back.kubernetes)[:2]:
        return f"Kubernetes does not go back from {now.kubernetes} to {back.kubernetes}, another minor version"
    if now.etcd != back.etcd:
        return f"etcd does not go back from {now.etcd} to {back.etcd}"
    return None


def needs_drain(before: str, after: str) -> bool:
    """Whether hosts are drained for it: Kubernetes asks that where the kubelet goes to another minor version."""
    return _parsed(before)[:2] != _parsed(after)[:2]


def is_newer(version: str, than: str) -> bool:
    """Whether one version of Kubernetes is newer than another."""
    return _parsed(version) > _parsed(than)


def _parsed(version: str) -> tuple[int, int, int]:
    """Raises ``RefusedError`` for what is no version."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise RefusedError(f"{version} is no version of a part of Kubernetes", "build the release again")
    return int(match[1]), int(match[2]), int(match[3])
