"""Writing the OCI image layout of a release: blobs by digest, manifests, `index.json`, `release.json`.

Blobs first, `index.json` last, each file as `.partial` and then renamed: a layout without `index.json` was interrupted,
and writing it again goes on where it was. Every blob is hashed while it is copied, whatever the cache thought of it.
The metadata folder belongs to `sign`; a signed layout is never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.build import sbom
from airgap_bundle.container_image import KIND as IMAGE
from airgap_bundle.descriptor import (
    CYCLONEDX_TYPE,
    EMPTY_BLOB,
    EMPTY_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    NAME,
    OCI_LAYOUT,
    TITLE,
    VERSION,
    Descriptor,
    artifact_type,
)
from airgap_bundle.digest import Digest, sha256, sha256_stream
from airgap_bundle.errors import BuildError
from airgap_bundle.first_contact import record, signatures
from airgap_bundle.names import check_name

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.build.artifact import BuiltArtifact, ForeignManifest
    from airgap_bundle.build.cache import BuildCache, CachedFile
    from airgap_bundle.build.stage import Stage
    from airgap_bundle.release_file import ReleaseFile

METADATA = "metadata"
RELEASE_SBOM = "release.sbom"


@dataclass(frozen=True)
class PlannedLayout:
    """All of a layout, before a byte is written: blobs from the cache, small blobs made here, and the two roots."""

    files: dict[str, CachedFile]
    documents: dict[str, bytes]
    index: bytes
    release: bytes

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(file.size for file in self.files.values()) + sum(map(len, self.documents.values()))


class LayoutPlan:
    """Collects manifests and blobs; ``finish`` gives the layout. Nothing depends on the order of calls."""

    def __init__(self) -> None:
        self._files: dict[str, CachedFile] = {}
        self._documents: dict[str, bytes] = {}
        self._manifests: list[Descriptor] = []
        self._artifacts: list[dict[str, Any]] = []

    def add_artifact(self, artifact: BuiltArtifact, artifact_sbom: CachedFile) -> None:
        """Add an artifact and its SBOM, which refers to it as ``subject``.

        Raises ``BuildError`` when two artifacts are one foreign manifest: an index names a digest once.
        """
        manifest = self._own(artifact) if artifact.foreign is None else self._kept(artifact.name, artifact.foreign)
        self._artifacts.append(
            {
                "name": artifact.name,
                "kind": artifact.kind,
                "version": artifact.version,
                "digest": str(manifest.digest),
            }
        )
        self._sbom(f"{artifact.name}.sbom", artifact_sbom, artifact.version, manifest)

    def _own(self, artifact: BuiltArtifact) -> Descriptor:
        """A manifest written here."""
        layers = [
            self._blob(item.file, item.media_type, item.title)
            for item in sorted(artifact.files, key=lambda item: item.title)
        ]
        config_type = f"application/vnd.sovereign.{artifact.kind}.config.v1+json"
        config = self._document(strict_json.dumps(dict(artifact.config)), config_type)
        return self._manifest(artifact.name, artifact_type(artifact.kind), config, layers, artifact.version, None)

    def _kept(self, name: str, foreign: ForeignManifest) -> Descriptor:
        """A manifest as others made it: whatever is said about it stands in the index."""
        digest = Digest.from_hex(foreign.manifest.sha256)
        twin = next((item.annotations[NAME] for item in self._manifests if item.digest == digest), None)
        if twin is not None:
            raise BuildError(f"{name} and {twin} are the same image", "name it once in release.yaml")
        self._files |= {file.sha256: file for file in (foreign.manifest, *foreign.blobs)}
        annotations = {**foreign.annotations, NAME: check_name(name)}
        listed = Descriptor(foreign.media_type, digest, foreign.manifest.size, annotations, artifact_type(IMAGE))
        self._manifests.append(listed)
        return listed

    def finish(self, release: ReleaseFile, merged_sbom: CachedFile) -> PlannedLayout:
        """The layout of ``release``."""
        merged = self._sbom(RELEASE_SBOM, merged_sbom, release.version, None)
        description = {
            "schema": 1,
            "name": release.name,
            "version": release.version,
            "number": release.number,
            "min_release": release.min_release,
            "support_until": f"{release.support_until.isoformat()}T00:00:00Z",
            "artifacts": sorted(self._artifacts, key=lambda item: str(item["name"])),
            "sbom": str(merged.digest),
        }
        ordered = sorted(self._manifests, key=lambda item: (item.annotations[NAME], item.digest))
        index = {
            "schemaVersion": 2,
            "mediaType": INDEX_TYPE,
            "manifests": [item.to_json() for item in ordered],
        }
        return PlannedLayout(self._files, self._documents, strict_json.dumps(index), strict_json.dumps(description))

    def _sbom(self, name: str, document: CachedFile, version: str, subject: Descriptor | None) -> Descriptor:
        layer = self._blob(document, CYCLONEDX_TYPE, sbom.TITLE)
        config = self._document(EMPTY_BLOB, EMPTY_TYPE)
        return self._manifest(name, CYCLONEDX_TYPE, config, [layer], version, subject)

    def _manifest(  # noqa: PLR0913, PLR0917 - the parts of an OCI manifest
        self,
        name: str,
        kind: str,
        config: Descriptor,
        layers: list[Descriptor],
        version: str,
        subject: Descriptor | None,
    ) -> Descriptor:
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": kind,
            "config": config.to_json(),
            "layers": [layer.to_json() for layer in layers],
            "annotations": {VERSION: version},
        }
        if subject is not None:
            bare = Descriptor(subject.media_type, subject.digest, subject.size)
            document["subject"] = bare.to_json()
        plain = self._document(strict_json.dumps(document), MANIFEST_TYPE)
        listed = Descriptor(plain.media_type, plain.digest, plain.size, {NAME: check_name(name)}, kind)
        self._manifests.append(listed)
        return listed

    def _blob(self, file: CachedFile, media_type: str, title: str) -> Descriptor:
        self._files[file.sha256] = file
        return Descriptor(media_type, Digest.from_hex(file.sha256), file.size, {TITLE: check_name(title)})

    def _document(self, data: bytes, media_type: str) -> Descriptor:
        digest = sha256(data)
        self._documents[digest.hex] = data
        return Descriptor(media_type, digest, len(data))


def write_layout(plan: PlannedLayout, dest: Path, cache: BuildCache, stage: Stage) -> None:
    """Write ``plan`` into ``dest``, a new folder or an earlier, unsigned layout, of which nothing else remains.

    Raises ``BuildError`` when ``dest`` is something else, is signed with other content, or a cached blob is damaged.
    """
    check_folder(dest)
    _check_signatures(plan, dest)
    blobs = dest / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    done = 0
    with stage("write bundle") as advance:
        for hexdigest, file in sorted(plan.files.items()):
            _write_blob(blobs / hexdigest, file, cache)
            done += file.size
            advance(done, plan.size)
        for hexdigest, data in sorted(plan.documents.items()):
            _write(blobs / hexdigest, data)
        advance(plan.size, plan.size)
    for path in blobs.iterdir():
        if path.name not in plan.files and path.name not in plan.documents:
            path.unlink()
    _write(dest / "oci-layout", OCI_LAYOUT)
    _write(dest / "release.json", plan.release)
    _write(dest / "index.json", plan.index)


def check_folder(dest: Path) -> None:
    """Raise ``BuildError`` when ``dest`` exists and is something else than a bundle."""
    if dest.exists() and (not dest.is_dir() or any(item.name not in _OURS for item in dest.iterdir())):
        raise BuildError(f"{dest} is no bundle folder", "name a new folder with --out")


def _check_signatures(plan: PlannedLayout, dest: Path) -> None:
    """Refuse to change what was signed; an unsigned layout counts as interrupted until it is whole again."""
    if not (dest / METADATA).exists():
        (dest / "index.json").unlink(missing_ok=True)
        return
    same = _reads(dest / "index.json", plan.index) and _reads(dest / "release.json", plan.release)
    if not same:
        raise BuildError(f"{dest} holds signatures over another content", "build into a new folder, and sign that")


_OURS = frozenset({"blobs", "oci-layout", "release.json", "index.json", METADATA, record.FILE, signatures.FOLDER})


def _reads(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _write_blob(path: Path, file: CachedFile, cache: BuildCache) -> None:
    """Copy, hashing what is copied; a blob that is there already and right stays."""
    if path.is_file() and path.stat().st_size == file.size:
        with path.open("rb") as stream:
            if sha256_stream(stream)[0].hex == file.sha256:
                return
    partial = path.with_suffix(".partial")
    with file.path.open("rb") as stream, partial.open("wb") as sink:
        digest, _ = sha256_stream(stream, sink=sink)
    if digest.hex != file.sha256:
        partial.unlink()
        cache.forget(file.sha256)
        raise BuildError(f"the cached file {file.sha256} is damaged and was removed", "run the build again")
    partial.replace(path)


def _write(path: Path, data: bytes) -> None:
    if _reads(path, data):
        return
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)
