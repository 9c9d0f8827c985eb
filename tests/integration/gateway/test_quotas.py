from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from appliance.gateway.entitlements import grant
from appliance.gateway.errors import ExhaustedError
from appliance.gateway.pseudonyms import Subject, subject_of
from appliance.gateway.quota import Quotas
from tests.gateway.doubles import site

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.gateway.entitlements import Grant

pytestmark = pytest.mark.anyio
ALPHA, BETA = Subject("alpha"), Subject("beta")


def granted(**limits: Any) -> Grant:
    """A grant with these limits; minutes are made long enough not to end during a test by limiting tokens."""
    group = {"name": "analysts", "models": ["small"], **limits}
    return grant(site(groups=[group]), ["analysts"], "small")


def tokens(user: int = 10**9, group: int = 10**9) -> Grant:
    return granted(
        per_user={"requests_per_minute": 10**6, "tokens_per_day": user},
        per_group={"requests_per_minute": 10**6, "tokens_per_day": group},
    )


async def used(pool: AsyncEngine) -> dict[str, int]:
    async with pool.connect() as connection:
        query = text("SELECT subject, sum(used) AS used FROM quota_counter WHERE metric = 'tokens' GROUP BY subject")
        return {row.subject: int(row.used) for row in await connection.execute(query)}


async def test_however_many_gateways_ask_at_once_the_cap_holds_exactly(pool: AsyncEngine) -> None:
    gateways = [Quotas(pool) for _ in range(4)]

    async def ask(n: int) -> bool:
        try:
            await gateways[n % 4].reserve(Subject(f"user{n % 7}"), tokens(group=1000), 90)
        except ExhaustedError:
            return False
        return True

    admitted = await asyncio.gather(*(ask(n) for n in range(40)))
    assert sum(admitted) == 11
    assert (await used(pool))["group:analysts"] == 990


async def test_a_prompt_of_many_small_tokens_cannot_pass_the_cap(house: Any) -> None:
    group = {"name": "analysts", "models": ["small"], "per_user": {"tokens_per_day": 1500}}
    body = {"model": "small", "max_tokens": 64, "messages": [{"role": "user", "content": "7" * 900}]}
    async with house.open(site(groups=[group])) as client:
        headers = {"Authorization": "Bearer analyst"}
        answers = [await client.post("/v1/chat/completions", json=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert max((await used(house.pool)).values()) <= 1500


async def test_a_refused_request_counts_nowhere(pool: AsyncEngine) -> None:
    quotas = Quotas(pool)
    await quotas.reserve(ALPHA, tokens(group=100), 60)
    with pytest.raises(ExhaustedError) as refused:
        await quotas.reserve(BETA, tokens(group=100), 60)
    assert "group" in refused.value.cause
    assert refused.value.retry_after is not None
    assert refused.value.retry_after >= 1
    assert await used(pool) == {"user:alpha": 60, "group:analysts": 60}


async def test_several_answers_are_counted_together_or_not_at_all(pool: AsyncEngine) -> None:
    quotas = Quotas(pool)
    with pytest.raises(ExhaustedError):
        await quotas.reserve(ALPHA, tokens(user=100), 40, requests=3)
    assert await used(pool) == {}
    reservation = await quotas.reserve(ALPHA, tokens(user=120), 40, requests=3)
    assert await used(pool) == {"user:alpha": 120, "group:analysts": 120}
    for spent in (10, 20, 0):
        await quotas.settle(reservation, spent)
    assert await used(pool) == {"user:alpha": 30, "group:analysts": 30}


async def test_one_users_quota_is_not_anothers(pool: AsyncEngine) -> None:
    quotas = Quotas(pool)
    await quotas.reserve(ALPHA, tokens(user=100), 100)
    await quotas.reserve(BETA, tokens(user=100), 100)
    with pytest.raises(ExhaustedError) as refused:
        await quotas.reserve(ALPHA, tokens(user=100), 1)
    assert "alpha" not in str(refused.value)


async def test_settling_gives_back_what_was_not_used_and_charges_what_was_more(pool: AsyncEngine) -> None:
    quotas = Quotas(pool)
    little = await quotas.reserve(ALPHA, tokens(), 1000)
    await quotas.settle(little, 10)
    assert await used(pool) == {"user:alpha": 10, "group:analysts": 10}
    more = await quotas.reserve(ALPHA, tokens(), 5)
    await quotas.settle(more, 25)
    assert await used(pool) == {"user:alpha": 35, "group:analysts": 35}


async def test_counting_and_settling_side_by_side_lose_nothing_and_wait_for_nobody_for_ever(pool: AsyncEngine) -> None:
    quotas = [Quotas(pool) for _ in range(3)]

    async def ask(n: int) -> None:
        ours = quotas[n % 3]
        await ours.settle(await ours.reserve(Subject(f"user{n % 2}"), tokens(), 100), n)

    await asyncio.gather(*(ask(n) for n in range(60)))
    assert await used(pool) == {"user:user0": 870, "user:user1": 900, "group:analysts": 1770}


async def test_only_counting_does_not_wait_for_the_disk(pool: AsyncEngine) -> None:
    """What else goes over the same connections does."""
    quotas = Quotas(pool)
    for work in (quotas.reserve(ALPHA, tokens(), 10), quotas.settle(await quotas.reserve(ALPHA, tokens(), 10), 5)):
        await work
        async with pool.connect() as connection:
            assert pool.pool.checkedin() == 0, "there is one connection, and it is this one"
            assert (await connection.execute(text("SHOW synchronous_commit"))).scalar_one() == "on"


async def test_a_request_larger_than_the_whole_quota_is_told_so(pool: AsyncEngine) -> None:
    with pytest.raises(ExhaustedError) as refused:
        await Quotas(pool).reserve(ALPHA, tokens(user=100), 101)
    assert refused.value.hint is not None
    assert "max_tokens" in refused.value.hint


async def test_requests_a_minute_are_limited_with_a_time_to_come_back(pool: AsyncEngine) -> None:
    quotas, few = Quotas(pool), granted(per_user={"requests_per_minute": 1, "tokens_per_day": 10**6})
    refused = None
    for _ in range(3):  # a minute may end in between, once
        try:
            await quotas.reserve(ALPHA, few, 1)
        except ExhaustedError as error:
            refused = error
    assert refused is not None
    assert refused.retry_after is not None
    assert 1 <= refused.retry_after <= 60


async def test_over_http_it_is_429_with_retry_after_in_openais_shape_and_in_the_log(house: Any) -> None:
    groups = [{"name": "analysts", "models": ["small"], "per_user": {"tokens_per_day": 300}}]
    body = {"model": "small", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    async with house.open(site(groups=groups)) as client:
        answers = [
            await client.post(
                "/v1/chat/completions", json={**body, "max_tokens": n}, headers={"Authorization": "Bearer analyst"}
            )
            for n in (100, 299)
        ]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert int(answers[1].headers["retry-after"]) >= 1
    assert answers[1].json()["error"]["code"] == "quota_exceeded"
    assert [event["status_code"] for event in house.log.of_kind("refusal")] == ["quota_exceeded"]
    assert await used(house.pool) == {f"user:{_subject()}": 5, "group:analysts": 5}


def _subject() -> str:
    return subject_of("sub-analyst", b"p" * 32)


async def test_old_windows_are_forgotten(pool: AsyncEngine) -> None:
    quotas = Quotas(pool)
    await quotas.reserve(ALPHA, tokens(), 1)
    async with pool.begin() as connection:
        await connection.execute(
            text("UPDATE quota_counter SET window_start = now() - interval '3 days' WHERE subject = 'user:alpha'")
        )
    await quotas.forget_old()
    assert await used(pool) == {"group:analysts": 1}
