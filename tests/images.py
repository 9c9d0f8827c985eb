"""Small container images, and a client that pushes them: what upstream would have at a registry."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from airgap_bundle.container_image import DOCKER_MANIFEST_TYPE, PLATFORM
from airgap_bundle.descriptor import INDEX_TYPE, MANIFEST_TYPE, NAME, artifact_type
from airgap_bundle.digest import Digest, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

OCI_TYPES = {
    "config": "application/vnd.oci.image.config.v1+json",
    "layer": "application/vnd.oci.image.layer.v1.tar+gzip",
}
DOCKER_TYPES = {
    "config": "application/vnd.docker.container.image.v1+json",
    "layer": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
LABELS = {
    "org.opencontainers.image.licenses": "Apache-2.0",
    "org.opencontainers.image.title": "small",
    "unprinted": "kept out",
}


def to_json(value: Any) -> bytes:
    """Upstream's spelling, which is not ours: spaces, order of insertion."""
    return json.dumps(value, indent=1).encode()


def layer(files: Mapping[str, bytes]) -> tuple[bytes, str]:
    """A gzipped tar and the digest of what is inside the gzip."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0), str(sha256(out.getvalue()))


def descriptor(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(sha256(data)), "size": len(data), **more}


@dataclass
class SmallImage:
    """An image of two layers; ``manifest`` may be changed before it is pushed."""

    text: str = "hello"
    architecture: str = "amd64"
    docker: bool = False
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        types = DOCKER_TYPES if self.docker else OCI_TYPES
        layers = [layer({"etc/base": b"base" * 4096}), layer({"app": self.text.encode()})]
        settings = {
            "architecture": self.architecture,
            "os": "linux",
            "config": {"Labels": LABELS},
            "rootfs": {"type": "layers", "diff_ids": [diff for _, diff in layers]},
        }
        self.manifest = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": descriptor(self.add(to_json(settings)), types["config"]),
            "layers": [descriptor(self.add(data), types["layer"]) for data, _ in layers],
        }

    def configure(self, **fields: Any) -> None:
        """Change the config, digests made right."""
        before = self.blobs.pop(Digest(self.manifest["config"]["digest"]))
        data = self.add(to_json(json.loads(before) | fields))
        self.manifest["config"] |= {"digest": str(sha256(data)), "size": len(data)}

    @property
    def media_type(self) -> str:
        return DOCKER_MANIFEST_TYPE if self.docker else MANIFEST_TYPE

    @property
    def data(self) -> bytes:
        return to_json(self.manifest)

    @property
    def digest(self) -> Digest:
        return sha256(self.data)

    def add(self, data: bytes) -> bytes:
        self.blobs[sha256(data)] = data
        return data


def index_of(images: Sequence[SmallImage]) -> bytes:
    """A multi-architecture index."""
    entries = [
        descriptor(image.data, image.media_type, platform={"os": "linux", "architecture": image.architecture})
        for image in images
    ]
    unknown = {"os": "unknown", "architecture": "unknown"}
    attestation = descriptor(b"attestation", MANIFEST_TYPE, platform=unknown)
    return to_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [*entries, attestation]})


def add_image(bundle: Path, name: str, image: SmallImage, **annotations: str) -> None:
    """Put ``image`` into the unsigned bundle ``bundle`` as a builder would; ``annotations`` replace the usual ones."""
    manifest = image.data
    for data in (manifest, *image.blobs.values()):
        (bundle / "blobs/sha256" / sha256(data).hex).write_bytes(data)
    notes = {NAME: name, PLATFORM: f"linux/{image.architecture}", **annotations}
    entry = descriptor(manifest, image.media_type, artifactType=artifact_type("image"), annotations=notes)
    index, release = (json.loads((bundle / file).read_bytes()) for file in ("index.json", "release.json"))
    index["manifests"].append(entry)
    release["artifacts"].append({"name": name, "kind": "image", "version": "1.0", "digest": entry["digest"]})
    (bundle / "index.json").write_bytes(json.dumps(index).encode())
    (bundle / "release.json").write_bytes(json.dumps(release).encode())


@dataclass(frozen=True)
class Pusher:
    """An ordinary client's pushing half, for one repository on a loopback registry."""

    host: str
    repository: str
    auth: tuple[str, str] | None = None
    token: str | None = None

    @property
    def name(self) -> str:
        return f"{self.host}/{self.repository}"

    def blob(self, data: bytes) -> None:
        with self._client() as client:
            begun = client.post("blobs/uploads/")
            assert begun.status_code == 202, begun.text
            address = httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": str(sha256(data))})
            done = client.put(address, content=data, headers={"Content-Type": "application/octet-stream"})
            assert done.status_code == 201, done.text

    def put(self, data: bytes) -> bytes:
        self.blob(data)
        return data

    def manifest(self, data: bytes, media_type: str, tag: str | None = None) -> Digest:
        with self._client() as client:
            done = client.put(f"manifests/{tag or sha256(data)}", content=data, headers={"Content-Type": media_type})
            assert done.status_code == 201, done.text
        return sha256(data)

    def image(self, image: SmallImage, tag: str | None = None) -> Digest:
        for data in image.blobs.values():
            self.blob(data)
        return self.manifest(image.data, image.media_type, tag)

    def index(self, images: Sequence[SmallImage], tag: str) -> Digest:
        for image in images:
            self.image(image)
        attestation = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(b"{}", "application/vnd.oci.empty.v1+json"),
            "layers": [],
        }
        self.blob(b"{}")
        value = json.loads(index_of(images))
        value["manifests"][-1] |= descriptor(to_json(attestation), MANIFEST_TYPE)
        self.manifest(to_json(attestation), MANIFEST_TYPE)
        return self.manifest(to_json(value), INDEX_TYPE, tag)

    def _client(self) -> httpx.Client:
        address = f"http://{self.host}/v2/{self.repository}/"
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.Client(base_url=address, auth=self.auth, headers=headers, trust_env=False)
