"""Locking images: from a reference to the digest of one manifest, and to whoever signed it.

What is locked and still asked for stays; when other signatures are asked for, the locked manifest must have them. The
registry is asked what the tag names today, and a tag that moved is told; only ``--relock`` follows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airgap_bundle.build.image_blobs import fetch_blob
from airgap_bundle.build.registry import Registry
from airgap_bundle.build.registry_credentials import find_credentials
from airgap_bundle.build.signature_check import check_signatures
from airgap_bundle.build.signature_policy import policy_digest, read_policy
from airgap_bundle.container_image import (
    FAMILIES,
    INDEX_TYPES,
    ImageManifest,
    Platform,
    check_config,
    document,
    parse_image_manifest,
    shown,
)
from airgap_bundle.descriptor import Descriptor
from airgap_bundle.errors import FormatError, LockError, RegistryError
from airgap_bundle.image_artifacts import ImageArtifact
from airgap_bundle.image_reference import parse_reference
from airgap_bundle.locked_image import LockedImage
from airgap_bundle.strict_json import load_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from airgap_bundle.build.cache import BuildCache
    from airgap_bundle.build.registry import Document
    from airgap_bundle.build.stage import Stage
    from airgap_bundle.digest import Digest
    from airgap_bundle.image_reference import ImageReference
    from airgap_bundle.release_file import ReleaseFile

MAX_CONFIG = 4 << 20
_DOCUMENTS = frozenset(FAMILIES) | INDEX_TYPES


def open_registry(image: ImageReference) -> Registry:
    """A client for ``image`` with this user's credentials, if there are any."""
    return Registry(image.host, image.repository, find_credentials(image.host, image.repository))


def images_of(release: ReleaseFile) -> list[ImageArtifact]:
    """The artifacts of ``release`` that are images."""
    return [spec for spec in release.artifacts if isinstance(spec, ImageArtifact)]


def lock_images(
    specs: Sequence[ImageArtifact],
    folder: Path,
    kept: Mapping[str, LockedImage],
    cache: BuildCache,
    stage: Stage,
) -> tuple[tuple[LockedImage, ...], tuple[str, ...]]:
    """Entries for ``specs``, and in words what a reviewer should know beside the changes themselves.

    ``kept`` are the entries by artifact that stay as they are where ``specs`` still ask for them.
    Raises ``LockError``, ``RegistryError``, and ``SignatureError`` when an image is not signed as asked for.
    """
    if not specs:
        return (), ()
    made: list[LockedImage] = []
    notes: list[str] = []
    with stage("lock images", "steps") as advance:
        for done, spec in enumerate(specs):
            advance(done, len(specs))
            before = kept.get(spec.name)
            if before is None or (before.image, before.platform) != (spec.image, spec.platform):
                made.append(lock_image(spec, parse_reference(spec.image).asked, folder, cache))
                continue
            stays = before.policy == policy_digest(spec, folder)
            made.append(before if stays else lock_image(spec, before.index or before.digest, folder, cache))
            notes += moved_tag(before)
        advance(len(specs), len(specs))
    return tuple(made), tuple(notes)


def lock_image(spec: ImageArtifact, asked: str, folder: Path, cache: BuildCache) -> LockedImage:
    """The entry for ``spec``: signatures first, then the image itself, of which manifest and config are kept.

    ``asked`` is what its registry is asked for: a tag, or the digest that stays though signatures are asked for anew.
    """
    image, platform, policy = parse_reference(spec.image), Platform.parse(spec.platform), read_policy(spec, folder)
    with open_registry(image) as registry:
        try:
            index, found = _resolve(registry, asked, platform)
            manifest = parse_image_manifest(found.data, found.media_type)
            digests = [digest for digest in (index, found.digest) if digest is not None]
            signatures = () if policy is None else check_signatures(registry, image, digests, policy)
            check_image(registry, manifest, platform, cache)
        except FormatError as error:
            raise LockError(f"{spec.image}: {error.cause}", "choose another platform, tag or image") from error
    cache.add_bytes(found.data)
    return LockedImage(
        spec.name,
        spec.image,
        spec.platform,
        str(index or ""),
        found.media_type,
        str(found.digest),
        len(found.data),
        "" if policy is None else str(policy.digest),
        signatures,
    )


def check_image(registry: Registry, manifest: ImageManifest, platform: Platform, cache: BuildCache) -> dict[str, Any]:
    """The image's config, fetched and consistent with ``manifest`` and ``platform``. Raises ``FormatError``."""
    if manifest.config.size > MAX_CONFIG:
        raise FormatError(f"the image's config exceeds {MAX_CONFIG} bytes")
    kept = fetch_blob(registry, manifest.config.digest, manifest.config.size, cache, lambda _count: None)
    settings = load_object(kept.path.read_bytes(), max_bytes=MAX_CONFIG)
    check_config(settings, manifest, platform)
    return settings


def moved_tag(locked: LockedImage) -> list[str]:
    """What to tell when the tag of ``locked`` names something else today, or cannot be asked for."""
    image = parse_reference(locked.image)
    if image.digest is not None:
        return []
    try:
        with open_registry(image) as registry:
            today = registry.manifest(image.asked, _DOCUMENTS).digest
    except RegistryError as error:
        return [f"image {locked.artifact} stays as locked; whether its tag moved is unknown: {error.cause}"]
    stays = locked.index or locked.digest
    if today == stays:
        return []
    return [f"image {locked.artifact} stays {stays}; its tag {image.tag} moved to {today} (--relock {locked.artifact})"]


def image_changes(old: Sequence[LockedImage], new: Sequence[LockedImage]) -> list[str]:
    """What became of every image, in words."""
    before, after = ({item.artifact: item for item in items} for items in (old, new))
    found = [f"added image {name} {after[name].digest}" for name in sorted(after.keys() - before.keys())]
    found += [f"removed image {name}" for name in sorted(before.keys() - after.keys())]
    for name in sorted(after.keys() & before.keys()):
        if after[name].digest != before[name].digest:
            found.append(f"changed image {name}: from {before[name].digest} to {after[name].digest}")
        elif after[name] != before[name]:
            found.append(f"changed image {name}: the same manifest, locked anew")
    return found


def _resolve(registry: Registry, asked: str, platform: Platform) -> tuple[Digest | None, Document]:
    """The index, when ``asked`` names one, and the manifest for ``platform``."""
    found = registry.manifest(asked, _DOCUMENTS)
    if found.media_type not in INDEX_TYPES:
        return None, found
    chosen = _choose(document(found.data, found.media_type), platform)
    manifest = registry.manifest(str(chosen.digest), [chosen.media_type])
    if len(manifest.data) != chosen.size:
        raise FormatError(f"the index gives another size for {chosen.digest}")
    return found.digest, manifest


def _choose(index: dict[str, Any], platform: Platform) -> Descriptor:
    """The one image of ``index`` for ``platform``; a list that could be read as a manifest too is refused."""
    entries = index.get("manifests")
    if not isinstance(entries, list) or {"config", "layers", "fsLayers"} & index.keys():
        raise FormatError("the index of the image is none, or something else besides")
    named = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("platform"), dict)]
    fitting = [entry for entry in named if platform.fits(entry["platform"])]
    if len(fitting) != 1:
        there = sorted({_spelled(entry["platform"]) for entry in named})
        raise FormatError(f"the index has {len(fitting)} images for {platform}; it has {', '.join(there)[:300]}")
    found = Descriptor.from_json(fitting[0])
    if found.media_type not in FAMILIES:
        raise FormatError(f"the image for {platform} is of type {found.media_type[:80]!r}")
    return found


def _spelled(platform: dict[str, Any]) -> str:
    parts = [platform.get("os"), platform.get("architecture"), platform.get("variant")]
    return "/".join(shown(part) for part in parts if part)
