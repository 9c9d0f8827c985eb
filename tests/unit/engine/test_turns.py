"""One adapter a batch: everybody's turn comes, and nobody is answered with what another adapter computed."""

from __future__ import annotations

from collections import Counter

from appliance.engine.protocol import Failed
from appliance.engine.turns import SLICE, Turns
from tests.engine.batches import Asked, Desk
from tests.engine.quoting_context import ADAPTERS, QuotingContext, expected

FORMAL, BRIEF = ADAPTERS
PROMPT = [97 + (n * n + n) % 26 for n in range(40)]


def right(asked: Asked) -> bool:
    job = asked.job
    return asked.text == bytes(expected(job.tokens, job.max_tokens, 16, job.adapter)).decode()


def test_who_is_alone_keeps_the_turn() -> None:
    turns = Turns()
    assert {turns.choose({FORMAL: 0}) for _ in range(3 * SLICE)} == {FORMAL}
    assert turns.choose({}) is None


def test_turns_are_slices_of_equal_length_and_everybody_has_them() -> None:
    turns = Turns()
    had = [turns.choose({"": 0, FORMAL: 0, BRIEF: 0}) for _ in range(9 * SLICE)]
    assert Counter(had) == {"": 3 * SLICE, FORMAL: 3 * SLICE, BRIEF: 3 * SLICE}
    assert all(len(set(had[at : at + SLICE])) == 1 for at in range(0, len(had), SLICE))


def test_whoever_comes_new_waits_for_one_slice_of_each_other_at_most() -> None:
    turns = Turns()
    for _ in range(50):
        turns.choose({"": 0, FORMAL: 0})
    had = [turns.choose({"": 0, FORMAL: 0, BRIEF: 0}) for _ in range(2 * SLICE)]
    assert BRIEF in had


def test_work_that_nobody_waits_for_has_no_turn_beside_work_that_somebody_does() -> None:
    turns = Turns()
    turns.choose({FORMAL: 1})
    assert {turns.choose({FORMAL: 1, "": 0}) for _ in range(3 * SLICE)} == {""}
    assert turns.choose({FORMAL: 1}) == FORMAL


def test_a_batch_holds_one_adapter_and_every_answer_is_that_of_its_own() -> None:
    context = QuotingContext(cells=1024)
    desk = Desk(context, slots=6)
    asked = [desk.ask([*PROMPT, n], user=f"user {n}", site=40, adapter=["", FORMAL, BRIEF][n % 3]) for n in range(12)]
    desk.run()
    assert all(right(one) for one in asked)
    assert {one.text for one in asked[:1]} != {one.text for one in asked[1:2]}
    assert context.changes < len(context.batches)


def test_the_same_words_under_another_adapter_are_computed_again() -> None:
    desk = Desk(QuotingContext(cells=1024))
    cached = []
    for adapter in ("", FORMAL, FORMAL, ""):
        one = desk.ask([*PROMPT, len(cached)], site=40, user="analyst", adapter=adapter)
        desk.run(one)
        assert right(one)
        cached.append(one.cached)
    assert cached == [0, 0, 40, 40]


def test_an_adapter_that_fails_costs_who_asked_for_it() -> None:
    context = QuotingContext(cells=1024)
    desk = Desk(context, slots=4)
    context.unusable = FORMAL
    asked = [desk.ask([*PROMPT, n], user=f"user {n}", adapter=["", FORMAL][n % 2]) for n in range(4)]
    desk.run()
    assert all(right(one) for one in asked[::2])
    assert [type(one.events[-1]) for one in asked[1::2]] == [Failed, Failed]
