"""A bundle's way into a site: verified and imported, or refused with nothing changed.

Every installation imports, also of a bundle that is in the store: an import hashes the medium and the store, and puts
right what was damaged there; where nothing was, it changes no byte.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap_bundle.importer import import_release
from airgap_bundle.trust_state import TrustState
from airgap_bundle.verify import verify
from appliance.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.report import Report
    from airgap_bundle.store import VerifiedRelease
    from appliance.install.runner import Advance
    from appliance.site.paths import SitePaths


def admit(bundle: Path, paths: SitePaths, root_fingerprint: str | None, progress: Advance) -> VerifiedRelease:
    """Verify ``bundle`` and bring it into the site's store.

    ``root_fingerprint`` is needed at first install. Raises ``VerificationError`` for a refusal, with nothing changed,
    and ``UsageError`` where ``bundle`` is no bundle.
    """
    check_is_bundle(bundle)
    return import_release(
        bundle,
        paths.trust,
        paths.store,
        now=datetime.now(UTC),
        root_fingerprint=root_fingerprint,
        progress=progress,
    )


def inspect(bundle: Path, paths: SitePaths, root_fingerprint: str | None) -> Report:
    """What verification says, for a plan: nothing is changed and nothing raised for a refusal."""
    check_is_bundle(bundle)
    trust = TrustState.find(paths.trust) or TrustState.expecting(root_fingerprint)
    return verify(bundle, trust, now=datetime.now(UTC))


def is_first_install(paths: SitePaths) -> bool:
    """Whether this site trusts no root yet, so that the operator must name one."""
    return TrustState.find(paths.trust) is None


def check_is_bundle(bundle: Path) -> None:
    """Raise ``UsageError`` unless ``bundle`` is a folder with a release in it."""
    if not bundle.is_dir():
        cause = "is not a folder" if bundle.exists() else "does not exist"
        raise UsageError(f"{bundle} {cause}", "give the bundle's folder; `sovereign bundle unpack` makes one of a file")
    if not (bundle / "release.json").is_file():
        raise UsageError(f"{bundle} holds no release.json", "give the folder that holds oci-layout and release.json")
