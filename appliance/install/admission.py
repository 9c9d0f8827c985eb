"""A bundle's way into a site: verified and imported, or refused with nothing changed.

Every installation imports, also of a bundle that is in the store: an import hashes the medium and the store, and puts
right what was damaged there; where nothing was, it changes no byte.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from airgap_bundle.blobs import blob_path
from airgap_bundle.digest import sha256
from airgap_bundle.errors import DigestMismatchError, FormatError, MissingFileError, StoreError
from airgap_bundle.importer import import_release
from airgap_bundle.media.opening import open_bundle
from airgap_bundle.metadata import RELEASE_FILE
from airgap_bundle.oci import MAX_DOCUMENT_BYTES
from airgap_bundle.store import Store
from airgap_bundle.supply import Joined, StoreSupply
from airgap_bundle.trust_state import TrustState
from airgap_bundle.verify import Verification, verify
from appliance.errors import UsageError
from appliance.install.release_change import announced

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.digest import Digest
    from airgap_bundle.oci import Contents
    from airgap_bundle.report import Report
    from airgap_bundle.store import VerifiedRelease
    from appliance.install.release_change import Held
    from appliance.install.runner import Advance
    from appliance.site.paths import SitePaths

T = TypeVar("T")
Read = Callable[["Digest", int], bytes]
Describe = Callable[["Digest", "Contents", Read], T]


def admit(
    bundle: Path,
    paths: SitePaths,
    root_fingerprint: str | None,
    progress: Advance,
    accept: Callable[[VerifiedRelease], None] | None = None,
) -> VerifiedRelease:
    """Verify ``bundle`` and bring it into the site's store.

    ``root_fingerprint`` is needed at first install; ``accept`` may refuse what was verified, before the site learns of
    it. Raises ``VerificationError`` for a refusal, with nothing changed, and ``UsageError`` where ``bundle`` is no
    bundle.
    """
    check_is_bundle(bundle)
    return import_release(
        bundle,
        paths.trust,
        paths.store,
        now=datetime.now(UTC),
        root_fingerprint=root_fingerprint,
        progress=progress,
        accept=accept,
    )


def admit_again(bundle: Path, trust: Path, store: Path, root_fingerprint: str, progress: Advance) -> VerifiedRelease:
    """As ``admit``, of a release that a backup names by digest, into ``store`` under a trust state of its own.

    The site may trust a later root by now than the bundle ends with; the trust that it comes back with is the
    backup's, not what ``trust`` learns here.
    """
    check_is_bundle(bundle)
    now = datetime.now(UTC)
    return import_release(bundle, trust, store, now=now, root_fingerprint=root_fingerprint, progress=progress)


def inspect_again(bundle: Path, paths: SitePaths, root_fingerprint: str) -> Report:
    """What ``admit_again`` would say; nothing is changed and nothing raised for a refusal."""
    check_is_bundle(bundle)
    trust = TrustState.expecting(root_fingerprint)
    return verify(bundle, trust, now=datetime.now(UTC), supply=StoreSupply(Store(paths.store)))


def inspect(bundle: Path, paths: SitePaths, root_fingerprint: str | None) -> Report:
    """What verification says, for a plan: nothing is changed and nothing raised for a refusal."""
    check_is_bundle(bundle)
    trust = TrustState.find(paths.trust) or TrustState.expecting(root_fingerprint)
    return verify(bundle, trust, now=datetime.now(UTC), supply=StoreSupply(Store(paths.store)))


def announce(bundle: Path, paths: SitePaths) -> Held:
    """What ``bundle`` would bring. Raises as ``announced_by``, and as ``announced``."""
    return announced_by(bundle, paths, announced)


def announced_by(bundle: Path, paths: SitePaths, describe: Describe[T]) -> T:
    """What ``describe`` makes of ``bundle``: quick, its signed lists are verified, and of its blobs those it reads.

    It is given the release's digest, what it lists, and a function that reads a blob of at most so many bytes.
    Nothing is changed. Raises ``VerificationError`` for a refusal, and ``UsageError`` where ``bundle`` is no bundle.
    """
    check_is_bundle(bundle)
    supply = StoreSupply(Store(paths.store))
    with open_bundle(bundle) as medium:
        run = Verification(medium, TrustState.load(paths.trust), datetime.now(UTC), supply)
        run.check_metadata()
        run.raise_for_failure()

        def read(digest: Digest, most: int) -> bytes:
            with Joined(medium, supply, run.supplied).open(blob_path(digest)) as stream:
                data = stream.read(most)
            if sha256(data) != digest:
                in_store = digest in run.supplied
                place = "in the store was changed, and this delta does not carry it" if in_store else "was changed"
                raise DigestMismatchError(
                    f"blob {digest} {place}", "bring the full bundle" if in_store else "copy the bundle again"
                )
            return data

        return describe(sha256(run.raw[RELEASE_FILE]), run.contents, read)


def is_first_install(paths: SitePaths) -> bool:
    """Whether this site trusts no root yet, so that the operator must name one."""
    return TrustState.find(paths.trust) is None


def check_is_bundle(bundle: Path) -> None:
    """Raise ``UsageError`` unless ``bundle`` is a folder, a packed file or a split set with a release in it."""
    hint = "give a bundle's folder, a packed file, or the folder that holds all parts of a split one"
    try:
        with open_bundle(bundle) as medium:
            medium.read(RELEASE_FILE, MAX_DOCUMENT_BYTES)
    except (StoreError, MissingFileError, FormatError) as error:
        raise UsageError(f"{bundle} is no bundle: {error.cause}", error.hint or hint) from error
