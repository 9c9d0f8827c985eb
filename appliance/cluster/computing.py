"""With what the engines of a cluster compute, by their own word: those beside one gateway are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.cluster.reached import ASSISTANT, reached_site
from appliance.errors import SovereignError
from appliance.install.confinement import device_of, variant_of
from appliance.install.probe import Probe, fetch_json
from appliance.site.load import load_site
from appliance.site.paths import engine_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.cluster.reached import ReachedPaths
    from appliance.site.paths import SitePaths


@dataclass(frozen=True)
class Computing:
    """``variant`` is the CPU code of ``engine``, None where it does not say; ``device`` the GPU, where it has one."""

    engine: str
    variant: str | None
    device: str | None


def computing(paths: SitePaths, enter: Sequence[str] = ()) -> tuple[Computing, ...]:
    """Each engine of the site; nothing where there is no assistant yet, or no gateway of it runs.

    ``enter`` is as ``reached_site`` has it. What an engine says is read to a bound, and only what exists is believed.
    """
    try:
        with reached_site(paths, enter) as found:
            found.reach.running(ASSISTANT)
            return tuple(_said(found, engine_service(model.name)) for model in load_site(found.site_yaml).models)
    except SovereignError:
        return ()


def _said(paths: ReachedPaths, service: str) -> Computing:
    said = fetch_json(Probe("unix-http", str(paths.socket(service)), "/model", paths.patience_s))
    return Computing(service, variant_of(said), device_of(said))
