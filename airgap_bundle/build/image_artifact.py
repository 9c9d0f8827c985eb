"""The image artifact: a container image of a registry, byte for byte; its layers are fetched when they are missing."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from airgap_bundle.build.artifact import BuiltArtifact, Component, ForeignManifest
from airgap_bundle.build.image_blobs import fetch_blob
from airgap_bundle.build.image_lock import check_image, open_registry
from airgap_bundle.build.signature_policy import policy_digest
from airgap_bundle.container_image import INDEX, PLATFORM, SOURCE, Platform, parse_image_manifest
from airgap_bundle.digest import Digest
from airgap_bundle.errors import FormatError, LockError
from airgap_bundle.image_reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from airgap_bundle.build.artifact import BuildContext
    from airgap_bundle.build.cache import CachedFile
    from airgap_bundle.build.inputs import Request
    from airgap_bundle.build.registry import Registry
    from airgap_bundle.container_image import ImageManifest
    from airgap_bundle.image_artifacts import ImageArtifact
    from airgap_bundle.image_reference import ImageReference
    from airgap_bundle.locked_image import LockedImage, LockedSignature

LABELS = "org.opencontainers.image."
MAX_LABEL = 256
MAX_LABELS = 64


def requests(spec: ImageArtifact, folder: Path) -> tuple[Request, ...]:  # noqa: ARG001 - one signature for all kinds
    """No package is fetched: the lock names the image itself."""
    return ()


def build(spec: ImageArtifact, context: BuildContext) -> BuiltArtifact:
    """The artifact as locked. Raises ``LockError`` when release.yaml asks for something else than was locked."""
    locked, image = context.lock.image(spec.name), parse_reference(spec.image)
    if locked.asked != (spec.name, spec.image, spec.platform, policy_digest(spec, context.folder)):
        raise LockError(
            f"release.yaml asks for another image, platform or signatures of {spec.name} than was locked",
            "run `sovereign bundle lock` and review what changed",
        )
    with open_registry(image) as registry:
        kept = _manifest(registry, locked, context)
        try:
            manifest = parse_image_manifest(kept.path.read_bytes(), locked.media_type)
            settings = check_image(registry, manifest, Platform.parse(locked.platform), context.cache)
        except FormatError as error:
            raise LockError(
                f"{spec.image}: {error.cause}", f"run `sovereign bundle lock --relock {spec.name}`"
            ) from error
        blobs = _blobs(registry, spec.name, manifest, context)
    annotations = {PLATFORM: locked.platform, SOURCE: locked.image, **({INDEX: locked.index} if locked.index else {})}
    foreign = ForeignManifest(locked.media_type, kept, blobs, annotations)
    component = _component(image, locked, settings)
    return BuiltArtifact(spec.kind, spec.name, image.version, {}, (), (component,), foreign)


def _manifest(registry: Registry, locked: LockedImage, context: BuildContext) -> CachedFile:
    digest = Digest.parse(locked.digest)
    found = context.cache.verified(digest.hex, locked.size)
    if found is not None:
        return found
    return context.cache.add_bytes(registry.manifest(locked.digest, [locked.media_type]).data)


def _blobs(registry: Registry, name: str, manifest: ImageManifest, context: BuildContext) -> tuple[CachedFile, ...]:
    """Config and layers, each once."""
    wanted = {item.digest: item.size for item in (manifest.config, *manifest.layers)}
    total, done = sum(wanted.values()), 0
    found = []
    with context.stage(f"fetch image {name}") as advance:
        for digest, size in wanted.items():

            def on_bytes(there: int, before: int = done) -> None:
                advance(before + there, total)

            found.append(fetch_blob(registry, digest, size, context.cache, on_bytes))
            done += size
    return tuple(found)


def _component(image: ImageReference, locked: LockedImage, settings: Mapping[str, Any]) -> Component:
    """The image for the SBOM: `pkg:oci` as the purl specification has it, upstream's labels as claims of theirs."""
    labels = dict(islice(_labels(settings), MAX_LABELS))  # what is too long, or too many, stays in the image's config
    digest = Digest.parse(locked.digest)
    name = image.repository.rsplit("/", 1)[-1]
    tag = f"&tag={image.tag}" if image.tag else ""
    architecture = Platform.parse(locked.platform).architecture
    purl = f"pkg:oci/{name}@sha256%3A{digest.hex}?arch={architecture}&repository_url={image.name}{tag}"
    properties = [
        ("sovereign:image:reference", locked.image),
        ("sovereign:image:platform", locked.platform),
        *([("sovereign:image:index", locked.index)] if locked.index else []),
        *((f"sovereign:image:label:{key}", value) for key, value in labels.items()),
        *(item for number, signature in enumerate(locked.signatures) for item in _signed(number, signature)),
    ]
    return Component(
        image.repository,
        image.version,
        "container",
        purl,
        digest.hex,
        labels.get(f"{LABELS}licenses", ""),
        properties=tuple(sorted(properties)),
    )


def _labels(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Labels under OCI's own prefix that are short and printable."""
    config = settings.get("config")
    labels = config.get("Labels") if isinstance(config, dict) else None
    for key, value in sorted(labels.items()) if isinstance(labels, dict) else ():
        short = isinstance(value, str) and 0 < len(value) <= MAX_LABEL and len(key) <= MAX_LABEL
        if short and key.startswith(LABELS) and key.isprintable() and value.isprintable():
            yield key, value


def _signed(number: int, signature: LockedSignature) -> Iterator[tuple[str, str]]:
    fields = {
        "form": signature.form,
        "digest": signature.digest,
        "key": signature.key,
        "identity": signature.identity,
        "issuer": signature.issuer,
        "certificate": signature.certificate,
        "log-index": "" if signature.log_index is None else str(signature.log_index),
        "logged": signature.logged,
    }
    return ((f"sovereign:image:signature:{number}:{name}", value) for name, value in fields.items() if value)
