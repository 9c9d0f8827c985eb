"""A small release with a cluster's parts, in a store as an import leaves it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from airgap_bundle.archive import Entry, write_tar
from airgap_bundle.descriptor import TITLE, artifact_type
from tests.bundles import Draft, Site, blob, manifest, root_bytes, sign
from tests.images import SmallImage, add_image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airgap_bundle.descriptor import Descriptor

SOURCE = "vnd.sovereign.image.source"
VERSION = "v1.36.3"
IMAGES = {
    "pause": "v1.0.0",
    "kube-apiserver": VERSION,
    "kube-controller-manager": VERSION,
    "kube-scheduler": VERSION,
    "kube-proxy": VERSION,
    "etcd": "v3.7.3",
    "coredns": "v1.15.0",
    "cilium": "v1.20.2",
    "cilium-operator-generic": "v1.20.2",
}
PROGRAMS: dict[str, Any] = {
    "files": {
        "kube": {"path": "/usr/local/bin/kube", "mode": "0755"},
        "loopback": {"path": "/opt/cni/bin/loopback", "mode": "0755"},
    },
    "links": {"/usr/local/bin/kubelet": "kube"},
    "versions": {"kube": VERSION},
}


def store_of(folder: Path, images: Mapping[str, str] = IMAGES, **programs: Any) -> Site:
    """A site that imported the release of ``bundle_of``."""
    site = Site(folder / "site")
    site.install(bundle_of(folder, images, **programs), pin=root_bytes())
    return site


def bundle_of(folder: Path, images: Mapping[str, str] = IMAGES, *, draft: Draft | None = None, **programs: Any) -> Path:
    """The release, signed; ``programs`` replaces fields of the programs' config, ``draft`` what else is in it."""
    bundle = (draft or Draft()).write(folder / "bundle")
    tar = io.BytesIO()
    write_tar(tar, [Entry("cilium/Chart.yaml", b"name: cilium\n")])
    _add(bundle, "host-programs", PROGRAMS | programs, {"kube": b"kube's bytes", "loopback": b"loopback's"})
    _add(bundle, "chart", {"name": "cilium", "file": "chart.tar"}, {"chart.tar": tar.getvalue()})
    for name, tag in images.items():
        add_image(bundle, f"image-{name}", SmallImage(name), **{SOURCE: f"sovereign.internal/{name}:{tag}"})
    return sign(bundle, "architect", "builder", "release")


def _add(bundle: Path, kind: str, config: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    settings = blob(bundle, json.dumps(config).encode(), f"application/vnd.sovereign.{kind}.config.v1+json")
    layers = [blob(bundle, data, "application/octet-stream", {TITLE: name}) for name, data in sorted(files.items())]
    _list(bundle, manifest(bundle, kind, artifact_type(kind), settings, layers), kind)


def _list(bundle: Path, found: Descriptor, kind: str) -> None:
    index, release = (json.loads((bundle / file).read_bytes()) for file in ("index.json", "release.json"))
    index["manifests"].append(found.to_json())
    release["artifacts"].append({"name": kind, "kind": kind, "version": "1.0.0", "digest": str(found.digest)})
    (bundle / "index.json").write_bytes(json.dumps(index).encode())
    (bundle / "release.json").write_bytes(json.dumps(release).encode())
