"""What a kind's builder hands to the layout: files, config record and components for the SBOM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airgap_bundle.build.cache import BuildCache, CachedFile
    from airgap_bundle.build.stage import Stage
    from airgap_bundle.lock import Key, ReleaseLock

WHEEL_TYPE = "application/zip"
TAR_TYPE = "application/x-tar"
TEXT_TYPE = "text/plain"
MARKDOWN_TYPE = "text/markdown"
HTML_TYPE = "text/html"
YAML_TYPE = "application/yaml"
BINARY_TYPE = "application/octet-stream"
_BY_SUFFIX = {
    ".whl": WHEEL_TYPE,
    ".tar": TAR_TYPE,
    ".txt": TEXT_TYPE,
    ".jinja": TEXT_TYPE,
    ".md": MARKDOWN_TYPE,
    ".html": HTML_TYPE,
    ".yaml": YAML_TYPE,
}


@dataclass(frozen=True)
class BuiltFile:
    """A file of an artifact: ``title`` is its name there."""

    title: str
    file: CachedFile

    @property
    def media_type(self) -> str:
        """By the title's suffix."""
        return next((kind for suffix, kind in _BY_SUFFIX.items() if self.title.endswith(suffix)), BINARY_TYPE)


@dataclass(frozen=True, order=True)
class Component:
    """A part of an artifact as the SBOM names it. ``form`` is CycloneDX's component type, ``card`` its model card."""

    name: str
    version: str
    form: str = "library"
    purl: str = ""
    sha256: str = ""
    licence: str = ""
    parent: str = field(default="", compare=True)
    card: str = ""
    properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ForeignManifest:
    """An image's manifest, others' or a recipe's, kept byte for byte, with every blob that it names, each once.

    ``annotations`` are what the index says about it: nothing is added to the manifest itself.
    """

    media_type: str
    manifest: CachedFile
    blobs: tuple[CachedFile, ...]
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class BuiltArtifact:
    """An artifact, ready to be written: from ``config`` and ``files``, or as ``foreign`` has it."""

    kind: str
    name: str
    version: str
    config: Mapping[str, Any]
    files: tuple[BuiltFile, ...]
    components: tuple[Component, ...]
    foreign: ForeignManifest | None = None


@dataclass(frozen=True)
class BuildContext:
    """What builders work with: the folder of release.yaml, fetched inputs by lock key, cache, lock and progress.

    ``artifacts`` are those that stand before the one being built, by name; ``suite`` is Debian's.
    """

    folder: Path
    epoch: int
    version: str
    lock: ReleaseLock
    inputs: Mapping[Key, CachedFile]
    cache: BuildCache
    stage: Stage
    artifacts: Mapping[str, BuiltArtifact] = field(default_factory=dict)
    suite: str | None = None
