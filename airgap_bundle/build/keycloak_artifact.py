"""The Keycloak artifact: the distribution's zip as one deterministic, uncompressed tar.

The top folder is stripped; scripts for another operating system are dropped; `bin/*.sh` stay executable. The tar is
not reproducible output of Keycloak's own build step: that runs on the site, for the site's database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.archive import Entry, write_tar
from airgap_bundle.build.artifact import BuiltArtifact, BuiltFile, Component
from airgap_bundle.build.cache import derivation_key
from airgap_bundle.build.inputs import Request
from airgap_bundle.build.jar import file_name_version, jar_coordinate
from airgap_bundle.build.strict_zip import open_zip
from airgap_bundle.digest import sha256_stream
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.build.artifact import BuildContext
    from airgap_bundle.build.cache import BuildCache, CachedFile
    from airgap_bundle.build.stage import Advance
    from airgap_bundle.build.strict_zip import StrictZip
    from airgap_bundle.release_file import KeycloakArtifact

TITLE = "keycloak.tar"
DERIVATION = 2


def requests(spec: KeycloakArtifact, folder: Path) -> tuple[Request, ...]:  # noqa: ARG001 - one signature for all kinds
    """The distribution's zip."""
    group, name, version, extension = spec.maven.split(":")
    return (Request(spec.name, "maven", f"{group}:{name}", version, extension=extension),)


def build(spec: KeycloakArtifact, context: BuildContext) -> BuiltArtifact:
    """The artifact; the tar is derived once per zip."""
    (request,) = requests(spec, context.folder)
    source = context.inputs[request.key]
    key = derivation_key("keycloak tar", zip=source.sha256, derivation=DERIVATION)
    found = context.cache.derived(key)
    if found is None:
        with context.stage("unpack keycloak") as advance, open_zip(source.path, request.name) as archive:
            tar, jars = _derive(archive, context.cache, advance)
        found = context.cache.remember(key, {TITLE: tar}, {"jars": jars})
    config = {"schema": 1, "name": "keycloak", "version": spec.version, "file": TITLE}
    purl = f"pkg:maven/{request.name.replace(':', '/')}@{spec.version}"
    server = Component("keycloak", spec.version, "application", purl, source.sha256, "Apache-2.0")
    libraries = (Component(**jar) for jar in found.facts["jars"])
    components = (server, *libraries)
    return BuiltArtifact(
        spec.kind, spec.name, spec.version, config, (BuiltFile(TITLE, found.files[TITLE]),), components
    )


def _derive(archive: StrictZip, cache: BuildCache, advance: Advance) -> tuple[CachedFile, list[dict[str, str]]]:
    """Write the tar into the cache; also every jar as a component, for the SBOM."""
    wanted = _wanted(archive)
    total = sum(archive.members[path].size for path in wanted.values())
    done = 0
    entries: list[Entry] = []
    jars: list[dict[str, str]] = []
    with cache.workspace() as scratch:
        for number, (path, source) in enumerate(sorted(wanted.items())):
            member = archive.members[source]
            if member.directory:
                entries.append(Entry(path, None))
                continue
            file = scratch / str(number)
            with file.open("wb") as sink:
                archive.copy(member, sink)
            entries.append(Entry(path, file, executable=path.startswith("bin/") and path.endswith(".sh")))
            if path.endswith(".jar"):
                jars.append(_library(path, file))
            done += member.size
            advance(done, total)
        return _write(entries, cache), jars


def _write(entries: list[Entry], cache: BuildCache) -> CachedFile:
    with cache.writer() as partial:
        write_tar(partial.stream, entries)
        partial.stream.flush()
        with partial.path.open("rb") as stream:
            digest, size = sha256_stream(stream)
        return partial.keep(digest.hex, size)


def _wanted(archive: StrictZip) -> dict[str, str]:
    """Member of the zip by path in the tar. Raises ``BuildError`` when there is not exactly one top folder."""
    tops = {path.split("/", 1)[0] for path in archive.members}
    if len(tops) != 1:
        raise BuildError(f"the keycloak archive has {len(tops)} top folders, one expected")
    kept = {}
    for path in archive.members:
        inner = path.partition("/")[2]
        if inner and not inner.endswith(".bat") and inner.split("/", 1)[0] != "docs":
            kept[inner] = path
    return kept


def _library(path: str, file: Path) -> dict[str, str]:
    """Fields of the SBOM component for a jar, without a purl where it does not say its coordinate."""
    with file.open("rb") as stream:
        digest = sha256_stream(stream)[0].hex
    found = jar_coordinate(file, path)
    if found is None:
        name, version = file_name_version(path)
        return {"name": name, "version": version, "sha256": digest}
    group, name, version = found
    return {"name": name, "version": version, "purl": f"pkg:maven/{group}/{name}@{version}", "sha256": digest}
