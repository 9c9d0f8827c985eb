"""The gateway's way to its database: no more ways than a question needs, and none over a connection that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError, ResourceClosedError

from appliance.gateway.database import at_once

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

pytestmark = pytest.mark.anyio
_SERVER = text("SELECT pg_backend_pid()")


async def _server(pool: AsyncEngine) -> int:
    async with pool.connect() as connection:
        return int((await connection.execute(_SERVER)).scalar_one())


async def test_a_connection_that_the_database_ended_is_not_used_again(pool: AsyncEngine, cluster: Any) -> None:
    before = await _server(pool)
    assert await _server(pool) == before, "it is kept"
    with cluster.admin() as administrator:
        administrator.execute("SELECT pg_terminate_backend(%s, 5000)", (before,))
    assert await _server(pool) != before


async def test_a_statement_at_once_stays_and_one_in_a_transaction_goes_with_it(pool: AsyncEngine) -> None:
    new = text("INSERT INTO quota_counter VALUES (:subject, 'tokens', now(), 1, 2)")
    async with at_once(pool).connect() as connection:
        await connection.execute(new, {"subject": "user:alpha"})
        assert (await connection.execute(text("SELECT pg_current_xact_id_if_assigned()"))).scalar_one() is None
    async with pool.begin() as connection:
        await connection.execute(new, {"subject": "user:beta"})
        await connection.rollback()
    async with pool.connect() as connection:  # what is not committed is rolled back
        await connection.execute(new, {"subject": "user:gamma"})
    async with pool.begin() as connection:
        found = (await connection.execute(text("SELECT subject FROM quota_counter"))).scalars().all()
    assert found == ["user:alpha"]


async def test_where_a_transaction_cannot_begin_nothing_goes_on_without_one(pool: AsyncEngine, cluster: Any) -> None:
    new = text("INSERT INTO quota_counter VALUES ('user:alpha', 'tokens', now(), 1, 2)")
    async with pool.connect() as connection:
        server = int((await connection.execute(_SERVER)).scalar_one())
        await connection.rollback()
        with cluster.admin() as administrator:
            administrator.execute("SELECT pg_terminate_backend(%s, 5000)", (server,))
        for expected in (OperationalError, ResourceClosedError):
            with pytest.raises(expected):
                await connection.execute(new)
    async with pool.begin() as connection:
        assert not (await connection.execute(text("SELECT subject FROM quota_counter"))).all()


async def test_a_question_asks_the_database_five_statements_one_of_them_to_begin(house: Any) -> None:
    """More is time that somebody waits; whoever adds one may find another to leave out."""
    told: list[str] = []
    event.listen(
        house.pool.sync_engine, "before_cursor_execute", lambda *about: told.append(" ".join(about[2].split()[:3]))
    )
    body = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
    async with house.open() as client:
        told.clear()
        answer = await client.post("/v1/chat/completions", json=body, headers={"Authorization": "Bearer analyst"})
    assert answer.status_code == 200, answer.text
    assert [one.split()[0] for one in told] == ["SELECT", "SELECT", "BEGIN", "INSERT", "WITH"], told
