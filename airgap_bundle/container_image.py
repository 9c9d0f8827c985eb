"""Container images as others made them (FORMAT.md, section 4): manifest and config, read strictly and never rewritten.

Two families are accepted, whole: OCI's media types, and Docker's schema 2, which runtimes treat alike. A manifest that
mixes them, names a layer that lies elsewhere ("foreign", "nondistributable"), or could be read as an index as well is
refused: its bytes would mean different things to different readers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.descriptor import INDEX_TYPE, MANIFEST_TYPE, Descriptor
from airgap_bundle.digest import Digest
from airgap_bundle.errors import FormatError
from airgap_bundle.image_reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KIND = "image"
PLATFORM = "vnd.sovereign.image.platform"
SOURCE = "vnd.sovereign.image.source"
INDEX = "vnd.sovereign.image.index"
DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"
MAX_LAYERS = 512
_PLATFORM = re.compile(r"linux/[a-z0-9_]{1,32}(/v[0-9]{1,2})?", re.ASCII)


@dataclass(frozen=True)
class Family:
    """Media types that belong together."""

    index: str
    config: str
    layers: frozenset[str]


FAMILIES: Mapping[str, Family] = {
    MANIFEST_TYPE: Family(
        INDEX_TYPE,
        "application/vnd.oci.image.config.v1+json",
        frozenset(f"application/vnd.oci.image.layer.v1.tar{suffix}" for suffix in ("", "+gzip", "+zstd")),
    ),
    DOCKER_MANIFEST_TYPE: Family(
        DOCKER_LIST_TYPE,
        "application/vnd.docker.container.image.v1+json",
        frozenset(f"application/vnd.docker.image.rootfs.diff.tar{suffix}" for suffix in ("", ".gzip")),
    ),
}
INDEX_TYPES = frozenset(family.index for family in FAMILIES.values())


@dataclass(frozen=True)
class ImageManifest:
    """What an image's manifest names, in its order. A layer may occur more than once."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True)
class Platform:
    """`linux/ARCHITECTURE[/VARIANT]`."""

    architecture: str
    variant: str | None = None

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``text``. Raises ``FormatError``."""
        if not _PLATFORM.fullmatch(text):
            raise FormatError(f"{text[:60]!r} is no platform: linux/ARCHITECTURE or linux/ARCHITECTURE/VARIANT")
        _, architecture, *variant = text.split("/")
        return cls(architecture, *variant)

    def __str__(self) -> str:
        return "/".join(["linux", self.architecture, *([self.variant] if self.variant else [])])

    def fits(self, value: Mapping[str, Any]) -> bool:
        """Whether ``value``, an OCI platform object or an image's config, is of this platform.

        `arm64` without a variant is `v8`, as the OCI image index says.
        """
        given = value.get("variant") or None
        default = "v8" if self.architecture == "arm64" else None
        same = value.get("os") == "linux" and value.get("architecture") == self.architecture
        return same and (given or default) == (self.variant or default)


def parse_image_manifest(data: bytes, media_type: str) -> ImageManifest:
    """Read the manifest ``data``, whose digest was checked. Raises ``FormatError``."""
    family = FAMILIES.get(media_type)
    if family is None:
        raise FormatError(f"an image manifest of type {media_type[:80]!r}")
    value = document(data, media_type)
    unwanted = {"manifests", "fsLayers", "artifactType", "subject"} & value.keys()
    if unwanted:
        raise FormatError(f"the manifest of an image has {', '.join(sorted(unwanted))}: it is something else besides")
    config = Descriptor.from_json(value.get("config"))
    if config.media_type != family.config:
        raise FormatError(f"the config of an image is of type {config.media_type[:80]!r}")
    listed = value.get("layers")
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_LAYERS:
        raise FormatError(f"an image has 1 to {MAX_LAYERS} layers")
    layers = tuple(Descriptor.from_json(item) for item in listed)
    for layer in layers:
        if layer.media_type not in family.layers:
            raise FormatError(
                f"layer {layer.digest} is of type {layer.media_type[:80]!r}: only whole tar layers travel"
            )
    sizes = {(item.digest, item.size) for item in (config, *layers)}
    if len({digest for digest, _ in sizes}) != len(sizes):
        raise FormatError("the manifest of an image gives one digest two sizes")
    return ImageManifest(config, layers)


def document(data: bytes, media_type: str) -> dict[str, Any]:
    """The JSON of a manifest or an index that was served as ``media_type``. Raises ``FormatError``.

    OCI lets `mediaType` be absent; what contradicts the type by which it was found is refused.
    """
    value = strict_json.load_object(data)
    if not strict_json.is_integer(value.get("schemaVersion"), 2) or value.get("mediaType", media_type) != media_type:
        raise FormatError(f"a document found as {media_type} says that it is {str(value.get('mediaType'))[:80]!r}")
    return value


def check_config(settings: Mapping[str, Any], image: ImageManifest, platform: Platform) -> None:
    """Raise ``FormatError`` unless ``settings``, the parsed config, is of ``platform`` and describes as many layers."""
    if not platform.fits(settings):
        found = "/".join(shown(settings.get(key, "?")) for key in ("os", "architecture"))
        raise FormatError(f"the image's config is for {found}, not for {platform}")
    root = settings.get("rootfs")
    diffs = root.get("diff_ids") if isinstance(root, dict) and root.get("type") == "layers" else None
    if not isinstance(diffs, list) or len(diffs) != len(image.layers):
        raise FormatError("the image's config does not describe the layers of its manifest")
    for diff in diffs:
        Digest.parse(diff)


def check_claims(annotations: Mapping[str, str]) -> Platform:
    """The platform that an index claims for an image; source and index are what they should be where they are there.

    Raises ``FormatError``.
    """
    if SOURCE in annotations:
        parse_reference(annotations[SOURCE])
    if INDEX in annotations:
        Digest.parse(annotations[INDEX])
    return Platform.parse(annotations.get(PLATFORM, ""))


def shown(text: object) -> str:
    """What upstream wrote, short and without anything that a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in str(text)[:32])


def layer_names(layers: Sequence[Descriptor]) -> tuple[str, ...]:
    """Names of the layers for listings, lowest first: nothing that upstream wrote becomes a name."""
    return tuple(f"layer-{number:03}" for number in range(1, len(layers) + 1))
