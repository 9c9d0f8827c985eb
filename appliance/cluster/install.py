"""A site on a cluster: what `sovereign install --profile cluster` does. Nothing here prints.

Order: the site file (every mistake at once) → the bundle (verified and imported, or refused) → every host (every
finding at once) → the roles. Until all hosts have passed, nothing on any of them has changed. Running it again goes on
where it ended, or changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from airgap_bundle.store import Store
from appliance.cluster.inventory import Site, inventory
from appliance.cluster.playbook import run
from appliance.cluster.staging import stage_release
from appliance.cluster.state import ClusterState, begin_state, read_state, write_state
from appliance.errors import UsageError
from appliance.install.admission import admit, is_first_install
from appliance.install.lock import site_lock
from appliance.site.load import load_cluster_site

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.cluster.playbook import Watch
    from appliance.install.host import Request
    from appliance.install.runner import Advance
    from appliance.site.cluster import ClusterSite
    from appliance.site.paths import SitePaths

_OPTIONS = "`settings` names a YAML file with options of the roles"


@dataclass(frozen=True)
class Installed:
    """The outcome: the release, who signed it, and how many tasks changed something, by host (all 0: nothing to do)."""

    version: str
    signers: tuple[str, ...]
    changed: Mapping[str, int]
    endpoint: str


def install(
    paths: SitePaths, request: Request, *, watch: Watch, progress: Advance, enter: Sequence[str] = ()
) -> Installed:
    """Verify, import, and bring the hosts to what the site file says.

    ``enter`` goes before the command line that reaches the hosts. Raises ``SiteFileError``, ``UsageError``,
    ``VerificationError``, ``HostsRefusedError`` with every finding, and ``DeploymentError`` with host, task and cause.
    """
    known = read_state(_state_file(paths))
    source = _source(request, known)
    described = load_cluster_site(source)
    settings = _settings(described, source)
    if is_first_install(paths) and request.root_fingerprint is None:
        raise UsageError(
            "the first installation needs the fingerprint of the root to trust",
            "give --root sha256:…, read from a source that you trust and not from the bundle's medium",
        )
    with site_lock(paths):
        release = admit(request.bundle, paths, request.root_fingerprint, progress)
        parts = stage_release(Store(paths.store), release.version, paths.root / "cluster" / "release")
        hosts = described.cluster.hosts
        before = known or begin_state(source)
        state = before.touching(source, hosts)
        write_state(_state_file(paths), state)
        site = Site(described.name, state.identity, source.parent)
        told = inventory(site, described.cluster, parts, settings=settings, leaving=before.leaving(hosts))
        changed = run("cluster.yml", told, watch, enter=enter)
        write_state(_state_file(paths), state.settled(hosts))
    return Installed(release.version, release.signers, changed, described.cluster.api_endpoint)


def _state_file(paths: SitePaths) -> Path:
    return paths.root / "cluster" / "state.json"


def _source(request: Request, known: ClusterState | None) -> Path:
    """The site file: what is given, else that of the last run. Raises ``UsageError``."""
    if request.config is not None:
        return request.config.resolve()
    if known is None:
        raise UsageError("no cluster was installed from here yet", "name the site file with --config")
    return Path(known.site_file)


def _settings(described: ClusterSite, source: Path) -> dict[str, Any]:
    """Further options of the roles, for hosts of a special kind. Raises ``UsageError``."""
    if described.cluster.settings is None:
        return {}
    path = source.parent / described.cluster.settings
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(
            f"{path}: {' '.join(str(error).split())}", "`settings` names a YAML file of options"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise UsageError(f"{path} holds no options by name", _OPTIONS)
    return found
