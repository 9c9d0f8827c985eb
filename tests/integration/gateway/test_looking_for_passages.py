"""How passages are looked for in the real database: words and meaning side by side, each language by its own index."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from appliance.errors import UnavailableError
from appliance.memory import retrieval, word_search
from appliance.memory.access import Asker, keeping
from appliance.memory.copies import words_of
from appliance.memory.retrieval import Retrieval
from appliance.memory.vector_search import Meaning
from tests.memory.library import DIMENSIONS, House

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

pytestmark = pytest.mark.anyio
TEXTS = {
    "en": "The pump is in the cellar, and that is where it is to be read with care by all of us.",
    "fr": "La pompe est dans la cave, et il ne faut pas la lire sans les gants qui sont sur la table.",
    "de": "Die Pumpe ist im Keller, und dort wird sie von den Leuten mit der Hand und auch nicht ohne Licht gelesen.",
    "other": "Antlia in cella est; aqua semper fluit, lumen autem deest.",
}


VECTOR = Meaning("[1" + ",0" * (DIMENSIONS - 1) + "]", "sha256:" + "a" * 64)


@pytest.fixture
def searching(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Is set once words are searched, while their transaction is open."""
    begun = asyncio.Event()

    async def noted(connection: AsyncConnection, question: str, asker: Asker) -> tuple[list[int], int]:
        await connection.execute(text("SELECT 1"))
        begun.set()
        return await word_search.by_words(connection, question, asker)

    monkeypatch.setattr(retrieval, "by_words", noted)
    return begun


async def test_words_are_looked_for_while_the_questions_vector_is_made(
    pool: AsyncEngine, searching: asyncio.Event
) -> None:
    await House(pool).take("a.txt", "Nightingales sing at night.", "clerks")

    async def made() -> Meaning:
        await searching.wait()  # for ever, where words wait for it
        return VECTOR

    async with asyncio.timeout(20):
        found = await Retrieval(pool).found("nightingales", made(), ["clerks"])
    assert [one.title for one in found] == ["a"]
    assert found[0].cosine is not None


async def test_nobody_holds_a_connection_while_a_vector_is_made(
    pool: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await House(pool).take("a.txt", "Nightingales sing at night.", "clerks")
    wanted, searched, coming = 60, asyncio.Semaphore(0), asyncio.Event()  # twice as many as there are connections

    async def counted(connection: AsyncConnection, question: str, asker: Asker) -> tuple[list[int], int]:
        found = await word_search.by_words(connection, question, asker)
        searched.release()
        return found

    async def made() -> Meaning:
        await coming.wait()
        return VECTOR

    monkeypatch.setattr(retrieval, "by_words", counted)
    asked = [asyncio.create_task(Retrieval(pool).found("nightingales", made(), ["clerks"])) for _ in range(wanted)]
    async with asyncio.timeout(30):
        for _ in range(wanted):  # all of them, while no vector is there
            await searched.acquire()
        coming.set()
        assert [[one.title for one in some] for some in await asyncio.gather(*asked)] == [["a"]] * wanted


async def test_a_vector_that_fails_costs_no_connection(pool: AsyncEngine, searching: asyncio.Event) -> None:
    await House(pool).take("a.txt", "Nightingales sing at night.", "clerks")
    connected: list[object] = []
    event.listen(pool.sync_engine, "connect", lambda *_: connected.append(1))

    async def broken() -> Meaning:
        await searching.wait()
        raise UnavailableError("the embedding model does not answer", "run `sovereign status`")

    for _ in range(40):  # more than the pool holds
        searching.clear()
        with pytest.raises(UnavailableError):
            await Retrieval(pool).found("nightingales", broken(), ["clerks"])
    assert pool.pool.checkedout() == 0  # type: ignore[attr-defined]  # a queue's
    assert len(connected) <= 2


async def test_a_question_that_is_given_up_leaves_no_connection_taken(
    pool: AsyncEngine, searching: asyncio.Event
) -> None:
    await House(pool).take("a.txt", "Nightingales sing at night.", "clerks")
    for _ in range(40):
        searching.clear()
        asked = asyncio.create_task(Retrieval(pool).found("nightingales", VECTOR, ["clerks"]))
        await searching.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    assert pool.pool.checkedout() == 0  # type: ignore[attr-defined]  # a queue's


async def test_more_questions_at_once_than_there_are_connections_are_all_answered(pool: AsyncEngine) -> None:
    house = House(pool)
    await house.take("a.txt", "Nightingales sing at night.", "clerks")
    found = await asyncio.gather(*(house.ask("nightingales", "clerks") for _ in range(90)))
    assert [[one.title for one in some] for some in found] == [["a"]] * 90


@pytest.mark.parametrize("question", ["nightingales", "no such word"])
async def test_how_many_passages_there_are_counts_what_the_asker_may_see(pool: AsyncEngine, question: str) -> None:
    house = House(pool)
    await house.take("a.txt", "Nightingales sing at night.", "clerks")
    await house.take("b.txt", "Die Nachtigall singt in der Nacht und im Mai.", "clerks", "board")
    await house.take("c.txt", "Nightingales sleep.", "board")
    for groups, among in ((("clerks",), 2), (("board",), 2), (("clerks", "board"), 3), (("strangers",), 0), (None, 3)):
        asker = Asker(groups)
        async with asker.transaction(pool) as connection:
            assert (await word_search.by_words(connection, question, asker))[1] == among


@contextmanager
def stated(pool: AsyncEngine) -> Iterator[list[tuple[str, Any]]]:
    """Statements that score passages, with their values."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "ts_rank" in statement:
            found.append((statement, values))

    event.listen(pool.sync_engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(pool.sync_engine, "before_cursor_execute", note)


async def test_each_language_is_searched_by_its_own_index_in_one_statement(pool: AsyncEngine) -> None:
    house = House(pool)
    house.embedding = None
    for language, said in TEXTS.items():
        await house.take(f"{language}.txt", said, "clerks")
    with stated(pool) as statements:
        found = await house.ask("pump pompe Pumpe antlia", "clerks")
    assert {one.language for one in found} == set(TEXTS)
    ((statement, values),) = statements
    async with keeping(pool) as connection:
        for setting in ("enable_seqscan", "enable_nestloop"):
            await connection.execute(text(f"SET LOCAL {setting} = off"))
        rows = (await connection.exec_driver_sql(f"EXPLAIN {statement}", values)).scalars().all()
    used = {word for row in rows for word in row.split() if word.startswith("ix_passage_words")}
    assert used == {f"ix_passage_words_{language}" for language in TEXTS}


async def test_a_place_of_few_is_not_taken_by_a_copy_of_what_is_there_already(pool: AsyncEngine) -> None:
    house = House(pool)
    for number in range(5):
        await house.take(f"copy {number}.txt", f"Nightingales sing{' ' * number} at night.\n", "clerks")
    await house.take("hidden.txt", "Nightingales sing at noon.", "board")
    await house.take("other.txt", "At night no nightingales are seen.", "clerks")
    found = await house.ask("When do nightingales sing at night?", "clerks", limit=2)
    assert [words_of(one.body) for one in found] == [
        "Nightingales sing at night.",
        "At night no nightingales are seen.",
    ]
    await house.library.delete(found[0].document)  # and another copy stands in
    again = await house.ask("When do nightingales sing at night?", "clerks", limit=2)
    assert [words_of(one.body) for one in again] == [words_of(one.body) for one in found]
    assert again[0].document != found[0].document
