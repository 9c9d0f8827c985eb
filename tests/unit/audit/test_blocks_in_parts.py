"""A whole block of 65,536 entries is counted in parts: the figures are those of one count, whoever counts them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from appliance.audit.blocks import LEVEL, block_roots, block_size, count_block, parts
from appliance.audit.counting import Counting
from appliance.audit.stored import read_stored
from appliance.audit.tally import Figures, UsageReport
from appliance.audit.usage import _side_by_side, build_report
from tests.audit.counted import COUNT, records

if TYPE_CHECKING:
    from tests.audit.bench import Bench

SIZE = block_size(LEVEL) + 300


def _one_count(made: list[tuple[str, bytes]]) -> UsageReport:
    """Which knows neither blocks nor parts."""
    days: dict[str, Figures] = defaultdict(Figures)
    counting = Counting(days)
    for _, entry in made:
        counting.add(entry)
    counting.finish()
    found = UsageReport()
    for day, figures in days.items():
        found.add_day(day, figures)
    return found


def test_a_block_in_parts_is_what_one_count_gives_here_and_in_processes_of_their_own(bench: Bench) -> None:
    some = records(COUNT)  # to make as many takes long
    made = [(f"e{number}", some[number % COUNT][1]) for number in range(SIZE)]
    bench.open().append(made)
    stored = read_stored(bench.directory, bench.vkeys)
    here, root = count_block(stored.tiles, 0, LEVEL)
    assert parts(LEVEL) > 1
    assert root == block_roots(stored.tiles, LEVEL)[0]
    ((number, elsewhere, same),) = _side_by_side(stored, [0], LEVEL, 2)
    assert (number, same, elsewhere.pruned) == (0, root, 0)
    assert dict(elsewhere.days) == dict(here.days), "to the bit"
    assert list(elsewhere.days) == list(here.days)
    plain, found = _one_count(made).as_json(), build_report(bench.directory, vkeys=bench.vkeys).as_json()
    for name in ("total", "by_day", "by_group", "by_model", "refusal_reasons", "outcomes", "kinds", "model_loads"):
        assert plain[name] == found[name], name
    assert sum(found["kinds"].values()) == SIZE
