"""SBOMs: one per artifact, one merged for the release; each made once per content.

Serial numbers are derived from the content, the time from the release's source date: equal releases, equal SBOMs.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from airgap_bundle.build.artifact import Component
from airgap_bundle.build.cache import derivation_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airgap_bundle.build.artifact import BuiltArtifact
    from airgap_bundle.build.cache import BuildCache, CachedFile

DERIVATION = 2
TITLE = "sbom.cdx.json"


def artifact_sbom(artifact: BuiltArtifact, epoch: int, cache: BuildCache) -> CachedFile:
    """SBOM of one artifact: the artifact is the subject, its components the parts."""
    subject = Component(artifact.name, artifact.version, "application")
    return _cached(subject, artifact.components, epoch, cache)


def release_sbom(
    name: str, version: str, artifacts: Sequence[BuiltArtifact], epoch: int, cache: BuildCache
) -> CachedFile:
    """The merged SBOM: every artifact's components once, the artifacts among them."""
    merged = {component for artifact in artifacts for component in artifact.components}
    merged |= {Component(item.name, item.version, "application") for item in artifacts if not item.components}
    return _cached(Component(name, version, "application"), sorted(merged), epoch, cache)


def _cached(subject: Component, components: Sequence[Component], epoch: int, cache: BuildCache) -> CachedFile:
    """Making and validating one takes seconds, importing what does it takes another: once per content."""
    parts = [asdict(item) for item in sorted(components)]
    key = derivation_key("sbom", subject=asdict(subject), parts=parts, epoch=epoch, derivation=DERIVATION)
    found = cache.derived(key)
    if found is None:
        from airgap_bundle.build.cyclonedx_document import make_sbom  # noqa: PLC0415 - a warm build does without it

        data = make_sbom(subject, sorted(components), epoch)
        found = cache.remember(key, {TITLE: cache.add_bytes(data)}, {})
    return found.files[TITLE]
