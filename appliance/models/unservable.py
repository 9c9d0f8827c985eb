"""Models of a site whose engine has nothing that it could load: it stays down, and nothing else does for that."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from airgap_bundle.errors import BundleError
from airgap_bundle.store import Store
from appliance.errors import SovereignError
from appliance.models.admission import active_version
from appliance.models.errors import ArtifactError
from appliance.models.serving import damaged_decisions
from appliance.models.shelf import absent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airgap_bundle.store import VerifiedRelease
    from appliance.site.paths import SitePaths

_BRING = "`sovereign model import` the bundle that brought it, then `sovereign model promote` it"


def unservable(
    models: Iterable[str], paths: SitePaths, release: VerifiedRelease | None = None
) -> dict[str, SovereignError]:
    """Those of ``models`` of which it is damaged what was decided, or whose bundle has not come again; and why.

    ``release`` is the one that is about to be in force, where that is not the active one.
    """
    names = tuple(models)
    found: dict[str, SovereignError] = dict(damaged_decisions(paths, names))
    with suppress(SovereignError, BundleError):  # no release, or a store that is damaged: each engine says so itself
        for name in absent(paths, names, release or Store(paths.store).open_release(active_version(paths))):
            found[name] = ArtifactError(f"neither the release nor a bundle that was decided for has {name}", _BRING)
    return found
