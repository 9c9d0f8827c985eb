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

from airgap_bundle.archive import Entry, write_tar
from airgap_bundle.image_reference import parse_reference
from appliance.cluster import store_image
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
SMALL_BLOBS = "small.tar"
_SMALL = 1 << 20  # as the filter `missing_blobs` has it


class NoClusterError(DeploymentError):
    """The release lacks something that every cluster needs."""

    def __init__(self, lacking: str) -> None:
        super().__init__(f"the release is not for a cluster: it has no {lacking}", "install a release that is for one")


def stage_release(store: Store, version: str, folder: Path, models: tuple[str, ...] = ()) -> ReleaseParts:
    """Lay out release ``version`` in ``folder``, which is this release's own and may be there from before.

    With ``models``, the store itself is laid out too, as an image that has these (``store_image``).

    Every program and the chart are hashed; images are hashed by the hosts that import them. Raises ``NoClusterError``
    for a release without a cluster's parts, ``RefusedError`` for a config that would write elsewhere on a host, and as
    ``Store`` does for damage.
    """
    record = next(record for record in store.records() if record.version == version)
    release, manifests = store.open_record(record), store.contents(record).artifacts
    images = {str(m.descriptor.annotations.get(SOURCE, "")): m for m in manifests if m.kind == "image"}
    named = {parse_reference(source).repository.rsplit("/", 1)[-1]: source for source in images if source}
    programs = _one(release.artifacts.values(), "host-programs")
    folder.mkdir(parents=True, exist_ok=True)
    charts = _charts(release.artifacts.values(), folder)
    if NETWORK_CHART not in charts:
        raise NoClusterError(f"chart {NETWORK_CHART}")
    kept = store_image.make(store, version, models, folder / "store-image") if models else None
    more = {"site-store": kept.reference} if kept else {}
    return ReleaseParts(
        kubernetes_version=_version(programs),
        programs=places(programs),
        layout=_layout(folder / "layout", store, images, kept, version),
        image_bytes=_size(images.values()) + sum(p.stat().st_size for p in (kept.blobs.values() if kept else ())),
        kubernetes_images=_kubernetes(named, _version(programs)),
        sandbox_image=_image(named, "pause"),
        network_chart=charts[NETWORK_CHART],
        network_agent_image=_by_digest(images, _image(named, "cilium")),
        network_operator_image=_by_digest(images, _image(named, "cilium-operator-generic")),
        links=links(programs),
        images={name: _by_digest(images, source) for name, source in named.items()} | more,
        charts=charts,
        keycloak_version=next((a.version for a in release.artifacts.values() if a.kind == "keycloak"), ""),
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


def _one(artifacts: Any, kind: str) -> Artifact:
    """The artifact of this kind. Raises ``NoClusterError``."""
    found = [a for a in artifacts if a.kind == kind]
    if len(found) != 1:
        raise NoClusterError(kind)
    artifact: Artifact = found[0]
    return artifact


def _layout(
    folder: Path, store: Store, images: Mapping[str, Manifest], kept: store_image.StoreImage | None, version: str
) -> Path:
    """An OCI layout whose blobs are links to the store's, and whose index names images as containerd reads them.

    Beside them lies an archive of the small blobs, which a host that lacks any gets in one piece.
    """
    manifests = [
        _listed(source, image.descriptor.media_type, str(image.descriptor.digest), image.descriptor.size)
        for source, image in sorted(images.items())
        if source
    ]
    blobs = {
        part.digest.hex: store.path(str(part.digest)).resolve()
        for image in images.values()
        for part in (image.descriptor, image.config, *image.layers)
    }
    if kept is not None:
        manifests.append(_listed(f"{store_image.NAME}:{version}", store_image.MANIFEST, kept.digest, kept.size))
        blobs |= {name: path.resolve() for name, path in kept.blobs.items()}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    _link(folder / "blobs/sha256", blobs)
    (folder / "index.json").write_text(json.dumps(index, indent=1))
    small = {name: blob for name, blob in blobs.items() if blob.stat().st_size <= _SMALL}
    with (folder / SMALL_BLOBS).open("wb") as out:
        write_tar(out, (Entry(name, blob) for name, blob in small.items()))
    return folder


def _listed(name: str, media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size, "annotations": {CONTAINERD_NAME: name}}


def _link(folder: Path, blobs: Mapping[str, Path]) -> None:
    """Have ``folder`` hold these links and nothing else."""
    if folder.parent.is_symlink():  # as an earlier version laid it out
        folder.parent.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, blob in blobs.items():
        (folder / name).symlink_to(blob)


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


def _charts(artifacts: Any, folder: Path) -> dict[str, Path]:
    """Every chart, packed in ``folder``, by its own name. Raises ``RefusedError`` for names that are none, or twice."""
    found: dict[str, Path] = {}
    for chart in (artifact for artifact in artifacts if artifact.kind == "chart"):
        name = str(chart.config.get("name"))
        if not _NAME.fullmatch(name) or name in found:
            raise RefusedError(f"{chart.name} calls its chart {name!r}, which is no name or another's")
        found[name] = _packed(chart, folder / f"{name}.tgz")
    return found


def _packed(chart: Artifact, path: Path) -> Path:
    """The chart as Helm reads it."""
    with chart.files["chart.tar"].open() as stream:
        path.write_bytes(gzip.compress(stream.read(), _PACKING_LEVEL, mtime=0))
    return path
