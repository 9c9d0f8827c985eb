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
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

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
            await connection.run_sync(_to, "0006")
            assert (await connection.execute(text("SELECT state FROM gold_case"))).scalars().all() == ["active"]
        with pytest.raises(IntegrityError):
            async with pool.begin() as connection:
                await connection.execute(text("UPDATE gold_case SET state = 'offered'"))
        await migrate(pool)
        async with pool.connect() as connection:
            assert await connection.run_sync(difference) == []
        await pool.dispose()


ROWS = (
    text("SELECT r::text FROM rollout r ORDER BY id"),
    text("SELECT a::text FROM rollout_answer a ORDER BY request_id"),
)
STARTED = text(
    "INSERT INTO rollout (id, group_name, kind, former, change, stages, stage, state, verdict, begun_by) VALUES "
    "(:id, :group, :kind, 'none', 'sha256:aa', '{10,50,100}', 1, :state, :verdict, 'uid 0')"
)
COUNTED = text(
    "INSERT INTO rollout_answer (request_id, rollout_id, stage, new, drawn, subject, outcome, seconds, tokens, joules) "
    "VALUES (:request, :id, 1, true, true, 'somebody', 'stop', 1.5, 20, 3.25)"
)
"""With the columns of 0009, so that a later revision which needs others shows here."""


async def _rows(connection: AsyncConnection) -> list[list[str]]:
    return [list((await connection.execute(one)).scalars().all()) for one in ROWS]


async def _begun(connection: AsyncConnection, number: int, group: str, kind: str, state: str = "running") -> None:
    about = {"id": uuid.UUID(int=number), "group": group, "kind": kind, "state": state}
    await connection.execute(STARTED, {**about, "verdict": '{"action": "back"}' if state == "back" else None})
    await connection.execute(COUNTED, {"request": f"r{number}", "id": uuid.UUID(int=number)})


async def test_a_rollout_that_runs_while_the_gateway_is_upgraded_to_more_kinds_goes_on_with_its_counts() -> None:
    with postgres.cluster() as running:
        pool = database.connect(running.socket_dir, postgres.PORT, postgres.PASSWORD)
        async with pool.begin() as connection:
            await connection.run_sync(_to, "0009")
            await _begun(connection, 1, "clerks", "pack")
            await _begun(connection, 2, "guards", "brief")
            await _begun(connection, 3, "guards", "brief", "back")
            before = await _rows(connection)
        assert [len(rows) for rows in before] == [3, 3]
        with pytest.raises(IntegrityError):
            async with pool.begin() as connection:
                await _begun(connection, 4, "analysts", "instructions")
        await migrate(pool)
        async with pool.connect() as connection:
            assert await _rows(connection) == before
            assert await connection.run_sync(difference) == []
        async with pool.begin() as connection:
            for number, kind in enumerate(("instructions", "model", "documents"), start=4):
                await _begun(connection, number, f"analysts{number}", kind)
        for wrong in ("settings of the weather", "running"):
            with pytest.raises(IntegrityError):
                async with pool.begin() as connection:
                    await _begun(connection, 9, "officers", wrong)
        with pytest.raises(IntegrityError, match="uq_rollout_running"):
            async with pool.begin() as connection:
                await _begun(connection, 9, "clerks", "model")
        async with pool.begin() as connection:
            await connection.run_sync(_to, "0009")
            assert await _rows(connection) == before  # what an older gateway knows nothing of is gone, with its counts
        await migrate(pool)
        async with pool.connect() as connection:
            assert await _rows(connection) == before
            assert await connection.run_sync(difference) == []
        await pool.dispose()


def _to(connection: Connection, revision: str) -> None:
    """Upgrade or downgrade to ``revision``, whichever way it lies."""
    config = Config()
    config.set_main_option("script_location", "appliance.gateway:migrations")
    config.attributes["connection"] = connection
    here = MigrationContext.configure(connection).get_current_revision()
    move = command.upgrade if here is None or here < revision else command.downgrade
    move(config, revision)
