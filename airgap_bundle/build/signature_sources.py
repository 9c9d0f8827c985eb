"""Where upstream keeps signatures on an image: in its repository, by tag or as referrers. Finding, not judging.

Cosign's older way is the tag `sha256-<hex>.sig`, a manifest with one layer per simple-signing payload and the signature
in the layer's annotations. The newer way is OCI 1.1: the list of referrers (or its tag `sha256-<hex>`), each a manifest
of artifact type `application/vnd.dev.sigstore.bundle.v0.3+json` with the bundle as its one layer. Of a list that the
registry gives in pages, the first page counts.

Whoever may push to a repository may lay anything beside a signature there. What cannot be read is passed over, with the
reason kept for the person who finds no signature left; a registry that breaks down is another matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from airgap_bundle.build.image_claims import SIMPLE_SIGNING_TYPE
from airgap_bundle.build.registry import MissingImageError, WrongAnswerError
from airgap_bundle.container_image import DOCKER_MANIFEST_TYPE, document
from airgap_bundle.descriptor import INDEX_TYPE, MANIFEST_TYPE, Descriptor
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

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


@dataclass(frozen=True)
class Found:
    """What may be a signature, and why other things that lie in a signature's place were passed over."""

    candidates: tuple[Candidate, ...]
    ignored: tuple[str, ...]


def find_signatures(registry: Registry, digest: Digest) -> Found:
    """Everything that may be a signature on ``digest``; at most ``MAX_SIGNATURES`` of either form.

    Raises ``RegistryError`` where the registry fails, not for what lies in it.
    """
    search = _Search(registry, digest)
    search.look("the list of referrers", search.bundles)
    search.look("the tag of signatures", search.simple)
    return Found(tuple(search.candidates), tuple(search.ignored))


class _Search:
    """One image's signatures, as far as they were found."""

    def __init__(self, registry: Registry, digest: Digest) -> None:
        self._registry, self._digest = registry, digest
        self.candidates: list[Candidate] = []
        self.ignored: list[str] = []

    def look(self, what: str, find: Callable[[], Iterable[Candidate]]) -> None:
        """Keep what ``find`` gives; where ``what`` cannot be read, keep why."""
        try:
            self.candidates += find()
        except (FormatError, MissingImageError, WrongAnswerError) as error:
            self.ignored.append(f"{what} cannot be read: {error.cause}")

    def simple(self) -> list[Candidate]:
        """Nothing at once; looks at each layer of the tag by itself."""
        found = _optional(self._registry, f"sha256-{self._digest.hex}.sig", [MANIFEST_TYPE, DOCKER_MANIFEST_TYPE])
        for number, layer in enumerate(() if found is None else _layers(found), 1):
            self.look(f"signature {number} under the tag", partial(_simple, self._registry, layer))
        return []

    def bundles(self) -> list[Candidate]:
        """Nothing at once; looks at each referrer by itself."""
        entries = _referrers(self._registry, self._digest)
        looked = 0
        for number, entry in enumerate(entries, 1):
            if looked == MAX_SIGNATURES:
                self.ignored.insert(0, f"only the first {number - 1} of {len(entries)} referrers were looked at")
                break
            looked += _may_be_bundle(entry)
            self.look(f"referrer {number}", partial(_bundle, self._registry, entry, self._digest))
        return []


def _referrers(registry: Registry, digest: Digest) -> list[object]:
    """The entries of the list of referrers, unread."""
    try:
        listed: Document | None = registry.referrers(digest)
    except MissingImageError:
        listed = _optional(registry, f"sha256-{digest.hex}", [INDEX_TYPE])
    if listed is None:
        return []
    entries = document(listed.data, listed.media_type).get("manifests")
    if not isinstance(entries, list):
        raise FormatError("the list of referrers has no manifests")
    return entries


def _simple(registry: Registry, entry: object) -> list[Candidate]:
    layer = Descriptor.from_json(entry)
    if layer.media_type != SIMPLE_SIGNING_TYPE:
        return []
    return [SimpleSignature(_blob(registry, layer), layer.annotations)]


def _may_be_bundle(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get("artifactType") == BUNDLE_TYPE


def _bundle(registry: Registry, entry: object, digest: Digest) -> list[Candidate]:
    """The bundle of one referrer; none where it is longer than any signature: statements come as bundles as well."""
    descriptor = Descriptor.from_json(entry)
    if descriptor.artifact_type != BUNDLE_TYPE or descriptor.media_type != MANIFEST_TYPE:
        return []
    found = registry.manifest(str(descriptor.digest), [MANIFEST_TYPE])
    value = document(found.data, found.media_type)
    subject = value.get("subject")
    if not isinstance(subject, dict) or subject.get("digest") != digest:
        raise FormatError(f"{descriptor.digest} is listed as a referrer and refers to something else")
    layers = _layers(found)
    layer = Descriptor.from_json(layers[0]) if len(layers) == 1 else None
    if layer is None or layer.media_type != BUNDLE_TYPE:
        raise FormatError(f"{descriptor.digest} is no sigstore bundle")
    return [BundleSignature(_blob(registry, layer))] if layer.size <= MAX_BLOB else []


def _layers(found: Document) -> list[object]:
    """The layers of a manifest, unread."""
    listed = document(found.data, found.media_type).get("layers")
    if not isinstance(listed, list) or len(listed) > MAX_SIGNATURES:
        raise FormatError(f"{found.digest} has no layers, or more than {MAX_SIGNATURES}")
    return listed


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
        raise WrongAnswerError(f"{registry.host} serves other bytes for {descriptor.digest}")
    return data


def _optional(registry: Registry, reference: str, accept: list[str]) -> Document | None:
    try:
        return registry.manifest(reference, accept)
    except MissingImageError:
        return None
