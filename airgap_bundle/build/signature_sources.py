"""Where upstream keeps signatures on an image: in its repository, by tag or as referrers. Finding, not judging.

Cosign's older way is the tag `sha256-<hex>.sig`, a manifest with one layer per simple-signing payload and the signature
in the layer's annotations. The newer way is OCI 1.1: the list of referrers (or its tag `sha256-<hex>`), each a manifest
of artifact type `application/vnd.dev.sigstore.bundle.v0.3+json` with the bundle as its one layer. Of a list that the
registry gives in pages, the first page counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle.build.image_claims import SIMPLE_SIGNING_TYPE
from airgap_bundle.build.registry import MissingImageError
from airgap_bundle.container_image import DOCKER_MANIFEST_TYPE, document
from airgap_bundle.descriptor import INDEX_TYPE, MANIFEST_TYPE, Descriptor
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import FormatError, MalformedError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airgap_bundle.build.registry import Document, Registry

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MAX_SIGNATURES = 64
MAX_BLOB = 1 << 20


@dataclass(frozen=True)
class SimpleSignature:
    """A payload and what its layer's annotations say: signature, certificate, the log's promise."""

    payload: bytes
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class BundleSignature:
    """A sigstore bundle, unread."""

    data: bytes


Candidate = SimpleSignature | BundleSignature


def find_signatures(registry: Registry, digest: Digest) -> tuple[Candidate, ...]:
    """Everything that may be a signature on ``digest``; at most ``MAX_SIGNATURES`` of either form.

    Raises ``MalformedError`` for a list that cannot be read, ``RegistryError``.
    """
    try:
        return (*_bundles(registry, digest), *_simple(registry, digest))
    except FormatError as error:
        raise MalformedError(f"the signatures on {digest} cannot be read: {error.cause}") from error


def _simple(registry: Registry, digest: Digest) -> list[Candidate]:
    accept = [MANIFEST_TYPE, DOCKER_MANIFEST_TYPE]
    found = _optional(registry, f"sha256-{digest.hex}.sig", accept)
    if found is None:
        return []
    return [
        SimpleSignature(_blob(registry, layer), layer.annotations)
        for layer in _layers(found)
        if layer.media_type == SIMPLE_SIGNING_TYPE
    ]


def _bundles(registry: Registry, digest: Digest) -> list[Candidate]:
    try:
        listed: Document | None = registry.referrers(digest)
    except MissingImageError:
        listed = _optional(registry, f"sha256-{digest.hex}", [INDEX_TYPE])
    if listed is None:
        return []
    entries = document(listed.data, listed.media_type).get("manifests")
    if not isinstance(entries, list):
        raise FormatError("the list of referrers has no manifests")
    found: list[Candidate] = []
    for descriptor in [Descriptor.from_json(entry) for entry in entries]:
        if descriptor.artifact_type == BUNDLE_TYPE and descriptor.media_type == MANIFEST_TYPE:
            found += _bundle(registry, descriptor, digest)
        if len(found) > MAX_SIGNATURES:
            raise FormatError(f"there are more than {MAX_SIGNATURES}")
    return found


def _bundle(registry: Registry, descriptor: Descriptor, digest: Digest) -> list[Candidate]:
    """The bundle of one referrer; none where it is longer than any signature: statements come as bundles as well."""
    found = registry.manifest(str(descriptor.digest), [MANIFEST_TYPE])
    value = document(found.data, found.media_type)
    subject = value.get("subject")
    if not isinstance(subject, dict) or subject.get("digest") != digest:
        raise FormatError(f"{descriptor.digest} is listed as a referrer and refers to something else")
    layers = _layers(found)
    if len(layers) != 1 or layers[0].media_type != BUNDLE_TYPE:
        raise FormatError(f"{descriptor.digest} is no sigstore bundle")
    return [BundleSignature(_blob(registry, layers[0]))] if layers[0].size <= MAX_BLOB else []


def _layers(found: Document) -> tuple[Descriptor, ...]:
    listed = document(found.data, found.media_type).get("layers")
    if not isinstance(listed, list) or len(listed) > MAX_SIGNATURES:
        raise FormatError(f"{found.digest} has no layers, or more than {MAX_SIGNATURES}")
    return tuple(Descriptor.from_json(item) for item in listed)


def _blob(registry: Registry, descriptor: Descriptor) -> bytes:
    if descriptor.size > MAX_BLOB:
        raise FormatError(f"{descriptor.digest} is longer than {MAX_BLOB} bytes")
    found = bytearray()
    with registry.blob(descriptor.digest, descriptor.size) as (_, pieces):
        for piece in pieces:
            found += piece
            if len(found) > descriptor.size:
                break
    data = bytes(found)
    if sha256(data) != descriptor.digest:
        raise RegistryError(f"{registry.host} serves other bytes for {descriptor.digest}")
    return data


def _optional(registry: Registry, reference: str, accept: list[str]) -> Document | None:
    try:
        return registry.manifest(reference, accept)
    except MissingImageError:
        return None
