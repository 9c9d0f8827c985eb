"""The gateway's database, for commands: of this host, or of a cluster that is administered from here."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from appliance.cli.reached import service_secret
from appliance.cluster.reached import ReachedPaths
from appliance.errors import UnavailableError
from appliance.gateway import database
from appliance.site.load import load_site
from appliance.site.paths import DATABASE, GATEWAY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.site.paths import SitePaths

_AWAY_S = 30
"""For a connection to the database of a cluster: two ssh come before it."""


@asynccontextmanager
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
