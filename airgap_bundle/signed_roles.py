"""The roles below root in one bundle: read, counted, compared with one another and with what a site has seen.

A release has three of them, a bundle of models one. Reading only, in the order in which ``verify`` asks. Whatever else
a check needs is given to it: the root in force, the files that are there, the floors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airgap_bundle import metadata
from airgap_bundle.digest import sha256
from airgap_bundle.errors import DigestMismatchError, MixedMetadataError, RollbackError, UnsignedError
from airgap_bundle.metadata import MODELS, MODELS_PREFIX, SNAPSHOT, TARGETS, TIMESTAMP
from airgap_bundle.root_policy import Tally, tally

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from tuf.api.metadata import Metadata, Root

    from airgap_bundle.medium import BundleSource

PARSERS: dict[str, Callable[[bytes], Metadata[Any]]] = {
    TARGETS: metadata.parse_targets,
    SNAPSHOT: metadata.parse_snapshot,
    TIMESTAMP: metadata.parse_timestamp,
    MODELS: metadata.parse_models,
}
_PREFIXES = {TARGETS: "", MODELS: MODELS_PREFIX}
ROLLBACK_HINT = "older releases and metadata are refused, whoever signed them: ask for the newest bundle"
_SEAL_HINTS = {
    TARGETS: "`sovereign bundle sign --key NAME.key` adds a person's signatures",
    SNAPSHOT: "`sovereign bundle sign --key release.key` seals it",
    TIMESTAMP: "`sovereign bundle sign --key release.key` seals it",
    MODELS: "`sovereign bundle sign --models --key NAME.key` adds a person's signatures",
}


class SignedRoles:
    """The roles of the bundle on ``medium``, as far as they were read; those of ``persons`` answer for its content."""

    def __init__(self, medium: BundleSource, persons: str) -> None:
        self._medium, self._persons = medium, persons
        self._raw: dict[str, bytes] = {}
        self.found: dict[str, Metadata[Any]] = {}
        self.tallies: dict[str, Tally] = {}

    def require(self, role: str, algorithm: str | None, root: Root, files: Collection[str]) -> str:
        """That enough persons named by ``root`` signed ``role`` with ``algorithm``; with None, with both.

        Raises ``UnsignedError`` where there is no such file, ``FormatError``, and as ``Tally.require``.
        """
        if role not in self.tallies:
            path = f"metadata/{role}.json"
            if path not in files:
                raise UnsignedError(f"{path} is missing: the bundle is not signed to the end", _SEAL_HINTS[role])
            self._raw[role] = self._medium.read(path, metadata.MAX_METADATA_BYTES)
            self.found[role] = PARSERS[role](self._raw[role])
            self.tallies[role] = tally(root, role, self.found[role])
        return self.tallies[role].require(algorithm)

    def agree(self) -> str:
        """That timestamp binds this snapshot, and snapshot these targets. Raises ``MixedMetadataError``."""
        timestamp, snapshot, targets = (self.found[role].signed for role in (TIMESTAMP, SNAPSHOT, TARGETS))
        pairs = ((timestamp.snapshot_meta, SNAPSHOT, snapshot), (snapshot.meta["targets.json"], TARGETS, targets))
        for bound, role, signed in pairs:
            if bound.version != signed.version or not metadata.binds(bound, self._raw[role]):
                raise MixedMetadataError(f"{role}.json is not the one that this release's metadata binds")
        return f"timestamp {timestamp.version} → snapshot {snapshot.version} → targets {targets.version}"

    def require_under(self, root: Root, data: bytes) -> str:
        """That the persons signed under ``root``, in force, whose file is ``data``.

        Raises ``RollbackError`` for an earlier root: whoever lays later ones beside it brings nothing back, were its
        signers to hold the role again. Raises ``MixedMetadataError`` for another root of that version or a later one.
        """
        version, found = metadata.signed_under(self.found[self._persons].signed)
        if version < root.version:
            raise RollbackError(
                f"{self._persons}.json was signed under root {version}, and root {root.version} is in force",
                "ask those who may bring models now to sign it again",
            )
        if (version, found) != (root.version, sha256(data)):
            raise MixedMetadataError(f"{self._persons}.json was signed under another root than the one in force")
        return f"signed under root {version}, which is in force"

    def check_versions(self, floors: Mapping[str, int], reset: Collection[str]) -> str:
        """That no role is below its floor, except those that a new root ``reset``. Raises ``RollbackError``."""
        for role, found in self.found.items():
            floor = 0 if role in reset else floors.get(role, 0)
            if found.signed.version < floor:
                raise RollbackError(
                    f"{role} version {found.signed.version} is below {floor}, which this site has seen", ROLLBACK_HINT
                )
        return ", ".join(f"{role} {found.signed.version}" for role, found in self.found.items())

    def check_target(self, name: str, data: bytes) -> None:
        """That ``data`` are the bytes of the target ``name``. Raises ``DigestMismatchError``."""
        if not metadata.binds(self.found[self._persons].signed.targets[_PREFIXES[self._persons] + name], data):
            raise DigestMismatchError(f"{name} holds other bytes than were signed", "copy the bundle again")
