from __future__ import annotations

import pytest

from tests.bench.engine.capacity import Trial, best, climb

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Server:
    """Keeps its promise up to ``limit`` requests a second, and writes 10 tokens for each."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.tried: list[float] = []

    async def attempt(self, rate: float) -> Trial:
        self.tried.append(rate)
        return Trial(rate, rate <= self.limit, 10 * rate if rate <= self.limit else 0.0)


@pytest.mark.parametrize("limit", [0.3, 1.0, 5.0, 17.0])
async def test_the_highest_rate_within_the_promise_is_found_from_below_and_from_above(limit: float) -> None:
    for start in (0.1, 1.0, 20.0):
        found = best(await climb(Server(limit).attempt, start, 0.05, 100))
        assert found is not None
        assert limit / 2**0.25 <= found.rate <= limit or found.rate == pytest.approx(limit, rel=0.2)


async def test_a_server_that_keeps_no_promise_at_all_has_no_best_rate() -> None:
    server = Server(0.0)
    assert best(await climb(server.attempt, 1.0, 0.2, 8)) is None
    assert server.tried == [1.0, 0.5, 0.25]


async def test_a_server_that_always_keeps_it_is_not_asked_for_more_than_the_highest() -> None:
    server = Server(1e9)
    found = best(await climb(server.attempt, 1.0, 0.1, 8))
    assert found is not None
    assert found.rate == 8
    assert max(server.tried) == 8


def test_the_best_trial_is_the_one_that_did_most_not_the_one_that_was_asked_most() -> None:
    assert best([Trial(1, True, 50), Trial(2, True, 40), Trial(4, False, 90)]) == Trial(1, True, 50)  # noqa: FBT003
