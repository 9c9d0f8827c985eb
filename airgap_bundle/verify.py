"""Verification of a bundle directory against a site's trust state: reading only, no network, no subprocess.

The order is the argument. Each check rests on those named with it; when one fails, what rests on it is not
established, never guessed:

1. ``medium``           only regular files and folders, safe and distinct names
2. ``format``           ``oci-layout`` says this format
3. ``pinned root``      the root that the site trusts is among the bundle's, byte for byte
4. ``root chain``       every root obeys the hybrid policy and is signed by its own and its predecessor's persons
5. ``… signatures``     targets, snapshot and timestamp: k persons by Ed25519, by ML-DSA-65, and by both
6. ``metadata agrees``  timestamp binds this snapshot, snapshot binds these targets
7. ``versions``         no role below the site's floor (a floor is reset when a new root changed the role's keys)
8. ``targets``          ``index.json`` and ``release.json`` are the signed ones
9. ``contents``         index, manifests and release agree and parse
10. ``release number``  not below the site's floor; the floor is never reset
11. ``first contact``   ``FIRST-CONTACT`` is this release's, and signed by every person who signed the targets
12. ``file list``       nothing missing, nothing unlisted, every size as signed; a delta's blobs are in the store
13. ``blobs``           every byte is as signed
14. ``freshness``       a verdict of its own; nothing rests on it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airgap_bundle import chain as root_chain
from airgap_bundle import freshness, oci
from airgap_bundle.blobs import blob_path, hash_blob, take_all
from airgap_bundle.checks import Checks
from airgap_bundle.descriptor import OCI_LAYOUT
from airgap_bundle.digest import sha256
from airgap_bundle.errors import (
    MalformedError,
    MixedMetadataError,
    ReleaseConflictError,
    RollbackError,
)
from airgap_bundle.file_list import LAYOUT_FILE, check_file_list
from airgap_bundle.first_contact import check as first_contact
from airgap_bundle.first_contact import record
from airgap_bundle.keys import ALGORITHMS
from airgap_bundle.media.opening import open_bundle
from airgap_bundle.metadata import INDEX_FILE, RELEASE_FILE, SNAPSHOT, TARGETS, TIMESTAMP
from airgap_bundle.report import FRESHNESS, Check, Report
from airgap_bundle.signed_roles import ROLLBACK_HINT, SignedRoles
from airgap_bundle.supply import Joined, Nowhere, left_out, take_supplied
from airgap_bundle.trust_state import TrustState, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from tuf.api.metadata import Metadata, Signed

    from airgap_bundle.blobs import Progress, Taker
    from airgap_bundle.descriptor import Descriptor
    from airgap_bundle.digest import Digest
    from airgap_bundle.medium import BundleSource, Listing
    from airgap_bundle.supply import Supply

_TARGET_FILES = (INDEX_FILE, RELEASE_FILE)
AGREES = "metadata agrees"  # after it, the signed metadata is one whole


def verify(
    bundle: Path, trust: TrustState, *, now: datetime, supply: Supply | None = None, progress: Progress | None = None
) -> Report:
    """Check ``bundle``, a directory, a packed file or a split set; the report says what holds.

    ``supply`` holds the blobs that a delta lacks. Raises ``StoreError`` for a failing medium.
    """
    with open_bundle(bundle) as medium:
        run = Verification(medium, trust, now, supply)
        run.check_metadata()
        run.check_blobs(hash_blob, progress)
        return run.report()


class Verification:
    """One run over one medium. ``check_metadata`` first, then ``check_blobs``; values appear as checks pass.

    ``persons`` is the role of those who answer for the content; ``signed_by`` are all roles whose metadata is there.
    """

    persons: ClassVar[str] = TARGETS
    signed_by: ClassVar[tuple[str, ...]] = (TARGETS, SNAPSHOT, TIMESTAMP)
    chain: root_chain.Chain
    contents: oci.Contents
    listing: Listing

    def __init__(self, medium: BundleSource, trust: TrustState, now: datetime, supply: Supply | None = None) -> None:
        self._medium, self._trust, self._now = medium, trust, now
        self._supply = supply or Nowhere()
        self._checks = Checks()
        self._roots: dict[int, bytes] = {}
        self._pinned = 0
        self._signed = SignedRoles(medium, self.persons)
        self.raw: dict[str, bytes] = {}
        self.supplied: frozenset[Digest] = frozenset()

    @property
    def roles(self) -> dict[str, Metadata[Any]]:
        """The metadata of ``signed_by``, as far as it was read."""
        return self._signed.found

    def check_metadata(self) -> None:
        """Everything up to the file list, and freshness; reads small files only."""
        self._checks.make("medium", (), self._list)
        self._checks.make("format", ("medium",), self._format)
        self._checks.make("pinned root", ("medium",), self._pinned_root)
        self._checks.make("root chain", ("pinned root",), self._root_chain)
        self._check_signed()
        self._checks.make("versions", (AGREES,), self._versions)
        self._checks.make("targets", (AGREES,), self._targets)
        self._checks.make("contents", ("targets",), self._contents)
        self._checks.make("release number", ("contents",), self._release_number)
        self._check_beside()
        self._checks.make("file list", ("contents", "format"), self._file_list)
        self._checks.put(self._freshness())

    def _check_signed(self) -> None:
        for role in self.signed_by:
            self._check_role(role)
        self._checks.make(AGREES, tuple(f"{role} signers" for role in self.signed_by), self._signed.agree)

    def _check_beside(self) -> None:
        self._checks.make("first contact", ("contents",), self._first_contact)

    def check_blobs(self, take: Taker, progress: Progress | None) -> None:
        """Give every blob to ``take``; rests on all checks before it, so that no byte is taken in vain."""
        before = tuple(check.name for check in self._checks.ordered if check.name != FRESHNESS)

        def body() -> str:
            joined = Joined(self._medium, self._supply, self.supplied)
            take_all(joined, self.contents.blobs, take_supplied(take, self.supplied), progress)
            return f"{len(self.contents.blobs)} blobs, {sum(self.contents.blobs.values())} bytes, each as signed"

        self._checks.make("blobs", before, body)

    def report(self) -> Report:
        """What was found so far; freshness last."""
        found = self._signed.tallies.get(self.persons)
        passed = self._checks.passed("contents")
        return Report(
            self._checks.ordered,
            self.contents.release.info if passed else None,
            found.signed if found else (),
            fingerprint(self.chain.data) if self._checks.passed("root chain") else None,
            found.waiting if found and len(found.signed) < found.threshold else (),
        )

    def raise_for_failure(self) -> None:
        """Raise the first failed check's error, with the report in it."""
        failure = self.report().failure
        if failure is not None and failure.error is not None:
            failure.error.report = self.report()
            raise failure.error

    def _list(self) -> str:
        self.listing = self._medium.list()
        return f"{len(self.listing.files)} regular files"

    def _format(self) -> str:
        if self._medium.read(LAYOUT_FILE, len(OCI_LAYOUT)) != OCI_LAYOUT:
            raise MalformedError("oci-layout is not that of this format")
        return "OCI image layout 1.0.0"

    def _pinned_root(self) -> str:
        self._roots = root_chain.read_roots(self._medium, self.listing.files)
        self._pinned = root_chain.check_pinned(self._roots, self._trust)
        return f"root {self._pinned}, {fingerprint(self._roots[self._pinned])}"

    def _root_chain(self) -> str:
        self.chain = root_chain.follow(self._roots, self._pinned)
        return f"root {self.chain.root.version} in force, signed by {self.chain.signed}"

    def _check_role(self, role: str) -> None:
        """Three checks of ``role``: both algorithms counted apart, then the persons who hold both."""
        needs = ("root chain",) if role == self.persons else ("root chain", f"{self.persons} signers")

        def count(algorithm: str | None) -> Callable[[], str]:
            return lambda: self._signed.require(role, algorithm, self.chain.root, self.listing.files)

        names = [f"{role} signatures, {algorithm}" for algorithm in ALGORITHMS]
        for name, algorithm in zip(names, ALGORITHMS, strict=True):
            self._checks.make(name, needs, count(algorithm))
        self._checks.make(f"{role} signers", tuple(names), count(None))

    def _versions(self) -> str:
        return self._signed.check_versions(self._trust.versions, self.chain.reset)

    def _targets(self) -> str:
        for name in _TARGET_FILES:
            self.raw[name] = self._medium.read(name, oci.MAX_DOCUMENT_BYTES)
            self._signed.check_target(name, self.raw[name])
        return f"{INDEX_FILE} and {RELEASE_FILE} are those that were signed"

    def _contents(self) -> str:
        def fetch(descriptor: Descriptor) -> bytes:
            return self._medium.read(blob_path(descriptor.digest), oci.MAX_DOCUMENT_BYTES)

        contents = oci.read_contents(self.raw[INDEX_FILE], self.raw[RELEASE_FILE], fetch)
        if contents.release.info.number != self.roles[self.persons].signed.version:
            raise MixedMetadataError(f"release number and version of {self.persons}.json differ")
        self.contents = contents
        info = contents.release.info
        return f"{info.name} {info.version} (number {info.number}), {len(contents.artifacts)} artifacts"

    def _release_number(self) -> str:
        return self._not_below(self._trust.release_number, self._trust.release_digest)

    def _not_below(self, floor: int, holder: Digest | None) -> str:
        """A sentence unless the number falls below ``floor``, or is that of another release, whose digest is given."""
        number = self.contents.release.info.number
        if number < floor:
            raise RollbackError(f"release number {number} is below {floor}, which this site has seen", ROLLBACK_HINT)
        if number == floor and sha256(self.raw[RELEASE_FILE]) != holder:
            raise ReleaseConflictError(f"this site holds another release with number {number}")
        return f"{number}, floor {floor}"

    def _first_contact(self) -> str:
        release = record.Release(self.raw[INDEX_FILE], self.raw[RELEASE_FILE], self.contents)
        signed = self._signed.tallies[TARGETS].signed
        return first_contact.check(self._medium, self.listing.files, release, self.chain, signed)

    def _file_list(self) -> str:
        roots = root_chain.root_files(self.listing.files).values()
        roles = (f"metadata/{role}.json" for role in self.signed_by)
        others = {LAYOUT_FILE, *_TARGET_FILES, *roots, *roles, *self._beside()}
        self.supplied = left_out(self.contents.blobs, self.listing, self._supply)
        here = {digest: size for digest, size in self.contents.blobs.items() if digest not in self.supplied}
        found = check_file_list(self.listing, here, others)
        return f"{found}; {len(self.supplied)} blobs lie in {self._supply.name}" if self.supplied else found

    def _beside(self) -> Iterable[str]:
        """Files of the medium that are signed by themselves."""
        return first_contact.files(self.contents, self._signed.tallies[TARGETS].signed)

    @property
    def claims(self) -> list[Signed]:
        """Everything that was verified and says when it was made."""
        return [self.chain.root, *(found.signed for found in self.roles.values())]

    def _freshness(self) -> Check:
        if not self._checks.passed(AGREES):
            return Check(FRESHNESS, "not established", f"rests on: {AGREES}")
        return freshness.judge(self.claims, self._trust.clock, self._now)
