from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from appliance.gateway import database
from appliance.gateway.schema import gold_case, metadata
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


async def test_going_back_before_offered_cases_keeps_the_sites_own_and_coming_again_is_the_same_schema() -> None:
    with postgres.cluster() as running:
        pool = database.connect(running.socket_dir, postgres.PORT, postgres.PASSWORD)
        await migrate(pool)
        async with pool.begin() as connection:
            for number, state in enumerate(("active", "offered")):
                values = {"id": uuid.UUID(int=number), "version": 1, "state": state, "groups": ["clerks"]}
                said = {"digest": "d", "sealed": b"", "sealed_for": "site", "author": "release", "vital": False}
                await connection.execute(insert(gold_case).values({**values, **said, "released": "sha256:0"}))
            await connection.run_sync(_back)
            assert (await connection.execute(text("SELECT state FROM gold_case"))).scalars().all() == ["active"]
        with pytest.raises(IntegrityError):
            async with pool.begin() as connection:
                await connection.execute(text("UPDATE gold_case SET state = 'offered'"))
        await migrate(pool)
        async with pool.connect() as connection:
            assert await connection.run_sync(difference) == []
        await pool.dispose()


def _back(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "appliance.gateway:migrations")
    config.attributes["connection"] = connection
    command.downgrade(config, "0006")
