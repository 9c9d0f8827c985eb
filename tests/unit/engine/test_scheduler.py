from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.job import BATCH, INTERACTIVE
from appliance.engine.scheduler import ADVANCE, QUANTUM, Candidate, Limits, Scheduler

LIMITS = Limits(batch_tokens=128, chunk_tokens=32)


def _prompt(key: str, pending: int, *, user: str = "", rank: int = INTERACTIVE, weight: float = 1) -> Candidate[str]:
    return Candidate(key, pending, decoding=False, rank=rank, payers=((user or key, weight),))


def _stream(key: str, *, rank: int = INTERACTIVE, behind: int = 0) -> Candidate[str]:
    return Candidate(key, 1, decoding=True, rank=rank, payers=((key, 1.0),), behind=behind)


def test_a_prompt_alone_gets_the_whole_batch() -> None:
    assert Scheduler[str](LIMITS).plan([_prompt("a", 500)]) == {"a": 128}


def test_streams_get_their_row_and_prompts_the_chunk() -> None:
    plan = Scheduler[str](LIMITS).plan([_prompt("a", 500), _stream("b"), _stream("c")])
    assert plan == {"b": 1, "c": 1, "a": 32}
    assert list(plan)[:2] == ["b", "c"]


def test_a_short_question_is_read_whole_beside_any_number_of_long_prompts() -> None:
    scheduler = Scheduler[str](LIMITS)
    heavy = [_prompt(f"h{n}", 900, user="heavy") for n in range(32)]
    scheduler.plan(heavy)
    assert scheduler.plan([*heavy, _prompt("light", 40)])["light"] == 40


def test_users_share_by_weight_however_many_prompts_they_have() -> None:
    scheduler, read = Scheduler[str](LIMITS), Counter[str]()
    candidates = [_prompt(f"a{n}", 10_000, user="a", weight=1) for n in range(9)]
    candidates += [_prompt("b", 100_000, weight=3)]
    for _ in range(50):
        for key, count in scheduler.plan(candidates).items():
            read[key[0]] += count
    assert abs(read["b"] - 3 * read["a"]) <= 4 * QUANTUM * 3 + 3 * ADVANCE


def test_a_users_own_prompts_are_read_one_after_the_other() -> None:
    plan = Scheduler[str](LIMITS).plan([_prompt("a1", 100, user="a"), _prompt("a2", 100, user="a")])
    assert plan == {"a1": 100, "a2": 28}


def test_work_that_nobody_waits_for_gets_no_row_beside_a_person() -> None:
    scheduler = Scheduler[str](LIMITS)
    late = [_prompt("n", 500, rank=BATCH), _stream("m", rank=BATCH)]
    assert scheduler.plan([*late, _stream("p")]) == {"p": 1}
    assert scheduler.plan(late) == {"m": 1, "n": 32}


def test_who_waits_for_a_prompt_lends_their_turn_to_it() -> None:
    alone, together = Scheduler[str](LIMITS), Scheduler[str](LIMITS)
    others = [_prompt(f"o{n}", 500) for n in range(7)]
    for scheduler in (alone, together):  # everybody's advance is used
        for _ in range(9):
            scheduler.plan([*others, _prompt("s", 500), _prompt("t", 500), _prompt("u", 500)])
    shared = Candidate("s", 500, decoding=False, rank=INTERACTIVE, payers=(("s", 1.0), ("t", 1.0), ("u", 1.0)))
    read = [sum(together.plan([*others, shared]).get("s", 0) for _ in range(5))]
    read += [sum(alone.plan([*others, _prompt("s", 500)]).get("s", 0) for _ in range(5))]
    assert read[0] > 2 * read[1]


def test_a_short_question_beside_streams_and_long_prompts_is_in_the_very_next_chunk() -> None:
    scheduler = Scheduler[str](LIMITS)
    busy = [*(_prompt(f"h{n}", 900, user="heavy") for n in range(32)), _stream("s")]
    for _ in range(5):
        scheduler.plan(busy)
    assert scheduler.plan([*busy, _prompt("light", 30)])["light"] == 30


def test_an_advance_is_made_good_and_many_short_questions_are_no_way_to_more_than_ones_share() -> None:
    scheduler, read, left = Scheduler[str](LIMITS), Counter[str](), 0
    long = [_prompt(f"long {n}", 100_000) for n in range(3)]
    for turn in range(600):
        left = left or (LIMITS.chunk_tokens if turn % 2 else 0)  # gone for a moment after every question
        plan = scheduler.plan([*long, _stream("s"), *([_prompt("short", left)] if left else [])])
        left -= plan.get("short", 0)
        read.update(plan)
    assert min(read[one.key] for one in long) + 2 * ADVANCE >= read["short"] > 0


def test_what_of_an_advance_was_not_used_is_not_owed() -> None:
    scheduler = Scheduler[str](LIMITS)
    scheduler.plan([_prompt("long", 10_000)])
    assert scheduler.plan([_prompt("long", 10_000), _prompt("q", 10)])["q"] == 10
    scheduler.plan([_prompt("long", 10_000)])
    assert scheduler.plan([_prompt("long", 10_000), _prompt("q", 100)])["q"] == 100


def test_nor_is_it_owed_where_others_read_all_the_rest_of_the_batch() -> None:
    scheduler = Scheduler[str](LIMITS)
    busy = [*(_prompt(f"long {n}", 10_000) for n in range(3)), _stream("s")]
    for _ in range(20):
        scheduler.plan(busy)
    assert scheduler.plan([*busy, _prompt("light", 10)])["light"] == 10
    scheduler.plan(busy)
    assert scheduler.plan([*busy, _prompt("light", 32)])["light"] == 32


APART = Limits(batch_tokens=128, chunk_tokens=32, apart_tokens=1000)


def test_streams_with_much_behind_them_and_prompts_get_batches_of_their_own_turn_about() -> None:
    scheduler = Scheduler[str](APART)
    work = [_prompt("p", 900), _stream("a", behind=600), _stream("b", behind=400)]
    for _ in range(9):  # the prompt's advance is used
        scheduler.plan(work)
    plans = [scheduler.plan(work) for _ in range(4)]
    assert plans == [{"a": 1, "b": 1}, {"p": 32}] * 2
    assert scheduler.plan(work[1:]) == {"a": 1, "b": 1}, "without prompts nothing alternates"
    assert scheduler.plan(work[1:]) == {"a": 1, "b": 1}


def test_beside_them_who_comes_new_begins_alone_in_the_next_batch_whosever_turn_it_is() -> None:
    heavy = [*(_prompt(f"h{n}", 900, user="heavy") for n in range(3)), _stream("s", behind=1000)]
    for turns in range(9, 12):
        scheduler = Scheduler[str](APART)
        for _ in range(turns):
            scheduler.plan(heavy)
        assert scheduler.plan([*heavy, _prompt("light", 30)]) == {"light": 30}
        assert sorted(sum(scheduler.plan(heavy).values()) for _ in range(2)) == [1, 32], "and then they go on"


def test_a_batch_gives_way_only_where_who_comes_new_would_be_the_next_one() -> None:
    scheduler = Scheduler[str](APART)
    heavy = [*(_prompt(f"h{n}", 900, user="heavy") for n in range(3)), _stream("s", behind=1000)]
    for turn in range(40):
        before = scheduler.plan(heavy) if turn else {}
        gives_way = scheduler.gives_way
        if before:
            scheduler.undo()
        beside = scheduler.plan([*heavy, _prompt(f"light {turn}", 30)])
        if before:
            assert gives_way == (beside == {f"light {turn}": 30})
        assert not (scheduler.gives_way and f"light {turn}" in beside), "nobody's beginning is given up"
    assert scheduler.plan([_prompt("p", 900), _stream("s", behind=10)])
    assert not scheduler.gives_way, "short batches are not worth it"


def test_streams_without_prompts_give_way_too() -> None:
    scheduler = Scheduler[str](APART)
    stream = _stream("s", behind=1000)
    assert scheduler.plan([stream, _prompt("light", 30)]) == {"light": 30}
    for _ in range(3):
        assert scheduler.plan([stream]) == {"s": 1}
        assert scheduler.gives_way
    scheduler.undo()
    assert scheduler.plan([stream, _prompt("other", 30)]) == {"other": 30}


@pytest.mark.parametrize("streams", [[], [_stream("s", behind=10)]], ids=["prompts alone", "a short stream"])
def test_beside_who_has_much_to_read_who_comes_new_begins_alone_too(streams: list[Candidate[str]]) -> None:
    scheduler = Scheduler[str](APART)
    heavy = [*(_prompt(f"h{n}", 900, user="heavy") for n in range(3)), *streams]
    usual = scheduler.plan(heavy)
    for _ in range(8):  # the heavy user's advance is used
        usual = scheduler.plan(heavy)
    assert scheduler.gives_way
    scheduler.undo()
    assert scheduler.plan([*heavy, _prompt("light", 30)]) == {"light": 30}
    assert not scheduler.gives_way
    beside = scheduler.plan([*heavy, _prompt("other", 30)])
    assert beside["other"] > 0
    assert len(beside) > 1, "once between two batches of the others"
    assert scheduler.plan(heavy) == usual, "and they go on"


def test_who_has_little_to_read_is_no_reason_for_batches_apart() -> None:
    scheduler = Scheduler[str](APART)
    for _ in range(3):
        scheduler.plan([_prompt("a", 400)])
        assert not scheduler.gives_way
    assert scheduler.plan([_prompt("a", 20), _prompt("b", 30)]) == {"b": 30, "a": 20}


@pytest.mark.parametrize("pause", [2, 3])
def test_many_short_questions_get_no_more_than_ones_share_beside_long_prompts_alone(pause: int) -> None:
    scheduler, read, left = Scheduler[str](APART), Counter[str](), 0
    long = [_prompt(f"long {n}", 1_000_000) for n in range(3)]
    for turn in range(900):
        left = left or (60 if turn % pause else 0)
        plan = scheduler.plan([*long, *([_prompt("short", left)] if left else [])])
        left -= plan.get("short", 0)
        read.update(plan)
    assert min(read[one.key] for one in long) + 2 * ADVANCE >= read["short"] > 0


def test_a_plan_that_was_not_computed_leaves_no_trace() -> None:
    """What is planned is the same whether or not any plan before was undone and made again."""
    draw = random.Random(5)
    plain, undone = Scheduler[str](APART), Scheduler[str](APART)
    left = {f"u{n} {k}": draw.randrange(1, 400) for n in range(5) for k in range(6)}
    there: set[str] = set()
    while left:
        there |= set(draw.sample(sorted(left), min(len(left), draw.randrange(3))))
        work = [_prompt(key, left[key], user=key[:2]) for key in sorted(there)]
        work += [_stream("s", behind=draw.choice([10, 1000]))]
        for _ in range(draw.randrange(3)):
            undone.plan([*work, _prompt("z", 50)] if draw.random() < 0.5 else work)
            undone.undo()
        plan = plain.plan(work)
        assert undone.plan(work) == plan
        assert undone.gives_way == plain.gives_way
        for key, count in plan.items():
            if key in left:
                left[key] -= count
                if not left[key]:
                    del left[key]
                    there.discard(key)


def test_and_they_hold_streams_up_for_one_batch_only_however_many_come() -> None:
    scheduler = Scheduler[str](APART)
    work = [*(_prompt(f"new {n}", 100) for n in range(50)), _stream("s", behind=1000)]
    plans = [scheduler.plan(work) for _ in range(30)]
    assert [index for index, plan in enumerate(plans) if plan == {"s": 1}] == list(range(1, 30, 3))
    assert all(sum(plan.values()) == APART.chunk_tokens for plan in plans if plan != {"s": 1})


def test_nor_do_many_short_questions_get_more_than_ones_share_of_them() -> None:
    scheduler, read, left = Scheduler[str](APART), Counter[str](), 0
    long = [_prompt(f"long {n}", 100_000) for n in range(3)]
    for turn in range(900):
        left = left or (APART.chunk_tokens if turn % 3 else 0)
        plan = scheduler.plan([*long, _stream("s", behind=1000), *([_prompt("short", left)] if left else [])])
        left -= plan.get("short", 0)
        read.update(plan)
    assert min(read[one.key] for one in long) + 2 * ADVANCE >= read["short"] > 0
    assert read["s"] >= 300


def test_streams_with_little_behind_them_share_the_batch() -> None:
    work = [_prompt("p", 500), _stream("a", behind=600), _stream("b", behind=399)]
    assert Scheduler[str](APART).plan(work) == {"a": 1, "b": 1, "p": 32}


def test_nothing_to_do_is_an_empty_plan() -> None:
    assert Scheduler[str](LIMITS).plan([_prompt("a", 0)]) == {}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.integers(0, 300),
            st.booleans(),
            st.integers(0, 1),
            st.sampled_from([0.01, 0.5, 1, 7.5]),
        ),
        max_size=24,
    ),
    st.integers(1, 8),
    st.sampled_from([None, 1, 40]),
)
def test_a_plan_fits_the_batch_starves_nobody_for_good_and_ends_all_work(
    requests: list[tuple[int, int, bool, int, float]], narrow: int, apart: int | None
) -> None:
    scheduler = Scheduler[int](Limits(batch_tokens=8 * narrow, chunk_tokens=narrow, apart_tokens=apart))
    weights = {user: weight for user, _, _, _, weight in requests}
    left = {key: 1 if decoding else pending for key, (_, pending, decoding, _, _) in enumerate(requests)}
    for _ in range(4000):
        candidates = [
            Candidate(key, left[key], decoding, rank, ((str(user), weights[user]),), behind=10)
            for key, (user, _, decoding, rank, _) in enumerate(requests)
        ]
        plan = scheduler.plan(candidates)
        assert bool(plan) == any(left.values())
        if not plan:
            return
        assert sum(plan.values()) <= 8 * narrow
        for key, count in plan.items():
            assert 0 < count <= left[key]
            left[key] -= count
    raise AssertionError("work was left for good")
