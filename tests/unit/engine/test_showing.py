"""What reading cost, and when the cells are counted anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.engine import showing
from appliance.engine.energy import Cost, DeclaredDraw, MeasuredDraw
from appliance.engine.showing import Reads, Showing
from appliance.engine.tiers import Prefill
from tests.unit.engine.test_prefixes import ANALYST, SITE, TEXT, Shelf

if TYPE_CHECKING:
    import pytest

DECLARED = DeclaredDraw(busy=30, idle=10)


class Counter:
    """Stands for a processor that counts."""

    def joules(self) -> float:
        return 0.0


MEASURED = MeasuredDraw(Counter(), 10, DECLARED)  # type: ignore[arg-type]  # nothing is read of it here


class AtWork:
    begun = 5.0


def test_before_anything_was_read_nothing_is_said() -> None:
    assert Reads(DECLARED).prefill() is None


def test_only_rows_of_prompts_are_priced_by_their_share_of_the_step() -> None:
    reads = Reads(DECLARED)
    reads.add(Cost(2.0, None), 30, 40)
    reads.add(Cost(1.0, None), 0, 4)
    assert reads.prefill() == Prefill(30, 30.0, "estimated")


def test_where_a_counter_ran_only_what_it_saw_is_priced() -> None:
    reads = Reads(MEASURED)
    reads.add(Cost(1.0, None), 50, 50)
    assert reads.prefill() == Prefill(50, 20.0, "estimated")
    reads.add(Cost(2.0, 60.0), 10, 20)
    assert reads.prefill() == Prefill(10, 20.0, "measured")


def test_under_load_cells_are_counted_once_a_second_and_at_rest_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(showing.time, "monotonic", lambda: clock[0])
    shelf = Shelf()
    shown = Showing(shelf.store, shelf.cache, Reads(DECLARED))

    def rows() -> dict[str, int]:
        return {row.tier: row.tokens for row in shown.shown.rows}

    shelf.park(SITE, TEXT[:20])
    shown.look([AtWork()])
    assert rows() == {"parked": 20, "live": 0}
    shelf.park(ANALYST, (7, *TEXT[:30]))
    shown.look([AtWork()])
    assert rows() == {"parked": 20, "live": 31}, "not counted again yet; the cells in use are right all the same"
    clock[0] += 1
    shown.look([AtWork()])
    assert sum(row.tokens for row in shown.shown.rows if row.tier == "parked") == 51
    assert shelf.cache.evict()
    shown.look([])
    assert rows() == {"parked": 20}
