"""A bundle's way into a site: verified and imported, or refused with nothing changed.

A bundle that is already in the store is verified again and not imported again, so that repeating an installation
changes no byte.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap_bundle.digest import sha256
from airgap_bundle.errors import ForeignRootError, VerificationError
from airgap_bundle.importer import import_release
from airgap_bundle.store import Record, Store, VerifiedRelease
from airgap_bundle.trust_state import TrustState, fingerprint
from airgap_bundle.verify import verify
from appliance.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.report import Report
    from appliance.install.runner import Advance
    from appliance.site.paths import SitePaths

MAX_RELEASE_BYTES = 4 * 1024 * 1024


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
    refuse_unless_ok(verify(bundle, trust, now=now, progress=progress))
    return Store(paths.store).open_record(record)


def inspect(bundle: Path, paths: SitePaths, root_fingerprint: str | None) -> Report:
    """What verification says, for a plan: nothing is changed and nothing raised for a refusal."""
    check_is_bundle(bundle)
    trust = TrustState.find(paths.trust) or TrustState.expecting(root_fingerprint)
    return verify(bundle, trust, now=datetime.now(UTC))


def is_first_install(paths: SitePaths) -> bool:
    """Whether this site trusts no root yet, so that the operator must name one."""
    return TrustState.find(paths.trust) is None


def known_record(bundle: Path, paths: SitePaths) -> Record | None:
    """The store's record of exactly this release, if it was imported last."""
    if not (paths.store / "releases").is_dir():
        return None
    trust = TrustState.find(paths.trust)
    with (bundle / "release.json").open("rb") as file:
        given = sha256(file.read(MAX_RELEASE_BYTES))
    if trust is None or trust.release_digest != given:
        return None
    return next((r for r in Store(paths.store).records() if r.release == given), None)


def check_is_bundle(bundle: Path) -> None:
    """Raise ``UsageError`` unless ``bundle`` is a folder with a release in it."""
    if not bundle.is_dir():
        cause = "is not a folder" if bundle.exists() else "does not exist"
        raise UsageError(f"{bundle} {cause}", "give the bundle's folder; `sovereign bundle unpack` makes one of a file")
    if not (bundle / "release.json").is_file():
        raise UsageError(f"{bundle} holds no release.json", "give the folder that holds oci-layout and release.json")


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
