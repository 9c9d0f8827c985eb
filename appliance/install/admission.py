"""A bundle's way into a site: verified and imported, or refused with nothing changed.

A bundle that is already in the store is verified again and not imported again, so that repeating an installation
changes no byte.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap_bundle.digest import sha256
from airgap_bundle.errors import ForeignRootError, FormatError, MissingFileError, StoreError, VerificationError
from airgap_bundle.importer import import_release
from airgap_bundle.media.opening import open_bundle
from airgap_bundle.metadata import RELEASE_FILE
from airgap_bundle.oci import MAX_DOCUMENT_BYTES
from airgap_bundle.store import Record, Store, VerifiedRelease
from airgap_bundle.supply import StoreSupply
from airgap_bundle.trust_state import TrustState, fingerprint
from airgap_bundle.verify import verify
from appliance.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.report import Report
    from appliance.install.runner import Advance
    from appliance.site.paths import SitePaths


def admit(bundle: Path, paths: SitePaths, root_fingerprint: str | None, progress: Advance) -> VerifiedRelease:
    """Verify ``bundle`` and bring it into the site's store.

    ``root_fingerprint`` is needed at first install. Raises ``VerificationError`` for a refusal, with nothing changed,
    and ``UsageError`` where ``bundle`` is no bundle.
    """
    check_is_bundle(bundle)
    now = datetime.now(UTC)
    record = known_record(bundle, paths)
    if record is None:
        return import_release(
            bundle, paths.trust, paths.store, now=now, root_fingerprint=root_fingerprint, progress=progress
        )
    trust = TrustState.load(paths.trust)
    _check_root(trust, root_fingerprint)
    store = Store(paths.store)
    refuse_unless_ok(verify(bundle, trust, now=now, supply=StoreSupply(store), progress=progress))
    return store.open_record(record)


def inspect(bundle: Path, paths: SitePaths, root_fingerprint: str | None) -> Report:
    """What verification says, for a plan: nothing is changed and nothing raised for a refusal."""
    check_is_bundle(bundle)
    trust = TrustState.find(paths.trust) or TrustState.expecting(root_fingerprint)
    return verify(bundle, trust, now=datetime.now(UTC), supply=StoreSupply(Store(paths.store)))


def is_first_install(paths: SitePaths) -> bool:
    """Whether this site trusts no root yet, so that the operator must name one."""
    return TrustState.find(paths.trust) is None


def known_record(bundle: Path, paths: SitePaths) -> Record | None:
    """The store's record of exactly this release, if it was imported last."""
    if not (paths.store / "releases").is_dir():
        return None
    trust = TrustState.find(paths.trust)
    with open_bundle(bundle) as medium:
        given = sha256(medium.read(RELEASE_FILE, MAX_DOCUMENT_BYTES))
    if trust is None or trust.release_digest != given:
        return None
    return next((r for r in Store(paths.store).records() if r.release == given), None)


def check_is_bundle(bundle: Path) -> None:
    """Raise ``UsageError`` unless ``bundle`` is a folder, a packed file or a split set with a release in it."""
    hint = "give a bundle's folder, a packed file, or the folder that holds all parts of a split one"
    try:
        with open_bundle(bundle) as medium:
            medium.read(RELEASE_FILE, MAX_DOCUMENT_BYTES)
    except (StoreError, MissingFileError, FormatError) as error:
        raise UsageError(f"{bundle} is no bundle: {error.cause}", error.hint or hint) from error


def refuse_unless_ok(report: Report) -> None:
    """Raise the error of the report's first failure."""
    failure = report.failure
    if failure is not None:
        error = failure.error or VerificationError(f"{failure.name}: {failure.detail}")
        error.report = report
        raise error


def _check_root(trust: TrustState, given: str | None) -> None:
    if given is None:
        return
    known = {str(trust.pinned), str(fingerprint(trust.root)) if trust.root else ""}
    if given not in known:
        raise ForeignRootError(f"this site trusts another root than {given}", "leave --root away: the site has one")
