"""The site that a command is about: of this host, or of a cluster that is administered from here.

Commands find it by the same paths either way (`cluster.reached`). What differs is said here: how long an answer from
elsewhere may take, and where the log lies that is read.
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
from appliance.errors import UnavailableError
from appliance.gateway import database
from appliance.install.vault import Vault
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import typer
    from sqlalchemy.ext.asyncio import AsyncEngine

_SITE = "appliance.cli.reached"
_AWAY_S = 30
"""For a connection to the database of a cluster: two ssh come before it."""


def reached(context: typer.Context) -> SitePaths:
    """Paths of the site that ``--site`` selects; a cluster's is within reach until the command ends.

    Raises as ``reached_site``.
    """
    paths = site_paths(context)
    if not is_cluster(paths):
        return paths
    root = context.find_root()
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


@contextlib.asynccontextmanager
async def site_pool(paths: SitePaths, passphrase_fd: int | None) -> AsyncIterator[AsyncEngine]:
    """The gateway's database. Raises ``UnavailableError`` when it does not answer."""
    password = service_secret(paths, GATEWAY, "db_password", passphrase_fd).decode()
    port = load_site(paths.site_yaml).listen.database_port
    folder = paths.socket(DATABASE).parent
    away = {"connect_s": _AWAY_S} if isinstance(paths, ReachedPaths) else {}
    pool = database.connect(folder, port, password, **away)
    try:
        yield pool
    except database.DATABASE_DOWN as error:
        raise UnavailableError("the database does not answer", "run `sovereign status`") from error
    finally:
        await pool.dispose()


def own_log(paths: SitePaths) -> Path:
    """The site's own log, after its writer put everything that it acknowledged where readers look for it.

    Where no writer runs, they read it from the journal. Of a cluster it is a copy, which goes with the command.
    """
    if isinstance(paths, ReachedPaths):
        return paths.copy_log()
    with contextlib.suppress(AuditUnavailableError), SyncAuditClient(paths.socket(AUDIT)) as client:
        client.checkpoint()
    return paths.audit_log
