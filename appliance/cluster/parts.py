"""What a release brings for a cluster's hosts, as it lies on the administrator's machine after verification."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Program:
    """A program for hosts: ``path`` here, ``destination`` there; ``sha256`` is in hex."""

    name: str
    path: Path
    sha256: str
    destination: str


@dataclass(frozen=True)
class KubernetesImages:
    """Where kubeadm finds the release's images, by its own rules for names."""

    repository: str
    etcd_tag: str
    dns_repository: str
    dns_tag: str


@dataclass(frozen=True)
class ReleaseParts:
    """Everything that the roles take from a release.

    ``layout`` is an OCI layout whose index names each image by ``io.containerd.image.name``; ``image_bytes`` is what
    its blobs take. ``sandbox_image`` and the network's two are names that containerd knows after import. ``links`` are
    further names of programs: path on a host by path, and what lies beside it. ``images`` are names by digest, by what
    an image is called; ``charts`` lie packed, by their own names; ``keycloak_version`` is empty in a release without.
    """

    kubernetes_version: str
    programs: tuple[Program, ...]
    layout: Path
    image_bytes: int
    kubernetes_images: KubernetesImages
    sandbox_image: str
    network_chart: Path
    network_agent_image: str
    network_operator_image: str
    links: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    charts: Mapping[str, Path] = field(default_factory=dict)
    keycloak_version: str = ""
