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


def ask(turns: Turns, **work: tuple[int, float]) -> str | None:
    """A turn with one user behind each adapter, of the rank and weight given."""
    return turns.choose({adapter: [(rank, adapter, weight)] for adapter, (rank, weight) in work.items()})


def test_who_is_alone_keeps_the_turn() -> None:
    turns = Turns()
    assert {ask(turns, formal=(0, 1)) for _ in range(3 * SLICE)} == {FORMAL}
    assert turns.choose({}) is None


def test_users_of_equal_weight_have_equal_slices_and_everybody_has_them() -> None:
    turns = Turns()
    had = [ask(turns, plain=(0, 1), formal=(0, 1), brief=(0, 1)) for _ in range(9 * SLICE)]
    assert Counter(had) == {"plain": 3 * SLICE, FORMAL: 3 * SLICE, BRIEF: 3 * SLICE}
    assert all(len(set(had[at : at + SLICE])) == 1 for at in range(0, len(had), SLICE))


def test_weights_hold_between_adapters_as_within_one() -> None:
    """Eight users of weight 1 beside one of 0.5: 16 slices for one of theirs, whose two requests count once."""
    turns = Turns()
    heavy = [(0, f"user {n}", 1.0) for n in range(8)]
    had = [turns.choose({"": heavy, FORMAL: [(0, "light", 0.5), (0, "light", 0.5)]}) for _ in range(17 * SLICE * 5)]
    assert Counter(had) == {"": 16 * SLICE * 5, FORMAL: SLICE * 5}


def test_nobody_is_so_light_that_they_wait_for_ever() -> None:
    turns = Turns()
    had = [ask(turns, plain=(0, 100.0), formal=(0, 0.01)) for _ in range(17 * SLICE * 2)]
    assert Counter(had)[FORMAL] == 2 * SLICE


def test_whoever_comes_new_waits_for_one_slice_of_each_other_at_most() -> None:
    turns = Turns()
    for _ in range(50):
        ask(turns, plain=(0, 1), formal=(0, 1))
    had = [ask(turns, plain=(0, 1), formal=(0, 1), brief=(0, 1)) for _ in range(2 * SLICE)]
    assert BRIEF in had


def test_work_that_nobody_waits_for_has_no_turn_beside_work_that_somebody_does() -> None:
    turns = Turns()
    ask(turns, formal=(1, 1))
    assert {ask(turns, formal=(1, 9), plain=(0, 1)) for _ in range(3 * SLICE)} == {"plain"}
    assert ask(turns, formal=(1, 1)) == FORMAL


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
