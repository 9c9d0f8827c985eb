"""PostgreSQL over its Unix socket: the connection pool, and what a database that does not answer means."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import URL, text
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from appliance.gateway.errors import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATABASE = "sovereign"
ROLE = "gateway"
_POOL_SIZE = 10
_POOL_OVERFLOW = 20

# What a caller may treat as "the database does not answer": pool exhausted, connection refused or lost.
DATABASE_DOWN = (OperationalError, InterfaceError, PoolExhausted)


def connect(socket_dir: Path, port: int, password: str, connect_s: int = 5) -> AsyncEngine:
    """A pool for the gateway's database. Nothing is opened before the first use, which waits for ``connect_s``."""
    url = URL.create(
        "postgresql+psycopg",
        username=ROLE,
        password=password,
        database=DATABASE,
        query={"host": str(socket_dir), "port": str(port)},
    )
    return create_async_engine(
        url,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=5,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": connect_s, "options": "-c statement_timeout=15000 -c timezone=UTC"},
    )


@contextmanager
def needed() -> Iterator[None]:
    """Inside, a database that does not answer is a ``NotReadyError``."""
    try:
        yield
    except DATABASE_DOWN as error:
        raise NotReadyError("the database does not answer", code="database_unavailable", retry_after=5) from error


async def answers(engine: AsyncEngine) -> bool:
    """Whether a statement comes back; for /readyz."""
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError):
        return False
    return True
