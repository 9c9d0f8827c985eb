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


async def steps(bed: Bed) -> list[str]:
    """What a whole night of these does with the database."""
    case = await ruled(bed, 0)
    with killed(bed.pool, None) as done:
        assert (await bed.night()).state == "in_force"
    assert line(0) in await bed.told()
    await bed.desk.cases.retire(case.id)
    assert len(done) >= LEAST_STEPS
    assert done.count("COMMIT") > LEAST_STEPS / 10
    assert done[-1] == "COMMIT"  # the one that puts it in force; what is cut off behind it is in ``test_briefs``
    return done


async def test_a_night_killed_before_any_statement_or_commit_leaves_yesterdays_brief_and_is_made_up_for(
    bed: Bed,
) -> None:
    for at in range(1, len(await steps(bed)) + 1):
        case = await ruled(bed, at)
        entered = len(bed.entered)
        with killed(bed.pool, at), pytest.raises(KilledError):
            await bed.night()
        assert await bed.told() == [BAY, VISIT], f"step {at}"
        assert (await bed.states()).count("in_force") == 1
        run = await bed.night()
        assert await bed.told() == [line(at), BAY, VISIT], f"step {at}"
        assert run.state in {"in_force", "empty"}
        in_force = await bed.store.in_force("analysts")
        assert in_force is not None
        about = [one for one in bed.entered[entered:] if one[1] == str(in_force.run.id)]
        assert {one[0] for one in about} == {"create", "update"}, f"step {at}: each decision is in the log"
        assert about[-1][2]["cases"] == 30  # with the gate's figures
        await bed.desk.cases.retire(case.id)


async def test_a_refusal_that_is_killed_before_any_statement_or_commit_is_a_refusal_after_it(bed: Bed) -> None:
    bed.verdict = REFUSED
    case = await ruled(bed, 0)
    with killed(bed.pool, None) as done:
        assert (await bed.night()).state == "refused"
    for at in range(1, len(done) + 1):
        await bed.desk.cases.retire(case.id)
        case = await ruled(bed, at)
        with killed(bed.pool, at), pytest.raises(KilledError):
            await bed.night()
        await bed.night()
        assert await bed.told() == [BAY, VISIT], f"step {at}"
        assert "refused" in await bed.states()
        assert bed.entered[-1][3] is False or bed.entered[-2][3] is False


async def test_an_empty_night_killed_before_any_statement_or_commit_tells_what_was_told(bed: Bed) -> None:
    assert (await bed.night()).state == "empty"
    with killed(bed.pool, None) as done:
        assert (await bed.night()).state == "empty"
    for at in range(1, len(done) + 1):
        with killed(bed.pool, at), pytest.raises(KilledError):
            await bed.night()
        assert await bed.told() == [BAY, VISIT], f"step {at}"
        assert (await bed.night()).state == "empty"
    assert await bed.states() == ["empty", "in_force"]
