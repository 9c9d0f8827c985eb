"""The OCI layout, read strictly: ``index.json`` → manifests → config and layers, all flat and all listed.

Parsing is pure: bytes in, values out. ``read_contents`` follows digests over a ``fetch`` function, which hands over
the bytes of one small blob; it checks them itself, so that a caller cannot forget to.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.container_image import (
    FAMILIES,
    ImageManifest,
    check_claims,
    check_config,
    layer_names,
    parse_image_manifest,
)
from airgap_bundle.container_image import KIND as IMAGE
from airgap_bundle.descriptor import (
    CYCLONEDX_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    NAME,
    Descriptor,
    artifact_type,
    kind_of,
)
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import DigestMismatchError, FormatError, MixedMetadataError
from airgap_bundle.metadata import parse_time
from airgap_bundle.names import check_distinct, check_name
from airgap_bundle.report import ReleaseInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

MAX_DOCUMENT_BYTES = 4 << 20
MAX_INTEGER = 2**53
IMAGE_TYPE = artifact_type(IMAGE)


@dataclass(frozen=True)
class Release:
    """``release.json``."""

    info: ReleaseInfo
    support_until: datetime
    artifacts: Mapping[str, tuple[str, str, Digest]]
    sbom: Digest | None


@dataclass(frozen=True)
class Manifest:
    """One manifest of the index; ``kind`` is None for an SBOM, and ``settings`` (the parsed config) is empty then."""

    name: str
    kind: str | None
    descriptor: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Digest | None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> Mapping[str, Descriptor]:
        """The layers by name, which is their title; those of an image are numbered, lowest first."""
        if self.kind == IMAGE:
            return dict(zip(layer_names(self.layers), self.layers, strict=True))
        return {str(layer.title): layer for layer in self.layers}


@dataclass(frozen=True)
class Contents:
    """Everything that ``index.json`` and ``release.json`` hang on a release, by digest; blobs with their sizes."""

    release: Release
    manifests: tuple[Manifest, ...]
    blobs: Mapping[Digest, int]

    @property
    def artifacts(self) -> tuple[Manifest, ...]:
        """The manifests that are artifacts, not SBOMs."""
        return tuple(manifest for manifest in self.manifests if manifest.kind is not None)


def parse_release(data: bytes) -> Release:
    """Read ``release.json``; unknown keys are ignored on purpose. Raises ``FormatError``."""
    value = strict_json.load_object(data, max_bytes=MAX_DOCUMENT_BYTES)
    if not strict_json.is_integer(value.get("schema"), 1):
        raise FormatError(f"release.json: schema {value.get('schema')!r} is not 1")
    number, floor = (_count(value, key) for key in ("number", "min_release"))
    if floor > number:
        raise FormatError(f"release.json: min_release {floor} is above number {number}")
    info = ReleaseInfo(check_name(_text(value, "name")), check_name(_text(value, "version")), number, floor)
    artifacts: dict[str, tuple[str, str, Digest]] = {}
    for item in _list(value, "artifacts"):
        name = check_name(_text(item, "name"))
        if name in artifacts:
            raise FormatError(f"release.json: artifact {name} is listed twice")
        artifacts[name] = (_text(item, "kind"), check_name(_text(item, "version")), Digest.parse(item.get("digest")))
    sbom = Digest.parse(value["sbom"]) if "sbom" in value else None
    return Release(info, parse_time(value.get("support_until")), artifacts, sbom)


def parse_index(data: bytes) -> tuple[Descriptor, ...]:
    """Descriptors of ``index.json``: manifests only, each digest once. Raises ``FormatError``."""
    value = strict_json.load_object(data, max_bytes=MAX_DOCUMENT_BYTES)
    if not strict_json.is_integer(value.get("schemaVersion"), 2) or value.get("mediaType") != INDEX_TYPE:
        raise FormatError("index.json is no OCI image index")
    found = tuple(Descriptor.from_json(item) for item in _list(value, "manifests"))
    for descriptor in found:
        foreign = descriptor.artifact_type == IMAGE_TYPE and descriptor.media_type in FAMILIES
        if descriptor.media_type != MANIFEST_TYPE and not foreign:
            raise FormatError(f"index.json: {descriptor.digest} is no manifest")
    if len({descriptor.digest for descriptor in found}) != len(found):
        raise FormatError("index.json lists a digest twice")
    check_distinct([_name(descriptor) for descriptor in found])
    return found


def parse_manifest(descriptor: Descriptor, data: bytes) -> Manifest:
    """Read one manifest whose digest was checked. Raises ``FormatError`` and ``UnsafeNameError``.

    What kind it is of, the index says; a container image is read as upstream made it, everything else as section 4 has
    it.
    """
    if descriptor.artifact_type == IMAGE_TYPE:
        image = parse_image_manifest(data, descriptor.media_type)
        return Manifest(_name(descriptor), IMAGE, descriptor, image.config, image.layers, None)
    value = strict_json.load_object(data, max_bytes=MAX_DOCUMENT_BYTES)
    if not strict_json.is_integer(value.get("schemaVersion"), 2) or value.get("mediaType") != MANIFEST_TYPE:
        raise FormatError(f"manifest {descriptor.digest} is no OCI manifest")
    type_ = _text(value, "artifactType")
    kind = kind_of(type_)
    if type_ != descriptor.artifact_type or (kind is None and type_ != CYCLONEDX_TYPE):
        raise FormatError(f"manifest {descriptor.digest} is of artifact type {type_!r}")
    layers = tuple(Descriptor.from_json(item) for item in _list(value, "layers"))
    check_distinct([check_name(layer.title or "") for layer in layers])
    subject = Descriptor.from_json(value["subject"]).digest if "subject" in value else None
    return Manifest(_name(descriptor), kind, descriptor, Descriptor.from_json(value.get("config")), layers, subject)


def read_contents(index: bytes, release: bytes, fetch: Callable[[Descriptor], bytes]) -> Contents:
    """Follow ``index`` and ``release`` to every blob. ``fetch`` gives the bytes of one small blob, of any provenance.

    Raises ``FormatError``, ``UnsafeNameError``, ``DigestMismatchError`` for a manifest or config,
    ``MixedMetadataError`` when the two files speak of different artifacts, and whatever ``fetch`` raises.
    """
    described = parse_release(release)
    manifests = tuple(_fetch_manifest(descriptor, fetch) for descriptor in parse_index(index))
    blobs: dict[Digest, int] = {}
    for manifest in manifests:
        for blob in (manifest.descriptor, manifest.config, *manifest.layers):
            if blobs.setdefault(blob.digest, blob.size) != blob.size:
                raise FormatError(f"blob {blob.digest} is declared with two sizes")
    contents = Contents(described, manifests, blobs)
    _check_agreement(contents)
    return contents


def check_small_blob(descriptor: Descriptor, data: bytes) -> bytes:
    """``data`` itself when it is the blob that ``descriptor`` names. Raises ``DigestMismatchError``."""
    if len(data) != descriptor.size or sha256(data) != descriptor.digest:
        raise DigestMismatchError(
            f"blob {descriptor.digest} holds other bytes than were signed", "copy the bundle again"
        )
    return data


def _fetch_manifest(descriptor: Descriptor, fetch: Callable[[Descriptor], bytes]) -> Manifest:
    found = parse_manifest(descriptor, _fetch_document(descriptor, fetch))
    if found.kind is None:
        return found
    settings = strict_json.load_object(_fetch_document(found.config, fetch), max_bytes=MAX_DOCUMENT_BYTES)
    if found.kind == IMAGE:
        platform = check_claims(descriptor.annotations)
        check_config(settings, ImageManifest(found.config, found.layers), platform)
    return replace(found, settings=settings)


def _fetch_document(descriptor: Descriptor, fetch: Callable[[Descriptor], bytes]) -> bytes:
    if descriptor.size > MAX_DOCUMENT_BYTES:
        raise FormatError(f"document {descriptor.digest} exceeds {MAX_DOCUMENT_BYTES} bytes")
    return check_small_blob(descriptor, fetch(descriptor))


def _check_agreement(contents: Contents) -> None:
    listed = {name: (kind, digest) for name, (kind, _, digest) in contents.release.artifacts.items()}
    found = {manifest.name: (manifest.kind, manifest.descriptor.digest) for manifest in contents.artifacts}
    if listed != found:
        raise MixedMetadataError("release.json and index.json do not list the same artifacts")
    artifacts = {manifest.descriptor.digest for manifest in contents.artifacts}
    for manifest in contents.manifests:
        if manifest.subject is not None and (manifest.kind is not None or manifest.subject not in artifacts):
            raise MixedMetadataError(f"{manifest.name} is about something that is no artifact of the bundle")
    merged = {m.descriptor.digest for m in contents.manifests if m.kind is None and m.subject is None}
    if merged != ({contents.release.sbom} - {None}):
        raise MixedMetadataError("the release's sbom is not in the bundle, or not the only one about no artifact")


def _name(descriptor: Descriptor) -> str:
    return check_name(descriptor.annotations.get(NAME, ""))


def _text(value: object, key: str) -> str:
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, str) or not found:
        raise FormatError(f"{key} is no text")
    return found


def _count(value: dict[str, Any], key: str) -> int:
    found = value.get(key)
    if type(found) is not int or not 1 <= found <= MAX_INTEGER:
        raise FormatError(f"{key} {found!r} is no number from 1 to 2^53")
    return found


def _list(value: dict[str, Any], key: str) -> list[Any]:
    found = value.get(key)
    if not isinstance(found, list):
        raise FormatError(f"{key} is no list")
    return found
