"""PostgreSQL over its Unix socket: the connection pool, and what a database that does not answer means.

Every way to the database and back is in the time that somebody waits for an answer, so none is made for nothing: a
connection that the server ended is found without asking (``_still_there``), and what is one statement is sent without
a transaction around it (``at_once``). The driver opens none of its own; ``_begun`` does where one is wanted.
"""

from __future__ import annotations

import select
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import URL, event, text
from sqlalchemy.exc import DisconnectionError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from appliance.gateway.errors import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

DATABASE = "sovereign"
ROLE = "gateway"
_POOL_SIZE = 10
_POOL_OVERFLOW = 20
_AT_ONCE = "at_once"
_USED = "used"
_NO_TRANSACTION = "AUTOCOMMIT"

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
    engine = create_async_engine(
        url,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=5,
        hide_parameters=True,
        isolation_level=_NO_TRANSACTION,
        connect_args={"connect_timeout": connect_s, "options": "-c statement_timeout=15000 -c timezone=UTC"},
    )
    event.listen(engine.sync_engine, "checkout", _still_there)
    event.listen(engine.sync_engine, "begin", _begun)
    return engine


def _still_there(connection: DBAPIConnection, entry: ConnectionPoolEntry, _given: PoolProxiedConnection) -> None:
    """Before a connection is used again. Raises ``DisconnectionError``: then the pool makes it anew.

    Nothing comes from the server between statements but its farewell, after which the socket has something to read (or
    word of a setting that was changed, after which a new connection is as good). One that was just made is as good as
    any that would follow it.
    """
    if not entry.info.get(_USED):
        entry.info[_USED] = True
        return
    driven = connection.driver_connection
    if driven is None or driven.closed:
        raise DisconnectionError
    waiting = select.poll()
    waiting.register(driven.fileno(), select.POLLIN)
    if waiting.poll(0):
        raise DisconnectionError


def _begun(connection: Connection) -> None:
    """Open the transaction, unless whoever asks wants none: ``at_once``, or a statement that refuses to be in one."""
    options = connection.get_execution_options()
    if options.get(_AT_ONCE) or options.get("isolation_level") is not None:  # of any other level the driver begins one
        return
    try:
        connection.exec_driver_sql("BEGIN")
    except BaseException:
        connection.close()  # else what comes next on it would be in no transaction
        raise


def at_once(engine: AsyncEngine) -> AsyncEngine:
    """The same pool for single statements: each is a transaction of its own, and stays when it returns."""
    return engine.execution_options(**{_AT_ONCE: True})


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
