"""Calibrations in force, in the database: one of a model and an adapter at most.

A row holds what ``learning.calibration`` wrote, and its digest. One that does not read, has another digest, or is of
another model than its row says, is none: then no number is told.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert

from appliance.gateway.database import at_once
from appliance.gateway.schema import calibration
from appliance.learning.calibration import Calibration, read_calibration
from appliance.learning.errors import CalibrationError

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncEngine

_log = structlog.get_logger(__name__)


class CalibrationStore:
    """Reads and changes them. Raises SQLAlchemy's errors; whoever calls says what a silent database means."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._at_once = at_once(engine)

    async def of(self, model: str, adapter: str) -> Calibration | None:
        """The calibration of this model with this adapter (a digest, or ``none``)."""
        this = calibration.c.model == model, calibration.c.adapter == adapter
        async with self._at_once.connect() as connection:
            row = (await connection.execute(select(calibration).where(*this))).one_or_none()
        return _opened(row) if row is not None else None

    async def all(self) -> tuple[Calibration, ...]:
        """Every one that reads."""
        query = select(calibration).order_by(calibration.c.model, calibration.c.adapter)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return tuple(one for one in map(_opened, rows) if one is not None)

    async def put(self, made: Calibration, by: str) -> None:
        """Put ``made`` in force, in the place of any other for its model and adapter."""
        values = {"digest": made.digest, "body": made.raw.decode(), "chosen_by": by, "since": datetime.now(UTC)}
        statement = upsert(calibration).values(model=made.model, adapter=made.adapter, **values)
        async with self._engine.begin() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["model", "adapter"], set_=values))

    async def remove(self, digest: str) -> bool:
        """Take it out of force. Returns whether it was."""
        async with self._engine.begin() as connection:
            gone = await connection.execute(delete(calibration).where(calibration.c.digest == digest))
        return gone.rowcount > 0


def _opened(row: Row[Any]) -> Calibration | None:
    try:
        found = read_calibration(row.body.encode())
    except CalibrationError:
        found = None
    if found is None or (found.model, found.adapter, found.digest) != (row.model, row.adapter, row.digest):
        _log.warning("a calibration does not hold and is not used", model=row.model, adapter=row.adapter)
        return None
    return found
