from __future__ import annotations

import threading

import pytest

from appliance.engine.errors import EngineBusyError, EngineDrainingError
from appliance.engine.queue import AdmissionQueue


def test_jobs_come_out_in_the_order_in_which_they_went_in() -> None:
    queue: AdmissionQueue[str] = AdmissionQueue(3)
    for job in "abc":
        queue.put(job)
    assert [queue.take(), queue.take(), queue.take()] == ["a", "b", "c"]


def test_the_position_counts_the_running_request_and_those_that_wait() -> None:
    queue: AdmissionQueue[str] = AdmissionQueue(3)
    assert queue.put("a") == 0
    queue.take()
    assert queue.put("b") == 1
    assert queue.put("c") == 2


def test_a_full_queue_refuses_with_a_time_to_come_back() -> None:
    queue: AdmissionQueue[str] = AdmissionQueue(1)
    queue.put("a")
    queue.put("b")
    with pytest.raises(EngineBusyError) as refused:
        queue.put("c")
    assert refused.value.retry_after >= 1


def test_a_burst_finds_the_same_room_before_and_after_the_owner_took_the_first() -> None:
    queue: AdmissionQueue[str] = AdmissionQueue(1)
    queue.put("a")
    queue.take()
    queue.put("b")
    with pytest.raises(EngineBusyError):
        queue.put("c")


def test_the_time_to_come_back_grows_with_what_requests_take_and_stays_bounded() -> None:
    queue: AdmissionQueue[str] = AdmissionQueue(1)
    for _ in range(50):
        queue.put("a")
        queue.take()
        queue.finished(10_000)
    queue.put("a")
    queue.put("b")
    with pytest.raises(EngineBusyError) as refused:
        queue.put("c")
    assert refused.value.retry_after == 120


def test_a_withdrawn_job_is_never_taken_and_frees_its_place() -> None:
    queue: AdmissionQueue[str] = AdmissionQueue(2)
    queue.put("a")
    queue.put("b")
    assert queue.withdraw("a")
    assert not queue.withdraw("a")
    queue.put("c")
    assert [queue.take(), queue.take()] == ["b", "c"]


def test_a_closed_queue_takes_nothing_new_and_hands_out_the_rest() -> None:
    queue: AdmissionQueue[str] = AdmissionQueue(2)
    queue.put("a")
    queue.close()
    with pytest.raises(EngineDrainingError):
        queue.put("b")
    assert queue.take() == "a"
    assert queue.take() is None


def test_closing_wakes_a_thread_that_waits_for_work() -> None:
    queue: AdmissionQueue[str] = AdmissionQueue(1)
    taken: list[str | None] = []
    owner = threading.Thread(target=lambda: taken.append(queue.take()))
    owner.start()
    queue.close()
    owner.join(10)
    assert taken == [None]
