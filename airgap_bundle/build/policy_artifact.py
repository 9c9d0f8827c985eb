"""The policy artifact: a policy file of the tree, as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.build.artifact import BuiltArtifact, BuiltFile
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.build.artifact import BuildContext
    from airgap_bundle.build.inputs import Request
    from airgap_bundle.release_file import PolicyArtifact


def requests(spec: PolicyArtifact, folder: Path) -> tuple[Request, ...]:  # noqa: ARG001 - one signature for all kinds
    """Nothing is fetched."""
    return ()


def build(spec: PolicyArtifact, context: BuildContext) -> BuiltArtifact:
    """The artifact; its version is the release's."""
    path = context.folder / spec.file
    try:
        kept = context.cache.add_bytes(path.read_bytes())
    except OSError as error:
        raise BuildError(f"{path}: {str(error.strerror).lower()}", f"release.yaml names it for {spec.name}") from error
    config = {"schema": 1, "name": spec.name, "file": path.name}
    return BuiltArtifact(spec.kind, spec.name, context.version, config, (BuiltFile(path.name, kept),), ())
