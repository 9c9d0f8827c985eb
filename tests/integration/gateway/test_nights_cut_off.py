"""A night that is killed before any of its statements or commits: yesterday's brief is told, and the next one ends it.

Nothing reaches the database after the cut, as nothing does of a process that is gone; PostgreSQL rolls back what was
open. That is tried at every one of them, so that a step which somebody adds is tried as well.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from appliance.learning import briefs
from appliance.learning.cases import Content
from tests.memory.library import House as Importing
from tests.memory.nights import REFUSED, Bed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.learning.cases import Case
    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
BAY = "Visitors may park in bay seven of the yard."
VISIT = "A visit lasts at most ninety minutes."
LEAST_STEPS = 30
"""Statements and commits of a night, at least: fewer would say that they are not seen."""


class KilledError(BaseException):
    """The process is gone: no handler of an error runs on."""


@contextmanager
def killed(pool: AsyncEngine, at: int | None) -> Iterator[list[str]]:
    """Inside, the process dies before its statement or commit number ``at``; what it came to is listed."""
    done: list[str] = []

    def step(*told: Any) -> None:
        done.append(str(told[2])[:60] if len(told) > 1 else "COMMIT")
        if at is not None and len(done) >= at:
            raise KilledError(f"before step {at}: {done[-1]}")

    event.listen(pool.sync_engine, "before_cursor_execute", step)
    event.listen(pool.sync_engine, "commit", step)
    try:
        yield done
    finally:
        event.remove(pool.sync_engine, "before_cursor_execute", step)
        event.remove(pool.sync_engine, "commit", step)


@pytest.fixture
async def bed(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    """Yesterday's brief is in force, and every ruling may be told."""
    monkeypatch.setattr(briefs, "_SORTS", 1)
    await Importing(house.pool, house.embedding).take("parking.txt", f"{BAY} {VISIT}", "analysts", title="Parking")
    found = Bed(house.pool, tmp_path)
    await found.night()
    assert await found.told() == [BAY, VISIT]
    return found


async def ruled(bed: Bed, number: int) -> Case:
    """Experts ruled on something new."""
    said = {"question": f"Who signs on day {number}?", "kind": "contains", "expected": [f"deputy {number}"]}
    content = Content.model_validate({**said, "groups": ["analysts"], "language": "en"})
    return (await bed.desk.cases.add(content, "uid 0", decided=True)).case


def line(number: int) -> str:
    return f"Who signs on day {number}?\ndeputy {number}"


async def cut(bed: Bed, at: int) -> bool:
    """A night that is killed at its step ``at``; whether it was: it has so many steps."""
    with killed(bed.pool, at):
        try:
            await bed.night()
        except KilledError:
            return True
    return False


async def test_a_night_killed_before_any_statement_or_commit_leaves_yesterdays_brief_and_is_made_up_for(
    bed: Bed,
) -> None:
    """Behind the last commit there is nothing but what engines compute (``test_briefs``)."""
    case, at = await ruled(bed, 1), 1
    while await cut(bed, at):
        entered = len(bed.entered)
        assert await bed.told() == [BAY, VISIT], f"step {at}"
        assert (await bed.states()).count("in_force") == 1
        run = await bed.night()
        assert await bed.told() == [line(at), BAY, VISIT], f"step {at}"
        assert run.state == "in_force"
        assert bed.entered[entered:][-1][:2] == ("update", str(run.id)), f"step {at}: the decision is in the log"
        assert bed.entered[-1][2]["cases"] == 30  # with the gate's figures
        assert ("create", str(run.id)) in [one[:2] for one in bed.entered]
        await bed.desk.cases.retire(case.id)
        at += 1
        case = await ruled(bed, at)
    assert at > LEAST_STEPS
    assert await bed.told() == [line(at), BAY, VISIT]


async def test_a_refusal_that_is_killed_before_any_statement_or_commit_is_a_refusal_after_it(bed: Bed) -> None:
    bed.verdict = REFUSED
    case, at = await ruled(bed, 1), 1
    while await cut(bed, at):
        assert await bed.told() == [BAY, VISIT], f"step {at}"
        assert (await bed.night()).state == "refused", f"step {at}"
        assert await bed.told() == [BAY, VISIT], f"step {at}"
        assert bed.entered[-1][3] is False
        await bed.desk.cases.retire(case.id)
        at += 1
        case = await ruled(bed, at)
    assert at > LEAST_STEPS
    assert await bed.told() == [BAY, VISIT]


async def test_an_empty_night_killed_before_any_statement_or_commit_tells_what_was_told(bed: Bed) -> None:
    at = 1
    while await cut(bed, at):
        assert await bed.told() == [BAY, VISIT], f"step {at}"
        assert (await bed.night()).state == "empty"
        at += 1
    assert at > LEAST_STEPS / 3
    assert await bed.states() == ["empty", "in_force"]
