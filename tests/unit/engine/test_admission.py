from __future__ import annotations

import threading

import pytest

from appliance.engine.admission import AdmissionQueue
from appliance.engine.errors import EngineBusyError, EngineDrainingError
from appliance.engine.job import BATCH, Job
from tests.engine.batches import GREEDY


def _job(user: str = "analyst", *, rank: int = 0, weight: float = 1.0) -> Job:
    return Job((1,), GREEDY, (), 8, lambda _event: None, user=user, rank=rank, weight=weight)


def _take(queue: AdmissionQueue) -> Job:
    job = queue.next()
    assert job is not None
    assert queue.take(job)
    return job


def test_a_users_jobs_come_out_in_the_order_in_which_they_went_in() -> None:
    queue = AdmissionQueue(3, 1)
    jobs = [_job() for _ in range(3)]
    for job in jobs:
        queue.put(job)
    assert [_take(queue) for _ in jobs] == jobs


def test_users_come_out_in_turns_whoever_asked_how_often() -> None:
    queue = AdmissionQueue(9, 9)
    for user in ["heavy"] * 4 + ["light"] * 2:
        queue.put(_job(user))
    assert [_take(queue).user for _ in range(6)] == ["heavy", "light", "heavy", "light", "heavy", "heavy"]


def test_a_group_of_twice_the_weight_gets_two_turns_for_one() -> None:
    queue = AdmissionQueue(18, 18)
    for _ in range(6):
        queue.put(_job("one", weight=1))
        queue.put(_job("two", weight=2))
    assert [_take(queue).user for _ in range(9)].count("two") == 6


def test_whoever_has_nothing_running_comes_before_whoever_has() -> None:
    queue = AdmissionQueue(9, 2)
    for user in ["heavy", "heavy", "heavy", "light"]:
        queue.put(_job(user))
    _take(queue)
    assert _take(queue).user == "light"


def test_work_that_nobody_waits_for_comes_last() -> None:
    queue = AdmissionQueue(9, 1)
    queue.put(_job("nightly", rank=BATCH))
    queue.put(_job("person"))
    assert [_take(queue).user for _ in range(2)] == ["person", "nightly"]


def test_a_job_that_was_put_off_goes_before_all_others_of_its_user() -> None:
    queue = AdmissionQueue(9, 2)
    first, second = _job(), _job()
    queue.put(first)
    queue.put(second)
    _take(queue)
    queue.requeue(first)
    assert _take(queue) is first
    assert queue.status().running == 1


def test_the_position_is_how_many_must_end_before_it_begins() -> None:
    queue = AdmissionQueue(5, 2)
    assert queue.put(_job()) == 0
    _take(queue)
    assert queue.put(_job()) == 0
    _take(queue)
    assert queue.put(_job()) == 1
    assert queue.put(_job()) == 2
    assert queue.put(_job("newcomer")) == 1


def test_a_full_queue_refuses_with_a_time_to_come_back_and_the_place_there_would_be() -> None:
    queue = AdmissionQueue(1, 1)
    queue.put(_job())
    queue.put(_job())
    with pytest.raises(EngineBusyError) as refused:
        queue.put(_job())
    assert refused.value.retry_after >= 1
    assert refused.value.position == 2


def test_the_last_places_are_kept_for_users_of_whom_nothing_waits() -> None:
    queue = AdmissionQueue(8, 1)
    for _ in range(7):
        queue.put(_job("heavy"))
    with pytest.raises(EngineBusyError):
        queue.put(_job("heavy"))
    queue.put(_job("light"))
    queue.put(_job("other"))
    with pytest.raises(EngineBusyError):
        queue.put(_job("late"))


def test_a_burst_finds_the_same_room_before_and_after_the_owner_took_the_first() -> None:
    queue = AdmissionQueue(1, 1)
    queue.put(_job())
    _take(queue)
    queue.put(_job())
    with pytest.raises(EngineBusyError):
        queue.put(_job())


def test_the_time_to_come_back_grows_with_what_requests_take_and_stays_bounded() -> None:
    queue = AdmissionQueue(1, 1)
    for _ in range(50):
        queue.put(_job())
        queue.finished(_take(queue), 10_000)
    queue.put(_job())
    queue.put(_job())
    with pytest.raises(EngineBusyError) as refused:
        queue.put(_job())
    assert refused.value.retry_after == 120


def test_a_withdrawn_job_is_never_taken_and_frees_its_place() -> None:
    queue = AdmissionQueue(2, 1)
    gone, kept, late = _job(), _job(), _job()
    queue.put(gone)
    queue.put(kept)
    assert queue.withdraw(gone)
    assert not queue.withdraw(gone)
    assert not queue.take(gone)
    queue.put(late)
    assert [_take(queue), _take(queue)] == [kept, late]


def test_a_closed_queue_takes_nothing_new_and_hands_out_the_rest() -> None:
    queue = AdmissionQueue(2, 1)
    queue.put(_job())
    queue.close()
    with pytest.raises(EngineDrainingError):
        queue.put(_job())
    assert queue.wait()
    _take(queue)
    assert not queue.wait()


def test_closing_wakes_a_thread_that_waits_for_work() -> None:
    queue = AdmissionQueue(1, 1)
    waited: list[bool] = []
    owner = threading.Thread(target=lambda: waited.append(queue.wait()))
    owner.start()
    queue.close()
    owner.join(10)
    assert waited == [False]
