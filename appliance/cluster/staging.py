"""A verified release of the site's store, laid out as the roles take it: programs, images, the network's chart.

The store's blobs are named, not copied. What an artifact's config says is data of the release: a place on a host is
taken only if it lies where programs of a site belong.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airgap_bundle.image_reference import parse_reference
from appliance.cluster.parts import KubernetesImages, Program, ReleaseParts
from appliance.errors import DeploymentError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airgap_bundle.image_reference import ImageReference
    from airgap_bundle.oci import Manifest
    from airgap_bundle.store import Artifact, Store

CONTAINERD_NAME = "io.containerd.image.name"
SOURCE = "vnd.sovereign.image.source"
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
NETWORK_CHART = "cilium"
PLACES = ("/usr/local/bin", "/opt/cni/bin")
_PLACE = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._-]*)+")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PACKING_LEVEL = 6


class NoClusterError(DeploymentError):
    """The release lacks something that every cluster needs."""

    def __init__(self, lacking: str) -> None:
        super().__init__(f"the release is not for a cluster: it has no {lacking}", "install a release that is for one")


def stage_release(store: Store, version: str, folder: Path) -> ReleaseParts:
    """Lay out release ``version`` in ``folder``, which is this release's own and may be there from before.

    Every program and the chart are hashed; images are hashed by the hosts that import them. Raises ``NoClusterError``
    for a release without a cluster's parts, ``RefusedError`` for a config that would write elsewhere on a host, and as
    ``Store`` does for damage.
    """
    record = next(record for record in store.records() if record.version == version)
    release, manifests = store.open_record(record), store.contents(record).artifacts
    images = {str(m.descriptor.annotations.get(SOURCE, "")): m for m in manifests if m.kind == "image"}
    named = {parse_reference(source).repository.rsplit("/", 1)[-1]: source for source in images if source}
    programs = _one(release.artifacts.values(), "host-programs", None)
    chart = _one(release.artifacts.values(), "chart", NETWORK_CHART)
    folder.mkdir(parents=True, exist_ok=True)
    return ReleaseParts(
        kubernetes_version=_version(programs),
        programs=places(programs),
        layout=_layout(folder / "layout", store, images),
        image_bytes=_size(images.values()),
        kubernetes_images=_kubernetes(named, _version(programs)),
        sandbox_image=_image(named, "pause"),
        network_chart=_packed(chart, folder / "network.tgz"),
        network_agent_image=_by_digest(images, _image(named, "cilium")),
        network_operator_image=_by_digest(images, _image(named, "cilium-operator-generic")),
        links=links(programs),
    )


def places(artifact: Artifact) -> tuple[Program, ...]:
    """The programs of an artifact, each with its place on a host; their bytes are hashed. Raises ``RefusedError``."""
    found = []
    for title, said in sorted(_mapping(artifact.config, "files").items()):
        if title not in artifact.files or said.get("mode") != "0755":
            raise RefusedError(f"{artifact.name} describes {title}, which is no program of it")
        file = artifact.files[title]
        with file.open():
            found.append(Program(title, file.path, file.digest.hex, _place(said.get("path"), artifact.name)))
    if {program.name for program in found} != set(artifact.files):
        raise RefusedError(f"{artifact.name} has files without a place on a host")
    if len({program.destination for program in found}) != len(found):
        raise RefusedError(f"{artifact.name} puts two programs into one place")
    return tuple(found)


def links(artifact: Artifact) -> dict[str, str]:
    """Further names of the programs: paths, and the program beside each. Raises ``RefusedError``."""
    there = {str(said.get("path")) for said in _mapping(artifact.config, "files").values()}
    found = {}
    for path, target in sorted(_mapping(artifact.config, "links").items()):
        place = _place(path, artifact.name)
        if (
            place in there
            or not _NAME.fullmatch(str(target))
            or str(PurePosixPath(place).with_name(target)) not in there
        ):
            raise RefusedError(f"{artifact.name} links {path} to {target}, which is no program beside it")
        found[place] = target
    return found


def _place(path: object, artifact: str) -> str:
    """``path``, where programs of a site belong. Raises ``RefusedError``."""
    if not isinstance(path, str) or not _PLACE.fullmatch(path) or str(PurePosixPath(path).parent) not in PLACES:
        raise RefusedError(f"{artifact} would write {path!r} on hosts; programs belong into {' or '.join(PLACES)}")
    return path


def _mapping(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = config.get(key)
    if not isinstance(found, dict):
        raise RefusedError(f"{key} of the host programs' config is no object")
    return found


def _version(programs: Artifact) -> str:
    found = _mapping(programs.config, "versions").get("kube")
    if not isinstance(found, str):
        raise NoClusterError("version of Kubernetes")
    return found


def _one(artifacts: Any, kind: str, name: str | None) -> Artifact:
    """The artifact of this kind, or the one whose config has this name. Raises ``NoClusterError``."""
    found = [a for a in artifacts if a.kind == kind and name in {None, a.config.get("name")}]
    if len(found) != 1:
        raise NoClusterError(f"{kind} {name or ''}".strip())
    artifact: Artifact = found[0]
    return artifact


def _layout(folder: Path, store: Store, images: Mapping[str, Manifest]) -> Path:
    """An OCI layout whose blobs are the store's, and whose index names images as containerd reads them."""
    folder.mkdir(exist_ok=True)
    manifests = [
        {
            "mediaType": image.descriptor.media_type,
            "digest": str(image.descriptor.digest),
            "size": image.descriptor.size,
            "annotations": {CONTAINERD_NAME: source},
        }
        for source, image in sorted(images.items())
        if source
    ]
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    (folder / "index.json").write_text(json.dumps(index, indent=1))
    blobs = folder / "blobs"
    blobs.unlink(missing_ok=True)
    blobs.symlink_to(store.root.resolve() / "blobs")
    return folder


def _size(images: Any) -> int:
    """What the images' blobs take, each once."""
    blobs = {blob.digest: blob.size for image in images for blob in (image.descriptor, image.config, *image.layers)}
    return sum(blobs.values())


def _image(named: Mapping[str, str], name: str) -> str:
    """Reference of the image whose repository ends with ``name``. Raises ``NoClusterError``."""
    found = named.get(name)
    if found is None:
        raise NoClusterError(f"image {name}")
    return found


def _by_digest(images: Mapping[str, Manifest], source: str) -> str:
    return f"{parse_reference(source).name}@{images[source].descriptor.digest}"


def _kubernetes(named: Mapping[str, str], version: str) -> KubernetesImages:
    """How kubeadm is told to find its images. Raises ``NoClusterError``."""
    references = [parse_reference(_image(named, name)) for name in (*KUBERNETES, "etcd")]
    homes = {_home(reference) for reference in references}
    if len(homes) != 1 or {reference.tag for reference in references[:-1]} != {version}:
        raise NoClusterError(f"images of Kubernetes {version} in one repository")
    dns = parse_reference(_image(named, "coredns"))
    return KubernetesImages(homes.pop(), str(references[-1].tag), _home(dns), str(dns.tag))


def _home(reference: ImageReference) -> str:
    """What stands before an image's last name."""
    return reference.name.rsplit("/", 1)[0]


def _packed(chart: Artifact, path: Path) -> Path:
    """The chart as Helm reads it."""
    with chart.files["chart.tar"].open() as stream:
        path.write_bytes(gzip.compress(stream.read(), _PACKING_LEVEL, mtime=0))
    return path
