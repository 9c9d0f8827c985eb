"""What a bundle says about itself, with how much of that is verified said beside it.

Inspection reads index, manifests and metadata, not the blobs: it is quick. What it shows is what the bundle claims,
unless the signatures are checked against a root that somebody trusts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airgap_bundle import oci
from airgap_bundle.blobs import blob_path
from airgap_bundle.chain import follow, read_roots
from airgap_bundle.container_image import INDEX, PLATFORM, SOURCE
from airgap_bundle.container_image import KIND as IMAGE
from airgap_bundle.errors import BundleError, FormatError, MalformedError
from airgap_bundle.media.opening import open_bundle
from airgap_bundle.metadata import (
    INDEX_FILE,
    MAX_METADATA_BYTES,
    RELEASE_FILE,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    format_time,
    parse_snapshot,
    parse_targets,
    parse_timestamp,
)
from airgap_bundle.root_policy import tally
from airgap_bundle.supply import Anywhere
from airgap_bundle.verify import Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from tuf.api.metadata import Metadata

    from airgap_bundle.descriptor import Descriptor
    from airgap_bundle.medium import BundleSource
    from airgap_bundle.report import ReleaseInfo
    from airgap_bundle.trust_state import TrustState

_PARSERS: dict[str, Callable[[bytes], Metadata[Any]]] = {
    TARGETS: parse_targets,
    SNAPSHOT: parse_snapshot,
    TIMESTAMP: parse_timestamp,
}


_CLAIMS = {"source": SOURCE, "platform": PLATFORM, "index": INDEX}


@dataclass(frozen=True)
class ListedFile:
    """One file of an artifact; ``size`` in bytes."""

    digest: str
    size: int


@dataclass(frozen=True)
class ListedArtifact:
    """One artifact as the index lists it; ``size`` is that of its files.

    ``image`` is what the index says of a container image: its platform, and where and from which index it came.
    """

    name: str
    kind: str
    version: str
    digest: str
    size: int
    files: Mapping[str, ListedFile]
    image: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The artifact as plain JSON values; ``image`` is there for images only."""
        value = asdict(self)
        if not self.image:
            del value["image"]
        return value


@dataclass(frozen=True)
class Inspection:
    """What was read. ``verified`` is about the metadata only; ``verdict`` is the sentence for a person."""

    release: ReleaseInfo
    support_until: str
    artifacts: tuple[ListedArtifact, ...]
    signatures: Mapping[str, str]
    verified: bool
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """The inspection as plain JSON values."""
        return {
            "verified": self.verified,
            "verdict": self.verdict,
            "release": self.release.to_json(),
            "support_until": self.support_until,
            "signatures": dict(self.signatures),
            "artifacts": [found.to_json() for found in self.artifacts],
        }


def inspect_bundle(bundle: Path, trust: TrustState, *, now: datetime) -> Inspection:
    """Read ``bundle`` (directory, packed file, split set). Raises ``MalformedError`` and its kin when it is none."""
    with open_bundle(bundle) as medium:
        run = Verification(medium, trust, now, Anywhere("another place"))
        run.check_metadata()
        report = run.report()
        contents = run.contents if report.ok else _claimed(medium)
        signatures = _signatures(medium)
    if report.ok:
        verdict = f"metadata verified, signed by {', '.join(report.signers)}; blobs were not read: `bundle verify` does"
        if run.supplied:
            verdict += f"; a delta: {len(run.supplied)} blobs must lie in the store of the site that takes it"
    elif trust.root is None and trust.pinned is None:
        verdict = "nothing has been verified: no root is trusted here; this is what the bundle says about itself"
    else:
        failure = report.failure
        verdict = f"refused, nothing above is verified: {failure.name}: {failure.detail}" if failure else "refused"
    return Inspection(
        contents.release.info,
        format_time(contents.release.support_until),
        tuple(_listed(manifest, contents) for manifest in contents.artifacts),
        signatures,
        report.ok,
        verdict,
    )


def claimed_size(bundle: Path) -> int:
    """Bytes of all blobs of the release in ``bundle``, what a delta lacks included: a claim, for asking about room.

    Raises as ``inspect_bundle``.
    """
    with open_bundle(bundle) as medium:
        return sum(_claimed(medium).blobs.values())


def _claimed(medium: BundleSource) -> oci.Contents:
    def fetch(descriptor: Descriptor) -> bytes:
        return medium.read(blob_path(descriptor.digest), oci.MAX_DOCUMENT_BYTES)

    try:
        index, release = (medium.read(name, oci.MAX_DOCUMENT_BYTES) for name in (INDEX_FILE, RELEASE_FILE))
        return oci.read_contents(index, release, fetch)
    except FormatError as error:
        raise MalformedError(error.cause, "this folder is no bundle, or it was damaged") from error


def _signatures(medium: BundleSource) -> dict[str, str]:
    """Per role, who signed according to the bundle's own root: a claim as long as the root is not trusted."""
    files = medium.list().files
    try:
        roots = read_roots(medium, files)
        root = follow(roots, min(roots)).root
    except BundleError as error:
        return {"root": error.cause}
    found = {"root": f"version {root.version}, expires {format_time(root.expires)}"}
    for role, parse in _PARSERS.items():
        path = f"metadata/{role}.json"
        if path not in files:
            found[role] = "not signed"
            continue
        try:
            found[role] = str(tally(root, role, parse(medium.read(path, MAX_METADATA_BYTES))))
        except BundleError as error:
            found[role] = error.cause
    return found


def _listed(manifest: oci.Manifest, contents: oci.Contents) -> ListedArtifact:
    kind, version, _ = contents.release.artifacts[manifest.name]
    files = {name: ListedFile(str(layer.digest), layer.size) for name, layer in manifest.files.items()}
    size = sum(file.size for file in files.values())
    claims = manifest.descriptor.annotations if kind == IMAGE else {}
    image = {name: claims[key] for name, key in _CLAIMS.items() if key in claims}
    return ListedArtifact(manifest.name, kind, version, str(manifest.descriptor.digest), size, files, image)
