from __future__ import annotations

import pytest

from appliance.engine.errors import EngineBusyError, EngineDrainingError
from appliance.engine.llama_server.places import Places


class Clock:
    """Seconds that a test lets pass."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_places_are_taken_in_order_of_arrival() -> None:
    places = Places(1, 2)
    first, second, third = places.ask(), places.ask(), places.ask()
    assert [place.position for place in (first, second, third)] == [0, 1, 2]
    second.leave()
    first.leave()
    assert places.status().running == 1
    assert places.status().waiting == 0
    third.leave()
    assert places.status().running == 0


def test_leaving_twice_gives_one_place_back() -> None:
    places = Places(1, 5)
    first, second, third = places.ask(), places.ask(), places.ask()
    first.leave()
    first.leave()
    assert places.status().running == 1
    assert places.status().waiting == 1
    second.leave()
    third.leave()


def test_the_retry_time_follows_how_long_requests_take() -> None:
    clock = Clock()
    places = Places(1, 0, clock)
    for _ in range(20):
        place = places.ask()
        clock.now += 40
        place.leave()
    held = places.ask()
    with pytest.raises(EngineBusyError) as refused:
        places.ask()
    assert 15 <= refused.value.retry_after <= 20
    held.leave()


def test_after_closing_no_place_is_given_and_those_given_stay_good() -> None:
    places = Places(1, 5)
    held = places.ask()
    places.close()
    with pytest.raises(EngineDrainingError):
        places.ask()
    assert places.status().running == 1
    assert not places.status().accepting
    held.leave()


def test_shared_time_adds_up_to_the_machine_s_time() -> None:
    clock = Clock()
    places = Places(2, 5, clock)
    alone = places.ask()
    clock.now = 10
    beside = places.ask()
    waiting = places.ask()
    clock.now = 16
    assert waiting.share() == 0
    assert beside.share() == pytest.approx(3)
    assert alone.share() == pytest.approx(13)
    alone.leave()
    clock.now = 20
    shares = [beside.share(), waiting.share()]
    assert shares == pytest.approx([5, 2])
    beside.leave()
    waiting.leave()
    clock.now = 100
    idle = places.ask()
    assert idle.share() == 0
