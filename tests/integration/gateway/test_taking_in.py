"""A large file of cases is held against what there is before anybody waits for it, and misses nothing for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appliance.gateway import gold_cases
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.gold_cases import CaseStore
from appliance.learning.cases import Compared, Content
from tests.integration.gateway.conftest import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


def content(expected: str, question: str = "How long is the notice period?") -> Content:
    said = {"question": question, "kind": "contains", "expected": [expected], "groups": ["analysts"]}
    return Content.model_validate({**said, "language": "en"})


@pytest.fixture
def store(house: Any) -> CaseStore:
    return CaseStore(house.pool, ConversationStore(house.pool, KEYS.content))


async def states(store: CaseStore) -> dict[str, str]:
    return {kept.case.content.expected[0]: kept.state for kept in await store.current()}


def when_it_is_looked_at(store: CaseStore, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Let ``act`` happen after the file was held against what there was, and before it is its turn."""
    current = store.current

    async def then(*given: Any) -> Any:
        found = await current(*given)
        await act()
        return found

    monkeypatch.setattr(store, "current", then)


async def test_a_case_made_while_a_file_is_compared_is_found_to_contradict(
    store: CaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as meanwhile:
        when_it_is_looked_at(store, meanwhile, lambda: store.add(content("90 days"), "uid 0"))
        assert await store.take_in([content("180 days")], "uid 0") == {"new": 0, "unchanged": 0, "blocked": 1}
    assert await states(store) == {"90 days": "blocked", "180 days": "blocked"}


async def test_a_case_retired_while_a_file_is_compared_blocks_nothing(
    store: CaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = await store.add(content("90 days"), "uid 0")
    with monkeypatch.context() as meanwhile:
        when_it_is_looked_at(store, meanwhile, lambda: store.retire(former.case.id))
        assert (await store.take_in([content("180 days")], "uid 0"))["new"] == 1
    assert await states(store) == {"90 days": "retired", "180 days": "active"}


async def test_nobody_waits_while_a_file_is_compared(store: CaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons are counted by whether the lock is held: none is made then, where nothing came in between."""
    await store.take_in([content(str(number), f"Question {number} of many?") for number in range(20)], "uid 0")
    held, compared = [False], {True: 0, False: 0}
    lock, contradicts = gold_cases._lock, Compared.contradicts

    async def locked(connection: Any) -> None:
        await lock(connection)
        held[0] = True

    def counted(one: Compared, other: Compared) -> bool:
        compared[held[0]] += 1
        return contradicts(one, other)

    monkeypatch.setattr(gold_cases, "_lock", locked)
    monkeypatch.setattr(Compared, "contradicts", counted)
    await store.take_in([content(str(number), f"Another {number} of many?") for number in range(20)], "uid 0")
    assert compared[False] >= 400
    assert compared[True] == 0
