"""The schema's migrations, run when a gateway starts; apart from ``database``, because nobody else loads Alembic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from appliance.errors import UnavailableError
from appliance.gateway.database import DATABASE_DOWN

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

_MIGRATION_LOCK = 0x5056_6777  # any fixed number: gateways that start together take turns on it


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema to this release's revision.

    An advisory lock lets one gateway at a time do so; the others wait, then find nothing left to do. Raises
    ``UnavailableError`` when the database does not answer.
    """
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT set_config('statement_timeout', '0', true)"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            await connection.run_sync(_upgrade)
    except DATABASE_DOWN as error:
        raise UnavailableError("the database does not answer", "run `sovereign status`") from error


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "appliance.gateway:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
