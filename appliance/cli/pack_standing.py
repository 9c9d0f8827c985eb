"""By what a pack is judged that came in: the root in force, the clock, and what journal and log say of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap_bundle.errors import BundleError
from airgap_bundle.trust_state import TrustState
from appliance.install.pack_import import clock
from appliance.install.pack_record import came_in
from appliance.models.policy import load_policy
from appliance.packs.errors import PackRefusedError
from appliance.packs.policy import require_accepted
from appliance.packs.shelf import shelved

if TYPE_CHECKING:
    from appliance.packs.shelf import Shelved
    from appliance.site.paths import SitePaths


def about_pack(paths: SitePaths, digest: str) -> dict[str, str]:
    """Name, version and standing of a pack, for journal and log."""
    found = next((one for one in shelved(paths.packs)[0] if one.digest == digest), None)
    if found is None:
        return {}
    reason = found.withdrawn(root_in_force(paths), clock_of(paths))
    about = {"name": found.pack.name, "version": found.pack.version}
    return about if reason is None else {**about, "withdrawn": reason}


def root_in_force(paths: SitePaths) -> bytes | None:
    """The root in force; None where that cannot be told: then nothing may be chosen, and what is in force goes on."""
    try:
        return TrustState.load(paths.trust).root
    except BundleError:
        return None


def clock_of(paths: SitePaths) -> datetime:
    """By which the time of signatures ends: a clock that was set back does not make it longer."""
    try:
        return clock(TrustState.load(paths.trust))
    except BundleError:
        return datetime.now(UTC)


def check_may_be_chosen(paths: SitePaths, wanted: Shelved | None) -> None:
    """Raise ``PackRefusedError`` for a pack whose signatures do not count now, or that the policy does not accept."""
    if wanted is None:
        return
    if not came_in(paths, wanted.digest):
        raise PackRefusedError(f"{wanted.pack.name} did not come in to the end", "import it again")
    require_accepted(wanted.pack, load_policy(paths.policies / "models.yaml"))
    if (reason := wanted.withdrawn(root_in_force(paths), clock_of(paths))) is not None:
        raise PackRefusedError(
            f"{wanted.pack.name} may not be chosen now: {reason}", "have it signed anew and import it again"
        )
