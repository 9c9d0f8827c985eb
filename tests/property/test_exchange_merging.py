"""Merging what sites sent is commutative, associative and idempotent, whatever they sent."""

from __future__ import annotations

import itertools
from functools import reduce
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.learning.exchange.export import Export, read_export
from appliance.learning.exchange.folder import Held
from appliance.learning.exchange.merging import Decision, contradictions, merge, merged
from appliance.learning.exchange.released import Released, read_released
from tests.learning.exchanging import NOTICE, export, shared

if TYPE_CHECKING:
    from random import Random

CASES = [
    shared(),
    shared(NOTICE, "six months"),
    shared(f"{NOTICE} Please", "six months"),
    shared("Where do bicycles stand?", "north gate"),
    shared("Où sont les vélos ?", "porte nord", language="fr"),
    shared("Who has the code?", kind="refusal"),
]
DIGESTS = [one.digest for one in CASES]


@st.composite
def exports(draw: st.DrawFn) -> Export:
    """An export whose content follows from its site and number, as a site makes one export of a number."""
    site, number = draw(st.sampled_from(["north", "south", "west"])), draw(st.integers(1, 3))
    seed = sum(map(ord, site)) * 31 + number * 7
    chosen = [one for index, one in enumerate(CASES) if (seed >> index) & 1]
    gone = [one.digest for index, one in enumerate(CASES) if (seed >> (index + 3)) & 1 and one not in chosen]
    return export(site, number, *chosen, retired=tuple(gone), roles=(site,))


def state(found: list[Export]) -> dict[str, Export]:
    return reduce(merge, ({one.head.site: one} for one in found), {})


Found = list[Export]
Decided = dict[str, Decision]
DECISIONS = st.dictionaries(st.sampled_from(DIGESTS), st.sampled_from(["keep", "drop"]))


@given(st.lists(exports(), max_size=6), st.randoms(), DECISIONS)
def test_the_order_in_which_exports_come_changes_nothing(found: Found, random: Random, decisions: Decided) -> None:
    mixed = list(found)
    random.shuffle(mixed)
    assert state(found) == state(mixed)
    assert merged(state(found), decisions) == merged(state(mixed), decisions)


@given(st.lists(exports(), max_size=4), st.lists(exports(), max_size=4), st.lists(exports(), max_size=4))
def test_portions_may_be_merged_in_whatever_grouping(one: Found, two: Found, three: Found) -> None:
    a, b, c = state(one), state(two), state(three)
    assert merge(merge(a, b), c) == merge(a, merge(b, c)) == state([*one, *two, *three])
    assert merge(a, b) == merge(b, a)


@given(st.lists(exports(), max_size=6))
def test_merging_again_changes_nothing(found: Found) -> None:
    once = state(found)
    assert merge(once, once) == once
    assert state([*found, *found]) == once


@given(st.lists(exports(), max_size=6), DECISIONS)
def test_every_case_goes_waits_or_is_retired_and_no_two_that_go_undecided_contradict(
    found: Found, decisions: Decided
) -> None:
    sites = state(found)
    came = merged(sites, decisions)
    going, waiting, gone = {x.digest for x in came.cases}, {x.digest for x in came.blocked}, set(came.retired)
    assert going | waiting | gone >= {line.digest for one in sites.values() for line in one.cases}
    assert not going & gone
    assert not waiting & gone
    against = contradictions({one.digest: one.case for one in came.cases})
    for digest, others in against.items():
        assert not others or decisions.get(digest) == "keep"
    assert read_released(Released(came.cases, came.retired).to_bytes()) == Released(came.cases, came.retired)


@settings(max_examples=30)
@given(st.lists(exports(), min_size=1, max_size=5))
def test_one_call_and_several_calls_in_order_end_alike(found: Found) -> None:
    ordered = sorted(found, key=lambda one: one.head.number)
    several = reduce(lambda held, one: held.take([(one, "k")], {}), ordered, Held())
    for order in itertools.islice(itertools.permutations(ordered), 6):
        assert Held().take([(one, "k") for one in order], {}) == several


@given(exports())
def test_an_export_is_read_as_it_was_written(found: Export) -> None:
    assert read_export(found.to_bytes()) == found
