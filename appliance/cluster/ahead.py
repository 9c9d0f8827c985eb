"""A look at every host for a release that the site does not know yet: may it come, before the site learns that it is.

A release may be signed as the lowest that may run. Were it learnt of first, and a host refused afterwards, the one
that serves could neither be put in force again nor replaced.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.store import Store
from appliance.cluster.inventory import Site, inventory
from appliance.cluster.lasting import to_be_seen, to_have_room_for, to_lie_apart
from appliance.cluster.playbook import run
from appliance.cluster.settings import read_settings
from appliance.cluster.staging import stage_release
from appliance.cluster.way import change_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airgap_bundle.store import VerifiedRelease
    from appliance.cluster.install import SiteSource
    from appliance.cluster.playbook import Watch
    from appliance.cluster.state import ClusterState
    from appliance.site.paths import SitePaths


def look_ahead(  # noqa: PLR0913, PLR0917 - what a look is made of
    paths: SitePaths,
    site: SiteSource,
    release: VerifiedRelease,
    known: ClusterState,
    watch: Watch,
    enter: Sequence[str] = (),
) -> None:
    """Judge every host for ``release``, which the store holds; nothing of the site or of a host is changed.

    Raises ``HostsRefusedError`` with every finding, ``DeploymentError`` where Ansible itself could not run, and as
    ``stage_release``.
    """
    described, store = site.described, Store(paths.store)
    models = site.files.config.models if site.files is not None else ()
    files = (file for model in models for file in release.artifacts[model.name].files.values())
    with tempfile.TemporaryDirectory(prefix="sovereign-") as folder:
        parts = stage_release(store, release.version, Path(folder))  # without the store's own image: as large as models
        more = {"preflight_more_bytes": 2 * sum(file.size for file in files)}
        told = inventory(
            Site(described.name, known.identity, site.source.parent),
            described.cluster,
            parts,
            settings={
                **more,
                **read_settings(described, site.source),
                **to_be_seen(known),
                **to_have_room_for(described),
                **to_lie_apart(described),
            },
            change=change_to(store, release.version, known),
        )
        run("preflight.yml", told, watch, enter=enter)
