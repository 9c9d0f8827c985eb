from __future__ import annotations

from dataclasses import dataclass

import pytest

from appliance.engine.capacity import Capacity
from appliance.engine.job import BATCH, Job
from appliance.engine.preemption import victim, victim_for
from tests.engine.batches import GREEDY


@dataclass(frozen=True)
class At:
    job: Job
    number: int


def _job(user: str, rank: int = 0, weight: float = 1.0) -> Job:
    return Job((1,), GREEDY, (), 8, lambda _event: None, user=user, rank=rank, weight=weight)


def _running(*users: str, rank: int = 0) -> list[At]:
    return [At(_job(user, rank), number) for number, user in enumerate(users)]


@pytest.mark.parametrize(
    ("users", "number"),
    [(["a", "b", "c"], 2), (["a", "a", "b"], 1), (["b", "a", "a", "c"], 2), (["a"], None), ([], None)],
)
def test_the_youngest_of_whoever_has_most_is_put_off(users: list[str], number: int | None) -> None:
    found = victim(_running(*users))
    assert (found.number if found else None) == number


def test_work_that_nobody_waits_for_is_put_off_first() -> None:
    running = [At(_job("nightly", BATCH), 0), At(_job("a"), 1), At(_job("a"), 2)]
    found = victim(running)
    assert found is not None
    assert found.number == 0


def test_a_heavy_group_may_have_more_before_it_gives_up_any() -> None:
    running = [At(_job("a", weight=4), n) for n in range(4)] + [At(_job("b"), 4 + n) for n in range(2)]
    found = victim(running)
    assert found is not None
    assert found.job.user == "b"


@pytest.mark.parametrize(
    ("users", "newcomer", "number"),
    [(["a", "a"], "b", 1), (["a", "b"], "c", None), (["a", "a"], "a", None), (["a", "a", "b"], "b", None)],
)
def test_a_newcomer_pushes_out_only_whoever_keeps_more_than_their_share(
    users: list[str], newcomer: str, number: int | None
) -> None:
    found = victim_for(_job(newcomer), _running(*users))
    assert (found.number if found else None) == number


def test_a_person_pushes_out_nightly_work_and_never_the_other_way_round() -> None:
    nightly = _running("n", "n", "n", rank=BATCH)
    found = victim_for(_job("person"), nightly)
    assert found is not None
    assert found.number == 2
    assert victim_for(_job("m", BATCH), _running("a", "a", "a")) is None


def test_an_answer_is_expected_to_be_as_long_as_answers_were_lately() -> None:
    capacity = Capacity(4096)
    for _ in range(60):
        capacity.observe(20)
    assert capacity.expected(2000) == pytest.approx(30, abs=2)
    assert capacity.expected(5) == 5


def test_cells_are_kept_free_for_users_of_whom_nothing_runs() -> None:
    capacity = Capacity(800)
    assert capacity.shortage(100, free=150, promised=0, first=True) == -50
    assert capacity.shortage(100, free=150, promised=0, first=False) == 50
