"""The site that a command is about: of this host, or of a cluster that is administered from here.

Commands find it by the same paths either way (`cluster.reached`). What differs is said here and in `site_database`:
where the log lies that is read, and how long a way may take.
"""

from __future__ import annotations

import contextlib
from functools import lru_cache
from typing import TYPE_CHECKING

from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError
from appliance.cli.terminal import read_passphrase, site_paths
from appliance.cluster.reached import ReachedPaths, reached_site
from appliance.cluster.standing import is_cluster
from appliance.install.interruption import ending_in_order
from appliance.install.vault import Vault
from appliance.site.paths import AUDIT, SitePaths

if TYPE_CHECKING:
    from pathlib import Path

    import typer

_SITE = "appliance.cli.reached"


def reached(context: typer.Context) -> SitePaths:
    """Paths of the site that ``--site`` selects; a cluster's is within reach until the command ends.

    Raises as ``reached_site``.
    """
    paths = site_paths(context)
    if not is_cluster(paths):
        return paths
    root = context.find_root()
    if _SITE not in root.meta:
        root.with_resource(ending_in_order())  # what lies here of the site goes also where the command is told to end
    if (found := root.meta.get(_SITE)) is None:
        found = root.meta[_SITE] = root.with_resource(reached_site(paths))
    assert isinstance(found, ReachedPaths)
    return found


def service_secret(paths: SitePaths, service: str, name: str, passphrase_fd: int | None) -> bytes:
    """A secret of ``service``: as handed to the running service, or else from the sealed store."""
    handed_over = paths.credentials(service) / name
    if handed_over.exists():
        return handed_over.read_bytes()
    return vault_of(paths, passphrase_fd).store().get(f"{service}/{name}")


@lru_cache(maxsize=2)
def vault_of(paths: SitePaths, passphrase_fd: int | None) -> Vault:
    """The site's vault: one for all of a command, so that a passphrase is asked for once."""
    return Vault(paths, lambda: read_passphrase("passphrase of the site key", passphrase_fd))


def own_log(paths: SitePaths) -> Path:
    """The site's own log, after its writer put everything that it acknowledged where readers look for it.

    Where no writer runs, they read it from the journal. Of a cluster it is a copy, which goes with the command.
    """
    if isinstance(paths, ReachedPaths):
        return paths.copy_log()
    with contextlib.suppress(AuditUnavailableError), SyncAuditClient(paths.socket(AUDIT)) as client:
        client.checkpoint()
    return paths.audit_log
