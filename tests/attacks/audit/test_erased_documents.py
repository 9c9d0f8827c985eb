"""Documents that somebody brought: told to them, and, once they are erased, nobody's; also after a restore.

The attacker reads every row of the library, and knows from the log which pseudonyms were erased.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from appliance.cli import restore_erasures
from appliance.gateway.bringing import brought_as
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.people import People
from appliance.memory.chunking import Chunk
from appliance.memory.documents import NOBODY, Arrival, Passage, Reading
from appliance.memory.retrieval import Retrieval
from appliance.memory.store import Library
from tests.audit.erasing import KEYS
from tests.gateway import postgres

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from tests.audit.erasing import Site

RULES = "Visitors may park in bay seven."


def on(site: Site, act: Callable[[AsyncEngine], Awaitable[Any]]) -> Any:
    async def acted() -> Any:
        pool = site.pool()
        try:
            return await act(pool)
        finally:
            await pool.dispose()

    return asyncio.run(acted())


READ = Reading("sha256:" + "b" * 64, "en", None, len(RULES), (Passage(Chunk(0, len(RULES), (), None), RULES),))


def arrival_of(name: str, by: str) -> Arrival:
    return Arrival(f"page:clerks/{name}", name, "text/plain", "sha256:" + "a" * 64, ("clerks",), by)


def bring(site: Site, name: str, by: str) -> None:
    on(site, lambda pool: Library(pool).put(arrival_of(name, by), READ))


def rows(site: Site) -> list[tuple[Any, ...]]:
    """Everything that the library says of each document, and who brought it."""
    return site.query(
        "SELECT title, imported_by, digest, groups::text, imported::text, state, passages FROM document ORDER BY title"
    )


@pytest.fixture
def site(erasure_site: Site) -> Site:
    for name in ("analyst", "officer"):
        bring(erasure_site, f"{name}.txt", erasure_site.subject(name))
    bring(erasure_site, "house.txt", "uid 0")
    return erasure_site


def test_a_person_is_told_which_documents_they_brought_and_none_of_others(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert site.run("export", "analyst", "--out", str(out)).exit_code == 0
    (told,) = json.loads(out.read_text())["documents"]
    assert (told["title"], told["origin"]) == ("analyst.txt", "page:clerks/analyst.txt")
    assert (told["digest"], told["groups"]) == ("sha256:" + "a" * 64, ["clerks"])
    ((when,),) = site.query("SELECT imported::text FROM document WHERE title = 'analyst.txt'")
    assert told["imported"][:19] == when[:19]
    assert RULES not in out.read_text()
    assert "officer.txt" not in out.read_text()


def test_41_after_an_erasure_the_library_names_nobody_and_keeps_the_documents(site: Site) -> None:
    before, subject = rows(site), site.subject("analyst")
    result = site.run("erase", "analyst", "--yes", "--output", "json")
    assert (result.exit_code, json.loads(result.stdout)["documents"]) == (0, 1)
    assert rows(site) == [(name, NOBODY if by == subject else by, *rest) for name, by, *rest in before]
    assert [name for name, by, *_ in before if by == subject] == ["analyst.txt"]
    for table in ("document", "passage", "word_count", "sweep_due"):
        assert not [one for (one,) in site.query(f"SELECT t::text FROM {table} AS t") if subject in one]
    found = on(site, lambda pool: Retrieval(pool).found("Where may visitors park?", None, ("clerks",)))
    assert {one.title for one in found} == {"analyst.txt", "officer.txt", "house.txt"}


@pytest.mark.parametrize("origin", ["new.txt", "analyst.txt"])
@pytest.mark.parametrize("refused", [False, True])
def test_41_what_was_being_read_while_its_bringer_was_erased_names_nobody(
    site: Site, origin: str, *, refused: bool
) -> None:
    arrival = arrival_of(origin, site.subject("analyst"))
    assert site.run("erase", "analyst", "--yes").exit_code == 0

    async def kept(pool: AsyncEngine) -> Any:
        library = Library(pool, brought_as)
        return (await (library.refuse(arrival, "damaged") if refused else library.put(arrival, READ)))[0].imported_by

    assert on(site, kept) == NOBODY
    assert {name: by for name, by, *_ in rows(site)}[origin] == NOBODY


@pytest.mark.parametrize("origin", ["new.txt", "analyst.txt"])
def test_41_an_erasure_waits_for_what_is_being_kept_and_finds_it(site: Site, origin: str) -> None:
    subject = site.subject("analyst")
    waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    async def both(pool: AsyncEngine) -> tuple[str, int]:
        asked, go = asyncio.Event(), asyncio.Event()

        async def slowly(connection: AsyncConnection, by: str) -> str:
            found = await brought_as(connection, by)
            asked.set()
            await go.wait()
            return found

        put = asyncio.create_task(Library(pool, slowly).put(arrival_of(origin, subject), READ))
        await asked.wait()
        erase = asyncio.create_task(People(pool, ConversationStore(pool, KEYS["content_key"])).erase(subject))
        while True:
            async with pool.begin() as connection:
                if (await connection.execute(waits)).scalar_one():
                    break
            assert not erase.done(), erase
        go.set()
        return (await put)[0].imported_by, (await erase).documents

    assert on(site, both) == (subject, 2 if origin == "new.txt" else 1)
    assert not [by for _, by, *_ in rows(site) if by == subject]


def test_whoever_is_still_known_and_operators_are_named_by_what_they_bring(site: Site) -> None:
    assert site.run("erase", "officer", "--yes").exit_code == 0
    subject = site.subject("analyst")
    on(site, lambda pool: Library(pool, brought_as).put(arrival_of("new.txt", subject), READ))
    bring(site, "house.txt", "uid 0")
    assert {name: by for name, by, *_ in rows(site)} == {
        "analyst.txt": subject,
        "new.txt": subject,
        "officer.txt": NOBODY,
        "house.txt": "uid 0",
    }


def test_an_erasure_of_who_brought_documents_leaves_a_sweep_due_and_of_others_none(site: Site) -> None:
    due = on(site, lambda pool: Library(pool).due())
    assert due is None
    site.query("UPDATE document SET imported_by = 'uid 0' WHERE title = 'officer.txt' RETURNING id")
    assert site.run("erase", "officer", "--yes").exit_code == 0
    assert on(site, lambda pool: Library(pool).due()) is None
    assert site.run("erase", "analyst", "--yes").exit_code == 0
    assert on(site, lambda pool: Library(pool).due()) is not None


def test_what_two_erased_people_brought_stands_beside_each_other(site: Site) -> None:
    for name in ("analyst", "officer"):
        assert site.run("erase", name, "--yes").exit_code == 0
    assert [by for _, by, *_ in rows(site)] == [NOBODY, "uid 0", NOBODY]
    found = on(site, lambda pool: Retrieval(pool).found("Where may visitors park?", None, ("clerks",)))
    assert {one.title for one in found} == {"analyst.txt", "officer.txt", "house.txt"}


def test_41_a_restore_takes_the_name_off_again_before_it_serves(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = site.subject("analyst")
    assert site.run("erase", "analyst", "--yes").exit_code == 0
    erased = rows(site)
    site.query(f"UPDATE document SET imported_by = '{subject}' WHERE imported_by = '{NOBODY}' RETURNING id")
    assert rows(site) != erased  # as a backup from before brings it back
    monkeypatch.setattr(restore_erasures, "administration", lambda *_, **__: nullcontext(site.keycloak))
    context = restored(site)
    nobody = frozenset[str]()
    assert restore_erasures.erase_again(context, nobody, nobody) == 1  # nothing but the document was left of them
    assert rows(site) == erased
    assert restore_erasures.erase_again(context, nobody, nobody) == 0
    assert rows(site) == erased


def restored(site: Site) -> Any:
    secrets = {f"gateway/{name}": value for name, value in KEYS.items()} | {"identity/bootstrap_admin_secret": b"x"}
    config = SimpleNamespace(listen=SimpleNamespace(database_port=postgres.PORT), scheme="http")
    return SimpleNamespace(paths=site.paths, config=config, vault=SimpleNamespace(store=lambda: secrets))
