from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from appliance.gateway import database
from appliance.gateway.schema import metadata
from appliance.gateway.schema_upgrade import migrate
from tests.gateway import postgres

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

pytestmark = pytest.mark.anyio


def difference(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


async def test_the_migrations_make_exactly_the_tables_that_the_code_uses(pool: AsyncEngine) -> None:
    async with pool.connect() as connection:
        assert await connection.run_sync(difference) == []


async def test_gateways_that_start_together_migrate_once() -> None:
    with postgres.cluster() as running:
        pools = [database.connect(running.socket_dir, postgres.PORT, postgres.PASSWORD) for _ in range(4)]
        await asyncio.gather(*(migrate(pool) for pool in pools))
        async with pools[0].connect() as connection:
            assert await connection.run_sync(difference) == []
        assert await database.answers(pools[0])
        for pool in pools:
            await pool.dispose()
