"""The cluster's release as it reaches a site: built as locked, signed, imported and laid out for the roles."""

from __future__ import annotations

import os
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


def shipped(folder: Path) -> ReleaseParts:
    """What the roles take of the release, once it went the whole way; the bundle itself is gone afterwards.

    Whoever works on the journey itself may name another description in SOVEREIGN_TEST_RELEASE, with less in it.
    """
    bundle, site = folder / "bundle", Site(folder / "site")
    described = Path(os.environ.get("SOVEREIGN_TEST_RELEASE") or RELEASE)
    build_release(described, bundle, cache=BuildCache.default(), stage=printed)
    verified = site.install(sign(bundle, "architect", "builder", "release"), pin=root_bytes())
    shutil.rmtree(bundle)
    return stage_release(Store(site.store), verified.version, folder / "staged")
