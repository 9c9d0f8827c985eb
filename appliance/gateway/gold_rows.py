"""Gold cases as rows: each sealed under the key of whose words it holds, and read without making a key.

A row that does not open (its key was destroyed while it was written, or the bytes were changed) is left out, counted
and said in the gateway's log: one row never stops the others.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from appliance.gateway.errors import NotFoundError
from appliance.gateway.pseudonyms import Subject
from appliance.gateway.schema import gold_case
from appliance.gateway.sealing import SealError
from appliance.learning.cases import Case, Content

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.sealing import UserSealer

SITE = Subject("site")
"""Whose key seals what is nobody's own words."""
ALIVE = ("active", "blocked")
OFFERED = "offered"
RELEASE = "release"
"""The author of what came with a release."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Origin:
    """What a case came from: whose failure, by pseudonym, which, and a digest of its question under that person's key.

    ``verbatim``: the case is still in their words.
    """

    subject: Subject
    failure: uuid.UUID
    digest: str
    verbatim: bool


@dataclass(frozen=True)
class Kept:
    """The latest version of a case. ``released``: it came with a release, as the case of this digest."""

    case: Case
    state: str
    author: str
    origin: Origin | None
    sealed_for: str
    created: datetime
    released: str | None = None


async def read(
    connection: AsyncConnection,
    conversations: ConversationStore,
    groups: Collection[str] | None = None,
    states: Sequence[str] = (),
    ids: Collection[uuid.UUID] | None = None,
) -> tuple[Kept, ...]:
    """The latest version of each case, oldest first: of ``groups``, of ``states``, of ``ids``, where they are given."""
    latest = (
        select(gold_case)
        .order_by(gold_case.c.id, gold_case.c.version.desc())
        .ext(distinct_on(gold_case.c.id))
        .subquery()
    )
    query = select(latest).order_by(latest.c.created, latest.c.id)
    if ids is not None:
        query = query.where(latest.c.id.in_(list(ids)))
    if groups is not None:
        query = query.where(latest.c.groups.overlap(list(groups)))
    if states:
        query = query.where(latest.c.state.in_(states))
    rows = (await connection.execute(query)).all()
    sealers = await conversations.sealers(connection, {row.sealed_for for row in rows})
    found = await asyncio.to_thread(_opened_all, rows, sealers)
    if len(found) < len(rows):
        _log.warning("cases that do not open", count=len(rows) - len(found))
    return found


async def add(  # noqa: PLR0913, PLR0917 - the columns of a case
    connection: AsyncConnection,
    conversations: ConversationStore,
    case: Case,
    state: str,
    author: str,
    origin: Origin | None,
    released: str | None = None,
) -> Kept:
    """Insert a version. Raises ``NotFoundError`` when it is in the words of somebody who was erased."""
    sealed_for = origin.subject if origin is not None and origin.verbatim else SITE
    if sealed_for == SITE:
        sealer = await conversations.sealer(connection, SITE)
    elif (found := (await conversations.sealers(connection, (sealed_for,), keep=True)).get(sealed_for)) is not None:
        sealer = found
    else:
        raise NotFoundError("there is no such failure")
    values = {
        "id": case.id,
        "version": case.version,
        "state": state,
        "groups": list(case.content.groups),
        "vital": case.content.vital,
        "digest": case.content.digest,
        "sealed": sealer.seal(case.content.model_dump_json(), bound_to=f"case:{case.id}:{case.version}"),
        "sealed_for": sealed_for,
        "origin": origin.subject if origin is not None else None,
        "origin_digest": origin.digest if origin is not None else None,
        "failure_id": origin.failure if origin is not None else None,
        "author": author,
        "released": released,
    }
    row = (await connection.execute(insert(gold_case).values(values).returning(gold_case))).one()
    return _opened(row, sealer)


async def set_state(connection: AsyncConnection, case: Case, state: str) -> None:
    """The one thing of a version that changes."""
    this = (gold_case.c.id == case.id) & (gold_case.c.version == case.version)
    await connection.execute(update(gold_case).where(this).values(state=state))


def _opened_all(rows: Sequence[Row[Any]], sealers: Mapping[str, UserSealer]) -> tuple[Kept, ...]:
    found = []
    for row in rows:
        if row.sealed_for not in sealers:
            continue
        try:
            found.append(_opened(row, sealers[row.sealed_for]))
        except SealError:
            continue
    return tuple(found)


def _opened(row: Row[Any], sealer: UserSealer) -> Kept:
    said = json.loads(sealer.unseal(row.sealed, bound_to=f"case:{row.id}:{row.version}"))
    case = Case(row.id, row.version, Content.model_validate(said))
    origin = None
    if row.origin is not None:
        origin = Origin(Subject(row.origin), row.failure_id, row.origin_digest, row.sealed_for == row.origin)
    return Kept(case, row.state, row.author, origin, row.sealed_for, row.created, row.released)
