"""The cluster's release as it reaches a site: built as locked, signed, imported and laid out for the roles."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.release import build_release
from airgap_bundle.build.stage import printed
from airgap_bundle.store import Store
from appliance.cluster.staging import stage_release
from tests.bundles import Site, root_bytes, sign

if TYPE_CHECKING:
    from appliance.cluster.parts import ReleaseParts

RELEASE = Path(__file__).parents[3] / "sources/cluster.yaml"


def shipped(folder: Path, release: Path = RELEASE) -> ReleaseParts:
    """What the roles take of ``release``, once it went the whole way; the bundle itself is gone afterwards."""
    bundle, site = folder / "bundle", Site(folder / "site")
    build_release(release, bundle, cache=BuildCache.default(), stage=printed)
    verified = site.install(sign(bundle, "architect", "builder", "release"), pin=root_bytes())
    shutil.rmtree(bundle)
    return stage_release(Store(site.store), verified.version, folder / "staged")
