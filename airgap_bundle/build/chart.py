"""The artifact kind `chart`: a Helm chart out of the Go module of what it installs, so that both are one version.

Modules that are carried by `go.sum` need no second source for their charts. The chart lies in the bundle as one tar of
the one spelling that the format has; whoever installs it packs that as Helm wants it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from airgap_bundle.archive import Entry, write_tar
from airgap_bundle.build.artifact import BuiltArtifact, BuiltFile, Component
from airgap_bundle.build.cache import derivation_key
from airgap_bundle.build.golang.compilation import MODULE_ARCHIVE
from airgap_bundle.build.recipe.program_supply import ProgramSupply
from airgap_bundle.build.strict_zip import open_zip
from airgap_bundle.digest import sha256_stream
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.build.artifact import BuildContext
    from airgap_bundle.build.cache import BuildCache, CachedFile
    from airgap_bundle.build.inputs import Request
    from airgap_bundle.build.strict_zip import StrictZip
    from airgap_bundle.made_artifacts import ChartArtifact

TITLE = "chart.tar"
DERIVATION = 1


def requests(spec: ChartArtifact, folder: Path) -> tuple[Request, ...]:  # noqa: ARG001 - one signature for all kinds
    """Programs are locked in a section of their own."""
    return ()


def programs(spec: ChartArtifact, folder: Path) -> tuple[str, ...]:  # noqa: ARG001 - one signature for all kinds
    """The wrapper module whose zip has the chart."""
    return (spec.program,)


def build(spec: ChartArtifact, context: BuildContext) -> BuiltArtifact:
    """The artifact; the tar is derived once per module. Raises ``BuildError`` when there is no chart in that folder."""
    supply = ProgramSupply(context.folder, context.lock, context.cache, context.stage)
    source, archive = supply.source(spec.program), supply.file(spec.program, MODULE_ARCHIVE)
    key = derivation_key("chart", module=archive.sha256, folder=spec.folder, derivation=DERIVATION)
    found = context.cache.derived(key)
    if found is None:
        with open_zip(archive.path, source.module) as opened:
            tar, facts = _derive(opened, f"{source.module}@{source.version}/{spec.folder}/", context.cache)
        found = context.cache.remember(key, {TITLE: tar}, facts)
    name, version = found.facts["name"], found.facts["version"]
    config = {"schema": 1, "name": name, "version": version, "file": TITLE}
    purl = f"pkg:golang/{source.module}@{source.version}#{spec.folder}"
    component = Component(
        f"{name}-chart", version, "application", purl, found.files[TITLE].sha256, source.settings.licence
    )
    return BuiltArtifact(spec.kind, spec.name, version, config, (BuiltFile(TITLE, found.files[TITLE]),), (component,))


def _derive(archive: StrictZip, top: str, cache: BuildCache) -> tuple[CachedFile, dict[str, str]]:
    """The tar in the cache, and what the chart calls itself."""
    paths = [path for path, member in archive.members.items() if path.startswith(top) and not member.directory]
    if f"{top}Chart.yaml" not in paths:
        raise BuildError(f"{top.rstrip('/')} is no chart: it has no Chart.yaml", "correct `folder`")
    told = yaml.safe_load(archive.read(f"{top}Chart.yaml"))
    facts = {"name": str(told["name"]), "version": str(told["version"])}
    entries = [Entry(f"{facts['name']}/{path.removeprefix(top)}", archive.read(path)) for path in paths]
    with cache.writer() as partial:
        write_tar(partial.stream, entries)
        partial.stream.flush()
        with partial.path.open("rb") as stream:
            digest, size = sha256_stream(stream)
        return partial.keep(digest.hex, size), facts
