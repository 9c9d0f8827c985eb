"""OCI descriptors and the media types that a bundle uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airgap_bundle.digest import Digest
from airgap_bundle.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY_BLOB = b"{}"
CYCLONEDX_TYPE = "application/vnd.cyclonedx+json"
ARTIFACT_PREFIX = "application/vnd.sovereign."
KINDS = ("wheelhouse", "keycloak", "model", "policy", "image", "host-programs", "chart", "cases")

TITLE = "org.opencontainers.image.title"
NAME = "org.opencontainers.image.ref.name"
VERSION = "org.opencontainers.image.version"

# The one content of `oci-layout`. It is no target, so that it is compared byte for byte.
OCI_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def artifact_type(kind: str) -> str:
    """OCI artifactType of ``kind``."""
    return f"{ARTIFACT_PREFIX}{kind}.v1"


def kind_of(type_: str) -> str | None:
    """The kind whose artifactType is ``type_``; None for SBOMs and anything that this format does not know."""
    return next((kind for kind in KINDS if artifact_type(kind) == type_), None)


@dataclass(frozen=True)
class Descriptor:
    """Points at one blob: media type, digest, size in bytes, annotations."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    artifact_type: str | None = None

    @property
    def title(self) -> str | None:
        """The file's name inside its artifact."""
        return self.annotations.get(TITLE)

    def to_json(self) -> dict[str, Any]:
        """The descriptor as OCI spells it."""
        found: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.artifact_type is not None:
            found["artifactType"] = self.artifact_type
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        return found

    @classmethod
    def from_json(cls, value: object) -> Descriptor:
        """Read a descriptor; unknown keys are ignored on purpose. Raises ``FormatError``.

        ``data`` and ``urls`` are refused: content comes from the layout's blobs and from nowhere else.
        """
        if not isinstance(value, dict):
            raise FormatError("descriptor is no object")
        if "urls" in value or "data" in value:
            raise FormatError("descriptor embeds content or names addresses")
        size = value.get("size")
        if type(size) is not int or size < 0:
            raise FormatError(f"descriptor size {size!r} is no byte count")
        return cls(
            _text(value, "mediaType"),
            Digest.parse(value.get("digest")),
            size,
            _annotations(value.get("annotations", {})),
            _text(value, "artifactType") if "artifactType" in value else None,
        )


def _text(value: dict[str, Any], key: str) -> str:
    found = value.get(key)
    if not isinstance(found, str) or not found:
        raise FormatError(f"descriptor {key} is no text")
    return found


def _annotations(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise FormatError("descriptor annotations are not all text")
    return MappingProxyType(dict(value))
